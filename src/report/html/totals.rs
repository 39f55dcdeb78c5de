//! Control totals, invariants, the value at risk and the old copy, as tables. Sums stand as the audit has them, every digit.

use serde_json::{Value, json};

use super::super::escape::count;
use super::super::{baseline as copies, figures};
use super::contract::as_of;
use super::examples::plainly;
use crate::audit::{ContractAudit, Figure, GroupFigures, ThreeWay, TotalFigures, ValueAtRisk};

/// Everything that was measured; None where the contract asks for nothing of it.
pub(super) fn view(contract: &ContractAudit) -> Option<Value> {
    let found = &contract.figures;
    if found.totals.is_empty() && found.invariants.is_empty() && found.value_at_risk.is_none() {
        return None;
    }
    let invariants: Vec<Value> = found
        .invariants
        .iter()
        .map(|one| json!({"text": figures::invariant(one), "holds": one.rows == 0, "severity": one.severity.name()}))
        .collect();
    Some(json!({
        "totals": found.totals.iter().map(total).collect::<Vec<_>>(),
        "invariants": invariants,
        "at_risk": found.value_at_risk.as_ref().map(at_risk),
    }))
}

fn at_risk(worth: &ValueAtRisk) -> Value {
    let kinds = worth.kinds.iter().map(|(kind, found)| {
        json!({
            "kind": kind.name(),
            "keys": count(found.keys),
            "unvalued": (found.unvalued > 0).then(|| count(found.unvalued)),
            "sum": found.sum,
        })
    });
    let kinds: Vec<Value> = kinds.collect();
    // The first sentence is of the kinds, which the table shows.
    let said = figures::at_risk(worth).into_iter().skip(usize::from(!kinds.is_empty())).map(|parts| parts.join(", "));
    json!({"attribute": worth.attribute, "sum": worth.sum, "kinds": kinds, "said": said.collect::<Vec<_>>()})
}

fn total(total: &TotalFigures) -> Value {
    let groups: Vec<Value> = total.worst.iter().map(|group| group_of(total, group)).collect();
    json!({
        "said": figures::total(total),
        "balances": total.unbalanced == 0 && total.not_computed.is_none(),
        "sum": total.sum,
        "groups": groups,
        "more": total.unbalanced.saturating_sub(total.worst.len() as u64),
    })
}

fn group_of(total: &TotalFigures, group: &GroupFigures) -> Value {
    let rows = group.sides.as_ref().map(|_, figure| figure.rows);
    let mut lines = vec![json!({
        "what": "rows",
        "authority": count(rows.authority),
        "projection": count(rows.projection),
        "difference": (i128::from(rows.authority) - i128::from(rows.projection)).to_string(),
    })];
    for (place, name) in total.sum.iter().enumerate() {
        let sum = |figure: &Figure| figures::sum(figure, place);
        lines.push(json!({
            "what": name,
            "authority": sum(&group.sides.authority),
            "projection": sum(&group.sides.projection),
            "difference": group.differences.get(place),
        }));
    }
    let name = if total.by.is_empty() { "all rows".to_owned() } else { plainly(&group.group) };
    json!({"name": name, "lines": lines})
}

/// The old copy beside the projection; None where the contract has none.
pub(super) fn baseline(contract: &ContractAudit) -> Option<Value> {
    let old = contract.baseline.as_ref()?;
    let counts = old.parity.iter().flat_map(ThreeWay::counts).map(|(name, lines)| {
        json!({"name": name.replace('_', " "), "lines": count(lines), "bad": name == "regression" && lines > 0})
    });
    let examples = old.parity.iter().flat_map(copies::shown).map(|example| {
        let [key, attribute] = copies::place(example);
        let [authority, projection, baseline] = copies::values(example);
        json!({
            "status": example.status.name(),
            "key": key,
            "attribute": attribute,
            "authority": authority,
            "projection": projection,
            "baseline": baseline,
        })
    });
    Some(json!({
        "source": old.input.source,
        "as_of": as_of(&old.input),
        "rows": count(old.books.read),
        "said": copies::told(contract),
        "counts": counts.collect::<Vec<_>>(),
        "examples": examples.collect::<Vec<_>>(),
    }))
}
