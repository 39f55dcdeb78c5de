//! How many keys each cause explains, as a metric.

use std::collections::BTreeMap;

use super::{Metric, each};
use crate::audit::Audit;

/// The metric; without samples it is not written. What is said of one attribute in several ways is one sample.
pub(super) fn metric(audit: &Audit) -> Metric<'_> {
    each(audit, "reconcile_cause_keys", "Keys that a cause explains, by cause and attribute.", |contract| {
        let mut keys = BTreeMap::<(&str, &str), u64>::new();
        for cause in &contract.causes {
            *keys.entry((&cause.cause, cause.attribute.as_deref().unwrap_or_default())).or_default() += cause.keys;
        }
        let sample = |((cause, attribute), keys): ((_, _), u64)| {
            (vec![("cause", cause), ("attribute", attribute)], keys.to_string())
        };
        keys.into_iter().map(sample).collect()
    })
}
