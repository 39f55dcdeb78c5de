//! Every bad input gets one clear message that names the place and the problem, status 2, no panic, and nothing
//! half-written. Text inputs that need no bytes of their own are scenarios.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;

use crate::memory::open_below;
use crate::support::{Outcome, Workspace, pair_contract, tree};

const GOOD: &[u8] = b"id,name\n1,Anna\n2,Bert\n";

fn batch(rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=rows));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((1..=rows).map(|row| format!("name {row}"))));
    RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap()
}

fn parquet(rows: i64) -> Vec<u8> {
    let batch = batch(rows);
    let properties = parquet::file::properties::WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn arrow_file(rows: i64) -> Vec<u8> {
    let batch = batch(rows);
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Nothing is left but whole runs and the ledger.
#[track_caller]
fn nothing_half_written(workspace: &Workspace) {
    let reports = workspace.path().join("reports");
    for run in workspace.runs() {
        for name in ["summary.json", "manifest.json", "divergences.parquet"] {
            assert!(run.join(name).is_file(), "{} has no {name}: {:?}", run.display(), tree(&reports));
        }
    }
    let aside: Vec<String> = tree(&reports)
        .into_iter()
        .filter(|name| [".partial", ".tmp"].iter().any(|aside| name.contains(aside)))
        .collect();
    assert!(aside.is_empty(), "left aside: {aside:?}");
    if reports.join("ledger.ndjson").is_file() {
        workspace.reconcile(["audit", "verify"]).expect(0, &[]);
    }
}

/// Runs a good authority against a bad projection.
#[track_caller]
fn refused(name: &str, bytes: &[u8], texts: &[&str]) -> Outcome {
    let workspace = Workspace::pair(("authority.csv", GOOD), (name, bytes));
    let outcome = workspace.reconcile(["run"]);
    outcome.expect(2, &[name, "unverified"]).expect(2, texts);
    assert_eq!(workspace.summary()["verdict"], "unverified");
    nothing_half_written(&workspace);
    outcome
}

#[test]
fn a_missing_file_is_named() {
    let workspace = Workspace::pair(("authority.csv", GOOD), ("projection.csv", GOOD));
    workspace.file("reconcile.toml", &pair_contract("authority.csv", "nowhere/projection.csv"));
    workspace.reconcile(["run"]).expect(2, &["nowhere/projection.csv", "unverified"]);
    nothing_half_written(&workspace);
}

#[test]
fn a_glob_without_a_match_is_named() {
    let workspace = Workspace::pair(("authority.csv", GOOD), ("projection.csv", GOOD));
    workspace.file("reconcile.toml", &pair_contract("authority.csv", "part-*.csv"));
    workspace.reconcile(["run"]).expect(2, &["part-*.csv", "unverified"]);
    nothing_half_written(&workspace);
}

#[test]
fn an_empty_file_is_no_table() {
    for name in ["projection.csv", "projection.parquet", "projection.arrow", "projection.json", "projection.csv.gz"] {
        refused(name, b"", &[]);
    }
}

#[test]
fn a_truncated_file_is_not_half_a_table() {
    let parquet = parquet(2_000);
    refused("projection.parquet", &parquet[..parquet.len() / 2], &[]);
    refused("projection.parquet", &parquet[..parquet.len() - 1], &[]);
    let arrow = arrow_file(2_000);
    refused("projection.arrow", &arrow[..arrow.len() / 2], &[]);
    refused("projection.json", b"[{\"id\":1,\"name\":\"Anna\"},\n{\"id\":2,\"na", &[]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &GOOD.repeat(50)).unwrap();
    let gz = gz.finish().unwrap();
    refused("projection.csv.gz", &gz[..gz.len() - 9], &[]);
    let zstd = zstd::encode_all(GOOD, 1).unwrap();
    refused("projection.csv.zst", &zstd[..zstd.len() - 3], &[]);
}

#[test]
fn a_foreign_file_is_said_to_be_none_of_its_format() {
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
    for name in ["projection.parquet", "projection.arrow", "projection.json", "projection.csv", "projection.csv.gz"] {
        refused(name, picture, &[]);
    }
}

#[test]
fn a_parquet_page_that_does_not_decode_is_no_agreement() {
    let whole = parquet(2);
    let workspace = Workspace::pair(("authority.parquet", &whole), ("projection.parquet", &whole));
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    // The data pages lie between the magic number and the footer; every byte there that matters must be noticed.
    let big = parquet(500);
    let mut noticed = 0;
    for place in (4..big.len() / 2).step_by(big.len() / 16) {
        let mut bytes = big.clone();
        bytes[place..place + 8].fill(0xff);
        let workspace = Workspace::pair(("authority.parquet", &big), ("projection.parquet", &bytes));
        let outcome = workspace.reconcile(["run"]);
        assert!(matches!(outcome.status, Some(1 | 2)), "byte {place} was changed\n{}", outcome.shown());
        outcome.expect(outcome.status.unwrap(), &[]);
        noticed += usize::from(outcome.status == Some(2));
        nothing_half_written(&workspace);
    }
    assert!(noticed > 0, "no change made a page unreadable");
}

#[test]
fn a_badly_quoted_row_is_counted() {
    refused("projection.csv", b"id,name\n1,Anna\n2,\"Be\"rt\n3,Carl\n", &["line 3: field 2: has text after"]);
    refused("projection.csv", b"id,name\n1,Anna\n2,\"Bert\n3,Carl\n", &["line 3: field 2: a quote is opened"]);
}

#[test]
fn a_broken_json_line_is_named_by_file_and_line() {
    refused("projection.ndjson", b"{\"id\":1,\"name\":\"Anna\"}\n{\"id\":2,,}\n", &["projection.ndjson", "line 2"]);
    refused("projection.ndjson", b"{\"id\":1,\"name\":\"Anna\"}\n[1,2]\n", &["projection.ndjson", "line 2"]);
    refused(
        "projection.ndjson",
        b"{\"id\":1,\"name\":\"Anna\"}\n{\"id\":2,\"id\":3,\"name\":\"x\"}\n",
        &["projection.ndjson", "line 2"],
    );
}

#[test]
fn two_columns_of_one_name_are_never_chosen_from() {
    refused("projection.csv", b"id,name,name\n1,Anna,Anna\n", &["name"]);
}

#[test]
fn an_absent_key_column_lists_the_columns_there_are() {
    refused("projection.csv", b"number,name\n1,Anna\n", &["`id`", "number, name"]);
}

#[test]
fn a_contract_with_several_mistakes_names_them_all() {
    let workspace = Workspace::new();
    let contract = pair_contract("a.csv", "b.csv")
        .replace("[source.projection]", "[source.projection]\ncsw = { delimiter = \"ab\" }")
        .replace("key = [\"id\"]", "keys = [\"id\"]\ncompare = \"some\"");
    workspace.file("reconcile.toml", &contract);
    for command in ["check", "run"] {
        let outcome = workspace.reconcile([command]);
        outcome.expect(2, &["reconcile.toml:7:", "`csv`", "`keys`", "`key`", "declared"]);
        assert!(workspace.runs().is_empty());
    }
}

#[test]
fn a_contract_that_is_not_toml_is_named_by_line() {
    let workspace = Workspace::new();
    workspace.file("reconcile.toml", "version = 1\n[contract.orders\n");
    workspace.reconcile(["check"]).expect(2, &["reconcile.toml:2:"]);
    workspace.bytes("reconcile.toml", b"version = 1\n# \xff\n");
    workspace.reconcile(["check"]).expect(2, &["reconcile.toml"]);
    workspace.reconcile(["check", "--config", "other.toml"]).expect(2, &["other.toml"]);
}

#[test]
fn an_output_folder_that_is_a_file_is_refused_before_anything_is_compared() {
    let workspace = Workspace::pair(("a.csv", GOOD), ("b.csv", GOOD));
    workspace.file("occupied", "");
    workspace.reconcile(["run", "--out", "occupied"]).expect(2, &["occupied"]);
    workspace.reconcile(["run", "--out", "occupied/below"]).expect(2, &["occupied/below"]);
    assert_eq!(fs::read(workspace.path().join("occupied")).unwrap(), b"");
}

#[cfg(unix)]
#[test]
fn an_output_folder_that_is_not_writable_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let workspace = Workspace::pair(("a.csv", GOOD), ("b.csv", GOOD));
    let locked = workspace.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(locked.join("probe"), "").is_ok() {
        // Root writes whatever the permissions say, but nobody makes a folder in the kernel's own file system.
        fs::remove_file(locked.join("probe")).unwrap();
        workspace.reconcile(["run", "--out", "/proc/reports"]).expect(2, &["/proc/reports"]);
    } else {
        workspace.reconcile(["run", "--out", "locked"]).expect(2, &["locked"]);
    }
    assert!(tree(&locked).is_empty());
}

/// A limit on the size of files stands for the full disk: writing fails at the same calls.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_run() {
    let rows = |name: &str| -> String { (0..20_000).map(|row| format!("{row},{name} {row}\n")).collect() };
    let (authority, projection) = (format!("id,name\n{}", rows("one")), format!("id,name\n{}", rows("other")));
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    for blocks in ["0", "8"] {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" run --no-progress");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_reconcile")]).current_dir(workspace.path());
        let outcome = Outcome::of(&command.output().unwrap());
        outcome.expect(2, &["reports"]);
        assert!(workspace.runs().is_empty(), "a run was published\n{}", outcome.shown());
    }
    workspace.reconcile(["run"]).expect(1, &[]);
    nothing_half_written(&workspace);
}

#[test]
fn a_memory_limit_too_small_to_work_says_how_much_is_needed() {
    let workspace = Workspace::pair(("a.csv", GOOD), ("b.csv", GOOD));
    let outcome = workspace.reconcile(["run", "--memory-limit", "1 KiB"]);
    outcome.expect(2, &["memory limit"]);
    workspace.reconcile(["run", "--memory-limit", "plenty"]).expect(2, &["plenty"]);
    workspace.reconcile(["run", "--memory-limit", "1 GiB"]).expect(0, &["agreed"]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_never_agreed() {
    let mut text = String::from("id,name\n");
    text.extend((0..300_000).map(|row| format!("{row},name {row}\n")));
    let mut seen = Vec::new();
    for delay in [40, 120, 360, 800, 1_600] {
        let workspace = Workspace::pair(("a.csv", text.as_bytes()), ("b.csv", text.as_bytes()));
        let mut child = workspace
            .command(["run", "--no-progress"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        touch(&workspace.path().join("b.csv"));
        let read_on =
            child.try_wait().unwrap().is_none() && open_below(child.id(), &workspace.path().join("b.csv")) > 0;
        let outcome = Outcome::of(&child.wait_with_output().unwrap());
        // Before it was opened the change is a row too many; after the end it is no concern of the run.
        match outcome.status {
            Some(2) => outcome.expect(2, &["b.csv", "changed"]),
            Some(1) => outcome.expect(1, &["orphan"]),
            status => {
                assert!(status == Some(0) && !read_on, "it changed while it was read\n{}", outcome.shown());
                &outcome
            }
        };
        nothing_half_written(&workspace);
        seen.push(outcome.status);
    }
    assert!(seen.contains(&Some(2)), "no run noticed the change: {seen:?}");
}

/// Adds a row, as a writer that is not yet done would.
fn touch(path: &Path) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, b"900000,late\n").unwrap();
}

#[test]
fn sql_of_a_source_is_checked_before_anything_is_opened() {
    let workspace = Workspace::new();
    let config = pair_contract("gone.csv", "gone.csv");
    let source = "[source.authority]\n";
    workspace.file("reconcile.toml", &config.replace(source, &format!("{source}filter = \"line = = 'motor'\"\n")));
    workspace.reconcile(["check"]).expect(2, &["reconcile.toml:4:", "source \"authority\"", "`filter` cannot be used"]);
    workspace.file("reconcile.toml", &config.replace(source, &format!("{source}deleted = \"is it gone?\"\n")));
    workspace.reconcile(["check"]).expect(0, &["reconcile.toml:4:", "serves only if it is the name of a column"]);
    workspace.file("reconcile.toml", &config.replace(source, &format!("{source}filter = \"sum(x) > 1\"\n")));
    workspace.reconcile(["check"]).expect(2, &["looks at other rows"]);
}
