//! Tells people how far a run is: bars on a terminal, a line now and then elsewhere. A thread of its own looks a few times a
//! second at counters that the work only adds to, so it costs the work nothing. What it drew it takes away again.
//!
//! The cursor rests at the beginning of the bars. So whatever comes next, be it the next drawing on a terminal that has become
//! narrower, writes over them.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::gauge::{Done, Reading, Recent};

/// Takes away whatever stands from here on.
pub(super) const CLEAR: &str = "\r\u{1b}[J";

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Manner {
    /// Drawn, so often, in as many columns as the terminal has.
    Drawn { every: Duration, columns: fn() -> usize },
    /// A line, so often.
    Told { every: Duration },
}

impl Manner {
    /// On a terminal.
    pub(super) const DRAWN: Self = Self::Drawn { every: Duration::from_millis(200), columns };
    /// Elsewhere.
    pub(super) const TOLD: Self = Self::Told { every: Duration::from_secs(10) };

    /// How often it is looked.
    fn pace(self) -> Duration {
        match self {
            Self::Drawn { every, .. } => every,
            // More often than it is told, so that the rate is of the last seconds.
            Self::Told { every } => every / 10,
        }
    }
}

/// The columns of the terminal, which may be another number each time.
pub(super) fn columns() -> usize {
    ratatui::crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns.max(1)))
}

/// How far a run is; costs nothing when nobody is told.
pub struct Bars {
    shared: Option<Arc<Shared>>,
    ticker: Mutex<Option<JoinHandle<()>>>,
}

/// Adds to what was done, from whatever thread.
#[derive(Clone, Default)]
pub struct Counter(Option<Arc<Shared>>);

impl Counter {
    /// Rows (or what else is counted) and bytes since the last call.
    pub fn add(&self, rows: u64, bytes: u64) {
        let Some(shared) = &self.0 else { return };
        shared.rows.fetch_add(rows, Ordering::Relaxed);
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Shared {
    rows: AtomicU64,
    bytes: AtomicU64,
    state: Mutex<State>,
    wake: Condvar,
    /// Something of it stands on the terminal.
    drawn: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    ended: bool,
    contracts: usize,
    contracts_done: usize,
    phase: Option<Phase>,
    stop: Option<Arc<AtomicI32>>,
}

#[derive(Clone)]
struct Phase {
    contract: String,
    name: String,
    /// What is counted, one of it.
    unit: &'static str,
    expected: Done,
    began: Instant,
}

impl Bars {
    /// Nobody is told.
    pub(super) fn hidden() -> Self {
        Self { shared: None, ticker: Mutex::default() }
    }

    /// Tells it to `out` until it is dropped. While something of it stands on the terminal, `drawn` is set.
    pub(super) fn start(manner: Manner, out: Box<dyn Write + Send>, drawn: &Arc<AtomicBool>) -> Self {
        let shared = Arc::new(Shared {
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            state: Mutex::default(),
            wake: Condvar::new(),
            drawn: Arc::clone(drawn),
        });
        let of_ticker = Arc::clone(&shared);
        let ticker = std::thread::Builder::new().name("progress".to_owned());
        // A run that cannot tell how far it is goes on all the same.
        match ticker.spawn(move || tick(&of_ticker, manner, out)) {
            Ok(ticker) => Self { shared: Some(shared), ticker: Mutex::new(Some(ticker)) },
            Err(_) => Self::hidden(),
        }
    }

    /// Whether anybody is told, so that it is worth finding out how much there is to do.
    #[must_use]
    pub fn are_told(&self) -> bool {
        self.shared.is_some()
    }

    /// What adds to the phase that lasts, for threads that know nothing of phases.
    #[must_use]
    pub fn counter(&self) -> Counter {
        Counter(self.shared.clone())
    }

    /// How many contracts there are, and what is set where somebody asks for an end.
    pub fn expect_contracts(&self, contracts: usize, stop: Arc<AtomicI32>) {
        self.change(|state| (state.contracts, state.stop) = (contracts, Some(stop)));
    }

    /// A contract ended.
    pub fn leave(&self) {
        self.change(|state| {
            state.contracts_done += 1;
            state.phase = None;
        });
    }

    /// A phase begins; `bytes` is what it will read, about, or 0 where that is unknown.
    pub fn begin(&self, contract: &str, phase: &str, bytes: u64) {
        self.enter(contract, phase, "row", Done { rows: 0, bytes });
    }

    /// A phase begins that counts something else than rows: what one of it is called, and how many there are, or 0 where that is
    /// unknown.
    pub fn begin_counting(&self, phase: &str, unit: &'static str, expected: u64) {
        self.enter("", phase, unit, Done { rows: expected, bytes: 0 });
    }

    fn enter(&self, contract: &str, phase: &str, unit: &'static str, expected: Done) {
        let Some(shared) = &self.shared else { return };
        let began = Instant::now();
        let (contract, name) = (contract.to_owned(), phase.to_owned());
        self.change(|state| {
            shared.rows.store(0, Ordering::Relaxed);
            shared.bytes.store(0, Ordering::Relaxed);
            state.phase = Some(Phase { contract, name, unit, expected, began });
        });
    }

    /// The phase that has begun will come by so many rows, about.
    pub fn expect_rows(&self, rows: u64) {
        self.change(|state| state.phase.iter_mut().for_each(|phase| phase.expected.rows = rows));
    }

    /// Rows and bytes since the last call.
    pub fn advance(&self, rows: u64, bytes: u64) {
        let Some(shared) = &self.shared else { return };
        shared.rows.fetch_add(rows, Ordering::Relaxed);
        shared.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The phase ended.
    pub fn end(&self) {
        self.change(|state| state.phase = None);
    }

    /// Nothing more is told, and what was drawn is gone: from now on the terminal is for what was found.
    pub fn finish(&self) {
        if let Some(shared) = &self.shared {
            shared.lock().ended = true;
            shared.wake.notify_all();
        }
        let ticker = self.ticker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ticker) = ticker {
            // A drawing that panicked has said so; the run is none the worse.
            let _ = ticker.join();
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        if let Some(shared) = &self.shared {
            change(&mut shared.lock());
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is; None between two phases.
    fn reading(&self, state: &State, whole: Duration, recent: &mut (Option<Instant>, Recent)) -> Option<Reading> {
        let phase = state.phase.clone()?;
        if recent.0 != Some(phase.began) {
            *recent = (Some(phase.began), Recent::default());
        }
        let took = phase.began.elapsed();
        let done = Done { rows: self.rows.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) };
        recent.1.note(took, done);
        Some(Reading {
            contracts: (state.contracts > 1).then_some((state.contracts_done, state.contracts)),
            stopping: state.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed) != 0),
            contract: phase.contract,
            phase: phase.name,
            unit: phase.unit,
            took,
            whole,
            done,
            expected: phase.expected,
            recent: std::mem::take(&mut recent.1),
        })
    }
}

fn tick(shared: &Shared, manner: Manner, mut out: Box<dyn Write + Send>) {
    let began = Instant::now();
    let mut recent = (None, Recent::default());
    let (mut drawn, mut told) = (false, began);
    let mut state = shared.lock();
    loop {
        state = shared.wake.wait_timeout(state, manner.pace()).unwrap_or_else(PoisonError::into_inner).0;
        if state.ended {
            break;
        }
        let Some(reading) = shared.reading(&state, began.elapsed(), &mut recent) else { continue };
        // Nobody waits for the terminal while it is written to.
        drop(state);
        let text = match manner {
            Manner::Drawn { columns, .. } => {
                drawn = true;
                shared.drawn.store(true, Ordering::Relaxed);
                picture(&reading.lines(columns()))
            }
            Manner::Told { every } if told.elapsed() >= every => {
                told = Instant::now();
                format!("{}\n", reading.sentence())
            }
            Manner::Told { .. } => String::new(),
        };
        // A reader that went away misses nothing that matters.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        recent.1 = reading.recent;
        state = shared.lock();
    }
    if drawn {
        let _ = out.write_all(CLEAR.as_bytes()).and_then(|()| out.flush());
        shared.drawn.store(false, Ordering::Relaxed);
    }
}

/// What draws lines over those before and comes back to their beginning.
fn picture(lines: &[String]) -> String {
    let up = if lines.len() > 1 { format!("\u{1b}[{}A", lines.len() - 1) } else { String::new() };
    format!("{CLEAR}{}{up}\r", lines.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::Shared as Written;

    const OFTEN: Duration = Duration::from_millis(2);

    /// What was written, once it holds a text.
    fn wait_for(written: &Written, text: &str) -> String {
        for _ in 0..6_000 {
            let said = written.text();
            if said.contains(text) {
                return said;
            }
            std::thread::sleep(OFTEN);
        }
        let said = written.text();
        let tail = said.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
        panic!("it never says `{text}`, but in the end: {:?}", &said[tail..]);
    }

    #[test]
    fn what_was_drawn_is_gone_at_the_end_at_whatever_width() {
        static WIDTH: AtomicU64 = AtomicU64::new(80);
        let columns = || usize::try_from(WIDTH.load(Ordering::Relaxed)).unwrap();
        let written = Written::default();
        let bars = Bars::start(Manner::Drawn { every: OFTEN, columns }, Box::new(written.clone()), &Arc::default());
        bars.expect_contracts(3, Arc::default());
        bars.begin("orders", "reading", 1000);
        bars.advance(10, 400);
        wait_for(&written, "orders reading  40%");
        WIDTH.store(30, Ordering::Relaxed);
        bars.leave();
        bars.begin("stock", "looking closer", 0);
        wait_for(&written, "1 of 3 contracts done");
        bars.expect_rows(4);
        bars.advance(1, 0);
        wait_for(&written, "…  25%  1 row");
        drop(bars);
        let mut screen = vt100::Parser::default();
        screen.process(b"before\r\n");
        screen.process(written.text().as_bytes());
        screen.process(b"after");
        assert_eq!(screen.screen().contents(), "before\nafter");
    }

    #[test]
    fn a_line_is_told_now_and_then_where_nothing_can_be_drawn() {
        let written = Written::default();
        let bars = Bars::start(Manner::Told { every: OFTEN }, Box::new(written.clone()), &Arc::default());
        let stop = Arc::new(AtomicI32::new(0));
        bars.expect_contracts(1, Arc::clone(&stop));
        bars.begin("orders", "reading", 1000);
        bars.advance(1234, 500);
        wait_for(&written, "after 0:00: orders reading, 50%, 1,234 rows, 500 B of 1000 B\n");
        stop.store(2, Ordering::Relaxed);
        wait_for(&written, "after 0:00: stopping: orders reading");
        drop(bars);
        assert!(!written.text().contains('\u{1b}'), "{}", written.text());
    }

    #[test]
    fn nothing_is_said_of_what_was_over_before_anybody_looked() {
        for manner in [Manner::DRAWN, Manner::TOLD] {
            let written = Written::default();
            let bars = Bars::start(manner, Box::new(written.clone()), &Arc::default());
            bars.begin("orders", "reading", 0);
            bars.end();
            drop(bars);
            assert_eq!(written.text(), "");
        }
    }
}
