//! What is known of the old copy, and whether both copies were held against one authority.

use super::Tally;
use crate::audit::{ContractAudit, ThreeWay};
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

    /// Whether another comparison had the same authority: as many rows, and where rows were digested alike also the same sum.
    /// Both read what was opened once; a file that changes meanwhile is said where it is read.
    pub(in super::super) fn same_authority(&self, other: &Self, alike: bool) -> Result<(), String> {
        let changed = |what: &str| {
            Err(format!(
                "the authority {what} when the baseline was compared with it, so the copies cannot be held side by side\nhint: let nothing write to it while it is read"
            ))
        };
        if self.books.authority.read != other.books.authority.read {
            return changed("had another number of rows");
        }
        match (&self.table, &other.table) {
            (Some(one), Some(two)) if alike && one.authority != two.authority => changed("had other rows"),
            _ => Ok(()),
        }
    }
}
