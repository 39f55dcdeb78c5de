//! Every command's documents against their schemas, and the schemas against what they promised before.

use std::collections::BTreeSet;
use std::fs;

use clap::CommandFactory as _;
use serde_json::Value;

use super::{faults, json, lines, published, schema};
use crate::support::{Outcome, Workspace, root};

/// What each command writes for programs; those without a schema write for people, or something that is no JSON.
const COMMANDS: [(&str, &[&str]); 22] = [
    ("run", &["summary", "divergence-line"]),
    ("diff", &["summary", "divergence-line"]),
    ("check", &["check"]),
    ("contracts", &["contracts", "context-map"]),
    ("explain", &["explain", "explain-key"]),
    ("report", &["summary"]),
    ("browse", &[]),
    ("audit verify", &["audit-verify", "audit-proof"]),
    ("audit prove", &["proof"]),
    ("audit export", &["audit-export"]),
    ("audit reproduce", &["audit-reproduce"]),
    ("audit prune", &["audit-prune"]),
    // A schema itself.
    ("schema", &[]),
    ("completions", &[]),
    ("man", &[]),
    ("init", &["init"]),
    ("parity", &["parity"]),
    ("plan", &["plan", "plan-action", "replay-line"]),
    ("apply", &["apply", "apply-line"]),
    // CSV.
    ("review export", &[]),
    ("review import", &["review-import"]),
    ("history", &["history"]),
];
/// What is written elsewhere than on stdout, and held to its schema by other tests too.
const FILES: [&str; 7] = ["manifest", "ledger-line", "decision-line", "receipt-line", "resume", "notice", "failure"];

fn leaves(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
    let subcommands: Vec<_> = command.get_subcommands().filter(|one| one.get_name() != "help").collect();
    for one in subcommands {
        let name = format!("{above}{}", one.get_name());
        if one.get_subcommands().next().is_none() {
            found.insert(name);
        } else {
            leaves(one, &format!("{name} "), found);
        }
    }
}

#[test]
fn every_command_says_which_schema_its_documents_have() {
    let mut commands = BTreeSet::new();
    leaves(&reconcile::cli::Arguments::command(), "", &mut commands);
    let known: BTreeSet<String> = COMMANDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(commands, known, "a command is not in this test: give its documents a schema in docs/schemas");
    let named: BTreeSet<&str> = COMMANDS.iter().flat_map(|(_, schemas)| *schemas).chain(&FILES).copied().collect();
    let published = published();
    assert_eq!(published.iter().map(String::as_str).collect::<BTreeSet<_>>(), named);
}

/// An authority, a copy in SQLite with one of each kind that can be repaired, and an owner that sends one kind again.
fn shop() -> Workspace {
    let workspace = Workspace::new();
    // A key of more digits than a number of JSON usually keeps.
    workspace.file(
        "orders.csv",
        "id,customer,total\n1,Anna,10.00\n2,Bert,20.50\n3,Cleo,30.00\n90071992547409931,Dora,1.25\n",
    );
    let database = rusqlite::Connection::open(workspace.path().join("shop.db")).unwrap();
    let rows = "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total TEXT);
        INSERT INTO orders VALUES (1, 'Anna', '10.00'), (2, 'Bela', '20.50'), (90071992547409931, 'Dora', '1.20'), (9, 'Old', '9');";
    database.execute_batch(rows).unwrap();
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.shop]\ncontext = \"Shop\"\nlocation = \"orders.csv\"\n[source.copy]\nlocation = \"sqlite:shop.db\"\n\
         table = \"orders\"\n[contract.orders]\nversion = \"1.0.0\"\nteam = \"shop\"\ncadence = \"24h\"\nauthority = \"shop\"\n\
         projection = \"copy\"\nkey = [\"id\"]\n[contract.orders.attribute.id]\ntype = \"int64\"\n\
         [contract.orders.repair]\nmissing = \"replay\"\nmismatch = \"auto\"\norphan = \"review\"\n\
         [contract.orders.parity]\nconsecutive_runs = 1\n",
    );
    workspace
}

/// Holds documents to schemas, and keeps which it met.
struct Held<'a> {
    workspace: &'a Workspace,
    met: BTreeSet<&'static str>,
}

impl Held<'_> {
    #[track_caller]
    fn holds(&mut self, schema: &'static str, document: &Value) {
        assert_eq!(faults(schema, schema, document), "", "{document:#}");
        self.met.insert(schema);
    }

    #[track_caller]
    fn call(&self, status: i32, arguments: &[&str]) -> Outcome {
        let outcome = self.workspace.reconcile(arguments);
        outcome.expect(status, &[]);
        outcome
    }

    /// The document that a command prints under `--format json`.
    #[track_caller]
    fn document(&mut self, schema: &'static str, status: i32, arguments: &[&str]) -> Value {
        let document = json(&self.call(status, &[arguments, &["--format", "json"]].concat()));
        self.holds(schema, &document);
        document
    }

    /// The lines that it prints under `--format ndjson`.
    #[track_caller]
    fn lines(&self, status: i32, arguments: &[&str]) -> Vec<Value> {
        let outcome = self.call(status, &[arguments, &["--format", "ndjson"]].concat());
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Each of these lines is a member of the document.
    #[track_caller]
    fn same(&self, document: &Value, member: &str, arguments: &[&str]) {
        assert_eq!(Value::from(self.lines(0, arguments)), document[member], "{arguments:?}");
    }
}

#[test]
fn every_document_of_every_command_is_what_its_schema_says() {
    let workspace = shop();
    let mut held = Held { workspace: &workspace, met: BTreeSet::new() };
    held.document("check", 0, &["check", "--sources"]);
    held.document("summary", 1, &["run"]);
    of_contracts(&mut held);
    of_plans(&mut held);
    of_audits(&mut held);
    held.document("failure", 2, &["plan", "latest", "--kind", "weather"]);
    held.document("init", 0, &["init", "orders.csv", "sqlite:shop.db#orders", "--out", "new.toml"]);
    let summary = held.document("summary", 1, &["diff", "orders.csv", "sqlite:shop.db#orders", "--key", "id"]);
    assert_eq!(summary["contracts"][0]["name"], "diff");

    let met: BTreeSet<&str> = held.met.iter().copied().chain(["notice", "resume"]).collect();
    let published = published();
    let all: BTreeSet<&str> = published.iter().map(String::as_str).collect();
    assert_eq!(met, all, "`notice` is held to its schema where one is sent, `resume` where a run can be gone on from");
}

fn of_contracts(held: &mut Held<'_>) {
    let contracts = held.document("contracts", 0, &["contracts"]);
    held.same(&contracts, "contracts", &["contracts"]);
    held.document("context-map", 0, &["contracts", "--map"]);
    let explained = held.document("explain", 0, &["explain"]);
    held.same(&explained, "explanations", &["explain"]);
    for key in ["2", "3"] {
        let known = held.document("explain-key", 0, &["explain", "latest", key]);
        let contract = &known["contracts"][0];
        let length = |member: &str| contract[member].as_array().unwrap().len();
        assert_eq!((length("divergences"), length("actions")), (1, 1), "{known:#}");
    }
    let history = held.document("history", 0, &["history"]);
    held.same(&history, "contracts", &["history"]);
    held.document("parity", 1, &["parity", "orders"]);
}

fn of_plans(held: &mut Held<'_>) {
    let plan = held.document("plan", 0, &["plan", "latest"]);
    held.same(&plan, "actions", &["plan", "latest"]);
    for line in lines(&held.workspace.run().join("plan.ndjson")) {
        held.holds("plan-action", &line);
    }
    let replay = held.call(0, &["plan", "latest", "--replay"]);
    held.holds("replay-line", &serde_json::from_str(replay.stdout.trim()).unwrap());

    for execute in [&[][..], &["--execute"]] {
        let printed = held.lines(1, &[&["apply", "latest", "--max-actions", "1"], execute].concat());
        printed.iter().for_each(|line| held.holds("apply-line", line));
        let (last, actions) = printed.split_last().unwrap();
        assert_eq!((last["record"].as_str(), actions.len()), (Some("summary"), 1), "{printed:?}");
        let said = last["said"].to_string();
        assert!(said.contains("1 more action of the plan was left") && said.contains("wait"), "{said}");
    }
    let applied = held.call(1, &["apply", "latest", "--execute", "--include-review", "--format", "json"]);
    let document = json(&applied);
    held.holds("apply", &document);
    assert_eq!(document["executed"], true);
    assert!(applied.stdout.contains("\"id\":90071992547409931"), "no digit of a key is lost: {}", applied.stdout);
    held.document("apply", 0, &["apply", "--rollback", "latest"]);
    let receipts = fs::read_dir(held.workspace.path().join("reports/applied")).unwrap();
    let receipts =
        receipts.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|one| one == "ndjson"));
    let mut records = BTreeSet::new();
    for line in receipts.flat_map(|path| lines(&path)) {
        held.holds("receipt-line", &line);
        records.insert(line["record"].as_str().unwrap().to_owned());
    }
    let expected = ["apply", "batch", "committed", "compared", "end"].map(str::to_owned);
    assert!(expected.iter().all(|record| records.contains(record)), "{records:?}");
}

fn of_audits(held: &mut Held<'_>) {
    let printed = held.lines(1, &["run", "--no-cache"]);
    let (last, found) = printed.split_last().unwrap();
    held.holds("summary", last);
    found.iter().for_each(|line| held.holds("divergence-line", line));
    assert!(!found.is_empty());

    let exported = held.call(0, &["review", "export"]).stdout;
    let mut reader = csv::Reader::from_reader(exported.as_bytes());
    let head = reader.headers().unwrap().clone();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&head).unwrap();
    for row in reader.records().take(1) {
        let row = row.unwrap();
        let cells = head.iter().zip(&row).map(|(name, cell)| match name {
            "decision" => "fix-elsewhere",
            "who" | "why" => "amy",
            _ => cell,
        });
        writer.write_record(cells).unwrap();
    }
    held.workspace.bytes("decided.csv", &writer.into_inner().unwrap());
    held.document("review-import", 0, &["review", "import", "decided.csv"]);
    for line in lines(&held.workspace.path().join("reports/decisions.ndjson")) {
        held.holds("decision-line", &line);
    }

    held.document("audit-verify", 0, &["audit", "verify"]);
    let newest = held.workspace.runs().into_iter().rfind(|run| run.join("manifest.json").is_file()).unwrap();
    held.holds("manifest", &crate::support::read_json(&newest.join("manifest.json")));
    held.document("summary", 1, &["report", "latest"]);
    for (out, arguments) in [("run.proof", &["latest"][..]), ("line.proof", &["--since", "1"])] {
        held.call(0, &[&["audit", "prove"], arguments, &["--out", out]].concat());
        let proof = crate::support::read_json(&held.workspace.path().join(out));
        held.holds("proof", &proof);
        held.document("audit-proof", 0, &["audit", "verify", "--proof", out]);
    }
    held.document("audit-export", 0, &["audit", "export", "latest"]);
    held.document("audit-reproduce", 0, &["audit", "reproduce", "latest"]);
    held.document("audit-prune", 0, &["audit", "prune", "--keep-runs", "1"]);
    let mut records = BTreeSet::new();
    for line in lines(&held.workspace.path().join("reports/ledger.ndjson")) {
        held.holds("ledger-line", &line);
        records.insert(line["record"].as_str().unwrap().to_owned());
    }
    assert_eq!(records, ["apply", "decisions", "prune", "run"].map(str::to_owned).into());
}

/// What a reader may rely on: a line for each field with what it can be, and for each value that it can have.
fn promises(schema: &Value, path: &str, told: &mut BTreeSet<String>) {
    for (number, one) in
        ["anyOf", "oneOf", "allOf"].iter().filter_map(|word| schema[*word].as_array()).flatten().enumerate()
    {
        let record = &one["properties"]["record"]["const"];
        let name = record.as_str().map_or_else(|| format!("|{}", number + 1), |record| format!("({record})"));
        promises(one, &format!("{path}{name}"), told);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect::<Vec<_>>().join("|"),
        kind => kind.as_str().unwrap_or("any").to_owned(),
    };
    told.insert(format!("{path}: {kind}"));
    for value in schema["enum"].as_array().into_iter().flatten().chain(schema.get("const")) {
        told.insert(format!("{path} = {value}"));
    }
    let required: BTreeSet<&str> =
        schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if required.contains(name.as_str()) {
            told.insert(format!("{path} is always there"));
        }
        promises(member, &path, told);
    }
    if schema["items"].is_object() {
        promises(&schema["items"], &format!("{path}[]"), told);
    }
    if schema["additionalProperties"].is_object() {
        promises(&schema["additionalProperties"], &format!("{path}.*"), told);
    }
}

#[test]
fn a_published_schema_loses_nothing() {
    let path = root().join("tests/schemas/promises.txt");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let mut now = BTreeSet::new();
    for name in published() {
        promises(&schema(&name), &name, &mut now);
    }
    // What was promised stands in the file until somebody takes it out by hand, and raises the format's version.
    let lost: Vec<&str> = before.lines().filter(|line| !now.contains(*line)).collect();
    assert!(lost.is_empty(), "docs/schemas does not promise any more:\n{}", lost.join("\n"));
    let all: String = now.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &all).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == all, "write down what is new: UPDATE_EXPECT=1 cargo test --test reconcile -- formats");
}

#[test]
fn a_loss_is_seen() {
    let mut now = BTreeSet::new();
    let document = serde_json::json!({"type": "object", "required": ["a"], "properties": {
        "a": {"enum": ["x"]}, "b": {"type": "array", "items": {"type": ["integer", "null"]}}}});
    promises(&document, "s", &mut now);
    let expected = ["s.a = \"x\"", "s.a is always there", "s.a: any", "s.b: array", "s.b[]: integer|null", "s: object"];
    assert_eq!(now.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
