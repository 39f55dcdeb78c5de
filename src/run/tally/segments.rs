//! What was read in spans of the key: its rows in the books, and at the end what is told of it and left to another run.

use jiff::Timestamp;

use super::super::resume::{identity, other_inputs};
use super::Tally;
use super::verdict::counted;
use crate::audit::{Kept, Reading, Segments, Verdict};
use crate::sides::Side;

/// What was read in spans.
pub(in super::super) struct Spanned {
    /// The run that this one goes on from.
    pub(in super::super) resumed: Option<String>,
    /// What of that run is kept.
    pub(in super::super) before: Kept,
    /// The reading of now.
    pub(in super::super) own: Reading,
    /// Both together: all ranges that agree.
    pub(in super::super) all: Kept,
    /// Rows of the larger side, about.
    pub(in super::super) rows: u64,
    /// The sum of the digests of the rows that agree, where all of them were read now.
    pub(in super::super) sum: Option<crate::digest::Sum>,
}

impl Tally<'_> {
    /// Rows of segments that agree: as many on each side, each with its partner.
    pub(in super::super) fn spanned(&mut self, spanned: Spanned) {
        self.agreed_beforehand(spanned.all.rows());
        self.spanned = Some(spanned);
    }

    /// The same of rows that are in the books already.
    pub(in super::super) fn left_to_another(&mut self, spanned: Spanned) {
        self.spanned = Some(spanned);
    }

    /// Rows of each side that agree, without the engine having seen them.
    pub(super) fn agreed_beforehand(&mut self, rows: u64) {
        for side in Side::BOTH {
            let books = self.books.get_mut(side);
            books.read += rows;
            books.agree += rows;
        }
        self.beforehand += rows;
    }

    /// In what the inputs are others than an earlier run's.
    pub(in super::super) fn other_inputs(&self, kept: &Kept) -> Option<String> {
        other_inputs(kept, &self.inputs)
    }

    /// The earliest instant that rows of a side are of, where `now` is that of those that were read now.
    pub(in super::super) fn oldest(&self, side: Side, now: Option<Timestamp>) -> Option<Timestamp> {
        let kept = self.spanned.as_ref().and_then(|spanned| spanned.before.oldest(side));
        [now, kept].into_iter().flatten().min()
    }

    /// Rows of both sides that there are in all, about, where the contract was cut off.
    pub(super) fn about(&self) -> Option<u64> {
        self.spanned.as_ref().filter(|_| !self.compared).map(|spanned| 2 * spanned.rows.max(spanned.all.rows()))
    }

    /// The reason of a verdict, with what it rests on besides.
    pub(super) fn resting_on(&self, because: String) -> String {
        let Some(Spanned { resumed: Some(run), before, .. }) = &self.spanned else { return because };
        match before.rows() {
            0 => because,
            rows => format!(
                "{because}; {} of each side stand as they were read before run {run} was cut off",
                counted(rows, "row")
            ),
        }
    }

    /// What is told of segments, and left to another run.
    pub(super) fn segments(&mut self, verdict: Verdict) -> Option<Segments> {
        let Spanned { resumed, before, own, mut all, .. } = self.spanned.take()?;
        if verdict == Verdict::Unverified {
            all.inputs = self.inputs.as_ref().map(|_, input| identity(input));
            let readings = all.readings.clone();
            return (!all.ranges.is_empty()).then_some(Segments { resumed, whole: false, readings, kept: Some(all) });
        }
        let resumed = Some(resumed.filter(|_| !before.ranges.is_empty())?);
        let rows = self.books.as_ref().map(|_, books| books.read - before.rows());
        let mut readings = before.readings;
        readings.push(Reading { rows, ..own });
        Some(Segments { resumed, whole: false, readings, kept: None })
    }
}
