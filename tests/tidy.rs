//! Rules about the code, its documents and its fixtures, read from the files themselves. Each complaint names file and
//! line, and says what to do instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use reconcile::contract::Kind;
use reconcile::normalise::FaultReason;

use crate::support::{root, tree};

/// What the core must not reach, and what it does instead.
const NOT_IN_CORE: [(&str, &str); 9] = [
    ("std::fs", "take bytes or batches as values; files belong to `source`, `report`, `history`, `spill`"),
    ("std::env", "take settings as values; the environment belongs to `cli`"),
    ("std::net", "sockets belong to `source`"),
    ("std::process", "return an error; processes belong to `main`"),
    ("SystemTime", "take instants as values; the clock belongs to `cli`"),
    ("Instant::now", "take instants as values; the clock belongs to `cli`"),
    ("Timestamp::now", "take instants as values; the clock belongs to `cli`"),
    ("tokio", "the core is plain functions; use rayon for parallel work"),
    ("thread_rng", "the core has no randomness"),
];

/// What no file may hold, written in halves so that this file may name it.
const BANNED: [(&str, &str); 8] = [
    (concat!("db", "g!("), "remove it; what people ought to see goes through `console`"),
    (concat!("to", "do!("), "write it, or return an error that says which version will serve it"),
    (concat!("unimple", "mented!("), "write it, or return an error that says which version will serve it"),
    (concat!("FIX", "ME"), "mend it, or say in a sentence what is not done and why"),
    (concat!("XX", "X:"), "mend it, or say in a sentence what is not done and why"),
    (concat!("#[", "allow("), "use #[expect(…, reason = \"…\")] at the smallest place"),
    (concat!("#![", "allow("), "use #[expect(…, reason = \"…\")] at the smallest place"),
    (concat!("#[", "ignore]"), "assert what it does today, with a reason"),
];

/// Where printing is what the file is for.
const PRINTS: [&str; 3] = ["console", "cli", "main"];

/// The longest a function may be.
const LONGEST: usize = 70;

/// Functions that must be longer, by file and name, with the reason.
const LONG_FUNCTIONS: [(&str, &str, &str); 0] = [];

/// Kinds that no option of this version leads to: each waits for the source options that it rests on.
const WAITING: [Kind; 0] = [];

/// A source file: its path below the root, its text.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The module at the top of `src` that it belongs to.
    fn module(&self) -> &str {
        let inner = self.path.trim_start_matches("src/");
        inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
    }

    /// Its lines of code: without comments, and without items that only tests have.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let mut code = Vec::new();
        while let Some((number, line)) = lines.next() {
            if line.trim() != "#[cfg(test)]" {
                code.push((number, line.split("//").next().unwrap_or(line)));
                continue;
            }
            // The item behind the attribute ends on its own line, or with a brace as far in as it begins.
            let indent = &line[..line.len() - line.trim_start().len()];
            let ends = [format!("{indent}}}"), format!("{indent}}};"), format!("{indent}}},")];
            let first = lines.by_ref().map(|(_, line)| line).find(|line| !line.trim_start().starts_with("#["));
            if first.is_some_and(|line| line.trim_end().ends_with('{')) {
                lines.by_ref().find(|(_, line)| ends.iter().any(|end| line.trim_end() == end));
            }
        }
        code.into_iter()
    }

    fn is_test(&self) -> bool {
        !self.path.starts_with("src/") || self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

fn files(folder: &str) -> Vec<File> {
    let names = tree(&root().join(folder));
    let names = names.into_iter().filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "rs"));
    names
        .map(|name| format!("{folder}/{name}"))
        .map(|path| File { text: fs::read_to_string(root().join(&path)).unwrap(), path })
        .collect()
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaint(s):\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    none(&files("src").iter().chain(&files("tests")).chain(&files("examples")).filter_map(opening).collect::<Vec<_>>());
}

fn opening(file: &File) -> Option<String> {
    let first = file.text.lines().next().unwrap_or_default();
    let said = first.strip_prefix("//! ").unwrap_or_default();
    let least = if file.is_test() { 1 } else { 10 };
    (said.len() < least).then(|| format!("{}:1: open with `//! ` and a sentence that says what it is for", file.path))
}

#[test]
fn imports_keep_to_the_table() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = import_table(&map);
    assert!(table.len() >= 10, "ARCHITECTURE.md: no table with the head `| module | may import |`");
    none(&files("src").iter().flat_map(|file| imports(file, &table)).collect::<Vec<_>>());
}

fn import_table(map: &str) -> BTreeMap<String, BTreeSet<String>> {
    let words = |cell: &str| cell.replace('`', " ").split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>();
    map.lines()
        .skip_while(|line| !line.starts_with("| module | may import |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|');
            Some((cells.next()?.trim().trim_matches('`').to_owned(), words(cells.next().unwrap_or_default())))
        })
        .collect()
}

fn imports(file: &File, table: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let module = file.module();
    if matches!(module, "lib" | "main") || file.is_test() {
        return Vec::new();
    }
    let Some(allowed) = table.get(module) else {
        return vec![format!("{}:1: `{module}` is not in the table of ARCHITECTURE.md: add its line", file.path)];
    };
    let mut complaints = Vec::new();
    for (number, line) in file.code() {
        for part in line.split("crate::").skip(1) {
            let named: String =
                part.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
            if !named.is_empty() && named != module && !allowed.contains(&named) {
                complaints.push(format!(
                    "{}:{number}: `{module}` imports `{named}`, which ARCHITECTURE.md does not allow: move the code, or \
                     change the table with its reason",
                    file.path
                ));
            }
        }
    }
    complaints
}

#[test]
fn the_core_cannot_reach_the_world() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let core = core_modules(&map);
    assert!(core.len() >= 6, "ARCHITECTURE.md: no line `Core (`…`, …) uses no …`");
    none(&files("src").iter().filter(|file| core.contains(file.module())).flat_map(reach).collect::<Vec<_>>());
}

fn core_modules(map: &str) -> BTreeSet<String> {
    let line = map.lines().find(|line| line.starts_with("Core (")).unwrap_or_default();
    let inner = line.split(['(', ')']).nth(1).unwrap_or_default();
    inner.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()
}

fn reach(file: &File) -> Vec<String> {
    if file.is_test() {
        return Vec::new();
    }
    let found = |(number, line): (usize, &str)| {
        NOT_IN_CORE
            .iter()
            .filter(|(word, _)| line.contains(word))
            .map(|(word, instead)| format!("{}:{number}: `{word}` is banned in the core: {instead}", file.path))
            .collect::<Vec<_>>()
    };
    file.code().flat_map(found).collect()
}

#[test]
fn nothing_unfinished_and_nothing_printed_by_the_way() {
    none(&files("src").iter().chain(&files("tests")).chain(&files("examples")).flat_map(banned).collect::<Vec<_>>());
}

fn banned(file: &File) -> Vec<String> {
    let prints = !PRINTS.contains(&file.module()) && !file.is_test();
    let printing = [concat!("print", "ln!("), concat!("eprint", "!("), concat!("print", "!(")];
    let mut complaints = Vec::new();
    for (number, line) in file.text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        for (word, instead) in BANNED.iter().filter(|(word, _)| line.contains(word)) {
            complaints.push(format!("{}:{number}: `{word}` is banned: {instead}", file.path));
        }
        let comment = line.trim_start().starts_with("//");
        if prints && !comment && printing.iter().any(|word| line.contains(word)) {
            complaints.push(format!("{}:{number}: only `console` and `cli` print: return the text", file.path));
        }
    }
    complaints
}

#[test]
fn functions_fit_on_a_page() {
    none(
        &files("src")
            .iter()
            .chain(&files("tests"))
            .chain(&files("examples"))
            .flat_map(long_functions)
            .collect::<Vec<_>>(),
    );
    for (path, name, _) in LONG_FUNCTIONS {
        let text = fs::read_to_string(root().join(path)).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}")), "{path} has no `{name}` any more: take it off the list");
    }
}

fn long_functions(file: &File) -> Vec<String> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut complaints = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let end = format!("{indent}}}");
        let Some(length) = lines[start..].iter().position(|line| *line == end).map(|last| last + 1) else { continue };
        // A declaration without a body ends before the next brace at its depth.
        let declared = lines[start..start + length]
            .iter()
            .position(|line| line.ends_with(';') && !line.starts_with(&format!("{indent}  ")));
        let known = LONG_FUNCTIONS.iter().any(|(path, long, _)| *path == file.path && *long == name);
        if length > LONGEST && declared.is_none() && !known {
            complaints.push(format!(
                "{}:{}: `{name}` has {length} lines, at most {LONGEST} are allowed: take out a step and name it",
                file.path,
                start + 1
            ));
        }
    }
    complaints
}

fn function_name(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    let name: String =
        rest.strip_prefix("fn ")?.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    (!line.trim_end().ends_with('}') && !line.trim_end().ends_with(';')).then_some(name)
}

#[test]
fn there_is_one_arrow() {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == "arrow" || name.starts_with("arrow-") || name == "parquet" {
            versions.entry(name).or_default().push(package["version"].as_str().unwrap());
        }
    }
    assert!(versions.contains_key("arrow-array"));
    let complaints = versions.iter().filter(|(_, versions)| versions.len() > 1);
    none(
        &complaints
            .map(|(name, versions)| {
                format!("Cargo.lock: {name} in {versions:?}: two arrows do not fit one socket, pin one")
            })
            .collect::<Vec<_>>(),
    );
}

#[test]
fn lints_are_set_with_reasons() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let lints = manifest.get("lints").expect("Cargo.toml: no [lints]: see style §27");
    let clippy = lints["clippy"].as_table().unwrap();
    let expected = ["dbg_macro", "exit", "iter_over_hash_type", "pedantic", "print_stderr", "print_stdout", "todo"];
    none(
        &expected
            .iter()
            .filter(|name| !clippy.contains_key(**name))
            .map(|name| format!("Cargo.toml: [lints.clippy] lacks `{name}`"))
            .collect::<Vec<_>>(),
    );
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("deny"), "Cargo.toml: unsafe_code is not denied");
}

#[test]
fn every_kind_and_reason_has_a_scenario_and_an_explanation() {
    let counts: String = crate::scenarios::folders()
        .iter()
        .map(|folder| fs::read_to_string(folder.join("expected/counts.toml")).unwrap_or_default())
        .collect();
    let mut complaints = String::new();
    for kind in Kind::ALL {
        let name = kind.name();
        if reconcile::classify::explain::explain(name).is_none() {
            writeln!(complaints, "src/classify/explain.rs: `{name}` has no explanation: write one").unwrap();
        }
        if !WAITING.contains(&kind) && !counts.contains(&format!("{name} = ")) {
            writeln!(complaints, "fixtures/scenarios: none shows `{name}`: add a folder").unwrap();
        }
    }
    let of_values = FaultReason::ALL.map(FaultReason::name);
    for reason in of_values.into_iter().chain(["deleted_in_projection", "default", "attribute:", "kind:", "rule:"]) {
        if reconcile::classify::explain::explain(reason).is_none() {
            writeln!(complaints, "src/classify/explain.rs: `{reason}` has no explanation: write one").unwrap();
        }
        if !counts.contains(reason) {
            writeln!(complaints, "fixtures/scenarios: none shows the reason `{reason}`: add a folder").unwrap();
        }
    }
    for explanation in reconcile::classify::explain::all() {
        for (heading, section) in explanation.sections() {
            if section.trim().is_empty() {
                writeln!(complaints, "src/classify/explain.rs: `{heading}` of an explanation is empty").unwrap();
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

#[test]
fn every_scenario_says_what_it_shows() {
    let complaint = |folder: &std::path::PathBuf| {
        let text = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        let sentences = text.matches(". ").count() + text.matches(".\n").count();
        let hand = folder.join("expected/counts.toml").is_file();
        (sentences < 2 || !hand).then(|| {
            format!("{}: write README.md in two sentences, and expected/counts.toml by hand", folder.display())
        })
    };
    none(&crate::scenarios::folders().iter().filter_map(complaint).collect::<Vec<_>>());
}

#[test]
fn the_readme_names_the_commands_that_there_are() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    for named in ["cargo run --locked -- run", ".ci/test"] {
        assert!(text.contains(named), "README.md does not name `{named}`");
    }
    assert!(root().join(".ci/test").is_file() && root().join(".ci/run").is_file());
    let run = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(run.contains(".ci/test"), ".ci/run does not call .ci/test");
}

/// Tidy's own checks, on files that break each rule once.
#[test]
fn tidy_finds_what_it_looks_for() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let map = "| module | may import |\n| --- | --- |\n| sides | |\n| diff | digest sides |\n\nCore (`diff`, `plan`) uses no files\n";
    let table = import_table(map);
    assert_eq!(core_modules(map), ["diff", "plan"].map(str::to_owned).into());
    let wrong = file(
        "src/diff/join.rs",
        concat!(
            "use crate::sides::Sides;\nuse crate::report::json;\n",
            "// use crate::cli::x, in a comment\nlet now = SystemTime::now();\n    db",
            "g!(now);\n    print",
            "ln!();\n#[cfg(test)]\nuse crate::run::run;\n"
        ),
    );
    assert_eq!(
        imports(&wrong, &table),
        [
            "src/diff/join.rs:2: `diff` imports `report`, which ARCHITECTURE.md does not allow: move the code, or change the \
         table with its reason"
        ]
    );
    assert_eq!(
        reach(&wrong),
        ["src/diff/join.rs:4: `SystemTime` is banned in the core: take instants as values; the clock belongs to `cli`"]
    );
    assert_eq!(banned(&wrong).len(), 2, "{:?}", banned(&wrong));
    assert!(opening(&wrong).is_some());
    assert!(opening(&file("src/a.rs", "//! Says what it is for, at length.\n")).is_none());
    let unknown = imports(&file("src/stray.rs", ""), &table);
    assert_eq!(unknown, ["src/stray.rs:1: `stray` is not in the table of ARCHITECTURE.md: add its line"]);
    let body = "    let x = 1;\n".repeat(LONGEST);
    let long = file("src/a.rs", &format!("pub fn short() {{\n}}\n\npub fn long() {{\n{body}}}\n"));
    let length = LONGEST + 2;
    assert_eq!(
        long_functions(&long),
        [format!("src/a.rs:4: `long` has {length} lines, at most {LONGEST} are allowed: take out a step and name it")]
    );
}
