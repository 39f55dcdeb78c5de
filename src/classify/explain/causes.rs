//! Causes that many divergences share: what each name means, what usually lies behind it, and what settles it.

use super::{Explanation, Group};

/// Every cause, in the order of `causes::NAMES`.
pub(super) const ALL: [Explanation; 23] = [
    Explanation {
        word: "columns_swapped",
        group: Group::Cause,
        summary: "two columns stand in each other's place",
        meaning: "\
In these pairs the projection's value of one attribute is the authority's of another,
and the other way round, exactly, in at least half of the mismatches of both.",
        causes: "\
- Two columns of one type were mapped crosswise when the projection was built.
- A file without header was read in another order.",
        example: "    authority   policy_id 1042 | first_name Anna, last_name Ruiz
    projection  policy_id 1042 | first_name Ruiz, last_name Anna",
        repair: "\
Mend the mapping and replay. The option (`projected_as`) exchanges the columns, where
all mismatches are of this kind; it hides nothing that is not exchanged.",
    },
    Explanation {
        word: "key_range_missing",
        group: Group::Cause,
        summary: "keys that follow one another are all missing",
        meaning: "\
Every whole number of the range (alone, after a fixed text, or a day) is a key at the
authority, and each of them is missing: no knowledge of other keys is needed. Where that
is not so, all keys of the authority are read once more: of at least twenty missing keys
that follow one another (times, numbers with holes, texts, keys of several attributes in
their order) none between is there, and chance would not have left so many together.",
        causes: "\
- A partition, a file or a batch was lost on the way or never sent.
- A consumer skipped a stretch of offsets, or was down for some hours.
- Of a key of several parts: one tenant's stretch of numbers, or the whole tenant.",
        example: "    authority   order_id 4001 to 4500, each of them a row
    projection  (no row of these)",
        repair: "\
Load the lost part again, once, rather than row by row. It is safe where the load is
idempotent; look for the same gap in other projections of this source.",
    },
    Explanation {
        word: "null_spelled",
        group: Group::Cause,
        summary: "NULL on one side is one same text on the other",
        meaning: "\
Wherever one side has NULL in these pairs, the other has the same value: a placeholder.",
        causes: "\
- An export writes `N/A`, an empty text or a zero for what is not known.
- A loader reads such a text as NULL.",
        example: "    authority   policy_id 1042 | end_date NULL
    projection  policy_id 1042 | end_date N/A",
        repair: "\
The option (`null_equals`) makes them equal on both sides. Paste it only where the text
can mean nothing else; else mend the export.",
    },
    Explanation {
        word: "null_in_place",
        group: Group::Cause,
        summary: "the projection has NULL where the authority has a value",
        meaning: "\
The projection has NULL, the authority a value, and not always the same one.",
        causes: "\
- A column is not filled by the load, or a value did not fit and was dropped.
- The column was added later and old rows were never filled.",
        example: "    authority   policy_id 1042 | phone +39 02 1234
    projection  policy_id 1042 | phone NULL",
        repair: "\
The value is lost in the projection only: update it from the authority. No option
settles it, since what is lost does not agree.",
    },
    Explanation {
        word: "default_in_place",
        group: Group::Cause,
        summary: "the projection has one value whatever the authority has",
        meaning: "\
One value of the projection stands beside at least three unlike ones of the authority.
It is a usual placeholder, or holds half of the attribute's mismatches.",
        causes: "\
- A default of the column, or of the program that writes it, stands for what it was
  not given: an empty text, 0, 1970-01-01.",
        example: "    authority   policy_id 1042 | city Antanhol
    projection  policy_id 1042 | city (empty)",
        repair: "\
The value is lost in the projection only: update it from the authority, and make the
load fail rather than write the default.",
    },
    Explanation {
        word: "stuck_version",
        group: Group::Cause,
        summary: "the projection stays at one value that lies behind",
        meaning: "\
In all mismatches of the attribute the projection has one same value, and all of the
authority's lie after it: numbers that grew or later times.",
        causes: "\
- A version marker or a load time is written once and never again.
- The projection reads a cached copy.",
        example: "    authority   policy_id 1042 | row_version 17
    projection  policy_id 1042 | row_version 1",
        repair: "\
Find what stopped before you repair rows: other attributes may be behind too. Replay
from the authority once it moves again.",
    },
    Explanation {
        word: "letter_case",
        group: Group::Cause,
        summary: "texts differ only in letter case",
        meaning: "\
The texts are equal under `case = \"ignore\"`: full Unicode case folding, no locale.",
        causes: "\
- One side stores names in capitals.
- A form or a collation ignores case, so nobody noticed.",
        example: "    authority   policy_id 1042 | city Roma
    projection  policy_id 1042 | city ROMA",
        repair: "\
The option ignores case of this attribute. Do not paste it where case tells two values
apart, as in some codes and in passwords.",
    },
    Explanation {
        word: "white_space",
        group: Group::Cause,
        summary: "texts differ only in white space",
        meaning: "\
The texts are equal but for white space: at their ends, in runs within, or because one
has none where the other has some. Options settle the first two.",
        causes: "\
- Fixed-width fields are padded; copies from web pages bring no-break spaces.",
        example: "    authority   policy_id 1042 | name Anna Ruiz
    projection  policy_id 1042 | name Anna  Ruiz (two blanks)",
        repair: "\
The options trim or collapse on both sides. They are safe for names and words, not for
texts in which layout says something.",
    },
    Explanation {
        word: "unicode_form",
        group: Group::Cause,
        summary: "the same characters in another Unicode form",
        meaning: "\
The texts are equal in normal form NFC, or, where the option says `nfkc`, in the form
that also unites ligatures, widths and superscripts.",
        causes: "\
- One system composes accents, the other writes them as marks of their own; macOS file
  names do.",
        example: "    authority   policy_id 1042 | name José (4 letters)
    projection  policy_id 1042 | name José (e, then an accent)",
        repair: "\
The option compares in one form. NFC never unites what readers tell apart; NFKC does
(² becomes 2), so look at the examples first.",
    },
    Explanation {
        word: "mojibake",
        group: Group::Cause,
        summary: "text in one encoding was read as another",
        meaning: "\
The bytes of the right text in UTF-8, read as ISO 8859-1 or Windows-1252, are exactly
the other text; or each character beyond ASCII may have become a question mark.",
        causes: "\
- A file in UTF-8 is loaded with an old default encoding, or sent through a system
  that knows only ASCII.",
        example: "    authority   policy_id 1042 | name Jörg
    projection  policy_id 1042 | name JÃ¶rg",
        repair: "\
What was misread can be restored from the authority, never from the copy. Where the
contract itself reads the file in another encoding, the option (`csv.encoding`) says the
right one; else mend the loader and load again.",
    },
    Explanation {
        word: "leading_zeros",
        group: Group::Cause,
        summary: "leading zeros are lost",
        meaning: "\
Both texts are digits, equal as numbers; one has zeros before them.",
        causes: "\
- A code went through a spreadsheet, or a column of a numeric type.",
        example: "    authority   policy_id 1042 | postcode 00184
    projection  policy_id 1042 | postcode 184",
        repair: "\
The option compares as numbers. Zeros of a code mean something: prefer to keep the
column as text in the projection and load it again.",
    },
    Explanation {
        word: "scientific_notation",
        group: Group::Cause,
        summary: "a number is written with an exponent on one side",
        meaning: "\
The texts are the same number, exactly, and one is written like 1.2E+10.",
        causes: "\
- A spreadsheet or a float printed the number.
- An export wrote a text column as a number.",
        example: "    authority   policy_id 1042 | account 12000000000
    projection  policy_id 1042 | account 1.2E+10",
        repair: "\
The option compares as numbers and is exact. Where digits were lost it does not help:
such values still differ.",
    },
    Explanation {
        word: "number_spelling",
        group: Group::Cause,
        summary: "the same number is spelled in two ways",
        meaning: "\
The texts are the same number, exactly: a plus sign, zeros at the end, a bare point.",
        causes: "\
- Two programs print numbers with another scale or another sign for what is positive.",
        example: "    authority   policy_id 1042 | amount 10.50
    projection  policy_id 1042 | amount 10.5",
        repair: "\
The option compares as numbers and is exact: nothing that differs in value agrees.",
    },
    Explanation {
        word: "text_cut",
        group: Group::Cause,
        summary: "the text is cut at a fixed number of characters",
        meaning: "\
The shorter text is the beginning of the longer one and has this many characters, as
have at least half of the beginnings that were found in this attribute.",
        causes: "\
- The projection's column is too short, and the load cuts instead of failing.",
        example: "    authority   policy_id 1042 | street Via della Conciliazione 4
    projection  policy_id 1042 | street Via della Concil",
        repair: "\
The rest is lost in the projection only: widen the column and update it from the
authority. No option settles it.",
    },
    Explanation {
        word: "sign_flipped",
        group: Group::Cause,
        summary: "the number has the other sign",
        meaning: "\
Each number is exactly the other's negative, in at least one in twenty mismatches.",
        causes: "\
- Debit and credit are booked with opposite signs on the two sides of the seam.",
        example: "    authority   policy_id 1042 | balance 120.00
    projection  policy_id 1042 | balance -120.00",
        repair: "\
Agree on one sign and mend the side that breaks it. Summed amounts are wrong by twice
their value until then. Where the projection is meant to count the other way, the option
(`derive`) says so.",
    },
    Explanation {
        word: "constant_factor",
        group: Group::Cause,
        summary: "the numbers are a fixed factor apart",
        meaning: "\
Each number is exactly the other's times a power of ten, or a factor between units of
bytes, time, length or mass, in at least one in twenty mismatches.",
        causes: "\
- One side counts cents, the other euros; bytes and kibibytes; minutes and seconds.",
        example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 30000",
        repair: "\
Agree on one unit and mend the side that breaks it, before any update: a repair that
copies values would hide the unit that is wrong. Where two units are meant, the option
(`derive`) makes the factor a part of the contract; one sixtieth and the like have no
exact decimal, so write `round(x / 60, 2)` as `derive`, with the places that are agreed.",
    },
    Explanation {
        word: "rounded",
        group: Group::Cause,
        summary: "numbers are rounded to fewer decimals on one side",
        meaning: "\
One side is the other rounded to so many decimals, exactly, half away from zero or half
to even, whichever explains the most.",
        causes: "\
- A column of the copy has fewer decimals, or one side was published with fewer.",
        example: "    authority   policy_id 1042 | lat 52.520007
    projection  policy_id 1042 | lat 52.5200066",
        repair: "\
The option is a tolerance of one step of the last decimal that is kept, which is more
than rounding needs. Real changes below it agree as well.",
    },
    Explanation {
        word: "truncated",
        group: Group::Cause,
        summary: "decimals are cut off on one side",
        meaning: "\
One side is the other with all further decimals cut off, exactly. For times the
decimals are those of the second.",
        causes: "\
- A cast to a coarser type: timestamps to milliseconds, numbers to integers.",
        example: "    authority   policy_id 1042 | seen_at 10:00:00.123456
    projection  policy_id 1042 | seen_at 10:00:00.123",
        repair: "\
The option is a tolerance of one step of the last decimal that is kept. Sums of cut
amounts are always too small; a tolerance does not mend them.",
    },
    Explanation {
        word: "time_offset",
        group: Group::Cause,
        summary: "times are a constant distance apart",
        meaning: "\
The same distance lies between the sides in half of the attribute's mismatches, or one
that zones have in a fifth of them; then the zone that it suggests is said.",
        causes: "\
- Local times are taken for UTC, or the other way round.
- A clock is wrong, or an interval is added on load.",
        example: "    authority   policy_id 1042 | booked_at 2026-03-01T10:00:00Z
    projection  policy_id 1042 | booked_at 2026-03-01T11:00:00Z",
        repair: "\
Where one side's times have no zone the option says it. Distances that change with
summer time are named with a zone that has them; of zones with the same rules choose
your own.
In the hour that comes twice in autumn no zone can tell which is meant: such a time is a
fault once the zone is named.",
    },
    Explanation {
        word: "enum_ordinal",
        group: Group::Cause,
        summary: "labels on one side are their numbers on the other",
        meaning: "\
Each label stands for one number, each number for one label, and the numbers are 0 or 1
and those that follow.",
        causes: "\
- A program stores an enumeration by its place in the list of its labels.",
        example: "    authority   policy_id 1042 | status BOUND
    projection  policy_id 1042 | status 1",
        repair: "\
The option (`translate`) is the list as it is today. Places shift when a label is put
between: agree on names instead.",
    },
    Explanation {
        word: "value_map",
        group: Group::Cause,
        summary: "each value always becomes the same other value",
        meaning: "\
In all mismatches that a value of the authority is in it becomes the same value of the
projection, five times each on average. Rows that agree are not looked at, so it is
named only where it explains at least as many as those in which the attribute agrees.",
        causes: "\
- The projection has a vocabulary of its own that the contract does not know yet.",
        example: "    authority   policy_id 1042 | status BOUND
    projection  policy_id 1042 | status Active",
        repair: "\
The option (`translate`) makes the map a part of the contract. Ask the owners whether
it is meant: a constant mistake looks the same.",
    },
    Explanation {
        word: "one_value_only",
        group: Group::Cause,
        summary: "all of a kind lie in rows that share one value of another attribute",
        meaning: "\
All divergences of the kind (or all mismatches of the attribute), at least 20, lie in
rows that have one value of another attribute: one tenant, one region, one day of load.
All rows were read once more to count them: were it chance, at least fourteen would lie
in rows with other values, and none does. Of several such attributes the one with the
fewest rows is named. It says where, whatever other cause says what; lines that have
another cause keep that one.",
        causes: "\
- One tenant's, region's or product's feed is broken, late or configured in another way.
- A batch of one day or one version was not loaded, or loaded twice.",
        example: "    authority   tenant acme | policy_id 1042 | premium 120.00
    projection  tenant acme | policy_id 1042 | premium 99.00
    (all 60 keys that differ are of tenant acme; 4,000 rows of other tenants agree)",
        repair: "\
Look at what is particular to that value: its job, its mapping, its last load. Replay
that part alone. No option of the contract settles it; `filter` on both sides would only
hide it.",
    },
    Explanation {
        word: "one_file_only",
        group: Group::Cause,
        summary: "all of a kind lie in one of several files of a side",
        meaning: "\
All divergences of the kind (or all mismatches of the attribute), at least 20, lie in
one of the files that a side is read from. Were it chance, at least 14 would lie in
the other files, and none does.",
        causes: "\
- The file was written by another version of the export, cut short, or replaced.
- It was not loaded: the copy knows nothing of it.",
        example: "    authority   policies/2026-03.parquet: 500 rows, each missing in the projection
    authority   policies/2026-01.parquet, policies/2026-02.parquet: every row agrees",
        repair: "\
Compare how that file came about with its neighbours, write it again, and load it once
more. No option of the contract settles it.",
    },
];
