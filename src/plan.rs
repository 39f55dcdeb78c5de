//! Drafts the repair of a divergence: what would be done, what it rests on, how safe it is. It only makes values;
//! writing them anywhere is `apply`'s business.

use crate::contract::Kind;

/// One repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// BLAKE3 over contract, key, op, before and after, in hex, cut to 32 digits.
    pub action_id: String,
    /// The contract.
    pub contract: String,
    /// The divergence that it answers.
    pub kind: Kind,
    /// What would be done in the projection.
    pub op: Op,
    /// The key as JSON object text, canonical.
    pub key: Box<str>,
    /// Attributes as they were seen in the projection (JSON object), None where there is no such row.
    pub before: Option<serde_json::Value>,
    /// Attributes as they ought to be in the projection (JSON object), None for a delete or a review.
    pub after: Option<serde_json::Value>,
    /// What must still hold when it is done, as a JSON object: `{"row": "absent"}` or `{"row": "present", "values": {…}}`.
    pub guard: Option<serde_json::Value>,
    /// Who may do it.
    pub safety: Safety,
    /// Why it has this safety, as a sentence part.
    pub reason: String,
}

/// What would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Add the row.
    Insert,
    /// Change attributes.
    Update,
    /// Remove the row.
    Delete,
    /// Ask the owner to send it again.
    Replay,
    /// Ask a person.
    Review,
}

impl Op {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Replay => "replay",
            Self::Review => "review",
        }
    }
}

/// Who may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// The contract calls it auto and the guard covers it.
    Safe,
    /// After a person has looked.
    Review,
    /// Only by a person.
    Manual,
}

impl Safety {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Review => "review",
            Self::Manual => "manual",
        }
    }
}
