//! How the projection stands to the old copy that it replaces: both were held against one authority.

use super::{Books, InputFacts};
use crate::contract::Kind;

/// The old copy of one contract.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// What was read of it.
    pub input: InputFacts,
    /// Its rows.
    pub books: Books,
    /// What came of it; None where it was not compared to the end.
    pub parity: Option<ThreeWay>,
}

/// The divergences of both copies side by side. Those of the projection are regressions, inherited, changed, in flight or
/// untold; each is exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreeWay {
    /// The old copy was right.
    pub regressions: u64,
    /// Both are wrong, and say the same.
    pub inherited: u64,
    /// Both are wrong, each in its own way.
    pub changed: u64,
    /// The old copy is wrong and the projection is right.
    pub healed: u64,
    /// Divergences of the projection that may still be on their way, whatever the old copy says.
    pub in_flight: u64,
    /// Divergences of the projection in attributes that could not be compared with the old copy.
    pub untold: u64,
    /// Those attributes.
    pub unseen: Vec<String>,
    /// Some of each, by status and then in the order of their digests.
    pub examples: Vec<ThreeWayExample>,
}

impl ThreeWay {
    /// The counts by name, in the order of the reports.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 6] {
        [
            (Status::Regression.name(), self.regressions),
            (Status::Inherited.name(), self.inherited),
            (Status::Changed.name(), self.changed),
            (Status::Healed.name(), self.healed),
            (Status::InFlight.name(), self.in_flight),
            (Status::Untold.name(), self.untold),
        ]
    }

    /// Counts one.
    pub fn count(&mut self, status: Status) {
        *match status {
            Status::Regression => &mut self.regressions,
            Status::Inherited => &mut self.inherited,
            Status::Changed => &mut self.changed,
            Status::Healed => &mut self.healed,
            Status::InFlight => &mut self.in_flight,
            Status::Untold => &mut self.untold,
        } += 1;
    }
}

/// How a divergence of one copy stands to the other copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Only the projection is wrong.
    Regression,
    /// Both are wrong, each in its own way.
    Changed,
    /// Both are wrong, and say the same.
    Inherited,
    /// Only the old copy is wrong.
    Healed,
    /// It may still be on its way to the projection.
    InFlight,
    /// The attribute could not be compared with the old copy.
    Untold,
}

impl Status {
    /// Every status, in the order of examples.
    pub const ALL: [Self; 6] =
        [Self::Regression, Self::Changed, Self::Inherited, Self::Healed, Self::InFlight, Self::Untold];

    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Inherited => "inherited",
            Self::Changed => "changed",
            Self::Healed => "healed",
            Self::InFlight => "in_flight",
            Self::Untold => "untold",
        }
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreeWayExample {
    /// How it stands.
    pub status: Status,
    /// The key as JSON object text; None for columns.
    pub key: Option<Box<str>>,
    /// The attribute, for pairs and columns.
    pub attribute: Option<Box<str>>,
    /// What the projection's divergence is; None where it has none.
    pub projection_kind: Option<Kind>,
    /// What the old copy's divergence is; None where it has none.
    pub baseline_kind: Option<Kind>,
    /// The authority's value as it stands.
    pub authority_value: Option<Box<str>>,
    /// The projection's, where it is wrong.
    pub projection_value: Option<Box<str>>,
    /// The old copy's, where it is wrong.
    pub baseline_value: Option<Box<str>>,
}
