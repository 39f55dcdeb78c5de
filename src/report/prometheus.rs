//! One format.

use std::io::{self, Write};

use crate::audit::Audit;

/// Writes the audit.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let _ = (audit, out);
    todo!()
}
