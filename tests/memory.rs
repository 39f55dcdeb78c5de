//! The promise of `--memory-limit` as its users meet it: the peak that the operating system counted of the process, on
//! inputs that do not fit, and a spill folder that is empty however the run ended.
//!
//! A process' peak begins with that of the process that forked it, and this one is large. So each run is measured by a
//! process of its own, which is small (`support::alone`). What is spilled has no name; it is seen among the open files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use serde_json::{Value, json};
use wait4::Wait4;

use crate::support::{Outcome, Workspace, alone, asked, contract, counts, tree, write_parquet};

/// The least limit that may be asked for.
const LIMIT: u64 = 256 << 20;

/// Rows with this much text each do not fit, and are still few enough for a debug build.
const TEXT: usize = 4_000;

/// What came of one run in its folder.
struct Measured {
    outcome: Outcome,
    /// The greatest memory, in bytes.
    peak: u64,
    /// The most that was seen to lie in the spill folder, in bytes.
    spilled: u64,
}

/// Runs the binary in the workspace, with a spill folder of its own.
#[track_caller]
fn measured(workspace: &Workspace, arguments: &[&str]) -> Measured {
    let spill = spill_folder(workspace);
    let request = json!({ "folder": workspace.path(), "spill": spill, "arguments": arguments });
    let answer = alone("memory::who_measures_is_small", &request);
    let said = |name: &str| fs::read_to_string(workspace.path().join(name)).unwrap();
    let status = answer["status"].as_i64().map(|status| i32::try_from(status).unwrap());
    let outcome = Outcome { status, stdout: said("stdout"), stderr: said("stderr") };
    assert_eq!(tree(&spill), [""; 0], "left in the spill folder\n{}", outcome.shown());
    Measured { outcome, peak: answer["peak"].as_u64().unwrap(), spilled: answer["spilled"].as_u64().unwrap() }
}

/// The same for two files that are compared on `id` under the limit: asserts status and memory, gives the summary.
#[track_caller]
fn within_the_limit(workspace: &Workspace, arguments: &[&str], least_spilled: u64) -> Value {
    within(LIMIT, workspace, arguments, least_spilled)
}

#[track_caller]
fn within(limit: u64, workspace: &Workspace, arguments: &[&str], least_spilled: u64) -> Value {
    let (most, limit) = (limit / 100 * 115, limit.to_string());
    let common = ["--memory-limit", &limit, "--threads", "2", "--format", "json", "--limit", "0", "--no-plan"];
    let measured = measured(workspace, &[arguments, &common].concat());
    measured.outcome.expect(1, &[]);
    let spilled = measured.spilled;
    assert!(spilled >= least_spilled, "{spilled} bytes were spilled, at least {least_spilled} were to be");
    let peak = measured.peak >> 20;
    assert!(
        measured.peak <= most,
        "its peak was {peak} MiB under a limit of {limit} bytes (at most {} MiB)",
        most >> 20
    );
    serde_json::from_str(&measured.outcome.stdout).unwrap()
}

/// What is told of the only contract, of the kind that is expected; all other kinds are zero.
#[track_caller]
fn only(summary: &Value, name: &str, kind: &str, count: u64) {
    let found = counts(&contract(summary, name)["divergences"]);
    assert_eq!(found, [(kind.to_owned(), count)].into(), "{summary:#}");
}

fn spill_folder(workspace: &Workspace) -> PathBuf {
    let spill = workspace.path().join("spill");
    fs::create_dir_all(&spill).unwrap();
    spill
}

/// The bytes of the files below a folder that a process has open, with or without a name.
pub(crate) fn open_below(process: u32, folder: &Path) -> u64 {
    // What cannot be read is closed, or the process has ended.
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return 0 };
    let below = files
        .flatten()
        .map(|file| file.path())
        .filter(|file| fs::read_link(file).is_ok_and(|target| target.starts_with(folder)));
    below.filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum()
}

const DIFF: [&str; 5] = ["diff", "a.parquet", "b.parquet", "--key", "id"];

/// Writes a side: `rows` ids by `id`, and a long text that is never the same twice.
fn long_texts(workspace: &Workspace, side: &str, rows: i64, id: fn(i64) -> i64) {
    let filler = "x".repeat(TEXT);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values((0..rows).map(id)))),
        ("body", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("{side} {row} {filler}"))))),
    ];
    write_parquet(&workspace.path().join(format!("{side}.parquet")), columns, 1_000);
}

/// A plan of all rows of a database that is empty: its scripts hold what fits, and an apply takes on as much, and both say so.
#[test]
fn a_plan_that_is_larger_than_the_limit_is_taken_on_in_parts() {
    let workspace = Workspace::new();
    let filler = "x".repeat(TEXT);
    let rows: String = (0..14_000).map(|id| format!("{id},{filler}\n")).collect();
    workspace.file("a.csv", &format!("id,body\n{rows}"));
    drop(rows);
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)";
    rusqlite::Connection::open(workspace.path().join("p.db")).unwrap().execute_batch(table).unwrap();
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.p]\nlocation = \"sqlite:p.db\"\ntable = \"t\"\n[contract.t]\n\
         version = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\nrepair = { missing = \"auto\" }\n",
    );
    let limit = LIMIT.to_string();
    let common = ["--memory-limit", &limit, "--threads", "2"];
    let said = [
        (&["run"][..], "actions more than `plan.sql` holds"),
        (&["apply", "latest"], "more actions of the plan were left"),
    ];
    for (arguments, words) in said {
        let measured = measured(&workspace, &[arguments, &common].concat());
        measured.outcome.unbroken().expect(1, &[words]);
        let peak = measured.peak >> 20;
        assert!(measured.peak <= LIMIT / 100 * 115, "{arguments:?}: its peak was {peak} MiB");
    }
}

/// Two sides of 24,000 rows and about 100 MB each, of which every row differs.
fn dense() -> Workspace {
    let workspace = Workspace::new();
    for side in ["a", "b"] {
        long_texts(&workspace, side, 24_000, |row| row);
    }
    workspace
}

#[test]
fn who_measures_is_small() {
    let Some((request, answer)) = asked() else {
        let workspace = Workspace::new();
        let measured = measured(&workspace, &["--version"]);
        measured.outcome.expect(0, &["reconcile"]);
        assert!((1 << 20..96 << 20).contains(&measured.peak), "the least peak is {} bytes", measured.peak);
        return;
    };
    let (folder, spill) = (request["folder"].as_str().unwrap(), request["spill"].as_str().unwrap());
    let folder = Path::new(folder);
    let mut child = Command::new(env!("CARGO_BIN_EXE_reconcile"))
        .args(request["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()))
        .current_dir(folder)
        .env("TMPDIR", spill)
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.join("stdout")).unwrap())
        .stderr(fs::File::create(folder.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let (process, ended) = (child.id(), AtomicBool::new(false));
    let (used, spilled) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !ended.load(Ordering::Relaxed) {
                most = most.max(open_below(process, Path::new(spill)));
                std::thread::sleep(Duration::from_millis(2));
            }
            most
        });
        let used = child.wait4().unwrap();
        ended.store(true, Ordering::Relaxed);
        (used, watch.join().unwrap())
    });
    let status = used.status.code();
    fs::write(answer, json!({ "status": status, "peak": used.rusage.maxrss, "spilled": spilled }).to_string()).unwrap();
}

#[test]
fn dense_drift_is_spilled_and_stays_within_the_limit() {
    let workspace = dense();
    // Half of what differs does not fit, whatever is made of the limit.
    let summary = within_the_limit(&workspace, &DIFF, 24_000 * TEXT as u64 / 2);
    only(&summary, "diff", "mismatch", 24_000);
}

#[test]
fn wide_rows_stay_within_the_limit() {
    let workspace = Workspace::new();
    let names: Vec<String> = (0..400).map(|column| format!("c{column}")).collect();
    for side in ["a", "b"] {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3_000));
        let texts = |column: usize| -> ArrayRef {
            let last = if column == 7 { side } else { "" };
            let text = |row: i64| format!("{row} {column} {:<80}{last}", row * 7);
            Arc::new(StringArray::from_iter_values((0..3_000).map(text)))
        };
        let columns = names.iter().enumerate().map(|(index, name)| (name.as_str(), texts(index)));
        let columns = std::iter::once(("id", ids)).chain(columns).collect();
        write_parquet(&workspace.path().join(format!("{side}.parquet")), columns, 3_000);
    }
    only(&within_the_limit(&workspace, &DIFF, 0), "diff", "mismatch", 3_000);
    // A page of each of so many columns is a large part of the least limit, and that is said.
    let limit = LIMIT.to_string();
    workspace
        .reconcile([&DIFF[..], &["--memory-limit", &limit, "--no-plan", "--limit", "0"]].concat())
        .expect(1, &["which may not be kept"]);
}

#[test]
fn long_cells_stay_within_the_limit() {
    let workspace = Workspace::new();
    for side in ["a", "b"] {
        let filler = "y".repeat(3 << 20);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", Arc::new(Int64Array::from_iter_values(0..60))),
            ("body", Arc::new(StringArray::from_iter_values((0..60).map(|row| format!("{row} {filler} {side}"))))),
        ];
        write_parquet(&workspace.path().join(format!("{side}.parquet")), columns, 60);
    }
    only(&within_the_limit(&workspace, &DIFF, 0), "diff", "mismatch", 60);
    // The values of a few rows are shown and planned at a time, though all of them differ.
    let limit = LIMIT.to_string();
    let measured = measured(&workspace, &[&DIFF[..], &["--memory-limit", &limit, "--threads", "2"]].concat());
    measured.outcome.expect(1, &["60 keys"]);
    assert!(measured.peak <= LIMIT / 100 * 115, "its peak was {} MiB with a plan", measured.peak >> 20);
}

#[test]
fn one_key_with_many_rows_stays_within_the_limit() {
    let workspace = Workspace::new();
    for side in ["a", "b"] {
        long_texts(&workspace, side, 30_000, |_| 1);
    }
    only(&within_the_limit(&workspace, &DIFF, 0), "diff", "duplicate_key", 1);
}

#[test]
fn many_contracts_take_no_more_than_one() {
    let workspace = Workspace::new();
    for side in ["a", "b"] {
        long_texts(&workspace, side, 2_000, |row| row);
    }
    let mut text =
        "version = 1\n[source.a]\nlocation = \"a.parquet\"\n[source.b]\nlocation = \"b.parquet\"\n".to_owned();
    for number in 0..30 {
        text += &format!(
            "[contract.c{number}]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n"
        );
    }
    workspace.file("reconcile.toml", &text);
    let summary = within_the_limit(&workspace, &["run"], 0);
    for number in 0..30 {
        only(&summary, &format!("c{number}"), "mismatch", 2_000);
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn what_segments_leave_stays_within_the_limit() {
    let workspace = Workspace::new();
    for side in ["a", "b"] {
        let database = rusqlite::Connection::open(workspace.path().join(format!("{side}.db"))).unwrap();
        let changed = if side == "b" { "iif(i < 50000, 'b', 'a')" } else { "'a'" };
        let rows = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 119999)";
        let text = format!("i || printf('%1600s', {changed})");
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)";
        database.execute_batch(&format!("{table}; INSERT INTO t {rows} SELECT i, {text} FROM n")).unwrap();
    }
    let source = |side: &str| {
        format!("[source.{side}]\nlocation = \"sqlite:{side}.db\"\ntable = \"t\"\npushdown = \"always\"\n")
    };
    let contract = "[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n";
    workspace.file("reconcile.toml", &format!("version = 1\n{}{}{contract}", source("a"), source("b")));
    only(&within_the_limit(&workspace, &["run"], 1), "c", "mismatch", 50_000);
}

#[test]
fn a_killed_run_leaves_nothing_spilled() {
    let workspace = dense();
    let spill = spill_folder(&workspace);
    let limit = LIMIT.to_string();
    let mut command =
        workspace.command([&DIFF[..], &["--memory-limit", &limit, "--no-plan", "--no-progress"]].concat());
    let mut child = command.env("TMPDIR", &spill).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while open_below(child.id(), &spill) == 0 {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before anything was seen to be spilled");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "it ended by itself: {status}");
    assert_eq!(tree(&spill), [""; 0], "left in the spill folder");
}

#[test]
fn a_failed_run_leaves_nothing_spilled() {
    let workspace = dense();
    let spill = spill_folder(&workspace);
    // No file may grow beyond 8 MiB: the disk is full in the midst of spilling.
    let diff = DIFF.join(" ");
    let script = format!("trap '' XFSZ; ulimit -f 16384; exec \"$0\" {diff} --memory-limit {LIMIT} --no-progress");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_reconcile")]).current_dir(workspace.path()).env("TMPDIR", &spill);
    let outcome = Outcome::of(&command.stdin(Stdio::null()).output().unwrap());
    outcome.expect(2, &["cannot write the spill file in"]);
    assert_eq!(tree(&spill), [""; 0], "left in the spill folder\n{}", outcome.shown());
}

/// A control group with a memory limit, gone when it is dropped.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Makes one, in whichever version of control groups the system has.
    fn new(name: &str, limit: u64) -> std::io::Result<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let (top, file) = if root.join("memory").is_dir() {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            (root.to_owned(), "memory.max")
        };
        let group = Self(top.join(format!("reconcile-{name}-{}", std::process::id())));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(file), limit.to_string())?;
        Ok(group)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // A group empties a moment after its last process has ended.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_control_group_is_a_limit_that_nobody_had_to_ask_for() {
    let workspace = dense();
    let group = ControlGroup::new("dense", 320 << 20).unwrap_or_else(|error| {
        panic!(
            "a control group could not be made: {error}; this test needs the right to make one below /sys/fs/cgroup: \
             run it as root, in a container with `--privileged`"
        )
    });
    let inside = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", group.0.display());
    let binary = env!("CARGO_BIN_EXE_reconcile");
    let shell = ["-c", &inside, "sh", binary];
    let options = ["--threads", "2", "--format", "json", "--limit", "0", "--no-plan"];
    let output = Command::new("sh")
        .args(shell.iter().chain(&DIFF).chain(&options))
        .current_dir(workspace.path())
        .env("TMPDIR", spill_folder(&workspace))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let outcome = Outcome::of(&output);
    outcome.expect(1, &[]);
    only(&serde_json::from_str(&outcome.stdout).unwrap(), "diff", "mismatch", 24_000);
}

#[test]
fn every_command_that_reads_rows_keeps_to_the_control_group() {
    // A key that takes a gibibyte to open, as it says itself, is refused before that is tried: so who heeds the group is seen.
    let key = include_str!("../src/history/sign/locked.key");
    let encoded = key.lines().nth(1).unwrap();
    let greedy = format!("{}AEAA{}", &encoded[..64], &encoded[68..]);
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n"), ("b.csv", b"id,name\n1,Bert\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let path = workspace.file("minisign.key", &key.replace(encoded, &greedy));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let sign = "version = 1\n[run.sign]\nkey = \"minisign.key\"\npassword = \"word\"\n";
    workspace.file("reconcile.toml", &text.replacen("version = 1\n", sign, 1));
    let group = ControlGroup::new("commands", 384 << 20).expect("a control group can be made, as above");
    let inside = format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", group.0.display());
    for words in [&["audit", "prune", "--keep-runs", "1"][..], &["apply", "latest", "--execute"], &["run"]] {
        let mut command = Command::new("sh");
        command.args(["-c", &inside, "sh", env!("CARGO_BIN_EXE_reconcile")]).args(words);
        let outcome = Outcome::of(&command.current_dir(workspace.path()).stdin(Stdio::null()).output().unwrap());
        outcome.expect(2, &["run.sign: ", "opening the key takes 1024 MiB, more than the memory limit of 326 MiB"]);
    }
}
