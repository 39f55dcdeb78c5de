//! What somebody new types wrongly, and what becomes of a folder that was damaged: one message that says what, where, what was
//! expected, and what to do. And a folder whose name holds blanks and letters of other scripts is as good as any.

use std::fs;
use std::path::Path;

use crate::support::{Outcome, Workspace};

/// A contract with one run that drifted.
fn ran() -> (Workspace, String) {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n"), ("b.csv", b"id,name\n1,Anna\n2,Berta\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let id = workspace.run().file_name().unwrap().to_string_lossy().into_owned();
    (workspace, id)
}

/// One error, and what to do about it; nothing on stdout.
#[track_caller]
fn answered(outcome: &Outcome, texts: &[&str]) {
    outcome.expect(2, texts);
    assert_eq!(outcome.stdout, "", "{}", outcome.shown());
    let errors = outcome.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "{}", outcome.shown());
    assert!(outcome.stderr.contains("\nhint: "), "it does not say what to do\n{}", outcome.shown());
}

#[test]
fn a_run_that_is_not_there_is_answered_with_how_runs_are_named() {
    let (workspace, id) = ran();
    for words in [
        &["report", "nosuch"][..],
        &["report", "nosuch", "--open"],
        &["plan", "nosuch"],
        &["apply", "nosuch"],
        &["review", "export", "nosuch"],
        &["run", "--resume", "nosuch"],
        &["audit", "export", "nosuch"],
        &["audit", "prove", "nosuch"],
        &["audit", "reproduce", "nosuch"],
    ] {
        let outcome = workspace.reconcile(words);
        answered(&outcome, &["no run `nosuch`", &id, "`latest`", "`reconcile history --format markdown` lists them"]);
    }
    workspace.reconcile(["history", "--format", "markdown"]).expect(0, &[&id]);
    answered(&workspace.reconcile(["report", "./a.csv"]), &["./a.csv: not a run folder", "manifest.json", "`latest`"]);
    answered(&workspace.reconcile(["explain", "nosuch", "1"]), &["no run `nosuch`", "lists the words"]);
    answered(&workspace.reconcile(["run", "--resume", &id]), &["nothing to go on with", "compares everything anew"]);
    // What takes a plan takes its folder.
    let folder = format!("reports/{id}");
    workspace.reconcile(["apply", &folder]).expect(0, &["0 actions", "nothing was written"]);
}

#[test]
fn a_word_that_is_none_of_a_report_is_answered_in_a_line() {
    let (workspace, id) = ran();
    let outcome = workspace.reconcile(["explain", "wether"]);
    answered(&outcome, &["`wether` is not one of the", "words that reports use", "lists the words with a line each"]);
    assert!(outcome.stderr.lines().all(|line| line.len() < 200), "{}", outcome.shown());
    for run in ["latest", &id, &format!("reports/{id}")] {
        answered(&workspace.reconcile(["explain", run]), &[&format!("`reconcile explain {run} KEY`")]);
    }
    answered(
        &workspace.reconcile(["explain", "latest", "99"]),
        &["holds nothing of the key 99", "a key is a JSON object"],
    );
}

/// Cuts a file short; gives what it was.
fn cut(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 3]).unwrap();
    bytes
}

#[test]
fn a_run_that_was_damaged_is_answered_with_what_proves_it() {
    let verify = "`reconcile audit verify` says";
    let (workspace, id) = ran();
    let whole = cut(&workspace.run().join("divergences.parquet"));
    for words in [&["plan"][..], &["explain", "latest", "2"], &["review", "export"], &["apply", "latest"]] {
        let outcome = workspace.reconcile(words);
        answered(&outcome, &["divergences.parquet", verify]);
        assert!(!outcome.stderr.contains("stdout"), "{}", outcome.shown());
    }
    answered(&workspace.reconcile(["review", "export", "--out", "x.csv"]), &["divergences.parquet", verify]);
    assert!(!workspace.path().join("x.csv").exists());
    fs::write(workspace.run().join("divergences.parquet"), whole).unwrap();
    fs::remove_file(workspace.run().join("plan.ndjson")).unwrap();
    answered(&workspace.reconcile(["plan"]), &["plan.ndjson: no such file", verify]);
    let manifest = workspace.run().join("manifest.json");
    cut(&manifest);
    for words in [&["report", "latest"][..], &["plan", &id], &["explain", &id, "2"], &["apply", &id]] {
        let outcome = workspace.reconcile(words);
        answered(&outcome, &[&id, "manifest.json", verify]);
        assert!(!outcome.stderr.contains("takes a run id"), "{}", outcome.shown());
    }
    fs::remove_file(&manifest).unwrap();
    answered(&workspace.reconcile(["report", &id]), &[&id, "holds no manifest.json", verify]);
}

#[test]
fn what_is_not_there_is_said_in_words() {
    let (workspace, _) = ran();
    let outcome = workspace.reconcile(["run", "--config", "nosuch.toml"]);
    answered(&outcome, &["nosuch.toml: cannot be read: no such file or directory", "--config"]);
    assert!(!outcome.stderr.contains("os error"), "{}", outcome.shown());
    answered(&workspace.reconcile(["check", "--config", "."]), &["cannot be read: is a directory", "--config"]);
    let outcome = workspace.reconcile(["review", "import", "nosuch.csv"]);
    answered(&outcome, &["nosuch.csv: cannot be read: no such file", "`reconcile review export --out FILE` writes"]);
    let empty = Workspace::new();
    for words in [&["run"][..], &["check"], &["contracts"], &["parity", "x"]] {
        answered(&empty.reconcile(words), &["reconcile.toml: is neither in the working folder nor in any parent"]);
    }
    let outcome = workspace.reconcile(["diff", "a.csv", "b.csv", "--key", "id", "--where", "name >"]).unbroken();
    outcome.expect(2, &["--where: unable to parse 'name >', expected an expression of SQL, like `amount > 10`"]);
    let outcome = workspace.reconcile(["diff", "a.csv", "b.csv", "--key", "id", "--memory-limit", "10"]).unbroken();
    outcome.expect(2, &["10 bytes are too few to work with, at least 256 MiB"]);
}

#[test]
fn blanks_and_letters_of_other_scripts_in_a_path_are_letters_like_others() {
    let outer = Workspace::new();
    let folder = outer.path().join("Übersicht der Läufe (März) 'x'");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("Aufträge März.csv"), "id,name\n1,Anna\n2,Bert\n").unwrap();
    fs::write(folder.join("копия заказов.csv"), "id,name\n1,Anna\n2,Berta\n").unwrap();
    let call = |status: i32, words: &[&str], texts: &[&str]| {
        let mut command = outer.command(words);
        Outcome::of(&command.current_dir(&folder).output().unwrap()).expect(status, texts);
    };
    call(0, &["init", "Aufträge März.csv", "копия заказов.csv"], &["reconcile.toml: contract"]);
    call(0, &["check", "--sources"], &["no problems"]);
    call(1, &["run"], &["Aufträge März.csv", "копия заказов.csv", "1 contract: 1 drifted"]);
    let reports = crate::support::runs_in(&folder.join("reports"));
    let run = reports[0].display().to_string();
    call(1, &["report", &run], &["1 drifted"]);
    call(0, &["explain", &run, "2"], &["\"Bert\" → \"Berta\""]);
    call(0, &["plan"], &["1 action"]);
    call(0, &["review", "export", "--out", "für später.csv"], &["1 divergence is in für später.csv"]);
    call(0, &["audit", "verify"], &["1 run unchanged"]);
    call(0, &["audit", "export", "latest", "--out", "Beleg №1.tar"], &["Beleg №1.tar"]);
    call(0, &["audit", "reproduce", "latest"], &["reproduced"]);
    let diff = ["diff", "Aufträge März.csv", "копия заказов.csv", "--key", "id", "--out", "Ergebnis ö"];
    call(1, &diff, &["is in Ergebnis ö/"]);
    call(1, &["report", "latest", "--reports", "Ergebnis ö"], &["1 drifted"]);
}
