//! Who owned what when a contract ran last, from the manifests. A run whose folder is gone tells nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::ledger::Ledger;
use super::manifest::{self, Manifest};
use super::place::{at, invalid};

/// The owners that a run recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastOwners {
    /// The run.
    pub run_id: String,
    /// The contract's version then.
    pub version: String,
    /// The source that owned each attribute.
    pub owners: BTreeMap<String, String>,
}

/// For each contract the owners of its newest run that recorded them and is still there.
///
/// # Errors
/// What could not be read.
pub fn last_owners(reports: &Path, contracts: &[&str]) -> io::Result<BTreeMap<String, PastOwners>> {
    let ledger = Ledger::read(reports)?;
    let mut found = BTreeMap::new();
    for (_, run) in ledger.runs().rev() {
        let wanted = |name: &str| contracts.contains(&name) && !found.contains_key(name);
        if !run.contracts.iter().any(|contract| wanted(&contract.name)) {
            continue;
        }
        let path = reports.join(&run.run_id).join(manifest::FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&path)(error)),
        };
        let manifest = Manifest::parse(&bytes).map_err(|problem| invalid(&path, problem))?;
        for contract in manifest.contracts {
            if contracts.contains(&contract.name.as_str()) && !contract.attribute_owners.is_empty() {
                let past = PastOwners {
                    run_id: run.run_id.clone(),
                    version: contract.version,
                    owners: contract.attribute_owners,
                };
                found.entry(contract.name).or_insert(past);
            }
        }
    }
    Ok(found)
}
