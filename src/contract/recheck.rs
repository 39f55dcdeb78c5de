//! `recheck`: how often, and after which time, what differs is read again.

use super::{Contract, Span};

/// The second look at what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recheck {
    /// The pause before each look.
    pub after: Span,
    /// How many looks there are at most, at least 1.
    pub times: u64,
}

impl Recheck {
    /// The pause where the contract says none.
    pub(crate) const AFTER: Span = Span(2_000_000_000);
    /// The looks where the contract says nothing of them.
    pub(crate) const TIMES: u64 = 3;
    /// The most looks that a contract may ask for.
    pub(crate) const MOST: u64 = 20;
}

impl Contract {
    /// Why the rows of this contract cannot be read again by their keys, as a sentence part; None where they can.
    pub(crate) fn not_rechecked(&self) -> Option<&'static str> {
        if self.key.is_empty() {
            return Some("the contract has no key, and without one no row is known again");
        }
        self.is_composed().then_some("the authority is composed of several sources, whose rows are not read by key")
    }
}
