//! The one line that a person wants, the same in every format. It only adds up what the audit holds.

use std::collections::BTreeMap;

use super::escape::{count, counted};
use crate::audit::{Audit, Verdict};
use crate::contract::Severity;

/// `3 contracts: 1 agreed, 1 drifted (2 critical, 14 low), 1 unverified`. In brackets are the lines of
/// `divergences.parquet`, by severity, of the contracts with that verdict.
pub(super) fn sum(audit: &Audit) -> String {
    let contracts = counted(audit.contracts.len() as u64, "contract");
    let parts: Vec<String> = [Verdict::Agreed, Verdict::Drifted, Verdict::Unverified]
        .into_iter()
        .filter_map(|verdict| {
            let of_verdict: Vec<_> = audit.contracts.iter().filter(|contract| contract.verdict == verdict).collect();
            let mut severities = BTreeMap::new();
            for contract in &of_verdict {
                for (severity, lines) in &contract.severities {
                    *severities.entry(*severity).or_insert(0) += lines;
                }
            }
            let part = format!("{} {}{}", count(of_verdict.len() as u64), verdict.name(), bracketed(&severities));
            (!of_verdict.is_empty()).then_some(part)
        })
        .collect();
    let verdicts = if parts.is_empty() { "nothing was compared".to_owned() } else { parts.join(", ") };
    match audit.interrupted {
        Some(signal) => format!("{contracts}: {verdicts}; interrupted by {}, so unverified", signal_name(signal)),
        None => format!("{contracts}: {verdicts}"),
    }
}

/// `2 critical, 14 low`, without what is zero; empty where all is.
pub(super) fn severities(lines: &BTreeMap<Severity, u64>) -> String {
    Severity::ALL
        .iter()
        .filter_map(|severity| {
            let lines = lines.get(severity).copied().unwrap_or(0);
            (lines > 0).then(|| format!("{} {}", count(lines), severity.name()))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn bracketed(lines: &BTreeMap<Severity, u64>) -> String {
    match severities(lines) {
        named if named.is_empty() => named,
        named => format!(" ({named})"),
    }
}

/// A signal as people know it.
pub(super) fn signal_name(signal: i32) -> String {
    match signal {
        2 => "SIGINT".to_owned(),
        15 => "SIGTERM".to_owned(),
        other => format!("signal {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_sum_names_verdicts_and_severities_and_leaves_out_what_is_zero() {
        let mut audit = sample::audit();
        assert_eq!(sum(&audit), "3 contracts: 1 agreed (1 low), 1 drifted (2 critical, 2 medium), 1 unverified");
        audit.interrupted = Some(15);
        assert_eq!(
            sum(&audit),
            "3 contracts: 1 agreed (1 low), 1 drifted (2 critical, 2 medium), 1 unverified; interrupted by SIGTERM, so unverified"
        );
        audit.interrupted = None;
        audit.contracts.truncate(1);
        audit.contracts[0].severities.clear();
        assert_eq!(sum(&audit), "1 contract: 1 agreed");
        audit.contracts.clear();
        assert_eq!(sum(&audit), "0 contracts: nothing was compared");
    }
}
