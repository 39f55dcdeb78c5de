//! The examples of docs/operating.md: each is what its system accepts, and each command that it runs is one that this binary takes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use crate::support::{Workspace, root, write_parquet};

fn example(name: &str) -> PathBuf {
    root().join("examples/operating").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(example(name)).unwrap()
}

/// Two files that differ under a contract with the tag that the examples name, and the gate that Airflow asks.
fn nightly() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("a.csv", "policy_id,region\nP-1041,south\nP-1042,north\n");
    workspace.file("b.csv", "policy_id,region\nP-1041,south\nP-1042,east\n");
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.b]\nlocation = \"b.csv\"\n[contract.crm-policy-view]\n\
         version = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"policy_id\"]\ntags = [\"nightly\"]\n\
         [contract.crm-policy-view.parity]\nconsecutive_runs = 3\n",
    );
    workspace
}

/// The arguments of each command that a line of a shell runs.
fn arguments(line: &str) -> Vec<String> {
    let words = line.split_whitespace().skip_while(|word| !word.ends_with("reconcile")).skip(1);
    words.take_while(|word| *word != ">").map(str::to_owned).collect()
}

/// Runs a command of an example, whose paths are those of another machine.
#[track_caller]
fn takes(workspace: &Workspace, arguments: &[String], statuses: &[i32]) {
    let local = |word: &String| {
        let path = word.trim_start_matches('/');
        if word.starts_with("/etc/reconcile/") { "reconcile.toml".to_owned() } else { path.to_owned() }
    };
    let arguments: Vec<String> = arguments.iter().map(local).collect();
    let outcome = workspace.reconcile(&arguments);
    assert!(outcome.status.is_some_and(|status| statuses.contains(&status)), "{arguments:?}\n{}", outcome.shown());
}

#[test]
fn cron_runs_what_there_is() {
    let lines = text("reconcile.cron");
    let jobs: Vec<&str> = lines.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).collect();
    assert_eq!(jobs.len(), 2);
    let workspace = nightly();
    for job in jobs {
        let fields: Vec<&str> = job.split_whitespace().collect();
        for field in &fields[..5] {
            assert!(field.chars().all(|part| part.is_ascii_digit() || "*/,-".contains(part)), "{field} in {job}");
        }
        assert_eq!(fields[5], "reconcile", "the user");
        let command = job.split("reconcile.lock").nth(1).unwrap();
        takes(&workspace, &arguments(command), &[0, 1]);
    }
    assert_eq!(workspace.runs().len(), 1);
}

#[test]
fn cron_sends_mail_where_something_could_not_be_compared() {
    let lines = text("reconcile.cron");
    let job = lines.lines().find(|line| line.contains("reconcile run")).unwrap();
    assert!(job.ends_with("> /dev/null"), "{job}");
    let arguments = arguments(job.split("reconcile.lock").nth(1).unwrap());
    let workspace = nightly();
    let outcome = workspace.reconcile(&arguments);
    outcome.expect(1, &[]);
    assert_eq!(outcome.stderr, "", "drift sends no mail");
    fs::remove_file(workspace.path().join("b.csv")).unwrap();
    for format in ["text", "markdown", "json", "ndjson"] {
        let outcome = workspace.reconcile([&arguments[..], &["--format".to_owned(), format.to_owned()]].concat());
        outcome.expect(2, &[]);
        let stderr = &outcome.stderr;
        assert!(stderr.contains("error: contract \"crm-policy-view\": projection: b.csv"), "{}", outcome.shown());
        assert!(stderr.contains("hint: "), "{}", outcome.shown());
    }
}

#[test]
fn systemd_accepts_its_units() {
    let folder = Workspace::new();
    let service = text("reconcile.service");
    let start = service.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    takes(&nightly(), &arguments(start), &[1]);
    assert!(service.contains("SuccessExitStatus=1\n"), "drift is no failure of the unit");
    // What the run may write to is there before the first night, or may be missing: else the unit fails before it runs.
    let mut writable: Vec<&str> = service.lines().filter_map(|line| line.strip_prefix("ReadWritePaths=")).collect();
    assert!(writable.iter().all(|path| path.starts_with("-/")), "{writable:?}");
    let reports = writable.remove(0).trim_start_matches('-');
    let made = service.lines().find_map(|line| line.strip_prefix("ExecStartPre=+/usr/bin/install -d ")).unwrap();
    assert!(made.ends_with(reports), "{made} makes another folder than {reports}");
    assert!(made.contains("-o reconcile ") && service.contains("User=reconcile\n"), "{made}");
    folder.file("reconcile.service", &service.replace("/usr/local/bin/reconcile", env!("CARGO_BIN_EXE_reconcile")));
    folder.file("reconcile.timer", &text("reconcile.timer"));
    let verified = Command::new("systemd-analyze")
        .args(["verify", "./reconcile.service", "./reconcile.timer"])
        .current_dir(folder.path())
        .output()
        .expect("systemd-analyze is there: .ci/test installs it");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[test]
fn kubernetes_gets_a_cron_job() {
    use saphyr::{LoadableYamlNode, Yaml};
    let documents = text("cronjob.yaml");
    let documents = Yaml::load_from_str(&documents).unwrap();
    let [job] = &documents[..] else { panic!("one document is expected") };
    assert_eq!(job["apiVersion"].as_str(), Some("batch/v1"));
    assert_eq!(job["kind"].as_str(), Some("CronJob"));
    assert_eq!(job["spec"]["concurrencyPolicy"].as_str(), Some("Forbid"));
    assert_eq!(job["spec"]["schedule"].as_str().map(|schedule| schedule.split(' ').count()), Some(5));
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"].as_str(), Some("Never"));
    let container = &pod["containers"][0];
    let mounted = |name: &str| {
        let volumes = pod["volumes"].as_sequence().unwrap();
        volumes.iter().any(|volume| volume["name"].as_str() == Some(name))
    };
    for mount in container["volumeMounts"].as_sequence().unwrap() {
        let name = mount["name"].as_str().unwrap();
        assert!(mounted(name), "no volume {name}");
    }
    let arguments = container["args"].as_sequence().unwrap();
    let arguments: Vec<String> = arguments.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    let workspace = nightly();
    takes(&workspace, &arguments, &[1]);
    assert!(workspace.path().join("reports/ledger.ndjson").is_file());
}

#[test]
fn airflow_gets_a_dag_that_compiles() {
    let folder = Workspace::new();
    folder.file("reconcile_dag.py", &text("reconcile_dag.py"));
    let compiled = Command::new("python3")
        .args(["-m", "py_compile", "reconcile_dag.py"])
        .current_dir(folder.path())
        .output()
        .expect("python3 is there: .ci/test installs it");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let workspace = nightly();
    for (name, statuses) in [("RUN", &[1][..]), ("PARITY", &[1])] {
        let dag = text("reconcile_dag.py");
        let list = dag.lines().find_map(|line| line.strip_prefix(&format!("{name} = "))).unwrap();
        let words: Vec<String> = serde_json::from_str(list).unwrap();
        assert_eq!(words[0], "reconcile");
        takes(&workspace, &words[1..], statuses);
    }
}

/// A line's words as a shell parts them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in line.chars() {
        match (character, quote) {
            ('\'' | '"', None) => (quote, word) = (Some(character), Some(word.unwrap_or_default())),
            (end, Some(begun)) if end == begun => quote = None,
            ('#', None) if word.is_none() => break,
            (' ', None) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[test]
fn the_commands_of_the_page_are_taken() {
    let page = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let workspace = nightly();
    workspace.file("projection.csv", "policy_id,region\nP-1042,north\n");
    fs::create_dir_all(workspace.path().join("var/lib/node_exporter/textfile")).unwrap();
    let column = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let columns = vec![("policy_id", column("P-1042")), ("region", column("north"))];
    write_parquet(&workspace.path().join("authority.parquet"), columns, 1);
    let (mut taken, mut within) = (0, false);
    for line in page.lines().map(str::trim) {
        within = if line.starts_with("```") { line == "```sh" } else { within };
        let Some(command) = line.strip_prefix("reconcile ").filter(|_| within) else { continue };
        let command: Vec<String> = words(command).into_iter().take_while(|word| word != ">").collect();
        // It needs a terminal, which tests of its own have.
        let is_seen = command.first().is_some_and(|word| word == "browse");
        takes(&workspace, &command, if is_seen { &[2] } else { &[0, 1] });
        taken += 1;
    }
    assert!(taken >= 8, "{taken} commands were found on the page");
}
