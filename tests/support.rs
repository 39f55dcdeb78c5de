//! A folder to work in, the binary as its user calls it, and what a run left behind. Never knows what is right.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde_json::Value;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A temp folder that goes when it is dropped.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A workspace with a contract `pair` over two files and the key `id`.
    pub(crate) fn pair(authority: (&str, &[u8]), projection: (&str, &[u8])) -> Self {
        let workspace = Self::new();
        workspace.bytes(authority.0, authority.1);
        workspace.bytes(projection.0, projection.1);
        workspace.file("reconcile.toml", &pair_contract(authority.0, projection.0));
        workspace
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        self.bytes(name, text.as_bytes())
    }

    pub(crate) fn bytes(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary, ready to be started here with nothing on stdin.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reconcile"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        for name in ["NO_COLOR", "TZ", "RUST_BACKTRACE", "CLICOLOR_FORCE", "RECONCILE_CONFIG"] {
            command.env_remove(name);
        }
        for signal in ["", "TRACES_", "METRICS_"] {
            command.env_remove(format!("OTEL_EXPORTER_OTLP_{signal}ENDPOINT"));
        }
        command
    }

    /// Runs the binary here, to its end.
    pub(crate) fn reconcile<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Outcome {
        Outcome::of(&self.command(arguments).output().unwrap())
    }

    /// The folders of published runs, in the order of their ids.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        runs_in(&self.path().join("reports"))
    }

    /// The only run that was published.
    pub(crate) fn run(&self) -> PathBuf {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "expected one run folder, found {runs:?}");
        runs.into_iter().next().unwrap()
    }

    /// `summary.json` of the only run.
    pub(crate) fn summary(&self) -> Value {
        read_json(&self.run().join("summary.json"))
    }

    /// Text with what changes from run to run replaced by words.
    pub(crate) fn filtered(&self, text: &str) -> String {
        let mut text = text.replace(&self.path().display().to_string(), "[folder]");
        for run in self.runs() {
            text = text.replace(&run.file_name().unwrap().to_string_lossy().into_owned(), "[run]");
        }
        text = text.replace(concat!("reconcile ", env!("CARGO_PKG_VERSION")), "reconcile [version]");
        let replacements = [
            (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z\b", "[instant]"),
            (r"\b\d+h\d+m ago\b", "[age] ago"),
            (r"\bin \d+(\.\d+)? ?(ms|s|min)\b", "in [time]"),
            (r#""elapsed_ms": ?\d+"#, r#""elapsed_ms": 0"#),
        ];
        for (pattern, words) in replacements {
            text = regex::Regex::new(pattern).unwrap().replace_all(&text, words).into_owned();
        }
        text
    }
}

/// The text of a contract `pair` over two files and the key `id`.
pub(crate) fn pair_contract(authority: &str, projection: &str) -> String {
    format!(
        "version = 1\n\n[source.authority]\nlocation = \"{authority}\"\n\n[source.projection]\nlocation = \
         \"{projection}\"\n\n[contract.pair]\nversion = \"1.0.0\"\nauthority = \"authority\"\nprojection = \
         \"projection\"\nkey = [\"id\"]\n"
    )
}

/// What came of one call of the binary.
pub(crate) struct Outcome {
    /// The exit status; None where a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Everything it said, for a message.
    pub(crate) fn shown(&self) -> String {
        let status = self.status.map_or_else(|| "killed".to_owned(), |status| status.to_string());
        format!("status: {status}\n--- stdout\n{}\n--- stderr\n{}\n---", self.stdout.trim_end(), self.stderr.trim_end())
    }

    /// The same with every stretch of white space as one space, however lines were broken.
    pub(crate) fn unbroken(&self) -> Self {
        let unbroken = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { status: self.status, stdout: unbroken(&self.stdout), stderr: unbroken(&self.stderr) }
    }

    /// Asserts the status, that all of `texts` were said, and that nothing panicked.
    #[track_caller]
    pub(crate) fn expect(&self, status: i32, texts: &[&str]) -> &Self {
        assert_eq!(self.status, Some(status), "another status than {status}\n{}", self.shown());
        let said = format!("{}\n{}", self.stdout, self.stderr);
        for text in texts {
            assert!(said.contains(text), "it does not say `{text}`\n{}", self.shown());
        }
        for text in ["panicked at", "RUST_BACKTRACE", "not yet implemented", "unwrap()"] {
            assert!(!said.contains(text), "a panic reached the user\n{}", self.shown());
        }
        self
    }
}

/// The folders of published runs below a reports folder. What is still written aside begins with a dot.
pub(crate) fn runs_in(reports: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(reports) else { return Vec::new() };
    let mut runs: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .collect();
    runs.sort();
    runs
}

/// Waits until something is so, while a process runs. That it ends first, or that a minute is not enough, fails the test.
#[track_caller]
pub(crate) fn meanwhile(child: &mut Child, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("it ended before that was seen which the test waits for: {status}");
        }
        if begun.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            panic!("what the test waits for was not seen within a minute");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs one test of this binary again in a process of its own, where nothing else runs and little memory is taken, and
/// gives what it answered. The test finds the request in `asked`.
#[track_caller]
pub(crate) fn alone(test: &str, request: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let answer = folder.path().join("answer.json");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, serde_json::json!({ "request": request, "answer": answer }).to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success() && answer.exists(), "{test}, alone\n{}", Outcome::of(&output).shown());
    read_json(&answer)
}

/// What `alone` asks of this process, and where the answer goes. None where the tests run as they always do.
pub(crate) fn asked() -> Option<(Value, PathBuf)> {
    let asked: Value = serde_json::from_str(&std::env::var(ALONE).ok()?).unwrap();
    Some((asked["request"].clone(), asked["answer"].as_str().unwrap().into()))
}

const ALONE: &str = "RECONCILE_TEST_ALONE";

/// Writes a Parquet file as plainly as can be: neither compressed nor with dictionaries, so that its size is that of its
/// values.
pub(crate) fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>, rows_of_group: usize) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_max_row_group_row_count(Some(rows_of_group))
        .build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Every file and folder below a folder, relative, sorted.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().display().to_string());
            if path.is_dir() {
                waiting.push(path);
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
pub(crate) fn read_json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of `divergences.parquet`, each a map of the texts that are there.
pub(crate) fn divergences(run: &Path) -> Vec<BTreeMap<String, String>> {
    let file = fs::File::open(run.join("divergences.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.flat_map(|batch| lines(&batch.unwrap())).collect()
}

fn lines(batch: &RecordBatch) -> Vec<BTreeMap<String, String>> {
    let mut lines = vec![BTreeMap::new(); batch.num_rows()];
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if ["fingerprint", "row_digest"].contains(&field.name().as_str()) {
            continue;
        }
        let texts = arrow::compute::cast(column, &DataType::Utf8).unwrap();
        let texts = texts.as_string::<i32>();
        for (row, line) in lines.iter_mut().enumerate() {
            if texts.is_valid(row) {
                line.insert(field.name().clone(), texts.value(row).to_owned());
            }
        }
    }
    lines
}

/// The contract's part of a summary.
#[track_caller]
pub(crate) fn contract<'a>(summary: &'a Value, name: &str) -> &'a Value {
    let contracts = summary["contracts"].as_array().unwrap();
    contracts.iter().find(|contract| contract["name"] == name).unwrap_or_else(|| panic!("no contract `{name}`"))
}

/// The members of a JSON object of counts that are not zero. An attribute's count lies in its `mismatches`.
pub(crate) fn counts(object: &Value) -> BTreeMap<String, u64> {
    let Some(members) = object.as_object() else { return BTreeMap::new() };
    members
        .iter()
        .filter_map(|(name, value)| value.as_u64().or_else(|| value["mismatches"].as_u64()).map(|count| (name, count)))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.clone(), count))
        .collect()
}
