//! A look at all divergences of a contract that a page has room for: some of every sort, how many of each there are, and
//! where they lie. What is kept is chosen by the order in which they come, which depends only on the data.
//!
//! It holds little, whatever there is: lines and characters have a limit, and sorts that are beyond it are counted together.
//! What it is told is shown as it stands, so it must be told nothing that may not be written.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::places::Places;
use crate::classify::Divergence;
use crate::contract::{Kind, Severity};
use crate::plan::{Action, Op, Safety};
use crate::sides::Sides;

/// What one contract's page shows of its divergences and repairs.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    sorts: BTreeMap<Sort, Held>,
    /// Divergences of sorts beyond the limit.
    unsorted: u64,
    /// So many of each sort are held at most.
    level: Option<usize>,
    limits: Limits,
    lines: usize,
    weight: usize,
    places: Places,
    actions: BTreeMap<Deed, u64>,
    undeeds: u64,
    drafts: BTreeMap<Safety, Vec<Draft>>,
}

/// Of what a page shows the same number at most, as far as there is room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sort {
    /// What they cost, the worst first.
    pub severity: std::cmp::Reverse<Severity>,
    /// What they are.
    pub kind: Kind,
    /// The attribute, where they are of one.
    pub attribute: Option<Arc<str>>,
    /// The cause that was named.
    pub cause: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
struct Held {
    seen: u64,
    lines: Vec<Line>,
}

/// One divergence as it is shown.
#[derive(Clone, Debug)]
pub struct Line {
    /// The key as JSON object text.
    pub key: Option<Excerpt>,
    /// Both values.
    pub values: Sides<Option<Excerpt>>,
    /// What set the severity.
    pub reason: String,
    /// The source that owns the attribute.
    pub source: Arc<str>,
    /// What it is known by from run to run.
    pub fingerprint: [u8; 32],
}

/// A text, or the part of a long one in which it matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Characters that were left out before.
    pub before: usize,
    /// What is shown.
    pub text: String,
    /// Characters that were left out after.
    pub after: usize,
}

/// Repairs that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deed {
    /// Who may do it.
    pub safety: Safety,
    /// What would be done.
    pub op: Op,
    /// What it answers.
    pub kind: Kind,
    /// Why it has this safety.
    pub reason: String,
}

/// A repair as it is shown.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What would be done.
    pub op: Op,
    /// The key.
    pub key: Excerpt,
    /// What would be written, as JSON text.
    pub after: Option<Excerpt>,
}

/// How much may be held.
#[derive(Clone, Copy, Debug)]
struct Limits {
    lines: usize,
    weight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { lines: Gallery::LINES, weight: Gallery::WEIGHT }
    }
}

impl Gallery {
    /// So many lines of one contract.
    const LINES: usize = 400;
    /// So many characters of one contract, as they are written in a page.
    const WEIGHT: usize = 640 << 10;
    /// So many lines of all contracts together.
    const ALL_LINES: usize = 2400;
    /// So many characters.
    const ALL_WEIGHT: usize = 1 << 20;
    /// So many sorts are told apart.
    const SORTS: usize = 2000;
    /// So many reasons of repairs are told apart.
    const DEEDS: usize = 64;
    /// So many repairs of each safety are shown.
    const DRAFTS: usize = 6;
    /// The longest excerpt of a value, in characters.
    pub const EXCERPT: usize = 1000;

    /// Leaves room for others, of which there are so many in all.
    pub fn make_room(&mut self, contracts: usize) {
        let contracts = contracts.max(1);
        let least = 10;
        self.limits.lines = Self::LINES.min((Self::ALL_LINES / contracts).max(least));
        self.limits.weight = Self::WEIGHT.min((Self::ALL_WEIGHT / contracts).max(8 << 10));
        self.settle();
    }

    /// Looks at a divergence.
    pub fn divergence(&mut self, divergence: &Divergence) {
        self.places.add(divergence.kind, divergence.key.as_deref());
        let sort = Sort {
            severity: std::cmp::Reverse(divergence.severity),
            kind: divergence.kind,
            attribute: divergence.attribute.clone(),
            cause: divergence.cause,
        };
        if self.sorts.len() >= Self::SORTS && !self.sorts.contains_key(&sort) {
            self.unsorted += 1;
            return;
        }
        let held = self.sorts.entry(sort).or_default();
        held.seen += 1;
        let full = self.lines >= self.limits.lines || self.weight >= self.limits.weight;
        let most = if full { self.level.unwrap_or(self.limits.lines).saturating_sub(1) } else { usize::MAX };
        if held.lines.len() >= self.level.unwrap_or(usize::MAX) || held.lines.len() >= most {
            return;
        }
        let line = Line::of(divergence);
        self.weight += line.weight();
        self.lines += 1;
        held.lines.push(line);
        self.settle();
    }

    /// Looks at a repair.
    pub fn action(&mut self, action: &Action) {
        let deed = Deed { safety: action.safety, op: action.op, kind: action.kind, reason: action.reason.clone() };
        if self.actions.len() < Self::DEEDS || self.actions.contains_key(&deed) {
            *self.actions.entry(deed).or_default() += 1;
        } else {
            self.undeeds += 1;
        }
        let drafts = self.drafts.entry(action.safety).or_default();
        if drafts.len() < Self::DRAFTS {
            let after = action.after.as_ref().map(|after| Excerpt::beginning(&after.to_string(), 400));
            drafts.push(Draft { op: action.op, key: Excerpt::beginning(&action.key, 200), after });
        }
    }

    /// Every sort with how many there are, the worst first.
    pub fn sorts(&self) -> impl Iterator<Item = (&Sort, u64, &[Line])> {
        self.sorts.iter().map(|(sort, held)| (sort, held.seen, held.lines.as_slice()))
    }

    /// Divergences of sorts that are not told apart any more.
    #[must_use]
    pub fn unsorted(&self) -> u64 {
        self.unsorted
    }

    /// Where they lie.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Repairs that are alike, with how many there are, and how many are not told apart any more.
    #[must_use]
    pub fn deeds(&self) -> (&BTreeMap<Deed, u64>, u64) {
        (&self.actions, self.undeeds)
    }

    /// Some repairs of each safety.
    #[must_use]
    pub fn drafts(&self) -> &BTreeMap<Safety, Vec<Draft>> {
        &self.drafts
    }

    /// Takes lines away from the sorts that have most, until the limits are kept.
    fn settle(&mut self) {
        while self.lines > self.limits.lines || self.weight > self.limits.weight {
            let most = self.sorts.values().map(|held| held.lines.len()).max().unwrap_or(0);
            let level = most.saturating_sub(1);
            self.level = Some(self.level.map_or(level, |before| before.min(level)).max(1));
            if most <= 1 {
                // One of each sort is too much: the last sorts go without.
                let Some(held) = self.sorts.values_mut().rev().find(|held| !held.lines.is_empty()) else { return };
                self.lines -= 1;
                self.weight -= held.lines.pop().map_or(0, |line| line.weight());
                continue;
            }
            for held in self.sorts.values_mut() {
                for line in held.lines.drain(level.min(held.lines.len())..) {
                    self.lines -= 1;
                    self.weight -= line.weight();
                }
            }
        }
    }
}

impl Line {
    /// As it is shown.
    #[must_use]
    pub fn of(divergence: &Divergence) -> Self {
        Self {
            key: divergence.key.as_deref().map(|key| Excerpt::beginning(key, Gallery::EXCERPT / 2)),
            values: Excerpt::both(&divergence.values, Gallery::EXCERPT),
            reason: divergence.reason.to_string(),
            source: Arc::clone(&divergence.authority_source),
            fingerprint: divergence.fingerprint,
        }
    }

    fn weight(&self) -> usize {
        let values = self.values.iter().filter_map(|(_, value)| value.as_ref());
        values.chain(&self.key).map(Excerpt::weight).sum::<usize>() + self.reason.len()
    }
}

impl Excerpt {
    /// The beginning of a text.
    #[must_use]
    pub fn beginning(text: &str, characters: usize) -> Self {
        Self::from(text, 0, characters)
    }

    /// Of two values the part in which they begin to differ.
    #[must_use]
    pub fn both(values: &Sides<Option<Box<str>>>, characters: usize) -> Sides<Option<Self>> {
        let longest = values
            .iter()
            .filter_map(|(_, value)| value.as_deref())
            .map(|text| text.chars().take(characters + 1).count());
        let mut start = 0;
        if let (Some(authority), Some(projection), true) =
            (&values.authority, &values.projection, longest.max().unwrap_or(0) > characters)
        {
            let same = authority.chars().zip(projection.chars()).take_while(|(one, other)| one == other).count();
            start = same.saturating_sub(characters / 5);
        }
        values.as_ref().map(|_, value| value.as_deref().map(|text| Self::from(text, start, characters)))
    }

    fn from(text: &str, start: usize, characters: usize) -> Self {
        let mut rest = text.chars();
        let before = rest.by_ref().take(start).count();
        let shown: String = rest.by_ref().take(characters).collect();
        Self { before, text: shown, after: rest.count() }
    }

    /// How many characters it takes in a page, where some are written as several.
    fn weight(&self) -> usize {
        let of = |character: char| match character {
            '<' | '>' | '&' | '"' | '\'' | '/' => 6,
            ' ' | '!'..='~' => 1,
            _ => 10,
        };
        self.text.chars().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Reason;

    fn divergence(number: u64, attribute: Option<&str>, value: &str) -> Divergence {
        Divergence {
            kind: Kind::Mismatch,
            severity: Severity::Medium,
            reason: Reason::Default,
            key: Some(format!("{{\"id\":{number}}}").into()),
            attribute: attribute.map(Arc::from),
            values: Sides { authority: Some(value.into()), projection: None },
            authority_source: "a".into(),
            cause: None,
            fingerprint: [0; 32],
            row_digest: None,
        }
    }

    fn held(gallery: &Gallery) -> Vec<(u64, usize)> {
        gallery.sorts().map(|(_, seen, lines)| (seen, lines.len())).collect()
    }

    #[test]
    fn every_sort_is_shown_however_late_it_comes_and_however_many_others_there_are() {
        let mut gallery = Gallery::default();
        for number in 0..10_000 {
            gallery.divergence(&divergence(number, Some("common"), "x"));
        }
        gallery.divergence(&divergence(1, Some("rare"), "x"));
        assert_eq!(held(&gallery), [(10_000, 399), (1, 1)]);
        gallery.make_room(100);
        assert_eq!(held(&gallery), [(10_000, 23), (1, 1)]);
        gallery.divergence(&divergence(2, Some("rare"), "x"));
        assert_eq!(held(&gallery), [(10_000, 22), (2, 2)]);
    }

    #[test]
    fn more_sorts_than_there_is_room_for_are_counted_all_the_same() {
        let mut gallery = Gallery::default();
        for number in 0..3000 {
            gallery.divergence(&divergence(number, Some(&format!("column {:04}", number % 2500)), "x"));
        }
        let (seen, lines) = held(&gallery).iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!((seen + gallery.unsorted(), lines), (3000, 400));
    }

    #[test]
    fn long_values_are_shown_where_they_part_and_never_pile_up() {
        let (same, mut gallery) = ("é".repeat(5000), Gallery::default());
        let values = Sides {
            authority: Some(format!("{same}1{same}").into()),
            projection: Some(format!("{same}2").into_boxed_str()),
        };
        let shown = Excerpt::both(&values, 1000);
        let [one, other] = [shown.authority.expect("one"), shown.projection.expect("other")];
        assert_eq!((one.before, one.text.chars().count(), one.after), (4800, 1000, 4201));
        assert_eq!((other.before, other.text.chars().count(), other.after), (4800, 201, 0));
        for number in 0..500 {
            gallery.divergence(&divergence(number, Some("a"), &"<".repeat(100_000)));
        }
        let (seen, lines) = held(&gallery)[0];
        assert!(seen == 500 && (50..110).contains(&lines), "{lines}");
        assert!(gallery.weight <= Gallery::WEIGHT);
    }
}
