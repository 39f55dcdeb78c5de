//! `report.html` and `index.html` as people see them: in a real browser, on paper, by the keyboard, without script, with the
//! worst names and values that there are, and with a million divergences.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use serde_json::Value;

use crate::support::{Outcome, Workspace, root, write_parquet};

/// Opens a page in Chromium and says what is there. The pictures and the printed page stay under the target folder.
#[track_caller]
fn look(page: &Path, name: &str) -> Value {
    let browser = root().join("tests/browser");
    let installed =
        browser.join("node_modules/playwright-core").is_dir() && browser.join("node_modules/axe-core").is_dir();
    assert!(installed, "the browser's driver is not installed: `.ci/test` does it, or `npm ci` in tests/browser");
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    assert!(Path::new(&chromium).exists(), "{chromium} is not installed: `.ci/test` does it; or set CHROMIUM");
    let artefacts = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let output = Command::new("node").arg(browser.join("look.mjs")).arg(page).arg(&artefacts).arg(name).output();
    let output = output.unwrap_or_else(|error| panic!("node: {error}: `.ci/test` installs it"));
    assert!(output.status.success(), "{}", Outcome::of(&output).shown());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What every page holds to, whatever it shows.
#[track_caller]
fn is_sound(said: &Value) {
    for quiet in ["console", "errors", "requests"] {
        assert_eq!(said[quiet], serde_json::json!([]), "{quiet}");
    }
    assert_eq!(said["dialogs"], 0);
    for (view, violations) in said["axe"].as_object().unwrap() {
        assert_eq!(*violations, serde_json::json!([]), "axe, {view}");
        let width = view.split('-').next().unwrap().parse::<u64>().unwrap();
        assert!(said["widths"][view].as_u64().unwrap() <= width, "{view}: wider than the window");
    }
    assert_eq!(said["axe"].as_object().unwrap().len(), 4);
    assert_eq!((&said["scripts"], &said["handlers"]), (&1.into(), &0.into()));
    assert!(said["pdf"].as_u64().unwrap() > 10_000);
    assert_eq!(said["plain"]["verdict"], said["verdict"]);
    assert_eq!(said["plain"]["filters"], 0, "without a script there is nothing to filter with");
    let focused: Vec<&str> = said["focused"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    paper_is_whole(said);
    assert!(focused[0].contains("skip"), "{focused:?}");
    for kind in ["a.", "button.", "input."] {
        assert!(focused.iter().any(|at| at.starts_with(kind)), "the keyboard never came to {kind}: {focused:?}");
    }
}

/// Paper shows every line and nothing folded, and leaves the page as it was.
#[track_caller]
fn paper_is_whole(said: &Value) {
    let print = &said["print"];
    assert_eq!((&print["meanwhile"]["rows"], &print["meanwhile"]["closed"]), (&print["all"], &0.into()), "{print}");
    assert_eq!(print["before"], print["after"]);
}

/// Filters and columns of each table of examples do what they say.
#[track_caller]
fn examples_work(said: &Value) -> u64 {
    let mut filters = 0;
    for found in said["examples"].as_array().unwrap() {
        let rows = found["rows"].as_u64().unwrap();
        assert_eq!(found["first"], rows.min(25));
        assert_eq!(found["all"], rows);
        for (name, filter) in found["filters"].as_object().unwrap() {
            let shown = filter["shown"].as_u64().unwrap();
            assert_eq!(filter["shown"], filter["right"], "{name}");
            assert!(filter["said"].as_str().unwrap().starts_with(&shown.to_string()), "{filter}");
            assert!(shown <= rows, "{name}");
            filters += 1;
        }
        let search = &found["search"];
        assert!(search["shown"].as_u64().unwrap() >= 1 && search["shown"] == search["right"], "{search}");
        assert_eq!(
            (&found["ascending"]["sort"], &found["descending"]["sort"]),
            (&"ascending".into(), &"descending".into())
        );
        let keys = |order: &str| -> Vec<String> {
            let mut keys: Vec<String> = serde_json::from_value(found[order]["keys"].clone()).unwrap();
            keys.dedup();
            keys
        };
        let mut backwards = keys("descending");
        backwards.reverse();
        assert_eq!(keys("ascending"), backwards);
    }
    filters
}

/// The newest run's folder.
fn newest(workspace: &Workspace) -> PathBuf {
    workspace.runs().pop().unwrap()
}

#[test]
fn the_insurers_estate_shows_every_element_of_the_page() {
    let workspace = Workspace::new();
    let config = root().join("reconcile.toml");
    let reports = workspace.path().join("reports");
    for _ in 0..2 {
        let run = ["--config", config.to_str().unwrap(), "run", "--out", reports.to_str().unwrap()];
        workspace.reconcile(run).expect(1, &["crm-policy-view"]);
    }
    let page = newest(&workspace).join("report.html");
    let said = look(&page, "estate");
    is_sound(&said);
    assert!(examples_work(&said) > 15);
    assert_eq!(said["verdict"], "Drifted");
    let headings: Vec<&str> = said["headings"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    for heading in [
        "At a glance",
        "What was compared",
        "What diverges",
        "Since the run before",
        "Keys that diverge, run by run",
        "Causes",
        "Where they lie",
        "In the order of keys",
        "In time",
        "How long they have waited",
        "Attributes",
        "Value at risk",
        "Invariants",
        "Plan",
        "Examples",
        "Lineage",
        "Evidence",
        "How to verify",
    ] {
        assert!(headings.contains(&heading), "no heading `{heading}`: {headings:?}");
    }
    let text = said["text"].as_str().unwrap();
    for words in [
        "All 6 contracts diverged",
        "tolerance = \"0.00001\"",
        "Total policies by status: 5 of 5 groups do not balance",
        "305825.24",
        "fixtures/insurer/billing/receivables.csv",
        "Waits for a look by crm.",
        "divergences.parquet",
        "reconcile audit verify",
        "2 runs",
    ] {
        assert!(text.contains(words), "the page does not say `{words}`");
    }
    for chart in ["spark", "chart", "strip", "meter"] {
        assert!(said["charts"][chart].as_u64().unwrap() >= 2, "{chart}: {}", said["charts"]);
    }
    assert!(said["marks"].as_u64().unwrap() > 100);
    assert!(said["size"].as_u64().unwrap() < 5_000_000);
    assert!(said["links"].as_array().unwrap().contains(&"https://wiki.example/crm-policy-view".into()));

    let index = look(&reports.join("index.html"), "index");
    is_sound(&index);
    examples_work(&index);
    let run = newest(&workspace).file_name().unwrap().to_string_lossy().into_owned();
    assert!(index["links"].as_array().unwrap().contains(&format!("{run}/report.html").into()), "{}", index["links"]);
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
}

#[test]
fn contracts_that_agree_fold_to_a_line_and_those_that_diverge_are_open() {
    let workspace = Workspace::new();
    workspace.bytes("a.csv", b"id,x\n1,a\n2,b\n");
    workspace.bytes("b.csv", b"id,x\n1,a\n2,c\n");
    let mut contracts = crate::support::pair_contract("a.csv", "b.csv");
    for number in 0..30 {
        let alike = "version = \"1.0.0\"\nauthority = \"authority\"\nprojection = \"authority\"\nkey = [\"id\"]\n";
        contracts.push_str(&format!("\n[contract.same-{number:02}]\n{alike}"));
    }
    workspace.file("reconcile.toml", &contracts);
    workspace.reconcile(["run"]).expect(1, &["31 contracts: 30 agreed, 1 drifted"]);
    let said = look(&workspace.run().join("report.html"), "folded");
    is_sound(&said);
    let folds = &said["folds"];
    let open: Vec<bool> = serde_json::from_value(folds["first"].clone()).unwrap();
    assert!(open.len() == 31 && open[0] && open[1..].iter().all(|open| !open), "{open:?}");
    for (number, line) in folds["lines"].as_array().unwrap().iter().enumerate() {
        let line = line.as_str().unwrap();
        assert!(line.contains(&format!("same-{number:02}")) && line.contains("agreed"), "{line}");
        assert!(!line.contains("What was compared"), "{line}");
    }
    assert_eq!((&folds["entered"], &folds["left"]), (&true.into(), &false.into()), "the keyboard unfolds and folds");
    // A contract that agrees takes no more than a few lines on a phone, here and at a glance.
    let height = said["heights"]["390-light"].as_u64().unwrap();
    assert!(height < 31 * 250 + 8_000, "{height}");
    // Nobody is made to unfold the only thing that there is.
    let alone = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    alone.reconcile(["run"]).expect(0, &["1 agreed"]);
    let page = fs::read_to_string(alone.run().join("report.html")).unwrap();
    assert!(page.contains("<details class=\"fold v-agreed\" open>"));
}

/// Markup, a script, a quote that ends an attribute, and marks that turn the direction of writing.
const PLANTED: &str =
    "<img src=x onerror=planted=1><script>planted=1</script>\"'`{{7*7}}&lt;\u{202e}\u{2066}\u{200b}\u{0007}";

#[test]
fn nothing_that_is_planted_runs_or_becomes_markup() {
    let workspace = Workspace::new();
    let planted = |name: &str| format!("{name}{PLANTED}");
    // A file's name cannot hold every character.
    let file = |name: &str| planted(name).replace(['/', '\u{7}'], "");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut sides = [String::new(), String::new()];
    for (side, table) in sides.iter_mut().enumerate() {
        let columns = ["id", "value", "group"].map(|name| quoted(&planted(name)));
        *table = format!("{}\n", columns.join(","));
        for row in 0..40 {
            let value = quoted(&format!("{PLANTED}{}", if side == 0 { "a" } else { "b" }));
            table.push_str(&format!("{},{value},{}\n", quoted(&format!("{row}{PLANTED}")), quoted(PLANTED)));
        }
        table.push_str(&format!("{},x,y\n", quoted(&format!("only {side}{PLANTED}"))));
        workspace.file(&file(["one", "other"][side]), table);
    }
    let name = text(&planted("contract"));
    let key = text(&planted("id"));
    let value = text(&planted("value"));
    let [one, other] = ["one", "other"].map(|name| text(&file(name)));
    let all = text(PLANTED);
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.{one}]\nlocation = {one}\nformat = \"csv\"\ncontext = {all}\n\
             [source.{other}]\nlocation = {other}\nformat = \"csv\"\ncontext = {all}\n\
             [contract.{name}]\nversion = \"1.0.0\"\ndescription = {all}\nteam = {all}\n\
             runbook = \"javascript:planted=1//{}\"\nauthority = {one}\nprojection = {other}\nkey = [{key}]\n\
             [[contract.{name}.rule]]\nname = {all}\nwhen = \"kind = 'mismatch'\"\nseverity = \"critical\"\n\
             [[contract.{name}.total]]\nname = {all}\nby = [{}]\n\
             [[contract.{name}.invariant]]\nname = {all}\nside = \"authority\"\nwhen = \"true\"\nseverity = \"high\"\n\
             [contract.{name}.attribute.{value}]\nrepair = \"auto\"\n",
            "<img onerror=planted=1>",
            text(&planted("group")),
        ),
    );
    for _ in 0..2 {
        let outcome = workspace.reconcile(["run"]);
        assert_eq!(outcome.status, Some(1), "{}", outcome.shown());
    }
    let page = newest(&workspace).join("report.html");
    for (page, name) in [(page, "planted"), (workspace.path().join("reports/index.html"), "planted-index")] {
        let said = look(&page, name);
        is_sound(&said);
        assert_eq!(said["planted"], "undefined", "a script that came with the data ran");
        for element in ["img", "iframe", "object", "embed", "base", "form", "link"] {
            assert!(!said["elements"].as_array().unwrap().contains(&element.into()), "<{element}> in {name}");
        }
        let text = said["text"].as_str().unwrap();
        assert!(text.contains("<img src=x onerror=planted=1>") && text.contains("{{7*7}}"), "it is shown as it stands");
        assert!(text.contains("\\u{202e}\\u{2066}\\u{200b}\\u{7}"), "marks are shown as escapes");
        for mark in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{7}'] {
            let source = fs::read_to_string(&page).unwrap();
            assert!(!source.contains(mark), "{mark:?} is in {name}");
        }
        let links = said["links"].as_array().unwrap();
        assert!(links.iter().all(|link| !link.as_str().unwrap().starts_with("javascript")), "{links:?}");
    }
}

#[test]
fn a_million_divergences_give_a_small_page_and_are_browsed_in_little_memory() {
    const ROWS: i64 = 500_000;
    let workspace = Workspace::new();
    for (name, first) in [("authority", 0), ("projection", ROWS)] {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + ROWS));
        write_parquet(&workspace.path().join(format!("{name}.parquet")), vec![("id", ids)], 125_000);
    }
    workspace.file("reconcile.toml", &crate::support::pair_contract("authority.parquet", "projection.parquet"));
    workspace.reconcile(["run", "--no-plan"]).expect(1, &["drifted"]);
    let page = workspace.run().join("report.html");
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.len() < 5_000_000, "{} bytes", text.len());
    assert!(text.contains("of 1,000,000 lines") && text.contains("divergences.parquet"));
    let said = look(&page, "million");
    is_sound(&said);
    examples_work(&said);
    assert_eq!(said["charts"]["strip"], 2);
    crate::browse::a_million_lines_are_looked_through_in_little_memory(&workspace);
}

#[test]
fn a_page_is_opened_by_the_systems_opener_or_its_path_is_said() {
    let workspace = Workspace::pair(("a.csv", b"id,x\n1,a\n"), ("b.csv", b"id,x\n1,b\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let page = workspace.run().join("report.html");
    let shown = page.display().to_string();
    let script = "#!/bin/sh\nprintf '%s' \"$1\" > \"${0%/*}/opened\"\n";
    let opener = workspace.file("openers/xdg-open", script);
    fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let open = |path: &Path, more: &[&str]| {
        let mut command = workspace.command([&["report", "latest", "--open"], more].concat());
        Outcome::of(&command.env("PATH", path).output().unwrap())
    };
    let outcome = open(&workspace.path().join("openers"), &[]);
    outcome.expect(1, &["opened "]);
    assert_eq!(outcome.stdout, "");
    assert_eq!(
        fs::canonicalize(fs::read_to_string(workspace.path().join("openers/opened")).unwrap()).unwrap(),
        fs::canonicalize(&page).unwrap()
    );

    let none = open(&workspace.path().join("nothing"), &[]);
    none.expect(1, &["nothing that opens a page was found", "xdg-open"]);
    assert!(none.stdout.trim_end().ends_with("report.html"), "{shown}: {}", none.shown());
    fs::remove_file(&page).unwrap();
    open(&workspace.path().join("openers"), &[]).expect(2, &["there is no such page"]);
}

#[test]
fn the_page_over_all_runs_follows_the_runs_and_what_is_pruned() {
    let workspace = Workspace::pair(("a.csv", b"id,x\n1,a\n"), ("b.csv", b"id,x\n1,a\n"));
    let index = || fs::read_to_string(workspace.path().join("reports/index.html")).unwrap();
    workspace.reconcile(["run"]).expect(0, &[]);
    assert!(index().contains("1 run, the newest first"), "{}", index());
    workspace.file("b.csv", "id,x\n1,b\n");
    workspace.reconcile(["run"]).expect(1, &[]);
    let [first, second] = workspace.runs().try_into().unwrap();
    let link = |run: &Path| format!("{}&#x2f;report.html", run.file_name().unwrap().to_string_lossy());
    assert!(index().contains(&link(&first)) && index().contains(&link(&second)), "{}", index());
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &["removed"]);
    assert!(!index().contains(&link(&first)) && index().contains("its folder was pruned"));
    let verified = workspace.reconcile(["audit", "verify"]);
    verified.expect(0, &[]);
    assert!(!verified.shown().contains("index.html"), "{}", verified.shown());
}
