//! How gently a source is read: at most so many rows a second over all its connections, and no longer than it may take.
//! Reads nothing itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::contract::{Limits, Span};

/// The pace of one source, shared by all that read it.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    /// The longest that the whole may take.
    limit: Option<Duration>,
    /// Rows a second.
    rate: Option<u64>,
    /// When rows that are asked for now may be handed over.
    free_at: Mutex<Instant>,
}

impl Pace {
    /// Begins now, or began before, where the source is opened again.
    pub(super) fn new(limits: &Limits, began: Option<Instant>) -> Self {
        let begun = began.unwrap_or_else(Instant::now);
        Self {
            begun,
            limit: limits.max_duration.map(duration),
            rate: limits.max_rows_per_second.filter(|rate| *rate > 0),
            free_at: Mutex::new(begun),
        }
    }

    /// The time that is left of the whole; None: it may take any time.
    ///
    /// # Errors
    /// That none is left.
    pub(super) fn left(&self) -> Result<Option<Duration>, String> {
        let Some(limit) = self.limit else { return Ok(None) };
        match limit.checked_sub(self.begun.elapsed()).filter(|left| !left.is_zero()) {
            Some(left) => Ok(Some(left)),
            None => Err(format!("max_duration of {} has passed before all rows were read", shown(limit))),
        }
    }

    /// How many rows may be read at once so that they come evenly, and nobody waits long between two.
    #[cfg_attr(all(not(feature = "mysql"), not(test)), expect(dead_code, reason = "others ask for ranges or batches"))]
    pub(super) fn portion(&self) -> usize {
        self.rate.map_or(usize::MAX, |rate| usize::try_from(rate / 4).unwrap_or(usize::MAX).max(1))
    }

    /// Waits until so many more rows may have been read.
    ///
    /// # Errors
    /// That the whole has taken as long as it may, or would have by then.
    pub(super) fn wait(&self, rows: usize) -> Result<(), String> {
        let left = self.left()?;
        let Some(rate) = self.rate else { return Ok(()) };
        let takes =
            Duration::from_nanos(u64::try_from(rows as u128 * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX));
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            *free_at = (*free_at).max(Instant::now()) + takes;
            *free_at
        };
        let pause = until.saturating_duration_since(Instant::now());
        std::thread::sleep(left.map_or(pause, |left| pause.min(left)));
        self.left().map(drop)
    }
}

/// A length of time of the contract; what is longer than a clock can say is as long as it can.
pub(super) fn duration(span: Span) -> Duration {
    u64::try_from(span.0.max(0)).map_or(Duration::MAX, Duration::from_nanos)
}

/// A length of time as messages say it.
fn shown(time: Duration) -> String {
    if time.as_millis() < 1000 { format!("{} ms", time.as_millis()) } else { format!("{} s", time.as_secs()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_wait_for_their_second() {
        let pace = Pace::new(&Limits { max_rows_per_second: Some(1000), ..Limits::default() }, None);
        let begun = Instant::now();
        for _ in 0..3 {
            pace.wait(20).unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(60), "60 rows at 1000 a second take 60 ms");
    }

    #[test]
    fn what_may_take_no_longer_ends() {
        let limits = Limits { max_duration: Some(Span(1)), max_rows_per_second: Some(1), ..Limits::default() };
        let said = Pace::new(&limits, None).wait(1_000_000).unwrap_err();
        assert!(said.contains("max_duration"), "{said}");
        assert!(Pace::new(&Limits::default(), None).left().unwrap().is_none());
    }
}
