//! What an auditor does: proofs of one run, archives, the documented commands, and a run done again.

use std::fs;
use std::path::Path;

use crate::signing::{make_keys, name, signed, tool};
use crate::support::{Workspace, divergences, root, tree};

/// The shell commands of a section of a page, up to the next heading of its rank.
fn commands(page: &str, title: &str) -> String {
    let section = page.split("\n## ").find(|section| section.starts_with(title));
    let section = section.unwrap_or_else(|| panic!("no section `{title}`"));
    let mut blocks = section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).peekable();
    assert!(blocks.peek().is_some(), "section `{title}` has no commands");
    blocks.collect()
}

/// Runs commands line by line; the first that fails ends them.
#[track_caller]
fn shell(folder: &Path, commands: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_reconcile")).parent().unwrap().display().to_string();
    for needed in ["b3sum", "minisign", "jq", "xxd"] {
        tool(folder, "sh", &["-c", &format!("command -v {needed} || {{ echo {needed} is not installed; exit 3; }}")])
            .expect(0, &[]);
    }
    let script = format!("set -eu\nPATH=\"{binary}:$PATH\"\n{commands}");
    let outcome = tool(folder, "sh", &["-c", &script]);
    outcome.expect(0, &[]);
    outcome.stdout
}

#[test]
fn the_documented_commands_verify_line_by_line() {
    let workspace = signed(2);
    fs::copy(workspace.path().join("one.pub"), workspace.path().join("minisign.pub")).unwrap();
    let page = fs::read_to_string(root().join("docs/audit.md")).unwrap();
    let page = page.replace("20260301T020000Z-7f3a", &name(&workspace.runs()[1]));
    let by_hand = shell(workspace.path(), &commands(&page, "By hand"));
    assert!(!by_hand.contains("changed:") && !by_hand.contains("broken"), "{by_hand}");
    let ledger = fs::read_to_string(workspace.path().join("reports/ledger.ndjson")).unwrap();
    let last: serde_json::Value = serde_json::from_str(ledger.lines().last().unwrap()).unwrap();
    for said in ["report.md: OK", "manifest.json: OK", "a.csv: OK", last["merkle_root"].as_str().unwrap(), "verified"] {
        assert!(by_hand.contains(said), "`{said}` is not in {by_hand}");
    }
    let alone = shell(workspace.path(), &commands(&page, "One run alone"));
    assert_eq!(alone.matches("is in the ledger").count(), 2, "{alone}");
    let lines = shell(workspace.path(), &commands(&page, "Two lines of the ledger"));
    assert_eq!(lines.matches("line 2 continues line 1: its 2 runs begin with the 1 of line 1").count(), 2, "{lines}");
    let archive = shell(workspace.path(), &commands(&page, "An archive for the auditor"));
    assert!(archive.contains("run-line.json: OK") && archive.contains("# How to verify run"), "{archive}");
    let again = shell(workspace.path(), &commands(&page, "The same again"));
    assert!(again.contains("reproduced"), "{again}");
}

/// Extracts an archive and runs every command of its `VERIFY.md`.
#[track_caller]
fn walk(workspace: &Workspace, archive: &str, run: &str) -> String {
    let elsewhere = tempfile::tempdir().unwrap();
    let archive = workspace.path().join(archive).display().to_string();
    tool(elsewhere.path(), "tar", &["--extract", "--file", &archive]).expect(0, &[]);
    let folder = elsewhere.path().join(format!("evidence-{run}"));
    let page = fs::read_to_string(folder.join("VERIFY.md")).unwrap();
    let blocks: String = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    shell(&folder, &blocks)
}

#[test]
fn an_archive_of_every_run_verifies_elsewhere_with_b3sum_and_minisign() {
    let workspace = signed(5);
    for run in workspace.runs() {
        let run = name(&run);
        let archive = format!("{run}.tar");
        workspace.reconcile(["audit", "export", &run, "--out", &archive]).expect(0, &["VERIFY.md"]);
        let said = walk(&workspace, &archive, &run);
        assert_eq!(said.matches("root-line.json: OK").count(), 2, "signed bytes and Merkle root\n{said}");
        assert_eq!(said.matches("run-line.json: OK").count(), 2, "{said}");
        assert_eq!(said.matches("signature verified").count(), 3, "{said}");
        for file in ["divergences.parquet: OK, in the manifest", "contract/reconcile.toml: OK, in the manifest"] {
            assert!(said.contains(file), "`{file}` is not in {said}");
        }
        // The same again has the same bytes, and nothing is written over.
        workspace.reconcile(["audit", "export", &run, "--out", "again.tar", "--key", "one.pub"]).expect(0, &[]);
        let bytes = |name: &str| fs::read(workspace.path().join(name)).unwrap();
        assert!(bytes(&archive) == bytes("again.tar"), "{run}: another archive");
        workspace.reconcile(["audit", "export", &run, "--out", &archive]).expect(2, &[&archive]);
        fs::remove_file(workspace.path().join("again.tar")).unwrap();
    }
}

#[test]
fn an_archive_without_signatures_verifies_and_leaves_out_what_may_be_secret() {
    let workspace = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    let path = workspace.path().join("reconcile.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}\n[run]\npii_key = \"hunter2-hunter2-hunter2\"\n")).unwrap();
    workspace.reconcile(["run"]).expect(0, &[]);
    let run = name(&workspace.run());
    workspace.reconcile(["audit", "export", "latest"]).expect(0, &["reconcile.toml: may hold a secret"]);
    let archive = format!("evidence-{run}.tar");
    let said = walk(&workspace, &archive, &run);
    assert!(said.contains("root-line.json: OK") && !said.contains("verified"), "{said}");
    let bytes = fs::read(workspace.path().join(&archive)).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"), "a secret is in the archive");
    // One that has changed since is not the run's.
    fs::write(&path, text).unwrap();
    workspace.reconcile(["audit", "export", "latest", "--out", "x.tar"]).expect(0, &["is not here as the run read it"]);
    // A run that was changed is no evidence.
    fs::write(workspace.run().join("report.md"), "all is well").unwrap();
    workspace.reconcile(["audit", "export", "latest", "--out", "y.tar"]).expect(2, &["report.md", "no evidence"]);
    assert!(!workspace.path().join("y.tar").exists());
}

#[test]
fn an_archive_that_was_tampered_with_does_not_verify() {
    let workspace = signed(2);
    let run = name(&workspace.runs()[0]);
    workspace.reconcile(["audit", "export", &run, "--out", "e.tar"]).expect(0, &[]);
    tool(workspace.path(), "tar", &["--extract", "--file", "e.tar"]).expect(0, &[]);
    let folder = workspace.path().join(format!("evidence-{run}"));
    let page = fs::read_to_string(folder.join("VERIFY.md")).unwrap();
    let blocks: String = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let files = tree(&folder);
    let whole = shell(&folder, &blocks);
    let mut told = 0;
    for file in files {
        let path = folder.join(&file);
        // The guide, and the copy of the proof for `reconcile`, are not what is checked here.
        if path.is_dir() || ["VERIFY.md", "proof.json"].contains(&file.as_str()) {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        let place = bytes.len() / 2;
        changed[place] ^= 1;
        fs::write(&path, &changed).unwrap();
        let said = tool(&folder, "sh", &["-c", &format!("set -eu\n{blocks}")]);
        assert!(said.status != Some(0) || said.stdout != whole, "{file}: nothing was noticed");
        fs::write(&path, &bytes).unwrap();
        told += 1;
    }
    assert!(told > 10, "only {told} files were changed");
}

#[test]
fn a_proof_is_checked_without_the_runs() {
    let workspace = signed(3);
    let run = name(&workspace.runs()[1]);
    workspace.reconcile(["audit", "prove", &run, "--out", "proof.json"]).expect(0, &["proof.json"]);
    make_keys(&workspace, "two");
    fs::rename(workspace.path().join("reports"), workspace.path().join("gone")).unwrap();
    let verify = |more: &[&str]| workspace.reconcile([&["audit", "verify", "--proof", "proof.json"], more].concat());
    verify(&[]).expect(0, &["is in the ledger", "not who wrote them"]);
    verify(&["--key", "one.pub"]).expect(0, &[&run, "of line 3"]);
    verify(&["--key", "two.pub"]).expect(1, &["does not hold", "another key"]);
    verify(&["--root", &"0".repeat(64)]).expect(1, &["its Merkle root is"]);
    verify(&["--run", &format!("gone/{run}")]).expect(0, &[]);
    let text = fs::read_to_string(workspace.path().join("proof.json")).unwrap();
    workspace.file("proof.json", &text.replace("\"leaf_index\": 1", "\"leaf_index\": 0"));
    verify(&[]).expect(1, &["its path does not lead"]);
    workspace.file("proof.json", "{}");
    verify(&[]).expect(2, &["not a proof"]);
    workspace.reconcile(["audit", "verify", "--root", "00"]).expect(2, &["--proof"]);
}

#[test]
fn a_later_line_continues_an_earlier_one_and_a_ledger_made_anew_does_not() {
    let workspace = signed(4);
    let ledger = |workspace: &Workspace| fs::read_to_string(workspace.path().join("reports/ledger.ndjson")).unwrap();
    let root = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["merkle_root"].as_str().unwrap().to_owned()
    };
    let kept = root(ledger(&workspace).lines().nth(1).unwrap());
    workspace.reconcile(["audit", "prove", "--since", "2", "--out", "proof.json"]).expect(0, &["proof.json"]);
    let verify = |more: &[&str]| workspace.reconcile([&["audit", "verify", "--proof", "proof.json"], more].concat());
    verify(&[]).expect(0, &["line 4 continues line 2", "not who wrote them"]);
    verify(&["--key", "one.pub", "--root", &kept]).expect(0, &["the root that was kept is that of line 2"]);
    verify(&["--root", &"0".repeat(64)]).expect(1, &["neither of its Merkle roots"]);
    verify(&["--run", "reports"]).expect(2, &["proves two lines"]);
    let document = verify(&["--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&document.expect(0, &[]).stdout).unwrap();
    assert_eq!((&document["first"]["runs"], &document["second"]["sequence"]), (&2.into(), &4.into()), "{document}");
    let text = fs::read_to_string(workspace.path().join("proof.json")).unwrap();
    workspace.file("proof.json", &text.replacen("\"tree_size\": 2", "\"tree_size\": 1", 1));
    verify(&[]).expect(1, &["do not lead"]);
    // The ledger made anew over the same runs but one.
    let anew = signed(0);
    fs::remove_file(workspace.path().join("reports/ledger.ndjson")).unwrap();
    fs::remove_dir_all(&workspace.runs()[1]).unwrap();
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["audit", "prove", "--since", "2", "--out", "anew.json"]).expect(0, &[]);
    let forged = ["audit", "verify", "--proof", "anew.json", "--root", kept.as_str()];
    workspace.reconcile(forged).expect(1, &["neither of its Merkle roots"]);
    for (arguments, said) in [
        (&["audit", "prove"][..], "--since"),
        (&["audit", "prove", "--since", "9"], "expected two of 1 to"),
        (&["audit", "prove", "--since", "3", "--line", "2"], "the earlier one first"),
        (&["audit", "prove", "latest", "--since", "1"], "cannot be used with"),
    ] {
        workspace.reconcile(arguments).expect(2, &[said]);
    }
    anew.reconcile(["audit", "prove", "--since", "1"]).expect(2, &["nothing can be proved"]);
}

/// Some rows of each kind, in files of several parts.
fn various() -> Workspace {
    let (mut authority, mut projection) = ("id,name,amount\n".to_owned(), "id,name,amount\n".to_owned());
    for id in 0..5000 {
        if id % 97 != 0 {
            authority.push_str(&format!("{id},name {id},{id}.50\n"));
        }
        if id % 89 != 0 {
            let amount = if id % 53 == 0 { "1.00".to_owned() } else { format!("{id}.50") };
            projection.push_str(&format!("{id},name {id},{amount}\n"));
        }
    }
    projection.push_str("7,twice,1.00\n");
    Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()))
}

#[test]
fn a_run_done_again_is_the_same_on_any_number_of_threads() {
    let workspace = various();
    workspace.reconcile(["run", "--threads", "2"]).expect(1, &[]);
    workspace.reconcile(["run", "--where", "id like '1%'", "--no-plan"]).expect(1, &[]);
    assert!(divergences(&workspace.runs()[0]).len() > 100);
    let before = tree(&workspace.path().join("reports"));
    for run in workspace.runs() {
        for threads in ["1", "2", "7"] {
            let outcome = workspace.reconcile(["audit", "reproduce", &name(&run), "--threads", threads]);
            outcome.expect(0, &["reproduced", "2 table digests are the same"]);
        }
    }
    let json = workspace.reconcile(["--format", "json", "audit", "reproduce", "latest"]);
    let document: serde_json::Value = serde_json::from_str(&json.expect(0, &[]).stdout).unwrap();
    assert_eq!((&document["reproduced"], &document["table_digests"]), (&true.into(), &2.into()));
    assert_eq!(tree(&workspace.path().join("reports")), before, "something was published");
    workspace.reconcile(["audit", "verify"]).expect(0, &["2 runs unchanged"]);
}

#[test]
fn what_has_changed_since_is_named_before_anything_is_compared() {
    let workspace = various();
    workspace.reconcile(["run"]).expect(1, &[]);
    let path = |name: &str| workspace.path().join(name);
    let text = |name: &str| fs::read_to_string(path(name)).unwrap();
    let (projection, contract) = (text("b.csv"), text("reconcile.toml"));
    let reproduce = || workspace.reconcile(["audit", "reproduce", "latest"]);
    // The same content with another time is the same input.
    workspace.file("b.csv", &projection);
    reproduce().expect(0, &["reproduced"]);
    workspace.file("b.csv", &projection.replace("name 11,", "name eleven,"));
    reproduce().expect(2, &["its inputs have changed", "projection: b.csv has changed"]);
    fs::remove_file(path("b.csv")).unwrap();
    reproduce().expect(2, &["contract \"pair\": could not be compared"]);
    workspace.file("b.csv", &projection);
    workspace.file("reconcile.toml", &format!("{contract}ignore = [\"name\"]\n"));
    reproduce().expect(2, &["means something else"]);
    workspace.file("reconcile.toml", &contract.replace("contract.pair", "contract.other"));
    reproduce().expect(2, &["contract \"pair\" is not in reconcile.toml"]);
    workspace.file("reconcile.toml", &contract);
    fs::write(workspace.run().join("summary.json"), "{}").unwrap();
    reproduce().expect(2, &["summary.json was changed", "a run that was changed cannot be reproduced"]);
}
