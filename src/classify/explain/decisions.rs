//! What a decision of a person does to a divergence, and how long it holds.

use super::{Explanation, Group};

/// Every decision, in the order of the documents.
pub(super) const ALL: [Explanation; 5] = [ACCEPT_AUTHORITY, ACCEPT_PROJECTION, IGNORE_UNTIL, FIX_ELSEWHERE, REOPEN];

const ACCEPT_AUTHORITY: Explanation = Explanation {
    word: "accept_authority",
    group: Group::Decision,
    summary: "a person decided that the authority is right, so the repair may be done",
    meaning: "\
The repair of this divergence is `safe` in the plans of the next runs, under the same
guard as before, as long as the row is what it was when it was decided. Also a delete,
which nothing else makes safe. The divergence drifts its contract until it is repaired.",
    causes: "\
- The contract asks for a look (`repair = \"review\"`, which is the default), and somebody
  has looked.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 290.00   accept-authority by amy",
    repair: "\
Apply the plan of the next run. An action that the row's content makes `manual` stays
so: a value that does not fit its type, a key that is personal.",
};

const ACCEPT_PROJECTION: Explanation = Explanation {
    word: "accept_projection",
    group: Group::Decision,
    summary: "a person decided that the projection may stay as it is",
    meaning: "\
The divergence is still counted and written, but no action is drafted for it and it does
not count for the verdict, as long as the row is what it was when it was decided. The
report says how many were decided away, and by whom.",
    causes: "\
- A correction that was made downstream on purpose.
- A known exception that is not worth a rule of the contract.",
    example: "    authority   policy_id 1042 | holder Ann Lee
    projection  policy_id 1042 | holder Ann Lee-Moss   accept-projection by amy",
    repair: "\
Nothing is repaired. Where there are many alike, the contract ought to say it instead.
`reopen` takes the decision back.",
};

const IGNORE_UNTIL: Explanation = Explanation {
    word: "ignore_until",
    group: Group::Decision,
    summary: "a person decided that the divergence does not count before a day",
    meaning: "\
As `accept-projection`, but only before the day that is given, in UTC. From that day on
the divergence counts again, and the run says so.",
    causes: "\
- The repair is planned, and the nightly run should not raise an alarm until then.",
    example: "    authority   policy_id 1042 | status BOUND
    projection  no such row   ignore-until 2026-12-01 by amy",
    repair: "\
None is drafted before the day. Afterwards it is as if nothing had been decided.",
};

const FIX_ELSEWHERE: Explanation = Explanation {
    word: "fix_elsewhere",
    group: Group::Decision,
    summary: "a person decided that the divergence is repaired somewhere else",
    meaning: "\
No action is drafted for the divergence, so that no plan does the same work twice. It
drifts its contract until a run finds it repaired.",
    causes: "\
- The authority's owner sends the row again, or mends it at its source.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 290.00   fix-elsewhere by amy",
    repair: "\
By whoever took it on. `reopen` puts the action back into the plan.",
};

const REOPEN: Explanation = Explanation {
    word: "reopen",
    group: Group::Decision,
    summary: "a person took a decision back",
    meaning: "\
The divergence is as if nothing had been decided of it. Both decisions stay in
`decisions.ndjson`, and the ledger holds them.",
    causes: "\
- The decision was a mistake, or what it rested on has changed.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 290.00   reopen by bob",
    repair: "\
As the contract says: the next run drafts the action again, with its usual safety.",
};
