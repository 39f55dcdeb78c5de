//! What control totals and invariants do to a contract's verdict, and what is said of them.

use crate::audit::{Figures, InvariantFigures, TotalFigures, Verdict};
use crate::contract::Contract;
use crate::sides::Side;

/// The verdict that the rows give, weighed with what counts against the contract besides: an invariant that is broken and a
/// total that does not balance, each where its severity is at or above `fail_on`.
pub(in crate::run) fn weigh(
    contract: &Contract,
    figures: &Figures,
    (verdict, because): (Verdict, String),
) -> (Verdict, String) {
    if verdict == Verdict::Unverified {
        return (verdict, because);
    }
    let counts = |total: &&TotalFigures| total.severity.is_some_and(|severity| severity >= contract.fail_on);
    let broken = figures.invariants.iter().filter(|found| found.rows > 0 && found.severity >= contract.fail_on);
    let off = figures.totals.iter().filter(counts).filter(|total| total.unbalanced > 0);
    let unknown: Vec<String> = figures.totals.iter().filter(counts).filter_map(not_computed).collect();
    let drifts: Vec<String> = broken.map(invariant).chain(off.map(unbalanced)).collect();
    let told = match (verdict, drifts.is_empty(), unknown.is_empty()) {
        (_, true, true) => return (verdict, because),
        // What was found holds whatever could not be told.
        (Verdict::Drifted, ..) => [vec![because], drifts, unknown].concat(),
        (_, false, _) => [drifts, unknown].concat(),
        (_, true, false) => return (Verdict::Unverified, unknown.join("; ")),
    };
    (Verdict::Drifted, told.join("; "))
}

/// What is worth a word and does not count against the contract: what does is in its sentence.
pub(in crate::run) fn warnings(contract: &Contract, figures: &Figures) -> Vec<String> {
    let counts = |total: &&TotalFigures| total.severity.is_some_and(|severity| severity >= contract.fail_on);
    let mut warnings = Vec::new();
    if contract.row_filter.is_some() && contract.controls.need_every_row() {
        warnings.push("control totals and invariants are of all rows, whatever `--where` says".to_owned());
    }
    for total in figures.totals.iter().filter(|total| !counts(total)) {
        warnings.extend(not_computed(total));
        warnings.extend((total.unbalanced > 0).then(|| unbalanced(total)));
    }
    let worth = figures.value_at_risk.as_ref();
    warnings.extend(worth.and_then(|worth| Some(format!("value at risk: {}", worth.not_computed.as_ref()?))));
    warnings
}

fn not_computed(total: &TotalFigures) -> Option<String> {
    Some(format!("total `{}` could not be computed: {}", total.name, total.not_computed.as_ref()?))
}

fn unbalanced(total: &TotalFigures) -> String {
    match total.groups {
        1 => format!("total `{}` does not balance", total.name),
        groups => format!("total `{}` does not balance in {} of {groups} groups", total.name, total.unbalanced),
    }
}

fn invariant(found: &InvariantFigures) -> String {
    let rows = if found.rows == 1 { "1 row".to_owned() } else { format!("{} rows", found.rows) };
    let place = match found.side {
        Side::Authority => "at the authority",
        Side::Projection => "in the projection",
    };
    format!("invariant `{}` is broken by {rows} {place}", found.name)
}
