//! What a second look at the differences of a contract made of them.

use jiff::Timestamp;

use crate::sides::Sides;

/// The second look of one contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecondLook {
    /// Keys that differed and were looked at again.
    pub keys: u64,
    /// Keys that differed and were not, because there were too many.
    pub left: u64,
    /// Of those that were looked at again the ones that agreed by then: they are in flight.
    pub settled: u64,
    /// Of those the ones that differed every time, and changed between the last two looks.
    pub unstable: u64,
    /// Each look that was taken, in order.
    pub looks: Vec<Look>,
    /// A look read a file that had been replaced, of whose content there is no digest.
    pub replaced: bool,
    /// Why there was none, or not another one, where that is worth a word.
    pub because: Option<String>,
}

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The instant that each side was read at; None for files, which do not tell.
    pub read_at: Sides<Option<Timestamp>>,
    /// Keys that were asked for.
    pub keys: u64,
    /// Of those the ones that agreed.
    pub settled: u64,
}

impl SecondLook {
    /// Of those that were looked at again the ones that differ as before.
    #[must_use]
    pub fn standing(&self) -> u64 {
        self.keys.saturating_sub(self.settled + self.unstable)
    }
}
