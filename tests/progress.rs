//! What a terminal shows of a run while it lasts, a log instead, and the list of contracts. A server that does not answer yet holds the run where it is,
//! so nothing depends on how fast anything is.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use crate::support::{Outcome, Workspace, pair_contract};
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
fn nothing_is_left_behind_by_ctrl_c() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let workspace = workspace(&server);
    let mut terminal = Terminal::start(&workspace, &["run"], 60, 80);
    let held = server.accept().unwrap();
    terminal.wait_for("telling");
    terminal.press("\u{3}");
    terminal.wait_for("stopping: telling");
    terminal.press("\u{3}");
    let (status, text) = terminal.end();
    drop(held);
    assert_eq!(status, 130, "{text}");
    assert!(!text.contains("telling") && !text.contains("contracts done"), "{text}");
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
