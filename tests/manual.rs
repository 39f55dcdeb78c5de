//! The manual pages as `man` renders them: without a warning, with every command's examples and exit statuses.

use std::fs;
use std::process::Command;

use crate::support::{Outcome, Workspace, tree};

fn rendered(workspace: &Workspace, page: &str) -> Outcome {
    let output = Command::new("groff")
        .args(["-man", "-rHY=0", "-ww", "-K", "utf8", "-T", "utf8", "-P", "-cbou", page])
        .current_dir(workspace.path())
        .output()
        .expect("groff is there: .ci/test installs it");
    Outcome::of(&output)
}

#[test]
fn every_page_renders_without_a_warning() {
    let workspace = Workspace::new();
    workspace.reconcile(["man", "--out", "man"]).expect(0, &["man"]);
    let pages = tree(&workspace.path().join("man"));
    assert!(pages.len() > 20, "{pages:?}");
    for page in &pages {
        let shown = rendered(&workspace, &format!("man/{page}"));
        assert_eq!((shown.status, shown.stderr.as_str()), (Some(0), ""), "{page}");
        let name = page.trim_end_matches(".1");
        for text in [&format!("{name} - "), "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO", "NO_COLOR"] {
            assert!(shown.unbroken().stdout.contains(text), "{page} lacks `{text}`\n{}", shown.stdout);
        }
        // An example is one line, however long: it is there to be copied.
        let examples = shown.stdout.split("EXAMPLES").nth(1).unwrap().split("EXIT STATUS").next().unwrap();
        let help = workspace.reconcile(name.split('-').skip(1).chain(["--help"]));
        let said = help.stdout.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("{name}: no examples in its help"));
        for example in said.lines().take_while(|line| line.starts_with("  ")).map(str::trim) {
            assert!(examples.contains(example), "{page} lacks `{example}`\n{examples}");
        }
    }
    // The page on stdout is the same as the one in the folder.
    let page = workspace.reconcile(["man"]);
    assert_eq!(page.stdout, fs::read_to_string(workspace.path().join("man/reconcile.1")).unwrap());
}

#[test]
fn every_command_that_help_names_has_a_page() {
    let workspace = Workspace::new();
    workspace.reconcile(["man", "--out", "man"]).expect(0, &[]);
    let listed = |words: &[&str]| -> Vec<String> {
        let help = workspace.reconcile(words.iter().copied().chain(["--help"]));
        let commands = help.stdout.split("Commands:\n").nth(1).unwrap_or_default().to_owned();
        let names =
            commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
        let indented =
            |name: &&str| commands.contains(&format!("\n  {name} ")) || commands.starts_with(&format!("  {name} "));
        names.filter(indented).filter(|name| *name != "help").map(str::to_owned).collect()
    };
    let commands = listed(&[]);
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        let page = |name: &str| workspace.path().join(format!("man/reconcile-{name}.1")).is_file();
        assert!(page(&command), "no page of {command}");
        for inner in listed(&[&command]) {
            assert!(page(&format!("{command}-{inner}")), "no page of {command} {inner}");
        }
    }
}
