//! What a second look makes of differences, and how its rows come to stand beside those of the first. It looks at nothing
//! itself and never judges.

use super::{Difference, RowAt, Rows};
use crate::sides::Side;

/// What a second look made of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It was gone: both sides agreed at the key by then.
    Settled,
    /// It was there every time, and the rows were never the same for long: the last look saw others than the one before.
    Unstable,
    /// It was there every time, the last time as the time before.
    Stands,
}

impl Difference {
    /// The row that it is named by.
    #[must_use]
    pub fn named_by(&self) -> (Side, RowAt) {
        match self {
            Self::Differ { rows, .. } | Self::Tombstone { rows, .. } => (Side::Authority, rows.authority),
            Self::Unpaired { side, row, .. } | Self::DuplicateKey { side, row, .. } | Self::NullKey { side, row } => {
                (*side, *row)
            }
        }
    }

    /// The same about rows that stand behind others, so many batches of which come first.
    #[must_use]
    pub fn behind(self, batches: &crate::sides::Sides<usize>) -> Self {
        let moved = |side: Side, row: RowAt| RowAt { batch: row.batch + batches.get(side), ..row };
        match self {
            Self::Unpaired { side, row, fault } => Self::Unpaired { side, row: moved(side, row), fault },
            Self::Differ { rows, attributes } => Self::Differ { rows: rows.map(moved), attributes },
            Self::Tombstone { rows, side } => Self::Tombstone { rows: rows.map(moved), side },
            Self::DuplicateKey { counts, side, row } => Self::DuplicateKey { counts, side, row: moved(side, row) },
            Self::NullKey { side, row } => Self::NullKey { side, row: moved(side, row) },
        }
    }
}

impl Rows {
    /// Puts other rows behind these. Whether `--where` holds for any of them is not known any more.
    pub fn append(&mut self, other: Self) {
        let before = self.raw.len();
        self.in_scope = Vec::new();
        self.deleted.extend(other.deleted);
        self.version.extend(other.version);
        self.updated.extend(other.updated);
        self.files.extend(other.files);
        self.order.extend(other.order);
        self.raw.extend(other.raw);
        self.canonical.extend(other.canonical);
        let behind = |at: RowAt| RowAt { batch: at.batch + before, ..at };
        #[expect(clippy::iter_over_hash_type, reason = "entries move into another map")]
        for (at, more) in other.more {
            self.more.insert(behind(at), more);
        }
    }
}
