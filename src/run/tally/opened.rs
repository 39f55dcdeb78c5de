//! What is known of both sides before their rows are read: columns, files and their digests, who owns what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::Progress;
use super::super::input::Inputs;
use super::super::privacy::Privacy;
use super::super::recall::Recall;
use super::Tally;
use super::owners::columns_of;
use crate::audit::InputFile;
use crate::contract::Contract;
use crate::sides::Side;
use crate::source;

/// Whose digests of files are known, so that these are not read for them.
#[derive(Clone, Copy, Default)]
pub(in super::super) struct Taken<'t> {
    /// What an earlier run left.
    pub(in super::super) recall: Option<&'t Recall>,
    /// A comparison of the same authority.
    pub(in super::super) first: Option<&'t Tally<'t>>,
}

impl Taken<'_> {
    fn digest_of(&self, side: Side, file: usize) -> Option<String> {
        let recalled = || self.recall.and_then(|recall| recall.digest_of(side, file));
        let first = self.first.filter(|_| side == Side::Authority);
        let files = first.map(|tally| &tally.inputs.authority.files);
        let known = files.and_then(|files| files.get(file)).map(|file| file.blake3.clone());
        known.filter(|digest| !digest.is_empty()).or_else(recalled)
    }
}

impl Tally<'_> {
    /// Both sides are open and bound.
    pub(in super::super) fn opened(&mut self, inputs: &Inputs, taken: Taken<'_>, progress: &dyn Progress) {
        let bound = inputs.contract.as_ref().unwrap_or(self.contract);
        let privacy = Privacy::new(self.contract, self.settings.pii_key).bound(bound, &inputs.binding);
        self.privacy = Arc::new(privacy);
        self.schema.clone_from(&inputs.binding.schema);
        self.key_count = inputs.binding.key_count;
        let names = inputs.binding.attributes.iter().skip(inputs.binding.key_count);
        self.attributes = names.map(|attribute| (attribute.name.clone(), 0)).collect();
        // Of several owners the one that holds now.
        self.attribute_owners = attribute_owners(bound, &self.attributes);
        for (side, input) in inputs.sides.iter() {
            self.warnings.extend(input.opened.warnings.iter().map(|warning| format!("{side}: {warning}")));
            let known = |file| taken.digest_of(side, file);
            let taken_over = (0..input.opened.files.len()).filter(|file| known(*file).is_some()).count();
            let digests = if self.settings.digest_inputs {
                let unknown = input.opened.files.iter().enumerate().filter(|(file, _)| known(*file).is_none());
                let bytes = unknown.map(|(_, file)| file.bytes).sum();
                progress.begin(&self.contract.name, "digesting", bytes);
                source::digest_files(&input.opened, known, &|bytes| progress.advance(0, bytes))
            } else {
                Ok(Vec::new())
            };
            progress.end();
            self.inputs.get_mut(side).taken_over.digests =
                if self.settings.digest_inputs { taken_over as u64 } else { 0 };
            let digests = digests.unwrap_or_else(|error| {
                self.warnings.push(format!("{side}: its content could not be digested: {error}"));
                Vec::new()
            });
            let mut digests = digests.into_iter();
            self.inputs.get_mut(side).columns = columns_of(&input.opened);
            let left_out: BTreeSet<&String> = inputs.binding.left_out.get(side).iter().collect();
            self.inputs.get_mut(side).left_out = left_out.into_iter().cloned().collect();
            self.inputs.get_mut(side).snapshot = described(&input.opened);
            self.inputs.get_mut(side).files = input
                .opened
                .files
                .iter()
                .map(|file| InputFile {
                    path: self.privacy.path(&self.contract.secrets.redact(&file.shown)),
                    bytes: file.bytes,
                    modified: file.modified,
                    blake3: digests.next().unwrap_or_default(),
                })
                .collect();
        }
    }
}

/// What a database tells of the state that is read.
pub(super) fn described(opened: &source::Opened) -> Option<String> {
    opened.snapshot.as_ref().map(|snapshot| snapshot.described.clone())
}

/// The source that owns each attribute that was compared.
fn attribute_owners(contract: &Contract, attributes: &[(String, u64)]) -> BTreeMap<String, String> {
    attributes.iter().map(|(name, _)| (name.clone(), contract.owner_of(name).name.clone())).collect()
}
