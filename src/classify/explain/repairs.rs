//! What an action of the plan would do, and who may do it. What a kind asks for stands with the kind.

use super::{Explanation, Group};

/// Every safety, the safest first, and then every operation. `review` is both.
pub(super) const ALL: [Explanation; 7] = [SAFE, REVIEW, MANUAL, INSERT, UPDATE, DELETE, REPLAY];

const SAFE: Explanation = Explanation {
    word: "safe",
    group: Group::Safety,
    summary: "the action may be done by a job, under its guard",
    meaning: "\
The contract says `repair = \"auto\"` of this kind or attribute, the authority has one
known value, and the guard keeps the action from overwriting what has moved since; or
a person decided `accept-authority` for this very row.",
    causes: "\
- `missing = \"auto\"`, `stale = \"auto\"`, `mismatch = \"auto\"` under
  `[contract.….repair]`, or `repair = \"auto\"` of an attribute.
- Never by itself: a delete, a row that is `ahead`, a duplicate or NULL key, a value
  that its owner does not tell, a key that is personal.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  (no row with policy_id 1042)     insert  safe  guard: no such row",
    repair: "\
`reconcile apply RUN` shows it, `--execute` does it: the row is looked at in its
transaction, written, and read again. Above `max_actions` or `max_ratio` nothing is
safe any more: the whole plan needs a person.",
};

const REVIEW: Explanation = Explanation {
    word: "review",
    group: Group::Safety,
    summary: "a person ought to look first; as an operation: ask a person",
    meaning: "\
As a safety: the action is complete and has a guard, but nobody said that it may be done
unseen. As an operation: no statement is drafted at all, because what ought to be
written is not known or must not be written.",
    causes: "\
- No `repair` is set: review is what holds where the contract says nothing.
- A delete, also under `auto`: it loses information.
- As an operation: `ahead`, a key that the crosswalk does not know, a value that its
  owner does not tell.",
    example: "    authority   (no row with policy_id 2077)
    projection  policy_id 2077 | status Active     delete  review",
    repair: "\
`reconcile review export` hands it to people, and `accept-authority` makes it safe for
this row as it is; or `reconcile apply --include-review --only KEY --execute` after one
has looked.",
};

const MANUAL: Explanation = Explanation {
    word: "manual",
    group: Group::Safety,
    summary: "only a person can repair it; no command writes it",
    meaning: "\
No statement could name the row or know the value: `apply` passes such an action over
and says so.",
    causes: "\
- Duplicate or NULL keys: which row is meant cannot be known.
- A key that is personal data, and so is in no plan.
- A value that its owner does not tell, or that does not fit its type.
- A row whose key the projection holds as a tombstone.",
    example: "    authority   policy_id 1042: 1 row
    projection  policy_id 1042: 2 rows     review  manual",
    repair: "\
Mend it where it came from, and run again. What was decided of it (`fix-elsewhere`) can
be noted by `reconcile review import`.",
};

const INSERT: Explanation = Explanation {
    word: "insert",
    group: Group::Operation,
    summary: "add the row to the projection",
    meaning: "\
The plan holds the authority's values, translated to what the projection is to hold,
under the guard that there is no such row: it overwrites nothing.",
    causes: "\
- `missing`: the row is at the authority alone.
- `stale` and missing: it came after anything that the projection has.",
    example: "    before  null
    after   {\"premium\": \"300.00\"}     guard {\"row\": \"absent\"}",
    repair: "\
Its safety is that of the kind (`missing`, `stale`). A projection that events feed
inserts the row once more when the late event comes: use `replay` there.",
};

const UPDATE: Explanation = Explanation {
    word: "update",
    group: Group::Operation,
    summary: "change the attributes that differ to the authority's values",
    meaning: "\
Only the attributes that differ are written. The guard holds every value that the run
saw in the projection: where one has moved since, the row is skipped.",
    causes: "\
- `mismatch`: an attribute differs.
- `stale`: it differs because the copy lies behind.",
    example: "    before  {\"premium\": \"301.00\"}
    after   {\"premium\": \"300.00\"}     guard {\"row\": \"present\", \"values\": {…}}",
    repair: "\
Its safety is that of the kind and of the attribute's `repair`. Where thousands of
updates share a cause, mend the cause and not the rows.",
};

const DELETE: Explanation = Explanation {
    word: "delete",
    group: Group::Operation,
    summary: "remove the row from the projection",
    meaning: "\
The row is in the projection and not, or not any more, at the authority. The guard
holds every value that was seen. It is never safe without a person's decision.",
    causes: "\
- `orphan`: the authority has no such row.
- `resurrected`: the authority has it as a tombstone.",
    example: "    before  {\"status\": \"Active\"}     guard {\"row\": \"present\", \"values\": {…}}
    after   null",
    repair: "\
After a look: first make sure that the authority's snapshot is whole. `apply` keeps the
whole row in its receipt, and `apply --rollback` brings it back.",
};

const REPLAY: Explanation = Explanation {
    word: "replay",
    group: Group::Operation,
    summary: "ask the owner to send the row again",
    meaning: "\
Nothing is written to the projection: its own feed is asked to bring the row, by a
command for the owner's tools, with an idempotency key.",
    causes: "\
- `repair = \"replay\"` of the kind or the attribute: events feed the copy, and a row
  that is written past them would be written twice.",
    example: "    {\"command\": \"replay\", \"idempotency_key\": \"5d41…\", \"owner\": \"policy_admin\",
     \"key\": {\"policy_id\": 1042}, \"attributes\": [\"premium\"]}",
    repair: "\
`reconcile plan --replay` prints the commands, a JSON line for each key. The key of a
command is the same however often it is asked for, so sending it twice does no harm.",
};
