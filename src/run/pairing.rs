//! One comparison by tags, from the first reading to the end, with all that its readings leave.
//!
//! Another comparison of the same authority may stand *beside*: while the authority is read for the one, each of its rows leaves a
//! record for the other too, so that both speak of the same rows, and these are read once. It never reads a unit twice for that: what
//! was not read whole for the one is read by the other itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::compare::Work;
use super::gather::Gathered;
use super::input::Inputs;
use super::reader::Reader;
use super::recall::Recall;
use super::scan::{Scan, UnitFacts, Working};
use super::tally::Tally;
use super::{Batch, Halt};
use crate::audit::Recorder;
use crate::diff::{Budget, Records};
use crate::sides::{Side, Sides};
use crate::source::Piece;
use crate::spill::SpillFile;

/// A comparison that has begun, or is about to.
pub(super) struct Pairing<'a> {
    work: Work<'a>,
    records: Sides<Records<'a>>,
    gathered: Sides<Gathered<'a>>,
    /// The authority's units that another comparison has read for this one.
    left: Mutex<Vec<Left>>,
    /// Some of them were read in vain.
    spoiled: AtomicBool,
}

/// A unit of the authority.
#[derive(Clone)]
enum Left {
    Unread,
    Begun,
    Read(Box<UnitFacts>),
}

impl<'a> Pairing<'a> {
    /// Nothing is read yet. `beside`: the authority will be read for another comparison.
    pub(super) fn new(
        batch: &'a Batch<'a>,
        inputs: &'a Inputs,
        recall: Option<&'a Recall>,
        (budget, spill): (&'a Budget, &'a SpillFile),
        beside: bool,
    ) -> Self {
        let work = Work { batch, inputs, budget, recall, beside };
        let (records, gathered) = (work.records(spill), work.gathered(spill));
        let left = vec![Left::Unread; inputs.sides.authority.opened.units.len()];
        Self { work, records, gathered, left: Mutex::new(left), spoiled: AtomicBool::new(false) }
    }

    /// Reads what is still to be read, and compares to the end.
    pub(super) fn compare(self, tally: &mut Tally<'_>, recorder: &mut dyn Recorder) -> Result<(), Halt> {
        let Self { work, records, gathered, left, spoiled: _ } = self;
        work.countable()?;
        let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left = left.into_iter().map(|left| if let Left::Read(facts) = left { Some(*facts) } else { None });
        let (units, index) = work.scan(&records, &gathered, left.collect(), tally)?;
        tally.unreadable(recorder)?;
        let mut settled = work.settle(&records, &units, index.as_ref())?;
        drop((records, index));
        work.gather(&settled, &units, &gathered)?;
        work.find_again(&settled, &units, &gathered, &settled.let_go)?;
        let collided = work.collided(&settled, &gathered).without(&settled.let_go);
        work.find_again(&settled, &units, &gathered, &collided)?;
        settled.distrust(&collided);
        tally.joined(settled.agree(), settled.out_of_scope());
        work.finish(gathered, &units, tally, recorder)?;
        if let Some(recall) = work.recall {
            recall.note(&units, &settled.candidates);
        }
        Ok(())
    }

    fn left(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a unit of the authority that is read for another comparison.
    pub(super) fn beside(&self, unit: usize) -> Option<Beside<'_, 'a>> {
        let mut left = self.left();
        if !matches!(left[unit], Left::Unread) {
            // It was begun for a comparison that did not come to its end, and what it left then is here.
            self.spoiled.store(true, Ordering::Relaxed);
            return None;
        }
        left[unit] = Left::Begun;
        drop(left);
        let reader = self.work.reader(Side::Authority);
        let (records, gathered) = (&self.records.authority, &self.gathered.authority);
        let scan = Scan { records, index: None, gathered, recall: None };
        Some(Beside { pairing: self, unit, working: reader.begin(unit, scan), reader, scan })
    }

    /// Whether what another comparison read for this one can be used.
    pub(super) fn is_sound(&self) -> bool {
        let half = self.left().iter().any(|left| matches!(left, Left::Begun));
        !half && !self.spoiled.load(Ordering::Relaxed)
    }
}

/// A unit of the authority that is being read for another comparison.
pub(super) struct Beside<'p, 'a> {
    pairing: &'p Pairing<'a>,
    unit: usize,
    reader: Reader<'p>,
    scan: Scan<'p, 'a>,
    working: Working<'p, 'a>,
}

impl Beside<'_, '_> {
    /// Takes what was read.
    pub(super) fn take(&mut self, piece: &Piece) -> Result<(), Halt> {
        self.reader.scan_piece(self.unit, piece, self.scan, &mut self.working)
    }

    /// The unit was read whole.
    pub(super) fn end(self) -> Result<(), Halt> {
        let facts = self.reader.end(self.unit, self.scan, self.working)?;
        self.pairing.left()[self.unit] = Left::Read(Box::new(facts));
        Ok(())
    }
}
