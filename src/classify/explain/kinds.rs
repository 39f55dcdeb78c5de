//! What each kind of divergence means. It never says what a certain contract makes of it.

use super::{Explanation, Group};
use crate::contract::Kind;

/// The explanation of a kind.
pub(super) fn explanation(kind: Kind) -> Explanation {
    match kind {
        Kind::Missing => MISSING,
        Kind::Orphan => ORPHAN,
        Kind::Mismatch => MISMATCH,
        Kind::Stale => STALE,
        Kind::Ahead => AHEAD,
        Kind::InFlight => IN_FLIGHT,
        Kind::Resurrected => RESURRECTED,
        Kind::DuplicateKey => DUPLICATE_KEY,
        Kind::NullKey => NULL_KEY,
        Kind::Schema => SCHEMA,
        Kind::Unreadable => UNREADABLE,
    }
}

const MISSING: Explanation = Explanation {
    word: "missing",
    group: Group::Kind,
    summary: "a key is at the authority and not in the projection",
    meaning: "\
The authority has a row with this key, the projection has none, or has it as a
tombstone (`deleted_in_projection`). Whoever reads the projection does not know that it
exists. The default severity is high. Without a key
(`--no-key`, `key = []`) it is one surplus copy of a row.",
    causes: "\
- An insert event was lost, rejected or is stuck in a dead-letter queue.
- The load stopped early: look whether the missing keys are the newest ones.
- The projection filters rows that the contract does not (a status, a region): say so
  with the source's `filter`.
- The keys are written differently on the two sides (case, blanks, leading zeros).
  Then there is a `missing` for nearly every key and as many `orphan`: it is not loss.
- The snapshots are of different moments.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  (no row with policy_id 1042)",
    repair: "\
The plan drafts an `insert` with the authority's values, guarded by \"the row is
absent\". It is `safe` only where the contract says `repair = \"auto\"`; it cannot
overwrite anything. Where the projection is fed by events, `replay` is better: an
inserted row can be inserted again when the late event comes. If nearly everything is
missing, repair the feed and not the rows.",
};

const ORPHAN: Explanation = Explanation {
    word: "orphan",
    group: Group::Kind,
    summary: "a key is in the projection and not at the authority",
    meaning: "\
The projection has a row with this key, the authority has none. Whoever reads the
projection believes in something that its owner does not know. The default severity is
high. Without a key it is one surplus copy of a row.",
    causes: "\
- A delete at the authority never reached the projection.
- The row was made in the projection by hand, by a test or by another feed.
- The authority's snapshot is incomplete: its load was cut, its `filter` is too
  narrow.
- The authority archives old rows, the projection keeps them.
- The keys are written differently on the two sides: then `missing` is as frequent.",
    example: "    authority   (no row with policy_id 2077)
    projection  policy_id 2077 | status Active",
    repair: "\
The plan drafts a `delete`, guarded by the values that were seen. A delete loses
information, so let a person look (`repair = \"review\"`) unless you know the cause.
First make sure that the authority's snapshot is whole: deletes drafted from half a
snapshot remove good rows.",
};

const MISMATCH: Explanation = Explanation {
    word: "mismatch",
    group: Group::Kind,
    summary: "both sides have the key, and an attribute differs",
    meaning: "\
The key is on both sides, but the values of this attribute are not equal under the
contract. Each differing attribute has its own line; the key counts once. The values
are shown as they stand in the sources, before trimming, translating or rounding. The
default severity is medium.",
    causes: "\
- An update was lost or came out of order.
- The two sides round, truncate or encode differently. The same small gap in thousands
  of rows is a convention, not drift: say it with `tolerance`, `round`, `trim`,
  `case`.
- Codes were renamed on the way: say it with `translate`.
- A default (`0`, `''`, `N/A`) stands where the authority has NULL: `null_equals`.
- Times are in another zone, off by whole hours: `timezone`.
- Someone changed the projection by hand.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 301.00",
    repair: "\
The plan drafts an `update` of the differing attributes to the authority's values,
guarded by the projection's values as they were seen: if one has moved since, the
action must not be done. It is `safe` only where the contract says `repair = \"auto\"`.
Do not apply a plan to thousands of rows that differ by a convention; change the
contract instead.",
};

const STALE: Explanation = Explanation {
    word: "stale",
    group: Group::Kind,
    summary: "the projection lies behind the authority's version of the row",
    meaning: "\
The pair differs, and the projection's version marker or update time lies behind the
authority's: the copy is old, not wrong. Also a missing row whose marker is later than
anything that the projection has (by `updated_at` where both sides tell it, else by the
version). It needs `version_column` or `updated_at` on both sides. A marker that is
NULL, or a number here and a time there, tells nothing. The default severity is low.",
    causes: "\
- The feed is late or paused: look at its lag, and at the time of the newest row.
- One partition or consumer is stuck while the others go on.
- The two snapshots were taken at different times, the projection's first.
- An update was dropped, and no later update has come to cover it.",
    example: "    authority   order_id 7 | row_version 12 | status shipped
    projection  order_id 7 | row_version 11 | status paid",
    repair: "\
Mostly none: wait and run again. What is still stale after the feed has caught up was
lost. The plan drafts an `update` guarded by the values that were seen (an `insert` for
a missing row); the markers say that the authority's row is the later one, so it is
`safe` where the contract says `stale = \"auto\"`. A `replay` from the owner is better
where events feed the copy. A `window` takes out what is only on its way.",
};

const AHEAD: Explanation = Explanation {
    word: "ahead",
    group: Group::Kind,
    summary: "the projection's version of the row is later than the authority's",
    meaning: "\
The pair differs, and the projection's version marker lies after the authority's. A
copy cannot be newer than its origin, so one of the two is not what the contract says
it is. Only `version_column` tells it: a later `updated_at` in the projection is often
no more than the time of its load. The default severity is high.",
    causes: "\
- The authority's snapshot is older than the projection's: compare their
  `captured_at`.
- The authority was restored from a backup and has lost changes.
- Someone writes to the projection directly, and its marker grows.
- The markers are not the same thing on both sides (a row version against a load
  number).",
    example: "    authority   order_id 7 | row_version 11 | status paid
    projection  order_id 7 | row_version 12 | status shipped",
    repair: "\
The plan never overwrites a newer row by itself: it asks for a `review`. Find out
first which side lost something. After a restore the projection may hold the only copy
of the lost changes, and an update would destroy it.",
};

const IN_FLIGHT: Explanation = Explanation {
    word: "in_flight",
    group: Group::Kind,
    summary: "the change is too young to be drift: it may still be on its way",
    meaning: "\
The pair differs or the row is missing, but the authority's change is younger than the
contract's `window`, counted back from the moment that the projection speaks for; or a
second look found it repaired. It needs `updated_at` at the authority and `captured_at`
of the projection. A change dated after the run began is not excused. The default
severity is info, and it never makes a contract drift, whatever its severity.",
    causes: "\
- Ordinary delay between a change and its copy.
- The snapshots were taken a moment apart.
- Many of them at once: the feed is slower than `window` allows for, and will soon
  show as `stale`.",
    example: "    authority   order_id 9 | updated_at 07:24:50 | status paid
    projection  order_id 9 | updated_at 07:20:11 | status open    (window 15m)",
    repair: "\
None. No action is drafted. A key that is `in_flight` in one run after the other is
not in flight: its update time moves, or `window` is too wide.",
};

const RESURRECTED: Explanation = Explanation {
    word: "resurrected",
    group: Group::Kind,
    summary: "the row is deleted at the authority and alive in the projection",
    meaning: "\
The authority has a tombstone for this key (the source's `deleted`), the projection
still shows the row, with the same values or others. It is worse than an orphan: the
owner has said that this must not be. No `window` excuses it. The default severity is
critical.",
    causes: "\
- The delete event was lost, or came before an update that brought the row back.
- The projection upserts and knows no deletes.
- A backfill or a restored backup loaded rows that had been deleted.
- A request to erase personal data was carried out at the authority only.",
    example: "    authority   customer_id 31 | is_deleted true
    projection  customer_id 31 | name Rossi",
    repair: "\
The plan drafts a `delete`, guarded by the values that were seen. It is never `safe`:
`auto` makes no more of it than `review`, because a delete loses information and the
tombstone may be the mistake. Where the law asks for the deletion, it does not wait for
the next run.",
};

const DUPLICATE_KEY: Explanation = Explanation {
    word: "duplicate_key",
    group: Group::Kind,
    summary: "a key occurs more than once on a side",
    meaning: "\
More than one row has this key on the authority's side, on the projection's, or on
both; the two values shown are the counts. Its rows are never paired, since any
pairing would be a guess, so nothing is known of their other attributes. Tombstones
count: which row of a key is the last cannot be told, so leave older ones out with
`filter`. The default severity is high.",
    causes: "\
- The feed delivers at least once and the projection appends instead of upserting.
- A load ran twice, or two files of the same day lie in the folder.
- The key is too short: an attribute (line number, valid-from, tenant) belongs to it.
- The contract's options make keys equal that are not (`case`, `trim`, `translate`).",
    example: "    authority   policy_id 1042: 1 row
    projection  policy_id 1042: 2 rows",
    repair: "\
Never automatic: which copy is the right one cannot be known from here, so the action
is for a person. If the key is too short, correct the contract. If a load ran twice,
undo the load. A unique index on the projection keeps it from coming back.",
};

const NULL_KEY: Explanation = Explanation {
    word: "null_key",
    group: Group::Kind,
    summary: "a row has NULL in its key",
    meaning: "\
An attribute of the key is NULL, so the row has no identity and is paired with
nothing. Each such row of either side counts as one. Under `null_keys = \"match\"` NULL
counts as a value, and this kind does not occur. The default severity is high.",
    causes: "\
- A failed lookup or an outer join in the load left the key empty.
- An empty field of a CSV file: unquoted it is NULL, quoted it is `''`.
- `null_equals` turns a placeholder in the key into NULL.
- The key is optional by design: use `null_keys = \"match\"` or another key.",
    example: "    authority   policy_id NULL | premium 120.00
    projection  (not paired with anything)",
    repair: "\
Only by a person: without a key no statement could name the row. Find out where the
key was lost, correct it there and load again.",
};

const SCHEMA: Explanation = Explanation {
    word: "schema",
    group: Group::Kind,
    summary: "a column is missing, added, or of a type that cannot be compared",
    meaning: "\
A column is on one side only, or the types of its two sides have no common ground (a
list against an integer, a local time against an instant without a zone). The column
is not compared; everything else is. It counts once for each column, always makes the
contract drift, and `allow` does not reach it. The default severity is high. Of a key
attribute it makes the contract `unverified`, since no row can be paired.",
    causes: "\
- A release added, renamed or dropped a column on one side.
- The column has another name in the projection: `projected_as`, or `--map`.
- The column is not meant to be projected: `ignore`, or `compare = \"declared\"`.
- A file format lost the type: state it with `type`, or the zone with `timezone`.",
    example: "    authority   attribute items: list of text
    projection  attribute items: integer",
    repair: "\
No row can be repaired: change the contract or the table. Declare what is meant, so
that the next run compares the column, or ignore it by name. A glob that ignores too
much hides the next real change.",
};

const UNREADABLE: Explanation = Explanation {
    word: "unreadable",
    group: Group::Kind,
    summary: "a row or a range of rows could not be read",
    meaning: "\
The source has rows here that could not be read: a ragged or badly quoted CSV line,
broken JSON, invalid UTF-8, a damaged Parquet page. They are counted, never dropped in
silence, and the contract is `unverified`, since what was not read could be anything.
The default severity is high.",
    causes: "\
- The file was copied while it was written, or the copy was cut.
- The delimiter, quoting or encoding is not what the contract says: `csv = { … }`.
- A producer wrote a raw line break or a quote into a field.
- Damaged storage: compare the file's checksum with that of its origin.",
    example: "    authority   policies.csv, line 218: 5 fields, expected 6
    projection  (the keys of such rows look `orphan` here, if they exist)",
    repair: "\
No action is drafted for rows that nobody has read. Fetch or export the file again, or
correct `csv`, and run again. Do not apply the rest of the plan before that: some of
its `orphan` and `missing` lines may only be the rows that could not be read.",
};
