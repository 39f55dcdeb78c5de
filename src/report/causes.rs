//! Causes on the wire, in the text report and in Markdown. Values in evidence are shown like all others: nothing in them can
//! control a terminal or become markup.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::escape::{count, lines, visible};
use crate::audit::ContractAudit;
use crate::causes::Cause;

/// How many causes the text report tells.
const TOLD: usize = 5;
/// How wide its lines are.
const WIDTH: usize = 80;
/// Where the text of a cause begins.
const INDENT: usize = 12;

/// A cause in `summary.json` and `manifest.json`. The fields up to `option` are the agreed ones.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CauseRecord {
    cause: String,
    attribute: Option<String>,
    keys: u64,
    evidence: String,
    option: Option<String>,
    of: u64,
}

impl CauseRecord {
    pub(crate) fn of(cause: &Cause) -> Self {
        let Cause { cause, attribute, keys, of, evidence, option } = cause.clone();
        Self { cause, attribute, keys, evidence, option, of }
    }

    pub(crate) fn into_cause(self) -> Cause {
        let Self { cause, attribute, keys, evidence, option, of } = self;
        Cause { cause, attribute, keys, of, evidence, option }
    }
}

/// The commonest causes for the terminal, each with the option to paste.
pub(super) fn text(contract: &ContractAudit, all: bool, out: &mut dyn Write) -> io::Result<()> {
    let told = if all { contract.causes.len() } else { TOLD };
    if contract.causes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  causes, each of many divergences")?;
    for (index, cause) in contract.causes.iter().take(told).enumerate() {
        let attribute = cause.attribute.as_deref().map(visible).unwrap_or_default();
        writeln!(out, "  {:>8}  {}  {attribute}", count(cause.keys), cause.cause)?;
        for line in lines(&visible(&cause.evidence), WIDTH - INDENT) {
            writeln!(out, "{:INDENT$}{line}", "")?;
        }
        // What settles several at once is told with the last of them.
        let again =
            contract.causes[index + 1..].iter().take(told - index - 1).any(|later| later.option == cause.option);
        for line in cause.option.iter().filter(|_| !again).flat_map(|option| option.lines()) {
            writeln!(out, "{}", format!("{:width$}{}", "", visible(line), width = INDENT + 2).trim_end())?;
        }
    }
    if contract.causes.len() > told {
        writeln!(out, "  and {} more: `--verbose` and report.md tell all", contract.causes.len() - told)?;
    }
    Ok(())
}

/// All causes as Markdown. `plain` makes a text harmless.
pub(super) fn markdown(contract: &ContractAudit, plain: fn(&str) -> String, out: &mut dyn Write) -> io::Result<()> {
    if contract.causes.is_empty() {
        return Ok(());
    }
    writeln!(out, "### Causes\n")?;
    for cause in &contract.causes {
        let attribute = cause.attribute.as_deref().map(|name| format!(" of {}", plain(name))).unwrap_or_default();
        writeln!(out, "- **{}**{attribute}: {}", plain(&cause.cause), plain(&cause.evidence))?;
        if let Some(option) = &cause.option {
            writeln!(out)?;
            for line in option.lines() {
                // Indented code cannot be left by anything that stands in it.
                writeln!(out, "{}", format!("      {}", visible(line)).trim_end())?;
            }
            writeln!(out)?;
        }
    }
    writeln!(out)
}
