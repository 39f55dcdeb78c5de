//! What goes where: the files of a run do not grow with what is printed, stdout holds one document, stderr says why, and nothing stands
//! in the place of what is no file.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;

use crate::receiver::{Answer, Receiver};
use crate::support::{Outcome, Workspace, meanwhile, pair_contract, read_json, runs_in};

/// A contract whose copy differs in one row of two; `run` stands under `[run]`.
fn drifted(run: &str) -> Workspace {
    let workspace =
        Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Berta\n"), ("b.csv", b"id,name\n1,Anna\n2,Quirinus\n"));
    let text = pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &text.replacen("version = 1\n", &format!("version = 1\n{run}\n"), 1));
    workspace
}

#[test]
fn a_great_limit_prints_more_and_makes_no_file_grow() {
    let rows = |name: &str| (0..3_000).map(|row| format!("{row},{name}{row}\n")).collect::<String>();
    let table = |name: &str| format!("id,name\n{}", rows(name));
    let workspace = Workspace::pair(("a.csv", table("one").as_bytes()), ("b.csv", table("other").as_bytes()));
    // Each in a folder of its own, so that none tells of the one before.
    let run = |out: &str, more: &[&str], said: &[&str]| {
        workspace.reconcile([&["run", "--no-cache", "--out", out], more].concat()).expect(1, said);
        runs_in(&workspace.path().join(out)).pop().unwrap()
    };
    let usual = run("usual", &[], &["the worst 20 of 3,000 divergences"]);
    let said = [
        "the worst 1,000 of 3,000 divergences",
        "warning: --limit 100000000: at most 1000 divergences of each contract are printed in this format",
        "hint: `--format ndjson` prints as many as are asked for",
    ];
    let all = run("all", &["--limit", "100000000"], &said);
    let some = run("some", &["--limit", "300"], &["the worst 300 of 3,000 divergences"]);
    let examples = |run: &Path| {
        let manifest = read_json(&run.join("manifest.json"));
        manifest["contracts"][0]["examples"].as_array().unwrap().clone()
    };
    assert_eq!(examples(&usual).len(), 20);
    for run in [&all, &some] {
        assert_eq!(examples(run), examples(&usual));
        for name in ["report.md", "report.html"] {
            let size = |run: &Path| fs::metadata(run.join(name)).unwrap().len();
            assert!(size(run) < size(&usual) + 1_024, "{name} grew with what was printed");
        }
    }
    let lines = workspace.reconcile(["run", "--no-cache", "--limit", "2000", "--format", "ndjson"]);
    assert_eq!(lines.stdout.lines().count(), 2_001);
    // Shown again a run has the bytes of its own page.
    let page = fs::read_to_string(all.join("report.md")).unwrap();
    let shown = workspace.reconcile(["report", "latest", "--reports", "all", "--format", "markdown"]);
    assert_eq!(shown.stdout, page);
}

#[test]
fn each_owner_is_asked_to_send_its_own_attributes_again() {
    let workspace = Workspace::new();
    workspace.file("policy.csv", "id,status\n1,a\n2,b\n3,c\n");
    workspace.file("billing.csv", "id,balance\n1,10\n2,20\n3,30\n");
    workspace.file("copy.csv", "id,status,balance\n1,x,11\n2,b,21\n3,x,30\n");
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.policy]\nlocation = \"policy.csv\"\n[source.billing]\nlocation = \"billing.csv\"\n[source.copy]\n\
         location = \"copy.csv\"\n[contract.view]\nversion = \"1.0.0\"\nauthority = \"policy\"\nprojection = \"copy\"\nkey = [\"id\"]\n\
         [contract.view.attribute.balance]\nowner = \"billing\"\n[contract.view.repair]\nmismatch = \"replay\"\n",
    );
    workspace.reconcile(["run"]).expect(1, &[]);
    let outcome = workspace.reconcile(["plan", "--replay"]);
    let lines: Vec<Value> =
        outcome.expect(0, &[]).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut asked: Vec<(String, String, Value)> = lines
        .iter()
        .map(|line| {
            (line["key"]["id"].to_string(), line["owner"].as_str().unwrap().to_owned(), line["attributes"].clone())
        })
        .collect();
    asked.sort_by(|one, other| (&one.0, &one.1).cmp(&(&other.0, &other.1)));
    let of = |key: &str, owner: &str, attribute: &str| {
        (format!("\"{key}\""), owner.to_owned(), serde_json::json!([attribute]))
    };
    let expected = [
        of("1", "billing", "balance"),
        of("1", "policy", "status"),
        of("2", "billing", "balance"),
        of("3", "policy", "status"),
    ];
    assert_eq!(asked, expected, "{}", outcome.shown());
    let keys: std::collections::BTreeSet<&str> =
        lines.iter().map(|line| line["idempotency_key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), 4, "no two commands are one");
    assert_eq!(workspace.reconcile(["plan", "--replay", "--format", "ndjson"]).stdout, outcome.stdout);
    let refused = workspace.reconcile(["plan", "--replay", "--format", "json"]);
    refused.expect(2, &["prints a JSON line for each command"]);
    assert_eq!(serde_json::from_str::<Value>(&refused.stdout).unwrap()["verdict"], "unverified");
    // And `contracts` knows them.
    let listed = workspace.reconcile(["contracts", "--format", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&listed.stdout).unwrap()["contracts"][0]["owners"],
        serde_json::json!(["policy", "billing"])
    );
    workspace.reconcile(["contracts"]).expect(0, &["policy, billing"]);
}

#[test]
fn who_asked_for_quiet_is_told_why_nothing_can_be_said() {
    // More groups than a total holds, so that it is not computed, and no error besides.
    let rows: String = (0..70_000).map(|row| format!("{row},{row},1\n")).collect();
    let table = format!("id,region,amount\n{rows}");
    let workspace = Workspace::pair(("a.csv", table.as_bytes()), ("b.csv", table.as_bytes()));
    let total =
        "[[contract.pair.total]]\nname = \"by region\"\nby = [\"region\"]\nsum = [\"amount\"]\nseverity = \"high\"\n";
    let types = "[contract.pair.attribute.amount]\ntype = \"int64\"\n";
    workspace.file("reconcile.toml", &format!("{}{types}{total}", pair_contract("a.csv", "b.csv")));
    for format in ["text", "json"] {
        let outcome = workspace.reconcile(["run", "--quiet", "--format", format]);
        outcome.expect(2, &[]);
        assert!(
            outcome.stderr.contains("error: contract \"pair\": total `by region` could not be computed"),
            "{}",
            outcome.shown()
        );
    }
    fs::remove_dir_all(workspace.runs().pop().unwrap()).unwrap();
    let outcome = workspace.reconcile(["history", "--quiet"]);
    outcome.expect(2, &[]);
    assert!(outcome.stderr.contains("its folder is missing"), "{}", outcome.shown());
}

#[test]
fn a_link_stays_and_what_is_no_file_is_written_into() {
    let workspace = drifted("");
    let folder = workspace.path();
    fs::create_dir(folder.join("far")).unwrap();
    symlink("far/junit.xml", folder.join("link.xml")).unwrap();
    // The first time what it leads to is not there.
    for _ in 0..2 {
        workspace.reconcile(["run", "--junit", "link.xml"]).expect(1, &[]);
        assert!(fs::symlink_metadata(folder.join("link.xml")).unwrap().is_symlink());
        assert!(fs::read_to_string(folder.join("far/junit.xml")).unwrap().ends_with("</testsuites>\n"));
    }
    symlink("nowhere/junit.xml", folder.join("lost.xml")).unwrap();
    workspace.reconcile(["run", "--junit", "lost.xml"]).expect(2, &["lost.xml: its folder is not there"]);
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (sender, read) = channel();
    let from = pipe.clone();
    std::thread::spawn(move || {
        let mut text = String::new();
        fs::File::open(from).unwrap().read_to_string(&mut text).unwrap();
        sender.send(text).unwrap();
    });
    workspace.reconcile(["run", "--metrics", "pipe"]).expect(1, &[]);
    assert!(read.recv_timeout(Duration::from_secs(60)).unwrap().contains("reconcile_run_verdict{batch=\"pipe\"} 1"));
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    // A device of the system stays one: who may rename over it must not.
    workspace.reconcile(["run", "--junit", "/dev/null"]).expect(1, &[]);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    let outcome = workspace.reconcile(["run", "--junit", "/dev/stdout", "--quiet"]);
    outcome.expect(1, &["</testsuites>", "1 contract: 1 drifted"]);
    assert!(fs::symlink_metadata("/dev/stdout").unwrap().is_symlink());
}

#[test]
fn stdout_is_one_document_where_another_file_cannot_be_written() {
    let workspace = drifted("");
    // A device that is always full.
    for (format, lines) in [("json", None), ("ndjson", Some(2))] {
        let outcome = workspace.reconcile(["run", "--format", format, "--junit", "/dev/full"]);
        outcome.expect(2, &[]);
        let said = "error: /dev/full: cannot be written: no space left on device";
        assert!(outcome.stderr.contains(said), "{}", outcome.shown());
        let last = match lines {
            None => serde_json::from_str::<Value>(&outcome.stdout).unwrap(),
            Some(lines) => {
                assert_eq!(outcome.stdout.lines().count(), lines, "{}", outcome.shown());
                serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap()
            }
        };
        assert_eq!(last["verdict"], "drifted", "the run was compared to its end");
    }
    assert_eq!(workspace.runs().len(), 2);
}

#[test]
fn a_full_stdout_leaves_the_page_over_all_runs_as_new_as_the_run() {
    let workspace = drifted("");
    for format in ["text", "json", "ndjson"] {
        let mut command = workspace.command(["run", "--format", format]);
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let outcome = Outcome::of(&command.output().unwrap());
        outcome.expect(2, &["stdout: cannot be written"]);
        let run = workspace.runs().pop().unwrap().file_name().unwrap().to_string_lossy().into_owned();
        assert!(outcome.stderr.contains(&format!("run {run} is in ")), "{}", outcome.shown());
        let index = fs::read_to_string(workspace.path().join("reports/index.html")).unwrap();
        assert!(index.contains(&run), "{format}");
    }
}

#[test]
fn a_signal_ends_the_telling_and_what_is_left_is_a_warning() {
    let receiver = Receiver::start(&[Answer::Status(200), Answer::Hang]);
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,name\n1,Anna\n");
    let mut text = format!(
        "version = 1\n[run]\nopenlineage = \"{}\"\n[source.a]\nlocation = \"a.csv\"\n[source.b]\nlocation = \"a.csv\"\n",
        receiver.url()
    );
    for number in 0..10 {
        text.push_str(&format!(
            "[contract.c{number}]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n"
        ));
    }
    workspace.file("reconcile.toml", &text);
    let mut command = workspace.command(["run", "--no-progress"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut came = 0;
    meanwhile(&mut child, || {
        came += receiver.requests().len();
        came >= 2
    });
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let outcome = Outcome::of(&child.wait_with_output().unwrap()).unbroken();
    outcome.expect(0, &["OpenLineage: 19 of 20 events did not reach"]);
    assert!(came + receiver.requests().len() <= 2, "nothing is begun after the signal");
    // The run was published before anybody was told of it.
    assert_eq!(workspace.summary()["warnings"], serde_json::json!([]));
}

#[test]
fn nothing_out_of_data_or_names_reaches_the_terminal_raw() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "i\u{1b}[31md,name\n1,Anna\n2,Berta\n");
    workspace.file("b.csv", "i\u{1b}[31md,name\n1,Anna\n2,Berta\n");
    let mut outcomes = vec![
        workspace.reconcile(["diff", "a.csv", "b.csv"]),
        workspace.reconcile(["init", "a.csv", "b.csv", "--out", "made.toml"]),
        workspace.reconcile(["diff", "gone\u{1b}[2J.csv", "b.csv", "--key", "id"]),
        workspace.reconcile(["explain", "wor\u{1b}[2Jd"]),
    ];
    workspace.file(
        "reconcile.toml",
        &pair_contract("a.csv", "b.csv").replace("contract.pair", "contract.\"pa\\u001b[2Jir\""),
    );
    outcomes.push(workspace.reconcile(["run", "other"]));
    outcomes.push(workspace.reconcile(["check", "--sources"]));
    workspace.file("reconcile.toml", &pair_contract("c.csv", "c.csv"));
    workspace.file("c.csv", "id\n1\n");
    workspace.reconcile(["run"]).expect(0, &[]);
    fs::create_dir(workspace.path().join("reports/stray\u{1b}[2J")).unwrap();
    outcomes.push(workspace.reconcile(["audit", "verify"]));
    for outcome in outcomes {
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("\\u{1b}["), "the name is said\n{}", outcome.shown());
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}

#[test]
fn a_size_is_the_same_on_the_command_line_as_in_the_file_and_no_span_is_too_long_to_be_refused() {
    let workspace = drifted("[run]\nmemory_limit = \"1T\"");
    let limit = |words: &[&str]| {
        let outcome = workspace.reconcile(words);
        outcome.expect(1, &[]);
        read_json(&workspace.runs().pop().unwrap().join("manifest.json"))["settings"]["memory_limit"].clone()
    };
    assert_eq!(limit(&["run"]), (1_u64 << 40).to_string());
    assert_eq!(limit(&["run", "--memory-limit", "1T"]), (1_u64 << 40).to_string());
    assert_eq!(limit(&["run", "--memory-limit", "1G"]), (1_u64 << 30).to_string());
    let outcome = workspace.reconcile(["apply", "latest", "--max-age", "300000000000000000d"]);
    outcome.expect(2, &["expected a length of time"]);
}
