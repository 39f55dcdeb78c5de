//! Why a value, or a key, that several sources make up together is not known.

use super::{Explanation, Group};

/// Every such reason.
pub(super) const ALL: [Explanation; 6] =
    [OWNER_KEY_TWICE, LOOKUP_LACKS_KEY, LOOKUP_KEY_TWICE, UNMAPPED_KEY, AMBIGUOUS_KEY, NOT_DERIVABLE];

const OWNER_KEY_TWICE: Explanation = Explanation {
    word: "owner_key_twice",
    group: Group::Reason,
    summary: "the source that owns the attribute has several rows with this key",
    meaning: "\
The attribute's owner is joined on the contract's key and has this key more than once.
Which of its rows is meant is not guessed, not even where they hold the same value, so
there is nothing that the projection's value could be checked against. It is a
`mismatch` of the owner's attributes.",
    causes: "\
- The owner keeps a row for each account, version or month, and the contract compares
  one for each key: choose it with the source's `filter`.
- The key has an attribute too few.
- A row was loaded twice at the owner.",
    example: "    authority   policy_id 1042 at policy_admin; policy_id 1042 twice at billing
    projection  policy_id 1042 | receivable 80.00    owner_key_twice",
    repair: "\
Nothing is written: the action asks for a person. The owner decides which of its rows
holds, or the contract says so with a `filter`.",
};

const LOOKUP_LACKS_KEY: Explanation = Explanation {
    word: "lookup_lacks_key",
    group: Group::Reason,
    summary: "the source in which the attribute is looked up has no such row",
    meaning: "\
The attribute is a copy of what another source says, found by a column of the
authority (`lookup`), and that source has no row for this row's value. It is a
`mismatch`, also where the projection holds NULL. Where the authority's own column is
NULL there is nothing to look up, and NULL is what is expected.",
    causes: "\
- A reference to a row that was deleted, or is not there yet.
- The snapshot that is looked into is older than the authority's.
- The two columns write the value differently: `trim`, `case` and `type` of the
  contract's defaults hold for both.",
    example: "    authority   order 7 | customer_id 99; no customer 99 at crm
    projection  order 7 | customer_name Rossi        lookup_lacks_key",
    repair: "\
Nothing is written: the action asks for a person. Correct the reference at the
authority, or the row at the source that it points to.",
};

const LOOKUP_KEY_TWICE: Explanation = Explanation {
    word: "lookup_key_twice",
    group: Group::Reason,
    summary: "the source in which the attribute is looked up has several such rows",
    meaning: "\
The attribute is a copy of what another source says, found by a column of the
authority (`lookup`), and that source has several rows for this row's value. Which is
meant is not guessed. It is a `mismatch`, also where the projection holds NULL.",
    causes: "\
- The column that is looked up by does not identify a row: name more columns in `on`.
- The source keeps old versions of its rows: choose with its `filter`.
- A row was loaded twice.",
    example: "    authority   order 7 | customer_id 12; customer 12 twice at crm
    projection  order 7 | customer_name Rossi        lookup_key_twice",
    repair: "\
Nothing is written: the action asks for a person. Make the lookup exact, or remove the
row that is there twice.",
};

const UNMAPPED_KEY: Explanation = Explanation {
    word: "unmapped_key",
    group: Group::Reason,
    summary: "the crosswalk does not know this key",
    meaning: "\
The contract's crosswalk maps the keys of one context to those of the other, and this
key stands in no line of it. So it cannot be said which row across is its partner: the
row is unpaired, as `missing` at the authority, as `orphan` in the projection, with
this reason and under its own key.",
    causes: "\
- The crosswalk is older than the row.
- The migration that writes the crosswalk left the row out.
- The key is written differently there: the key attribute's options hold for it too.",
    example: "    authority   policy_id A-17 (in no line of the crosswalk)    missing  unmapped_key
    projection  -",
    repair: "\
Nothing is drafted but a review: without its partner's key a row can be neither
inserted nor deleted. Complete the crosswalk and run again.",
};

const AMBIGUOUS_KEY: Explanation = Explanation {
    word: "ambiguous_key",
    group: Group::Reason,
    summary: "the crosswalk maps this key to several, or several to it",
    meaning: "\
The contract's crosswalk maps the keys of one context to those of the other, and says
more than one thing of this key or of its partner. Which is meant is not guessed: all
rows concerned are unpaired, as `missing` at the authority, as `orphan` in the
projection, with this reason and under their own keys.",
    causes: "\
- Two customers were merged on one side and not on the other.
- A corrected line was added to the crosswalk, and the wrong one kept.
- The mapping is one to many by nature; then it is no crosswalk of keys.",
    example: "    crosswalk   A-17 is C-1; A-18 is C-1
    authority   policy_id A-17    missing  ambiguous_key
    projection  policy_id C-1     orphan   ambiguous_key",
    repair: "\
Nothing is drafted but a review. Decide which line of the crosswalk holds, remove the
other, and run again.",
};

const NOT_DERIVABLE: Explanation = Explanation {
    word: "not_derivable",
    group: Group::Reason,
    summary: "the derivation has no value for this row",
    meaning: "\
The attribute is derived (`derive`), and the expression has no value here: it divides
by zero. That is not NULL, so it is a `mismatch` also where the projection holds NULL.
A text that is no number where the expression needs one has the reason `unparseable`,
NaN, an infinity, or a number that a cast cannot hold `out_of_type`.",
    causes: "\
- A divisor that may be zero: `case when n = 0 then null else round(a / n, 2) end`.
- A month, a quantity, a rate that was not filled in yet.",
    example: "    derive      round(premium / months, 2)
    authority   policy_id 1042 | premium 300.00, months 0
    projection  policy_id 1042 | monthly 0.00                not_derivable",
    repair: "\
Nothing is written: the action asks for a person. Say in the expression what holds in
that case, or correct the owner's row.",
};
