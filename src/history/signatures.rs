//! Holds every line of a ledger and every manifest against the keys that may have signed them. Without a key it only says what
//! claims to be signed. It never writes.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::ledger::{FILE, Ledger, at_line};
use super::manifest;
use super::place::at;
use super::sign::{PublicKeys, read_short, signed_by};

/// What was signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signatures {
    /// By key: how many lines and manifests it signed. Where no key was given this is what they say of themselves.
    pub by_key: BTreeMap<String, u64>,
    /// Whether keys were given, so that each of these signatures was proved.
    pub proved: bool,
}

impl Signatures {
    /// Adds every signature, and says which do not hold or are missing.
    pub(super) fn check(&mut self, reports: &Path, ledger: &Ledger, keys: &PublicKeys) -> io::Result<Vec<String>> {
        self.proved = !keys.is_empty();
        let mut changed = Vec::new();
        for (index, line) in ledger.lines.iter().enumerate() {
            // What is no line was complained of already.
            if line.record.is_ok() {
                let signed = line.signed();
                let signed = signed.as_ref().map(|(content, signature)| (content.as_bytes(), signature.as_str()));
                changed.extend(self.one(signed, keys).err().map(|problem| at_line(index + 1, &problem)));
            }
        }
        let mut known = BTreeSet::new();
        for (_, run) in ledger.runs().filter(|(_, run)| known.insert(run.run_id.as_str())) {
            let folder = reports.join(&run.run_id);
            let path = folder.join(manifest::FILE);
            // A run that was pruned has its line, and a missing file is named elsewhere.
            if !path.is_file() {
                continue;
            }
            let manifest = std::fs::read(&path).map_err(at(&path))?;
            let signature = signature_of(&folder)?;
            let signed = signature.as_deref().map(|signature| (manifest.as_slice(), signature));
            let problem = self.one(signed, keys).err();
            changed.extend(problem.map(|problem| format!("run `{}`: {} {problem}", run.run_id, manifest::FILE)));
        }
        Ok(changed)
    }

    /// One line or manifest: what was signed and its signature, where it has one.
    fn one(&mut self, signed: Option<(&[u8], &str)>, keys: &PublicKeys) -> Result<(), String> {
        let key = match signed {
            None if self.proved => return Err("is not signed".to_owned()),
            None => return Ok(()),
            Some((bytes, signature)) if self.proved => keys.check(bytes, signature)?,
            Some((_, signature)) => signed_by(signature)?,
        };
        *self.by_key.entry(key).or_default() += 1;
        Ok(())
    }

    /// A sentence on what was signed; None where nothing was, or it was asked for and proved.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let keys: Vec<&str> = self.by_key.keys().map(String::as_str).collect();
        (!self.proved && !keys.is_empty()).then(|| {
            format!("{FILE} and manifests are signed by {}; `--key` with the public key proves it", keys.join(", "))
        })
    }
}

/// The signature of a run folder's manifest, where there is one.
pub(super) fn signature_of(folder: &Path) -> io::Result<Option<String>> {
    let path = folder.join(manifest::signature_file());
    if !path.is_file() {
        return Ok(None);
    }
    match read_short(&path) {
        Ok(signature) => Ok(Some(signature)),
        // Other bytes than texts are no signature, which is a finding and no failure.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Some(String::new())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
