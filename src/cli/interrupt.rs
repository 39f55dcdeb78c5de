//! What SIGINT and SIGTERM do: the first asks the batch to stop, the next one ends the process at once.
//!
//! It runs in a thread of its own, because nothing but setting flags may be done where a signal arrives, and because a
//! batch that is stuck in a read must still be stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::ExitStatus;
use super::failure::{self, Failure};
use crate::console::{Bars, Console, clear_bars};
use crate::run::Stop;

/// The handling of signals, for the rest of the process.
pub(super) struct Interrupt {
    patient: Arc<AtomicBool>,
}

impl Interrupt {
    /// From now on the first signal asks `stop`, and the next one ends the process.
    ///
    /// # Errors
    /// What kept the handlers from being installed.
    pub(super) fn install(stop: &Stop) -> std::io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let patient = Arc::new(AtomicBool::new(true));
        let (stop, still_patient) = (stop.clone(), Arc::clone(&patient));
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if still_patient.swap(false, Ordering::SeqCst) {
                    stop.request(signal);
                } else {
                    // Nothing is cleaned up: what was being written lies aside, and the next run takes it away.
                    clear_bars();
                    signal_hook::low_level::exit(i32::from(ExitStatus::of_signal(signal).code()));
                }
            }
        })?;
        Ok(Self { patient })
    }

    /// From now on the next signal asks for an end again, whatever `end_patience` said.
    pub(super) fn be_patient(&self) {
        self.patient.store(true, Ordering::SeqCst);
    }

    /// Everything that must be finished is: from now on any signal ends the process. Without this a reader of stdout that
    /// waits forever could not be interrupted.
    pub(super) fn end_patience(&self) {
        self.patient.store(false, Ordering::SeqCst);
    }
}

/// Bars for a command that may end at any moment: a signal ends it at once, and what was drawn goes with it.
pub(super) fn told(console: &Console) -> Result<Bars, Failure> {
    told_beside(false, console)
}

/// The same for one that may write data meanwhile.
pub(super) fn told_beside(data_comes_meanwhile: bool, console: &Console) -> Result<Bars, Failure> {
    let bars = console.bars(data_comes_meanwhile);
    if bars.are_told() {
        let interrupt = Interrupt::install(&Stop::default())
            .map_err(|error| Failure::new(format!("signals: cannot be caught: {}", failure::plain(&error))))?;
        interrupt.end_patience();
    }
    Ok(bars)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_first_signal_asks_the_batch_to_stop() {
        let stop = Stop::default();
        let interrupt = Interrupt::install(&stop).unwrap();
        assert_eq!(stop.requested(), None);
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let began = Instant::now();
        while stop.requested().is_none() && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(stop.requested(), Some(SIGTERM));
        assert!(!interrupt.patient.load(Ordering::SeqCst), "a second signal would not end the process");
    }
}
