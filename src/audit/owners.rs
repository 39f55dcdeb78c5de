//! What was read of the sources that own some attributes, hold what is looked up, or map keys, besides the two sides.

use super::InputFacts;

/// One such source.
#[derive(Clone, Debug)]
pub struct OwnerFacts {
    /// What it is for.
    pub role: OwnerRole,
    /// The attributes that it owns, in the order of the contract; of a crosswalk the key.
    pub attributes: Vec<String>,
    /// What was read.
    pub input: InputFacts,
    /// Its rows.
    pub books: OwnerBooks,
}

/// What a source is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerRole {
    /// It owns attributes, and is joined on the contract's key.
    Owner,
    /// Values are looked up in it.
    Lookup,
    /// It maps keys.
    Crosswalk,
}

impl OwnerRole {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Lookup, Self::Crosswalk];

    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Lookup => "lookup",
            Self::Crosswalk => "crosswalk",
        }
    }
}

/// The rows of such a source, each in exactly one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerBooks {
    /// Rows read, after `filter`.
    pub read: u64,
    /// Rows that a row of the authority was joined with.
    pub joined: u64,
    /// Rows whose key no row of the authority has.
    pub unknown: u64,
    /// Rows of keys that occur more than once; of a crosswalk, rows that map to or from several.
    pub duplicate: u64,
    /// Rows with NULL in the key, or with a key that cannot be read.
    pub null_key: u64,
    /// Rows that could not be read.
    pub unreadable: u64,
    /// Rows that were read and not joined, because the contract ended early.
    pub unjoined: u64,
}

impl OwnerBooks {
    /// Whether every row that was read is in exactly one account.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.read == self.joined + self.unknown + self.duplicate + self.null_key + self.unreadable + self.unjoined
    }

    /// Its accounts by name.
    #[must_use]
    pub fn accounts(&self) -> [(&'static str, u64); 7] {
        [
            ("read", self.read),
            ("joined", self.joined),
            ("unknown", self.unknown),
            ("duplicate", self.duplicate),
            ("null_key", self.null_key),
            ("unreadable", self.unreadable),
            ("unjoined", self.unjoined),
        ]
    }
}
