//! Checks `recheck`, the second look at what differs.

use super::super::tree::{Problems, Table};
use super::super::{Contract, Recheck, values};

/// The second look, where the contract asks for one.
pub(super) fn recheck(table: &Table) -> Option<Recheck> {
    let table = table.table("recheck")?;
    let after = table.node("after").and_then(|node| values::span(node).ok());
    let times = table.node("times").and_then(|node| values::count(node, Recheck::MOST).ok());
    let recheck = Recheck { after: after.unwrap_or(Recheck::AFTER), times: times.unwrap_or(Recheck::TIMES) };
    (recheck.times > 0).then_some(recheck)
}

/// Complains where rows cannot be read again by their keys.
pub(super) fn check_recheck(table: &Table, contract: &Contract, about: &str, problems: &mut Problems) {
    if let (Some(_), Some(why), Some(node)) = (contract.recheck, contract.not_rechecked(), table.node("recheck")) {
        let hint = "take it out, or write recheck = { times = 0 } in this contract where [defaults] asks for it";
        problems.add(&node.at, Some(about), format!("`recheck` cannot be done: {why}"), Some(hint.to_owned()));
    }
}
