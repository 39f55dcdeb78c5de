//! One format.

use std::io::{self, Write};

use crate::audit::Audit;
use crate::classify::Divergence;

/// Writes the audit.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let _ = (audit, out);
    todo!()
}

/// The summary as one line, without its end.
#[must_use]
pub fn summary_line(audit: &Audit) -> String {
    let _ = audit;
    todo!()
}

/// A divergence as one line, without its end.
#[must_use]
pub fn divergence_line(contract: &str, divergence: &Divergence) -> String {
    let _ = (contract, divergence);
    todo!()
}
