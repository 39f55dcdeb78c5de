//! `openlineage.ndjson`: the run as OpenLineage events (specification 2-0-2), two a contract: what was read with which
//! columns, and what the comparison says of its quality. It holds no value of any row, and so no text of an error.

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::json::matched;
use crate::audit::{Audit, ContractAudit, InputFacts, Measured, Verdict};
use crate::contract::Kind;
use crate::sides::Side;

const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const PRODUCER: &str = concat!("urn:reconcile:", env!("CARGO_PKG_VERSION"));
/// The namespace of jobs where nothing else is said.
pub const NAMESPACE: &str = "reconcile";

/// Writes the events, one a line.
///
/// # Errors
/// What kept them from being written.
pub fn render(audit: &Audit, measured: &Measured, out: &mut dyn Write) -> io::Result<()> {
    events(audit, measured, NAMESPACE).iter().try_for_each(|event| writeln!(out, "{event}"))
}

/// For each contract its `START`, and `COMPLETE` where it was compared to the end, else `FAIL` (or `ABORT`, where a signal
/// stopped it).
#[must_use]
pub fn events(audit: &Audit, measured: &Measured, namespace: &str) -> Vec<Value> {
    audit.contracts.iter().flat_map(|contract| of_contract(audit, contract, measured, namespace)).collect()
}

fn of_contract(audit: &Audit, contract: &ContractAudit, measured: &Measured, namespace: &str) -> [Value; 2] {
    let timing = measured.timing(&contract.name);
    let began = timing.map_or(audit.started_at, |timing| timing.began);
    let took = timing.map_or(Duration::from_millis(audit.elapsed_ms), |timing| timing.took);
    let ended = began.checked_add(took).unwrap_or(began);
    let ending = match contract.verdict {
        Verdict::Agreed | Verdict::Drifted => "COMPLETE",
        Verdict::Unverified if audit.interrupted.is_some() => "ABORT",
        Verdict::Unverified => "FAIL",
    };
    let run_id = uuid(began, &[&audit.run_id, &contract.name]);
    let parent = json!({
        "run": {"runId": uuid(audit.started_at, &[&audit.run_id])},
        "job": {"namespace": namespace, "name": format!("reconcile.{}", audit.command)},
    });
    let event = |kind: &str, at: Timestamp, found: bool| {
        let mut facets = Map::new();
        insert(&mut facets, "parent", "1-1-0/ParentRunFacet.json", parent.clone());
        let engine = json!({"name": "reconcile", "version": env!("CARGO_PKG_VERSION")});
        insert(&mut facets, "processing_engine", "1-1-1/ProcessingEngineRunFacet.json", engine);
        if audit.narrowed().is_some() {
            facets.insert("reconcile_scope".to_owned(), scope(contract, found));
        }
        if found && contract.error.is_some() {
            // What a source or a predicate said may quote a row, so it stays in the run's own files.
            let message = format!("{}; run {} says what kept it", contract.because, audit.run_id);
            let error = json!({"message": message, "programmingLanguage": "Rust"});
            insert(&mut facets, "errorMessage", "1-0-1/ErrorMessageRunFacet.json", error);
        }
        json!({
            "eventType": kind,
            "eventTime": at.to_string(),
            "producer": PRODUCER,
            "schemaURL": SCHEMA,
            "run": {"runId": run_id, "facets": facets},
            "job": job(contract, namespace),
            "inputs": inputs(contract, (found, audit.narrowed().is_some())),
            "outputs": [],
        })
    };
    [event("START", began, false), event(ending, ended, true)]
}

/// A facet of our own: a predicate narrowed the run, and what it left out. The predicate's text may hold a value.
fn scope(contract: &ContractAudit, found: bool) -> Value {
    let mut scope = json!({
        "_producer": PRODUCER,
        "_schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet",
        "narrowed": true,
    });
    if found {
        let rows = contract.books.as_ref().map(|_, books| books.out_of_scope);
        scope["rowsOutOfScope"] = json!({"authority": rows.authority, "projection": rows.projection});
    }
    scope
}

fn job(contract: &ContractAudit, namespace: &str) -> Value {
    let mut facets = Map::new();
    let kind = json!({"processingType": "BATCH", "integration": "RECONCILE", "jobType": "CONTRACT"});
    insert(&mut facets, "jobType", "2-0-3/JobTypeJobFacet.json", kind);
    let source = json!({
        "language": "reconcile.toml",
        "sourceCode": format!(
            "contract {} {}, BLAKE3 of its meaning {}",
            contract.name,
            contract.version,
            super::json::hex(&contract.contract_digest)
        ),
    });
    insert(&mut facets, "sourceCode", "1-0-1/SourceCodeJobFacet.json", source);
    if let Some(description) = &contract.description {
        insert(&mut facets, "documentation", "1-1-0/DocumentationJobFacet.json", json!({"description": description}));
    }
    if let Some(team) = &contract.team {
        let owners = json!({"owners": [{"name": format!("team:{team}"), "type": "MAINTAINER"}]});
        insert(&mut facets, "ownership", "1-0-1/OwnershipJobFacet.json", owners);
    }
    json!({"namespace": namespace, "name": contract.name, "facets": facets})
}

/// The authority's sources, then the projection, then the old copy.
fn inputs(contract: &ContractAudit, (found, narrowed): (bool, bool)) -> Vec<Value> {
    let sides = &contract.inputs;
    let mut inputs = vec![dataset(&sides.authority, quality(contract, Side::Authority, (found, narrowed)))];
    for owner in &contract.owners {
        let rows = metrics(&owner.input, owner.books.read);
        inputs.push(dataset(&owner.input, if found { vec![rows] } else { Vec::new() }));
    }
    inputs.push(dataset(&sides.projection, quality(contract, Side::Projection, (found, narrowed))));
    inputs.extend(contract.baseline.iter().map(|baseline| dataset(&baseline.input, Vec::new())));
    inputs
}

type Facet = (&'static str, &'static str, Value);

fn quality(contract: &ContractAudit, side: Side, (found, narrowed): (bool, bool)) -> Vec<Facet> {
    if !found {
        return Vec::new();
    }
    let mut facets = vec![metrics(contract.inputs.get(side), contract.books.get(side).read)];
    // What could not be compared was not tested.
    if side == Side::Projection && contract.verdict != Verdict::Unverified {
        let file = "1-0-1/DataQualityAssertionsDatasetFacet.json";
        facets.push(("dataQualityAssertions", file, json!({"assertions": assertions(contract, narrowed)})));
    }
    facets
}

fn metrics(input: &InputFacts, rows: u64) -> Facet {
    let mut metrics = json!({"rowCount": rows, "columnMetrics": {}});
    if !input.files.is_empty() {
        metrics["fileCount"] = json!(input.files.len());
        metrics["bytes"] = json!(input.files.iter().map(|file| file.bytes).sum::<u64>());
    }
    ("dataQualityMetrics", "1-0-2/DataQualityMetricsInputDatasetFacet.json", metrics)
}

/// What was tested of the projection: the contract as a whole, each kind, each attribute, control totals, invariants.
fn assertions(contract: &ContractAudit, narrowed: bool) -> Vec<Value> {
    let whole = if narrowed { "agrees with its authority where --where holds" } else { "agrees with its authority" };
    let mut tested = vec![json!({"assertion": whole, "success": contract.verdict == Verdict::Agreed})];
    let pairs = matched(&contract.books);
    for kind in Kind::ALL {
        let keys = contract.keys.get(&kind).copied().unwrap_or(0);
        tested.push(
            json!({"assertion": format!("no {}", kind.name()), "success": keys == 0, "actual": keys.to_string()}),
        );
    }
    for (attribute, mismatches) in &contract.attributes {
        tested.push(json!({
            "assertion": "equals its authority",
            "success": *mismatches == 0,
            "column": attribute,
            "actual": format!("{mismatches} of {pairs} differ"),
        }));
    }
    for total in contract.figures.totals.iter().filter(|total| total.not_computed.is_none()) {
        let (name, unbalanced) = (&total.name, total.unbalanced);
        tested.push(json!({
            "assertion": format!("control total balances: {name}"),
            "success": unbalanced == 0,
            "actual": unbalanced.to_string(),
        }));
    }
    for invariant in contract.figures.invariants.iter().filter(|invariant| invariant.side == Side::Projection) {
        let (name, rows) = (&invariant.name, invariant.rows);
        tested.push(
            json!({"assertion": format!("invariant holds: {name}"), "success": rows == 0, "actual": rows.to_string()}),
        );
    }
    tested
}

fn dataset(input: &InputFacts, quality: Vec<Facet>) -> Value {
    let (namespace, name) = named(&input.location);
    let mut facets = Map::new();
    let source =
        json!({"name": input.source, "uri": format!("{namespace}{}", if namespace == "file" { ":" } else { "" })});
    insert(&mut facets, "dataSource", "1-0-1/DatasourceDatasetFacet.json", source);
    if !input.columns.is_empty() {
        let fields = input.columns.iter().map(|column| json!({"name": column.name, "type": column.data_type}));
        let fields = json!({"fields": fields.collect::<Vec<_>>()});
        insert(&mut facets, "schema", "1-2-0/SchemaDatasetFacet.json", fields);
    }
    if !input.table_digest.is_empty() {
        let version = json!({"datasetVersion": input.table_digest});
        insert(&mut facets, "version", "1-0-1/DatasetVersionDatasetFacet.json", version);
    }
    let mut dataset = json!({"namespace": namespace, "name": name, "facets": facets});
    if !quality.is_empty() {
        let mut facets = Map::new();
        for (name, file, body) in quality {
            insert(&mut facets, name, file, body);
        }
        dataset["inputFacets"] = Value::Object(facets);
    }
    dataset
}

/// Namespace and name of a location by the conventions of the specification: `scheme://authority` and what follows, `file`
/// and the path where there is no scheme.
fn named(location: &str) -> (String, String) {
    let Some((scheme, rest)) = location.split_once("://") else { return ("file".to_owned(), location.to_owned()) };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let name = path.replace('#', ".");
    let name = if name.is_empty() { authority.to_owned() } else { name };
    (format!("{scheme}://{authority}"), name)
}

/// A facet with who made it and by which schema.
fn insert(facets: &mut Map<String, Value>, name: &str, file: &str, mut body: Value) {
    let (_, facet) = file.split_once('/').unwrap_or(("", file));
    let definition = facet.trim_end_matches(".json");
    body["_producer"] = json!(PRODUCER);
    body["_schemaURL"] = json!(format!("https://openlineage.io/spec/facets/{file}#/$defs/{definition}"));
    facets.insert(name.to_owned(), body);
}

/// A UUID of version 7: the instant's milliseconds, then bits that depend only on the parts.
fn uuid(at: Timestamp, parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes[..6].copy_from_slice(&at.as_millisecond().to_be_bytes()[2..]);
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn each_contract_starts_and_ends_once_as_one_run() {
        let audit = sample::audit();
        let events = events(&audit, &Measured::default(), NAMESPACE);
        let kinds: Vec<_> = events.iter().map(|event| event["eventType"].as_str().expect("text")).collect();
        assert_eq!(kinds, ["START", "COMPLETE", "START", "COMPLETE", "START", "FAIL"]);
        for pair in events.chunks(2) {
            assert_eq!(pair[0]["run"]["runId"], pair[1]["run"]["runId"]);
            assert_eq!(pair[0]["job"], pair[1]["job"]);
        }
        assert_ne!(events[0]["run"]["runId"], events[2]["run"]["runId"]);
        let failed = &events[5]["run"]["facets"]["errorMessage"];
        assert!(failed["message"].as_str().is_some_and(|message| !message.is_empty()), "{failed}");
        let mut stopped = sample::audit();
        stopped.interrupted = Some(2);
        assert_eq!(super::events(&stopped, &Measured::default(), NAMESPACE)[5]["eventType"], "ABORT");
    }

    #[test]
    fn the_projection_says_what_was_tested_of_it() {
        let events = events(&sample::audit(), &Measured::default(), NAMESPACE);
        let drifted = &events[3]["inputs"];
        let projection = drifted
            .as_array()
            .and_then(|inputs| inputs.iter().find(|input| input["inputFacets"].get("dataQualityAssertions").is_some()))
            .expect("the projection");
        assert_eq!(projection["namespace"], "file");
        let tested = projection["inputFacets"]["dataQualityAssertions"]["assertions"].as_array().expect("a list");
        assert_eq!(tested[0]["success"], false);
        assert!(tested.iter().any(|test| test["column"] == "premium" && test["success"] == false), "{tested:?}");
        assert!(!events[5].to_string().contains("dataQualityAssertions"), "what was not compared was not tested");
    }

    #[test]
    fn a_run_that_a_predicate_narrowed_says_so_and_not_the_predicate() {
        let mut audit = sample::audit();
        audit.settings.insert("where".to_owned(), "holder = 'Anna'".to_owned());
        audit.contracts[0].books.authority.out_of_scope = 7;
        let events = events(&audit, &Measured::default(), NAMESPACE);
        let scope = &events[1]["run"]["facets"]["reconcile_scope"];
        assert_eq!((&scope["narrowed"], &scope["rowsOutOfScope"]["authority"]), (&json!(true), &json!(7)));
        let text = Value::from(events).to_string();
        assert!(text.contains("agrees with its authority where --where holds") && !text.contains("Anna"), "{text}");
    }

    #[test]
    fn locations_are_named_by_the_conventions() {
        let cases = [
            ("data/a/*.parquet", ("file", "data/a/*.parquet")),
            ("postgres://db:5432/shop#public.orders", ("postgres://db:5432", "shop.public.orders")),
            ("s3://bucket/a/b.parquet", ("s3://bucket", "a/b.parquet")),
            ("kafka://broker", ("kafka://broker", "broker")),
        ];
        for (location, (namespace, name)) in cases {
            assert_eq!(named(location), (namespace.to_owned(), name.to_owned()), "{location}");
        }
    }

    #[test]
    fn a_run_id_is_a_uuid_of_version_7() {
        let at: Timestamp = "2026-03-01T02:00:00.123Z".parse().expect("an instant");
        let one = uuid(at, &["a", "bc"]);
        assert_eq!((&one[14..15], one.len()), ("7", 36));
        assert!("89ab".contains(&one[19..20]), "{one}");
        assert_eq!(&one[..13], "019ca71f-b97b", "the milliseconds come first");
        assert_eq!(one, uuid(at, &["a", "bc"]));
        assert_ne!(one, uuid(at, &["ab", "c"]));
    }
}
