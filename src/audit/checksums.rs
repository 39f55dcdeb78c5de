//! Whether checksums were computed where the rows lie, and what was read because of them.

use crate::sides::Sides;

/// What was done about checksums in a database, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksums {
    /// Rows were summed where they lie, and only segments that were not equal were read.
    pub used: bool,
    /// Why it was done so, one clause.
    pub because: String,
    /// Segments that were held against each other.
    pub segments: u64,
    /// Of those the ones that were read.
    pub read: u64,
    /// Rows of each side in segments that are equal, which were not read.
    pub proved: u64,
    /// Statements that were sent to each side.
    pub statements: Sides<u64>,
}

impl Checksums {
    /// Rows were read as ever.
    #[must_use]
    pub fn unused(because: impl Into<String>) -> Self {
        Self { used: false, because: because.into(), segments: 0, read: 0, proved: 0, statements: Sides::default() }
    }
}
