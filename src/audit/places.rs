//! Where in the order of their keys divergences lie: by number, by day, or by how the key begins. Of a key of several parts
//! the first one counts. Only counts are kept; what a key is made of is never guessed beyond its own text.

use std::collections::BTreeMap;

use super::strip::Strip;
use crate::contract::Kind;

/// Divergent keys by where they lie.
#[derive(Clone, Debug, Default)]
pub struct Places {
    numbers: Strip,
    days: Strip,
    /// Texts that are one and the same beginning and a number: `P-1041`.
    numbered: Option<Numbered>,
    texts: Beginnings,
    /// Keys that have no place: absent, NULL, or not shown.
    nowhere: u64,
}

/// The order that most of the keys have.
#[derive(Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// Whole numbers, each behind the same text, which may be empty, and written in at least so many digits.
    Numbers(&'a str, usize, &'a Strip),
    /// Days, counted from 1970-01-01.
    Days(&'a Strip),
    /// How texts begin, by kind, in the order of code points.
    Beginnings(BTreeMap<(String, Kind), u64>),
}

#[derive(Clone, Debug)]
struct Numbered {
    before: String,
    /// In how many all are written; 0 where not all in the same.
    digits: usize,
    strip: Strip,
    /// Others begin otherwise, or are no numbers.
    mixed: bool,
}

#[derive(Clone, Debug)]
struct Beginnings {
    characters: usize,
    counts: BTreeMap<(String, Kind), u64>,
}

impl Default for Beginnings {
    fn default() -> Self {
        Self { characters: 8, counts: BTreeMap::new() }
    }
}

impl Places {
    /// Counts a key, as JSON object text.
    pub fn add(&mut self, kind: Kind, key: Option<&str>) {
        match key.and_then(first) {
            Some(First::Number(number)) => self.numbers.add(kind, number),
            Some(First::Text(text)) => match day(&text) {
                Some(day) => self.days.add(kind, day),
                None => self.text(kind, &text),
            },
            None => self.nowhere += 1,
        }
    }

    /// The order that most keys have, how many keys lie in it, and how many do not; None where no key has a place or all have one
    /// and the same.
    #[must_use]
    pub fn order(&self) -> Option<(Order<'_>, u64, u64)> {
        let (numbers, days, texts) = (self.numbers.counted(), self.days.counted(), self.texts.counts.values().sum());
        let most = numbers.max(days).max(texts);
        let order = match () {
            () if most == 0 => return None,
            () if numbers == most => Order::Numbers("", 0, &self.numbers),
            () if days == most => Order::Days(&self.days),
            () => match self.numbered.as_ref().filter(|numbered| !numbered.mixed) {
                Some(numbered) => Order::Numbers(&numbered.before, numbered.digits, &numbered.strip),
                None => Order::Beginnings(self.texts.at_most(Self::BEGINNINGS)?),
            },
        };
        let alone = match &order {
            Order::Numbers(_, _, strip) | Order::Days(strip) => strip.ends().is_none_or(|(least, most)| least == most),
            Order::Beginnings(counts) => counts.keys().all(|(text, _)| counts.keys().all(|(other, _)| other == text)),
        };
        (!alone).then_some((order, most, numbers + days + texts - most + self.nowhere))
    }

    /// So many beginnings are told apart at most.
    const BEGINNINGS: usize = 48;

    fn text(&mut self, kind: Kind, text: &str) {
        self.texts.add(kind, text);
        let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (before, number) = text.split_at(text.len() - digits);
        let number = number.parse::<i64>().ok();
        let numbered = self.numbered.get_or_insert_with(|| Numbered {
            before: before.to_owned(),
            digits,
            strip: Strip::default(),
            mixed: false,
        });
        if numbered.digits != digits {
            numbered.digits = 0;
        }
        match number {
            Some(number) if numbered.before == before && before.len() <= 64 => numbered.strip.add(kind, number.into()),
            _ => numbered.mixed = true,
        }
    }
}

impl Beginnings {
    /// So many are held at most; beyond it less of each text counts.
    const HELD: usize = 512;

    fn add(&mut self, kind: Kind, text: &str) {
        *self.counts.entry((text.chars().take(self.characters).collect(), kind)).or_default() += 1;
        while self.counts.len() > Self::HELD && self.characters > 0 {
            self.characters -= 1;
            self.counts = shortened(&self.counts, self.characters);
        }
    }

    /// Not more than so many; None where even the first characters are more.
    fn at_most(&self, most: usize) -> Option<BTreeMap<(String, Kind), u64>> {
        let mut found = (1..=self.characters).rev().map(|characters| shortened(&self.counts, characters));
        found.find(|counts| {
            let mut texts: Vec<&str> = counts.keys().map(|(text, _)| text.as_str()).collect();
            texts.dedup();
            texts.len() <= most
        })
    }
}

fn shortened(counts: &BTreeMap<(String, Kind), u64>, characters: usize) -> BTreeMap<(String, Kind), u64> {
    let mut shorter = BTreeMap::new();
    for ((text, kind), count) in counts {
        *shorter.entry((text.chars().take(characters).collect(), *kind)).or_default() += count;
    }
    shorter
}

enum First {
    Number(i128),
    Text(String),
}

/// The value of a key's first part. What a mask or a digest stands for has no place.
fn first(key: &str) -> Option<First> {
    let mut members = serde_json::Deserializer::from_str(key.strip_prefix('{')?).into_iter::<String>();
    members.next()?.ok()?;
    let rest = key.get(1 + members.byte_offset()..)?.trim_start().strip_prefix(':')?;
    let raw: &serde_json::value::RawValue =
        serde_json::Deserializer::from_str(rest).into_iter::<&serde_json::value::RawValue>().next()?.ok()?;
    if let Ok(number) = raw.get().parse::<i128>() {
        return Some(First::Number(number));
    }
    let text: String = serde_json::from_str(raw.get()).ok()?;
    let hidden = text == "***" || text.starts_with("pii:");
    (!hidden).then_some(First::Text(text))
}

/// Days since 1970 of a text that is a date or begins with one.
fn day(text: &str) -> Option<i128> {
    let date = text.get(..10)?;
    let bytes = text.as_bytes();
    let dated = bytes[4] == b'-' && bytes[7] == b'-' && bytes[0].is_ascii_digit();
    if !dated || !matches!(bytes.get(10), None | Some(b'T' | b' ')) {
        return None;
    }
    let date: jiff::civil::Date = date.parse().ok()?;
    let since = jiff::civil::date(1970, 1, 1).until(date).ok()?;
    Some(i128::from(since.get_days()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(keys: &[&str]) -> Places {
        let mut places = Places::default();
        keys.iter().for_each(|key| places.add(Kind::Missing, Some(key)));
        places
    }

    fn told(keys: &[&str]) -> String {
        match places(keys).order() {
            None => "nothing".to_owned(),
            Some((Order::Numbers(before, _, strip), placed, rest)) => {
                format!("{before:?} {:?} {placed} {rest}", strip.ends())
            }
            Some((Order::Days(strip), placed, rest)) => format!("days {:?} {placed} {rest}", strip.ends()),
            Some((Order::Beginnings(counts), placed, rest)) => {
                let texts: Vec<&str> = counts.keys().map(|(text, _)| text.as_str()).collect();
                format!("{texts:?} {placed} {rest}")
            }
        }
    }

    #[test]
    fn a_key_lies_where_its_first_part_says() {
        assert_eq!(told(&[r#"{"id":7}"#, r#"{"id":-3,"b":1}"#, r#"{"id":null}"#]), r#""" Some((-3, 7)) 2 1"#);
        assert_eq!(told(&[r#"{"d":"1970-01-02"}"#, r#"{"d":"1970-01-05T23:00:00Z"}"#]), "days Some((1, 4)) 2 0");
        assert_eq!(told(&[r#"{"id":"P-7"}"#, r#"{"id":"P-0012"}"#]), r#""P-" Some((7, 12)) 2 0"#);
        assert_eq!(told(&[r#"{"i\"d":"LIRF"}"#, r#"{"i\"d":"EDDF"}"#]), r#"["EDDF", "LIRF"] 2 0"#);
        assert_eq!(told(&[r#"{"id":"P-7"}"#, r#"{"id":"Q-7"}"#]), r#"["P-7", "Q-7"] 2 0"#);
    }

    #[test]
    fn what_is_hidden_or_broken_has_no_place() {
        assert_eq!(told(&[r#"{"id":"***"}"#, r#"{"id":"pii:9f"}"#, "{}", "", "nonsense", r#"{"id":5}"#]), "nothing");
        assert_eq!(told(&[r#"{"id":5}"#, r#"{"id":5}"#]), "nothing");
        assert_eq!(told(&[r#"{"d":"2026-13-45"}"#, r#"{"d":"äöüäöü"}"#]), r#"["2026-13-", "äöüäöü"] 2 0"#);
    }

    #[test]
    fn many_beginnings_are_told_by_fewer_characters() {
        let keys: Vec<String> = (0..4000).map(|number| format!(r#"{{"id":"{:05}x"}}"#, number * 7)).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let backwards: Vec<&str> = keys.iter().rev().copied().collect();
        assert_eq!(
            told(&keys),
            r#"["00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27"] 4000 0"#
        );
        assert_eq!(told(&keys), told(&backwards));
    }
}
