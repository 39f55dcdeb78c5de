//! Three-way parity through the binary: which copy is right, against a plain map, and what keeps it from being told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;

use crate::oracle::random::Random;
use crate::support::{Outcome, Workspace, read_json, tree};

/// What both copies are compared with is read once, in one state.
mod one_reading;

const CONTRACT: &str = r#"
version = 1
[run]
pii_key = "a key of at least sixteen characters"

[source.admin]
location = "admin.csv"

[source.new_crm]
location = "new.csv"

[source.old_crm]
location = "old.csv"
#OLD

[contract.policies]
version = "1.0.0"
authority = "admin"
projection = "new_crm"
baseline = "old_crm"
key = ["id"]
#CONTRACT

[contract.policies.attribute.id]
type = "int64"

[contract.policies.attribute.premium]
type = "decimal"
#PREMIUM
"#;

const ADMIN: &str = "id,premium,name\n1,10,Ann\n2,20,Bob\n3,30,Cid\n";

/// A workspace of three tables; `lines` are put in place of the marks of the contract.
fn workspace(new: &str, old: &str, lines: &[(&str, &str)]) -> Workspace {
    let workspace = Workspace::new();
    let text = lines.iter().fold(CONTRACT.to_owned(), |text, (mark, line)| text.replace(mark, line));
    workspace.file("reconcile.toml", &text);
    workspace.file("admin.csv", ADMIN);
    workspace.file("new.csv", new);
    workspace.file("old.csv", old);
    workspace
}

/// The contract in the summary of the last run.
fn found(workspace: &Workspace) -> Value {
    let run = workspace.runs().pop().unwrap();
    read_json(&run.join("summary.json"))["contracts"][0].clone()
}

fn counts(baseline: &Value) -> [u64; 6] {
    ["regressions", "inherited", "changed", "healed", "in_flight", "untold"]
        .map(|name| baseline[name].as_u64().unwrap_or_else(|| panic!("{name} of {baseline}")))
}

/// Runs, and looks for texts wherever its lines are broken.
fn run(workspace: &Workspace, status: i32, says: &[&str]) -> Outcome {
    let outcome = workspace.reconcile(["run"]);
    outcome.unbroken().expect(status, says);
    outcome
}

const SAME: &str = "id,premium,name\n1,10.0,Ann\n2,20,Bob\n3,30,Cid\n";
const FAULTY: &str = "id,premium,name\n1,11,Ann\n2,20,Bob\n";

#[test]
fn books_verdict_and_divergences_are_those_without_a_baseline() {
    let workspace = workspace(FAULTY, SAME, &[]);
    run(&workspace, 1, &["2 regressions (old_crm is right)"]);
    let with = found(&workspace);
    let lines = std::fs::read(workspace.run().join("divergences.parquet")).unwrap();
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("baseline = \"old_crm\"", ""));
    std::fs::remove_dir_all(workspace.path().join("reports")).unwrap();
    run(&workspace, 1, &[]);
    let without = found(&workspace);
    assert!(without.get("baseline").is_none());
    for member in ["verdict", "because", "books", "divergences", "severities", "plan", "coverage"] {
        assert_eq!(with[member], without[member], "{member}");
    }
    assert_eq!(lines, std::fs::read(workspace.run().join("divergences.parquet")).unwrap());
}

#[test]
fn a_copy_that_agrees_is_agreed_however_wrong_the_old_one_is() {
    let workspace = workspace(SAME, FAULTY, &[]);
    run(&workspace, 0, &["every row agrees", "0 regressions", "2 healed"]);
    assert_eq!(counts(&found(&workspace)["baseline"]), [0, 0, 0, 2, 0, 0]);
}

#[test]
fn a_report_is_rendered_again_with_it_and_its_files_are_in_the_manifest() {
    let workspace = workspace(FAULTY, SAME, &[]);
    run(&workspace, 1, &[]);
    let folder = workspace.run();
    let manifest = read_json(&folder.join("manifest.json"));
    let input = &manifest["contracts"][0]["baseline"]["input"];
    assert_eq!(input["source"], "old_crm");
    assert_eq!(input["files"][0]["blake3"].as_str().map(str::len), Some(64));
    assert_eq!(input["table_digest"], manifest["contracts"][0]["inputs"]["authority"]["table_digest"]);
    let id = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let again = workspace.reconcile(["report", &id, "--format", "json"]).expect(1, &[]).stdout.clone();
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["contracts"][0]["baseline"], found(&workspace)["baseline"]);
    let told = workspace.reconcile(["report", &id, "--format", "markdown"]);
    told.expect(1, &["### Three-way parity", "| regression | 2 |"]);
    let metrics = std::fs::read_to_string(folder.join("metrics.prom")).unwrap();
    assert!(
        metrics.contains("reconcile_baseline_divergences{contract=\"policies\",status=\"regression\"} 2"),
        "{metrics}"
    );
}

#[test]
fn a_baseline_that_cannot_be_read_is_never_agreed() {
    let missing = workspace(SAME, SAME, &[]);
    std::fs::remove_file(missing.path().join("old.csv")).unwrap();
    run(&missing, 2, &["unverified", "its baseline could not be compared", "baseline `old_crm`", "old.csv"]);
    assert_eq!(found(&missing)["baseline"]["regressions"], Value::Null);
    missing.reconcile(["check", "--sources"]).expect(2, &["baseline `old_crm`", "old.csv"]);

    let ragged = workspace(SAME, "id,premium,name\n1,10,Ann\n2,20,Bob,surplus\n3,30,Cid\n", &[]);
    run(&ragged, 2, &["unverified", "baseline `old_crm`", "old.csv"]);

    let without_key = workspace(SAME, "no,premium,name\n1,10,Ann\n", &[]);
    run(&without_key, 2, &["unverified", "baseline `old_crm`", "id"]);
    assert_eq!(found(&without_key)["books"]["projection"]["agree"], 3);

    let stale = [("#OLD", "captured_at = \"2020-01-01T00:00:00Z\"\nmax_age = \"26h\"")];
    let stale = workspace(SAME, SAME, &stale);
    run(&stale, 2, &["unverified", "baseline `old_crm`", "speaks for 2020-01-01T00:00:00Z"]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let cases = [
        (("baseline = \"old_crm\"", "baseline = \"old_crn\""), "baseline \"old_crn\" is no source"),
        (("baseline = \"old_crm\"", "baseline = \"new_crm\""), "baseline \"new_crm\" is the projection"),
        (("baseline = \"old_crm\"", "baseline = \"admin\""), "baseline \"admin\" is the authority"),
        (("key = [\"id\"]", "key = []"), "a baseline without a key"),
        (("#PREMIUM", "projected_as = { admin = \"x\" }"), "neither the projection nor the baseline"),
        (("#PREMIUM", "projected_as = { old_crm = \"id\" }"), "is the column of attribute \"id\" already"),
    ];
    for ((mark, line), says) in cases {
        let workspace = workspace(SAME, SAME, &[(mark, line)]);
        let outcome = workspace.reconcile(["check"]);
        outcome.expect(2, &[says, "reconcile.toml:"]);
    }
}

#[test]
fn keys_that_are_compared_otherwise_are_not_held_side_by_side() {
    let workspace = workspace(SAME, SAME, &[("[contract.policies.attribute.id]\ntype = \"int64\"", "")]);
    workspace.file("new.ndjson", "{\"id\":1,\"premium\":10,\"name\":\"Ann\"}\n");
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("new.csv", "new.ndjson"));
    run(&workspace, 2, &["key `id` is compared as numbers with the projection and as texts with the baseline", "type"]);
}

#[test]
fn a_column_that_the_old_copy_lacks_is_not_told_to_be_right() {
    let workspace = workspace("id,premium,name\n1,11,Amy\n2,20,Bob\n3,30,Cid\n", "id,premium\n1,10\n2,20\n3,31\n", &[]);
    run(&workspace, 1, &["1 regression (old_crm is right)", "in what old_crm does not tell (name)"]);
    let baseline = &found(&workspace)["baseline"];
    // The premium of 1; that of 3 and the column itself are better now.
    assert_eq!(counts(baseline), [1, 0, 0, 2, 0, 1]);
    assert_eq!(baseline["unseen"], serde_json::json!(["name"]));
}

#[test]
fn where_is_about_two_sides_and_says_so() {
    let workspace = workspace(FAULTY, SAME, &[]);
    let outcome = workspace.reconcile(["run", "--where", "premium > 5"]);
    outcome.expect(1, &["so the baseline is"]);
    assert!(found(&workspace).get("baseline").is_none());
}

#[test]
fn owners_and_lookups_are_the_authority_of_both_copies() {
    let more = "[source.billing]\nlocation = \"billing.csv\"\n[contract.policies.attribute.balance]\nowner = \"billing\"\ntype = \"decimal\"\n";
    let new = "id,premium,name,balance\n1,10,Ann,100\n2,20,Bob,201\n3,30,Cid,301\n";
    let old = "id,premium,name,balance\n1,10,Ann,101\n2,20,Bob,200\n3,30,Cid,301\n";
    let workspace = workspace(new, old, &[("#PREMIUM", more)]);
    workspace.file("billing.csv", "id,balance\n1,100.0\n2,200\n3,300\n");
    run(&workspace, 1, &["1 regression (old_crm is right), 1 inherited, 1 healed"]);
    workspace.reconcile(["run"]).expect(1, &["1 regression (old_crm is right)"]);
}

#[test]
fn personal_values_of_either_copy_are_in_no_file() {
    let new = "id,premium,name\n1,10,Planted-New\n2,20,Planted-Both\n3,30,Cid\n";
    let old = "id,premium,name\n1,10,Planted-Old\n2,20,Planted-Both\n3,30,Planted-Healed\n";
    let personal = [("#PREMIUM", "[contract.policies.attribute.name]\npii = \"mask\"")];
    let workspace = workspace(new, old, &personal);
    let outcome = run(&workspace, 1, &["1 changed", "1 inherited", "1 healed", "***"]);
    assert!(!outcome.shown().contains("Planted"), "{}", outcome.shown());
    let reports = workspace.path().join("reports");
    let files: Vec<_> = tree(&reports).into_iter().filter(|name| reports.join(name).is_file()).collect();
    assert!(files.len() > 5, "{files:?}");
    for name in files {
        let bytes = std::fs::read(reports.join(&name)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("Planted"), "{name}");
    }
}

#[test]
fn what_is_on_its_way_is_no_regression() {
    let workspace = Workspace::new();
    let text = CONTRACT
        .replace("location = \"admin.csv\"", "location = \"admin.csv\"\nupdated_at = \"at\"\ntimezone = \"UTC\"")
        .replace("location = \"new.csv\"", "location = \"new.csv\"\ncaptured_at = \"2026-01-01T12:00:00Z\"")
        .replace("#OLD", "captured_at = \"2026-01-01T12:00:00Z\"")
        .replace("#CONTRACT", "window = \"1h\"");
    workspace.file("reconcile.toml", &text);
    workspace.file(
        "admin.csv",
        "id,premium,at\n1,10,2026-01-01T11:50:00Z\n2,20,2026-01-01T11:50:00Z\n3,30,2026-01-01T08:00:00Z\n",
    );
    workspace.file("new.csv", "id,premium\n1,9,\n2,20\n3,30\n".replace("9,", "9").as_str());
    workspace.file("old.csv", "id,premium\n1,10\n2,19\n3,29\n");
    run(&workspace, 0, &["1 in flight"]);
    // What is on its way to the old copy is not healed by the new one.
    assert_eq!(counts(&found(&workspace)["baseline"]), [0, 0, 0, 1, 1, 0]);
}

#[test]
fn parity_tells_regressions_apart() {
    let workspace = workspace(FAULTY, SAME, &[("#PREMIUM", "[contract.policies.parity]\nconsecutive_runs = 1")]);
    run(&workspace, 1, &[]);
    workspace.reconcile(["parity", "policies"]).expect(1, &["baseline old_crm: regression 2, inherited 0"]);
    let document = workspace.reconcile(["parity", "policies", "--format", "json"]).expect(1, &[]).stdout.clone();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["baseline"]["divergences"]["regression"], 2);
}

#[test]
fn each_status_is_explained() {
    let workspace = Workspace::new();
    for status in ["regression", "inherited", "changed", "healed"] {
        workspace.reconcile(["explain", status]).expect(0, &[status, "old copy"]);
    }
}

#[test]
fn mapped_keys_and_what_was_taken_over_change_nothing() {
    let more = "[contract.policies.crosswalk]\nlocation = \"map.csv\"\nauthority_column = \"ours\"\nprojection_column = \"theirs\"";
    let new = "id,premium,name\n11,10,Ann\n12,21,Bob\n";
    let old = "id,premium,name\n11,11,Ann\n12,20,Bob\n13,30,Cid\n";
    let mapped = workspace(new, old, &[("#PREMIUM", more)]);
    mapped.file("map.csv", "ours,theirs\n1,11\n2,12\n3,13\n");
    run(&mapped, 1, &["2 regressions (old_crm is right), 1 healed"]);

    let table = |faults: &[usize]| {
        let row = |id: usize| format!("{id},{},n{id}\n", if faults.contains(&id) { id + 1 } else { id });
        format!("id,premium,name\n{}", (0..3000).map(row).collect::<String>())
    };
    let again = workspace(&table(&[5, 7, 1000]), &table(&[7, 9]), &[]);
    again.file("admin.csv", &table(&[]));
    for _ in 0..3 {
        run(&again, 1, &["2 regressions (old_crm is right), 1 inherited, 1 healed"]);
        // What was written just now is not trusted to be unchanged.
        std::thread::sleep(std::time::Duration::from_millis(60));
    }
    assert!(found(&again)["taken_over"]["authority"]["rows"].as_u64() > Some(0), "nothing was taken over");
    again.reconcile(["run", "--threads", "1", "--no-cache"]).expect(1, &["2 regressions (old_crm is right)"]);
}

type Cells = [Option<u8>; 2];
type Rows = Vec<(Option<u8>, Cells)>;

fn value(random: &mut Random) -> Option<u8> {
    (!random.percent(15)).then(|| u8::try_from(random.below(3)).unwrap())
}

fn table(random: &mut Random) -> Rows {
    let mut rows = Rows::new();
    for id in 0..8 {
        let id = (!random.percent(4)).then_some(id);
        rows.push((id, [value(random), value(random)]));
    }
    rows
}

/// The same rows with some lost, some twice, some new, some without a key, some other.
fn edited(rows: &Rows, random: &mut Random) -> Rows {
    let mut edited = Rows::new();
    for (id, cells) in rows {
        if random.percent(10) {
            continue;
        }
        let mut row = (if random.percent(5) { None } else { *id }, *cells);
        for cell in &mut row.1 {
            if random.percent(20) {
                *cell = value(random);
            }
        }
        edited.push(row);
        if random.percent(6) {
            edited.push(row);
        }
    }
    for id in 8..11 {
        if random.percent(30) {
            edited.push((Some(id), [value(random), value(random)]));
        }
    }
    random.shuffle(&mut edited);
    edited
}

fn csv(rows: &Rows) -> String {
    let text = |cell: Option<u8>| cell.map_or_else(String::new, |cell| cell.to_string());
    rows.iter().fold("id,x,y\n".to_owned(), |mut all, (id, [x, y])| {
        writeln!(all, "{},{},{}", text(*id), text(*x), text(*y)).unwrap();
        all
    })
}

fn ndjson(rows: &Rows) -> String {
    rows.iter().fold(String::new(), |mut all, (id, [x, y])| {
        writeln!(all, "{}", serde_json::json!({"y": y, "id": id, "x": x})).unwrap();
        all
    })
}

/// What is wrong of one key in one copy.
#[derive(Clone, Debug, PartialEq)]
enum Wrong {
    Row(String),
    Cells(BTreeMap<usize, Option<u8>>),
}

fn wrong(authority: &Rows, copy: &Rows) -> BTreeMap<u8, Wrong> {
    let of =
        |rows: &Rows, id: u8| -> Vec<Cells> { rows.iter().filter(|row| row.0 == Some(id)).map(|row| row.1).collect() };
    let ids: BTreeSet<u8> = authority.iter().chain(copy).filter_map(|row| row.0).collect();
    let judge = |id: u8| match (&of(authority, id)[..], &of(copy, id)[..]) {
        ([one], [other]) => {
            let cells: BTreeMap<_, _> =
                (0..2).filter(|cell| one[*cell] != other[*cell]).map(|cell| (cell, other[cell])).collect();
            (!cells.is_empty()).then_some(Wrong::Cells(cells))
        }
        ([_], []) => Some(Wrong::Row("absent".to_owned())),
        ([], [_]) => Some(Wrong::Row("surplus".to_owned())),
        (_, rows) => Some(Wrong::Row(format!("{} rows", rows.len()))),
    };
    ids.into_iter().filter_map(|id| Some((id, judge(id)?))).collect()
}

/// Regressions, inherited, changed, healed: a map a copy, and a walk over the union of their keys.
fn oracle(authority: &Rows, new: &Rows, old: &Rows) -> [u64; 4] {
    let [mut regressions, mut inherited, mut changed, mut healed] = [0; 4];
    let nulls = |rows: &Rows| rows.iter().filter(|row| row.0.is_none()).count() as u64;
    inherited += nulls(authority) + nulls(new).min(nulls(old));
    regressions += nulls(new).saturating_sub(nulls(old));
    healed += nulls(old).saturating_sub(nulls(new));
    let (new, old) = (wrong(authority, new), wrong(authority, old));
    for id in new.keys().chain(old.keys()).collect::<BTreeSet<_>>() {
        match (new.get(id), old.get(id)) {
            (Some(Wrong::Row(one)), Some(Wrong::Row(other))) if one == other => inherited += 1,
            (Some(Wrong::Row(_)), Some(_)) => changed += 1,
            (Some(Wrong::Row(_)), None) => regressions += 1,
            (Some(Wrong::Cells(cells)), Some(Wrong::Row(_))) => changed += cells.len() as u64,
            (None, Some(Wrong::Row(_))) => healed += 1,
            (one, other) => {
                let cells = |wrong: Option<&Wrong>| match wrong {
                    Some(Wrong::Cells(cells)) => cells.clone(),
                    _ => BTreeMap::new(),
                };
                let (one, other) = (cells(one), cells(other));
                for cell in 0..2 {
                    match (one.get(&cell), other.get(&cell)) {
                        (None, None) => {}
                        (Some(_), None) => regressions += 1,
                        (None, Some(_)) => healed += 1,
                        (Some(one), Some(other)) if one == other => inherited += 1,
                        (Some(_), Some(_)) => changed += 1,
                    }
                }
            }
        }
    }
    [regressions, inherited, changed, healed]
}

#[test]
fn random_tables_are_told_apart_as_by_a_plain_map() {
    let text = CONTRACT
        .replace(
            "[contract.policies.attribute.premium]\ntype = \"decimal\"",
            "[contract.policies.attribute.x]\ntype = \"int64\"",
        )
        .replace("#PREMIUM", "[contract.policies.attribute.y]\ntype = \"decimal\"")
        .replace("location = \"old.csv\"", "location = \"old.OLD\"");
    let mut seen = [0; 4];
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let authority = table(&mut random);
        let old = edited(&authority, &mut random);
        // A new copy is filled from the authority or from the old copy.
        let new = if random.percent(50) { edited(&old, &mut random) } else { edited(&authority, &mut random) };
        let workspace = Workspace::new();
        let (format, rows) = if random.percent(50) { ("csv", csv(&old)) } else { ("ndjson", ndjson(&old)) };
        workspace.file("reconcile.toml", &text.replace("OLD", format));
        workspace.file("admin.csv", &csv(&authority));
        workspace.file("new.csv", &csv(&new));
        workspace.file(&format!("old.{format}"), &rows);
        let outcome = workspace.reconcile(["run"]);
        let contract = found(&workspace);
        let baseline = &contract["baseline"];
        assert!(contract["error"].is_null(), "seed {seed}: {}", outcome.shown());
        let [regressions, inherited, changed, healed, in_flight, untold] = counts(baseline);
        let expected = oracle(&authority, &new, &old);
        assert_eq!([regressions, inherited, changed, healed], expected, "seed {seed}\n{authority:?}\n{new:?}\n{old:?}");
        assert_eq!((in_flight, untold), (0, 0), "seed {seed}");
        let lines: u64 = contract["severities"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        assert_eq!(regressions + inherited + changed, lines, "seed {seed}: every divergence is one of the three");
        seen.iter_mut().zip(expected).for_each(|(seen, more)| *seen += more);
    }
    assert!(seen.iter().all(|seen| *seen > 30), "the tables show too little: {seen:?}");
}

#[test]
fn more_regressions_than_parity_allows_are_no_evidence() {
    let gate = |most: &str| format!("[contract.policies.parity]\nconsecutive_runs = 1\n{most}");
    let allowed = "#CONTRACT";
    let status = |new: &str, most: &str| {
        let workspace = workspace(
            new,
            SAME,
            &[
                ("#PREMIUM", &gate(most)),
                (allowed, "allow = { keys = 10 }\nrepair = { mismatch = \"ignore\", missing = \"ignore\" }"),
            ],
        );
        run(&workspace, 0, &[]);
        workspace.reconcile(["parity", "policies"])
    };
    status(FAULTY, "max_regressions = 2").expect(0, &["at most 2 regressions in a run that counts"]);
    status(FAULTY, "max_regressions = 1").expect(1, &["missing  regressions", "has 2 regressions"]);
    status(SAME, "max_regressions = 0").expect(0, &["ready"]);
    let workspace =
        workspace(SAME, SAME, &[("#PREMIUM", &gate("max_regressions = 0")), ("baseline = \"old_crm\"", "")]);
    workspace.reconcile(["check"]).expect(2, &["max_regressions without a `baseline`"]);
}
