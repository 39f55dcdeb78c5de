//! How a divergence stands to the old copy, where a contract names one as its `baseline`.

use super::{Explanation, Group};

/// Every status.
pub(super) const ALL: [Explanation; 5] = [REGRESSION, INHERITED, CHANGED, HEALED, UNTOLD];

const REGRESSION: Explanation = Explanation {
    word: "regression",
    group: Group::Parity,
    summary: "the old copy is right here, and the projection that replaces it is wrong",
    meaning: "\
A divergence of the projection that the old copy (`baseline`) does not have. Both copies
were held against the same authority, under the same rules: the old one has the row, and
in it the value of this attribute agrees. Whoever switched today would lose something.",
    causes: "\
- The new pipeline maps, rounds or cuts a value that the old one carried over whole.
- Rows that the new load has not taken over yet.
- A column that the new copy does not have.",
    example: "    authority   policy_id 1042 | premium 300.00
    new_crm     policy_id 1042 | premium 300        old_crm 300.00: regression",
    repair: "\
Mend the new pipeline before the cutover. The plan repairs the rows as any other; the
status changes no action and no severity.",
};

const INHERITED: Explanation = Explanation {
    word: "inherited",
    group: Group::Parity,
    summary: "both copies are wrong here, and they say the same",
    meaning: "\
The old copy (`baseline`) has the same divergence: the same row is missing or surplus,
or the attribute has the same wrong value, as it is compared. The new pipeline did not
make the fault.",
    causes: "\
- The new copy was filled from the old one.
- Both read the authority's values in the same wrong way.
- The authority itself is at fault: a duplicate key, a value that cannot be read.",
    example: "    authority   policy_id 1042 | status BOUND
    new_crm     policy_id 1042 | status LAPSED      old_crm LAPSED: inherited",
    repair: "\
As of any divergence. It is no reason against the cutover by itself: nothing gets worse.",
};

const CHANGED: Explanation = Explanation {
    word: "changed",
    group: Group::Parity,
    summary: "both copies are wrong here, each in its own way",
    meaning: "\
The authority disagrees with both copies, and they do not agree with each other: other
values, or a row that one of them lacks, has twice or ought not to have. Then no
attribute of that row is called right in either copy.",
    causes: "\
- The new pipeline tried to mend the fault and did not quite do it.
- The copies were taken at different times.
- A row that the old copy lacked is there now, with a wrong value.",
    example: "    authority   policy_id 1042 | premium 300.00
    new_crm     policy_id 1042 | premium 310.00     old_crm 290.00: changed",
    repair: "\
As of any divergence. Look at it before the cutover: who got used to the old fault will
meet a new one.",
};

const HEALED: Explanation = Explanation {
    word: "healed",
    group: Group::Parity,
    summary: "the old copy is wrong here, and the projection that replaces it is right",
    meaning: "\
A divergence of the old copy (`baseline`) that the projection does not have. It is no
divergence of the contract, and is in none of its counts: it is told beside them.",
    causes: "\
- The new pipeline does better: it has the row, or carries the value over whole.
- The old copy is no longer fed, and falls behind.",
    example: "    authority   policy_id 1042 | premium 300.00
    new_crm     policy_id 1042 | premium 300.00     old_crm 290.00: healed",
    repair: "\
None is needed. Tell those who work with the old copy: what they see will change at the
cutover.",
};

const UNTOLD: Explanation = Explanation {
    word: "untold",
    group: Group::Parity,
    summary: "the projection is wrong here, and the old copy could not be compared",
    meaning: "\
The attribute differs in the projection, and the old copy (`baseline`) has no column for
it, or one without common ground: which of the two is right cannot be told. For
`max_regressions` it counts as a regression.",
    causes: "\
- The new copy has an attribute that the old one never had.
- The old copy gives the column another name: `projected_as = { old_crm = \"…\" }`.",
    example: "    authority   policy_id 1042 | region north
    new_crm     policy_id 1042 | region south     old_crm has no region: untold",
    repair: "\
As of any divergence. Name the old copy's column where it has one, so that the next run
tells.",
};
