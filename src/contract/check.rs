//! Turns the raw TOML into the checked contract and collects every complaint on the way.
//!
//! ```text
//! files ─ tree ─ shape ──┐            each value by itself, in every file
//!                gather ─┴─ extends, defaults ─ source, agreement ─ Configuration
//! ```
//! A file with any problem gives no configuration at all. Whether columns exist is not its business.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::excerpt;
use super::read::{Digesting, Disk, Files, OneText};
use super::tree::{Problems, Table};
use super::{Configuration, Errors, Problem, RunSettings, Secrets, Source};

mod agreement;
mod attribute;
mod baseline;
mod controls;
mod crosswalk;
mod database;
mod flags;
mod gather;
mod location;
mod ownership;
mod parity;
mod pii;
mod predicates;
mod recheck;
mod sign;
mod source;
mod tell;

pub use flags::{DiffRequest, for_diff};

/// Reads and checks a configuration file and all that it includes.
///
/// # Errors
/// Every problem that was found.
pub fn load(file: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Configuration, Errors> {
    let disk = Digesting::new(&Files);
    let mut configuration = check(file, environment, &disk)?;
    let secrets = configuration.contracts.first().map(|contract| contract.secrets.clone()).unwrap_or_default();
    configuration.files = disk.files(file.parent().unwrap_or_else(|| Path::new("")), &secrets);
    Ok(configuration)
}

/// Checks a text as if it were a file with nothing around it: no environment, no includes, no other files.
///
/// # Errors
/// Every problem that was found.
pub fn parse_text(text: &str) -> Result<(), Errors> {
    let file = Path::new("reconcile.toml");
    check(file, &|_| None, &OneText(file, text)).map(drop)
}

/// Checks a text as if it were the file that is named: paths start from that file's folder, and nothing is read.
///
/// # Errors
/// Every problem that was found.
pub fn load_text(file: &Path, text: &str) -> Result<Configuration, Errors> {
    check(file, &|_| None, &OneText(file, text))
}

pub(super) fn check(
    file: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    disk: &dyn Disk,
) -> Result<Configuration, Errors> {
    let (mut problems, mut warnings) = (Problems::default(), Problems::default());
    let read = RefCell::new(Vec::new());
    let remembering = |name: &str| {
        let value = environment(name);
        read.borrow_mut().extend(value.iter().map(|value| (name.to_owned(), value.clone())));
        value
    };
    let gathered = gather::gather(file, &remembering, disk, &mut problems, &mut warnings);
    let secrets = Secrets::new(read.take());
    let empty = Table::default();
    let defaults = gathered.main.table("defaults").unwrap_or(&empty);
    let sources = check_sources(&gathered, defaults, &mut problems, &mut warnings);
    let mut contracts = Vec::new();
    let merged = gather::merge(&gathered.contracts, defaults, &mut problems);
    for (entry, table) in gathered.contracts.iter().zip(&merged) {
        // One that extends what cannot be resolved was complained about, and is not complete.
        let Some(table) = table else { continue };
        let setting = agreement::Setting { sources: &sources, declared: &gathered.sources, disk };
        let made = agreement::check_contract(entry, table, &setting, &mut problems, &mut warnings);
        contracts.extend(made.map(|mut draft| {
            draft.contract.secrets = secrets.clone();
            Arc::new(draft.seal())
        }));
    }
    if gathered.contracts.is_empty() && gathered.complete {
        problems.push(Problem {
            file: Some(file.to_path_buf()),
            message: "there is no contract, expected at least one".to_owned(),
            hint: Some(
                "write [contract.NAME] as docs/contract.md says; the shipped reconcile.toml is an example".to_owned(),
            ),
            ..Problem::default()
        });
    }
    say_unused(&gathered, &merged, &mut warnings);
    let run = check_run(file, gathered.main.table("run").unwrap_or(&empty), &mut problems, &mut warnings);
    if !problems.is_empty() {
        return Err(Errors(told(problems, &gathered, &secrets)));
    }
    let warnings = told(warnings, &gathered, &secrets);
    Ok(Configuration { file: file.to_path_buf(), run, sources, contracts, warnings, files: Vec::new(), secrets })
}

/// Complaints in their order, each with its line. They name variables already; the rest is for what another file's text or a
/// path repeats.
fn told(problems: Problems, gathered: &gather::Gathered, secrets: &Secrets) -> Vec<Problem> {
    let mut problems = problems.sorted(&gathered.files);
    excerpt::give(&mut problems, &gathered.texts, secrets);
    for problem in &mut problems {
        for text in [Some(&mut problem.message), problem.about.as_mut(), problem.hint.as_mut()].into_iter().flatten() {
            secrets.redact_in(text);
        }
    }
    problems
}

fn check_sources(
    gathered: &gather::Gathered,
    defaults: &Table,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> BTreeMap<String, Arc<Source>> {
    let zone = defaults.node("timezone").and_then(|node| super::values::zone(node).ok());
    let made = gathered.sources.iter().filter_map(|entry| {
        let mut source = source::check_source(entry, zone.as_ref(), problems, warnings)?;
        source.timezone = source.timezone.or_else(|| zone.clone());
        Some((source.name.clone(), Arc::new(source)))
    });
    made.collect()
}

/// `[run]`.
fn check_run(file: &Path, table: &Table, problems: &mut Problems, warnings: &mut Problems) -> RunSettings {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let path = |key| {
        let node: &super::tree::Node = table.node(key)?;
        Some(super::values::resolved(node, &node.text()?.text))
    };
    RunSettings {
        reports: path("reports").unwrap_or_else(|| folder.join("reports")),
        cache: path("cache"),
        memory_limit: table.node("memory_limit").and_then(|node| super::values::size(node).ok()),
        threads: table
            .node("threads")
            .and_then(|node| super::values::count(node, 256).ok())
            .and_then(|threads| usize::try_from(threads).ok())
            .unwrap_or(0),
        pii_key: table.node("pii_key").and_then(|node| pii::check_key(node, problems, warnings)),
        sign: table.table("sign").and_then(|table| sign::check_sign(table, warnings)),
        tell: tell::tell(table, problems, warnings),
    }
}

/// A source that no contract names is legal, but often a slip.
fn say_unused(gathered: &gather::Gathered, merged: &[Option<Table>], warnings: &mut Problems) {
    let mut used = BTreeSet::new();
    for table in merged.iter().flatten() {
        used.extend(
            ["authority", "projection", "baseline"].into_iter().filter_map(|role| Some(&table.text(role)?.text)),
        );
        let attributes = table.table("attribute").into_iter().flat_map(|attributes| &attributes.0);
        used.extend(attributes.flat_map(|entry| ownership::sources_named(&entry.node)));
        used.extend(table.table("crosswalk").and_then(|crosswalk| Some(&crosswalk.text("source")?.text)));
    }
    for entry in gathered.sources.iter().filter(|entry| !used.contains(&entry.key)) {
        let about = format!("source \"{}\"", entry.key);
        warnings.add(&entry.at, Some(&about), "no contract uses it", None);
    }
}

#[cfg(test)]
mod tests;
