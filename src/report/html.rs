//! `report.html` and `index.html`: each one file that needs nothing else, for a screen of any width, for paper and for a reader's
//! voice. Verdict first; then each contract: what was compared, what diverges, why, where, since when, and what to do.
//!
//! Templates hold the words, this module the figures. Every text passes one formatter that leaves neither markup nor
//! invisible characters, and the page allows itself no script but its own, whose digest it names. It never decides, never reads a
//! file, and shows nothing that other files of a run may not show.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Timestamp;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context, escape_formatter};

use super::escape::visible;
use crate::audit::gallery::Gallery;
use crate::audit::{Audit, Sighting};

mod charts;
mod contract;
mod evidence;
mod examples;
mod index;
pub(crate) mod marks;
mod overview;
mod places;
mod plan;
mod totals;

pub use index::{Listed, Listing};

/// What a page shows besides the audit.
#[derive(Debug, Default)]
pub struct Extras<'a> {
    /// Divergences and repairs of each contract by its name.
    pub galleries: BTreeMap<String, Gallery>,
    /// Since when the divergences that are shown are known, by fingerprint; new ones are not there.
    pub sightings: BTreeMap<[u8; 32], Sighting>,
    /// Earlier runs of each contract, the oldest first.
    pub past: BTreeMap<String, Vec<PastRun>>,
    /// The other files of the run.
    pub files: Vec<PageFile<'a>>,
    /// The ledger as it was before this run.
    pub ledger: Option<LedgerEnd>,
}

/// A file of the run.
#[derive(Clone, Copy, Debug)]
pub struct PageFile<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its size.
    pub bytes: u64,
    /// Its BLAKE3 in hex.
    pub blake3: &'a str,
}

/// The last line of a ledger.
#[derive(Clone, Debug)]
pub struct LedgerEnd {
    /// How many lines there are.
    pub lines: usize,
    /// BLAKE3 of the last one, in hex: what the next line names as `previous`.
    pub digest: String,
}

/// One contract in an earlier run.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// The run.
    pub run_id: String,
    /// When it ended.
    pub at: Option<Timestamp>,
    /// How the contract ended.
    pub verdict: String,
    /// The contract's version then, where the run still tells.
    pub version: Option<String>,
    /// Keys that diverged, or why nobody knows.
    pub keys: Result<u64, Unknown>,
}

/// Why a run has no figures that could be held against others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It did not compare the contract to its end.
    Unverified,
    /// It compared only the keys that `--where` left.
    Narrowed,
    /// Its folder was removed.
    Pruned,
    /// Its folder is missing or was changed.
    Damaged,
}

/// Where all that is found of a run can be read, in words.
pub(super) const REST: &str = "divergences.parquet";

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");
/// SHA-256 of the two in Base64, by which a browser knows them. A test in a browser fails where they are not these.
const STYLE_DIGEST: &str = "VpK2UwVjURa867hP6fxkvb+n8EvzCpo/7GWWGq5XY8o=";
const SCRIPT_DIGEST: &str = "+kugk8m2NFBIzSfGsjYj51f/TqR8+/j3Zaeqg4XGjdE=";

/// Writes the page of a run.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, extras: &Extras<'_>, out: &mut dyn Write) -> io::Result<()> {
    let contracts: Vec<_> =
        audit.contracts.iter().enumerate().map(|(place, one)| contract::view(place, one, audit, extras)).collect();
    let page = context! {
        overview => Value::from(Serde(overview::view(audit, extras))),
        contracts => Value::from(Serde(contracts)),
        evidence => Value::from(Serde(evidence::view(audit, extras))),
    };
    write("report.html", page, out)
}

/// Writes the page over all runs.
///
/// # Errors
/// What kept it from being written.
pub fn render_index(listing: &Listing, out: &mut dyn Write) -> io::Result<()> {
    write("index.html", context! { index => Value::from(Serde(index::view(listing))) }, out)
}

fn write(template: &str, page: Value, out: &mut dyn Write) -> io::Result<()> {
    let environment = environment().map_err(io::Error::other)?;
    let shared = context! {
        style => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        style_digest => STYLE_DIGEST,
        script_digest => SCRIPT_DIGEST,
        tool_version => env!("CARGO_PKG_VERSION"),
    };
    let template = environment.get_template(template).map_err(io::Error::other)?;
    let text = template.render(context! { ..shared, ..page }).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::SemiStrict);
    // The one way on which a text reaches a page.
    environment.set_formatter(|out, state, value| match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => escape_formatter(out, state, &Value::from(visible(text))),
        None => escape_formatter(out, state, value),
    });
    for (name, source) in [
        ("base.html", include_str!("html/base.html")),
        ("parts.html", include_str!("html/parts.html")),
        ("report.html", include_str!("html/report.html")),
        ("contract.html", include_str!("html/contract.html")),
        ("figures.html", include_str!("html/figures.html")),
        ("examples.html", include_str!("html/examples.html")),
        ("evidence.html", include_str!("html/evidence.html")),
        ("index.html", include_str!("html/index.html")),
    ] {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

#[cfg(test)]
mod tests;
