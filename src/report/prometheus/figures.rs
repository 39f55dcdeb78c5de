//! Control totals, invariants and the value at risk as metrics, where a contract asks for them.

use super::{Metric, each};
use crate::audit::Audit;

/// The metrics; one without samples is not written.
pub(super) fn metrics(audit: &Audit) -> Vec<Metric<'_>> {
    vec![
        each(audit, "reconcile_total_groups", "Groups of a control total.", |contract| {
            let computed = contract.figures.totals.iter().filter(|total| total.not_computed.is_none());
            computed.map(|total| (vec![("total", total.name.as_str())], total.groups.to_string())).collect()
        }),
        each(
            audit,
            "reconcile_total_groups_unbalanced",
            "Groups of a control total that do not balance.",
            |contract| {
                let computed = contract.figures.totals.iter().filter(|total| total.not_computed.is_none());
                computed.map(|total| (vec![("total", total.name.as_str())], total.unbalanced.to_string())).collect()
            },
        ),
        each(audit, "reconcile_invariant_broken_rows", "Rows that break an invariant, by side.", |contract| {
            let found = contract.figures.invariants.iter();
            found
                .map(|found| {
                    let labels = vec![("invariant", found.name.as_str()), ("side", found.side.name())];
                    (labels, found.rows.to_string())
                })
                .collect()
        }),
        each(audit, "reconcile_value_at_risk", "What diverging keys are worth, by kind.", |contract| {
            let worth = contract.figures.value_at_risk.iter();
            worth
                .flat_map(|worth| {
                    worth.kinds.iter().map(|(kind, found)| {
                        (vec![("attribute", worth.attribute.as_str()), ("kind", kind.name())], found.sum.clone())
                    })
                })
                .collect()
        }),
    ]
}
