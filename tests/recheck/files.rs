//! Files: read again where they were replaced, and not otherwise.

use super::{pair, run};
use crate::support::Workspace;

#[test]
fn files_that_do_not_change_need_no_second_look() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,v\n1,x\n2,y\n");
    workspace.file("b.csv", "id,v\n1,x\n2,z\n");
    workspace.file("reconcile.toml", &pair("a.csv", "b.csv", "key = [\"id\"]"));
    let said = run(&workspace, 2, |_| {});
    assert_eq!(said.lines(), [r#"{"id":"2"} mismatch default v y z"#]);
    assert_eq!(said.looks, 1, "one pause tells that nothing is written");
    let second = said.contract.second_look.unwrap();
    assert_eq!(second.because.as_deref(), Some("the files of both sides are what they were"));
    assert_eq!((second.keys, second.looks.len()), (0, 0));
}

#[test]
fn a_file_that_is_replaced_meanwhile_is_read_again() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,v\n1,x\n2,y\n3,z\n4,w\n");
    workspace.file("b.csv", "id,v\n1,x\n2,old\n4,v\n");
    workspace.file("reconcile.toml", &pair("a.csv", "b.csv", "key = [\"id\"]"));
    let said = run(&workspace, 2, |look| {
        if look == 2 {
            workspace.file("new.csv", "id,v\n1,changed and agreed before\n2,y\n3,z\n4,u\n");
            std::fs::rename(workspace.path().join("new.csv"), workspace.path().join("b.csv")).unwrap();
        }
    });
    // Nothing is written within the first pause, so that no other follows.
    assert_eq!(said.looks, 1);
    let said = run(&workspace, 2, |look| {
        if look == 1 {
            workspace.file("new.csv", "id,v\n1,changed and agreed before\n2,y\n3,z\n4,u\n");
            std::fs::rename(workspace.path().join("new.csv"), workspace.path().join("b.csv")).unwrap();
        }
    });
    assert_eq!(
        said.lines(),
        [
            r#"{"id":"2"} in_flight settled v y old"#,
            r#"{"id":"3"} in_flight settled"#,
            r#"{"id":"4"} mismatch default v w u"#
        ]
    );
    assert_eq!(said.contract.error, None);
    let books = said.contract.books.projection;
    assert_eq!((books.read, books.agree, books.differ), (3, 1, 2), "the books are those of the first reading");
}

#[test]
fn a_file_with_other_columns_ends_the_looks_and_changes_nothing() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,v\n1,x\n");
    workspace.file("b.csv", "id,v\n1,y\n");
    workspace.file("reconcile.toml", &pair("a.csv", "b.csv", "key = [\"id\"]"));
    let said = run(&workspace, 2, |_| {
        workspace.file("b.csv", "id,v,w\n1,x,x\n");
    });
    assert_eq!(said.lines(), [r#"{"id":"1"} mismatch default v x y"#]);
    let because = said.contract.second_look.unwrap().because.unwrap();
    assert!(because.contains("the columns of the projection are others"), "{because}");
}

#[test]
fn a_file_that_cannot_be_read_again_makes_the_contract_unverified() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,v\n1,x\n2,y\n");
    workspace.file("b.csv", "id,v\n1,y\n");
    workspace.file("reconcile.toml", &pair("a.csv", "b.csv", "key = [\"id\"]"));
    let said = run(&workspace, 2, |_| std::fs::remove_file(workspace.path().join("b.csv")).unwrap());
    assert_eq!(said.contract.verdict.name(), "unverified");
    let error = said.contract.error.clone().unwrap();
    assert!(error.starts_with("look 1 at what differs: projection: b.csv: "), "{error}");
    // What the first reading said stands beside it.
    assert_eq!(said.lines(), [r#"{"id":"1"} mismatch default v x y"#, r#"{"id":"2"} missing default"#]);
}

#[test]
fn what_cannot_be_looked_at_again_is_refused_with_a_way_out() {
    for (lines, why) in [
        ("key = []", "the contract has no key"),
        (
            "key = [\"id\"]\n[contract.pair.attribute.w]\nderive = \"v + 1\"",
            "the authority is composed of several sources",
        ),
    ] {
        let workspace = Workspace::new();
        workspace.file("a.csv", "id,v\n1,2\n");
        workspace.file("b.csv", "id,w\n1,3\n");
        workspace.file("reconcile.toml", &pair("a.csv", "b.csv", lines));
        let outcome = workspace.reconcile(["run"]).unbroken();
        outcome.expect(2, &["`recheck` cannot be done", why, "recheck = { times = 0 }", "reconcile.toml:"]);
        let text = pair("a.csv", "b.csv", lines).replace("times = 3", "times = 0");
        workspace.file("reconcile.toml", &text);
        workspace.reconcile(["check"]).expect(0, &[]);
    }
}

#[test]
fn options_that_are_none_are_said_with_what_is_expected() {
    for (written, expected) in [
        ("recheck = { after = \"soon\", times = 3 }", "length of time"),
        ("recheck = { after = \"1s\", times = 21 }", "at most 20"),
        ("recheck = { often = true }", "unknown key `often`, allowed here: after, times"),
        ("recheck = \"2s\"", "expected a table"),
    ] {
        let workspace = Workspace::new();
        let text = pair("a.csv", "b.csv", "key = [\"id\"]");
        workspace.file("reconcile.toml", &text.replace("recheck = { after = \"1ms\", times = 3 }", written));
        workspace.reconcile(["check"]).unbroken().expect(2, &[expected, "reconcile.toml:"]);
    }
}

#[test]
fn an_authority_that_is_cut_meanwhile_repairs_nothing() {
    let rows = |ids: std::ops::Range<u32>| ids.map(|id| format!("{id},x\n")).collect::<String>();
    let emptied = "the authority has no rows any more";
    for (left, reason, because) in [(0..0, "default", Some(emptied)), (0..6, "unstable", None)] {
        let workspace = Workspace::new();
        workspace.file("a.csv", &format!("id,v\n{}", rows(0..9)));
        workspace.file("b.csv", &format!("id,v\n{}", rows(0..6)));
        workspace.file("reconcile.toml", &pair("a.csv", "b.csv", "key = [\"id\"]"));
        let said = run(&workspace, 2, |_| {
            workspace.file("a.csv", &format!("id,v\n{}", rows(left.clone())));
        });
        let expected: Vec<String> = (6..9).map(|id| format!(r#"{{"id":"{id}"}} missing {reason}"#)).collect();
        assert_eq!((said.lines(), said.contract.verdict.name()), (expected, "drifted"));
        let second = said.contract.second_look.unwrap();
        assert_eq!((second.settled, second.because.as_deref()), (0, because));
    }
}

#[test]
fn what_stands_is_judged_by_the_instant_of_the_last_look() {
    let minutes = |ago: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(ago)).to_string();
    let workspace = Workspace::new();
    let text = pair("a.csv", "b.csv", "key = [\"id\"]\nwindow = \"15m\"");
    let text = text.replace("location = \"b.csv\"", "location = \"b.csv\"\ncaptured_at = { file = \"mtime\" }");
    workspace
        .file("reconcile.toml", &text.replace("location = \"a.csv\"", "location = \"a.csv\"\nupdated_at = \"at\""));
    let file = |name: &str, text: &str, ago: i64| {
        workspace.file(name, text);
        let modified = std::time::SystemTime::now() - std::time::Duration::from_secs(60 * ago.unsigned_abs());
        std::fs::File::options()
            .append(true)
            .open(workspace.path().join(name))
            .unwrap()
            .set_modified(modified)
            .unwrap();
    };
    // Captured five minutes after the change, and once more long after it: by then it should have arrived.
    workspace.file("a.csv", &format!("id,v,at\n1,new,{}\n", minutes(60)));
    file("b.csv", "id,v\n1,old\n", 55);
    let said = run(&workspace, 2, |look| {
        if look == 1 {
            file("b.csv", "id,v\n1,old\n2,more\n", 1);
        }
    });
    assert_eq!(said.lines(), [r#"{"id":"1"} mismatch default v new old"#]);
    assert_eq!(said.contract.second_look.unwrap().settled, 0);
}

#[test]
fn a_run_that_rests_on_a_second_look_at_files_proves_no_parity_and_is_not_done_again() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,v\n1,x\n2,y\n");
    workspace.file("b.csv", "id,v\n1,x\n2,old\n");
    let gate = "key = [\"id\"]\n[contract.pair.parity]\nconsecutive_runs = 1";
    workspace.file("reconcile.toml", &pair("a.csv", "b.csv", gate).replace("1ms", "5s"));
    let child =
        workspace.command(["run"]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let mut child = child.unwrap();
    // The first reading is that of two small files, begun when there is a folder for the run.
    let begun = || std::fs::read_dir(workspace.path().join("reports")).is_ok_and(|entries| entries.count() > 0);
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    workspace.file("new.csv", "id,v\n1,x\n2,y\n");
    std::fs::rename(workspace.path().join("new.csv"), workspace.path().join("b.csv")).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "what was on its way has arrived");
    workspace.reconcile(["parity", "pair"]).expect(1, &["second look was not digested"]);
    workspace.reconcile(["audit", "reproduce", "latest"]).expect(2, &["rests on a second look"]);
}
