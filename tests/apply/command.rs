//! `reconcile apply` as its user calls it: run, look, apply, run again, undo.

use crate::support::{Outcome, Workspace};

/// A contract `orders` of a CSV authority and a SQLite projection with one of each kind that can be repaired.
fn workspace(contract: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file(
        "orders.csv",
        "id,customer,total\n1,Anna,10.00\n2,Béla 🦀 'x'; drop table orders,20.50\n3,Cleo,30.00\n4,Dora,1.25\n",
    );
    let database = rusqlite::Connection::open(workspace.path().join("shop.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total TEXT, note TEXT DEFAULT 'kept');
             INSERT INTO orders VALUES (1, 'Anna', '10.00', 'a'), (2, 'Bela', '20.50', 'b'), (4, 'Dora', '1.20', 'd'), (9, 'Old', '9', x'00ff');",
        )
        .unwrap();
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.shop]\nlocation = \"orders.csv\"\n[source.copy]\nlocation = \"sqlite:shop.db\"\ntable = \"orders\"\n\
             [contract.orders]\nversion = \"1.0.0\"\nauthority = \"shop\"\nprojection = \"copy\"\nkey = [\"id\"]\nignore = [\"note\"]\n{contract}"
        ),
    );
    workspace
}

const AUTO: &str = "[contract.orders.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\norphan = \"review\"\n";

fn dump(workspace: &Workspace) -> Vec<String> {
    let database = rusqlite::Connection::open(workspace.path().join("shop.db")).unwrap();
    let mut statement = database
        .prepare("SELECT id || '|' || customer || '|' || total || '|' || hex(note) FROM orders ORDER BY id")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[track_caller]
fn is(outcome: &Outcome, status: i32, words: &[&str]) {
    assert_eq!(outcome.status, Some(status), "{}\n{}", outcome.stdout, outcome.stderr);
    for word in words {
        assert!(
            outcome.stdout.contains(word) || outcome.stderr.contains(word),
            "{word}:\n{}\n{}",
            outcome.stdout,
            outcome.stderr
        );
    }
}

#[test]
fn a_plan_is_shown_then_applied_then_nothing_diverges_and_it_can_be_undone() {
    let workspace = workspace(AUTO);
    is(&workspace.reconcile(["run"]), 1, &[]);
    let run = workspace.run();
    assert!(run.join("plan.sql").is_file() && run.join("rollback.sql").is_file());
    let before = dump(&workspace);
    is(
        &workspace.reconcile(["apply", "latest"]),
        0,
        &["would", "insert", "nothing was written", "1 more action waits"],
    );
    assert_eq!(dump(&workspace), before);
    is(&workspace.reconcile(["apply", "latest", "--execute"]), 0, &["3 done", "receipt A"]);
    let after = dump(&workspace);
    assert_eq!(after[1], "2|Béla 🦀 'x'; drop table orders|20.50|62");
    assert_eq!(after[2], "3|Cleo|30.00|6B657074");
    assert_eq!(after[4], "9|Old|9|00FF");
    is(&workspace.reconcile(["apply", "latest", "--execute"]), 0, &["0 done", "3 already"]);
    is(&workspace.reconcile(["apply", "latest", "--execute", "--include-review"]), 0, &["1 done", "3 already"]);
    is(&workspace.reconcile(["run"]), 0, &[]);
    is(&workspace.reconcile(["audit", "verify"]), 0, &["2 runs unchanged"]);
    is(&workspace.reconcile(["apply", "--rollback", "latest", "--execute"]), 0, &["undo delete", "1 done"]);
    let receipts = tree(&workspace);
    is(&workspace.reconcile(["apply", "--rollback", &receipts[0], "--execute"]), 0, &["undo update", "3 done"]);
    assert_eq!(dump(&workspace), before);
    is(&workspace.reconcile(["audit", "verify"]), 0, &["unchanged"]);
}

fn tree(workspace: &Workspace) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(workspace.path().join("reports/applied"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    names.sort();
    names
}

#[test]
fn a_plan_is_refused_where_it_cannot_be_trusted() {
    let workspace = workspace(AUTO);
    is(&workspace.reconcile(["run"]), 1, &[]);
    let before = dump(&workspace);
    is(&workspace.reconcile(["apply", "latest", "--execute", "--max-age", "0s"]), 2, &["old, at most"]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("1.0.0", "1.1.0"));
    is(&workspace.reconcile(["apply", "latest", "--execute"]), 2, &["the contract has changed since the run"]);
    workspace.file("reconcile.toml", &text);
    let plan = workspace.run().join("plan.ndjson");
    let lines = std::fs::read_to_string(&plan).unwrap();
    std::fs::write(&plan, lines.replace("30.00", "31.00")).unwrap();
    is(&workspace.reconcile(["apply", "latest", "--execute"]), 2, &["plan.ndjson"]);
    assert_eq!(dump(&workspace), before);
}

#[test]
fn breakers_stop_what_is_too_much() {
    let limited = workspace(&format!("{AUTO}max_ratio = \"50%\"\n"));
    is(&limited.reconcile(["run"]), 1, &[]);
    is(&limited.reconcile(["apply", "latest", "--execute"]), 2, &["max_ratio"]);
    is(
        &limited.reconcile(["apply", "latest", "--execute", "--max-actions", "1"]),
        1,
        &["1 done", "more actions of the plan were left"],
    );
    let cut = workspace(&format!("{AUTO}max_actions = 2\n"));
    is(&cut.reconcile(["run"]), 1, &[]);
    is(&cut.reconcile(["apply", "latest", "--execute"]), 2, &["max_actions"]);
}

#[test]
fn only_chooses_by_kind_severity_and_key() {
    let workspace = workspace(AUTO);
    is(&workspace.reconcile(["run"]), 1, &[]);
    is(&workspace.reconcile(["apply", "latest", "--only", "missing"]), 0, &["1 action: 1 would"]);
    is(&workspace.reconcile(["apply", "latest", "--only", "medium"]), 0, &["2 actions: 2 would"]);
    is(&workspace.reconcile(["apply", "latest", "--only", "4"]), 0, &["1 action: 1 would", "{\"id\":4}"]);
    is(
        &workspace.reconcile(["apply", "latest", "--only", "{\"id\":2}", "--only", "mismatch", "--execute"]),
        0,
        &["1 done"],
    );
}

#[test]
fn personal_values_are_fetched_from_the_owner_and_stand_in_no_receipt() {
    let personal = format!("[contract.orders.attribute.customer]\npii = \"mask\"\n{AUTO}");
    let workspace = workspace(&personal);
    is(&workspace.reconcile(["run"]), 1, &[]);
    let plan = std::fs::read_to_string(workspace.run().join("plan.ndjson")).unwrap();
    assert!(!plan.contains("Béla") && plan.contains("\"pii\""));
    is(&workspace.reconcile(["apply", "latest", "--execute"]), 0, &["3 done"]);
    assert_eq!(dump(&workspace)[1], "2|Béla 🦀 'x'; drop table orders|20.50|62");
    let receipt = std::fs::read_to_string(&tree(&workspace)[0]).unwrap();
    assert!(!receipt.contains("Béla") && !receipt.contains("Bela") && !receipt.contains("Cleo"), "{receipt}");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
    assert!(!receipt.contains(&hex("Cleo")) && !receipt.contains(&hex("Bela")), "{receipt}");
    let undone = workspace.reconcile(["apply", "--rollback", "latest", "--execute"]);
    is(&undone, 1, &["the receipt holds no personal value", "undo update"]);
    assert_eq!(dump(&workspace)[3], "4|Dora|1.20|64", "what is not personal comes back");
}

#[test]
fn an_owner_value_is_written_as_it_stands_and_not_as_it_compares() {
    let folded = format!("[contract.orders.attribute.customer]\ncase = \"ignore\"\ntrim = \"both\"\n{AUTO}");
    let workspace = workspace(&folded);
    workspace.file("orders.csv", "id,customer,total\n1,Anna,10.00\n2, BÉLA ,20.50\n4,Dora,1.20\n9,Old,9\n");
    is(&workspace.reconcile(["run"]), 1, &[]);
    is(&workspace.reconcile(["apply", "latest", "--execute"]), 0, &["1 done"]);
    assert_eq!(dump(&workspace)[1], "2| BÉLA |20.50|62");
    is(&workspace.reconcile(["run"]), 0, &[]);
}

const FILES: &str = "version = 1\n[source.shop]\nlocation = \"orders.csv\"\n[source.copy]\nlocation = \"COPY\"\nCSV[contract.orders]\nversion = \"1.0.0\"\nauthority = \"shop\"\nprojection = \"copy\"\nkey = [\"id\"]\nignore = [\"note\"]\n[contract.orders.attribute.total]\ntype = \"decimal(12, 2)\"\n[contract.orders.attribute.paid]\ntype = \"boolean\"\n[contract.orders.attribute.day]\ntype = \"date\"\n[contract.orders.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\norphan = \"review\"\n";

const OWNER: &str = "id,customer,total,paid,day\n1,Anna,10.00,true,2026-01-01\n2,\"a;b\"\"c\nd\",20.50,false,2026-01-31\n3,,30.00,true,\n4,\"\",-1.25,true,2026-12-24\n";

#[test]
fn a_repaired_copy_of_a_csv_file_lies_beside_it_and_agrees() {
    let workspace = Workspace::new();
    workspace.file("orders.csv", OWNER);
    let csv = "csv = { delimiter = \";\", decimal = \",\", true = [\"J\"], false = [\"N\"], date_format = \"%d.%m.%Y\", encoding = \"latin1\" }\n";
    workspace.file("reconcile.toml", &FILES.replace("COPY", "copy.csv").replace("CSV", csv));
    let copy = b"id;note;customer;total;paid;day\n1;\"\";Anna;10,00;J;01.01.2026\n2;\xe9;x;20,5;N;31.01.2026\n9;n;Old;1;N;01.01.2026\n4;;Y;0;N;\n";
    workspace.bytes("copy.csv", copy);
    is(&workspace.reconcile(["run"]), 1, &[]);
    is(&workspace.reconcile(["apply", "latest"]), 1, &["`--out FILE` writes a repaired copy of a file"]);
    is(&workspace.reconcile(["apply", "latest", "--out", "repaired.csv", "--include-review"]), 0, &["done"]);
    assert_eq!(std::fs::read(workspace.path().join("copy.csv")).unwrap(), copy, "the original is not touched");
    let repaired = std::fs::read(workspace.path().join("repaired.csv")).unwrap();
    let text: String = repaired.iter().map(|&byte| char::from(byte)).collect();
    assert_eq!(
        text,
        "id;note;customer;total;paid;day\n1;\"\";Anna;10,00;J;01.01.2026\n2;é;\"a;b\"\"c\nd\";20,5;N;31.01.2026\n4;;\"\";-1,25;J;24.12.2026\n3;;;30,00;J;\n"
    );
    is(&workspace.reconcile(["apply", "latest", "--out", "repaired.csv"]), 2, &["nothing is written over"]);
    workspace.bytes("copy.csv", &repaired);
    is(&workspace.reconcile(["apply", "latest", "--out", "again.csv"]), 2, &["not what it was in the run"]);
    is(&workspace.reconcile(["run"]), 0, &[]);
}

#[test]
fn a_repaired_copy_of_a_parquet_file_keeps_its_types() {
    use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int32Array, StringArray};
    let workspace = Workspace::new();
    workspace.file("orders.csv", OWNER);
    workspace.file("reconcile.toml", &FILES.replace("COPY", "copy.parquet").replace("CSV", ""));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", std::sync::Arc::new(Int32Array::from(vec![1, 2, 9, 4]))),
        ("customer", std::sync::Arc::new(StringArray::from(vec!["Anna", "x", "Old", "Y"]))),
        (
            "total",
            std::sync::Arc::new(Decimal128Array::from(vec![1000, 2050, 1, 0]).with_precision_and_scale(12, 2).unwrap()),
        ),
        ("paid", std::sync::Arc::new(BooleanArray::from(vec![true, false, false, false]))),
        ("day", std::sync::Arc::new(Date32Array::from(vec![20454, 20484, 0, 0]))),
        ("note", std::sync::Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff"), None, None, None]))),
    ];
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    let batch = arrow::array::RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let file = std::fs::File::create(workspace.path().join("copy.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    is(&workspace.reconcile(["run"]), 1, &[]);
    is(&workspace.reconcile(["apply", "latest", "--out", "repaired.parquet", "--include-review"]), 0, &["done"]);
    let file = std::fs::File::open(workspace.path().join("repaired.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let types = |schema: &arrow::datatypes::Schema| {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>()
    };
    assert_eq!(types(reader.schema()), types(&batch.schema()));
    std::fs::rename(workspace.path().join("repaired.parquet"), workspace.path().join("copy.parquet")).unwrap();
    is(&workspace.reconcile(["run"]), 0, &[]);
}

#[test]
fn what_the_owner_is_asked_to_send_again_is_a_command_with_a_key_of_its_own() {
    let workspace = workspace("[contract.orders.repair]\nmissing = \"replay\"\nmismatch = \"ignore\"\n");
    is(&workspace.reconcile(["run"]), 1, &[]);
    let outcome = workspace.reconcile(["plan", "latest", "--replay"]);
    is(&outcome, 0, &[]);
    let line: serde_json::Value = serde_json::from_str(outcome.stdout.trim()).unwrap();
    assert_eq!(line["command"], "replay");
    assert_eq!(line["owner"], "shop");
    assert_eq!(line["key"], serde_json::json!({ "id": 3 }));
    assert_eq!(line["idempotency_key"].as_str().map(str::len), Some(32));
    assert_eq!(workspace.reconcile(["plan", "latest", "--replay"]).stdout, outcome.stdout);
}
