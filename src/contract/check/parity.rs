//! `[contract.NAME.parity]`: the cutover gate. It is no part of a contract's meaning, because it changes nothing that is
//! compared or judged in a run.

use super::super::tree::{Problems, Table};
use super::super::{ExactDecimal, Parity, values};

const ONE: ExactDecimal = ExactDecimal { coefficient: 1, exponent: 0 };

/// The gate, where the contract has one.
pub(super) fn parity(table: &Table, about: &str, problems: &mut Problems) -> Option<Parity> {
    let has_baseline = table.node("baseline").is_some();
    let table = table.table("parity")?;
    let ratio = |key: &str| table.node(key).and_then(|node| values::ratio(node).ok());
    let min_coverage = ratio("min_coverage").unwrap_or(ONE);
    let mut parity = Parity { consecutive_runs: 1, min_coverage, max_ratio: ratio("max_ratio"), max_regressions: None };
    if let Some(node) = table.node("max_regressions")
        && let Ok(most) = values::count(node, u64::MAX)
    {
        parity.max_regressions = Some(most);
        if !has_baseline {
            let hint = "regressions are told against an old copy: name its source in `baseline`".to_owned();
            problems.add(&node.at, Some(about), "max_regressions without a `baseline`", Some(hint));
        }
    }
    if let Some(node) = table.node("consecutive_runs")
        && let Ok(runs) = values::count(node, u64::MAX)
    {
        parity.consecutive_runs = runs;
        if runs == 0 {
            let hint = "1 asks for the last run alone".to_owned();
            problems.add(&node.at, Some(about), "consecutive_runs is 0, expected at least 1", Some(hint));
        }
    }
    Some(parity)
}
