//! `reconcile apply --out FILE`: a repaired copy of a projection that is a file, beside the original.

use std::path::Path;

use super::super::ExitStatus;
use super::super::failure::Failure;
use super::Call;
use super::choose::Picked;
use crate::console::Console;

pub(super) fn run(
    call: &Call<'_>,
    picked: &Picked<'_>,
    out: &Path,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let _ = (call, picked, console);
    Err(Failure::new(format!("{}: repaired copies are not written yet", out.display())))
}
