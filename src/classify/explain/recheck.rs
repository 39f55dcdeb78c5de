//! What a second look makes of divergences.

use super::{Explanation, Group};

/// Both reasons.
pub(super) const ALL: [Explanation; 2] = [SETTLED, UNSTABLE];

const SETTLED: Explanation = Explanation {
    word: "settled",
    group: Group::Reason,
    summary: "a second look found both sides agreed",
    meaning: "\
The contract asks for a second look (`recheck`). The key differed when the tables were
read, and some seconds later, in newer snapshots of both sides, it did not: the change
was on its way. It is `in_flight`, and no divergence. The line shows the values of the
first reading.",
    causes: "\
- The copy is written to a moment after its authority, and the check fell in between.
- The two snapshots were not taken at the same instant, and the table is busy.",
    example: "    authority   order 1042 | status paid     10:00:00  in_flight  settled
    projection  order 1042 | status open     10:00:00  (paid at 10:00:02)",
    repair: "\
None: it has repaired itself, and the plan leaves it alone. Many of them say that the
copy lags; `updated_at` and `window` tell by how much.",
};

const UNSTABLE: Explanation = Explanation {
    word: "unstable",
    group: Group::Reason,
    summary: "it differed in every look, and changed between the last two",
    meaning: "\
The contract asks for a second look (`recheck`). The key differed whenever it was read,
but the last look saw other rows than the one before: whether the copy ever catches up
could not be told. It is still a divergence, with the values of the last look.",
    causes: "\
- The row is written to so often that the copy is always one change behind: a counter,
  a heartbeat, a balance.
- Two writers undo each other's work, so that the row flaps.
- The looks follow each other faster than the copy is refreshed: a longer `after`.",
    example: "    authority   sensor 7 | reading 20.5, then 20.7, then 20.4    medium  unstable
    projection  sensor 7 | reading 20.1, then 20.5, then 20.7",
    repair: "\
Never safe: what the plan drafts of it asks for a review, because the row will be
another one by then; its guard holds the values of the last look. A `rule` with
`reason = 'unstable'` gives such lines another severity.",
};
