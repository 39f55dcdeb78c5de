//! What was done about checksums in a database: the sentence of text and Markdown, and the record of JSON and manifest.

use serde::{Deserialize, Serialize};

use super::escape::{count, counted};
use crate::audit::{Checksums, ContractAudit};
use crate::sides::Sides;

/// The sentence; None where no database could have computed any.
pub(super) fn told(contract: &ContractAudit) -> Option<String> {
    let checksums = contract.checksums.as_ref()?;
    let because = &checksums.because;
    if !checksums.used {
        return Some(format!("not used, all rows were read: {because}"));
    }
    let sides = checksums.statements.iter().filter(|(_, sent)| **sent > 0);
    let sides: Vec<String> =
        sides.map(|(side, sent)| format!("{} to the {side}", counted(*sent, "statement"))).collect();
    Some(format!(
        "used, {because}: {} of {} were read, {} of each side agree by their sums and were not read ({})",
        count(checksums.read),
        counted(checksums.segments, "segment"),
        counted(checksums.proved, "row"),
        sides.join(", ")
    ))
}

/// As JSON.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct ChecksumsRecord {
    used: bool,
    because: String,
    segments: u64,
    segments_read: u64,
    rows_not_read: u64,
    statements: StatementsRecord,
}

#[derive(Debug, Deserialize, Serialize)]
struct StatementsRecord {
    authority: u64,
    projection: u64,
}

impl ChecksumsRecord {
    pub(crate) fn of(checksums: &Checksums) -> Self {
        let Sides { authority, projection } = checksums.statements;
        Self {
            used: checksums.used,
            because: checksums.because.clone(),
            segments: checksums.segments,
            segments_read: checksums.read,
            rows_not_read: checksums.proved,
            statements: StatementsRecord { authority, projection },
        }
    }

    pub(crate) fn into_facts(self) -> Checksums {
        Checksums {
            used: self.used,
            because: self.because,
            segments: self.segments,
            read: self.segments_read,
            proved: self.rows_not_read,
            statements: Sides { authority: self.statements.authority, projection: self.statements.projection },
        }
    }
}
