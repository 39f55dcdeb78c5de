//! Notes how long each contract and each of its phases takes, while it hands progress on. It draws nothing.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use jiff::Timestamp;

use crate::audit::{Phase, Timing};
use crate::run::Progress;

/// Progress that is timed on its way to another.
pub(super) struct Clock<'a> {
    inner: &'a dyn Progress,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    timings: Vec<Timing>,
    contract: Option<Instant>,
    phase: Option<Instant>,
}

impl Noted {
    fn end_phase(&mut self) {
        if let (Some(began), Some(timing)) = (self.phase.take(), self.timings.last_mut())
            && let Some(phase) = timing.phases.last_mut()
        {
            phase.took = began.elapsed();
        }
    }

    fn end_contract(&mut self) {
        self.end_phase();
        if let (Some(began), Some(timing)) = (self.contract.take(), self.timings.last_mut()) {
            timing.took = began.elapsed();
        }
    }
}

impl<'a> Clock<'a> {
    pub(super) fn new(inner: &'a dyn Progress) -> Self {
        Self { inner, noted: Mutex::default() }
    }

    /// What was noted.
    pub(super) fn timings(self) -> Vec<Timing> {
        let mut noted = self.noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        noted.end_contract();
        noted.timings
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Clock<'_> {
    fn enter(&self, contract: &str) {
        self.note(|noted| {
            noted.end_contract();
            let (contract, began, phases) = (contract.to_owned(), Timestamp::now(), Vec::new());
            noted.timings.push(Timing { contract, began, took: std::time::Duration::ZERO, phases });
            noted.contract = Some(Instant::now());
        });
        self.inner.enter(contract);
    }

    fn leave(&self) {
        self.note(Noted::end_contract);
        self.inner.leave();
    }

    fn begin(&self, contract: &str, phase: &str, bytes: u64) {
        self.note(|noted| {
            noted.end_phase();
            if let Some(timing) = noted.timings.last_mut() {
                let (name, began) = (phase.to_owned(), Timestamp::now());
                timing.phases.push(Phase { name, began, took: std::time::Duration::ZERO });
                noted.phase = Some(Instant::now());
            }
        });
        self.inner.begin(contract, phase, bytes);
    }

    fn expect(&self, rows: u64) {
        self.inner.expect(rows);
    }

    fn advance(&self, rows: u64, bytes: u64) {
        self.inner.advance(rows, bytes);
    }

    fn end(&self) {
        self.note(Noted::end_phase);
        self.inner.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Progress for Nobody {
        fn begin(&self, _contract: &str, _phase: &str, _bytes: u64) {}
        fn advance(&self, _rows: u64, _bytes: u64) {}
        fn end(&self) {}
    }

    #[test]
    fn phases_are_noted_under_their_contract() {
        let clock = Clock::new(&Nobody);
        clock.enter("a");
        clock.begin("a", "reading", 0);
        clock.end();
        clock.begin("a", "looking closer", 0);
        clock.leave();
        clock.enter("b");
        let timings = clock.timings();
        let phases: Vec<Vec<&str>> =
            timings.iter().map(|timing| timing.phases.iter().map(|phase| phase.name.as_str()).collect()).collect();
        assert_eq!(phases, [vec!["reading", "looking closer"], vec![]]);
        for timing in &timings {
            assert!(timing.phases.iter().map(|phase| phase.took).sum::<std::time::Duration>() <= timing.took);
        }
    }
}
