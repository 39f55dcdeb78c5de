//! What a verdict says about the copies, and what it does not.

use super::{Explanation, Group};

/// Every verdict, the best first.
pub(super) const ALL: [Explanation; 3] = [AGREED, DRIFTED, UNVERIFIED];

const AGREED: Explanation = Explanation {
    word: "agreed",
    group: Group::Verdict,
    summary: "compared to the end, and nothing diverged beyond what is allowed",
    meaning: "\
Every row of both sides was compared under the contract, and no divergence at or above
`fail_on` goes beyond `allow`. Rows of unchanged files, and of segments that a database
summed, are proved equal by sums without being read again; the report says how many. The
process ends with 0. It says nothing about columns that the contract ignores, nor about
rows that a `filter` or `--where` leaves out.",
    causes: "\
- The copies agree.
- The contract is lax: a wide tolerance, much that is ignored, `compare = \"declared\"`,
  a high `fail_on`. The report says what was compared and which columns were left out,
  and counts what was tolerated.
- People decided the divergences away (`accept-projection`, `ignore-until`); the report
  says how many, by whom and until when.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  policy_id 1042 | premium 300.000",
    repair: "\
Nothing needs to be done. A plan may still hold actions for divergences below
`fail_on` or within `allow`.",
};

const DRIFTED: Explanation = Explanation {
    word: "drifted",
    group: Group::Verdict,
    summary: "compared to the end, and something diverged beyond what is allowed",
    meaning: "\
Every row of both sides was compared, and at least one divergence at or above `fail_on`
goes beyond `allow`, a column could not be compared (`schema`, which is never allowed
away), or a total or invariant that counts does not hold. The counts are exact. The
process ends with 1.",
    causes: "\
- Real drift: look at which kind and which attribute lead the counts.
- One convention that the contract does not state, if one attribute differs in nearly
  all rows: rounding, case, codes, zone.
- Snapshots of different moments, if the differing rows are the newest ones.",
    example: "    authority   policy_id 1042 | status BOUND
    projection  policy_id 1042 | status Inactive",
    repair: "\
Read the report by its counts first, then by its examples; `reconcile explain KIND`
says what each kind asks for. The plan is a draft: writing it anywhere is a separate
act.",
};

const UNVERIFIED: Explanation = Explanation {
    word: "unverified",
    group: Group::Verdict,
    summary: "not compared to the end: nothing can be said for certain",
    meaning: "\
Something could not be compared: a source that failed, is older than `max_age`, or was
changed while it was read; rows that could not be read; a key column that is not
there; a run that was stopped. What was found is reported and true, but what was not
read could be anything, so this is worse than `drifted`. The process ends with 2, or
130 and 143 when it was stopped by a signal. Other contracts of the run are not
affected.",
    causes: "\
- The `error` of the contract in the report says which; it names the file and the
  place.
- Most often: an export that did not arrive, arrived late, or was cut.",
    example: "    authority   policies.parquet: the file ends after 812 bytes
    projection  4,000 rows read, compared with nothing",
    repair: "\
Repair the source, not the rows, and run again. Do not apply a plan of such a run: its
`missing` and `orphan` lines may only be rows that were not read.",
};
