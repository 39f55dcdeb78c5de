//! The files of a run that collectors, pipelines and catalogues take: metrics, JUnit, OpenLineage. What they look like is
//! `report`'s business.

use std::io;

use super::RunFolder;
use crate::audit::{Audit, Measured};
use crate::history::manifest::FileRecord;
use crate::report::{junit, openlineage, prometheus};

impl RunFolder {
    /// Takes what was measured of the run, for its metrics.
    pub fn measured(&mut self, measured: Measured) {
        self.measured = measured;
    }

    /// How each contract of the file stands to its cadence.
    #[must_use]
    pub fn cadences(&self) -> Vec<prometheus::Cadence<'_>> {
        let cadences = self.standing.iter().map(|standing| prometheus::Cadence {
            contract: &standing.contract,
            every: standing.every.as_ref().map(|(every, _)| *every),
            last_run: standing.last_run,
            last_success: standing.last_success,
            overdue: standing.overdue,
        });
        cadences.collect()
    }

    pub(super) fn write_for_machines(&self, audit: &Audit) -> io::Result<[FileRecord; 3]> {
        let (measured, cadences) = (&self.measured, self.cadences());
        let whole = prometheus::Whole { audit, cadences: &cadences, measured };
        Ok([
            self.write("metrics.prom", |out| prometheus::render(&whole, out))?,
            self.write("junit.xml", |out| junit::render(audit, measured, out))?,
            self.write("openlineage.ndjson", |out| openlineage::render(audit, measured, out))?,
        ])
    }
}
