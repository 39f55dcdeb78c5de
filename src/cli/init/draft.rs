//! A contract file on its way: what is proposed, and its text. Every proposal is judged by loading this text, so that what
//! was tried and what is written are the same.

use std::path::Path;

use crate::cli::failure::Failure;
use crate::contract::{self, Contract};
use crate::sides::{Side, Sides};

/// The name under which a text is loaded: paths start from the working folder.
pub(super) fn here() -> &'static Path {
    Path::new("reconcile.toml")
}

/// What a column is called where no name is proposed.
pub(super) fn name_of(column: usize) -> String {
    format!("c{column}")
}

/// A source as it is proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DraftSource {
    pub(super) name: String,
    pub(super) location: String,
    /// As the file says it, as TOML, where that is not the location itself.
    pub(super) written: Option<String>,
    /// Options of `csv` with their values as TOML.
    pub(super) csv: Vec<(&'static str, String)>,
}

/// Two columns that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct DraftPair {
    pub(super) name: String,
    pub(super) paths: Sides<Vec<String>>,
    /// Options with their values as TOML.
    pub(super) options: Vec<(String, String)>,
    /// Options that would settle something, each with what it would settle; written as comments.
    pub(super) suggested: Vec<Suggestion>,
    /// What was seen, one line each.
    pub(super) evidence: Vec<String>,
}

/// An option that would settle little, or what nobody but a person can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Suggestion {
    pub(super) name: String,
    /// As TOML.
    pub(super) value: String,
    /// Rows that it would settle.
    pub(super) gain: usize,
    pub(super) why: String,
}

/// A column that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) side: Side,
    pub(super) column: String,
    pub(super) why: String,
}

/// The whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// Lines at the top.
    pub(super) head: Vec<String>,
    pub(super) sources: Sides<DraftSource>,
    /// What was seen of each source.
    pub(super) source_evidence: Sides<Vec<String>>,
    pub(super) name: String,
    /// The first pairs are the key.
    pub(super) key_count: usize,
    pub(super) key_evidence: Vec<String>,
    pub(super) pairs: Vec<DraftPair>,
    pub(super) left_out: Vec<LeftOut>,
    /// What a person ought to look at first.
    pub(super) doubts: Vec<String>,
    /// `compare = "declared"`, with the reason.
    pub(super) declared: Option<String>,
}

impl Draft {
    /// Only enough to open a source.
    pub(super) fn of_source(source: &DraftSource) -> Self {
        let other = DraftSource { name: format!("{}-", source.name), ..source.clone() };
        let sources = Sides { authority: source.clone(), projection: other };
        Self { sources, name: "sample".to_owned(), ..Self::default() }
    }

    /// Columns that meet themselves.
    pub(super) fn of_itself(paths: &[Vec<String>]) -> Self {
        let pairs = paths.iter().enumerate().map(|(number, path)| DraftPair {
            name: name_of(number),
            paths: Sides::from_fn(|_| path.clone()),
            ..DraftPair::default()
        });
        let sources = Sides::from_fn(|side| DraftSource {
            name: side.name().to_owned(),
            location: "sample".to_owned(),
            ..DraftSource::default()
        });
        let declared = Some(String::new());
        Self { sources, name: "sample".to_owned(), pairs: pairs.collect(), declared, ..Self::default() }
    }

    /// The contract as a run would have it.
    pub(super) fn contract(&self) -> Result<Contract, Failure> {
        let configuration = contract::load_text(here(), &self.text())?;
        Ok(Contract::clone(&configuration.contracts[0]))
    }

    /// The file.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.head {
            text.push_str(&comment("", line));
        }
        text.push_str("\nversion = 1\n");
        for side in Side::BOTH {
            self.add_source(side, &mut text);
        }
        self.add_contract(&mut text);
        for (number, pair) in self.pairs.iter().enumerate() {
            self.add_pair(number, pair, &mut text);
        }
        text.trim_start_matches('\n').to_owned()
    }

    fn add_source(&self, side: Side, text: &mut String) {
        let source = self.sources.get(side);
        text.push_str(&format!("\n[source.{}]\n", key(&source.name)));
        for line in self.source_evidence.get(side) {
            text.push_str(&comment("", line));
        }
        text.push_str(&format!("location = {}\n", source.written.clone().unwrap_or_else(|| value(&source.location))));
        if !source.csv.is_empty() {
            let options: Vec<String> = source.csv.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            text.push_str(&format!("csv = {{ {} }}\n", options.join(", ")));
        }
    }

    fn add_contract(&self, text: &mut String) {
        text.push_str(&format!("\n[contract.{}]\nversion = \"1.0.0\"\n", key(&self.name)));
        text.push_str(&format!("authority = {}\n", value(&self.sources.authority.name)));
        text.push_str(&format!("projection = {}\n", value(&self.sources.projection.name)));
        for line in &self.key_evidence {
            text.push_str(&comment("", line));
        }
        let names: Vec<String> = self.pairs[..self.key_count].iter().map(|pair| value(&pair.name)).collect();
        text.push_str(&format!("key = [{}]\n", names.join(", ")));
        if let Some(why) = &self.declared {
            text.push_str(&comment("", why));
            text.push_str("compare = \"declared\"\n");
            for column in &self.left_out {
                text.push_str(&comment("", &format!("{} {}: {}", column.side, column.column, column.why)));
            }
        } else if !self.left_out.is_empty() {
            text.push_str("ignore = [\n");
            for column in &self.left_out {
                let entry = format!("{}:{}", column.side, glob(&column.column));
                text.push_str(&format!("    {},", value(&entry)));
                text.push_str(&comment(" ", &column.why));
            }
            text.push_str("]\n");
        }
    }

    fn add_pair(&self, number: usize, pair: &DraftPair, text: &mut String) {
        let plain = Sides::from_fn(|_| vec![pair.name.clone()]);
        let is_plain = pair.paths == plain && pair.options.is_empty() && self.declared.is_none();
        if is_plain && number < self.key_count && pair.suggested.is_empty() {
            return;
        }
        text.push('\n');
        for line in &pair.evidence {
            text.push_str(&comment("", line));
        }
        // A pair of one name and without options needs no table: it is compared all the same.
        let mark = if is_plain { "# " } else { "" };
        text.push_str(&format!("{mark}[contract.{}.attribute.{}]\n", key(&self.name), key(&pair.name)));
        for (side, option) in [(Side::Authority, "column"), (Side::Projection, "projected_as")] {
            if pair.paths.get(side) != plain.get(side) {
                text.push_str(&format!("{option} = {}\n", path(pair.paths.get(side))));
            }
        }
        for (name, value) in &pair.options {
            text.push_str(&format!("{name} = {value}\n"));
        }
        for Suggestion { name, value, why, .. } in &pair.suggested {
            text.push_str(&format!("# {name} = {value}"));
            text.push_str(&comment("   ", why));
        }
    }
}

fn path(path: &[String]) -> String {
    match path {
        [only] => value(only),
        members => format!("[{}]", members.iter().map(|member| value(member)).collect::<Vec<_>>().join(", ")),
    }
}

/// One line after `#`, whatever the text holds.
fn comment(before: &str, text: &str) -> String {
    let plain: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("{before}# {}\n", plain.trim_end())
}

/// A string of TOML that stands for exactly this text, also where it looks like an environment variable.
pub(super) fn value(text: &str) -> String {
    quoted(&text.replace("${", "$${"))
}

/// A string of TOML, in which `${NAME}` is a variable.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A key of TOML, quoted where it must be.
pub(super) fn key(text: &str) -> String {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { quoted(text) }
}

/// A glob that matches only this text.
fn glob(text: &str) -> String {
    let mut glob = String::new();
    for letter in text.chars() {
        if "*?[]{}\\".contains(letter) {
            glob.push_str(&format!("[{letter}]"));
        } else {
            glob.push(letter);
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_written_so_that_it_is_read_back() {
        let names = [
            "id",
            "a b",
            "a\"b",
            "ta\tb",
            "${HOME}",
            "$${x}",
            "*",
            "[x]",
            "{a,b}",
            "back\\slash",
            "é",
            "a.b",
            "!",
            "]",
            "^",
        ];
        for name in names {
            let pair = DraftPair {
                name: name.to_owned(),
                paths: Sides { authority: vec![name.to_owned()], projection: vec![format!("{name}2")] },
                ..DraftPair::default()
            };
            let plain = DraftPair {
                name: "key".to_owned(),
                paths: Sides::from_fn(|_| vec!["key".to_owned()]),
                ..DraftPair::default()
            };
            let left_out = LeftOut { side: Side::Authority, column: format!("{name}3"), why: format!("as {name}\nis") };
            let source =
                DraftSource { name: "a".to_owned(), location: format!("{name}.csv"), ..DraftSource::default() };
            let draft =
                Draft { pairs: vec![plain, pair], key_count: 1, left_out: vec![left_out], ..Draft::of_source(&source) };
            let contract = draft.contract().unwrap_or_else(|error| panic!("{name}: {error:?}\n{}", draft.text()));
            let attribute = contract.attributes.iter().find(|attribute| attribute.name == name).unwrap();
            assert_eq!(attribute.projected_as, [format!("{name}2")]);
            assert_eq!(contract.sources.authority.location.shown(), format!("{name}.csv"));
            let ignore = &contract.ignore[0];
            assert_eq!(ignore.side, Some(Side::Authority));
            assert!(ignore.glob.is_match(format!("{name}3")), "{}", ignore.written);
            assert!(!ignore.glob.is_match(format!("{name}{name}3")), "{}", ignore.written);
        }
    }
}
