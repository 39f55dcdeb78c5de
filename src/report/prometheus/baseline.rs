//! How the projection stands to the old copy, as metrics, where a contract has one that was compared to its end.

use super::{Metric, each};
use crate::audit::{Audit, ThreeWay};

/// The metric; without samples it is not written.
pub(super) fn metric(audit: &Audit) -> Metric<'_> {
    each(
        audit,
        "reconcile_baseline_divergences",
        "Divergences by how they stand to the old copy; of what is healed those of the old copy.",
        |contract| {
            let found = contract.baseline.iter().filter_map(|baseline| baseline.parity.as_ref());
            let counts = found.flat_map(ThreeWay::counts);
            counts.map(|(status, lines)| (vec![("status", status)], lines.to_string())).collect()
        },
    )
}
