//! What set a divergence's severity, and why a value could not be compared. In the order in which reasons decide.

use super::{Explanation, Group};

/// Every reason.
pub(super) const ALL: [Explanation; 9] =
    [RULE, ATTRIBUTE, KIND, DEFAULT, UNPARSEABLE, OUT_OF_TYPE, AMBIGUOUS_TIME, OWNER_LACKS_KEY, DELETED_IN_PROJECTION];

const RULE: Explanation = Explanation {
    word: "rule",
    group: Group::Reason,
    summary: "a rule of the contract set the severity",
    meaning: "\
`rule:NAME` says that the contract's `[[contract.….rule]]` of this name was the first
whose `when` held for the divergence. A rule comes before everything else that sets a
severity, and sees the severity and reason that would hold without it.",
    causes: "\
- The rule says what the business says: a gap above a limit, a status that must not
  lag.
- If it is a surprise: an earlier rule caught the divergence. The first match wins, in
  the order of the file.
- A cast that fails in `when` is NULL, and NULL is no match: a rule that never fires
  often casts a text.",
    example: "    authority   policy_id 1042 | premium 300.00    critical  rule:large-premium-gap
    projection  policy_id 1042 | premium 500.00",
    repair: "\
A rule changes what a divergence costs, not how it is repaired: that is `repair`. To
change the severity, change the rule and give the contract a new version.",
};

const ATTRIBUTE: Explanation = Explanation {
    word: "attribute",
    group: Group::Reason,
    summary: "the attribute's own `severity` set the severity",
    meaning: "\
`attribute:NAME` says that no rule matched, and that the contract gives this attribute
a `severity`. It holds for differing values of the attribute, whatever the kind of the
pair.",
    causes: "\
- The owner of the contract has called this attribute more, or less, important than
  others: a status that decides about cover, a note that decides nothing.",
    example: "    authority   policy_id 1042 | status BOUND       critical  attribute:policy_status
    projection  policy_id 1042 | status Inactive",
    repair: "\
The severity says how soon, not how. How this attribute is repaired is its `repair`,
or the contract's for the kind; a critical attribute is often best left to `review`.",
};

const KIND: Explanation = Explanation {
    word: "kind",
    group: Group::Reason,
    summary: "the contract's severity for this kind set the severity",
    meaning: "\
`kind:NAME` says that no rule matched and the attribute says nothing, and that the
contract's `[contract.….severity]` has an entry for this kind.",
    causes: "\
- For this seam the kind costs more or less than usual: a missing row of a ledger, an
  orphan in a search index.",
    example: "    authority   payment_id 88 | amount 12.00    critical  kind:missing
    projection  (no row with payment_id 88)",
    repair: "\
The severity says how soon, not how: `reconcile explain missing`, and likewise for
every other kind, says what the plan drafts and how safe it is.",
};

const DEFAULT: Explanation = Explanation {
    word: "default",
    group: Group::Reason,
    summary: "nothing in the contract set the severity: the kind's default holds",
    meaning: "\
No rule matched, the attribute has no `severity` and the contract has none for the
kind. The defaults: resurrected critical; missing, orphan, ahead, duplicate_key,
null_key, schema and unreadable high; mismatch medium; stale low; in_flight info.",
    causes: "\
- The contract is silent about it. That is fine as long as the default is what it
  costs.",
    example: "    authority   airport LIRF | name Fiumicino              medium  default
    projection  airport LIRF | name Leonardo da Vinci",
    repair: "\
Nothing special: the kind says what the plan drafts. Give the attribute or the kind a
`severity` where the default wakes people for nothing, or lets them sleep too long.",
};

const UNPARSEABLE: Explanation = Explanation {
    word: "unparseable",
    group: Group::Reason,
    summary: "a text does not parse as the type it is compared under",
    meaning: "\
The attribute is compared as a number, a date or another type, since the contract says
so or since the other side has that type, and this text is none. It is a `mismatch`
even where both sides hold the same text, and is shown as it stands. In a key the row
is unpaired.",
    causes: "\
- A placeholder: `N/A`, `-`, `unknown`. Say so with `null_equals`.
- Another notation: `1.234,50` or `31.12.2026`. Say so with `csv.decimal`,
  `csv.date_format`.
- Blanks around the value: `trim`.
- Columns that moved in a file, so that a name stands where an amount should.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium n/a        medium  unparseable",
    repair: "\
The plan drafts an `update` with the authority's value where that parses; where it
does not, the owner must correct it, and the action asks for a review. If all rows
have it, the contract is wrong and not the data.",
};

const OUT_OF_TYPE: Explanation = Explanation {
    word: "out_of_type",
    group: Group::Reason,
    summary: "the type that the contract names cannot hold this value exactly",
    meaning: "\
A `type` never rounds. The value was read in full and does not fit: too large, too
many places after the point, a fraction under an integer type. It is a `mismatch`,
even where both sides have the same value. Only `round` rounds.",
    causes: "\
- The type in the contract is narrower than the data: `decimal(12, 2)` against 0.125.
- One side computes with more places than the other keeps: use `round` or `tolerance`.
- A value that is too large to be true: an overflow or a shifted column.",
    example: "    authority   policy_id 1042 | rate 0.125    out_of_type  (type decimal(12, 2))
    projection  policy_id 1042 | rate 0.13",
    repair: "\
Widen `type` or add `round` where the data is right. Where a value is impossible, its
owner must correct it. The plan does not write a value that the contract's type cannot
hold.",
};

const AMBIGUOUS_TIME: Explanation = Explanation {
    word: "ambiguous_time",
    group: Group::Reason,
    summary: "a local time that its zone has twice, or not at all",
    meaning: "\
A timestamp without zone is compared with an instant, in the zone that the contract
names. On the night when clocks go back an hour occurs twice, when they go forward an
hour does not occur: such a local time is no single instant, and which was meant is
not guessed. Two local times are compared as they are, and never have this reason.",
    causes: "\
- A system that records local time without zone ran through the change of clocks.
- The zone is wrong: the times are really UTC. Then there are also gaps of whole hours
  all over the table. Correct `timezone`.
- A batch that stamps every row with 02:30.",
    example: "    authority   id 5 | placed_at 2026-10-25T00:30:00Z
    projection  id 5 | placed_at 2026-10-25 02:30:00    ambiguous_time  (Europe/Rome)",
    repair: "\
Have the source write the offset, or UTC; then the next run can compare. Nothing is
drafted as safe for such a value: writing either hour might be wrong. The rows are
few, and all from one hour: a person can decide them.",
};

const OWNER_LACKS_KEY: Explanation = Explanation {
    word: "owner_lacks_key",
    group: Group::Reason,
    summary: "the source that owns the attribute has no row with this key",
    meaning: "\
The contract's authority decides which keys exist; the attribute has another owner,
which is joined on the key and has no such row. So there is nothing that the
projection's value could be checked against. It is a `mismatch` of the owner's
attributes.",
    causes: "\
- The second owner is late: the policy exists, its account does not yet.
- The owner knows only a part of the keys by design: give it a default, or a contract
  of its own.
- The two owners write the key differently.",
    example: "    authority   policy_id 1042 at policy_admin; no policy_id 1042 at billing
    projection  policy_id 1042 | receivable 80.00    owner_lacks_key",
    repair: "\
Not by writing to the projection: ask the owner to send or create its row (`replay`).
An update to NULL would erase what may be the only copy of the value.",
};

const DELETED_IN_PROJECTION: Explanation = Explanation {
    word: "deleted_in_projection",
    group: Group::Reason,
    summary: "the projection holds the row as a tombstone; at the authority it lives",
    meaning: "\
Both sides have the key, but the projection's source says by `deleted` that its row is
deleted, and the authority's row lives: whoever reads the projection does not see it.
It is `missing`, unless the markers say that the projection is `ahead` or `stale`, or
that the change is still `in_flight`. It stands in the place of what set the severity.",
    causes: "\
- The row was deleted and made again at the authority, and the second event was lost.
- A delete was carried out in the projection by hand, or for the wrong key.
- The authority was restored from a backup that is older than the delete: then its
  version lies behind, and the kind is `ahead`.
- `deleted` of the projection's source is true of rows that live.",
    example: "    authority   order_id 7 | is_deleted false | status paid
    projection  order_id 7 | is_deleted true",
    repair: "\
Only by a person: an insert would meet the tombstone, and whether the delete or the
row is right cannot be known from here. Where the projection is fed by events, ask the
owner to send the row again (`replay`).",
};
