//! What makes a page evidence: what was read, with digests, under which settings, and how to prove that nothing was changed.

use serde_json::{Value, json};

use super::super::escape::counted;
use super::super::json::hex;
use super::Extras;
use super::contract::as_of;
use crate::audit::{Audit, ContractAudit, InputFacts};

/// Of so many files a source shows each; of more it says how many.
const FILES: usize = 40;

/// Of the run.
pub(super) fn view(audit: &Audit, extras: &Extras<'_>) -> Value {
    let settings: Vec<Value> =
        audit.settings.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let files: Vec<Value> = extras
        .files
        .iter()
        .map(|file| json!({"name": file.name, "bytes": counted(file.bytes, "byte"), "blake3": file.blake3}))
        .collect();
    json!({
        "run": audit.run_id,
        "settings": settings,
        "files": files,
        "ledger": extras.ledger.as_ref().map(|end| json!({"lines": counted(end.lines as u64, "line"), "next": end.lines + 1, "digest": end.digest})),
    })
}

/// Of one contract: which source, in which state, fed what.
pub(super) fn lineage(contract: &ContractAudit) -> Value {
    let sides = contract.inputs.iter().map(|(side, input)| (side.name().to_owned(), input, Vec::new()));
    let owners = contract.owners.iter().map(|owner| {
        (owner.role.name().to_owned(), &owner.input, owner.attributes.iter().map(String::as_str).collect())
    });
    let old = contract.baseline.iter().map(|old| ("old copy".to_owned(), &old.input, Vec::new()));
    let sources: Vec<Value> =
        sides.chain(owners).chain(old).map(|(role, input, fed)| source(&role, input, &fed)).collect();
    json!({"digest": hex(&contract.contract_digest), "sources": sources})
}

fn source(role: &str, input: &InputFacts, fed: &[&str]) -> Value {
    let file = |file: &crate::audit::InputFile| {
        json!({
            "path": file.path,
            "bytes": counted(file.bytes, "byte"),
            "modified": file.modified.map(|at| at.to_string()),
            "blake3": if file.blake3.is_empty() { "not digested" } else { file.blake3.as_str() },
        })
    };
    json!({
        "role": role,
        "source": input.source,
        "context": input.context,
        "location": input.location,
        "as_of": as_of(input),
        "fed": fed.join(", "),
        "table": input.table_digest,
        "files": input.files.iter().take(FILES).map(file).collect::<Vec<_>>(),
        "more": input.files.len().saturating_sub(FILES),
    })
}
