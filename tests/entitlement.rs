//! What `check` says of owners that contradict each other or changed, of columns that nobody is entitled to, and the map of
//! contexts that `contracts --map` draws.

use serde_json::Value;

use crate::support::{Workspace, root};

const HEAD: &str = "version = 1\n\
    [source.policies]\ncontext = \"Policy \\\"Admin\\\"\"\nlocation = \"policies.csv\"\n\
    [source.billing]\ncontext = \"Billing\"\nlocation = \"billing.csv\"\n\
    [source.crm]\ncontext = \"CRM\"\nlocation = \"crm.csv\"\n";

fn contract(name: &str, version: &str, authority: &str, rest: &str) -> String {
    format!(
        "[contract.{name}]\nversion = \"{version}\"\nauthority = \"{authority}\"\nprojection = \"crm\"\nkey = [\"id\"]\n\
         compare = \"declared\"\n{rest}\n"
    )
}

/// A workspace with three tables, of which one is a copy of two.
fn estate(contracts: &[String]) -> Workspace {
    let workspace = Workspace::new();
    for name in ["policies", "billing"] {
        workspace.file(&format!("{name}.csv"), "id,premium,balance\n1,10,5\n2,20,6\n");
    }
    workspace.file("crm.csv", "id,premium,balance,segment\n1,10,5,x\n2,20,6,y\n");
    workspace.file("reconcile.toml", &format!("{HEAD}{}", contracts.concat()));
    workspace
}

fn premium(name: &str) -> String {
    format!("[contract.{name}.attribute.premium]\n")
}

#[test]
fn one_column_with_two_owners_is_said_and_one_with_one_is_not() {
    let ours = contract("ours", "1.0.0", "policies", &premium("ours"));
    let theirs = contract(
        "theirs",
        "1.0.0",
        "billing",
        "[contract.theirs.attribute.fee]\ncolumn = \"premium\"\nprojected_as = \"premium\"\n",
    );
    let warning = "contract \"theirs\": attribute \"fee\": its column \"premium\" of the projection belongs to \"billing\" here and \
                   to \"policies\" in contract \"ours\" (attribute \"premium\"); one of the two decides";
    let workspace = estate(&[ours.clone(), theirs]);
    workspace.reconcile(["check"]).expect(0, &[warning]);
    let outcome = workspace.reconcile(["check", "--format", "json"]);
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let said: Vec<&str> =
        document["warnings"].as_array().unwrap().iter().map(|warning| warning["message"].as_str().unwrap()).collect();
    assert!(said.iter().any(|said| warning.ends_with(said)), "{said:?}");

    let others = contract("others", "1.0.0", "billing", "[contract.others.attribute.balance]\n");
    let outcome = estate(&[ours, others]).reconcile(["check", "--sources"]);
    outcome.expect(0, &["no contract entitles"]);
    assert!(!outcome.stderr.contains("one of the two decides"), "{}", outcome.shown());
}

#[test]
fn undeclared_columns_are_known_once_the_sources_are_opened() {
    let all = contract("all", "1.0.0", "policies", "").replace("compare = \"declared\"\n", "");
    let theirs = contract("theirs", "1.0.0", "billing", &premium("theirs"));
    let workspace = estate(&[all, theirs]);
    let outcome = workspace.reconcile(["check"]);
    assert!(!outcome.expect(0, &[]).stderr.contains("belongs to"), "{}", outcome.shown());
    let outcome = workspace.reconcile(["check", "--sources"]);
    outcome.expect(0, &["attribute \"premium\": its column \"premium\" of the projection belongs to \"billing\" here"]);
    assert!(!outcome.stderr.contains("entitles"), "a contract compares every column\n{}", outcome.shown());
}

#[test]
fn two_parts_of_one_projection_may_have_two_owners() {
    let ours = contract("ours", "1.0.0", "policies", &premium("ours"));
    let theirs = contract("theirs", "1.0.0", "billing", &premium("theirs")).replace("\"crm\"", "\"crm_two\"");
    let workspace = estate(&[ours, theirs]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let with_filters = |one: &str, two: &str| {
        text.replace(
            "location = \"crm.csv\"\n",
            &format!("location = \"crm.csv\"\nfilter = \"{one}\"\n[source.crm_two]\nlocation = \"crm.csv\"\n{two}"),
        )
    };
    workspace.file("reconcile.toml", &with_filters("segment = 'x'", "filter = \"segment = 'y'\"\n"));
    let outcome = workspace.reconcile(["check"]);
    assert!(!outcome.expect(0, &[]).stderr.contains("belongs to"), "{}", outcome.shown());
    workspace.file("reconcile.toml", &with_filters("segment = 'x'", ""));
    workspace.reconcile(["check"]).expect(0, &["belongs to \"billing\" here and to \"policies\""]);
}

#[test]
fn columns_that_no_contract_entitles_are_named_unless_they_are_ignored() {
    let ours = contract("ours", "1.0.0", "policies", &premium("ours"));
    let workspace = estate(&[ours]);
    let outcome = workspace.reconcile(["check", "--sources"]);
    outcome.expect(0, &["source \"crm\" holds columns \"balance\", \"segment\" that no contract entitles it to"]);
    let outcome = workspace.reconcile(["check"]);
    assert!(!outcome.expect(0, &[]).stderr.contains("entitles"), "{}", outcome.shown());

    let rest = format!("ignore = [\"projection:seg*\"]\n{}", premium("ours"));
    let workspace = estate(&[contract("ours", "1.0.0", "policies", &rest)]);
    workspace
        .reconcile(["check", "--sources"])
        .expect(0, &["holds column \"balance\" that no contract entitles it to"]);
}

#[test]
fn an_owner_that_changed_since_the_last_run_is_said() {
    let workspace = estate(&[contract("ours", "1.0.0", "policies", &premium("ours"))]);
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    let quiet = workspace.reconcile(["check"]);
    assert!(!quiet.expect(0, &[]).stderr.contains("now"), "{}", quiet.shown());
    let run = workspace.run().file_name().unwrap().to_string_lossy().into_owned();

    let changed = |version: &str| format!("{HEAD}{}", contract("ours", version, "billing", &premium("ours")));
    workspace.file("reconcile.toml", &changed("1.1.0"));
    let said = format!(
        "contract \"ours\": attribute \"premium\" belongs to \"billing\" now, and to \"policies\" in run {run} (version 1.0.0)"
    );
    workspace.reconcile(["check"]).expect(0, &[&said, "the version's first number must grow"]);
    workspace.file("reconcile.toml", &changed("2.0.0"));
    let outcome = workspace.reconcile(["check"]);
    assert!(!outcome.expect(0, &[&said]).stderr.contains("must grow"), "{}", outcome.shown());
    // A report of the run made again is the same, so the owners came through the manifest.
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    let outcome = workspace.reconcile(["check"]);
    assert!(!outcome.expect(0, &[]).stderr.contains("now, and to"), "{}", outcome.shown());
}

#[test]
fn a_decision_right_that_moved_at_its_instant_belongs_to_whom_it_belongs_now() {
    // It moved long ago, and will move again in a distant year.
    let owners = "owner = [\n  { source = \"policies\", until = \"2001-01-01T00:00:00Z\" },\n  { source = \"billing\", from = \
                  \"2001-01-01T00:00:00Z\", until = \"2999-01-01T00:00:00Z\" },\n  { source = \"policies\", from = \
                  \"2999-01-01T00:00:00Z\" },\n]\n";
    let moving = |version: &str, owners: &str| {
        format!("{HEAD}{}", contract("ours", version, "policies", &format!("{}{owners}", premium("ours"))))
    };
    let workspace = estate(&[]);
    workspace.file("reconcile.toml", &moving("1.0.0", "owner = \"policies\"\n"));
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    workspace.reconcile(["contracts"]).expect(0, &["policies"]);
    workspace.file("reconcile.toml", &moving("1.0.0", owners));
    // The decision right has passed since the last run, and the contract says so itself.
    let outcome = workspace.reconcile(["check"]);
    outcome.expect(0, &["\"premium\" belongs to \"billing\" now, and to \"policies\"", "as the contract says"]);
    assert!(!outcome.stderr.contains("must grow"), "{}", outcome.shown());
    // Everything that tells owners tells those of today.
    let listed = workspace.reconcile(["contracts", "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.expect(0, &[]).stdout).unwrap();
    assert_eq!(listed["contracts"][0]["owners"], serde_json::json!(["policies", "billing"]));
    workspace.reconcile(["contracts"]).expect(0, &["policies, billing"]);
    let map = workspace.reconcile(["contracts", "--map", "--format", "json"]);
    let map: Value = serde_json::from_str(&map.expect(0, &[]).stdout).unwrap();
    let flow = map["flows"].as_array().unwrap().iter().find(|flow| flow["owner"] == "billing").unwrap();
    assert_eq!(flow["attributes"], serde_json::json!(["premium"]));
    // And after a run by the new owner nothing has changed.
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    let outcome = workspace.reconcile(["check"]);
    assert!(!outcome.expect(0, &[]).stderr.contains("now, and to"), "{}", outcome.shown());
}

#[test]
fn the_root_file_s_map_shows_every_context_and_flow() {
    let workspace = Workspace::new();
    let config = root().join("reconcile.toml");
    let config = config.to_str().unwrap();
    let mermaid = workspace.reconcile(["--config", config, "contracts", "--map"]);
    mermaid.expect(
        0,
        &["flowchart LR", "[\"Policy Administration\"]", "[\"Billing\"]", "claims-coverage 2.0.0<br>team claims"],
    );
    let dot = workspace.reconcile(["--config", config, "contracts", "--map=dot"]);
    dot.expect(0, &["digraph contracts {", "label=\"Customer Relations\";", "claims-coverage 2.0.0\\nteam claims"]);
    workspace
        .reconcile(["--config", config, "contracts", "--map", "--format", "markdown"])
        .expect(0, &["```mermaid\nflowchart LR"]);
    let data = workspace.reconcile(["--config", config, "contracts", "--map", "--format", "json"]);
    let data: Value = serde_json::from_str(&data.expect(0, &[]).stdout).unwrap();
    let flows = data["flows"].as_array().unwrap();
    assert!(
        flows.iter().any(|flow| flow["owner"] == "live_policies"
            && flow["projection"] == "claims"
            && flow["contract"] == "claims-coverage"),
        "{data:#}"
    );
    assert!(data["contexts"].as_array().unwrap().len() >= 5, "{data:#}");
    workspace.reconcile(["contracts", "--map=png"]).expect(2, &["mermaid", "dot"]);
}
