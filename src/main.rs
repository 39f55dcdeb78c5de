//! Parse, run, exit status.

use std::process::ExitCode;

use reconcile::{cli, console, source};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    console::explain_defects();
    source::silence_decoder_panics();
    cli::parse(std::env::args_os()).map_or_else(ExitCode::from, |arguments| cli::execute(&arguments).into())
}
