//! `reconcile report RUN`: a published run, rendered again. It reads the run's files and nothing else.

use super::failure::Failure;
use super::{ExitStatus, Format, Global, Report, configuration, interrupt, opener, outcome};
use crate::console::Console;
use crate::{history, report};

pub(super) fn run(options: &Report, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    if options.open && global.format != Format::Text {
        return Err(Failure::with_hint(
            "report --open: shows the page of a run, so `--format` is of no use with it",
            "`reconcile report RUN --format json` prints the run instead",
        ));
    }
    let reports = configuration::reports(&options.reports, global)?;
    let bars = interrupt::told(console)?;
    bars.begin("", "reading the run", 0);
    let mut audit = history::load(&reports, &options.run)
        .map_err(|error| Failure::of_run(&reports, &format!("run `{}` cannot be shown", options.run), &error))?;
    bars.finish();
    if global.format == Format::Ndjson {
        for contract in &audit.contracts {
            let shown = contract.examples.len().min(options.limit.unwrap_or(usize::MAX));
            for divergence in &contract.examples[..shown] {
                writeln!(console.out(), "{}", report::json::divergence_line(&contract.name, divergence))
                    .map_err(|error| Failure::stdout(&error))?;
            }
            let all: u64 = contract.severities.values().sum();
            if shown as u64 != all {
                console.warning(
                    &format!("contract \"{}\": {shown} of {all} divergences are shown", contract.name),
                    Some("all of them are in the run's `divergences.parquet`"),
                );
            }
        }
    }
    if options.open {
        opener::open(&reports, &options.run, console)?;
        return Ok(ExitStatus::of_audit(&audit));
    }
    let status = ExitStatus::of_audit(&audit);
    outcome::print(&mut audit, (global.format, None), options.limit, console)?;
    Ok(status)
}
