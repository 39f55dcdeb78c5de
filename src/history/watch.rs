//! Who is told how far the reading of earlier runs is. It never decides anything, and nobody need listen.

/// Hears of phases and of what was done in them.
pub trait Watch {
    /// A phase begins that reads so many bytes, or 0 where that is unknown.
    fn reads(&self, phase: &str, bytes: u64);
    /// A phase begins that goes through things one by one: what one of them is called, and how many there are, or 0 where that
    /// is unknown.
    fn goes_through(&self, phase: &str, one: &'static str, expected: u64);
    /// Things and bytes since the last call.
    fn did(&self, things: u64, bytes: u64);
}

/// Nobody.
pub struct Unwatched;

impl Watch for Unwatched {
    fn reads(&self, _: &str, _: u64) {}
    fn goes_through(&self, _: &str, _: &'static str, _: u64) {}
    fn did(&self, _: u64, _: u64) {}
}
