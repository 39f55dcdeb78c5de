//! The TOML as it is written: a tree of values, each with its place, so that a complaint about any of them can point at it.
//!
//! Environment variables are put in while the tree is made, and what came from one is remembered, so that no message can
//! repeat it. It never knows which keys exist; that is `raw`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::error::Problem;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file.
    File {
        /// The file.
        file: Arc<Path>,
        /// 1-based.
        line: usize,
        /// 1-based, in characters.
        column: usize,
    },
    /// On the command line, after this flag.
    Flag(&'static str),
}

impl Place {
    /// The folder that relative paths written here start from.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::File { file, .. } => file.parent(),
            Self::Flag(_) => None,
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// A TOML value. Numbers keep their text, so that `0.1` is never a float.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(Text),
    Integer(i128),
    Float(String),
    Boolean(bool),
    Datetime(String),
    List(Vec<Node>),
    Table(Table),
    /// A text that could not be made, which was complained about already: every check lets it pass.
    Unknown,
}

/// A string, after environment variables.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// The whole text.
    pub(super) text: String,
    /// The text with `${NAME}` in place of each variable, where there was one: this is what messages show.
    pub(super) written: Option<String>,
}

impl Text {
    pub(super) fn shown(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.text)
    }
}

/// Keys in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

/// A key with its place, and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Place,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    pub(super) fn node(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The text at a key; None where there is none or it is not a text.
    pub(super) fn text(&self, key: &str) -> Option<&Text> {
        self.node(key)?.text()
    }

    /// The table at a key; None where there is none or it is not a table.
    pub(super) fn table(&self, key: &str) -> Option<&Table> {
        self.node(key)?.table()
    }

    /// The texts of the list at a key, with their places; empty where there is none.
    pub(super) fn texts(&self, key: &str) -> Vec<(&str, &Place)> {
        let Some(Value::List(nodes)) = self.node(key).map(|node| &node.value) else { return Vec::new() };
        nodes.iter().filter_map(|node| Some((node.text()?.text.as_str(), &node.at))).collect()
    }

    /// Puts a value in, in place of an earlier one.
    pub(super) fn set(&mut self, key: &str, node: Node) {
        let at = node.at.clone();
        match self.0.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => entry.node = node,
            None => self.0.push(Entry { key: key.to_owned(), at, node }),
        }
    }

    /// This table over a base: tables are merged key by key, everything else replaces what the base says.
    pub(super) fn over(&self, base: &Table, atomic: &dyn Fn(&str) -> bool) -> Table {
        let mut merged = base.clone();
        for entry in &self.0 {
            match merged.0.iter_mut().find(|held| held.key == entry.key) {
                Some(held) => {
                    let node = match (&entry.node.value, &held.node.value) {
                        (Value::Table(upper), Value::Table(lower)) if !atomic(&entry.key) => {
                            Node { at: entry.node.at.clone(), value: Value::Table(upper.over(lower, atomic)) }
                        }
                        _ => entry.node.clone(),
                    };
                    *held = Entry { key: entry.key.clone(), at: entry.at.clone(), node };
                }
                None => merged.0.push(entry.clone()),
            }
        }
        merged
    }
}

impl Node {
    pub(super) fn text_at(at: &Place, text: &str) -> Self {
        Self { at: at.clone(), value: Value::Text(Text { text: text.to_owned(), written: None }) }
    }

    pub(super) fn texts_at(at: &Place, texts: &[String]) -> Self {
        let nodes = texts.iter().map(|text| Self::text_at(at, text)).collect();
        Self { at: at.clone(), value: Value::List(nodes) }
    }

    pub(super) fn text(&self) -> Option<&Text> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// What a message says was seen, without anything that came from the environment.
    pub(super) fn seen(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("\"{}\"", text.shown()),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.clone(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Datetime(_) => "a date or time".to_owned(),
            Value::List(_) => "an array".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Unknown => "an unknown text".to_owned(),
        }
    }
}

/// A text as a JSON string, so that no two texts read alike.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Complaints as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: &Place, about: Option<&str>, message: impl Into<String>, hint: Option<String>) {
        let about = about.map(ToOwned::to_owned);
        let (file, position, about) = match at {
            Place::File { file, line, column } => (Some(file.to_path_buf()), Some((*line, *column)), about),
            Place::Flag(flag) => {
                // The contract of `diff` is none that the user named; the attribute is.
                let rest = about.as_deref().and_then(|about| about.strip_prefix("contract \"diff\", "));
                (None, None, Some(rest.map_or_else(|| (*flag).to_owned(), |rest| format!("{flag}: {rest}"))))
            }
        };
        self.0.push(Problem { file, position, about, message: message.into(), hint, excerpt: None });
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of files (as they were read), lines and columns. A value that several contracts inherit is
    /// complained about once.
    pub(super) fn sorted(self, files: &[PathBuf]) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::with_capacity(self.0.len());
        let mut seen = std::collections::HashSet::new();
        for problem in self.0 {
            let identity = (problem.file.clone(), problem.position, problem.message.clone());
            if problem.position.is_none() || seen.insert(identity) {
                problems.push(problem);
            }
        }
        let rank = |problem: &Problem| files.iter().position(|file| Some(file) == problem.file.as_ref());
        problems.sort_by_key(|problem| (rank(problem), problem.position));
        problems
    }
}

/// Reads the text of one file into a tree. On a syntax error the tree is not made.
pub(super) fn parse(
    file: &Arc<Path>,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> Option<Table> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let mut maker = Maker { file, text, lines, environment, problems };
        return Some(maker.table(table.get_ref()));
    }
    let mut line_before = 0;
    for error in errors {
        let start = error.span().map_or(text.len(), |span| span.start);
        let (line, column) = lines.position(text, start);
        // One slip makes several complaints in its line; the first is the one that helps.
        if line > line_before {
            line_before = line;
            let at = Place::File { file: Arc::clone(file), line, column };
            let message = error.message().replace('\n', ", ");
            problems.add(&at, None, format!("not valid TOML: {message}"), None);
        }
    }
    None
}

/// Byte offsets at which lines start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|index| index + 1));
        Self(starts)
    }

    /// 1-based line and column (in characters) of a byte offset.
    fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let offset = offset.min(text.len());
        let line = self.0.partition_point(|start| *start <= offset);
        let start = self.0[line - 1];
        let before = text.as_bytes().get(start..offset).unwrap_or_default();
        // Continuation bytes are no characters of their own.
        let column = before.iter().filter(|byte| (**byte & 0xC0) != 0x80).count() + 1;
        (line, column)
    }
}

struct Maker<'a> {
    file: &'a Arc<Path>,
    text: &'a str,
    lines: Lines,
    environment: &'a dyn Fn(&str) -> Option<String>,
    problems: &'a mut Problems,
}

impl Maker<'_> {
    fn place(&self, offset: usize) -> Place {
        let (line, column) = self.lines.position(self.text, offset);
        Place::File { file: Arc::clone(self.file), line, column }
    }

    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let entries = table.iter().map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            at: self.place(key.span().start),
            node: self.node(value),
        });
        Table(entries.collect())
    }

    fn node(&mut self, value: &toml::Spanned<DeValue<'_>>) -> Node {
        let at = self.place(value.span().start);
        let value = match value.get_ref() {
            DeValue::String(text) => self.expand(text, &at).map_or(Value::Unknown, Value::Text),
            DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) => Value::Integer(number),
                // Longer than any key takes; kept as a number that no check accepts.
                Err(_) => Value::Float(integer.to_string()),
            },
            DeValue::Float(float) => Value::Float(float.as_str().to_owned()),
            DeValue::Boolean(truth) => Value::Boolean(*truth),
            DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
            DeValue::Array(array) => Value::List(array.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { at, value }
    }

    /// Puts environment variables in: `${NAME}`, `${NAME:-default}`; `$${` stands for `${`.
    fn expand(&mut self, raw: &str, at: &Place) -> Option<Text> {
        if !raw.contains("${") {
            return Some(Text { text: raw.to_owned(), written: None });
        }
        let (mut text, mut written) = (String::new(), String::new());
        let (mut rest, mut from_environment, mut known) = (raw, false, true);
        while let Some(start) = rest.find("${") {
            let before = &rest[..start];
            let inside = &rest[start + 2..];
            if let Some(kept) = before.strip_suffix('$') {
                text.extend([kept, "${"]);
                written.extend([before, "${"]);
                rest = inside;
                continue;
            }
            text.push_str(before);
            written.push_str(before);
            let Some(end) = inside.find('}') else {
                self.problems.add(
                    at,
                    None,
                    "`${` without its `}`",
                    Some("write `$${` for a `${` that is meant".to_owned()),
                );
                return None;
            };
            let (name, default) = match inside[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (&inside[..end], None),
            };
            from_environment = true;
            match self.variable(name, default, at) {
                Some(value) => text.push_str(&value),
                None => known = false,
            }
            // The default may be a secret as well, so it is not repeated.
            written.extend(["${", name, "}"]);
            rest = &inside[end + 1..];
        }
        text.push_str(rest);
        written.push_str(rest);
        known.then(|| Text { text, written: from_environment.then_some(written) })
    }

    fn variable(&mut self, name: &str, default: Option<&str>, at: &Place) -> Option<String> {
        let first_fits = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !first_fits || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
            let message = format!("`${{{name}}}` does not name an environment variable");
            self.problems.add(at, None, message, Some("write `$${` for a `${` that is meant".to_owned()));
            return None;
        }
        // As in a shell, `:-` also stands in for a variable that is set to nothing.
        let value = (self.environment)(name).filter(|value| default.is_none() || !value.is_empty());
        let value = value.or_else(|| default.map(ToOwned::to_owned));
        if value.is_none() {
            let hint = format!("set it, or give a default: `${{{name}:-…}}`");
            self.problems.add(at, None, format!("environment variable `{name}` is not set"), Some(hint));
        }
        value
    }
}
