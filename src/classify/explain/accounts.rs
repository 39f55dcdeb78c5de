//! The accounts in which a run books every row that it read. `null_key` and `unreadable` are explained as kinds.

use super::{Explanation, Group};

/// Every account: of the two sides, then those of other sources alone.
pub(super) const ALL: [Explanation; 11] =
    [READ, AGREE, DIFFER, UNPAIRED, DUPLICATE, TOMBSTONE, UNCOMPARED, OUT_OF_SCOPE, JOINED, UNKNOWN, UNJOINED];

const BALANCE: &str = "\
None. The accounts of a side add up to `read`; a run in which they do not is a defect,
and its result is withheld.";

const READ: Explanation = Explanation {
    word: "read",
    group: Group::Account,
    summary: "rows of the source, after its `filter`",
    meaning: "\
Every row that the source gave, each of which is in exactly one of the other accounts.
Rows that `--where` leaves out are not among them.",
    causes: "\
- Fewer than yesterday: an export that was cut, or a `filter` that is too narrow.",
    example: "    authority   1,205 read = 1,026 agree + 141 differ + 38 in other accounts
    projection  1,188 read = 1,026 agree + 141 differ + 21 in other accounts",
    repair: BALANCE,
};

const AGREE: Explanation = Explanation {
    word: "agree",
    group: Group::Account,
    summary: "rows in pairs that are equal under the contract",
    meaning: "\
The key is once on each side, and all compared attributes are equal after all options.
Both sides have the same number of them.",
    causes: "\
- The copy is right in these rows; or the contract is lax: the report says which
  columns were left out and what was tolerated.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 300.0",
    repair: BALANCE,
};

const DIFFER: Explanation = Explanation {
    word: "differ",
    group: Group::Account,
    summary: "rows in pairs of which at least one attribute differs",
    meaning: "\
The key is once on each side, and something differs: `mismatch`, `stale`, `ahead` or
`in_flight`; or the row is a tombstone on one side only. Both sides have as many.",
    causes: "\
- What the kinds of its lines say; a pair is here once, however many attributes differ.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 301.00",
    repair: "\
As the kind of each line asks for; in the books it is only counted.",
};

const UNPAIRED: Explanation = Explanation {
    word: "unpaired",
    group: Group::Account,
    summary: "rows whose key the other side does not have",
    meaning: "\
At the authority they are `missing` (or `in_flight`, or `stale`), in the projection
`orphan`. A key that could not be read, or that a crosswalk does not know, is unpaired
too.",
    causes: "\
- What `missing` and `orphan` say, `unmapped_key` and `ambiguous_key` of a crosswalk.",
    example: "    authority   policy_id 1042 (not in the projection)
    projection  policy_id 2077 (not at the authority)",
    repair: "\
As the kind of each line asks for; in the books it is only counted.",
};

const DUPLICATE: Explanation = Explanation {
    word: "duplicate",
    group: Group::Account,
    summary: "rows of keys that occur more than once",
    meaning: "\
All rows of such a key on this side, and the rows of the same key on the other side,
which nothing can be paired with. The kind `duplicate_key` counts keys, this counts
rows. Of an owner or a lookup: rows of a key that it has several times.",
    causes: "\
- What `duplicate_key` says; of other sources `owner_key_twice`, `lookup_key_twice`,
  `ambiguous_key`.",
    example: "    authority   policy_id 1042: 1 row      1 duplicate
    projection  policy_id 1042: 2 rows     2 duplicate",
    repair: "\
As `duplicate_key` asks for; in the books it is only counted.",
};

const TOMBSTONE: Explanation = Explanation {
    word: "tombstone",
    group: Group::Account,
    summary: "deleted rows without a partner",
    meaning: "\
The source's `deleted` says that the row is deleted, and the other side has no row of
this key: that is as it ought to be, and no divergence.",
    causes: "\
- The source keeps deleted rows, the other side removes them.",
    example: "    authority   policy_id 31 | is_deleted true
    projection  (no row with policy_id 31)",
    repair: BALANCE,
};

const UNCOMPARED: Explanation = Explanation {
    word: "uncompared",
    group: Group::Account,
    summary: "rows that were read and held against nothing",
    meaning: "\
The comparison ended early, so nothing can be said of them. The contract is
`unverified`, and its coverage below 100%.",
    causes: "\
- The other side failed, was stopped, or ran out of its time (`max_duration`).
- A key column is not there, or its types have no common ground.",
    example: "    authority   12,000 read, 12,000 uncompared
    projection  could not be opened",
    repair: "\
Repair what the contract's `error` names, and run again. Nothing of such a run is
applied.",
};

const OUT_OF_SCOPE: Explanation = Explanation {
    word: "out_of_scope",
    group: Group::Account,
    summary: "rows that `--where` leaves out",
    meaning: "\
The predicate holds for neither side's row of this key. They stand beside `read`, not in
it, and coverage is of the rows in scope alone.",
    causes: "\
- The run was narrowed on purpose. It says nothing about the rest, and does not count
  for `parity`.",
    example: "    authority   200 read, 11,800 out of scope
    projection  198 read, 11,802 out of scope",
    repair: "\
None is needed. Run without `--where` to compare everything, and so that it counts.",
};

const JOINED: Explanation = Explanation {
    word: "joined",
    group: Group::Account,
    summary: "rows of another owner that a row of the authority was joined with",
    meaning: "\
The source owns an attribute, or a value is looked up in it, and this row's key is one
of the authority's: its values are what the projection is held against.",
    causes: "\
- It is what ought to be. Few joined rows: the keys are written differently there.",
    example: "    authority   policy_id 1042
    billing     policy_id 1042 | balance 80.00     joined",
    repair: BALANCE,
};

const UNKNOWN: Explanation = Explanation {
    word: "unknown",
    group: Group::Account,
    summary: "rows of another owner whose key the authority does not have",
    meaning: "\
The authority alone decides which keys exist, so such a row is no divergence. It is
counted and warned of, because nothing of it is compared.",
    causes: "\
- The owner keeps rows longer than the authority, or has rows of other products: say
  so with its `filter`.
- The two write the key differently.",
    example: "    authority   (no row with policy_id 3001)
    billing     policy_id 3001 | balance 12.00     unknown",
    repair: "\
None is drafted. Look whether the authority lost the row or the owner keeps too many.",
};

const UNJOINED: Explanation = Explanation {
    word: "unjoined",
    group: Group::Account,
    summary: "rows of another owner that were read and not joined",
    meaning: "\
The contract ended before they were joined, for example because the authority could not
be read. The contract is `unverified`.",
    causes: "\
- What the contract's `error` names: most often a side that could not be read.",
    example: "    authority   could not be opened
    billing     1,187 read, 1,187 unjoined",
    repair: "\
Repair what the contract's `error` names, and run again: then it joins or is unknown.",
};
