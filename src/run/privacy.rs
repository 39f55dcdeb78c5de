//! Keeps personal data (`pii`) out of all that a run writes. It is the last step before a divergence, an action or a text leaves:
//! what was compared and judged were the values themselves.
//!
//! Digests are keyed BLAKE3, so that nobody without the key can find a value by trying. They are of the attribute's name and the
//! value, so that equal values of one attribute have equal digests, from run to run as long as the key is the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::audit::InputFacts;
use crate::classify::Divergence;
use crate::contract::{Contract, Kind, Pii};
use crate::normalise::{Binding, ColumnPath};
use crate::plan::{Action, Safety};
use crate::sides::Side;

/// What stands in place of what is masked.
pub(super) const MASK: &str = "***";
/// What stands before a digest.
const DIGEST: &str = "pii:";

/// How a contract's personal data are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Privacy {
    ways: BTreeMap<String, Pii>,
    /// Some of what identifies a row is personal.
    in_key: bool,
    /// Names that a text may quote.
    names: BTreeSet<String>,
    /// Columns whose values may stand in the names of folders, as `column=value`.
    columns: BTreeSet<String>,
    key: [u8; 32],
}

impl Privacy {
    /// What the contract says, before its columns are known.
    pub(super) fn new(contract: &Contract, key: Option<[u8; 32]>) -> Self {
        let ways: BTreeMap<String, Pii> =
            contract.personal().map(|(attribute, way)| (attribute.name.clone(), way)).collect();
        let mut names: BTreeSet<String> = contract.key.iter().cloned().collect();
        names.extend(contract.every_source().map(|source| source.name.clone()));
        names.extend(contract.controls.names().map(ToOwned::to_owned));
        for attribute in &contract.attributes {
            names.insert(attribute.name.clone());
            names.extend(attribute.column.iter().chain(&attribute.projected_as).cloned());
            names.extend(attribute.origin.owners.iter().map(|tenure| tenure.source.name.clone()));
            names.extend(attribute.origin.lookup.iter().map(|lookup| lookup.source.name.clone()));
        }
        names.extend(contract.crosswalk.iter().map(|crosswalk| crosswalk.source.name.clone()));
        names.extend(contract.controls.totals.iter().map(|total| total.name.clone()));
        if let Some(baseline) = &contract.baseline {
            names.insert(baseline.source.name.clone());
            names.extend(baseline.projected_as.values().flatten().cloned());
        }
        let in_key = contract.key.iter().any(|name| ways.contains_key(name));
        Self { columns: contract.personal_columns(), ways, in_key, names, key: key.unwrap_or_default() }
    }

    /// The same where columns are known: an attribute that reads a personal column, or a part of one, is personal too. `contract`
    /// is the one that was bound, which declares more as personal than what was written.
    pub(super) fn bound(mut self, contract: &Contract, binding: &Binding) -> Self {
        if !self.any() {
            return self;
        }
        for (attribute, way) in contract.personal() {
            self.ways.entry(attribute.name.clone()).or_insert(way);
        }
        self.columns.extend(contract.personal_columns());
        let mut personal: Vec<(Side, &ColumnPath, Pii)> = Vec::new();
        for attribute in &binding.attributes {
            if let Some(&way) = self.ways.get(&attribute.name) {
                personal.extend(attribute.columns.iter().map(|(side, path)| (side, path, way)));
            }
        }
        for attribute in &binding.attributes {
            let shared = personal.iter().find(|(side, path, _)| {
                let own = attribute.columns.get(*side);
                let within = own.members.starts_with(&path.members) || path.members.starts_with(&own.members);
                own.index == path.index && within
            });
            if let Some((_, _, way)) = shared {
                self.ways.entry(attribute.name.clone()).or_insert(*way);
            }
            self.names.insert(attribute.name.clone());
        }
        let identifying = if binding.key_count == 0 { binding.attributes.len() } else { binding.key_count };
        self.in_key = binding.attributes[..identifying].iter().any(|one| self.ways.contains_key(&one.name));
        self
    }

    /// Whether anything is personal.
    pub(super) fn any(&self) -> bool {
        !self.ways.is_empty()
    }

    /// The fingerprint as it is written: keyed where the key would else be found by trying.
    pub(super) fn fingerprint(&self, divergence: &Divergence) -> [u8; 32] {
        if self.in_key && divergence.key.is_some() {
            *blake3::keyed_hash(&self.key, &divergence.fingerprint).as_bytes()
        } else {
            divergence.fingerprint
        }
    }

    /// What rows were, as it is written.
    pub(super) fn row_digest(&self, digest: [u8; 32]) -> [u8; 32] {
        if self.any() { *blake3::keyed_hash(&self.key, &digest).as_bytes() } else { digest }
    }

    /// A divergence as it is written, the same where nothing of it is personal: values may be long.
    pub(super) fn masked(&self, divergence: Divergence) -> Divergence {
        match self.divergence(&divergence) {
            Cow::Owned(masked) => masked,
            Cow::Borrowed(_) => divergence,
        }
    }

    /// A divergence as it is written.
    pub(super) fn divergence<'a>(&self, divergence: &'a Divergence) -> Cow<'a, Divergence> {
        if !self.any() {
            return Cow::Borrowed(divergence);
        }
        let mut masked = divergence.clone();
        masked.fingerprint = self.fingerprint(divergence);
        masked.key = divergence.key.as_deref().map(|key| self.masked_key(key));
        let way = divergence.attribute.as_deref().and_then(|name| self.ways.get(name).map(|way| (name, *way)));
        masked.values = masked.values.map(|_, value| match (divergence.kind, way) {
            (Kind::Unreadable, _) => value.map(|text| self.scrubbed(&text).into()),
            // The types of a column say nothing of any row.
            (Kind::Schema, _) | (_, None) => value,
            (_, Some((name, way))) => value.and_then(|text| self.shown(way, name, &text)).map(String::into_boxed_str),
        });
        Cow::Owned(masked)
    }

    /// An action as it is written: a digest for each personal value, so that what is there can be told from what was there.
    /// One whose row can be found by a personal key alone is for a person.
    pub(super) fn action(&self, mut action: Action) -> Action {
        if !self.any() {
            return action;
        }
        let touched = [&mut action.before, &mut action.after].into_iter().flatten();
        let guarded = action.guard.iter_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
        let mut personal = self.in_key;
        for object in touched.chain(guarded) {
            let Value::Object(members) = object else { continue };
            for (name, value) in members.iter_mut().filter(|(name, _)| self.ways.contains_key(*name)) {
                *value = json!({ "pii": self.digest(name, &value.to_string()) });
                personal = true;
            }
        }
        if personal {
            let keyed = blake3::keyed_hash(&self.key, action.action_id.as_bytes()).to_hex();
            keyed[..32].clone_into(&mut action.action_id);
        }
        if self.in_key {
            action.key = self.masked_key(&action.key);
            action.safety = Safety::Manual;
            "its key is personal, so the row cannot be found by the plan".clone_into(&mut action.reason);
        }
        action
    }

    /// A text in which no quoted word but a name is left. What stands after the first other one may belong to it, up to the
    /// last quote of its line.
    pub(super) fn scrubbed<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.any() {
            return Cow::Borrowed(text);
        }
        let text = self.path(text);
        let lines: Vec<String> = text.split('\n').map(|line| self.scrubbed_line(line)).collect();
        Cow::Owned(lines.join("\n"))
    }

    /// A path, or a text with one, without the personal values in the names of its folders.
    pub(super) fn path(&self, text: &str) -> String {
        let of_folder = |part: &str| {
            let (name, _) = part.split_once('=')?;
            let found = self.columns.iter().find(|column| name.ends_with(column.as_str()))?;
            Some(format!("{}{found}={MASK}", &name[..name.len() - found.len()]))
        };
        let mut parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        let folders = parts.len() - 1;
        for part in &mut parts[..folders] {
            *part = of_folder(part).unwrap_or_else(|| std::mem::take(part));
        }
        parts.join("/")
    }

    /// What is told of a source, whose files or place may lie in such folders.
    pub(super) fn of_input(&self, input: &mut InputFacts) {
        for file in &mut input.files {
            file.path = self.path(&file.path);
        }
        // The place itself may be such a folder.
        input.location = self.path(&format!("{}/", input.location));
        input.location.pop();
    }

    fn scrubbed_line(&self, line: &str) -> String {
        without_lists(&self.without_quoted(line))
    }

    fn without_quoted(&self, line: &str) -> String {
        const QUOTES: [char; 3] = ['"', '\'', '`'];
        let mut kept = 0;
        while let Some(start) = line[kept..].find(QUOTES).map(|start| kept + start) {
            let quote = &line[start..=start];
            let inner = &line[start + 1..];
            let known = inner.find(quote).filter(|&end| self.harmless(&inner[..end]));
            if let Some(end) = known {
                kept = start + 1 + end + 1;
                continue;
            }
            let last = line.rfind(QUOTES).filter(|&last| last > start).map_or(line.len(), |last| last + 1);
            return format!("{}{MASK}{}", &line[..start], &line[last..]);
        }
        line.to_owned()
    }

    /// Whether a quoted word is one that no row brought: a name, or what a hint tells the reader to type.
    fn harmless(&self, word: &str) -> bool {
        const OPTIONS: [&str; 12] = [
            "captured_at",
            "max_age",
            "filter",
            "csv",
            "pii",
            "run.memory_limit",
            "ignore",
            "timezone",
            "version_column",
            "updated_at",
            "deleted",
            "window",
        ];
        self.names.contains(word) || OPTIONS.contains(&word) || word.starts_with("reconcile ") || word.starts_with("--")
    }

    /// A value as it is shown; None: not at all.
    fn shown(&self, way: Pii, name: &str, text: &str) -> Option<String> {
        match way {
            Pii::Mask => Some(MASK.to_owned()),
            Pii::Hash => Some(format!("{DIGEST}{}", &self.digest(name, text)[..32])),
            Pii::Drop => None,
        }
    }

    fn digest(&self, name: &str, text: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes()).update(text.as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// The key's text without what is personal; where it is dropped, its member is not there.
    pub(super) fn masked_key(&self, key: &str) -> Box<str> {
        if !self.in_key {
            return key.into();
        }
        // A key is a JSON object by its type's promise. Were it not, nothing of it would be shown.
        let Ok(Members(members)) = serde_json::from_str(key) else { return "{}".into() };
        let mut parts = Vec::new();
        for (name, value) in members {
            let written = match self.ways.get(&name) {
                Some(_) if value.get() == "null" => Some("null".to_owned()),
                Some(&way) => {
                    let text = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned());
                    self.shown(way, &name, &text).map(|shown| Value::from(shown).to_string())
                }
                None => Some(value.get().to_owned()),
            };
            parts.extend(written.map(|written| format!("{}:{written}", Value::from(name))));
        }
        format!("{{{}}}", parts.join(",")).into()
    }
}

/// A line in which nothing is left of a list of values: what stands in brackets behind a space and is more than a name, as that of
/// a table of the contract is.
fn without_lists(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('[') {
        let (before, list) = rest.split_at(start);
        shown.push_str(before);
        let end = list.find(']');
        let name = |inner: &str| {
            !inner.is_empty() && inner.chars().all(|one| one.is_ascii_alphabetic() || "_-.".contains(one))
        };
        let is_list = before.is_empty() || before.ends_with([' ', '(', '[']);
        match end {
            Some(end) if !is_list || name(&list[1..end]) => {
                shown.push_str(&list[..=end]);
                rest = &list[end + 1..];
            }
            None if !is_list => {
                shown.push_str(list);
                rest = "";
            }
            _ => {
                // A list may hold lists: nothing is left up to the last bracket.
                shown.push_str(&format!("[{MASK}]"));
                rest = list.rfind(']').map_or("", |end| &list[end + 1..]);
            }
        }
    }
    shown + rest
}

/// The members of a JSON object in their order, with every digit of their numbers.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn privacy(ways: &[(&str, Pii)]) -> Privacy {
        Privacy {
            ways: ways.iter().map(|(name, way)| ((*name).to_owned(), *way)).collect(),
            in_key: true,
            names: ["id".to_owned()].into(),
            columns: ["name".to_owned()].into(),
            key: [9; 32],
        }
    }

    #[test]
    fn a_key_keeps_what_is_not_personal_with_all_its_digits() {
        let privacy = privacy(&[("name", Pii::Mask), ("mail", Pii::Drop), ("born", Pii::Hash)]);
        let key = r#"{"id":18446744073709551615,"name":"O\"Neill","mail":"a@b","born":19700101}"#;
        let masked = privacy.masked_key(key);
        let expected = format!("pii:{}", &privacy.digest("born", "19700101")[..32]);
        assert_eq!(&*masked, format!(r#"{{"id":18446744073709551615,"name":"***","born":"{expected}"}}"#));
        assert_eq!(&*privacy.masked_key(r#"{"name":null}"#), r#"{"name":null}"#);
        assert_eq!(&*privacy.masked_key("not json"), "{}");
    }

    #[test]
    fn digests_tell_values_and_attributes_apart_and_need_the_key() {
        let privacy = privacy(&[("name", Pii::Hash)]);
        assert_eq!(privacy.digest("name", "Anna"), privacy.digest("name", "Anna"));
        assert_ne!(privacy.digest("name", "Anna"), privacy.digest("name", "Bert"));
        assert_ne!(privacy.digest("nam", "eAnna"), privacy.digest("name", "Anna"));
        let other = Privacy { key: [8; 32], ..privacy.clone() };
        assert_ne!(privacy.digest("name", "Anna"), other.digest("name", "Anna"));
    }

    #[test]
    fn a_folder_that_is_named_after_a_value_is_shown_without_it() {
        let privacy = privacy(&[("name", Pii::Mask)]);
        assert_eq!(privacy.path("data/id=7/name=Anna B/part.parquet"), "data/id=7/name=***/part.parquet");
        let text = "cannot read name=Anna/part.parquet, row group 3";
        assert_eq!(privacy.scrubbed(text), "cannot read name=***/part.parquet, row group 3");
    }

    #[test]
    fn a_text_keeps_its_names_and_loses_what_a_row_brought() {
        let privacy = privacy(&[("name", Pii::Mask)]);
        let cases = [
            ("a.csv, line 3: has 7 fields, expected 9", "a.csv, line 3: has 7 fields, expected 9"),
            ("column `id` of \"O'Neill\", then 'x' is bad", "column `id` of *** is bad"),
            ("invalid type: string \"An\"na\", expected", "invalid type: string ***, expected"),
            ("an open quote: 'Anna", "an open quote: ***"),
            ("first 'Anna'\nhint: run `reconcile check`", "first ***\nhint: run `reconcile check`"),
            ("cast failed for 2 out of 4 values: [-5550101, -5550777]", "cast failed for 2 out of 4 values: [***]"),
            ("at [[1, 2], [3]] of [run.notify]", "at [***]"),
            ("in [run.notify], part-[0-9].csv: open [5550101", "in [run.notify], part-[0-9].csv: open [***]"),
        ];
        for (text, expected) in cases {
            assert_eq!(privacy.scrubbed(text), expected);
        }
        assert_eq!(Privacy::default().scrubbed("'Anna'"), "'Anna'");
    }
}
