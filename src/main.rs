//! Parse, run, exit status.

use std::process::ExitCode;

use reconcile::{cli, console};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    console::explain_defects();
    cli::parse(std::env::args_os()).map_or_else(ExitCode::from, |arguments| cli::execute(&arguments).into())
}
