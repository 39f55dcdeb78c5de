//! Keeps the worst divergences of each kind as examples, by an order that depends on the data alone.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::classify::Divergence;
use crate::contract::{Kind, Severity};
use crate::sides::Sides;

/// The worst divergences of each kind: a reader wants to see every kind before the hundredth of one.
#[derive(Default)]
pub(super) struct Examples {
    most: usize,
    /// Whether long values stay whole.
    whole: bool,
    held: BTreeMap<Kind, BTreeMap<Rank, Divergence>>,
    /// Of each kind, what others hold so many of already that only a lesser rank is of use.
    bounds: BTreeMap<Kind, Rank>,
    /// Of each kind, the number that the key of its bound begins with.
    leading: BTreeMap<Kind, Option<u64>>,
    seen: u64,
    key: Vec<u8>,
}

/// Sorts the worst first, and what could not be read before all of its severity; the last part keeps equal ones apart in
/// the order they came.
type Rank = (std::cmp::Reverse<Severity>, bool, Kind, Vec<u8>, Option<Arc<str>>, u64);

impl Examples {
    /// None yet, of which so many are kept, `whole` or with long values cut.
    pub(super) fn new(most: usize, whole: bool) -> Self {
        Self { most, whole, ..Self::default() }
    }

    /// None yet; what ranks after all that are held here will not be taken.
    pub(super) fn below(&self) -> Self {
        let full = self.held.iter().filter(|(_, held)| held.len() >= self.most);
        let bounds = full.filter_map(|(kind, held)| Some((*kind, held.last_key_value()?.0.clone())));
        Self { most: self.most, whole: self.whole, bounds: bounds.collect(), ..Self::default() }
    }

    /// Whether any could be taken.
    pub(super) fn wanted(&self) -> bool {
        self.most > 0
    }

    /// Whether a divergence of this kind and severity could be taken, whatever its key.
    pub(super) fn could_take(&self, kind: Kind, severity: Severity) -> bool {
        self.bound(kind).is_none_or(|bound| std::cmp::Reverse(severity) <= bound.0)
    }

    /// Whether one could be taken whose key begins with a number, in this member: greater ones rank after it. No key is written for that.
    pub(super) fn could_take_from(&mut self, kind: Kind, severity: Severity, member: &str, number: u64) -> bool {
        let Some(bound) = self.bound(kind) else { return self.most > 0 };
        let readable = kind != Kind::Unreadable;
        match (std::cmp::Reverse(severity), readable).cmp(&(bound.0, bound.1)) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => {
                let leading = if let Some(leading) = self.leading.get(&kind) {
                    *leading
                } else {
                    let leading = leading_number(&bound.3, member);
                    self.leading.insert(kind, leading);
                    leading
                };
                leading.is_none_or(|leading| number <= leading)
            }
        }
    }

    /// Whether a divergence would be taken.
    pub(super) fn would_take(
        &mut self,
        kind: Kind,
        severity: Severity,
        key: Option<&str>,
        attribute: Option<&Arc<str>>,
    ) -> bool {
        let mut natural_key = std::mem::take(&mut self.key);
        natural(key.unwrap_or_default(), &mut natural_key);
        let readable = kind != Kind::Unreadable;
        let would = self.most > 0
            && self.bound(kind).is_none_or(|(worst, worst_readable, _, worst_key, worst_attribute, _)| {
                let rank = (std::cmp::Reverse(severity), readable, natural_key.as_slice(), attribute);
                rank < (*worst, *worst_readable, worst_key.as_slice(), worst_attribute.as_ref())
            });
        self.key = natural_key;
        would
    }

    /// What a divergence must rank before. Of equals the first is kept.
    fn bound(&self, kind: Kind) -> Option<&Rank> {
        let full = self.held.get(&kind).filter(|held| held.len() >= self.most);
        let own = full.and_then(|held| held.last_key_value()).map(|(rank, _)| rank);
        match (own, self.bounds.get(&kind)) {
            (Some(own), Some(others)) => Some(own.min(others)),
            (own, others) => own.or(others),
        }
    }

    pub(super) fn offer(&mut self, divergence: &Divergence) {
        let whole = self.whole;
        self.admit(divergence, |divergence| if whole { divergence.clone() } else { shortened(divergence) });
    }

    fn admit(&mut self, divergence: &Divergence, make: impl FnOnce(&Divergence) -> Divergence) {
        self.seen += 1;
        if !self.could_take(divergence.kind, divergence.severity) {
            return;
        }
        let (key, attribute) = (divergence.key.as_deref(), divergence.attribute.as_ref());
        if self.would_take(divergence.kind, divergence.severity, key, attribute) {
            self.insert(make(divergence), self.seen);
        }
    }

    fn insert(&mut self, divergence: Divergence, seen: u64) {
        let mut key = Vec::new();
        natural(divergence.key.as_deref().unwrap_or_default(), &mut key);
        let readable = divergence.kind != Kind::Unreadable;
        let severity = std::cmp::Reverse(divergence.severity);
        let rank = (severity, readable, divergence.kind, key, divergence.attribute.clone(), seen);
        self.leading.remove(&divergence.kind);
        let held = self.held.entry(divergence.kind).or_default();
        held.insert(rank, divergence);
        if held.len() > self.most {
            held.pop_last();
        }
    }

    /// Takes those of others, which were seen after all of these.
    pub(super) fn take(&mut self, others: Self) {
        for of_kind in others.held.into_values() {
            for divergence in of_kind.into_values() {
                self.admit(&divergence, Divergence::clone);
            }
        }
    }

    /// As many as are wanted: an equal share of each kind, what is left over to the worst, all in the order of the report.
    pub(super) fn chosen(self) -> Vec<Divergence> {
        let share = self.most / self.held.len().max(1);
        let (mut chosen, mut others) = (BTreeMap::new(), BTreeMap::new());
        for of_kind in self.held.into_values() {
            for (index, (rank, divergence)) in of_kind.into_iter().enumerate() {
                if index < share { &mut chosen } else { &mut others }.insert(rank, divergence);
            }
        }
        let left = self.most.saturating_sub(chosen.len());
        chosen.extend(others.into_iter().take(left));
        chosen.into_values().collect()
    }
}

/// More of a value than this is no example. `divergences.parquet` holds all of it.
const LONG: usize = 1 << 14;

/// The same with long values cut, and how long they are.
pub(super) fn shortened(divergence: &Divergence) -> Divergence {
    let values = divergence.values.as_ref().map(|_, value| value.as_deref().map(cut));
    Divergence { values, ..partial(divergence) }
}

fn cut(value: &str) -> Box<str> {
    if value.len() <= LONG {
        return value.into();
    }
    let end = (0..=LONG).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… ({} bytes)", &value[..end], value.len()).into()
}

/// All but the values.
fn partial(divergence: &Divergence) -> Divergence {
    Divergence {
        values: Sides::default(),
        key: divergence.key.clone(),
        attribute: divergence.attribute.clone(),
        reason: divergence.reason.clone(),
        authority_source: Arc::clone(&divergence.authority_source),
        ..*divergence
    }
}

/// Writes bytes whose order is that of a reader: runs of digits by their value.
pub(super) fn natural(key: &str, bytes: &mut Vec<u8>) {
    bytes.clear();
    let mut rest = key.as_bytes();
    while !rest.is_empty() {
        let others = rest.iter().position(u8::is_ascii_digit).unwrap_or(rest.len());
        let (run, after) = rest.split_at(others);
        bytes.extend_from_slice(run);
        rest = after;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            break;
        }
        let (run, after) = rest.split_at(digits);
        let zeros = run.iter().take_while(|&&digit| digit == b'0').count();
        bytes.push(b'0');
        bytes.extend_from_slice(&(digits - zeros).to_be_bytes());
        bytes.extend_from_slice(&run[zeros..]);
        rest = after;
    }
}

/// The number that a key in the order of a reader begins with, in this member.
fn leading_number(natural_key: &[u8], member: &str) -> Option<u64> {
    let mut before = Vec::new();
    natural(&format!("{{{member}"), &mut before);
    let (length, digits) = natural_key.strip_prefix(before.as_slice())?.strip_prefix(b"0")?.split_first_chunk()?;
    let digits = digits.get(..usize::from_be_bytes(*length))?;
    if digits.is_empty() { Some(0) } else { str::from_utf8(digits).ok()?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divergence(kind: Kind, key: &str) -> Divergence {
        Divergence {
            kind,
            severity: kind.default_severity(),
            reason: crate::classify::Reason::Default,
            key: Some(key.into()),
            attribute: None,
            values: Sides::default(),
            authority_source: "authority".into(),
            cause: None,
            fingerprint: [0; 32],
            row_digest: None,
        }
    }

    #[test]
    fn keys_sort_as_a_reader_would() {
        let mut keys = [r#"{"id":10}"#, r#"{"id":9}"#, r#"{"id":"P-100"}"#, r#"{"id":"P-20"}"#, r#"{"id":1}"#];
        keys.sort_by_cached_key(|key| {
            let mut bytes = Vec::new();
            natural(key, &mut bytes);
            bytes
        });
        assert_eq!(keys, [r#"{"id":"P-20"}"#, r#"{"id":"P-100"}"#, r#"{"id":1}"#, r#"{"id":9}"#, r#"{"id":10}"#]);
    }

    proptest! {
        /// What is refused by its first number alone would not be taken with all of its key.
        #[test]
        fn no_key_is_refused_by_its_first_number_that_would_be_taken(
            held in prop::collection::vec((0_u64..300, "[a-c0-9]{0,3}"), 1..9),
            offered in prop::collection::vec((0_u64..300, "[a-c0-9]{0,3}"), 1..20),
            member in "\"[a-c0-9]{0,3}\":",
        ) {
            let key = |(number, rest): &(u64, String)| format!("{{{member}{number},\"x\":\"{rest}\"}}");
            let mut examples = Examples::new(3, false);
            for one in &held {
                examples.offer(&divergence(Kind::Missing, &key(one)));
            }
            let mut others = examples.below();
            for one in &offered {
                for severity in [Severity::Low, Kind::Missing.default_severity(), Severity::Critical] {
                    let key = key(one);
                    for examples in [&mut examples, &mut others] {
                        if examples.would_take(Kind::Missing, severity, Some(&key), None) {
                            prop_assert!(examples.could_take_from(Kind::Missing, severity, &member, one.0));
                        }
                    }
                }
                others.offer(&divergence(Kind::Missing, &key(one)));
            }
        }
    }

    #[test]
    fn greater_first_numbers_are_refused_and_no_others() {
        let mut examples = Examples::new(2, false);
        let severity = Kind::Missing.default_severity();
        for key in ["{\"id\":0}", "{\"id\":12}"] {
            assert!(examples.could_take_from(Kind::Missing, severity, "\"id\":", 1_000));
            examples.offer(&divergence(Kind::Missing, key));
        }
        let mut could = |member, number| examples.could_take_from(Kind::Missing, severity, member, number);
        assert!(could("\"id\":", 12) && could("\"id\":", 2) && !could("\"id\":", 13));
        examples.offer(&divergence(Kind::Missing, "{\"id\":3}"));
        let mut could = |member, number| examples.could_take_from(Kind::Missing, severity, member, number);
        assert!(could("\"id\":", 3) && !could("\"id\":", 12));
    }

    #[test]
    fn every_kind_is_among_the_examples_and_the_worst_come_first() {
        let mut examples = Examples::new(5, false);
        for key in (0..100_u32).rev() {
            examples.offer(&divergence(Kind::Mismatch, &key.to_string()));
            examples.offer(&divergence(Kind::Missing, &key.to_string()));
        }
        examples.offer(&divergence(Kind::Unreadable, "7"));
        let chosen = examples.chosen();
        let shown: Vec<_> =
            chosen.iter().map(|one| (one.kind.name(), one.key.as_deref().unwrap_or_default())).collect();
        let expected = [("unreadable", "7"), ("missing", "0"), ("missing", "1"), ("missing", "2"), ("mismatch", "0")];
        assert_eq!(shown, expected);
    }

    #[test]
    fn long_values_are_cut_and_tell_their_length() {
        let long = format!("{}ß{}", "x".repeat(LONG - 1), "y".repeat(9));
        assert_eq!(*cut(&long), *format!("{}… ({} bytes)", "x".repeat(LONG - 1), long.len()));
        assert_eq!(*cut("short"), *"short");
    }
}
