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
