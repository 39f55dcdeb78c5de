//! What is known of the old copy, and whether both copies were held against one authority.

use super::Tally;
use crate::audit::{ContractAudit, InputFacts, ThreeWay};
use crate::contract::Contract;

impl Tally<'_> {
    /// There is an old copy, of which nothing was read yet.
    pub(in super::super) fn has_baseline(&mut self, contract: &Contract) {
        let Some(source) = contract.baseline.as_ref().map(|baseline| &baseline.source) else { return };
        let secrets = &self.contract.secrets;
        let context = source.context.as_deref().map(|context| secrets.redact(context).into_owned());
        let location = secrets.redact(source.location.shown()).into_owned();
        self.baseline = super::super::baseline::unread(contract, context, location);
    }

    /// What was read of it.
    pub(in super::super) fn baseline_read(&mut self, audit: &ContractAudit) {
        if let Some(baseline) = &mut self.baseline {
            baseline.input = audit.inputs.projection.clone();
            baseline.books = audit.books.projection;
        }
        for warning in &audit.warnings {
            if warning.starts_with("authority: ") || self.warnings.contains(warning) {
                continue;
            }
            let told = warning.strip_prefix("projection: ").unwrap_or(warning);
            self.warnings.push(format!("baseline: {told}"));
        }
    }

    /// How the projection stands to it.
    pub(in super::super) fn three_way(&mut self, parity: ThreeWay) {
        if let Some(baseline) = &mut self.baseline {
            baseline.parity = Some(parity);
        }
    }

    /// Whether another comparison had the same authority: the same files, as many rows, and where rows were digested alike
    /// also the same sum.
    pub(in super::super) fn same_authority(&self, other: &Self, alike: bool) -> Result<(), String> {
        let files = |input: &InputFacts| {
            let file =
                |file: &crate::audit::InputFile| (file.path.clone(), file.bytes, file.modified, file.blake3.clone());
            input.files.iter().map(file).collect::<Vec<_>>()
        };
        let own = |tally: &Self| {
            let owners = tally.owners.iter().map(|owner| (owner.input.source.clone(), files(&owner.input)));
            let authority = &tally.inputs.authority;
            let mut all = vec![(authority.source.clone(), files(authority))];
            all.extend(owners);
            all
        };
        let changed = |what: &str| {
            Err(format!(
                "the authority {what} when the baseline was compared with it, so the copies cannot be held side by side\nhint: let nothing write to it while it is read"
            ))
        };
        if own(self) != own(other) {
            return changed("had other files");
        }
        if self.books.authority.read != other.books.authority.read {
            return changed("had another number of rows");
        }
        match (&self.table, &other.table) {
            (Some(one), Some(two)) if alike && one.authority != two.authority => changed("had other rows"),
            _ => Ok(()),
        }
    }
}
