//! Ownership as users meet it: what other sources hold is read, said, and never mistaken for agreement.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Outcome, Workspace, contract, divergences};

const CONTRACT: &str = r#"
version = 1

[source.shop]
location = "shop.csv"

[source.billing]
location = "billing.csv"
#BILLING

[source.warehouse]
location = "warehouse.csv"

[contract.orders]
version = "1.0.0"
authority = "shop"
projection = "warehouse"
key = ["id"]
#ORDERS

[contract.orders.attribute.balance]
owner = "billing"
type = "decimal"
"#;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("reconcile.toml", CONTRACT);
    workspace.file("shop.csv", "id,status\n1,a\n2,b\n");
    workspace.file("billing.csv", "id,balance\n1,10\n2,20\n");
    workspace.file("warehouse.csv", "id,status,balance\n1,a,10.0\n2,b,20.00\n");
    workspace
}

fn with(workspace: &Workspace, mark: &str, lines: &str) {
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace(mark, lines));
}

fn run(workspace: &Workspace, status: i32, says: &[&str]) -> Outcome {
    let outcome = workspace.reconcile(["run"]);
    outcome.expect(status, says);
    outcome
}

#[test]
fn an_owner_that_changes_is_read_again_though_both_sides_stay_the_same() {
    let workspace = workspace();
    run(&workspace, 0, &["every row agrees", "owner       billing, billing.csv, for balance, 2 rows, 2 joined"]);
    workspace.file("billing.csv", "id,balance\n1,10\n2,21\n");
    run(&workspace, 1, &["balance  \"21\" → \"20.00\""]);
}

#[test]
fn a_row_of_an_owner_that_cannot_be_read_leaves_the_contract_unverified() {
    let workspace = workspace();
    workspace.file("billing.csv", "id,balance\n1,10\n2,20,surplus\n");
    run(&workspace, 2, &["unverified", "source `billing`", "1 row could not be read", "billing.csv"]);
    let run = workspace.run();
    let manifest: Value = crate::support::read_json(&run.join("manifest.json"));
    let books = &contract_of(&manifest)["owners"][0]["books"];
    assert_eq!(
        (books["read"].as_u64(), books["unreadable"].as_u64(), books["joined"].as_u64()),
        (Some(2), Some(1), Some(1))
    );
}

fn contract_of(manifest: &Value) -> &Value {
    &manifest["contracts"][0]
}

#[test]
fn an_owner_that_is_too_old_leaves_the_contract_unverified() {
    let workspace = workspace();
    with(&workspace, "#BILLING", "captured_at = \"2020-01-01T00:00:00Z\"\nmax_age = \"26h\"");
    run(&workspace, 2, &["source `billing` speaks for 2020-01-01T00:00:00Z"]);
}

#[test]
fn an_owner_that_is_not_there_or_lacks_the_key_is_said_with_what_to_do() {
    let workspace = workspace();
    workspace.file("billing.csv", "order_no,balance\n1,10\n2,20\n");
    run(&workspace, 2, &["source `billing`: no column `id`", "columns are: order_no, balance"]);
    workspace
        .reconcile(["check", "--sources"])
        .expect(2, &["source `billing`: no column `id`", "column = { billing = \"…\" }"]);
    std::fs::remove_file(workspace.path().join("billing.csv")).unwrap();
    run(&workspace, 2, &["source `billing`", "billing.csv"]);
}

#[test]
fn a_column_that_its_owner_lacks_is_a_schema_divergence() {
    let workspace = workspace();
    workspace.file("billing.csv", "id,saldo\n1,10\n2,20\n");
    run(&workspace, 1, &["schema", "balance"]);
}

#[test]
fn the_authoritys_own_column_of_that_name_is_not_compared() {
    let workspace = workspace();
    workspace.file("shop.csv", "id,status,balance\n1,a,7\n2,b,8\n");
    run(&workspace, 0, &["every row agrees"]);
}

#[test]
fn a_derivation_that_cannot_be_is_said_before_any_row_is_read() {
    let derived = |derive: &str| {
        let workspace = workspace();
        with(&workspace, "owner = \"billing\"", &format!("owner = \"billing\"\nderive = \"{derive}\""));
        workspace
    };
    for (derive, said) in [
        ("balance - sum(balance)", "looks at other rows"),
        ("balance / 3", "say how many places hold: round(a / b, 2)"),
        ("balance -", "`derive` cannot be used"),
    ] {
        // No source is needed to tell this, so it is said with its place.
        let place = ["attribute \"balance\": `derive` cannot be used: ", said, "reconcile.toml:"];
        derived(derive).reconcile(["check"]).expect(2, &place);
        derived(derive).reconcile(["run"]).expect(2, &place);
    }
    let absent = derived("balance - credits");
    let said = "names no column `credits` of source `billing` (columns are: id, balance)";
    absent.reconcile(["check", "--sources"]).expect(2, &["attribute `balance`, derive", said]);
    run(&absent, 2, &["unverified", "attribute `balance`, derive"]);
}

#[test]
fn one_key_may_be_looked_at_alone() {
    let workspace = workspace();
    workspace.file("billing.csv", "id,balance\n1,11\n2,21\n");
    let outcome = workspace.reconcile(["run", "--where", "id = '2'"]);
    outcome.expect(1, &["balance  \"21\" → \"20.00\"", "1 key diverges"]);
    let outcome = workspace.reconcile(["run", "--where", "balance = 10"]);
    outcome.expect(1, &["balance  \"11\" → \"10.0\"", "1 key diverges"]);
}

#[test]
fn null_keys_that_match_find_the_owners_null_key() {
    let workspace = workspace();
    with(&workspace, "#ORDERS", "null_keys = \"match\"");
    workspace.file("shop.csv", "id,status\n,a\n2,b\n");
    workspace.file("billing.csv", "id,balance\n,10\n2,20\n");
    workspace.file("warehouse.csv", "id,status,balance\n,a,10\n2,b,20\n");
    run(&workspace, 0, &["every row agrees", "2 joined"]);
    workspace.file("billing.csv", "id,balance\n,11\n2,20\n");
    run(&workspace, 1, &["balance  \"11\" → \"10\""]);
}

#[test]
fn rows_that_the_filter_leaves_out_make_no_key_of_an_owner_known() {
    let workspace = workspace();
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let text = text.replace("location = \"shop.csv\"", "location = \"shop.csv\"\nfilter = \"status <> 'b'\"");
    workspace.file("reconcile.toml", &text);
    workspace.file("warehouse.csv", "id,status,balance\n1,a,10\n");
    run(&workspace, 0, &["2 rows, 1 joined", "1 row with keys that the authority does not have"]);
}

#[test]
fn the_figures_of_an_owner_are_in_every_file() {
    let workspace = workspace();
    workspace.file("billing.csv", "id,balance\n1,10\n2,20\n3,30\n");
    run(&workspace, 0, &[]);
    let run = workspace.run();
    let summary = crate::support::read_json(&run.join("summary.json"));
    let owner = &contract(&summary, "orders")["owners"][0];
    assert_eq!((&owner["role"], &owner["source"]), (&Value::from("owner"), &Value::from("billing")));
    assert_eq!((owner["books"]["joined"].as_u64(), owner["books"]["unknown"].as_u64()), (Some(2), Some(1)));
    let manifest = crate::support::read_json(&run.join("manifest.json"));
    let file = &contract_of(&manifest)["owners"][0]["input"]["files"][0];
    let content = std::fs::read(workspace.path().join("billing.csv")).unwrap();
    assert_eq!(file["blake3"], Value::from(blake3::hash(&content).to_hex().to_string()));
    let metrics = std::fs::read_to_string(run.join("metrics.prom")).unwrap();
    assert!(
        metrics.contains(
            "reconcile_owner_rows{contract=\"orders\",source=\"billing\",role=\"owner\",account=\"unknown\"} 1"
        ),
        "{metrics}"
    );
    let report = std::fs::read_to_string(run.join("report.md")).unwrap();
    assert!(report.contains("### Other sources") && report.contains("| billing | owner | balance |"), "{report}");
    // The report is made again out of the manifest, to the byte.
    let id = run.file_name().unwrap().to_str().unwrap().to_owned();
    let again = workspace.reconcile(["report", id.as_str(), "--format", "markdown"]);
    assert_eq!(again.stdout, report);
}

#[test]
fn a_second_owner_is_named_beside_its_divergences() {
    let workspace = workspace();
    workspace.file("billing.csv", "id,balance\n1,11\n2,20\n");
    workspace.file("shop.csv", "id,status\n1,z\n2,b\n");
    run(&workspace, 1, &[]);
    let lines = crate::support::divergences(&workspace.run());
    let sources: Vec<(&str, &str)> =
        lines.iter().map(|line| (line["attribute"].as_str(), line["authority_source"].as_str())).collect();
    assert_eq!(sources, [("balance", "billing"), ("status", "shop")]);
}

#[test]
fn an_owner_that_moves_is_the_one_at_the_instant_that_the_projection_speaks_for() {
    let workspace = workspace();
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let moved = "owner = [{ source = \"shop\", until = \"2026-01-01T00:00:00Z\" }, { source = \"billing\", from = \"2026-01-01T00:00:00Z\" }]";
    let text = text.replace("owner = \"billing\"", moved).replace("#ORDERS", "ignore = [\"projection:as_of\"]");
    let captured = |captured: &str| {
        let captured = format!("\"warehouse.csv\"\ncaptured_at = {captured}");
        workspace.file("reconcile.toml", &text.replace("\"warehouse.csv\"", &captured));
    };
    workspace.file("shop.csv", "id,status,balance\n1,a,1\n2,b,2\n");
    workspace.file("warehouse.csv", "id,status,balance,as_of\n1,a,1,2025-12-30\n2,b,2,2025-12-31T23:59:59Z\n");
    captured("{ column = \"as_of\" }");
    let early = run(&workspace, 0, &["every row agrees"]);
    assert!(!early.stdout.contains("owner  "), "{}", early.shown());
    // One row of the other year, and another owner decides.
    workspace
        .file("warehouse.csv", "id,status,balance,as_of\n1,a,10,2026-01-01T00:00:00Z\n2,b,2,2025-12-31T23:59:59Z\n");
    run(&workspace, 1, &["owner       billing", "balance  \"20\" → \"2\"", "1 key diverges"]);
    // A row that the filter leaves out says nothing.
    let filtered = "{ column = \"as_of\" }\nfilter = \"as_of < '2026'\"";
    captured(filtered);
    run(&workspace, 1, &["missing", "1 key diverges"]);
    // Where no row tells it, it is now.
    workspace.file("warehouse.csv", "id,status,balance,as_of\n1,a,10,\n2,b,20,\n");
    captured("{ column = \"as_of\" }");
    run(&workspace, 0, &["owner       billing", "every row agrees"]);
    workspace.file("warehouse.csv", "id,status,balance,as_of\n1,a,10,tomorrow\n2,b,20,\n");
    run(&workspace, 2, &["source `warehouse`, captured_at"]);
    // The file was written long after the handover.
    captured("{ file = \"mtime\" }");
    run(&workspace, 0, &["owner       billing"]);
}

#[test]
fn a_lookup_may_derive_and_join_by_several_columns() {
    let workspace = workspace();
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let text = text.replace(
        "owner = \"billing\"\ntype = \"decimal\"",
        "lookup = { source = \"billing\", on = { status = \"state\", id = \"no\" } }\nderive = \"a + b\"",
    );
    workspace.file("reconcile.toml", &text);
    workspace.file("billing.csv", "no,state,a,b\n1,a,4,6\n2,b,0.1,0.2\n2,c,1,1\n");
    workspace.file("warehouse.csv", "id,status,balance\n1,a,10\n2,b,0.3\n");
    run(&workspace, 0, &["every row agrees", "lookup      billing"]);
}

#[test]
fn a_damaged_word_about_owners_is_refused_by_the_schema_too() {
    let workspace = workspace();
    with(&workspace, "owner = \"billing\"", "owner = { source = \"billing\" }");
    workspace
        .reconcile(["check"])
        .expect(2, &["owner is a table, expected a source, or an array of { source, from, until }"]);
}

#[test]
fn a_copy_at_the_authority_of_what_is_looked_up_is_not_compared() {
    let workspace = Workspace::new();
    workspace.file("orders.csv", "id,name,customer\n1,stale copy,7\n");
    workspace.file("customers.csv", "id,name\n7,Amy\n");
    workspace.file("copy.csv", "id,name\n1,Amy\n");
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.orders]\nlocation = \"orders.csv\"\n[source.copy]\nlocation = \"copy.csv\"\n\
         [source.customers]\nlocation = \"customers.csv\"\n\
         [contract.c]\nversion = \"1.0.0\"\nauthority = \"orders\"\nprojection = \"copy\"\nkey = [\"id\"]\n\
         attribute.name.lookup = { source = \"customers\", on = { customer = \"id\" } }\n",
    );
    run(&workspace, 0, &["every row agrees"]);
    workspace.file("copy.csv", "id,name\n1,stale copy\n");
    run(&workspace, 1, &["name  \"Amy\" → \"stale copy\"", "1 key diverges"]);
}

#[test]
fn a_key_whose_row_is_composed_is_explained_with_what_every_owner_holds() {
    let workspace = Workspace::new();
    workspace.file("shop.csv", "id,customer,status\na1,7,open\na2,8,open\na3,7,sent\n");
    workspace.file("billing.csv", "id,balance,credits\na1,10.50,0.50\n");
    workspace.file("crm.csv", "id,name\n7,Amy\n8,Ben\n");
    workspace.file("numbers.csv", "shop,warehouse\na1,901\na2,902\n");
    workspace.file("warehouse.csv", "no,status,owed,name\n901,sent,10,Amy\n902,open,5,Ben\n");
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.shop]\nlocation = \"shop.csv\"\n[source.billing]\nlocation = \"billing.csv\"\n\
         [source.crm]\nlocation = \"crm.csv\"\n[source.warehouse]\nlocation = \"warehouse.csv\"\n\
         [contract.orders]\nversion = \"1.0.0\"\nauthority = \"shop\"\nprojection = \"warehouse\"\nkey = [\"id\"]\n\
         crosswalk = { location = \"numbers.csv\", authority_column = \"shop\", projection_column = \"warehouse\" }\n\
         [contract.orders.attribute.id]\nprojected_as = \"no\"\n\
         [contract.orders.attribute.owed]\nowner = \"billing\"\nderive = \"balance - credits\"\n\
         [contract.orders.attribute.name]\nlookup = { source = \"crm\", on = { customer = \"id\" } }\n",
    );
    run(&workspace, 1, &["status  \"open\" → \"sent\"", "owner_lacks_key"]);
    let told = |key: &str, says: &[&str]| {
        workspace.reconcile(["explain", "latest", key]).expect(0, says);
    };
    // Mapped, owned and looked up, under the projection's key.
    told(
        "901",
        &["read again", "* status     \"open\"     \"sent\"", "owed       \"10", "name       \"Amy\"      \"Amy\""],
    );
    told("902", &["read again", "\"(owner_lacks_key)\"", "\"5\"", "\"Ben\""]);
    told("a3", &["read again", "missing", "\"a3\"", "(no row)"]);
    // An owner that holds something else by now tells nothing of the run.
    workspace.file("billing.csv", "id,balance,credits\na1,11.50,0.50\n");
    told("901", &["not read again", "source `billing`", "is not what it was in the run"]);
}

#[test]
fn a_tombstone_of_another_owner_is_a_key_that_it_lacks() {
    let workspace = workspace();
    with(&workspace, "#BILLING", "deleted = \"gone\"");
    workspace.file("billing.csv", "id,balance,gone\n1,10,false\n2,20,true\n");
    run(&workspace, 1, &["owner_lacks_key"]);
    with(&workspace, "deleted = \"gone\"", "deleted = \"gone = true\"");
    run(&workspace, 1, &["owner_lacks_key"]);
    with(&workspace, "deleted = \"gone = true\"", "deleted = \"lost = 1\"");
    run(&workspace, 2, &["source `billing`, deleted: no column `lost` (columns are: id,"]);
}

#[cfg(feature = "sqlite")]
#[test]
fn the_filter_of_a_database_that_owns_is_in_its_own_words_alone() {
    let workspace = workspace();
    let database = rusqlite::Connection::open(workspace.path().join("billing.db")).unwrap();
    // There LIKE does not tell case apart, so that a key is there twice.
    let rows = "(1, 10, 'open'), (1, 99, 'OPEN'), (2, 20, 'open'), (3, 30, 'shut')";
    let table =
        format!("CREATE TABLE bills (id INTEGER, balance INTEGER, state TEXT); INSERT INTO bills VALUES {rows}");
    database.execute_batch(&table).unwrap();
    with(&workspace, "location = \"billing.csv\"", "location = \"sqlite:billing.db\"\ntable = \"bills\"");
    with(&workspace, "#BILLING", "filter = \"state LIKE 'open'\"");
    run(&workspace, 1, &["owner_key_twice"]);
}

#[test]
fn where_the_authority_has_its_own_keys_another_owner_is_found_by_them() {
    let workspace = Workspace::new();
    let contract = "version = 1\n[source.agencies]\nlocation = \"agencies.csv\"\n[source.billing]\nlocation = \"billing.csv\"\n[source.crm]\n\
                    location = \"crm.csv\"\n[contract.policies]\nversion = \"1.0.0\"\nauthority = \"agencies\"\nprojection = \"crm\"\n\
                    key = [\"crm_no\"]\n[contract.policies.crosswalk]\nlocation = \"numbers.csv\"\nauthority_column = { agency = \
                    \"agency\", policy = \"agency_policy\" }\nprojection_column = \"crm_no\"\n[contract.policies.attribute.balance]\n";
    workspace.file("agencies.csv", "agency,policy,premium\nnorth,1,10\nsouth,1,20\nsouth,2,30\n");
    workspace.file("numbers.csv", "agency,agency_policy,crm_no\nnorth,1,A1\nsouth,1,A2\nsouth,2,A3\n");
    workspace.file("billing.csv", "office,number,balance\nnorth,1,100\nsouth,1,200\n");
    workspace.file("crm.csv", "crm_no,premium,balance\nA1,10,100\nA2,20,201\nA3,30,300\n");
    let owner = format!("{contract}owner = \"billing\"\n");
    workspace.file("reconcile.toml", &owner);
    workspace
        .reconcile(["check"])
        .expect(2, &["whose `authority_column` is a table", "look it up by the authority's own"]);
    let lookup =
        "lookup = { source = \"billing\", on = { agency = \"office\", policy = \"number\" }, column = \"balance\" }\n";
    workspace.file("reconcile.toml", &format!("{contract}{lookup}"));
    run(&workspace, 1, &["lookup_lacks_key"]);
    let lines = divergences(&workspace.run());
    let told = |line: &BTreeMap<String, String>| {
        ["key", "kind", "reason", "attribute", "authority_source"].map(|name| line[name].clone()).join(" ")
    };
    let mut told: Vec<String> = lines.iter().map(told).collect();
    told.sort();
    let expected = [
        "{\"crm_no\":\"A2\"} mismatch default balance billing",
        "{\"crm_no\":\"A3\"} mismatch lookup_lacks_key balance billing",
    ];
    assert_eq!(told, expected);
}
