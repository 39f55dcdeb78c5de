//! Personal data that came in by another way than as a value that is compared: in a predicate, a number in a message, the name of a
//! folder, a column that no plan names, a value that does not fit. None of it comes out.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};

use crate::secrets::{everything, nothing_personal};
use crate::servers::postgres::database;
use crate::support::{Outcome, Workspace, pair_contract, read_json, write_parquet};

/// Nothing of what was said, and of what lies in the folder of reports, holds any of these.
#[track_caller]
fn nowhere(workspace: &Workspace, said: &[Outcome], values: &[&str]) {
    let reports = everything(&workspace.path().join("reports"));
    let said = said.iter().map(|outcome| ("said".to_owned(), outcome.shown()));
    for (name, text) in said.chain(reports) {
        nothing_personal(&name, &text);
        for value in values {
            assert!(!text.contains(value), "{name} holds `{value}`\n{text}");
        }
    }
}

#[test]
fn a_predicate_is_recorded_without_what_it_looks_for_however_that_is_quoted() {
    let workspace = Workspace::pair(
        ("a.csv", b"id,holder,note\n1,Annabella,a\n2,Bertholda,b\n"),
        ("b.csv", b"id,holder,note\n1,Annabella,a\n2,Carlotta,c\n"),
    );
    let contract = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{contract}attribute.holder.pii = \"mask\"\n"));
    let predicates = [
        "holder = \"Gundula\"",
        "holder = `Gundula`",
        "holder = $$Gundula$$",
        "holder = Gundula",
        "holder = 'x' -- Gundula",
        "holder = 'x' /* Gundula */",
        "\"holder\" = 'Gundula' and note < 'Zacharias' and id > 5550101",
    ];
    let mut said = Vec::new();
    for predicate in predicates {
        for format in ["text", "json", "markdown"] {
            said.push(workspace.reconcile(["run", "--where", predicate, "--format", format]));
        }
    }
    nowhere(&workspace, &said, &["5550101"]);
    let manifest = read_json(&workspace.runs().pop().unwrap().join("manifest.json"));
    assert_eq!(manifest["settings"]["where"], "\"holder\" = '***' and note < '***' and id > ***");
    let again = workspace.reconcile(["audit", "reproduce", "latest", "--where", predicates[6]]);
    again.expect(0, &["reproduced"]);
}

#[test]
fn numbers_of_a_personal_column_are_in_no_message() {
    let workspace = Workspace::new();
    for name in ["a.parquet", "b.parquet"] {
        let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
        let phones: ArrayRef = Arc::new(Int64Array::from(vec![-5_550_101, -5_550_777, 1, 2]));
        write_parquet(&workspace.path().join(name), vec![("id", ids), ("phone", phones)], 10);
    }
    let contract = format!("{}attribute.phone.pii = \"mask\"\n", pair_contract("a.parquet", "b.parquet"));
    let invariant = "[[contract.pair.invariant]]\nname = \"i\"\nside = \"both\"\nwhen = \"pow(2, phone) > 5\"\n\
        severity = \"high\"\n";
    let filtered = "location = \"a.parquet\"\nfilter = \"pow(2, phone) > 5\"";
    let mut said = Vec::new();
    for contract in [format!("{contract}{invariant}"), contract.replace("location = \"a.parquet\"", filtered)] {
        workspace.file("reconcile.toml", &contract);
        for format in ["text", "json", "ndjson", "markdown"] {
            let outcome = workspace.reconcile(["run", "--format", format]);
            said.push(outcome.unbroken());
            said.last().unwrap().expect(2, &["unverified", "for 2 out of 4 values"]);
            said.push(outcome);
        }
        said.push(workspace.reconcile(["explain", "latest", "1"]));
    }
    workspace.file("reconcile.toml", &contract);
    said.push(workspace.reconcile(["run", "--where", "pow(2, phone) > 5"]));
    nowhere(&workspace, &said, &["5550101", "5550777"]);
}

/// Columns of a database that the contract declares personal and that no plan names, because the authority has no such column
/// or the contract leaves it out.
#[test]
fn a_script_that_deletes_a_row_shows_no_column_that_the_plan_does_not_name() {
    for besides in ["", "ignore = [\"pho*\"]\n"] {
        let workspace = Workspace::new();
        workspace.file("a.csv", "id,note\n1,a\n2,b\n");
        let database = rusqlite::Connection::open(workspace.path().join("b.db")).unwrap();
        database
            .execute_batch(
                "CREATE TABLE people (id INTEGER PRIMARY KEY, note TEXT, phone TEXT);
                 INSERT INTO people VALUES (1, 'a', '555-0101'), (2, 'x', '555-0102'), (3, 'c', '555-0199');",
            )
            .unwrap();
        let contract = pair_contract("a.csv", "sqlite:b.db#people");
        let repair = "[contract.pair.repair]\norphan = \"auto\"\nmismatch = \"auto\"\n";
        let personal = "attribute.phone.pii = \"mask\"\n";
        workspace.file("reconcile.toml", &format!("{contract}{besides}{personal}{repair}"));
        let mut said = vec![workspace.reconcile(["run"])];
        said[0].expect(1, &["orphan"]);
        let script = fs::read_to_string(workspace.run().join("plan.sql")).unwrap();
        assert!(script.contains("-- manual: pair {\"id\":3}: its row has columns"), "{script}");
        assert!(script.contains("UPDATE") && !script.contains("DELETE"), "what is named is written: {script}");
        let rollback = fs::read_to_string(workspace.run().join("rollback.sql")).unwrap();
        assert!(rollback.contains("UPDATE") && !rollback.contains("INSERT"), "{rollback}");
        said.push(workspace.reconcile(["apply", "latest"]));
        said.push(workspace.reconcile(["apply", "latest", "--execute", "--include-review"]));
        said[2].expect(0, &["2 done"]);
        let left: i64 = database.query_row("SELECT count(*) FROM people", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 2, "`apply` deletes it all the same");
        nowhere(&workspace, &said, &[]);
    }
}

/// Two contracts repair one database, and the second has personal data: what its commit was refused for is quoted by the server.
#[test]
fn a_refused_commit_is_said_without_the_value_whichever_contract_comes_first() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE phones (phone text PRIMARY KEY); CREATE TABLE plain (id int PRIMARY KEY, n int); \
         CREATE TABLE people (id int PRIMARY KEY, phone text REFERENCES phones DEFERRABLE INITIALLY DEFERRED)",
    );
    workspace.file("a.csv", "id,n\n1,2\n");
    workspace.file("b.csv", "id,phone\n1,555-0199\n");
    let source = |name: &str, location: &str| format!("[source.{name}]\nlocation = \"{location}\"\n");
    let contract = |name: &str, authority: &str| {
        format!(
            "[contract.{name}]\nversion = \"1.0.0\"\nauthority = \"{authority}\"\nprojection = \"{name}\"\nkey = [\"id\"]\n\
             repair.missing = \"auto\"\n"
        )
    };
    let text = format!(
        "version = 1\n{}{}{}{}{}{}attribute.phone.pii = \"mask\"\n",
        source("a", "a.csv"),
        source("b", "b.csv"),
        source("plain", &database.table("plain")),
        source("people", &database.table("people")),
        contract("plain", "a"),
        contract("people", "b"),
    );
    workspace.file("reconcile.toml", &text);
    let said = [workspace.reconcile(["run"]), workspace.reconcile(["apply", "latest", "--execute"])];
    said[0].expect(1, &["missing"]);
    said[1].expect(1, &["1 done", "(code 23503)"]);
    nowhere(&workspace, &said, &[]);
}

#[test]
fn a_copy_says_that_a_personal_value_does_not_fit_and_not_which() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,phone\n1,1\n2,5550199123\n");
    let phones: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    write_parquet(&workspace.path().join("b.parquet"), vec![("id", ids), ("phone", phones)], 10);
    let contract = pair_contract("a.csv", "b.parquet");
    let repair = "[contract.pair.repair]\nmismatch = \"auto\"\n";
    for (personal, shows) in [("pii = \"mask\"\n", false), ("", true)] {
        let attribute = format!("[contract.pair.attribute.phone]\ntype = \"int64\"\n{personal}");
        workspace.file("reconcile.toml", &format!("{contract}{attribute}{repair}"));
        workspace.reconcile(["run"]).expect(1, &["mismatch"]);
        let outcome = workspace.reconcile(["apply", "latest", "--out", "c.parquet", "--include-review"]);
        outcome.expect(2, &["column `phone` (Int32) cannot hold a value"]);
        assert_eq!(outcome.shown().contains("5550199123"), shows, "{}", outcome.shown());
        if !shows {
            nowhere(&workspace, &[outcome], &["5550199123"]);
        }
    }
}

const FOLDERS: &str = "version = 1\n[source.one]\nlocation = \"p/*/x.csv\"\n[source.two]\nlocation = \"b.csv\"\n\
    [source.phones]\nlocation = \"q/*/y.csv\"\n[contract.people]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"two\"\n\
    key = [\"id\"]\n";

/// Rows in folders that are named by a personal column of the authority, and of another owner.
fn folders() -> Workspace {
    let workspace = Workspace::new();
    for (id, name, phone) in [(1, "Annabella", "5550101"), (2, "Bertholda", "5550777")] {
        workspace.file(&format!("p/holder={name}/x.csv"), &format!("id,holder\n{id},{name}\n"));
        workspace.file(&format!("q/tel={phone}/y.csv"), &format!("id,tel\n{id},{phone}\n"));
    }
    workspace
}

#[test]
fn a_folder_is_shown_without_the_value_that_names_it_whatever_reads_its_column() {
    let attributes = "[contract.people.attribute.client]\nderive = \"upper(holder)\"\npii = \"mask\"\n\
        [contract.people.attribute.phone]\nowner = \"phones\"\ncolumn = { phones = \"tel\" }\npii = \"mask\"\n";
    for contract in
        [format!("{FOLDERS}ignore = [\"authority:holder\"]\n{attributes}"), format!("{FOLDERS}{attributes}")]
    {
        let workspace = folders();
        workspace.file("b.csv", "id,client,phone\n1,ANNABELLA,5550101\n2,CARLOTTA,5550777\n");
        workspace.file("reconcile.toml", &contract);
        let mut said = Vec::new();
        for arguments in [&["run"][..], &["run", "--verbose", "--format", "json"], &["explain", "latest", "2"]] {
            said.push(workspace.reconcile(arguments));
        }
        said[0].expect(1, &["mismatch"]);
        // Two paths are one where they are masked, and what was read is all the same.
        said.push(workspace.reconcile(["audit", "reproduce", "latest"]));
        said[3].expect(0, &["reproduced"]);
        let manifest = fs::read_to_string(workspace.runs().pop().unwrap().join("manifest.json")).unwrap();
        assert!(manifest.contains("p/holder=***/x.csv") && manifest.contains("q/tel=***/y.csv"), "{manifest}");
        workspace.bytes("p/holder=Annabella/x.csv", b"id,holder\n1,Annabella\n\xff,\"x\"y\n");
        workspace.bytes("q/tel=5550101/y.csv", b"id,tel\n\"1\"x,1\n");
        said.push(workspace.reconcile(["run"]));
        said[4].expect(2, &["unverified"]);
        said.push(workspace.reconcile(["audit", "reproduce", "latest"]));
        nowhere(&workspace, &said, &["5550101", "5550777", "ANNABELLA", "CARLOTTA"]);
    }
}

#[test]
fn a_key_is_explained_from_folders_that_are_named_by_people() {
    let workspace = folders();
    workspace.file("b.csv", "id,holder\n1,Annabella\n2,Carlotta\n");
    let contract = FOLDERS.replace("[source.phones]\nlocation = \"q/*/y.csv\"\n", "");
    workspace.file("reconcile.toml", &format!("{contract}attribute.holder.pii = \"mask\"\n"));
    let run = workspace.reconcile(["run"]);
    run.expect(1, &["mismatch"]);
    let explained = workspace.reconcile(["explain", "latest", "2"]);
    explained.expect(0, &["(personal data)"]);
    assert!(!explained.shown().contains("not what it was"), "{}", explained.shown());
    workspace.file("p/holder=Annabella/x.csv", "id,holder\n1,Dorothea\n");
    let changed = workspace.reconcile(["explain", "latest", "2"]);
    changed.expect(0, &["authority: p/holder=***/x.csv is not what it was in the run"]);
    nowhere(&workspace, &[run, explained, changed], &[]);
}

#[test]
fn a_place_that_is_named_by_a_person_is_shown_without() {
    let workspace = folders();
    let names: ArrayRef = Arc::new(StringArray::from(vec!["Annabella"]));
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    write_parquet(&workspace.path().join("p/holder=Annabella/x.parquet"), vec![("id", ids), ("holder", names)], 10);
    workspace.file("b.csv", "id,holder\n1,Bertholda\n");
    let contract = pair_contract("p/holder=Annabella/x.parquet", "b.csv");
    workspace.file("reconcile.toml", &format!("{contract}attribute.holder.pii = \"mask\"\n"));
    let said = [workspace.reconcile(["run"]), workspace.reconcile(["run", "--format", "markdown"])];
    said[0].expect(1, &["mismatch"]);
    nowhere(&workspace, &said, &[]);
}
