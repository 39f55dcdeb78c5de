//! How a divergence stands to the run before. Which run that is, is the business of `history`.

use super::{Explanation, Group};

/// Every status.
pub(super) const ALL: [Explanation; 4] = [NEW, RECURRING, RESOLVED, UNSEEN];

const NEW: Explanation = Explanation {
    word: "new",
    group: Group::Recurrence,
    summary: "found by this run, and not by the one before",
    meaning: "\
The fingerprint (contract, major version, kind, key, attribute) was not among those of
the last run that compared the whole contract to its end. What was resolved once and
comes back is new.",
    causes: "\
- It came apart since the run before.
- A new major version of the contract: the history starts anew, and all is new.
- The run before was narrowed by `--where` or unverified, and is passed over: then the
  one before that is what counts.",
    example: "    yesterday   policy_id 1042 | premium 300.00 on both sides
    today       policy_id 1042 | premium 300.00 against 301.00 in the projection",
    repair: "\
As the kind asks for. New lines are the ones to look at first: what changed last night
is most often the reason.",
};

const RECURRING: Explanation = Explanation {
    word: "recurring",
    group: Group::Recurrence,
    summary: "found by this run and by the one before",
    meaning: "\
The same fingerprint, in this run and without a gap in those before; `first_run` and
`runs` say since when and in how many. The values may have changed meanwhile.",
    causes: "\
- Nobody has repaired it, or the repair was undone by the next load.
- It is a convention that the contract does not state.",
    example: "    yesterday   policy_id 1042 | missing
    today       policy_id 1042 | missing     first seen 3 days ago, in 4 runs",
    repair: "\
What recurs for long is no accident: repair it, decide it (`reconcile review`), or
change the contract. `reconcile explain RUN KEY` tells its whole story.",
};

const RESOLVED: Explanation = Explanation {
    word: "resolved",
    group: Group::Recurrence,
    summary: "found by the run before, and not by this one",
    meaning: "\
The row was compared, and does not diverge in this way any more. It has a line in
`recurrence.parquet` and none in `divergences.parquet`.",
    causes: "\
- It was repaired, or the late change has come.
- The row is gone on both sides, or a `filter` leaves it out now.
- The contract says now that the values are equal.",
    example: "    yesterday   policy_id 1042 | premium 300.00 against 301.00
    today       policy_id 1042 | premium 300.00 on both sides",
    repair: "\
None is needed. After an apply, see that what was applied is resolved and stays so in
the runs after it.",
};

const UNSEEN: Explanation = Explanation {
    word: "unseen",
    group: Group::Recurrence,
    summary: "found by the run before; this one could not look",
    meaning: "\
The attribute's column could not be compared in this run (`schema`), so nobody knows
whether the divergence is still there. It is not called resolved.",
    causes: "\
- A release renamed or dropped the column, or gave it a type without common ground.",
    example: "    yesterday   policy_id 1042 | premium 300.00 against 301.00
    today       the projection has no column premium",
    repair: "\
Mend what the `schema` line says, and run again: then it recurs or is resolved.",
};
