//! What a run says of time: which of a contract's divergences are new since the run before, which recur, which are resolved.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// How one contract's divergences stand to those of the run before, counted by fingerprint: divergences that are alike
/// (copies of one row of a multiset, rows of one NULL key) have one fingerprint and count once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recurrence {
    /// The run that this one is held against: the last in which the contract was compared to its end.
    pub since: String,
    /// Found now and not then.
    pub new: u64,
    /// Found then and now.
    pub recurring: u64,
    /// Found then and not now.
    pub resolved: u64,
    /// Not found now, but not looked for everywhere either, because a column could not be compared.
    pub unseen: u64,
    /// Of those that recur, the one that was seen first.
    pub oldest: Option<Sighting>,
    /// Those of the examples that recur, by fingerprint.
    pub examples: BTreeMap<[u8; 32], Sighting>,
}

/// Where a divergence was first seen, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The first run without a gap that found it.
    pub first_run: String,
    /// When that run began.
    pub first_seen: Timestamp,
    /// In how many runs it was found, this one among them.
    pub runs: u64,
}
