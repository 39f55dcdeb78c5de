//! Which lines of a run are looked at, and how many there are of each sort. It never reads a file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::contract::{Kind, Severity};
use crate::history::LineRef;
use crate::report::escape::visible;

/// The places of the columns by which lines are grouped, in the order of `LineRef::grouping`.
pub(super) const CONTRACT: usize = 0;
pub(super) const KIND: usize = 1;
const SEVERITY: usize = 2;
pub(super) const ATTRIBUTE: usize = 3;
pub(super) const CAUSE: usize = 4;

/// Beyond so many sorts of lines the rest is counted together.
const MOST_SORTS: usize = 100_000;
/// Parts what a sort is made of: no name holds it, since control characters are in no name that a terminal shows apart.
const PART: char = '\u{1f}';

/// What a column has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever it may be.
    #[default]
    Any,
    /// NULL.
    Null,
    /// This.
    Value(String),
}

impl From<Option<String>> for Wanted {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::Null, Self::Value)
    }
}

/// What a line has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// What each column has to hold.
    pub(super) columns: [Wanted; 5],
    /// What some text of it has to hold, without regard to case.
    pub(super) text: Option<String>,
    /// It has to be one of these lines.
    pub(super) marked: Option<Arc<BTreeSet<u64>>>,
}

impl Filter {
    /// Whether every line will do.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a line will do.
    pub(super) fn takes(&self, number: u64, line: LineRef<'_>) -> bool {
        if self.marked.as_ref().is_some_and(|marked| !marked.contains(&number)) {
            return false;
        }
        let grouping = line.grouping();
        let fits = self.columns.iter().zip(grouping).all(|(wanted, held)| match wanted {
            Wanted::Any => true,
            Wanted::Null => held.is_none(),
            Wanted::Value(value) => Some(value.as_str()) == held,
        });
        fits && self.text.as_ref().is_none_or(|text| line.texts().any(|held| holds(held, text)))
    }

    /// `kind missing › "rome"`
    pub(super) fn told(&self) -> String {
        let names = ["contract", "kind", "severity", "attribute", "cause"];
        let mut parts: Vec<String> = names
            .iter()
            .zip(&self.columns)
            .filter_map(|(name, wanted)| match wanted {
                Wanted::Any => None,
                Wanted::Null => Some(format!("no {name}")),
                Wanted::Value(value) => Some(format!("{name} {}", visible(value))),
            })
            .collect();
        parts.extend(self.text.as_ref().map(|text| format!("\"{}\"", visible(text))));
        parts.extend(self.marked.as_ref().map(|_| "marked".to_owned()));
        if parts.is_empty() { "all".to_owned() } else { parts.join(" › ") }
    }
}

/// Whether a text holds another, which is in lower case.
fn holds(text: &str, wanted: &str) -> bool {
    if text.is_ascii() && wanted.is_ascii() {
        let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
        return wanted.is_empty() || text.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted));
    }
    text.to_lowercase().contains(wanted)
}

/// How many lines there are of each sort: contract, kind, severity, attribute and cause.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    sorts: BTreeMap<String, u64>,
    /// Lines of sorts that are not held.
    pub(super) others: u64,
    name: String,
}

impl Tally {
    pub(super) fn add(&mut self, line: LineRef<'_>) {
        self.name.clear();
        for part in line.grouping() {
            // A value has a letter before it, so that NULL and the empty text are two.
            if let Some(part) = part {
                self.name.extend(["v", part]);
            }
            self.name.push(PART);
        }
        if let Some(lines) = self.sorts.get_mut(&self.name) {
            *lines += 1;
        } else if self.sorts.len() < MOST_SORTS {
            self.sorts.insert(self.name.clone(), 1);
        } else {
            self.others += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.others += other.others;
        for (name, lines) in &other.sorts {
            if self.sorts.contains_key(name) || self.sorts.len() < MOST_SORTS {
                *self.sorts.entry(name.clone()).or_default() += lines;
            } else {
                self.others += lines;
            }
        }
    }

    /// Lines by what some columns hold, the most lines first.
    pub(super) fn groups(&self, columns: &[usize]) -> Vec<Group> {
        let mut groups: BTreeMap<Vec<Option<&str>>, Group> = BTreeMap::new();
        for (name, lines) in &self.sorts {
            let parts: Vec<Option<&str>> = name.split(PART).map(|part| part.strip_prefix('v')).collect();
            let values: Vec<Option<&str>> = columns.iter().map(|column| parts[*column]).collect();
            let group = groups.entry(values.clone()).or_insert_with(|| Group {
                values: columns.iter().zip(values).map(|(column, value)| (*column, value.map(str::to_owned))).collect(),
                lines: 0,
                severities: [0; 5],
            });
            group.lines += lines;
            let severity = Severity::ALL.iter().position(|severity| Some(severity.name()) == parts[SEVERITY]);
            if let Some(place) = severity {
                group.severities[place] += lines;
            }
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        // The sort is stable, so equal counts stay in the order of their names.
        groups.sort_by_key(|group| std::cmp::Reverse(group.lines));
        if columns == [KIND] {
            let rank = |group: &Group| Kind::ALL.iter().position(|kind| Some(kind.name()) == group.value(0));
            groups.sort_by_key(rank);
        }
        groups
    }
}

/// Lines that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Columns, and what they hold.
    pub(super) values: Vec<(usize, Option<String>)>,
    /// How many.
    pub(super) lines: u64,
    /// By severity, in the order of `Severity::ALL`.
    pub(super) severities: [u64; 5],
}

impl Group {
    /// What one of its columns holds.
    pub(super) fn value(&self, place: usize) -> Option<&str> {
        self.values.get(place)?.1.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_without_regard_to_case() {
        for (text, wanted, expected) in [
            ("Via Roma", "roma", true),
            ("Via Roma", "rom ", false),
            ("GRÖSSE", "größe", false),
            ("GRÖßE", "größe", true),
            ("x", "", true),
            ("", "x", false),
        ] {
            assert_eq!(holds(text, wanted), expected, "{text} {wanted}");
        }
    }

    #[test]
    fn a_filter_says_what_it_takes() {
        let mut filter = Filter::default();
        assert_eq!(filter.told(), "all");
        filter.columns[KIND] = Wanted::Value("missing".to_owned());
        filter.columns[CAUSE] = Wanted::Null;
        filter.text = Some("rome\u{1b}".to_owned());
        assert_eq!(filter.told(), "kind missing › no cause › \"rome\\u{1b}\"");
    }
}
