//! The examples of contract files in the documents: `check` accepts each, and every option has one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::Value;
use toml::{Table, Value as Toml};

use crate::support::{Workspace, root, tree};

/// What stands at the top of a contract file; a block of anything else is of a contract.
const TOP: [&str; 6] = ["version", "include", "run", "defaults", "source", "contract"];

/// A block of TOML in a document.
struct Example {
    page: String,
    text: String,
}

impl Example {
    fn table(&self) -> Table {
        let table: Table = self.text.parse().unwrap_or_else(|error| panic!("{}: {error}\n{}", self.page, self.text));
        if table.keys().all(|key| TOP.contains(&key.as_str())) {
            return table;
        }
        Table::from_iter([(
            "contract".to_owned(),
            Toml::Table(Table::from_iter([("example".to_owned(), Toml::Table(table))])),
        )])
    }
}

fn examples() -> Vec<Example> {
    let block = Regex::new(r"(?ms)^ *```toml\n(.*?)^ *```").unwrap();
    let pages =
        tree(&root().join("docs")).into_iter().map(|name| format!("docs/{name}")).chain(["README.md".to_owned()]);
    let pages = pages.filter(|page| Path::new(page).extension().is_some_and(|extension| extension == "md"));
    let found = pages.flat_map(|page| {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        let blocks: Vec<String> = block.captures_iter(&text).map(|found| found[1].to_owned()).collect();
        blocks.into_iter().map(move |text| Example { page: page.clone(), text })
    });
    found.collect()
}

/// The table of a name in a table, made where there is none.
fn inner<'t>(table: &'t mut Table, name: &str) -> &'t mut Table {
    let inner = table.entry(name).or_insert_with(|| Toml::Table(Table::new()));
    inner.as_table_mut().unwrap_or_else(|| panic!("`{name}` is no table"))
}

fn or_text(table: &mut Table, key: &str, value: &str) {
    table.entry(key).or_insert_with(|| Toml::String(value.to_owned()));
}

/// The sources that a contract names.
fn sources_of(contract: &Table) -> Vec<String> {
    let texts = |value: Option<&Toml>| value.and_then(Toml::as_str).map(str::to_owned);
    let mut found: Vec<String> =
        ["authority", "projection", "baseline"].iter().filter_map(|key| texts(contract.get(*key))).collect();
    found.extend(texts(contract.get("crosswalk").and_then(|crosswalk| crosswalk.get("source"))));
    let attributes = contract.get("attribute").and_then(Toml::as_table);
    for attribute in attributes.into_iter().flat_map(Table::values) {
        found.extend(texts(attribute.get("owner")));
        let owners = attribute.get("owner").and_then(Toml::as_array);
        found.extend(owners.into_iter().flatten().filter_map(|owner| texts(owner.get("source"))));
        found.extend(texts(attribute.get("lookup").and_then(|lookup| lookup.get("source"))));
    }
    found
}

/// A whole contract file out of a block: what it leaves out is as the pages have it, two sources and a contract of one key.
fn completed(mut file: Table) -> String {
    file.entry("version").or_insert(Toml::Integer(1));
    let contracts = inner(&mut file, "contract");
    if contracts.is_empty() {
        inner(contracts, "example");
    }
    let mut named = Vec::new();
    for contract in contracts.iter_mut().filter_map(|(_, contract)| contract.as_table_mut()) {
        if !contract.contains_key("extends") {
            or_text(contract, "version", "1.0.0");
            or_text(contract, "authority", "policy_admin");
            or_text(contract, "projection", "crm");
            contract.entry("key").or_insert_with(|| Toml::Array(vec![Toml::String("policy_id".to_owned())]));
        }
        named.extend(sources_of(contract));
    }
    let sources = inner(&mut file, "source");
    for name in named {
        inner(sources, &name);
    }
    for (name, source) in sources.iter_mut() {
        or_text(source.as_table_mut().unwrap(), "location", &format!("{name}.csv"));
    }
    toml::to_string(&file).unwrap()
}

#[test]
fn check_accepts_every_example_of_the_documents() {
    let variable = Regex::new(r"\$\{([A-Z_]+)\}").unwrap();
    let mut refused = Vec::new();
    let examples = examples();
    assert!(examples.len() > 20, "{} examples were found", examples.len());
    for example in &examples {
        let workspace = Workspace::new();
        workspace.file("reconcile.toml", &completed(example.table()));
        let mut command = workspace.command(["check"]);
        for name in variable.captures_iter(&example.text) {
            command.env(&name[1], "https://hooks.example/of-sixteen-characters");
        }
        let outcome = crate::support::Outcome::of(&command.output().unwrap());
        if outcome.status != Some(0) {
            refused.push(format!("{}:\n{}\n{}", example.page, example.text, outcome.shown()));
        }
    }
    assert!(refused.is_empty(), "`check` refuses\n{}", refused.join("\n"));
}

/// The options that a value of the contract file uses, each with its section.
struct Used<'s> {
    schema: &'s Value,
    options: BTreeSet<(String, String)>,
}

impl Used<'_> {
    fn walk(&mut self, value: &Toml, schema: &Value, section: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/$defs/");
            let definition = self.schema["$defs"][name].clone();
            return self.walk(value, &definition, name);
        }
        for either in schema["anyOf"].as_array().into_iter().flatten() {
            self.walk(value, either, section);
        }
        for item in value.as_array().into_iter().flatten() {
            self.walk(item, &schema["items"], section);
        }
        for (key, value) in value.as_table().into_iter().flatten() {
            if let Some(property) = schema["properties"].get(key) {
                self.options.insert((section.to_owned(), key.clone()));
                self.walk(value, property, section);
            } else {
                self.walk(value, &schema["additionalProperties"], section);
            }
        }
    }
}

#[test]
fn every_option_of_the_contract_file_has_an_example() {
    let said = Workspace::new().reconcile(["schema"]);
    let schema: Value = serde_json::from_str(&said.stdout).unwrap();
    let mut used = Used { schema: &schema, options: BTreeSet::new() };
    let scenarios = crate::scenarios::folders().into_iter().filter(|folder| {
        // What ended with 0 or 1 is a file that `check` accepts.
        fs::read_to_string(folder.join("expected/status")).is_ok_and(|status| ["0", "1"].contains(&status.trim()))
    });
    let files = scenarios.map(|folder| folder.join("reconcile.toml")).chain([root().join("reconcile.toml")]);
    let files = files.filter_map(|path| fs::read_to_string(path).ok()?.parse::<Table>().ok());
    for file in files.chain(examples().iter().map(Example::table)) {
        used.walk(&Toml::Table(file), &schema, "file");
    }
    let definitions = schema["$defs"].as_object().unwrap();
    let sections = definitions.iter().map(|(name, section)| (name.as_str(), section)).chain([("file", &schema)]);
    let (mut lacking, mut all) = (Vec::new(), 0);
    for (section, definition) in sections {
        for (key, property) in definition["properties"].as_object().unwrap() {
            let later = property["description"].as_str().is_some_and(|says| says.contains("Served by a later version"));
            all += 1;
            if !later && !used.options.contains(&(section.to_owned(), key.clone())) {
                lacking.push(format!("[{section}] {key}"));
            }
        }
    }
    assert!(all > 150, "{all} options were found in the schema");
    assert!(lacking.is_empty(), "no example, add one to a block of docs/contract.md:\n{}", lacking.join("\n"));
}
