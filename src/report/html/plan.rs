//! The plan as a page shows it: what is safe, what waits and for whom, and some repairs of each safety. It never drafts one.

use serde_json::{Value, json};

use super::super::escape::{count, counted};
use crate::audit::ContractAudit;
use crate::audit::gallery::{Draft, Excerpt, Gallery};
use crate::plan::Safety;

/// The contract's repairs; None where there are none.
pub(super) fn view(contract: &ContractAudit, gallery: Option<&Gallery>) -> Option<Value> {
    let plan = contract.plan;
    if plan.safe + plan.review + plan.manual == 0 {
        return None;
    }
    let team = contract.team.as_deref();
    let groups = [(Safety::Safe, plan.safe), (Safety::Review, plan.review), (Safety::Manual, plan.manual)];
    let groups: Vec<Value> = groups
        .into_iter()
        .filter(|(_, actions)| *actions > 0)
        .map(|(safety, actions)| group(safety, actions, team, gallery))
        .collect();
    Some(json!({
        "groups": groups,
        "truncated": contract.plan_truncated,
        "others": gallery.map(|gallery| gallery.deeds().1).filter(|others| *others > 0).map(count),
    }))
}

fn group(safety: Safety, actions: u64, team: Option<&str>, gallery: Option<&Gallery>) -> Value {
    let waits = match (safety, team) {
        (Safety::Safe, _) => "Waits for nobody: the contract calls it auto, and its guard covers it".to_owned(),
        (Safety::Review, Some(team)) => format!("Waits for a look by {team}"),
        (Safety::Review, None) => "Waits for a look by whoever answers for the projection".to_owned(),
        (Safety::Manual, Some(team)) => format!("Waits for {team} to do it by hand"),
        (Safety::Manual, None) => "Waits for whoever answers for the projection to do it by hand".to_owned(),
    };
    let deeds = gallery.map(|gallery| gallery.deeds().0);
    let deeds = deeds.into_iter().flatten().filter(|(deed, _)| deed.safety == safety).map(|(deed, actions)| {
        json!({
            "op": deed.op.name(),
            "kind": deed.kind.name(),
            "reason": deed.reason,
            "actions": count(*actions),
        })
    });
    let drafts = gallery.and_then(|gallery| gallery.drafts().get(&safety)).map_or(&[][..], Vec::as_slice);
    json!({
        "safety": safety.name(),
        "actions": counted(actions, "action"),
        "waits": waits,
        "deeds": deeds.collect::<Vec<_>>(),
        "drafts": drafts.iter().map(draft).collect::<Vec<_>>(),
    })
}

fn draft(draft: &Draft) -> Value {
    let text =
        |excerpt: &Excerpt| if excerpt.after > 0 { format!("{}…", excerpt.text) } else { excerpt.text.clone() };
    json!({"op": draft.op.name(), "key": text(&draft.key), "after": draft.after.as_ref().map(text)})
}
