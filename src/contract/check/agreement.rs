//! Checks one `[contract.NAME]`: its two sources, its key, its judgement, its attributes, and how they fit together.
//!
//! It is given the whole table, after `extends` and `[defaults]`, whose single values `shape` has looked at already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::pii::spread;
use super::super::raw::{self, nearest};
use super::super::read::Disk;
use super::super::shape;
use super::super::tree::{Entry, Node, Place, Problems, Table, Value};
use super::super::values;
use super::super::{
    Allow, Attribute, Compare, Contract, Ignore, Kind, Location, Repair, RepairPolicy, Secrets, Severity, Source,
    Unserved, meaning,
};
use super::crosswalk::check_crosswalk;
use super::{attribute, baseline, controls, location, ownership};
use crate::sides::{Side, Sides};

/// What a contract is checked against.
pub(super) struct Setting<'a> {
    /// The sources that are without fault.
    pub(super) sources: &'a BTreeMap<String, Arc<Source>>,
    /// Every source that is declared.
    pub(super) declared: &'a [Entry],
    pub(super) disk: &'a dyn Disk,
}

/// A contract before its digest is taken.
pub(super) struct Draft {
    pub(super) contract: Contract,
}

impl Draft {
    /// Takes the digest.
    pub(super) fn seal(mut self) -> Contract {
        self.contract.digest = meaning::digest(&self.contract);
        self.contract
    }
}

/// Checks a contract. None where a problem keeps it from being made; there may be problems besides.
pub(super) fn check_contract(
    entry: &Entry,
    table: &Table,
    setting: &Setting<'_>,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Option<Draft> {
    let about = format!("contract \"{}\"", entry.key);
    shape::check_required(table, &raw::CONTRACT, &entry.at, Some(&about), problems);
    let sources = check_sources(table, setting, &about, problems, warnings);
    let key = check_key(table, &about, problems);
    let mut attributes = attribute::check_attributes(table, setting, &about, problems);
    let crosswalk = check_crosswalk(table, &attributes, setting, &about, problems, warnings);
    let baseline = baseline::check_baseline(table, &attributes, setting, &about, problems);
    let ignore = check_ignore(table, &key, &attributes, &about, problems, warnings);
    if let Some(sources) = &sources {
        spread(&mut attributes, sources, &key, crosswalk.as_ref());
    }
    let controls = controls::check_controls(table, &key, &attributes, &about, problems);
    let unserved = unserved(sources.as_ref(), ownership::others(&attributes, crosswalk.as_ref(), baseline.as_ref()));
    let text = |key: &str| table.text(key).map(|text| text.text.clone());
    let span = |key: &str| table.node(key).and_then(|node| values::span(node).ok());
    let contract = Contract {
        name: entry.key.clone(),
        version: table.node("version").and_then(|node| values::version(node).ok())?,
        description: text("description"),
        team: text("team"),
        runbook: table.text("runbook").map(location::runbook),
        tags: table.texts("tags").into_iter().map(|(tag, _)| tag.to_owned()).collect(),
        cadence: span("cadence"),
        sources: sources?,
        key,
        null_keys_match: table.text("null_keys").is_some_and(|text| text.text == "match"),
        compare: if table.text("compare").is_some_and(|text| text.text == "declared") {
            Compare::Declared
        } else {
            Compare::All
        },
        only: Vec::new(),
        ignore,
        row_filter: None,
        window: span("window"),
        recheck: super::recheck::recheck(table),
        fail_on: severity_at(table, "fail_on").unwrap_or(Severity::Low),
        allow: allow(table),
        attributes,
        attribute_defaults: attribute::text_options(None, table),
        numeric_tolerance: None,
        severity: severities(table),
        repair: repair(table),
        crosswalk,
        baseline,
        parity: super::parity::parity(table, &about, problems),
        controls,
        unserved,
        secrets: Secrets::default(),
        digest: [0; 32],
    };
    super::recheck::check_recheck(table, &contract, &about, problems);
    Some(Draft { contract })
}

/// A severity by the name at a key.
pub(super) fn severity_at(table: &Table, key: &str) -> Option<Severity> {
    raw::severity(&table.text(key)?.text)
}

/// A repair by the name at a key.
pub(super) fn repair_at(table: &Table, key: &str) -> Option<Repair> {
    Some(match table.text(key)?.text.as_str() {
        "auto" => Repair::Auto,
        "review" => Repair::Review,
        "replay" => Repair::Replay,
        "ignore" => Repair::Ignore,
        _ => return None,
    })
}

/// Complains about a source that is not declared.
pub(super) fn known_source(
    node: &Node,
    role: &str,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> bool {
    let Some(name) = node.text() else { return false };
    if setting.declared.iter().any(|entry| entry.key == name.text) {
        return true;
    }
    let names = setting.declared.iter().map(|entry| entry.key.as_str());
    let hint = match nearest(&name.text, names.clone()) {
        Some(near) => Some(format!("did you mean \"{near}\"?")),
        None if setting.declared.is_empty() => Some("declare it as [source.NAME]".to_owned()),
        None => Some(format!("sources are: {}", names.collect::<Vec<_>>().join(", "))),
    };
    problems.add(&node.at, Some(about), format!("{role} \"{}\" is no source", name.shown()), hint);
    false
}

fn check_sources(
    table: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Option<Sides<Arc<Source>>> {
    let found = Sides::from_fn(|side| {
        let node = table.node(side.name())?;
        known_source(node, side.name(), setting, about, problems).then_some(())?;
        ownership::zoned(table, setting, &node.text()?.text)
    });
    if let (Some(authority), Some(projection)) = (table.text("authority"), table.entry("projection"))
        && projection.node.text().is_some_and(|text| text.text == authority.text)
    {
        let message = "authority and projection are the same source, which agrees with itself";
        warnings.add(&projection.node.at, Some(about), message, None);
    }
    Some(Sides { authority: found.authority?, projection: found.projection? })
}

fn check_key(table: &Table, about: &str, problems: &mut Problems) -> Vec<String> {
    let mut key: Vec<String> = Vec::new();
    for (name, at) in table.texts("key") {
        if key.iter().any(|held| held == name) {
            problems.add(at, Some(about), format!("key names \"{name}\" twice"), None);
        } else {
            key.push(name.to_owned());
        }
    }
    key
}

/// `ignore`, which must not contradict what the contract says of a column.
fn check_ignore(
    table: &Table,
    key: &[String],
    attributes: &[Attribute],
    about: &str,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Vec<Ignore> {
    let Some(Value::List(nodes)) = table.node("ignore").map(|node| &node.value) else { return Vec::new() };
    let mut entries = Vec::new();
    for node in nodes {
        let Ok(entry) = values::ignore(node) else { continue };
        let literal = !entry.glob.glob().glob().contains(['*', '?', '[', '{', '\\']);
        for (name, is_key, columns) in named_columns(key, attributes) {
            let hit = Side::BOTH
                .into_iter()
                .any(|side| entry.side.is_none_or(|only| only == side) && entry.glob.is_match(columns.get(side)));
            if !hit {
                continue;
            }
            let role = if is_key { "key attribute" } else { "attribute" };
            let message =
                format!("ignore \"{}\" leaves out {role} \"{name}\", which the contract names", entry.written);
            if literal {
                problems.add(&node.at, Some(about), message, Some("take it out of one of the two".to_owned()));
            } else if is_key {
                // Every run would end unverified.
                let hint = "a key is always compared: name the columns that are meant, or say `compare = \"declared\"`";
                problems.add(&node.at, Some(about), message, Some(hint.to_owned()));
            } else {
                warnings.add(&node.at, Some(about), message, None);
            }
        }
        entries.push(entry);
    }
    entries
}

/// Every attribute that the contract names, whether it is of the key, and its column on each side.
fn named_columns<'a>(key: &'a [String], attributes: &'a [Attribute]) -> Vec<(&'a str, bool, Sides<&'a str>)> {
    let top = |path: &'a [String]| path.first().map_or("", String::as_str);
    let declared = attributes.iter().map(|attribute| {
        let columns = Sides { authority: top(&attribute.column), projection: top(&attribute.projected_as) };
        (attribute.name.as_str(), key.contains(&attribute.name), columns)
    });
    let undeclared = key.iter().filter(|name| attributes.iter().all(|attribute| attribute.name != **name));
    let undeclared = undeclared.map(|name| (name.as_str(), true, Sides::from_fn(|_| name.as_str())));
    declared.chain(undeclared).collect()
}

fn allow(table: &Table) -> Allow {
    let Some(table) = table.table("allow") else { return Allow::default() };
    let count = |table: &Table, key: &str| table.node(key).and_then(|node| values::count(node, u64::MAX).ok());
    let by_severity = table.table("severity").map(|inner| {
        Severity::ALL.into_iter().filter_map(|severity| Some((severity, count(inner, severity.name())?))).collect()
    });
    Allow {
        keys: count(table, "keys"),
        ratio: table.node("ratio").and_then(|node| values::ratio(node).ok()),
        severity: by_severity.unwrap_or_default(),
    }
}

fn severities(table: &Table) -> BTreeMap<Kind, Severity> {
    let Some(table) = table.table("severity") else { return BTreeMap::new() };
    Kind::ALL.into_iter().filter_map(|kind| Some((kind, severity_at(table, kind.name())?))).collect()
}

fn repair(table: &Table) -> RepairPolicy {
    let Some(table) = table.table("repair") else { return RepairPolicy::default() };
    RepairPolicy {
        kinds: Kind::ALL.into_iter().filter_map(|kind| Some((kind, repair_at(table, kind.name())?))).collect(),
        max_actions: table.node("max_actions").and_then(|node| values::count(node, u64::MAX).ok()),
        max_ratio: table.node("max_ratio").and_then(|node| values::ratio(node).ok()),
    }
}

/// Options that are used and that this version does not act on.
fn unserved<'s>(
    sources: Option<&'s Sides<Arc<Source>>>,
    others: impl Iterator<Item = &'s Arc<Source>>,
) -> Vec<Unserved> {
    let mut found = Vec::new();
    let mut said = BTreeSet::new();
    for source in sources.into_iter().flat_map(Sides::iter).map(|(_, source)| source).chain(others) {
        if said.insert(&source.name) {
            collect_of_source(source, &mut found);
        }
    }
    found
}

/// The source's options are part of the digest by themselves; only that they are not acted on is said here.
fn collect_of_source(source: &Source, found: &mut Vec<Unserved>) {
    if let Location::Remote { scheme, .. } = &source.location {
        let option = format!("source.{}.location", source.name);
        found.push(Unserved { option, hides: true, consequence: location::consequence(scheme) });
    }
}

/// The place of an attribute's option, or of the attribute.
pub(super) fn place_of<'t>(entry: &'t Entry, key: &str) -> &'t Place {
    entry.node.table().and_then(|table| table.node(key)).map_or(&entry.at, |node| &node.at)
}
