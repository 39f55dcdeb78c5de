//! How far something is, in words and as a bar: rows, bytes, how fast in the last seconds, and how long it will still take where
//! that is known. It reads no clock and writes nowhere.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "shares and rates are for people, and are never below zero"
)]

use std::collections::VecDeque;
use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How far back the rate looks.
const RECENT: Duration = Duration::from_secs(8);
/// Before so much time was seen there is no rate.
const LEAST: Duration = Duration::from_secs(1);
/// Before so much time was seen nothing is said of what is left.
const ENOUGH: Duration = Duration::from_secs(3);
/// How wide a bar is at most, and at least.
const BAR: (usize, usize) = (30, 8);

/// What was done by a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// What was done lately.
#[derive(Debug, Default)]
pub(super) struct Recent(VecDeque<(Duration, Done)>);

impl Recent {
    /// Notes what was done so long after the beginning.
    pub(super) fn note(&mut self, at: Duration, done: Done) {
        self.0.push_back((at, done));
        // One that is older stays, so that the whole of the recent time is seen.
        while self.0.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= RECENT) {
            self.0.pop_front();
        }
    }

    /// Rows and bytes a second, where enough time was seen.
    fn rate(&self) -> Option<(f64, f64)> {
        let ((first, from), (last, to)) = (*self.0.front()?, *self.0.back()?);
        let seen = last.saturating_sub(first);
        if seen < LEAST {
            return None;
        }
        let a_second = |from: u64, to: u64| to.saturating_sub(from) as f64 / seen.as_secs_f64();
        Some((a_second(from.rows, to.rows), a_second(from.bytes, to.bytes)))
    }
}

/// How far a phase is.
#[derive(Debug)]
pub(super) struct Reading {
    /// Contracts that are done, and all, where there are several.
    pub(super) contracts: Option<(usize, usize)>,
    /// Somebody asked for an end.
    pub(super) stopping: bool,
    pub(super) contract: String,
    pub(super) phase: String,
    /// What is counted, one of it.
    pub(super) unit: &'static str,
    /// Since the phase began, and since the run did.
    pub(super) took: Duration,
    pub(super) whole: Duration,
    pub(super) done: Done,
    /// What there is to do; 0 where that is not known.
    pub(super) expected: Done,
    pub(super) recent: Recent,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            contracts: None,
            stopping: false,
            contract: String::new(),
            phase: String::new(),
            unit: "row",
            took: Duration::ZERO,
            whole: Duration::ZERO,
            done: Done::default(),
            expected: Done::default(),
            recent: Recent::default(),
        }
    }
}

impl Reading {
    /// Which share is done, of 1; None where nobody knows.
    fn share(&self) -> Option<f64> {
        let of = |done: u64, expected: u64| (expected > 0).then(|| (done as f64 / expected as f64).min(1.0));
        of(self.done.bytes, self.expected.bytes).or_else(|| of(self.done.rows, self.expected.rows))
    }

    /// How long it will still take at the rate of the last seconds; None before that is known.
    fn left(&self) -> Option<Duration> {
        if self.took < ENOUGH {
            return None;
        }
        let (rows, bytes) = self.recent.rate()?;
        let (done, expected, rate) = if self.expected.bytes > 0 {
            (self.done.bytes, self.expected.bytes, bytes)
        } else {
            (self.done.rows, self.expected.rows, rows)
        };
        // What goes beyond what was expected tells that nobody knows.
        let rest = expected.checked_sub(done).filter(|rest| *rest > 0)?;
        (rate > 0.0).then(|| Duration::try_from_secs_f64(rest as f64 / rate).ok())?
    }

    /// Everything that is known, the first the most important.
    fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(left) = self.left() {
            parts.push(format!("{} left", clock(left)));
        }
        if self.done.rows > 0 {
            parts.push(format!("{} {}", HumanCount(self.done.rows), self.units(self.done.rows)));
        }
        if let Some((rows, bytes)) = self.recent.rate() {
            if self.done.bytes > 0 {
                parts.push(format!("{}/s", BinaryBytes(bytes as u64)));
            } else if self.done.rows > 0 {
                parts.push(format!("{} {}/s", HumanCount(rows as u64), self.units(rows as u64)));
            }
        }
        if self.done.bytes > 0 && self.expected.bytes > 0 {
            parts.push(format!("{} of {}", BinaryBytes(self.done.bytes), BinaryBytes(self.expected.bytes)));
        } else if self.done.bytes > 0 {
            parts.push(BinaryBytes(self.done.bytes).to_string());
        } else if self.expected.rows > 0 {
            parts.push(format!("of {}", HumanCount(self.expected.rows)));
        }
        parts
    }

    /// What is counted, so many of it.
    fn units(&self, count: u64) -> String {
        if count == 1 { self.unit.to_owned() } else { format!("{}s", self.unit) }
    }

    fn name(&self) -> String {
        let name =
            if self.contract.is_empty() { self.phase.clone() } else { format!("{} {}", self.contract, self.phase) };
        safe(&if self.stopping { format!("stopping: {name}") } else { name })
    }

    /// Lines for a terminal of so many columns, none of which is full, so that none is broken.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let room = width.saturating_sub(1).max(1);
        let mut lines = Vec::new();
        if let Some((done, all)) = self.contracts {
            lines.push(fitted(&format!("{done} of {all} contracts done, {}", clock(self.whole)), room));
        }
        let share = self.share();
        let percent = share.map(|share| format!(" {:>3.0}%", (share * 100.0).floor())).unwrap_or_default();
        // Nothing is said before the name has a third of the line.
        let mut line = fitted(&self.name(), (room / 3).max(room.saturating_sub(40)).min(self.name().width()));
        line.push_str(&percent);
        let parts = self.parts();
        let mut taken = line.width();
        let mut told = Vec::new();
        for part in &parts {
            if taken + 2 + part.width() > room {
                break;
            }
            taken += 2 + part.width();
            told.push(part.as_str());
        }
        if let Some(share) = share
            && room >= taken + 3 + BAR.1
        {
            line.push_str(&format!(" [{}]", bar(share, (room - taken - 3).min(BAR.0))));
        }
        // People read how much, how fast, and then how long.
        told.iter().skip(1).chain(told.first()).for_each(|part| line.push_str(&format!("  {part}")));
        lines.push(fitted(&line, room));
        lines
    }

    /// One line for a file that people read later.
    pub(super) fn sentence(&self) -> String {
        let mut parts = vec![self.name()];
        parts.extend(self.share().map(|share| format!("{:.0}%", (share * 100.0).floor())));
        parts.extend(self.parts());
        let contracts =
            self.contracts.map(|(done, all)| format!("{done} of {all} contracts done; ")).unwrap_or_default();
        format!("after {}: {contracts}{}", clock(self.whole), parts.join(", "))
    }
}

/// `0:07`, `12:31`, `1:02:03`
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn bar(share: f64, width: usize) -> String {
    let full = ((share * width as f64).floor() as usize).min(width);
    let head = if full < width { ">" } else { "" };
    let bar = format!("{}{head}", "=".repeat(full));
    format!("{bar:<width$}")
}

/// A text without what could move the cursor.
fn safe(text: &str) -> String {
    text.chars().map(|one| if one.width().unwrap_or(0) == 0 { '?' } else { one }).collect()
}

/// A text of at most so many columns.
fn fitted(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut taken = 0;
    let kept = text.chars().take_while(|one| {
        taken += one.width().unwrap_or(1);
        taken < columns
    });
    kept.collect::<String>() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// So many seconds of the same speed.
    fn after(seconds: u64, expected: Done) -> Reading {
        let mut reading = Reading {
            contract: "orders".to_owned(),
            phase: "reading".to_owned(),
            took: Duration::from_secs(seconds),
            whole: Duration::from_secs(seconds),
            expected,
            ..Reading::default()
        };
        for second in 0..=seconds {
            reading.done = Done { rows: second * 100_000, bytes: second * 10 * MIB };
            reading.recent.note(Duration::from_secs(second), reading.done);
        }
        reading
    }

    #[test]
    fn no_time_is_left_before_it_is_known_and_none_where_it_was_not_known() {
        let expected = Done { rows: 0, bytes: 100 * MIB };
        for (seconds, left) in [(0, None), (1, None), (2, None), (3, Some(7)), (9, Some(1)), (10, None), (12, None)] {
            assert_eq!(after(seconds, expected).left(), left.map(Duration::from_secs), "{seconds}");
        }
        assert_eq!(after(5, Done::default()).left(), None);
        let of_rows =
            Reading { done: Done { rows: 500_000, bytes: 0 }, ..after(5, Done { rows: 1_000_000, bytes: 0 }) };
        assert_eq!(of_rows.left(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn the_rate_is_of_the_last_seconds() {
        let mut recent = Recent::default();
        for second in 0..20 {
            // Ten fast seconds, then nothing more.
            recent.note(Duration::from_secs(second), Done { rows: second.min(10) * 1000, bytes: 0 });
        }
        assert_eq!(recent.rate(), Some((0.0, 0.0)));
        assert!(recent.0.len() <= 10);
        let mut stalled = after(20, Done { rows: 0, bytes: 1000 * MIB });
        stalled.recent = recent;
        assert_eq!(stalled.left(), None);
    }

    #[test]
    fn a_line_has_room_on_every_terminal() {
        let mut reading = after(7, Done { rows: 0, bytes: 20 * 10 * MIB });
        reading.contracts = Some((2, 12));
        assert_eq!(
            reading.lines(100),
            [
                "2 of 12 contracts done, 0:07",
                "orders reading  35% [====>         ]  700,000 rows  10.00 MiB/s  70.00 MiB of 200.00 MiB  0:13 left",
            ]
            .map(str::to_owned),
        );
        reading.contract = "木".repeat(50);
        for width in 1..200 {
            let lines = reading.lines(width);
            assert!(lines.iter().all(|line| line.width() < width.max(2)), "{width} {lines:?}");
        }
    }

    #[test]
    fn a_sentence_says_all_that_is_known() {
        let reading = after(7, Done { rows: 0, bytes: 20 * 10 * MIB });
        assert_eq!(
            reading.sentence(),
            "after 0:07: orders reading, 35%, 0:13 left, 700,000 rows, 10.00 MiB/s, 70.00 MiB of 200.00 MiB"
        );
        let published = Reading { phase: "publishing".to_owned(), stopping: true, ..Reading::default() };
        assert_eq!(published.sentence(), "after 0:00: stopping: publishing");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
    }

    #[test]
    fn one_is_one_and_what_is_counted_has_its_name() {
        let mut reading = after(5, Done { rows: 1_000_000, bytes: 0 });
        reading.unit = "action";
        reading.done = Done { rows: 1, bytes: 0 };
        reading.recent = Recent::default();
        for second in 0..2 {
            reading.recent.note(Duration::from_secs(second), Done { rows: second, bytes: 0 });
        }
        assert_eq!(reading.parts(), ["277:46:39 left", "1 action", "1 action/s", "of 1,000,000"].map(str::to_owned));
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let reading = Reading { contract: "a\u{1b}[2J\n\u{202e}b".to_owned(), ..Reading::default() };
        assert_eq!(reading.lines(80), ["a?[2J??b "]);
    }
}
