//! `reconcile contracts`: what is agreed, who owns it, and how it last went. It compares nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::Failure;
use super::map::ContextMap;
use super::{Contracts, ExitStatus, Format, Global, MapFormat, configuration, table};
use crate::console::Console;
use crate::contract::{Configuration, Contract, Span};
use crate::history::{self, Cadence, Standing, Trail};

const HEADERS: [&str; 7] = ["contract", "projection", "owners", "key", "team", "cadence", "last verdict"];

pub(super) fn run(options: &Contracts, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let configuration = configuration::load(global)?.at(Timestamp::now());
    if let Some(language) = options.map {
        return draw(&configuration, language, global, console);
    }
    let reports = options.reports.reports.as_ref().unwrap_or(&configuration.run.reports);
    let verdicts =
        history::last_verdicts(reports).map_err(|error| Failure::path(reports, "the ledger cannot be read", &error))?;
    let standings = standings(&configuration, reports)?;
    let pairs = configuration.contracts.iter().zip(&standings);
    let lines: Vec<Listed> = pairs
        .map(|(contract, standing)| Listed::new(contract, verdicts.get(&contract.name), standing.overdue))
        .collect();
    let rows: Vec<Vec<String>> = lines.iter().map(Listed::cells).collect();
    let documents: Vec<Value> = lines.iter().map(Listed::document).collect();
    let text = match global.format {
        Format::Text => table::fitted(&HEADERS, &rows, console.width()),
        Format::Markdown => table::markdown(&HEADERS, &rows),
        Format::Json => format!("{:#}\n", json!({"format_version": 1, "contracts": documents})),
        Format::Ndjson => documents.iter().map(|document| format!("{document}\n")).collect(),
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

/// The map of contexts instead of the list.
fn draw(
    configuration: &Configuration,
    language: MapFormat,
    global: &Global,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let map = ContextMap::of(configuration);
    let text = match (global.format, language) {
        (Format::Text, _) => map.text(language),
        (Format::Markdown, MapFormat::Mermaid) => format!("```mermaid\n{}```\n", map.text(language)),
        (Format::Markdown, MapFormat::Dot) => format!("```dot\n{}```\n", map.text(language)),
        (Format::Json, _) => format!("{:#}\n", map.document()),
        (Format::Ndjson, _) => format!("{}\n", map.document()),
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

/// How often a contract must run.
pub(super) fn cadence(contract: &Contract) -> Cadence {
    Cadence { contract: contract.name.clone(), every: contract.cadence.map(|every| (every.0, shown_span(every))) }
}

/// How every contract of the file stands to its cadence now.
pub(super) fn standings(configuration: &Configuration, reports: &Path) -> Result<Vec<Standing>, Failure> {
    let unreadable = |error: io::Error| Failure::path(reports, "the runs cannot be read", &error);
    let trail = Trail::open(reports).map_err(unreadable)?;
    let now = Timestamp::now();
    let standing = |contract: &Arc<Contract>| Standing::of(trail.as_ref(), &cadence(contract), now);
    configuration.contracts.iter().map(standing).collect::<io::Result<_>>().map_err(unreadable)
}

/// One contract with how it last went.
struct Listed<'a> {
    contract: &'a Contract,
    /// Verdict and run.
    last: Option<&'a (String, String)>,
    /// It ought to have run since.
    overdue: bool,
}

impl<'a> Listed<'a> {
    fn new(contract: &'a Contract, last: Option<&'a (String, String)>, overdue: bool) -> Self {
        Self { contract, last, overdue }
    }

    /// Without what came from the environment.
    fn shown(&self, text: &str) -> String {
        self.contract.secrets.redact(text).into_owned()
    }

    fn cells(&self) -> Vec<String> {
        let contract = self.contract;
        let key = if contract.key.is_empty() { "(multiset)".to_owned() } else { self.shown(&contract.key.join(", ")) };
        let mut last =
            self.last.map_or_else(|| "never run".to_owned(), |(verdict, run_id)| format!("{verdict} in {run_id}"));
        if self.overdue {
            last.push_str(", overdue");
        }
        vec![
            contract.name.clone(),
            contract.sources.projection.name.clone(),
            owners(contract).join(", "),
            key,
            contract.team.as_deref().map_or_else(|| "-".to_owned(), |team| self.shown(team)),
            contract.cadence.map_or_else(|| "-".to_owned(), shown_span),
            last,
        ]
    }

    fn document(&self) -> Value {
        let contract = self.contract;
        json!({
            "name": contract.name,
            "version": contract.version.text,
            "description": contract.description.as_deref().map(|text| self.shown(text)),
            "projection": contract.sources.projection.name,
            "owners": owners(contract),
            "key": contract.key.iter().map(|name| self.shown(name)).collect::<Vec<_>>(),
            "team": contract.team.as_deref().map(|text| self.shown(text)),
            "runbook": contract.runbook.as_deref().map(|text| self.shown(text)),
            "tags": contract.tags.iter().map(|tag| self.shown(tag)).collect::<Vec<_>>(),
            "cadence": contract.cadence.map(shown_span),
            "overdue": self.overdue,
            "last_verdict": self.last.map(|(verdict, _)| verdict),
            "last_run": self.last.map(|(_, run_id)| run_id),
        })
    }
}

/// The authority, and the other sources that own attributes now.
fn owners(contract: &Contract) -> Vec<&str> {
    let authority = contract.sources.authority.name.as_str();
    std::iter::once(authority).chain(contract.other_owners().into_keys()).collect()
}

/// A span in the greatest unit that it is a whole number of.
fn shown_span(span: Span) -> String {
    const UNITS: [(&str, i128); 7] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1000),
        ("ns", 1),
    ];
    let (unit, length) = UNITS.iter().find(|(_, length)| span.0 % length == 0).unwrap_or(&("ns", 1));
    format!("{}{unit}", span.0 / length)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::contract::{
        Allow, CapturedAt, Compare, CsvOptions, Location, Options, RepairPolicy, RunSettings, Severity, Source, Tell,
        Version,
    };
    use crate::sides::Sides;

    pub(in crate::cli) fn configuration(contracts: Vec<Contract>) -> Configuration {
        Configuration {
            file: "reconcile.toml".into(),
            run: RunSettings {
                reports: "reports".into(),
                cache: None,
                memory_limit: None,
                threads: 0,
                pii_key: None,
                sign: None,
                tell: Tell::default(),
            },
            sources: BTreeMap::new(),
            contracts: contracts.into_iter().map(Arc::new).collect(),
            warnings: Vec::new(),
            files: Vec::new(),
            secrets: crate::contract::Secrets::default(),
        }
    }

    pub(in crate::cli) fn contract(name: &str) -> Contract {
        let source = |name: &str| {
            Arc::new(Source {
                name: name.to_owned(),
                context: None,
                location: Location::Files { written: format!("{name}.csv"), path: format!("{name}.csv").into() },
                format: None,
                filter: None,
                version_column: None,
                updated_at: None,
                deleted: None,
                captured_at: CapturedAt::SourceTells,
                max_age: None,
                timezone: None,
                csv: CsvOptions::default(),
            })
        };
        Contract {
            name: name.to_owned(),
            version: Version { text: "1.0.0".to_owned(), major: 1 },
            description: None,
            team: None,
            runbook: None,
            tags: Vec::new(),
            cadence: None,
            sources: Sides { authority: source("erp"), projection: source("shop") },
            key: vec!["id".to_owned()],
            null_keys_match: false,
            compare: Compare::All,
            only: Vec::new(),
            ignore: Vec::new(),
            row_filter: None,
            window: None,
            recheck: None,
            fail_on: Severity::Low,
            allow: Allow::default(),
            attributes: Vec::new(),
            attribute_defaults: Options::default(),
            numeric_tolerance: None,
            severity: BTreeMap::new(),
            repair: RepairPolicy::default(),
            crosswalk: None,
            baseline: None,
            parity: None,
            controls: crate::contract::Controls::default(),
            unserved: Vec::new(),
            secrets: crate::contract::Secrets::default(),
            digest: [0; 32],
        }
    }

    #[test]
    fn what_is_overdue_says_so() {
        let contract = Contract { cadence: Some(Span(86_400_000_000_000)), ..contract("orders") };
        let last = ("agreed".to_owned(), "20261121T100000000Z-0000".to_owned());
        for (last, overdue, expected) in [
            (Some(&last), false, "agreed in 20261121T100000000Z-0000"),
            (Some(&last), true, "agreed in 20261121T100000000Z-0000, overdue"),
            (None, true, "never run, overdue"),
        ] {
            assert_eq!(Listed::new(&contract, last, overdue).cells()[6], expected);
        }
    }

    #[test]
    fn a_line_says_who_owns_what() {
        let contract =
            Contract { team: Some("crm".to_owned()), cadence: Some(Span(5_400_000_000_000)), ..contract("orders") };
        let last = ("drifted".to_owned(), "20261121T100000000Z-0000".to_owned());
        assert_eq!(
            Listed::new(&contract, Some(&last), false).cells(),
            ["orders", "shop", "erp", "id", "crm", "90m", "drifted in 20261121T100000000Z-0000"]
        );
        let keyless = Contract { key: Vec::new(), cadence: None, ..contract };
        assert_eq!(
            Listed::new(&keyless, None, false).cells(),
            ["orders", "shop", "erp", "(multiset)", "crm", "-", "never run"]
        );
    }
}
