//! Against a server on this machine that answers as it is told.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::sync::mpsc;

use super::*;

/// Answers one request with each status, and hands over what came.
fn server(statuses: &'static [u16]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/hook/hunter2", listener.local_addr().expect("an address"));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for status in statuses {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).expect("a line");
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let location = if *status == 302 { "location: http://127.0.0.1:1/\r\n" } else { "" };
            write!(stream, "HTTP/1.1 {status} x\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n")
                .expect("an answer");
            sender.send(format!("{head}\n{}", String::from_utf8_lossy(&body))).expect("someone listens");
        }
    });
    (url, receiver)
}

const QUICK: Patience = Patience { timeout: Duration::from_secs(20), attempts: 3, pause: Duration::from_millis(1) };

fn letter<'a>(url: &'a str, headers: &'a [(String, String)]) -> Letter<'a> {
    Letter { url, content_type: "application/json", headers, body: b"{}" }
}

#[test]
fn what_may_pass_is_tried_again() {
    let (url, came) = server(&[500, 429, 204]);
    let headers = [("authorization".to_owned(), "Bearer x".to_owned())];
    send(&letter(&url, &headers), QUICK, &|| false).expect("it arrives");
    let came: Vec<String> = came.iter().collect();
    assert_eq!(came.len(), 3);
    for request in came {
        let head = request.to_ascii_lowercase();
        assert!(head.starts_with("post /hook/hunter2 http/1.1"), "{request}");
        assert!(
            head.contains("authorization: bearer x") && head.contains("content-type: application/json"),
            "{request}"
        );
        assert!(request.ends_with("{}"), "{request}");
    }
}

#[test]
fn what_will_not_pass_is_tried_once() {
    for (statuses, status) in [(&[401_u16][..], 401), (&[302], 302)] {
        let (url, came) = server(statuses);
        let undelivered = send(&letter(&url, &[]), QUICK, &|| false).expect_err("it is refused");
        assert_eq!((undelivered.attempts, came.iter().count()), (1, 1));
        assert!(undelivered.to_string().contains(&status.to_string()), "{undelivered}");
    }
}

#[test]
fn it_ends_after_so_many_attempts_or_where_there_is_no_time() {
    for (hurry, attempts) in [(false, 3), (true, 1)] {
        let (url, _came) = server(&[503, 503, 503]);
        let undelivered = send(&letter(&url, &[]), QUICK, &|| hurry).expect_err("it never answers well");
        assert_eq!(undelivered.attempts, attempts);
    }
}

#[test]
fn who_leaves_waits_neither_for_an_answer_nor_for_the_next_attempt() {
    use std::cell::Cell;
    let hangs = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let hanging = format!("http://{}/hook", hangs.local_addr().expect("an address"));
    let never = Patience { timeout: Duration::from_secs(600), attempts: 9, pause: Duration::from_secs(600) };
    let looks = Cell::new(0);
    // Nobody leaves before it has begun.
    let leaves = || looks.replace(looks.get() + 1) > 1;
    let undelivered = send(&letter(&hanging, &[]), never, &leaves).expect_err("nobody answers");
    assert_eq!(undelivered.to_string(), "it was interrupted before there was an answer (tried once)");

    let (url, came) = server(&[503, 204]);
    let refused = Cell::new(false);
    let leaves = || {
        refused.set(refused.get() || came.try_recv().is_ok());
        refused.get()
    };
    let undelivered = send(&letter(&url, &[]), never, &leaves).expect_err("it left before the second attempt");
    assert_eq!(undelivered.attempts, 1);
}

#[test]
fn no_problem_names_the_address() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://amy:hunter2@{}/hunter2", listener.local_addr().expect("an address"))
    };
    let hangs = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let hanging = format!("http://{}/hunter2", hangs.local_addr().expect("an address"));
    let brief = Patience { timeout: Duration::from_millis(50), attempts: 2, pause: Duration::from_millis(1) };
    let cases = [
        (refused.as_str(), QUICK, "the connection was refused (tried 3 times)"),
        (hanging.as_str(), brief, "no answer within 50 ms (tried 2 times)"),
        ("http://hunter2 .example", QUICK, "the request could not be made"),
    ];
    for (url, patience, problem) in cases {
        let undelivered = send(&letter(url, &[]), patience, &|| false).expect_err("nobody is there").to_string();
        assert!(undelivered.starts_with(problem) && !undelivered.contains("hunter2"), "{undelivered}");
    }
}

#[test]
fn a_file_is_replaced_whole_and_everybody_may_read_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("reconcile.prom");
    for text in ["one", "two, longer"] {
        replace(&path, text.as_bytes()).expect("it is written");
        assert_eq!(fs::read_to_string(&path).expect("a file"), text);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o644);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left aside");
    assert!(replace(&folder.path().join("none/reconcile.prom"), b"x").is_err());
}
