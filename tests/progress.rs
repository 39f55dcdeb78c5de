//! What a terminal shows of a run while it lasts, a log instead, and the list of contracts. A server that does not answer yet holds the run where it is,
//! so nothing depends on how fast anything is.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use crate::support::{Outcome, Workspace, pair_contract, read_json};
use crate::terminal::Terminal;

/// A contract whose run tells a server of its drift.
fn workspace(server: &TcpListener) -> Workspace {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", b"id,name\n1,Anna\n2,Bert\n");
    workspace.bytes("b.csv", b"id,name\n1,Anna\n2,Berta\n");
    let contract = pair_contract("a.csv", "b.csv");
    let second = "\n[contract.other]\nversion = \"1.0.0\"\nauthority = \"authority\"\nprojection = \"authority\"\nkey = [\"id\"]\n";
    let address = server.local_addr().unwrap();
    let notify = format!("\n[run.notify]\nurl = \"http://{address}\"\ntimeout = \"60s\"\nattempts = 1\n");
    workspace.file("reconcile.toml", &format!("{contract}{second}{notify}"));
    workspace
}

/// Lets the run go on.
fn answer(mut stream: &TcpStream) {
    stream.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
}

#[test]
fn bars_are_drawn_on_a_terminal_of_any_width_and_nothing_of_them_is_left() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let workspace = workspace(&server);
    let mut terminal = Terminal::start(&workspace, &["run"], 60, 80);
    let (held, _) = server.accept().unwrap();
    let text = terminal.wait_for("telling");
    assert!(text.starts_with("2 of 2 contracts done, 0:"), "{text}");
    terminal.resize(60, 40);
    terminal.wait_for("telling");
    terminal.resize(60, 100);
    answer(&held);
    let (status, text) = terminal.end();
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("drifted") && text.contains("2 contracts: 1 agreed, 1 drifted"), "{text}");
    for left in ["telling", "contracts done", "publishing", "%"] {
        let left_behind = text.lines().find(|line| line.contains(left) && !line.contains("coverage"));
        assert_eq!(left_behind, None, "{text}");
    }
}

#[test]
fn who_presses_ctrl_c_while_others_are_told_has_the_whole_run() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let workspace = workspace(&server);
    let mut terminal = Terminal::start(&workspace, &["run"], 60, 80);
    let held = server.accept().unwrap();
    // Nobody hears of a run that there is not.
    assert!(workspace.run().join("manifest.json").is_file());
    terminal.wait_for("telling");
    terminal.press("\u{3}");
    let (status, text) = terminal.end();
    drop(held);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("interrupted before there was an answer") && text.contains("1 drifted"), "{text}");
    assert!(!text.contains("telling") && !text.contains("contracts done"), "{text}");
    assert_eq!(read_json(&workspace.run().join("summary.json"))["verdict"], "drifted");
    workspace.reconcile(["audit", "verify"]).expect(0, &["1 run unchanged"]);
}

/// A contract whose authority is a server that takes the connection and says nothing.
#[cfg(feature = "postgres")]
fn silent(server: &TcpListener) -> Workspace {
    let workspace = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    let contract = pair_contract("a.csv", "b.csv");
    let url = format!("postgres://amy@{}/shop?sslmode=disable", server.local_addr().unwrap());
    workspace.file("reconcile.toml", &contract.replace("\"a.csv\"", &format!("\"{url}\"\ntable = \"t\"")));
    workspace
}

#[test]
#[cfg(feature = "postgres")]
fn nothing_is_left_behind_by_ctrl_c() {
    for (arguments, presses, last) in [
        (&["run"][..], 2, "stopping: pair opening"),
        (&["check", "--sources"], 1, "pair opening"),
        (&["init", "URL", "b.csv", "--out", "new.toml"], 1, "opening the authority"),
    ] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let workspace = silent(&server);
        let url = format!("postgres://amy@{}/shop?sslmode=disable#t", server.local_addr().unwrap());
        let arguments: Vec<&str> =
            arguments.iter().map(|argument| if *argument == "URL" { &*url } else { argument }).collect();
        let mut terminal = Terminal::start(&workspace, &arguments, 60, 100);
        let held = server.accept().unwrap();
        terminal.wait_for("opening");
        for _ in 1..presses {
            terminal.press("\u{3}");
        }
        terminal.wait_for(last);
        terminal.press("\u{3}");
        let (status, text) = terminal.end();
        drop(held);
        assert_eq!((status, text.trim()), (130, ""), "{arguments:?}");
        assert!(workspace.runs().is_empty() && !workspace.path().join("new.toml").exists());
    }
}

#[test]
fn a_log_gets_a_line_now_and_then_and_a_quiet_run_none() {
    for (quiet, told) in [(None, true), (Some("--no-progress"), false), (Some("--quiet"), false)] {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let workspace = workspace(&server);
        let mut command = workspace.command(["run"].into_iter().chain(quiet));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (held, _) = server.accept().unwrap();
        let mut talk = BufReader::new(child.stderr.take().unwrap());
        if told {
            let mut line = String::new();
            talk.read_line(&mut line).unwrap();
            assert!(line.starts_with("after 0:1") && line.ends_with(": 2 of 2 contracts done; telling\n"), "{line}");
        }
        answer(&held);
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut talk, &mut rest).unwrap();
        let outcome = Outcome::of(&child.wait_with_output().unwrap());
        assert_eq!(outcome.status, Some(1));
        assert!(!rest.contains("telling") && !rest.contains('\u{1b}'), "{rest}");
    }
}

/// A contract whose copy in SQLite can be repaired, with one run.
fn repairable() -> Workspace {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n"), ("b.csv", b""));
    let database = rusqlite::Connection::open(workspace.path().join("shop.db")).unwrap();
    database
        .execute_batch("CREATE TABLE t (id TEXT PRIMARY KEY, name TEXT); INSERT INTO t VALUES ('1', 'Anne')")
        .unwrap();
    let contract = pair_contract("a.csv", "sqlite:shop.db#t");
    let repair = "[contract.pair.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\n";
    workspace.file("reconcile.toml", &format!("{contract}{repair}"));
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace
}

/// The ledger, which nobody else reads or writes until this is dropped.
fn taken(workspace: &Workspace) -> File {
    let lock = File::open(workspace.path().join("reports/.ledger.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

#[test]
fn proofs_archives_and_applies_tell_what_they_are_at() {
    let workspace = repairable();
    for (arguments, phase, last) in [
        (&["audit", "verify"][..], "verifying", "1 run unchanged"),
        (&["audit", "export", "latest"], "exporting", "VERIFY.md in it says how to verify it"),
        (&["apply", "latest"], "reading the plan", "2 actions: 2 would be done"),
    ] {
        let held = taken(&workspace);
        let mut terminal = Terminal::with(&workspace, arguments, &[("NO_COLOR", "1")], 60, 80);
        assert!(terminal.wait_for(phase).starts_with(phase), "{arguments:?}");
        terminal.resize(60, 30);
        terminal.wait_for(phase);
        terminal.resize(60, 120);
        drop(held);
        let (status, text) = terminal.end();
        assert_eq!(status, 0, "{text}");
        assert!(text.contains(last) && !text.contains(phase), "{text}");
    }

    // While another writes to the copy, an apply waits with its first transaction.
    let other = rusqlite::Connection::open(workspace.path().join("shop.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let terminal = Terminal::start(&workspace, &["apply", "latest", "--execute"], 60, 80);
    terminal.wait_for("writing   0%");
    other.execute_batch("ROLLBACK").unwrap();
    let (status, text) = terminal.end();
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("2 actions: 2 done") && text.contains("receipt") && !text.contains("writing"), "{text}");
}

#[test]
fn a_log_gets_a_line_of_a_proof_that_takes_long() {
    let workspace = repairable();
    let held = taken(&workspace);
    let mut command = workspace.command(["audit", "verify"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("after 0:1") && line.ends_with(": verifying, 0%\n"), "{line}");
    drop(held);
    Outcome::of(&child.wait_with_output().unwrap()).expect(0, &["1 run unchanged"]);
}

/// What reads earlier runs waits for whoever writes there, and says so.
#[test]
fn what_reads_earlier_runs_tells_how_far_it_is() {
    let workspace = repairable();
    let contract = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{contract}[contract.pair.parity]\nconsecutive_runs = 1\n"));
    workspace.reconcile(["review", "export", "--all", "--out", "decided.csv"]).expect(0, &["2 divergences"]);
    decide(&workspace, "decided.csv");
    for (arguments, phase, status, last) in [
        (&["history"][..], "reading runs", 0, "pair"),
        (&["parity", "pair"], "proving the runs", 1, "not yet: pair"),
        (&["explain", "latest", "1"], "looking for decisions", 0, "mismatch"),
        (&["review", "export", "--all", "--out", "again.csv"], "exporting", 0, "2 divergences are in again.csv"),
        (&["review", "import", "decided.csv"], "proving the newest runs", 0, "2 decisions were taken in"),
        (&["audit", "reproduce", "latest"], "proving the run", 0, "reproduced: divergences.parquet has the same"),
        (&["audit", "prune", "--keep-runs", "1"], "looking at the ledger", 0, "reports: 0 runs removed"),
    ] {
        let held = taken(&workspace);
        let mut terminal = Terminal::with(&workspace, arguments, &[("NO_COLOR", "1")], 60, 80);
        let text = terminal.wait_for(phase);
        assert!(text.starts_with(phase), "{arguments:?}: {text}");
        terminal.resize(60, 30);
        terminal.wait_for(phase);
        terminal.resize(60, 120);
        drop(held);
        let (ended, text) = terminal.end();
        assert_eq!(ended, status, "{arguments:?}: {text}");
        assert!(text.contains(last), "{arguments:?}: {text}");
        assert!(text.lines().all(|line| !line.starts_with(phase)), "{arguments:?}: {text}");
    }
}

/// Fills in what a person decides.
fn decide(workspace: &Workspace, name: &str) {
    let mut sheet = csv::Reader::from_path(workspace.path().join(name)).unwrap();
    let head = sheet.headers().unwrap().clone();
    let mut decided = csv::Writer::from_path(workspace.path().join("filled.csv")).unwrap();
    decided.write_record(&head).unwrap();
    for line in sheet.records() {
        let line = line.unwrap();
        let cells = head.iter().zip(&line).map(|(column, cell)| match column {
            "decision" => "fix-elsewhere",
            "who" => "amy",
            "why" => "she knows",
            _ => cell,
        });
        decided.write_record(cells).unwrap();
    }
    decided.flush().unwrap();
    fs::rename(workspace.path().join("filled.csv"), workspace.path().join(name)).unwrap();
}

/// Puts a pipe where a file was, so that whoever reads it waits; gives what was in the file.
fn piped(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).unwrap();
    fs::remove_file(file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(file).status();
    assert!(made.unwrap_or_else(|error| panic!("mkfifo (coreutils): {error}")).success());
    bytes
}

#[test]
fn what_reads_one_run_tells_how_far_it_is_and_runs_into_no_data() {
    for (command, file, phase, last) in [
        (&["plan"][..], "plan.ndjson", "reading the plan", "2 actions"),
        (&["plan", "--format", "ndjson"], "plan.ndjson", "", "\"op\":\"update\""),
        (&["report"], "../ledger.ndjson", "reading the run", "1 contract: 1 drifted"),
    ] {
        let workspace = repairable();
        let run = workspace.run();
        let (file, id) = (run.join(file), run.file_name().unwrap().to_string_lossy().into_owned());
        let bytes = piped(&file);
        let arguments: Vec<&str> =
            command[..1].iter().copied().chain([&*id]).chain(command[1..].iter().copied()).collect();
        let terminal = Terminal::start(&workspace, &arguments, 60, 80);
        if phase.is_empty() {
            // It is read all the same, and nothing is drawn among its lines.
            fs::write(&file, &bytes).unwrap();
        } else {
            assert!(terminal.wait_for(phase).starts_with(phase), "{command:?}");
            fs::write(&file, &bytes).unwrap();
        }
        let (_, text) = terminal.end();
        assert!(text.contains(last) && !text.contains("reading the"), "{command:?}: {text}");
    }
}

#[test]
fn a_log_gets_a_line_of_a_plan_that_is_read_for_long() {
    let workspace = repairable();
    let file = workspace.run().join("plan.ndjson");
    let bytes = piped(&file);
    let mut command = workspace.command(["plan"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("after 0:1") && line.ends_with(": reading the plan\n"), "{line}");
    fs::write(&file, &bytes).unwrap();
    Outcome::of(&child.wait_with_output().unwrap()).expect(0, &["2 actions"]);
}

#[test]
fn the_list_of_contracts_fits_the_terminal_and_is_a_line_each_elsewhere() {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", b"id\n1\n");
    let contract =
        pair_contract("a.csv", "a.csv").replace("contract.pair", "contract.a-rather-long-name-of-a-contract");
    let keys = (0..12).map(|number| format!("\"key_column_{number}\"")).collect::<Vec<_>>().join(", ");
    workspace.file("reconcile.toml", &contract.replace("key = [\"id\"]", &format!("key = [{keys}]")));
    let outcome = workspace.reconcile(["contracts"]);
    assert_eq!(outcome.expect(0, &["key_column_11"]).stdout.lines().count(), 2);
    for (columns, lines) in [(80, 2..40), (40, 7..60)] {
        let (status, text) = Terminal::start(&workspace, &["contracts"], 60, columns).end();
        assert_eq!(status, 0);
        assert!(lines.contains(&text.lines().count()), "{text}");
        assert!(text.contains("key_column_11") && text.contains("never"), "{text}");
    }
}
