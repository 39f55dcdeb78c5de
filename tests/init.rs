//! `init` as its user sees it: the estate's pairs and keys are found again, and what is written is checked and run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Outcome, Workspace, root};

/// Proposes a contract over two locations, with `reconcile.toml` in the workspace.
fn init(workspace: &Workspace, authority: &str, projection: &str) -> Value {
    let outcome = workspace.reconcile(["init", authority, projection, "--format", "json", "--force"]);
    outcome.expect(0, &[]);
    serde_json::from_str(&outcome.stdout).unwrap()
}

/// The pairs that were proposed: column at the authority, column in the projection, as JSON.
fn pairs(document: &Value) -> BTreeMap<String, String> {
    let attributes = document["attributes"].as_array().unwrap().iter();
    attributes.map(|attribute| (path(&attribute["column"]), path(&attribute["projected_as"]))).collect()
}

fn path(value: &Value) -> String {
    value.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join(".")
}

/// Checks the written file and runs it: it must be compared to its end.
#[track_caller]
fn runs(workspace: &Workspace) -> Outcome {
    workspace.reconcile(["check", "--sources"]).expect(0, &["no problems"]);
    let outcome = workspace.reconcile(["run", "--limit", "0"]);
    assert!(matches!(outcome.status, Some(0 | 1)), "{}", outcome.shown());
    outcome
}

/// Pairs of a contract of the root file, of attributes that lie in one column on each side.
fn agreed(contract: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("reconcile.toml")).unwrap();
    let file: toml::Table = text.parse().unwrap();
    let shown = |value: &toml::Value| match value {
        toml::Value::Array(parts) => parts.iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join("."),
        one => one.as_str().unwrap().to_owned(),
    };
    let attributes = file["contract"][contract]["attribute"].as_table().unwrap();
    let plain = attributes.iter().filter(|(_, attribute)| {
        let own = ["owner", "derive", "lookup"];
        attribute.as_table().unwrap().keys().all(|key| !own.contains(&key.as_str()))
    });
    plain
        .map(|(name, attribute)| {
            // Where the old copy has other names, they stand by source.
            let projection = file["contract"][contract]["projection"].as_str().unwrap();
            let of_projection = |value: &toml::Value| value.get(projection).map_or_else(|| shown(value), shown);
            let side = |key: &str| attribute.get(key).map_or_else(|| name.clone(), of_projection);
            (side("column"), side("projected_as"))
        })
        .collect()
}

const POLICIES: &str = "fixtures/insurer/policy_admin/*.parquet";
const RECEIVABLES: &str = "fixtures/insurer/billing/receivables.csv";
const CRM: &str = "fixtures/insurer/crm/policy_view.ndjson";
const CLAIMS: &str = "fixtures/insurer/claims/coverage.csv";

fn fixture(name: &str) -> String {
    root().join(name).to_str().unwrap().to_owned()
}

#[test]
fn every_pair_and_every_key_of_the_estate_is_found() {
    let cases = [
        ("crm-policy-view", POLICIES, CRM, ("policy_id", "policyNo")),
        ("crm-receivables", RECEIVABLES, CRM, ("policy_id", "policyNo")),
        ("claims-coverage", POLICIES, CLAIMS, ("policy_id", "policy_ref")),
    ];
    for (contract, authority, projection, key) in cases {
        let workspace = Workspace::new();
        let document = init(&workspace, &fixture(authority), &fixture(projection));
        assert_eq!(document["key"], serde_json::json!([key.0]), "{contract}");
        let found = pairs(&document);
        assert_eq!(found.get(key.0).map(String::as_str), Some(key.1), "{contract}");
        let agreed = agreed(contract);
        assert!(agreed.len() >= 4, "{contract}: {agreed:?}");
        for (column, projected_as) in &agreed {
            assert_eq!(found.get(column), Some(projected_as), "{contract}: {column}\n{document:#}");
        }
        runs(&workspace);
    }
}

#[test]
fn the_estate_s_options_are_proposed_or_noted() {
    let workspace = Workspace::new();
    init(&workspace, &fixture(POLICIES), &fixture(CRM));
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    for line in [
        "translate = { BOUND = \"Active\", CANCELLED = \"Inactive\", LAPSED = \"Inactive\", PENDING = \"Pending\", SUSPENDED = \"On hold\" }",
        "# tolerance = \"0.01\"   # would settle 25 rows more",
        "# unicode = \"nfc\"   # would settle 30 rows more",
        "# null_equals = [\"\", \"N/A\"]   # would settle 15 rows more",
        "# authority, policy_id: 1,200 keys in 1,205 rows, 3 more than once, 2 NULL, in all rows",
        "\"projection:segment\", # no column of the other side was found for it",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    init(&workspace, &fixture(RECEIVABLES), &fixture(CRM));
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let csv = "csv = { delimiter = \";\", decimal = \",\", date_format = \"%d.%m.%Y\" }";
    assert!(text.contains(csv) && text.contains("type = \"date\""), "{text}");
}

#[test]
fn the_airports_were_rounded() {
    let workspace = Workspace::new();
    let [authority, projection] =
        ["airports-2026-09-05", "airports-2024-04-01"].map(|name| fixture(&format!("fixtures/airports/{name}.csv")));
    let document = init(&workspace, &authority, &projection);
    assert_eq!(document["key"], serde_json::json!(["icao"]));
    let found = pairs(&document);
    assert_eq!(found.len(), 11, "{found:?}");
    assert!(found.iter().all(|(column, projected_as)| column == projected_as), "{found:?}");
    for attribute in document["attributes"].as_array().unwrap() {
        let name = attribute["attribute"].as_str().unwrap();
        let expected: &[&str] = if ["lat", "lon"].contains(&name) { &["tolerance = \"0.00001\""] } else { &[] };
        assert_eq!(attribute["options"], serde_json::json!(expected), "{name}");
    }
    runs(&workspace).expect(1, &["mismatch", "2,087"]);
}

#[test]
fn columns_whose_names_say_nothing_are_paired_by_their_values() {
    let workspace = Workspace::new();
    let text = fs::read_to_string(root().join(CLAIMS)).unwrap();
    let (_, rows) = text.split_once('\n').unwrap();
    workspace.file("x.csv", &format!("k,a,b,c,d,e,f\n{rows}"));
    let found = pairs(&init(&workspace, &fixture(POLICIES), "x.csv"));
    let expected = [
        ("policy_id", "k"),
        ("product", "a"),
        ("premium", "b"),
        ("start_date", "c"),
        ("address.city", "d"),
        ("holder_name", "e"),
    ];
    assert_eq!(found, expected.into_iter().map(|(one, other)| (one.to_owned(), other.to_owned())).collect());
    runs(&workspace);
}

#[test]
fn two_columns_that_identify_a_row_together_are_the_key() {
    let workspace = Workspace::new();
    let mut authority = "country,code,population\n".to_owned();
    let mut projection = "CODE,Country,Inhabitants,etl_loaded_at\n".to_owned();
    for row in 0..400_u32 {
        let (country, code) = (["IT", "FR", "DE", "AT"][row as usize % 4], row / 4);
        writeln!(authority, "{country},{code},{}", row * 37 % 97).unwrap();
        writeln!(projection, "{code},{country},{},2026-01-01T00:00:00Z", row * 37 % 97).unwrap();
    }
    workspace.file("a.csv", &authority);
    workspace.file("b.csv", &projection);
    let document = init(&workspace, "a.csv", "b.csv");
    assert_eq!(document["key"].as_array().unwrap().len(), 2, "{document:#}");
    let found = pairs(&document);
    assert_eq!(found["country"], "Country");
    assert_eq!(found["code"], "CODE");
    assert_eq!(found["population"], "Inhabitants");
    assert_eq!(document["left_out"][0]["why"], "written by the load, it seems");
    runs(&workspace).expect(0, &["agreed"]);
}

#[test]
fn a_file_that_is_there_is_never_overwritten_unasked() {
    let workspace = Workspace::pair(("a.csv", b"id,x\n1,2\n2,3\n"), ("b.csv", b"id,x\n1,2\n2,3\n"));
    let before = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let refused = workspace.reconcile(["init", "a.csv", "b.csv"]);
    refused.expect(2, &["reconcile.toml: is there already, and is not overwritten", "--force", "--out FILE"]);
    assert_eq!(fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap(), before);
    workspace
        .reconcile(["init", "a.csv", "b.csv", "--force", "--name", "pair two"])
        .expect(0, &["contract \"pair two\""]);
    assert_ne!(fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap(), before);
    runs(&workspace).expect(0, &["agreed"]);
}

#[test]
fn a_file_in_another_folder_finds_its_tables() {
    let workspace = Workspace::new();
    workspace.file("data/a.csv", "id,x\n1,2\n2,3\n");
    workspace.file("contracts/b.csv", "id,x\n1,2\n2,3\n");
    workspace.reconcile(["init", "data/a.csv", "contracts/b.csv", "--out", "contracts/new.toml"]).expect(0, &[]);
    let text = fs::read_to_string(workspace.path().join("contracts/new.toml")).unwrap();
    assert!(text.contains("location = \"../data/a.csv\"") && text.contains("location = \"b.csv\""), "{text}");
    workspace.reconcile(["run", "--config", "contracts/new.toml"]).expect(0, &["agreed"]);
}

#[test]
fn a_file_in_another_folder_finds_its_databases() {
    let workspace = Workspace::new();
    workspace.file("b.csv", "id,x\n1,2\n2,3\n");
    fs::create_dir(workspace.path().join("contracts")).unwrap();
    for name in ["a.db", "contracts/a.db"] {
        let database = rusqlite::Connection::open(workspace.path().join(name)).unwrap();
        database.execute_batch("CREATE TABLE t (id INTEGER, x INTEGER); INSERT INTO t VALUES (1, 2), (2, 3);").unwrap();
    }
    let cases = [
        ("sqlite:a.db#t", "sqlite:../a.db#t"),
        ("sqlite://a.db#t", "sqlite:../a.db#t"),
        ("SQLITE:contracts/a.db#t", "sqlite:a.db#t"),
    ];
    for (location, expected) in cases {
        workspace.reconcile(["init", location, "b.csv", "--out", "contracts/new.toml", "--force"]).expect(0, &[]);
        let text = fs::read_to_string(workspace.path().join("contracts/new.toml")).unwrap();
        assert!(text.contains(&format!("location = \"{expected}\"")), "{text}");
        workspace.reconcile(["check", "--sources", "--config", "contracts/new.toml"]).expect(0, &["no problems"]);
        workspace.reconcile(["run", "--config", "contracts/new.toml"]).expect(0, &["agreed"]);
    }
}

#[test]
fn without_a_key_rows_are_a_multiset_and_that_is_said() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "place,sort\nx,1\nx,1\ny,1\n");
    workspace.file("b.csv", "place,sort\nx,1\ny,1\nx,1\n");
    let outcome = workspace.reconcile(["init", "a.csv", "b.csv"]);
    outcome.expect(0, &["warning", "no columns were found that identify a row on both sides", "rows as a multiset"]);
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    assert!(text.contains("key = []"), "{text}");
    runs(&workspace).expect(0, &["agreed"]);
}

#[test]
fn tables_with_nothing_in_common_give_no_file() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,x\n1,u\n2,v\n3,w\n");
    workspace.file("b.csv", "colour,weight\nred,100\nblue,200\ngreen,300\n");
    let outcome = workspace.reconcile(["init", "a.csv", "b.csv", "--format", "json"]);
    outcome.expect(2, &["no column of one table belongs to a column of the other", "id, x", "colour, weight"]);
    assert!(!workspace.path().join("reconcile.toml").exists());
    workspace.reconcile(["init", "a.csv", "absent.csv"]).expect(2, &["absent.csv"]);
    workspace.reconcile(["init", "a.csv", "b.csv", "--out", "no/such/folder.toml"]).expect(2, &[]);
}

#[test]
fn little_memory_samples_keys_and_says_so() {
    let workspace = Workspace::new();
    let mut table = "id,amount\n".to_owned();
    for row in 0..30_000_u32 {
        writeln!(table, "{},{}", row * 7, row % 977).unwrap();
    }
    workspace.file("a.csv", &table);
    workspace.file("b.csv", &table);
    let outcome = workspace.reconcile(["init", "a.csv", "b.csv", "--memory-limit", "1MB", "--format", "json"]);
    outcome.expect(0, &["in a sample of one key in 4, as not all fit into memory"]);
    runs(&workspace).expect(0, &["agreed"]);
}

/// A table: its columns with their names and texts, of which the first is unique.
fn table() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    let name = prop_oneof![Just("name".to_owned()), "[a-zA-Z_ .$\\{\\}\\[\\]*é-]{1,8}", Just("etl_at".to_owned())];
    let value = prop_oneof![
        "[a-z ]{0,4}".boxed(),
        "[0-9]{1,5}(\\.[0-9]{1,3})?".boxed(),
        Just("2026-01-02".to_owned()).boxed(),
        Just("\"\"".to_owned()).boxed(),
    ];
    let column = (name, proptest::collection::vec(value, 0..30));
    proptest::collection::vec(column, 0..5).prop_map(|columns| columns.into_iter().collect())
}

fn csv(rows: usize, from: usize, columns: &[(String, Vec<String>)]) -> String {
    let mut text = "row_id".to_owned();
    let mut names = vec!["row_id".to_owned()];
    for (name, _) in columns {
        let mut name = name.clone();
        while names.contains(&name) {
            name.push('x');
        }
        write!(text, ",\"{name}\"").unwrap();
        names.push(name);
    }
    text.push('\n');
    for row in 0..rows {
        write!(text, "{}", row + from).unwrap();
        for (_, values) in columns {
            write!(text, ",{}", values.get(row % values.len().max(1)).map_or("", String::as_str)).unwrap();
        }
        text.push('\n');
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_of_any_two_tables_is_checked_and_runs(
        authority in table(),
        projection in table(),
        rows in (0_usize..40, 0_usize..40),
        from in 0_usize..20,
    ) {
        let workspace = Workspace::new();
        workspace.file("a.csv", &csv(rows.0, 0, &authority));
        workspace.file("b.csv", &csv(rows.1, from, &projection));
        let document = init(&workspace, "a.csv", "b.csv");
        // Another column may be unique by accident; one of them must be found.
        prop_assert!(!document["key"].as_array().unwrap().is_empty(), "{:#}", document);
        runs(&workspace);
    }
}

#[test]
fn how_a_text_file_is_written_is_found() {
    let workspace = Workspace::new();
    let (mut german, mut plain) = (b"nr|ort|betrag|am\n".to_vec(), "number,town,amount,day\n".to_owned());
    for row in 0..60_u32 {
        let day = 1 + row % 28;
        german.extend(format!("A-{row}|K").bytes());
        german.push(0xF6); // ö in Latin-1
        german.extend(format!("ln {}|{},5{}|{day:02}.03.2026\n", row % 7, row * 13, row % 10).bytes());
        writeln!(plain, "A-{row},Köln {},{}.5{},2026-03-{day:02}", row % 7, row * 13, row % 10).unwrap();
    }
    workspace.bytes("a.csv", &german);
    workspace.file("b.csv", &plain);
    let document = init(&workspace, "a.csv", "b.csv");
    let found = pairs(&document);
    let expected = [("nr", "number"), ("ort", "town"), ("betrag", "amount"), ("am", "day")];
    assert_eq!(found, expected.into_iter().map(|(one, other)| (one.to_owned(), other.to_owned())).collect());
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let csv = "csv = { delimiter = \"|\", encoding = \"windows-1252\", decimal = \",\", date_format = \"%d.%m.%Y\" }";
    assert!(text.contains(csv), "{text}");
    runs(&workspace).expect(0, &["agreed"]);
}

#[test]
fn an_option_is_proposed_where_it_settles_much_and_noted_where_it_settles_little() {
    let workspace = Workspace::new();
    let (mut authority, mut projection) = ("id,seen_at,city,rate\n".to_owned(), "id,seenAt,city,rate\n".to_owned());
    for row in 0..200_u32 {
        writeln!(authority, "{row:05},2026-03-01T10:{:02}:{:02}Z,Rome {row},{}.123456", row / 60, row % 60, row + 1)
            .unwrap();
        let city = if row == 7 { format!("ROME {row}") } else { format!("Rome {row}") };
        writeln!(projection, "{row},2026-03-01 10:{:02}:{:02},{city},{}.1235", row / 60, row % 60, row + 1).unwrap();
    }
    workspace.file("a.csv", &authority);
    workspace.file("b.csv", &projection);
    init(&workspace, "a.csv", "b.csv");
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    for line in [
        "[contract.a-b.attribute.id]\ntype = \"decimal\"\n",
        "# case = \"ignore\"   # would settle 1 row more\n",
        "[contract.a-b.attribute.rate]\ntolerance = \"0.0001\"\n",
        "projected_as = \"seenAt\"\n",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
    runs(&workspace).expect(1, &["mismatch"]);
}

#[test]
fn a_column_of_one_name_and_two_sorts_is_left_to_the_run() {
    let workspace = Workspace::new();
    workspace.file("a.ndjson", "{\"id\":1,\"tags\":[1,2]}\n{\"id\":2,\"tags\":[3]}\n");
    workspace.file("b.csv", "id,tags\n1,x\n2,y\n");
    let document = init(&workspace, "a.ndjson", "b.csv");
    assert_eq!(document["left_out"], serde_json::json!([]), "{document:#}");
    workspace.reconcile(["run", "--limit", "0"]).expect(1, &["schema"]);
}

#[test]
fn empty_tables_and_other_places_are_no_surprise() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,x\n");
    workspace.file("b.csv", "id,x\n1,2\n");
    let document = init(&workspace, "a.csv", "b.csv");
    assert_eq!(document["key"], serde_json::json!(["id"]));
    assert!(document["warnings"][0].as_str().unwrap().contains("no key is on both sides"), "{document:#}");
    runs(&workspace).expect(1, &["orphan"]);
    let remote = workspace.reconcile(["init", "kafka://db/x", "b.csv", "--out", "x.toml"]);
    remote.expect(2, &["`kafka:` is served by a later version"]);
    assert!(!workspace.path().join("x.toml").exists());
}

#[test]
fn one_value_without_a_fixed_partner_does_not_drop_the_map() {
    let workspace = Workspace::new();
    let (mut authority, mut projection) = ("id,status,name\n".to_owned(), "id,state,name\n".to_owned());
    for row in 0..400_u32 {
        let (from, to) = match row % 5 {
            0 => ("BOUND", "Active"),
            1 => ("LAPSED", "Inactive"),
            2 => ("QUOTED", "Offer"),
            3 => ("CLOSED", "Done"),
            _ if row % 2 == 0 => ("MOVED", "Active"),
            _ => ("MOVED", "Done"),
        };
        writeln!(authority, "{row},{from},name {row}").unwrap();
        writeln!(projection, "{row},{to},name {row}").unwrap();
    }
    workspace.file("a.csv", &authority);
    workspace.file("b.csv", &projection);
    init(&workspace, "a.csv", "b.csv");
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let map = "translate = { BOUND = \"Active\", CLOSED = \"Done\", LAPSED = \"Inactive\", QUOTED = \"Offer\" }";
    assert!(text.contains(map), "{text}");
    let flat = text.replace("\n#", " ");
    assert!(flat.contains("\"MOVED\" is ") && flat.contains(" in only 40 of 80, and so not translated"), "{text}");
    runs(&workspace).expect(1, &["80 keys diverge"]);
}
