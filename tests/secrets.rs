//! What came from the environment is in no report, log or error; and what failed is said on stderr in every format.

use std::fs;

use crate::support::{Outcome, Workspace, tree};

const SECRET: &str = "hunter2";
const CSV: &[u8] = b"id,name\n1,Anna\n2,Bert\n";

fn workspace(filter: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.bytes("hunter2/a.csv", CSV);
    workspace.bytes("hunter2/b.csv", b"id,name\n1,Anna\n2,Bert,too,many\n");
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.one]\nlocation = \"${{WORD}}/a.csv\"\nfilter = \"{filter}\"\ncontext = \"${{WORD}}\"\n\
             [source.two]\nlocation = \"${{WORD}}/b.csv\"\n[source.gone]\nlocation = \"${{WORD}}/gone.csv\"\n\
             [defaults]\nteam = \"team ${{WORD}}\"\nrunbook = \"https://amy:${{WORD}}@wiki/page?token=${{WORD}}\"\n\
             tags = [\"${{WORD}}\"]\n\
             [contract.pair]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"two\"\nkey = [\"id\"]\n\
             description = \"about ${{WORD}}\"\n\
             [contract.broken]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"gone\"\nkey = [\"id\"]\n"
        ),
    );
    workspace
}

fn call(workspace: &Workspace, arguments: &[&str]) -> Outcome {
    Outcome::of(&workspace.command(arguments).env("WORD", SECRET).output().unwrap())
}

#[test]
fn a_secret_is_in_no_output_and_in_no_file_of_a_run() {
    for filter in ["id > 0", "name = '${WORD}' AND", "${WORD} = 1", "name LIKE ${WORD}("] {
        let workspace = workspace(filter);
        let calls: [&[&str]; 10] = [
            &["run"],
            &["run", "--format", "json", "--verbose"],
            &["run", "--format", "ndjson"],
            &["run", "--format", "markdown"],
            &["run", "--tag", "other"],
            &["check"],
            &["check", "--sources"],
            &["check", "--sources", "--format", "json"],
            &["contracts"],
            &["contracts", "--format", "json"],
        ];
        for arguments in calls {
            let outcome = call(&workspace, arguments);
            let shown = outcome.shown();
            assert!(!shown.contains(SECRET), "{filter}: {arguments:?}\n{shown}");
        }
        let reports = workspace.path().join("reports");
        let mut looked_at = 0;
        for name in tree(&reports) {
            let path = reports.join(&name);
            if path.is_file() {
                looked_at += 1;
                let bytes = fs::read(&path).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{filter}: {name}");
            }
        }
        assert!(looked_at > 8, "{looked_at} files");
    }
}

#[test]
fn a_message_names_the_variable_instead_of_its_value() {
    let workspace = workspace("id > 0");
    call(&workspace, &["run", "pair"]).expect(2, &["${WORD}/b.csv", "team ${WORD}", "https://wiki/page"]);
}

#[test]
fn what_failed_is_said_on_stderr_in_every_format_for_programs() {
    let workspace = workspace("id > 0");
    for format in ["json", "ndjson", "markdown"] {
        let outcome = call(&workspace, &["run", "broken", "--format", format]);
        let stderr = &outcome.stderr;
        assert!(stderr.contains("error: contract \"broken\": projection: "), "{format}\n{}", outcome.shown());
        assert!(stderr.contains("hint: check the path"), "{format}\n{}", outcome.shown());
    }
    let outcome = call(&workspace, &["run", "broken"]);
    assert!(!outcome.stderr.contains("error: "), "{}", outcome.shown());
}

#[test]
fn too_little_memory_is_named_as_it_was_meant() {
    let workspace = workspace("id > 0");
    call(&workspace, &["run", "pair", "--memory-limit", "10MB"]).expect(2, &["9.5 MiB", "256 MiB", "--memory-limit"]);
}
