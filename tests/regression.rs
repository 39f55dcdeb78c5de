//! Defects that were found and mended, each named after what went wrong.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use crate::support::Workspace;

#[test]
fn a_predicate_that_counts_rows_does_not_hide_a_key_in_the_second_reading() {
    let workspace = Workspace::pair(("a.csv", b"id,v\n1,0\n2,0\n3,0\n"), ("b.csv", b"id,v\n1,0\n2,0\n3,9\n"));
    for predicate in ["count(*) = 3", "max(v) = '9'", "count(v) over () = 3"] {
        let said = workspace.reconcile(["diff", "a.csv", "b.csv", "--key", "id", "--where", predicate]);
        said.expect(2, &["a predicate is about one row"]);
    }
}

#[test]
fn an_option_does_not_hide_a_key_from_the_predicate() {
    let workspace = Workspace::pair(("a.csv", b"id,n,x\n1,Bob,1\n"), ("b.csv", b"id,n,x\n1,bob,9\n"));
    let call = |predicate: &str| {
        workspace.reconcile(["diff", "a.csv", "b.csv", "--key", "id", "--ignore-case", "--where", predicate])
    };
    call("n = 'Bob'").expect(1, &["mismatch"]);
    call("n = 'bob'").expect(1, &["mismatch"]);
    call("n = 'Eve'").expect(0, &["no row satisfies `--where`, so nothing was compared"]);
}

#[test]
fn a_multiset_of_nothing_cannot_agree() {
    let workspace = Workspace::pair(("a.csv", b"id,a\n1,1\n"), ("b.csv", b"id,a\n5,7\n"));
    workspace.reconcile(["diff", "a.csv", "b.csv", "--no-key", "--ignore", "*"]).expect(2, &["no column is compared"]);
}

#[test]
fn a_json_null_in_a_json_column_of_parquet_is_not_null() {
    let workspace = Workspace::new();
    let marked = Field::new("v", DataType::Utf8, true)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())].into());
    let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, false), marked]));
    for (name, value) in [("a.parquet", Some("null")), ("b.parquet", None)] {
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringArray::from(vec!["1"])), Arc::new(StringArray::from(vec![value]))];
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), None).unwrap();
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()).unwrap();
        writer.close().unwrap();
        workspace.bytes(name, &bytes);
    }
    for more in [&[][..], &["--type", "v=json"][..]] {
        let call = ["diff", "a.parquet", "b.parquet", "--key", "id"].iter().chain(more);
        workspace.reconcile(call).expect(1, &["mismatch"]);
    }
}

#[test]
fn the_order_of_columns_does_not_change_the_order_of_results() {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", b"a,b\n1,2\n3,4\n5,6\n");
    workspace.bytes("b.csv", b"a,b\n7,8\n");
    workspace.bytes("a2.csv", b"b,a\n2,1\n4,3\n6,5\n");
    workspace.bytes("b2.csv", b"b,a\n8,7\n");
    let lines = |one: &str, two: &str| {
        let call = ["diff", one, two, "--no-key", "--format", "ndjson"];
        let said = workspace.reconcile(call).expect(1, &["missing", "orphan"]).stdout.clone();
        said.lines().filter(|line| line.contains("\"divergence\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = lines("a.csv", "b.csv");
    assert_eq!(expected.len(), 4, "{expected:?}");
    let without_source =
        |lines: Vec<String>| lines.into_iter().map(|line| line.replace("a2.csv", "a.csv")).collect::<Vec<_>>();
    assert_eq!(without_source(lines("a2.csv", "b2.csv")), expected);
}

#[test]
fn a_memory_limit_that_cannot_be_kept_is_refused() {
    let workspace = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    let call = |limit: &str| workspace.reconcile(["diff", "a.csv", "b.csv", "--key", "id", "--memory-limit", limit]);
    call("64 MiB").expect(2, &["64.0 MiB", "256 MiB"]);
    call("256 MiB").expect(0, &["agreed"]);
}

/// Thirty rows of which an owner knows few, and the causes that a run names over them.
fn causes_of(workspace: &Workspace) -> Vec<String> {
    _ = workspace.reconcile(["run", "--format", "json"]);
    let summary = crate::support::read_json(&workspace.runs().pop().unwrap().join("summary.json"));
    let causes = summary["contracts"][0]["causes"].as_array().unwrap().clone();
    causes.iter().map(|cause| format!("{} {} {}", cause["cause"], cause["keys"], cause["evidence"])).collect()
}

#[test]
fn a_value_that_its_owner_does_not_have_is_no_part_of_any_cause() {
    let workspace = Workspace::new();
    let rows = |of: &dyn Fn(usize) -> String| (0..30).map(of).collect::<String>();
    workspace.file("a.csv", &format!("id,place\n{}", rows(&|row| format!("{row},{}\n", row % 7))));
    workspace.file("b.csv", &format!("id,name,debt\n{}", rows(&|row| format!("{row},,\n"))));
    workspace.file("debts.csv", "id,debt\n0,5\n1,6\n2,7\n3,8\n4,9\n5,10\n");
    workspace.file("places.csv", "id,name\n90,none\n");
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.b]\nlocation = \"b.csv\"\n\
         [source.debts]\nlocation = \"debts.csv\"\n[source.places]\nlocation = \"places.csv\"\n\
         [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n\
         [contract.c.attribute.debt]\nowner = \"debts\"\n\
         [contract.c.attribute.name]\nlookup = { source = \"places\", on = { place = \"id\" } }\n",
    );
    // Thirty names and twenty-four debts are not known to their owners: of those NULL stands in place of nothing.
    let causes = causes_of(&workspace);
    assert_eq!(causes.len(), 1, "{causes:#?}");
    assert!(causes[0].starts_with("\"null_in_place\" 6 ") && causes[0].contains("6 of 30"), "{causes:#?}");
    assert!(!causes[0].contains("NULL → NULL"), "{causes:#?}");
}

#[test]
fn a_text_that_is_no_value_on_either_side_is_not_mapped_onto_itself() {
    let rows: String = (0..30).map(|row| format!("{row},n/a\n")).collect();
    let table = format!("id,v\n{rows}");
    let workspace = Workspace::pair(("a.csv", table.as_bytes()), ("b.csv", table.as_bytes()));
    let contract = crate::support::pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &format!("{contract}attribute.v.type = \"decimal\"\n"));
    workspace.reconcile(["run"]).expect(1, &["unparseable"]);
    assert_eq!(causes_of(&workspace), Vec::<String>::new());
}

#[test]
fn what_lag_explains_is_no_map_of_values_but_may_stand_still() {
    let rows = |of: &dyn Fn(usize) -> String| (0..40).map(of).collect::<String>();
    let authority = rows(&|row| format!("{row},{},CLOSED\n", row + 7));
    for (version, expected) in
        [("3", vec!["\"stuck_version\" 40"]), ("", vec!["\"value_map\" 40", "\"null_in_place\" 40"])]
    {
        let projection = rows(&|row| format!("{row},{version},OPEN\n"));
        let workspace = Workspace::pair(
            ("a.csv", format!("id,ver,state\n{authority}").as_bytes()),
            ("b.csv", format!("id,ver,state\n{projection}").as_bytes()),
        );
        let marked =
            crate::support::pair_contract("a.csv", "b.csv").replace(".csv\"\n", ".csv\"\nversion_column = \"ver\"\n");
        workspace.file("reconcile.toml", &marked);
        let causes = causes_of(&workspace);
        assert_eq!(causes.len(), expected.len(), "{causes:#?}");
        assert!(expected.iter().all(|one| causes.iter().any(|cause| cause.starts_with(one))), "{causes:#?}");
    }
}

#[test]
fn what_a_cause_proposes_is_read_as_it_is_meant() {
    let rows =
        |of: &dyn Fn(usize) -> &'static str| (0..30).map(|row| format!("{row},{}\n", of(row))).collect::<String>();
    let authority = rows(&|row| ["a${X}", "$${b"][row % 2]);
    let projection = rows(&|row| ["${HOME}", "$${y"][row % 2]);
    let workspace = Workspace::pair(
        ("a.csv", format!("id,v\n{authority}").as_bytes()),
        ("b.csv", format!("id,v\n{projection}").as_bytes()),
    );
    workspace.reconcile(["run"]).expect(1, &["value_map"]);
    let summary = crate::support::read_json(&workspace.run().join("summary.json"));
    let option = summary["contracts"][0]["causes"][0]["option"].as_str().unwrap();
    let contract = crate::support::pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &format!("{contract}\n{option}\n"));
    workspace.reconcile(["run"]).expect(0, &["every row agrees"]);
}

#[test]
fn a_map_that_would_need_another_type_than_a_tolerance_allows_is_not_proposed() {
    let workspace = Workspace::new();
    let numbers: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values((0..30).map(|row| row % 3)));
    let labels: ArrayRef = Arc::new(StringArray::from_iter_values((0..30).map(|row| ["x", "y", "z"][row % 3])));
    for (name, values) in [("a.parquet", numbers), ("b.parquet", labels)] {
        let keys: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(0..30));
        crate::support::write_parquet(&workspace.path().join(name), vec![("id", keys), ("v", values)], 30);
    }
    let contract = crate::support::pair_contract("a.parquet", "b.parquet");
    for (option, proposed) in [("", true), ("attribute.v.tolerance = 1\n", false), ("attribute.v.round = 1\n", false)] {
        workspace.file("reconcile.toml", &format!("{contract}{option}"));
        workspace.reconcile(["run"]).expect(1, &["enum_ordinal"]);
        let summary = crate::support::read_json(&workspace.runs().pop().unwrap().join("summary.json"));
        assert_eq!(summary["contracts"][0]["causes"][0]["option"].is_string(), proposed, "{option}");
    }
}

#[test]
fn what_differs_in_some_rows_is_no_map_of_what_agrees_in_most() {
    // Without a marker that says so, some rows are stale, some flags are flipped, some codes and digits are just wrong.
    let row = |row: usize, wrong: bool| {
        let flag = (row % 2 == 0) != wrong;
        let state = if row % 3 == 0 && !wrong { "CLOSED" } else { "OPEN" };
        let digit = if wrong { row / 3 % 10 } else { row % 10 };
        format!("{row},{flag},{state},{digit}\n")
    };
    let table = |wrong: &dyn Fn(usize) -> bool| {
        let rows: String = (0..900).map(|number| row(number, wrong(number))).collect();
        format!("id,flag,state,digit\n{rows}")
    };
    let workspace = Workspace::pair(
        ("a.csv", table(&|_| false).as_bytes()),
        ("b.csv", table(&|row| row % 9 == 3 || row % 16 == 6).as_bytes()),
    );
    let contract = crate::support::pair_contract("a.csv", "b.csv");
    let types = "attribute.flag.type = \"boolean\"\nattribute.digit.type = \"int64\"\n";
    workspace.file("reconcile.toml", &format!("{contract}{types}"));
    assert_eq!(causes_of(&workspace), Vec::<String>::new());
}

#[test]
fn no_option_is_proposed_that_undoes_what_agrees() {
    let table = |swapped: bool| {
        let row = |row: usize| {
            let hour = if swapped && row < 60 { row % 20 + 2 } else { row % 20 };
            let (one, two) = if swapped && row < 60 { ("b", "a") } else { ("a", "b") };
            format!(
                "{row},2024-03-0{}T{hour:02}:00:00{},{one}{row},{two}{row}\n",
                row % 9 + 1,
                if swapped { "" } else { "Z" }
            )
        };
        format!("id,at,first,last\n{}", (0..90).map(row).collect::<String>())
    };
    let workspace = Workspace::pair(("a.csv", table(false).as_bytes()), ("b.csv", table(true).as_bytes()));
    let contract = crate::support::pair_contract("a.csv", "b.csv");
    let zone = "timezone = \"UTC\"\nattribute.at.type = \"timestamptz\"\n";
    workspace.file("reconcile.toml", &format!("{contract}{zone}"));
    workspace.reconcile(["run"]).expect(1, &["columns_swapped", "time_offset"]);
    let summary = crate::support::read_json(&workspace.run().join("summary.json"));
    let causes = summary["contracts"][0]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 2, "{causes:#?}");
    assert!(causes.iter().all(|cause| cause["keys"] == 60 && cause["option"].is_null()), "{causes:#?}");
}
