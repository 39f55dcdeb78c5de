//! What the owners' own tools are asked to send again, a command for each owner of what differs at a key. It knows no owner's tools.

use std::collections::BTreeMap;

use crate::apply::given::Action;
use crate::audit::{Audit, ContractAudit};
use crate::history::Planned;

/// The commands of an action, the authority's first, each with a key under which doing it twice is doing it once; none where the action
/// is none for an owner. Keys are put in as they stand, because they may have more digits than any number here.
pub(super) fn commands(planned: &Planned, audit: &Audit) -> Vec<String> {
    let contract = audit.contracts.iter().find(|contract| contract.name == planned.contract);
    let action = Action::parse(&planned.line).ok().filter(|_| planned.proposed.op == "replay");
    let (Some(contract), Some(action)) = (contract, action) else { return Vec::new() };
    let authority = contract.inputs.authority.source.as_str();
    let attributes: Vec<&str> = action.attributes().into_iter().collect();
    let asked = by_owner(contract, authority, &attributes);
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let line = |(owner, attributes): &(&str, Vec<&str>)| {
        // The authority's key is the action's own.
        let key = if *owner == authority { action.id.clone() } else { format!("{}:{owner}", action.id) };
        let attributes: Vec<String> = attributes.iter().map(|name| text(name)).collect();
        format!(
            "{{\"command\":\"replay\",\"idempotency_key\":{},\"run_id\":{},\"contract\":{},\"owner\":{},\"kind\":{},\"key\":{},\"attributes\":[{}]}}",
            text(&key),
            text(&audit.run_id),
            text(&planned.contract),
            text(owner),
            text(&planned.kind),
            planned.key,
            attributes.join(","),
        )
    };
    asked.iter().map(line).collect()
}

/// The attributes by the source that owns them. Where none is named the whole row is meant, which is the authority's.
fn by_owner<'a>(
    contract: &'a ContractAudit,
    authority: &'a str,
    attributes: &[&'a str],
) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut own = Vec::new();
    for name in attributes {
        match contract.attribute_owners.get(*name).map(String::as_str) {
            Some(owner) if owner != authority => others.entry(owner).or_default().push(name),
            _ => own.push(*name),
        }
    }
    let authority = (!own.is_empty() || others.is_empty()).then_some((authority, own));
    authority.into_iter().chain(others).collect()
}
