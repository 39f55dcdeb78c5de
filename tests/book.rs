//! The pages of `docs` as a book: each is listed once, every link leads somewhere, the pages of words say what `explain` says, and
//! `explain` knows every name that a report can print.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use reconcile::classify::explain::{self, Explanation, Group};
use regex::Regex;

use crate::support::{Workspace, root, tree};

/// Where the part of the table of contents begins that is made from the words.
const WORDS: &str = "# The words of the reports\n";

/// A link or an image: what stands in round brackets behind square ones.
static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\[[^\]\[]*\]\(([^()\s]+)\)").unwrap());
static CODE: LazyLock<Regex> = LazyLock::new(|| Regex::new("`[^`\n]*`").unwrap());

/// Every page of Markdown that people are sent to.
fn pages() -> Vec<PathBuf> {
    let docs = tree(&root().join("docs")).into_iter().map(|name| format!("docs/{name}"));
    let beside = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(str::to_owned);
    docs.chain(beside).filter(|name| is_page(name)).map(|name| root().join(name)).collect()
}

fn is_page(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "md")
}

/// The lines of a page that are no code.
fn prose(text: &str) -> Vec<&str> {
    let mut within = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        !fence && !within
    });
    lines.collect()
}

/// The names of a page's headings in links, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).into_iter().filter(|line| line.starts_with('#'));
    let named = headings.map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let name: String = kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
        let times = seen.entry(name.clone()).or_default();
        *times += 1;
        if *times == 1 { name } else { format!("{name}-{}", *times - 1) }
    });
    named.collect()
}

/// The links of a page that do not leave the repository.
fn links(text: &str) -> Vec<String> {
    let prose = CODE.replace_all(&prose(text).join("\n"), "`code`").into_owned();
    let targets = LINK.captures_iter(&prose).map(|found| found[1].to_owned());
    targets.filter(|target| !target.contains("://")).collect()
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let mut complaints = Vec::new();
    let mut followed = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(file, name)| (file, Some(name)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let there = anchor.map_or(target.exists(), |anchor| {
                fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor))
            });
            if !there {
                complaints.push(format!("{}: `{link}` leads nowhere", page.display()));
            }
            followed += 1;
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(followed > 100, "only {followed} links were found");
}

#[test]
fn no_table_is_torn() {
    let mut torn = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let lines = prose(&text);
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('|')) {
            let begins = index == 0 || !lines[index - 1].starts_with('|');
            let headed = lines.get(index + 1).is_some_and(|next| next.starts_with("| ---"));
            if begins && !headed {
                torn.push(format!("{}: a row without a table: {line}", page.display()));
            }
        }
    }
    assert!(torn.is_empty(), "{}", torn.join("\n"));
}

#[test]
fn links_and_anchors_are_found() {
    let page = "# A `b`: c\n\n[x](y.md#z), `[no](no.md)` [![p](q.png)](r.md) [far](https://x.example)\n```\n# no\n[no](no)\n```\n## D\n## D\n";
    assert_eq!(links(page), ["y.md#z", "q.png"]);
    assert_eq!(anchors(page), ["a-b-c", "d", "d-1"].map(str::to_owned).into());
}

#[test]
fn every_page_is_listed_once_and_begins_with_its_title() {
    let docs = root().join("docs");
    let path = docs.join("SUMMARY.md");
    let text = fs::read_to_string(&path).unwrap();
    let by_hand = text.split(WORDS).next().unwrap();
    let made = format!("{by_hand}{WORDS}{}", listed_words());
    renewed(&path, &made);
    let listed = links(&made);
    let unique: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
    for page in tree(&docs).iter().filter(|name| is_page(name) && *name != "SUMMARY.md") {
        assert!(
            unique.contains(page),
            "docs/SUMMARY.md does not list {page}: add `- [Title]({page})` where it belongs"
        );
        let begins = fs::read_to_string(docs.join(page)).unwrap();
        assert!(begins.starts_with("# ") || begins.starts_with("## `"), "docs/{page} does not begin with its title");
    }
    let book: toml::Table = fs::read_to_string(docs.join("book.toml")).unwrap().parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("."), "the pages lie beside book.toml");
}

#[test]
fn no_page_of_the_book_leads_out_of_it() {
    let docs = root().join("docs");
    let book: toml::Table = fs::read_to_string(docs.join("book.toml")).unwrap().parse().unwrap();
    let redirected = book["output"]["html"]["redirect"].as_table().unwrap();
    let mut complaints = Vec::new();
    for page in tree(&docs).iter().filter(|name| is_page(name)) {
        let folder = Path::new(page).parent().unwrap();
        for link in links(&fs::read_to_string(docs.join(page)).unwrap()) {
            let file = folder.join(link.split('#').next().unwrap());
            // As mdBook names the pages: README.md is index.html, which links do not follow.
            let readme = file.file_name().is_some_and(|name| name == "README.md") && page != "SUMMARY.md";
            let made = format!("/{}", file.with_extension("html").display());
            if link.starts_with("..") && folder == Path::new("") {
                complaints
                    .push(format!("docs/{page}: `{link}` is not in the book; name the file instead, in backticks"));
            } else if readme && !redirected.contains_key(&made) {
                complaints.push(format!("docs/{page}: `{link}`: docs/book.toml redirects no {made}"));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_readme_shows_what_the_sample_says_and_every_exit_status() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let shown = readme.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let sample = fs::read_to_string(root().join("reports/sample/stdout.txt")).unwrap();
    let mut printed = sample.lines();
    for line in shown.lines().filter(|line| *line != "…") {
        assert!(printed.any(|sample| sample == line), "README.md shows `{line}`, reports/sample/stdout.txt does not");
    }
    for status in reconcile::cli::ExitStatus::ALL {
        let row = format!("| {} | {} |", status.code(), status.sentence());
        assert!(readme.contains(&row), "README.md lacks the row {row}");
    }
}

/// The part of the table of contents that lists the words, group by group.
fn listed_words() -> String {
    let mut listed = "\n- [All words](explain/README.md)\n".to_owned();
    for group in Group::ALL {
        let heading = group.heading().split(':').next().unwrap();
        listed.push_str(&format!("\n# {heading}\n\n"));
        listed.extend(group.words().map(|word| format!("- [{0}](explain/{0}.md)\n", word.word)));
    }
    listed
}

/// Fails where a file is not what it is made from; under UPDATE_EXPECT it is written anew.
#[track_caller]
fn renewed(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    let renew = "UPDATE_EXPECT=1 cargo test --test reconcile -- book";
    assert!(found == text, "{} is not what `explain` says: {renew}", path.display());
}

#[test]
fn the_pages_of_words_say_what_explain_says() {
    let workspace = Workspace::new();
    let folder = root().join("docs/explain");
    let words: Vec<&str> = explain::all().map(|explanation| explanation.word).collect();
    let arguments = ["explain", "--format", "markdown"].into_iter().chain(words.iter().copied());
    let said = workspace.reconcile(arguments);
    said.expect(0, &[]);
    let pages: Vec<String> = explain::all().map(|explanation| explanation.markdown()).collect();
    assert_eq!(said.stdout, pages.join("\n"), "the binary says something else than its texts");
    for (word, page) in words.iter().zip(&pages) {
        renewed(&folder.join(format!("{word}.md")), page);
    }
    renewed(&folder.join("README.md"), &overview());
    let mut expected: Vec<String> =
        words.iter().map(|word| format!("{word}.md")).chain(["README.md".to_owned()]).collect();
    expected.sort();
    assert_eq!(tree(&folder), expected, "docs/explain holds pages of words that there are not");
    // One word, as a reader asks for it.
    let one = workspace.reconcile(["explain", "missing", "--format", "markdown"]);
    assert_eq!(one.stdout, fs::read_to_string(folder.join("missing.md")).unwrap());
}

/// The page that leads to all words.
fn overview() -> String {
    let mut page = "# The words of the reports\n\nEvery name that a report can print, with a page of its own. `reconcile explain WORD` \
                    prints the same page.\n"
        .to_owned();
    for group in Group::ALL {
        page.push_str(&format!("\n## {}\n\n| word | in short |\n| --- | --- |\n", group.heading()));
        let line = |word: Explanation| format!("| [`{0}`]({0}.md) | {1} |\n", word.word, word.summary);
        page.extend(group.words().map(line));
    }
    page
}

#[test]
fn explain_alone_lists_every_word_by_group() {
    let workspace = Workspace::new();
    for format in ["text", "markdown"] {
        let said = workspace.reconcile(["explain", "--format", format]);
        said.expect(0, &[]);
        let mut rest = said.stdout.as_str();
        for group in Group::ALL {
            let (_, after) =
                rest.split_once(group.heading()).unwrap_or_else(|| panic!("{format}: no {}", group.heading()));
            rest = after;
            for word in group.words() {
                let at = rest.find(word.word).unwrap_or_else(|| panic!("{format}: no {}", word.word));
                let line = rest[at..].lines().next().unwrap();
                assert!(line.contains(word.summary), "{format}: {line}");
                rest = &rest[at..];
            }
        }
        assert!(said.stdout.lines().all(|line| format == "markdown" || line.chars().count() <= 110), "{}", said.stdout);
    }
    let json = workspace.reconcile(["explain", "--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(document["explanations"].as_array().unwrap().len(), explain::all().count());
}

/// The names that one place of the source can print: texts behind `=>` in a function `name`, or before a count of rows.
fn names(path: &str, pattern: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let found: Vec<String> =
        Regex::new(pattern).unwrap().captures_iter(&text).map(|found| found[1].to_owned()).collect();
    assert!(found.len() >= 3, "{path}: only {found:?} were found: have names moved? say here where they are");
    found
}

#[test]
fn explain_knows_every_name_that_reports_can_print() {
    let variant = r#"Self::\w+(?:\(_\))? => "([a-z_-]+)""#;
    let account = r#"\("([a-z_]+)", self\.[a-z_]+\)"#;
    let places = [
        ("src/audit.rs", variant),
        ("src/audit/decision.rs", variant),
        ("src/audit/baseline.rs", variant),
        ("src/report/recurrence.rs", variant),
        ("src/plan.rs", variant),
        ("src/contract/kind.rs", variant),
        ("src/normalise/composed.rs", variant),
        ("src/audit/owners.rs", account),
        (
            "src/report/json.rs",
            r"pub\(crate\) (agree|differ|unpaired|tombstone|duplicate|uncompared|out_of_scope): u64",
        ),
    ];
    let mut unknown = Vec::new();
    for (path, pattern) in places {
        let explained = |name: &String| explain::explain(name).is_some();
        unknown.extend(
            names(path, pattern).into_iter().filter(|name| !explained(name)).map(|name| format!("{path}: {name}")),
        );
    }
    unknown.extend(
        reconcile::causes::NAMES.iter().filter(|name| explain::explain(name).is_none()).map(ToString::to_string),
    );
    assert!(
        unknown.is_empty(),
        "`explain` does not know these; give each a text in src/classify/explain:\n{}",
        unknown.join("\n")
    );
}

#[test]
fn explain_knows_every_name_that_a_scenario_printed() {
    let mut seen = BTreeSet::new();
    for folder in crate::scenarios::folders() {
        let text = fs::read_to_string(folder.join("expected/divergences.ndjson")).unwrap_or_default();
        for line in text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
            let fields = ["kind", "severity", "reason", "cause"].map(|field| line[field].as_str().map(str::to_owned));
            seen.extend(fields.into_iter().flatten());
        }
        let text = fs::read_to_string(folder.join("expected/plan.ndjson")).unwrap_or_default();
        for line in text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
            seen.extend(["op", "safety"].map(|field| line[field].as_str().unwrap().to_owned()));
        }
    }
    assert!(seen.len() > 40, "{seen:?}");
    let unknown: Vec<&String> = seen.iter().filter(|name| explain::explain(name).is_none()).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
