//! Missing keys that follow one another without a gap. Only whole numbers that step by one are looked at (alone, after a
//! fixed text, or as days), so that "every key of the range is missing" needs no knowledge of the keys that are there.

use std::collections::BTreeMap;

use crate::normalise::{Binding, Comparison, Reading};

use super::suspect::LEAST;

/// How many texts before the numbers are told apart.
const FAMILIES: usize = 64;
/// How many keys are kept one by one; where more are missing, only all of a family together can be a range.
const KEYS: usize = 1 << 16;
const DAY: i128 = 86_400_000_000_000;

/// Keys that differ only in a number: the text before it, and its digits where it begins with zero.
type Family = (Box<str>, usize);

/// Which keys are missing.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    wanted: bool,
    days: bool,
    rows: u64,
    /// None: given up.
    families: Option<BTreeMap<Family, Numbers>>,
}

#[derive(Clone, Debug)]
struct Numbers {
    first: i128,
    last: i128,
    rows: u64,
    /// All of them, while they are few.
    all: Option<Vec<i128>>,
}

impl Numbers {
    fn of(number: i128) -> Self {
        Self { first: number, last: number, rows: 1, all: Some(vec![number]) }
    }

    fn add(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.rows += other.rows;
        match (&mut self.all, other.all) {
            (Some(all), Some(others)) => all.extend(others),
            _ => self.all = None,
        }
    }
}

/// A range of keys, all of which are missing.
#[derive(Clone, Debug)]
pub(super) struct Range {
    family: Family,
    pub(super) first: i128,
    pub(super) last: i128,
    days: bool,
}

impl Range {
    pub(super) fn holds(&self, key: Reading<'_>) -> bool {
        let Some((prefix, width, number)) = parts(key, self.days) else { return false };
        *prefix == *self.family.0 && width == self.family.1 && (self.first..=self.last).contains(&number)
    }

    /// Its first and last key, for people.
    pub(super) fn ends(&self, name: &str) -> String {
        let shown = |number: i128| {
            if self.days {
                let day = i32::try_from(number).ok().and_then(|day| {
                    jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().try_days(day).ok()?).ok()
                });
                return day.map_or_else(|| number.to_string(), |day| day.to_string());
            }
            format!("{}{number:0width$}", self.family.0, width = self.family.1)
        };
        format!("`{name}` from {} to {}", shown(self.first), shown(self.last))
    }

    /// How many keys it has.
    pub(super) fn keys(&self) -> u128 {
        self.last.abs_diff(self.first) + 1
    }
}

/// The text before a key's number, its digits where it begins with zero, and the number.
fn parts(key: Reading<'_>, days: bool) -> Option<(&str, usize, i128)> {
    match key {
        Reading::Number(number) => {
            let shift = u32::try_from(number.exponent).ok()?;
            Some(("", 0, number.coefficient.checked_mul(10_i128.checked_pow(shift)?)?))
        }
        Reading::Time(time) if days && time % DAY == 0 => Some(("", 0, time / DAY)),
        Reading::Text(text) if text.len() <= 64 => {
            let digits = text.len() - text.trim_end_matches(|character: char| character.is_ascii_digit()).len();
            let (prefix, number) = text.split_at(text.len() - digits);
            if digits == 0 || digits > 18 {
                return None;
            }
            // Without a zero in front the same number cannot be spelled in two ways.
            let width = if number.starts_with('0') { digits } else { 0 };
            Some((prefix, width, number.parse().ok()?))
        }
        _ => None,
    }
}

impl Missing {
    pub(super) fn new(binding: &Binding) -> Self {
        let comparison = binding.attributes.first().filter(|_| binding.key_count == 1).map(|key| &key.comparison);
        let whole = matches!(
            comparison,
            Some(Comparison::Integer | Comparison::Decimal { scale: ..=0, .. } | Comparison::Text | Comparison::Date)
        );
        Self { wanted: whole, days: comparison == Some(&Comparison::Date), rows: 0, families: Some(BTreeMap::new()) }
    }

    /// Of a key that is text, for tests.
    #[cfg(test)]
    pub(super) fn of_text() -> Self {
        Self { wanted: true, days: false, rows: 0, families: Some(BTreeMap::new()) }
    }

    pub(super) fn wanted(&self) -> bool {
        self.wanted
    }

    pub(super) fn note(&mut self, key: Reading<'_>) {
        self.rows += 1;
        let (Some(families), Some((prefix, width, number))) = (&mut self.families, parts(key, self.days)) else {
            return;
        };
        let family = (Box::from(prefix), width);
        match families.get_mut(&family) {
            Some(numbers) => numbers.add(Numbers::of(number)),
            None => _ = families.insert(family, Numbers::of(number)),
        }
        self.forget();
    }

    /// Keeps no families, and no single keys, where there are too many of them.
    fn forget(&mut self) {
        if self.families.as_ref().is_some_and(|families| families.len() > FAMILIES) {
            self.families = None;
        }
        if self.rows > KEYS as u64 {
            self.families.iter_mut().flat_map(BTreeMap::values_mut).for_each(|numbers| numbers.all = None);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        let (Some(families), Some(others)) = (&mut self.families, other.families) else {
            self.families = None;
            return;
        };
        for (family, numbers) in others {
            match families.get_mut(&family) {
                Some(here) => here.add(numbers),
                None => _ = families.insert(family, numbers),
            }
        }
        self.forget();
    }

    /// The longest range, where it holds half of what is missing, and how many keys are missing.
    pub(super) fn ranges(self) -> (Vec<Range>, u64) {
        let mut longest: Option<Range> = None;
        for (family, numbers) in self.families.into_iter().flatten() {
            let mut runs = vec![(numbers.first, numbers.last, numbers.rows)];
            if let Some(mut all) = numbers.all {
                all.sort_unstable();
                let run = |run: &[i128]| (run[0], run[run.len() - 1], run.len() as u64);
                runs = all.chunk_by(|one, next| one.checked_add(1) == Some(*next)).map(run).collect();
            }
            for (first, last, rows) in runs {
                let range = Range { family: family.clone(), first, last, days: self.days };
                let whole = range.keys() == u128::from(rows) && rows >= LEAST && rows * 2 >= self.rows;
                if whole && longest.as_ref().is_none_or(|longest| range.keys() > longest.keys()) {
                    longest = Some(range);
                }
            }
        }
        (longest.into_iter().collect(), self.rows)
    }
}
