//! The old copy, in the manifest.

use serde::{Deserialize, Serialize};

use super::{InputRecord, kind};
use crate::audit::Baseline;
use crate::report::json::{BooksRecord, ThreeWayRecord};

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct BaselineRecord {
    input: InputRecord,
    books: BooksRecord,
    parity: Option<ThreeWayRecord>,
}

impl BaselineRecord {
    pub(super) fn of(baseline: &Baseline) -> Self {
        Self {
            input: InputRecord::of(&baseline.input),
            books: BooksRecord::of(&baseline.books),
            parity: baseline.parity.as_ref().map(ThreeWayRecord::of),
        }
    }

    pub(super) fn into_facts(self) -> Result<Baseline, String> {
        let (input, books) = (self.input.into_facts()?, self.books.into_books());
        if !books.balance() {
            return Err(format!("the books of source `{}` do not balance", input.source));
        }
        Ok(Baseline { input, books, parity: self.parity.map(|found| found.into_facts(kind)).transpose()? })
    }
}
