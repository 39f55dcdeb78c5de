//! Signed runs as their users have them: with keys that `minisign` made, and signatures that it checks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Outcome, Workspace};

/// `minisign`, or any other tool that these tests rest on.
#[track_caller]
pub(crate) fn tool(folder: &Path, name: &str, arguments: &[&str]) -> Outcome {
    let output = Command::new(name).args(arguments).current_dir(folder).output();
    Outcome::of(
        &output.unwrap_or_else(|error| panic!("{name} is not installed ({error}): sudo apt-get install {name}")),
    )
}

/// A pair of keys without password, `NAME.key` and `NAME.pub`.
pub(crate) fn make_keys(workspace: &Workspace, name: &str) {
    let (secret, public) = (format!("{name}.key"), format!("{name}.pub"));
    tool(workspace.path(), "minisign", &["-G", "-W", "-s", &secret, "-p", &public]).expect(0, &[]);
    owners_alone(&workspace.path().join(secret));
}

fn owners_alone(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn signs_with(workspace: &Workspace, sign: &str) {
    let path = workspace.path().join("reconcile.toml");
    let text = fs::read_to_string(&path).unwrap();
    let text = text.split("\n[run.sign]").next().unwrap().to_owned();
    fs::write(path, format!("{text}\n[run.sign]\n{sign}\n")).unwrap();
}

/// A workspace whose runs are signed with `one.key`.
pub(crate) fn signed(runs: usize) -> Workspace {
    let workspace =
        Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n"), ("b.csv", b"id,name\n1,Anna\n2,Berta\n3,Carl\n"));
    make_keys(&workspace, "one");
    signs_with(&workspace, "key = \"one.key\"");
    for _ in 0..runs {
        workspace.reconcile(["run"]).expect(1, &[]);
    }
    workspace
}

pub(crate) fn name(run: &Path) -> String {
    run.file_name().unwrap().to_string_lossy().into_owned()
}

fn ledger(workspace: &Workspace) -> PathBuf {
    workspace.path().join("reports/ledger.ndjson")
}

#[test]
fn minisign_itself_verifies_what_a_run_signs() {
    let workspace = signed(2);
    for run in workspace.runs() {
        let public = workspace.path().join("one.pub").display().to_string();
        tool(&run, "minisign", &["-V", "-m", "manifest.json", "-p", &public])
            .expect(0, &["verified", &format!("manifest.json of run {}", name(&run))]);
        let manifest = fs::read_to_string(run.join("manifest.json")).unwrap();
        fs::write(run.join("manifest.json"), manifest.replace("drifted", "agreed")).unwrap();
        tool(&run, "minisign", &["-V", "-m", "manifest.json", "-p", &public]).expect(1, &["failed"]);
        fs::write(run.join("manifest.json"), manifest).unwrap();
    }
    let lines = fs::read_to_string(ledger(&workspace)).unwrap();
    for (number, line) in lines.lines().enumerate() {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
        workspace.file("line", line.split(",\"signature\":").next().unwrap());
        workspace.file("line.minisig", parsed["signature"].as_str().unwrap());
        tool(workspace.path(), "minisign", &["-V", "-m", "line", "-p", "one.pub"])
            .expect(0, &["verified", &format!("line {} of the ledger", number + 1)]);
    }
}

#[test]
fn a_key_proves_who_wrote_and_what_was_not_signed_is_named() {
    let workspace = signed(2);
    let public = fs::read_to_string(workspace.path().join("one.pub")).unwrap();
    let bare = public.lines().nth(1).unwrap();
    for key in ["one.pub", bare] {
        workspace.reconcile(["audit", "verify", "--key", key]).expect(0, &["2 runs unchanged", "4 signatures hold"]);
    }
    workspace.reconcile(["audit", "verify"]).expect(0, &["are signed by", "--key"]);
    make_keys(&workspace, "two");
    workspace.reconcile(["audit", "verify", "--key", "two.pub"]).expect(1, &["another key", "line 1", "line 2"]);
    signs_with(&workspace, "key = \"two.key\"");
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["audit", "verify", "--key", "one.pub"]).expect(1, &["line 3: was signed by another key"]);
    let both = ["audit", "verify", "--format", "json", "--key", "one.pub", "--key", "two.pub"];
    let document: serde_json::Value = serde_json::from_str(&workspace.reconcile(both).expect(0, &[]).stdout).unwrap();
    assert_eq!(document["signatures"].as_object().unwrap().len(), 2, "{document}");
    let run = workspace.runs()[0].clone();
    fs::remove_file(run.join("manifest.json.minisig")).unwrap();
    let outcome = workspace.reconcile(["audit", "verify", "--key", "one.pub", "--key", "two.pub"]);
    outcome.expect(1, &[&name(&run), "manifest.json.minisig is missing", "manifest.json is not signed"]);
    workspace.reconcile(["audit", "verify"]).expect(1, &["manifest.json.minisig is missing"]);
    workspace.reconcile(["audit", "verify", "--key", "nowhere.pub"]).expect(2, &["neither a minisign public key"]);
}

#[test]
fn runs_from_before_signing_pass_where_the_auditor_knows_when_it_began() {
    let workspace = signed(0);
    let path = workspace.path().join("reconcile.toml");
    let signing = fs::read_to_string(&path).unwrap();
    fs::write(&path, signing.split("\n[run.sign]").next().unwrap()).unwrap();
    workspace.reconcile(["run"]).expect(1, &[]);
    fs::write(&path, signing).unwrap();
    workspace.reconcile(["run"]).expect(1, &[]);
    let verify = |more: &[&str]| workspace.reconcile([&["audit", "verify", "--key", "one.pub"], more].concat());
    verify(&[]).expect(1, &["line 1: is not signed", "`--signed-from 2` accepts that"]);
    verify(&["--signed-from", "2"])
        .expect(0, &["line 1 is unsigned, before signing began at line 2", "2 runs unchanged", "2 signatures hold"]);
    verify(&["--signed-from", "1"]).expect(1, &["line 1: is not signed"]);
    verify(&["--signed-from", "3"]).expect(1, &["no line has to be signed"]);
    workspace.reconcile(["audit", "verify", "--signed-from", "2"]).expect(2, &["--key"]);
    verify(&["--signed-from", "0"]).expect(2, &["--signed-from"]);
}

#[test]
fn a_key_that_cannot_be_used_ends_the_run_before_it_begins() {
    let workspace = signed(0);
    let secret = fs::read_to_string(workspace.path().join("one.key")).unwrap();
    let secret = secret.lines().nth(1).unwrap().to_owned();
    workspace.file("locked.key", include_str!("../src/history/sign/locked.key"));
    owners_alone(&workspace.path().join("locked.key"));
    workspace.file("open.key", &fs::read_to_string(workspace.path().join("one.key")).unwrap());
    let cases = [
        ("key = \"absent.key\"", "absent.key"),
        ("key = \"one.pub\"", "one.pub"),
        ("key = \"open.key\"", "may be used by others than its owner"),
        ("key = \"locked.key\"", "the key has a password"),
        ("key = \"locked.key\"\npassword = \"${SIGN_PASSWORD}\"", "does not open the key"),
        ("key = \"locked.key\"\npassword = \"hunter2, wrong\"", "does not open the key"),
        ("key = \"${SIGN_FOLDER}/absent.key\"", "${SIGN_FOLDER}/absent.key"),
    ];
    for (sign, expected) in cases {
        signs_with(&workspace, sign);
        let mut command = workspace.command(["run"]);
        let output = command.env("SIGN_PASSWORD", "hunter2, wrong").env("SIGN_FOLDER", "secret-place").output();
        let outcome = Outcome::of(&output.unwrap());
        outcome.expect(2, &["run.sign", expected]);
        for hidden in ["hunter2, wrong", "secret-place", &secret] {
            assert!(!outcome.shown().contains(hidden), "{sign}\n{}", outcome.shown());
        }
        assert!(!workspace.path().join("reports").exists(), "{sign}: something was published");
    }
    // The right password opens it, and stays nowhere.
    signs_with(&workspace, "key = \"locked.key\"\npassword = \"${SIGN_PASSWORD}\"");
    let password = "test only, opens nothing else";
    let output = workspace.command(["run", "--verbose"]).env("SIGN_PASSWORD", password).output().unwrap();
    let outcome = Outcome::of(&output);
    outcome.expect(1, &[]);
    assert!(!outcome.shown().contains(password), "{}", outcome.shown());
    for file in crate::support::tree(&workspace.path().join("reports")) {
        let Ok(bytes) = fs::read(workspace.path().join("reports").join(&file)) else { continue };
        assert!(!String::from_utf8_lossy(&bytes).contains(password), "{file} holds the password");
    }
    let manifest = crate::support::read_json(&workspace.run().join("manifest.json"));
    assert_eq!(manifest["settings"]["signed_by"], "5E7C0DEDC0FFEE01");
    // Opening it may take more than is there.
    workspace.reconcile(["check"]).expect(2, &["SIGN_PASSWORD"]);
}

#[test]
fn what_prunes_a_signed_ledger_signs_too() {
    let workspace = signed(3);
    let runs = workspace.runs();
    workspace.file("elsewhere/note.txt", "no contract file here\n");
    let reports = workspace.path().join("reports").display().to_string();
    let mut command = workspace.command(["audit", "prune", "--keep-runs", "1", "--reports", &reports]);
    let outcome = Outcome::of(&command.current_dir("/").output().unwrap());
    outcome.expect(2, &["the ledger is signed", "run.sign"]);
    assert_eq!(workspace.runs(), runs, "nothing was pruned");
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &[&name(&runs[0]), &name(&runs[1])]);
    workspace.reconcile(["audit", "verify", "--key", "one.pub"]).expect(0, &["1 run unchanged", "5 signatures hold"]);
}
