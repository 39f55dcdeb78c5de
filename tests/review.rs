//! Divergences go out to people as CSV, and their decisions come back: into the ledger, the plan and the next runs.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::{Outcome, Workspace, contract, read_json};

type Row = BTreeMap<String, String>;

const AUTHORITY: &[u8] = b"id,name,city\n1,Anna,Rome\n2,Bert,Oslo\n3,Carl,Bern\n4,Dora,Kiel\n";
const PROJECTION: &[u8] = b"id,name,city\n1,Anna,Paris\n2,Berta,Oslo\n3,Carl,Bern\n5,Emil,Graz\n";

fn workspace() -> Workspace {
    Workspace::pair(("a.csv", AUTHORITY), ("b.csv", PROJECTION))
}

fn exported(workspace: &Workspace, arguments: &[&str]) -> Vec<Row> {
    let outcome = workspace.reconcile([&["review", "export"], arguments].concat());
    outcome.expect(0, &[]);
    rows(&outcome.stdout)
}

fn rows(text: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let row = |record: Result<csv::StringRecord, csv::Error>| {
        head.iter().cloned().zip(record.unwrap().iter().map(str::to_owned)).collect()
    };
    reader.records().map(row).collect()
}

/// Writes rows as a person's spreadsheet would, after a decision about some of them.
fn decided(workspace: &Workspace, rows: &[Row], decide: impl Fn(&Row) -> Option<&'static str>) {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head: Vec<&String> = rows[0].keys().collect();
    writer.write_record(&head).unwrap();
    for row in rows {
        let mut row = row.clone();
        if let Some(decision) = decide(&row) {
            row.insert("decision".to_owned(), decision.to_owned());
            row.insert("who".to_owned(), "amy".to_owned());
            row.insert("why".to_owned(), "looked at it".to_owned());
        }
        writer.write_record(row.values()).unwrap();
    }
    workspace.bytes("review.csv", &writer.into_inner().unwrap());
}

fn import(workspace: &Workspace) -> Outcome {
    workspace.reconcile(["review", "import", "review.csv"])
}

#[test]
fn a_key_is_explained_with_what_was_decided_of_it() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |row| (row["key"] == r#"{"id":"2"}"#).then_some("accept-projection"));
    import(&workspace).expect(0, &["1 decision was taken in"]);
    workspace.reconcile(["explain", "latest", "2"]).expect(0, &["accept-projection by amy: looked at it"]);
    let json = workspace.reconcile(["explain", "latest", "2", "--format", "json"]);
    let document: Value = serde_json::from_str(&json.expect(0, &[]).stdout).unwrap();
    assert_eq!(document["contracts"][0]["divergences"][0]["decision"]["who"], "amy");
    let other = workspace.reconcile(["explain", "latest", "1"]);
    assert!(!other.expect(0, &["mismatch"]).stdout.contains("amy"), "{}", other.shown());
}

fn newest(workspace: &Workspace) -> Value {
    let summary = read_json(&workspace.runs().last().unwrap().join("summary.json"));
    contract(&summary, "pair").clone()
}

fn plan(workspace: &Workspace) -> Vec<Value> {
    let text = fs::read_to_string(workspace.runs().last().unwrap().join("plan.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is(row: &Row, kind: &str, attribute: &str) -> bool {
    row["kind"] == kind && row["attribute"] == attribute
}

#[test]
fn what_needs_a_person_goes_out_a_line_each() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    let mut shown: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {} {}", row["kind"], row["key"], row["attribute"], row["proposed_action"]))
        .collect();
    shown.sort();
    assert_eq!(
        shown,
        [
            r#"mismatch {"id":"1"} city update (review)"#,
            r#"mismatch {"id":"2"} name update (review)"#,
            r#"missing {"id":"4"}  insert (review)"#,
            r#"orphan {"id":"5"}  delete (review)"#,
        ]
    );
    assert!(rows.iter().all(|row| row["decision"].is_empty() && row["row_digest"].len() == 64));
    assert!(exported(&workspace, &["latest", "--contract", "pair"]).len() == 4);
    workspace.reconcile(["review", "export", "--contract", "other"]).expect(2, &["is not in run", "pair"]);
    workspace.reconcile(["review", "export", "--out", "review.csv"]).expect(0, &["4 divergences are in review.csv"]);
    workspace.reconcile(["review", "export", "--out", "review.csv"]).expect(2, &["is there already"]);
}

#[test]
fn what_a_safe_action_repairs_goes_out_only_where_all_is_asked_for() {
    let workspace = workspace();
    let contract = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{contract}repair = {{ missing = \"auto\", orphan = \"ignore\" }}\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let kinds = |rows: Vec<Row>| rows.iter().map(|row| row["kind"].clone()).collect::<std::collections::BTreeSet<_>>();
    let proposed = |rows: Vec<Row>| rows.iter().find(|row| row["kind"] == "orphan").unwrap()["proposed_action"].clone();
    assert_eq!(kinds(exported(&workspace, &[])), ["mismatch", "orphan"].map(str::to_owned).into());
    assert_eq!(kinds(exported(&workspace, &["--all"])).len(), 3);
    assert_eq!(proposed(exported(&workspace, &[])), "none");
}

#[test]
fn each_decision_does_what_it_says_in_plan_verdict_and_reports() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |row| match () {
        () if is(row, "mismatch", "city") => Some("accept-projection"),
        () if is(row, "mismatch", "name") => Some("accept-authority"),
        () if is(row, "missing", "") => Some("ignore-until 2999-01-01"),
        () => Some("fix-elsewhere"),
    });
    import(&workspace).expect(0, &["4 decisions were taken in; the next run applies them"]);
    import(&workspace).expect(0, &["0 decisions were taken in, 4 stood already"]);
    let shown = [
        "decided     1 divergence accept-projection by amy, not counted against the",
        "decided     1 divergence ignore-until 2999-01-01 by amy, not counted against",
        "decided     1 divergence fix-elsewhere by amy",
        "2 keys diverge",
    ];
    workspace.reconcile(["run"]).expect(1, &shown);
    let summary = newest(&workspace);
    assert_eq!(summary["divergences"]["mismatch"], 2, "what was decided is still counted");
    assert_eq!(summary["decided"]["away"], 2);
    assert_eq!(summary["plan"], serde_json::json!({"safe": 1, "review": 0, "manual": 0}));
    let actions = plan(&workspace);
    assert_eq!(actions.len(), 1);
    assert_eq!((&actions[0]["key"]["id"], &actions[0]["safety"]), (&"2".into(), &"safe".into()));
    assert_eq!(actions[0]["after"], serde_json::json!({"name": "Bert"}));
    assert_eq!(actions[0]["guard"]["values"], serde_json::json!({"name": "Berta"}));
    assert_eq!(actions[0]["reason"], "accept-authority by amy");
    let run = workspace.runs().last().unwrap().clone();
    let metrics = fs::read_to_string(run.join("metrics.prom")).unwrap();
    assert!(metrics.contains(r#"reconcile_decided_divergences{contract="pair",decision="ignore-until"} 1"#));
    assert!(fs::read_to_string(run.join("report.md")).unwrap().contains("| ignore-until | 2999-01-01 | amy | 1 |"));
    let again = workspace.reconcile(["report", "latest", "--format", "json"]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(contract(&again, "pair")["decided"], summary["decided"]);
    workspace.reconcile(["audit", "verify"]).expect(0, &["2 runs unchanged"]);
    assert!(exported(&workspace, &[]).is_empty(), "all is decided");
    let all = exported(&workspace, &["--all"]);
    assert_eq!(all.iter().filter(|row| row["who"] == "amy" && row["why"] == "looked at it").count(), 4);
}

#[test]
fn an_accepted_orphan_may_be_deleted_under_its_guard() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |row| ["orphan", "missing"].contains(&&*row["kind"]).then_some("accept-authority"));
    import(&workspace).expect(0, &["2 decisions"]);
    workspace.reconcile(["run"]).expect(1, &[]);
    let actions = plan(&workspace);
    let of = |op: &str| actions.iter().find(|action| action["op"] == op).unwrap();
    assert_eq!(of("delete")["safety"], "safe");
    assert_eq!(of("delete")["guard"]["values"]["name"], "Emil");
    assert_eq!(
        (&of("insert")["safety"], &of("insert")["guard"]),
        (&"safe".into(), &serde_json::json!({"row": "absent"}))
    );
    assert_eq!(of("update")["safety"], "review", "nobody decided of it");
}

#[test]
fn a_contract_of_which_all_was_decided_away_agrees_and_says_why() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |_| Some("accept-projection"));
    import(&workspace).expect(0, &["4 decisions"]);
    workspace.reconcile(["run"]).expect(0, &["4 divergences were decided away by amy", "mismatch"]);
    assert_eq!(newest(&workspace)["severities"]["high"], 2);
    // One row changes: what was decided of it holds no more.
    workspace.bytes("b.csv", &String::from_utf8_lossy(PROJECTION).replace("Paris", "Lyon").into_bytes());
    workspace.reconcile(["run"]).expect(1, &["1 divergence holds no more", "1 key diverges"]);
    // Another attribute of a pair changes nothing of what was decided, a missing row is its whole.
    workspace.bytes("b.csv", PROJECTION);
    workspace.bytes("a.csv", &String::from_utf8_lossy(AUTHORITY).replace("Dora,Kiel", "Dora,Bonn").into_bytes());
    workspace.reconcile(["run"]).expect(1, &["1 divergence holds no more", "1 key diverges"]);
    workspace.bytes("a.csv", AUTHORITY);
    workspace.reconcile(["run"]).expect(0, &["decided away"]);
}

#[test]
fn a_decision_can_be_taken_back() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |_| Some("accept-projection"));
    import(&workspace).expect(0, &["4 decisions"]);
    decided(&workspace, &rows, |row| is(row, "mismatch", "city").then_some("reopen"));
    import(&workspace).expect(0, &["1 decision was"]);
    workspace.reconcile(["run"]).expect(1, &["1 key diverges"]);
    assert_eq!(newest(&workspace)["decided"]["away"], 3);
}

#[test]
fn a_decision_about_a_row_that_has_changed_since_is_refused() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    workspace.bytes("b.csv", &String::from_utf8_lossy(PROJECTION).replace("Paris", "Lyon").into_bytes());
    workspace.bytes("a.csv", &String::from_utf8_lossy(AUTHORITY).replace("Dora,Kiel", "Dora,Bonn").into_bytes());
    workspace.reconcile(["run"]).expect(1, &[]);
    decided(&workspace, &rows, |row| ["city", ""].contains(&&*row["attribute"]).then_some("accept-projection"));
    let outcome = import(&workspace);
    outcome.expect(2, &["review.csv:", "the row has changed since", "nothing was taken in"]);
    assert_eq!(outcome.stderr.matches("the row has changed since").count(), 2, "{}", outcome.shown());
    assert!(!workspace.path().join("reports/decisions.ndjson").exists());
    // What healed is not there any more.
    workspace.bytes("b.csv", AUTHORITY);
    workspace.bytes("a.csv", AUTHORITY);
    workspace.reconcile(["run"]).expect(0, &[]);
    import(&workspace).expect(2, &["does not know the divergence"]);
}

#[test]
fn all_problems_of_a_file_are_told_at_once_and_nothing_is_taken() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    let mut number = std::cell::Cell::new(0);
    decided(&workspace, &rows, |_| {
        number.set(number.get() + 1);
        Some(["accept-projektion", "ignore-until soon", "ignore-until", "fix-elsewhere"][number.get() - 1])
    });
    assert_eq!(*number.get_mut(), 4);
    let texts = [
        "review.csv:2:1: decision `accept-projektion` is not one of accept-authority, accept-projection",
        "did you mean `accept-projection`?",
        "review.csv:3:1: until `soon` is not a day, expected YYYY-MM-DD",
        "review.csv:4:1: ignore-until needs a day",
        "hint: nothing was taken in",
    ];
    import(&workspace).expect(2, &texts);
    assert!(!workspace.path().join("reports/decisions.ndjson").exists());
    let mut nobody = rows[0].clone();
    nobody.insert("decision".to_owned(), "ignore-until".to_owned());
    nobody.insert("until".to_owned(), "2001-01-01".to_owned());
    decided(&workspace, &[nobody.clone(), nobody.clone()], |_| None);
    import(&workspace).expect(2, &["nobody is named", "no reason is given", "is not after today"]);
    nobody.insert("why".to_owned(), "because".to_owned());
    nobody.insert("until".to_owned(), "2999-01-01".to_owned());
    decided(&workspace, &[nobody.clone(), nobody.clone()], |_| None);
    workspace.reconcile(["review", "import", "review.csv", "--who", "bob"]).expect(2, &["line 2 decides the same"]);
    decided(&workspace, &[nobody], |_| None);
    workspace.reconcile(["review", "import", "review.csv", "--who", "bob"]).expect(0, &["1 decision was taken in"]);
    workspace.file("review.csv", "a,b\n1,2\n");
    import(&workspace).expect(2, &["review.csv:1:1: has no column contract"]);
    workspace.reconcile(["review", "import", "none.csv"]).expect(2, &["none.csv: cannot be read"]);
}

#[test]
fn what_cannot_be_known_again_or_never_decided_is_refused() {
    let workspace = Workspace::pair(
        ("a.csv", b"id,name,old\n1,Anna,x\n,Bert,x\n7,Carl,x\n7,Carla,x\n"),
        ("b.csv", b"id,name\n1,Anna\n"),
    );
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    assert_eq!(rows.len(), 3, "{rows:?}");
    for (kind, text) in [
        ("schema", "cannot be decided"),
        ("null_key", "cannot be decided"),
        ("duplicate_key", "there is no row to take over"),
    ] {
        decided(&workspace, &rows, |row| (row["kind"] == kind).then_some("accept-authority"));
        import(&workspace).expect(2, &[text]);
    }
    decided(&workspace, &rows, |row| (row["kind"] == "duplicate_key").then_some("accept-projection"));
    import(&workspace).expect(0, &["1 decision"]);
    // A column that is not compared drifts all the same.
    workspace.reconcile(["run"]).expect(1, &["1 column could not be compared", "accept-projection by amy"]);
}

#[test]
fn a_decision_never_hides_what_could_not_be_read() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |_| Some("accept-projection"));
    import(&workspace).expect(0, &["4 decisions"]);
    workspace.bytes("b.csv", &[PROJECTION, b"6,too,many,fields\n"].concat());
    workspace.reconcile(["run"]).expect(2, &["could not be read"]);
}

#[test]
fn no_cell_can_be_a_formula_and_every_value_comes_out_whole() {
    let authority = "id,name\n\"=1+1\",\"@sum(a)\"\n2,\"+49\"\n3,\"'t Hooft\"\n4,\"a \"\"b\"\"\nc, 😀\"\n5,\"\"\n6,\n";
    let projection = "id,name\n\"=1+1\",x\n2,x\n3,x\n4,x\n5,x\n6,x\n";
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    workspace.reconcile(["run"]).expect(1, &[]);
    let outcome = workspace.reconcile(["review", "export"]);
    let rows = rows(&outcome.stdout);
    let mut values: Vec<&str> = rows.iter().map(|row| row["authority_value"].as_str()).collect();
    values.sort_unstable();
    assert_eq!(values, ["", "'", "''t Hooft", "'+49", "'@sum(a)", "a \"b\"\nc, 😀"]);
    for cell in rows.iter().flat_map(BTreeMap::values) {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
    }
    decided(&workspace, &rows, |_| Some("accept-projection"));
    import(&workspace).expect(0, &["6 decisions"]);
    workspace.reconcile(["run"]).expect(0, &["6 divergences were decided away"]);
}

#[test]
fn a_changed_file_of_decisions_is_found_and_nothing_of_it_is_believed() {
    let workspace = workspace();
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |_| Some("accept-projection"));
    import(&workspace).expect(0, &[]);
    let path = workspace.path().join("reports/decisions.ndjson");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("amy", "bob")).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(1, &["decisions.ndjson was changed"]);
    workspace.reconcile(["run"]).expect(1, &["no decision of people", "its recorded part was"]);
    // What a crash left behind the recorded lines is nothing.
    fs::write(&path, format!("{whole}{{\"record\":\"decision\"")).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(0, &["were never recorded"]);
    workspace.reconcile(["run"]).expect(0, &["4 divergences were decided away"]);
    fs::remove_file(&path).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(1, &["decisions.ndjson is missing"]);
}

#[test]
fn one_attribute_of_a_pair_is_decided_without_the_others() {
    let workspace = Workspace::pair(("a.csv", b"id,x,y,z\n1,a,b,c\n"), ("b.csv", b"id,x,y,z\n1,A,B,C\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    decided(&workspace, &rows, |row| match row["attribute"].as_str() {
        "x" => Some("accept-projection"),
        "y" => Some("accept-authority"),
        _ => None,
    });
    import(&workspace).expect(0, &["2 decisions"]);
    workspace.reconcile(["run"]).expect(1, &["1 key diverges"]);
    let mut actions: Vec<String> =
        plan(&workspace).iter().map(|action| format!("{} {}", action["safety"], action["after"])).collect();
    actions.sort();
    assert_eq!(actions, [r#""review" {"z":"c"}"#, r#""safe" {"y":"b"}"#]);
    workspace.reconcile(["plan", "--safety", "safe"]).expect(0, &["accept-authority by amy", "1 action\n"]);
    workspace.reconcile(["plan", "--kind", "missing"]).expect(0, &["0 actions"]);
    let lines = workspace.reconcile(["plan", "--severity", "medium", "--format", "ndjson"]);
    assert_eq!(lines.expect(0, &[]).stdout.lines().count(), 2);
    let all = workspace.reconcile(["plan", "--format", "json"]);
    let all: Value = serde_json::from_str(&all.expect(0, &[]).stdout).unwrap();
    assert_eq!((all["count"].as_u64(), all["actions"].as_array().unwrap().len()), (Some(2), 2));
    workspace.reconcile(["plan", "--safety", "saef"]).expect(2, &["did you mean `safe`?"]);
    workspace.reconcile(["plan", "--severity", "critical"]).expect(0, &["0 actions"]);
    workspace.reconcile(["plan", "none"]).expect(2, &["none"]);
}

#[test]
fn decisions_hold_whatever_the_threads_and_with_what_is_kept_between_runs() {
    let workspace = Workspace::new();
    let table = |name: fn(u32) -> String| {
        let rows: String = (0..3000).map(|id| format!("{id},{}\n", name(id))).collect();
        format!("id,name\n{rows}").into_bytes()
    };
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let tables =
        [("a.csv", table(|id| format!("n{id}"))), ("b.csv", table(|id| format!("n{}", id + u32::from(id % 7 == 0))))];
    for (name, bytes) in tables {
        let path = workspace.bytes(name, &bytes);
        fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }
    workspace.file("reconcile.toml", &crate::support::pair_contract("a.csv", "b.csv"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let rows = exported(&workspace, &[]);
    assert_eq!(rows.len(), 429);
    decided(&workspace, &rows, |row| match row["key"].len() % 3 {
        0 => Some("accept-projection"),
        1 => Some("accept-authority"),
        _ => None,
    });
    import(&workspace).expect(0, &[]);
    let mut seen = Vec::new();
    for arguments in [&["--threads", "1"][..], &["--threads", "8"], &["--no-cache"], &["--threads", "3", "--no-cache"]]
    {
        workspace.reconcile([&["run"], arguments].concat()).expect(1, &[]);
        let summary = newest(&workspace);
        let run = workspace.runs().last().unwrap().clone();
        let files = ["divergences.parquet", "plan.ndjson"].map(|name| fs::read(run.join(name)).unwrap());
        seen.push((summary["because"].clone(), summary["decided"].clone(), summary["plan"].clone(), files));
    }
    assert!(seen.iter().all(|one| *one == seen[0]), "{:?}", seen.iter().map(|one| &one.1).collect::<Vec<_>>());
    let decided: u64 =
        seen[0].1["groups"].as_array().unwrap().iter().map(|one| one["divergences"].as_u64().unwrap()).sum();
    let safe = seen[0].2["safe"].as_u64().unwrap();
    assert!(seen[0].1["away"].as_u64().unwrap() + safe == decided && safe > 0, "{:?}", seen[0].1);
}

/// People whose premiums belong to an owner that knows only the first of them.
fn with_owner(people: &str, rules: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("a.csv", &format!("id,name\n{people}"));
    workspace.file("owner.csv", "id,premium\n1,10\n");
    workspace.file("b.csv", "id,name,premium\n1,Anna,11\n2,Bert,20\n");
    let contract = crate::support::pair_contract("a.csv", "b.csv");
    let owner = "[source.owner]\nlocation = \"owner.csv\"\n";
    let premium = "[contract.pair.attribute.premium]\nowner = \"owner\"\n";
    workspace.file("reconcile.toml", &format!("{contract}{premium}{owner}{rules}"));
    workspace
}

#[test]
fn a_value_that_its_owner_lacks_cannot_be_accepted() {
    let workspace = with_owner("1,Anna\n2,Bert\n", "");
    workspace.reconcile(["run"]).expect(1, &["owner_lacks_key"]);
    let rows = exported(&workspace, &["--all"]);
    decided(&workspace, &rows, |row| (row["reason"] == "owner_lacks_key").then_some("accept-authority"));
    import(&workspace).expect(2, &["there is no value to accept (owner_lacks_key)", "fix-elsewhere"]);
    decided(&workspace, &rows, |row| (row["reason"] == "owner_lacks_key").then_some("fix-elsewhere"));
    import(&workspace).expect(0, &["1 decision"]);
}

#[test]
fn a_value_that_its_owner_lacks_cannot_be_accepted_behind_a_rule_or_as_a_part_of_a_row() {
    let rule = "[[contract.pair.rule]]\nname = \"all\"\nwhen = \"true\"\nseverity = \"critical\"\n";
    let workspace = with_owner("1,Anna\n2,Bert\n3,Cora\n", rule);
    workspace.reconcile(["run"]).expect(1, &["rule:all"]);
    let rows = exported(&workspace, &["--all"]);
    assert_eq!(rows.iter().map(|row| row["reason"].as_str()).collect::<Vec<_>>(), ["rule:all"; 3]);
    for (kind, key, lacking) in [("mismatch", "2", true), ("missing", "3", true), ("mismatch", "1", false)] {
        let is_meant = |row: &Row| row["kind"] == kind && row["key"].contains(key);
        decided(&workspace, &rows, |row| is_meant(row).then_some("accept-authority"));
        if lacking {
            import(&workspace).expect(2, &["there is no value to accept", "is not known", "fix-elsewhere"]);
            decided(&workspace, &rows, |row| is_meant(row).then_some("fix-elsewhere"));
        }
        import(&workspace).expect(0, &["1 decision"]);
    }
}
