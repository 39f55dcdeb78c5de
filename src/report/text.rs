//! One format.

use std::io::{self, Write};

use crate::audit::Audit;

/// How the terminal wants it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// ANSI colours; they add, never inform.
    pub color: bool,
    /// How many divergences of each contract are printed.
    pub limit: usize,
    /// More detail.
    pub verbose: bool,
}

/// Writes the audit; the last line is the sum a person wants.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let _ = (audit, style, out);
    todo!()
}
