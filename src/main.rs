//! Parse, run, exit status.

use std::io::Write;
use std::process::ExitCode;

use reconcile::{cli, console, processor, source};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(refusal) = processor::refusal() {
        _ = std::io::stderr().write_all(refusal.as_bytes());
        return ExitCode::from(2);
    }
    begin()
}

/// Apart from `main`, so that no instruction is used before it is known to be there.
#[inline(never)]
fn begin() -> ExitCode {
    console::explain_defects();
    source::silence_decoder_panics();
    cli::parse(std::env::args_os()).map_or_else(ExitCode::from, |arguments| cli::execute(&arguments).into())
}
