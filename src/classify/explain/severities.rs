//! What each severity says, and what follows from it. Which divergence has which is the contract's business.

use super::{Explanation, Group};

/// Every severity, the worst first.
pub(super) const ALL: [Explanation; 5] = [CRITICAL, HIGH, MEDIUM, LOW, INFO];

const CRITICAL: Explanation = Explanation {
    word: "critical",
    group: Group::Severity,
    summary: "the worst severity: somebody ought to look now",
    meaning: "\
The contract, or the default of the kind, says that such a divergence does harm. It
drifts the contract unless `allow` lets so many pass, and one critical line in a run
keeps that run from counting for `parity`, whatever `allow` says.",
    causes: "\
- A kind that is critical by default: only `resurrected` is.
- A `[[contract.….rule]]`, an attribute's `severity`, or the contract's severity of the
  kind: the `reason` of the line says which.",
    example: "    authority   customer_id 31 | is_deleted true
    projection  customer_id 31 | name Rossi           critical  resurrected",
    repair: "\
A severity changes no repair: safety comes from the kind and from `repair`. Page
somebody by the metric `reconcile_divergence_lines{severity=\"critical\"}`, not by the
exit status, which is 1 for every drift.",
};

const HIGH: Explanation = Explanation {
    word: "high",
    group: Group::Severity,
    summary: "the copy misleads whoever reads it",
    meaning: "\
Rows are missing, surplus, twice or without key, a column cannot be compared, or the
contract says so of an attribute. It drifts the contract where `fail_on` is high or
below, beyond what `allow` lets pass.",
    causes: "\
- The default of `missing`, `orphan`, `ahead`, `duplicate_key`, `null_key`, `schema`
  and `unreadable`.
- `severity = \"high\"` of an attribute or a kind, or a rule.",
    example: "    authority   policy_id 1042 | premium 300.00
    projection  (no row with policy_id 1042)          high  missing",
    repair: "\
As the kind asks for: `reconcile explain KIND`. Look at it in the morning; page
somebody only where the contract calls it critical.",
};

const MEDIUM: Explanation = Explanation {
    word: "medium",
    group: Group::Severity,
    summary: "a value differs that nobody called more or less important",
    meaning: "\
The row is there on both sides and an attribute differs. It drifts the contract where
`fail_on` is medium or below, beyond what `allow` lets pass.",
    causes: "\
- The default of `mismatch`.
- `severity = \"medium\"` of an attribute or a kind, or a rule.",
    example: "    authority   policy_id 1042 | holder_name Rossi
    projection  policy_id 1042 | holder_name Rosi     medium  mismatch",
    repair: "\
As of any mismatch. Say which attributes matter more (`severity = \"high\"` or
`\"critical\"`) and which less, so that the worst lines are shown first.",
};

const LOW: Explanation = Explanation {
    word: "low",
    group: Group::Severity,
    summary: "a difference that will most often go away by itself",
    meaning: "\
The least severity that drifts a contract by default: `fail_on` is low where neither the
contract nor `[defaults]` says more.",
    causes: "\
- The default of `stale`: the copy is old, not wrong.
- `severity = \"low\"` of an attribute or a kind, or a rule.",
    example: "    authority   order_id 7 | row_version 12 | status shipped
    projection  order_id 7 | row_version 11 | status paid     low  stale",
    repair: "\
Wait for the next run before anything is repaired. Where low lines shall not drift a
contract, say `fail_on = \"medium\"`; they are still written and counted.",
};

const INFO: Explanation = Explanation {
    word: "info",
    group: Group::Severity,
    summary: "worth knowing, no drift",
    meaning: "\
The line is written and counted, and drifts nothing unless `fail_on` is info. An
`in_flight` line drifts nothing even then.",
    causes: "\
- The default of `in_flight`: the change may still be on its way.
- `severity = \"info\"` of an attribute: it is compared, but nobody waits for it.",
    example: "    authority   order_id 9 | updated_at 07:24:50 | status paid
    projection  order_id 9 | updated_at 07:20:11 | status open     info  in_flight",
    repair: "\
None is needed. To leave an attribute out altogether name it in `ignore`; as `info` it
stays in the counts, and its trend can be watched.",
};
