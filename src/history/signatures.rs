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
    /// The numbers of the lines without signature, in their order.
    unsigned: Vec<u64>,
}

impl Signatures {
    /// Adds every signature, and says which do not hold or are missing. Lines before the one where signing began, and their
    /// runs, may lack theirs.
    pub(super) fn check(
        &mut self,
        reports: &Path,
        ledger: &Ledger,
        keys: &PublicKeys,
        began: Option<u64>,
    ) -> io::Result<Vec<String>> {
        self.proved = !keys.is_empty();
        let may_lack = |line: usize| began.is_some_and(|began| (line as u64) < began);
        let mut changed = Vec::new();
        changed.extend(began.and_then(|began| never_began(ledger, began)));
        for (index, line) in ledger.lines.iter().enumerate() {
            // What is no line was complained of already.
            if line.record.is_ok() {
                let signed = line.signed();
                self.unsigned.extend(signed.is_none().then_some(index as u64 + 1));
                if signed.is_none() && may_lack(index + 1) {
                    continue;
                }
                let signed = signed.as_ref().map(|(content, signature)| (content.as_bytes(), signature.as_str()));
                changed.extend(self.one(signed, keys).err().map(|problem| at_line(index + 1, &problem)));
            }
        }
        let mut known = BTreeSet::new();
        for (number, run) in ledger.runs().filter(|(_, run)| known.insert(run.run_id.as_str())) {
            let folder = reports.join(&run.run_id);
            let path = folder.join(manifest::FILE);
            // A run that was pruned has its line, and a missing file is named elsewhere.
            if !path.is_file() {
                continue;
            }
            let manifest = std::fs::read(&path).map_err(at(&path))?;
            let signature = signature_of(&folder)?;
            if signature.is_none() && may_lack(number) {
                continue;
            }
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

    /// A sentence on lines that were written before signing began; or, where nobody said when that was and it looks as if it
    /// were so, on how to say it.
    pub(super) fn beginning(&self, ledger: &Ledger, began: Option<u64>) -> Option<String> {
        let before =
            |line: u64| if line == 2 { "line 1 is".to_owned() } else { format!("lines 1 to {} are", line - 1) };
        let first_signed = ledger.lines.iter().position(|line| line.signed().is_some())? as u64 + 1;
        let only_before = self.unsigned.iter().all(|line| *line < first_signed) && first_signed > 1;
        match began {
            Some(began) if self.unsigned.first().is_some_and(|line| *line < began) => {
                let unsigned = self.unsigned.iter().filter(|line| **line < began).count() as u64;
                let which =
                    if unsigned == began - 1 { before(began) } else { format!("{unsigned} of the lines before are") };
                Some(format!(
                    "{which} unsigned, before signing began at line {began}, whose signature covers them by the chain"
                ))
            }
            None if self.proved && only_before => Some(format!(
                "{} unsigned, all later ones are signed; where you know that signing began then, `--signed-from {first_signed}` \
                 accepts that",
                before(first_signed)
            )),
            _ => None,
        }
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

/// Where signing is said to have begun at a line that there is not, no line would have to be signed.
fn never_began(ledger: &Ledger, began: u64) -> Option<String> {
    let lines = ledger.lines.len() as u64;
    (began > lines)
        .then(|| format!("signing is said to begin at line {began}, and {FILE} has {lines}: no line has to be signed"))
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
