//! Markers, tombstones and the window through the binary: what is refused, what a second run says, what every file shows.

use serde_json::json;

use crate::support::{Workspace, contract, counts, divergences, read_json};

/// A contract `pair` whose sources and contract have these lines besides.
fn pair(authority: &str, projection: &str, lines: [&str; 3]) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("authority.csv", authority);
    workspace.file("projection.csv", projection);
    let [one, other, more] = lines;
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.authority]\nlocation = \"authority.csv\"\n{one}\n[source.projection]\nlocation = \
             \"projection.csv\"\n{other}\n[contract.pair]\nversion = \"1.0.0\"\nauthority = \"authority\"\nprojection = \
             \"projection\"\nkey = [\"id\"]\n{more}\n"
        ),
    );
    workspace
}

/// Kinds and keys of the only run.
fn found(workspace: &Workspace) -> Vec<(String, String)> {
    let lines = divergences(&workspace.run());
    let mut found: Vec<_> =
        lines.iter().map(|line| (line["kind"].clone(), line.get("key").cloned().unwrap_or_default())).collect();
    found.sort();
    found
}

#[test]
fn what_a_marker_cannot_be_is_said_with_what_there_is() {
    let rows = "id,v,gone\n1,3,maybe\n";
    for (option, said) in [
        ("version_column = \"vrsion\"", "version_column: no column `vrsion` (columns are: id, v, gone)"),
        ("updated_at = \"changed\"", "updated_at: no column `changed`"),
        ("deleted = \"gone\"", "deleted: `maybe` is no boolean"),
        ("deleted = \"nowhere = 1\"", "deleted: no column `nowhere`"),
        ("deleted = \"count(*) > 1\"", "looks at other rows"),
        ("deleted = \"v + \"", "source `authority`, deleted"),
    ] {
        let workspace = pair(rows, rows, [option, "", ""]);
        let summary = {
            let outcome = workspace.reconcile(["run", "--format", "json"]);
            outcome.expect(2, &[]);
            workspace.summary()
        };
        let error = contract(&summary, "pair")["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(said), "{option}: {error}");
    }
}

#[test]
fn tombstones_need_a_key_and_markers_without_one_are_said_to_be_in_vain() {
    let rows = "id,gone\n1,false\n";
    let workspace = pair(rows, rows, ["deleted = \"gone\"", "", ""]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("key = [\"id\"]", "key = []"));
    workspace.reconcile(["run"]).expect(2, &["a tombstone needs a key", "leave deleted rows out with"]);
    let workspace = pair(rows, rows, ["version_column = \"id\"", "", ""]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("key = [\"id\"]", "key = []"));
    workspace.reconcile(["run"]).expect(0, &["without a key rows have no pairs"]);
}

#[test]
fn a_key_of_which_one_row_lives_and_others_are_tombstones_is_a_duplicate() {
    let authority = "id,v,gone\n1,a,true\n1,b,false\n2,c,false\n3,d,true\n3,d,true\n";
    let workspace = pair(authority, "id,v\n1,b\n2,c\n", ["deleted = \"gone\"", "", ""]);
    workspace.reconcile(["run"]).expect(1, &[]);
    let expected = [("duplicate_key", r#"{"id":"1"}"#), ("duplicate_key", r#"{"id":"3"}"#)];
    assert_eq!(found(&workspace), expected.map(|(kind, key)| (kind.to_owned(), key.to_owned())));
}

#[test]
fn a_marker_on_one_side_is_no_schema_divergence_and_on_both_sides_it_is_compared() {
    let workspace = pair(
        "id,v,rv,changed,gone\n1,a,7,2026-01-01,false\n",
        "id,v,pv,loaded\n1,a,6,2026-01-02\n",
        [
            "version_column = \"rv\"\nupdated_at = \"changed\"\ndeleted = \"gone\"",
            "version_column = \"pv\"\nupdated_at = \"loaded\"",
            "",
        ],
    );
    workspace.reconcile(["run"]).expect(0, &["every row agrees"]);
    let lines = ["version_column = \"rv\"", "version_column = \"rv\"", ""];
    let workspace = pair("id,rv\n1,10\n", "id,rv\n1,9\n", lines);
    workspace.reconcile(["run"]).expect(1, &["stale"]);
    assert_eq!(divergences(&workspace.run())[0]["attribute"], "rv");
    let workspace = pair("id,rv\n1,10\n", "id\n1\n", ["filter = \"rv > '0'\"", "", ""]);
    workspace.reconcile(["run"]).expect(1, &["schema"]);
}

#[test]
fn a_tombstone_is_told_under_where_by_either_sides_values() {
    let authority = "id,v,gone\n1,a,true\n2,b,true\n3,a,false\n4,c,true\n";
    let projection = "id,v\n1,x\n2,a\n3,a\n4,c\n";
    let workspace = pair(authority, projection, ["deleted = \"gone\"", "", ""]);
    workspace.reconcile(["run", "--where", "v = 'a'"]).expect(1, &[]);
    let expected = [("resurrected", r#"{"id":"1"}"#), ("resurrected", r#"{"id":"2"}"#)];
    assert_eq!(found(&workspace), expected.map(|(kind, key)| (kind.to_owned(), key.to_owned())));
    let summary = workspace.summary();
    let books = &contract(&summary, "pair")["books"]["authority"];
    assert_eq!((books["read"].as_u64(), books["out_of_scope"].as_u64()), (Some(3), Some(1)));
}

#[test]
fn a_second_run_tells_tombstones_and_markers_as_the_first_did() {
    use std::fmt::Write;
    let mut authority = "id,v,rv,gone\n".to_owned();
    let mut projection = "id,v,rv\n".to_owned();
    for id in 0..500 {
        writeln!(authority, "{id},v,{},{}", 7 + u8::from(id == 40), id == 20).unwrap();
        writeln!(projection, "{id},{},7", if id == 40 { "w" } else { "v" }).unwrap();
    }
    let lines = ["version_column = \"rv\"\ndeleted = \"gone\"", "version_column = \"rv\"", "ignore = [\"rv\"]"];
    let workspace = pair(&authority, &projection, lines);
    for _ in 0..2 {
        workspace.reconcile(["run"]).expect(1, &[]);
    }
    let runs = workspace.runs();
    let of_run =
        |run: &std::path::Path| counts(&contract(&read_json(&run.join("summary.json")), "pair")["divergences"]);
    assert_eq!(runs.len(), 2);
    let expected = [("resurrected".to_owned(), 1), ("stale".to_owned(), 1)].into();
    for run in &runs {
        assert_eq!(of_run(run), expected);
        let summary = read_json(&run.join("summary.json"));
        assert!(contract(&summary, "pair").get("taken_over").is_none(), "rows were taken over without their markers");
    }
}

#[test]
fn how_far_behind_is_in_every_file_and_comes_back_from_the_manifest() {
    let authority =
        "id,v,rv,changed\n1,a,3,2026-03-01T09:00:00Z\n2,a,2,2026-02-28T10:00:00Z\n3,a,1,2026-03-01T09:59:00Z\n";
    let projection = "id,v,rv\n1,b,1\n2,b,1\n3,b,1\n";
    let lines = [
        "version_column = \"rv\"\nupdated_at = \"changed\"\ncaptured_at = \"2026-03-01T10:30:00Z\"",
        "version_column = \"rv\"\ncaptured_at = \"2026-03-01T10:00:00Z\"",
        "ignore = [\"rv\"]\nwindow = \"15m\"",
    ];
    let workspace = pair(authority, projection, lines);
    let outcome = workspace.reconcile(["run"]);
    outcome
        .expect(1, &["3 keys behind: 1 within the window of 15m, 2 beyond it", "1 to 2 versions", "taken 30m apart"]);
    // Wrapped on the terminal, but whole in the file.
    let wide = "the projection was captured 30m before the authority, more than the window";
    let summary = workspace.summary();
    let seen = contract(&summary, "pair");
    assert!(seen["warnings"][0].as_str().is_some_and(|warning| warning.contains(wide)), "{}", seen["warnings"]);
    let spread = |keys: u64, [min, median, p95, p99, max]: [u64; 5]| json!({"keys": keys, "min": min, "median": median, "p95": p95, "p99": p99, "max": max});
    let expected = json!({
        "window_ns": "900000000000",
        "within_window": 1,
        "beyond_window": 2,
        "versions": spread(2, [1, 1, 2, 2, 2]),
        "seconds": spread(3, [60, 3_600, 86_400, 86_400, 86_400]),
        "seconds_counted": "to_the_snapshot",
        "oldest": {"key": "{\"id\":\"2\"}", "since": "2026-02-28T10:00:00Z"},
    });
    assert_eq!(seen["lag"], expected);
    let run = workspace.run();
    let metrics = std::fs::read_to_string(run.join("metrics.prom")).unwrap();
    for line in [
        "reconcile_lag_keys{contract=\"pair\",window=\"within\"} 1",
        "reconcile_lag_seconds{contract=\"pair\",percentile=\"100\"} 86400",
        "reconcile_lag_versions{contract=\"pair\",percentile=\"50\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    let report = std::fs::read_to_string(run.join("report.md")).unwrap();
    assert!(report.contains("- lag: 3 keys behind") && report.contains("- snapshots: taken 30m apart"), "{report}");
    let name = run.file_name().unwrap().to_string_lossy().into_owned();
    let again = workspace.reconcile(["report", &name, "--format", "markdown"]);
    assert_eq!(again.stdout, report);
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
}
