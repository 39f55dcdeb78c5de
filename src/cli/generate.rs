//! `reconcile schema`, `completions` and `man`: what is derived from the declarations. Texts of its own it has none.

use clap::CommandFactory;

use super::failure::{self, Failure};
use super::{Arguments, Completions, ExitStatus, Man, manual};
use crate::console::Console;
use crate::contract;

const NAME: &str = "reconcile";

pub(super) fn schema(console: &mut Console) -> Result<ExitStatus, Failure> {
    write(console, format!("{:#}\n", contract::json_schema()).as_bytes())
}

pub(super) fn completions(options: &Completions, console: &mut Console) -> Result<ExitStatus, Failure> {
    // Into memory first: the generator panics where its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), NAME, &mut script);
    write(console, &script)
}

pub(super) fn man(options: &Man, console: &mut Console) -> Result<ExitStatus, Failure> {
    if let Some(folder) = &options.out {
        std::fs::create_dir_all(folder)
            .and_then(|()| manual::write(folder))
            .map_err(|error| Failure::path(folder, "manual pages cannot be written", &error))?;
        console.note(&format!("manual pages are in {}", failure::shown(folder)));
        return Ok(ExitStatus::Agreed);
    }
    let page = manual::page().map_err(|error| Failure::stdout(&error))?;
    write(console, &page)
}

fn write(console: &mut Console, bytes: &[u8]) -> Result<ExitStatus, Failure> {
    console.out().write_all(bytes).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}
