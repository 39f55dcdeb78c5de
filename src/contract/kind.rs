//! The kinds of divergence and the severities, with their names, orders and defaults. What sets a severity is `classify`'s
//! business.

/// What kind of disagreement (spec §5). In the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Key at the authority, not in the projection.
    Missing,
    /// Key in the projection, not at the authority.
    Orphan,
    /// Both have the key, an attribute differs.
    Mismatch,
    /// The projection lies behind.
    Stale,
    /// The projection lies ahead.
    Ahead,
    /// Still on its way.
    InFlight,
    /// Deleted at the authority, alive in the projection.
    Resurrected,
    /// A key more than once on a side.
    DuplicateKey,
    /// NULL in a key.
    NullKey,
    /// A column missing, added, or of a type that cannot be compared.
    Schema,
    /// A row or range that could not be read.
    Unreadable,
}

impl Kind {
    /// Every kind, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::Orphan,
        Self::Mismatch,
        Self::Stale,
        Self::Ahead,
        Self::InFlight,
        Self::Resurrected,
        Self::DuplicateKey,
        Self::NullKey,
        Self::Schema,
        Self::Unreadable,
    ];

    /// The kind's fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Orphan => "orphan",
            Self::Mismatch => "mismatch",
            Self::Stale => "stale",
            Self::Ahead => "ahead",
            Self::InFlight => "in_flight",
            Self::Resurrected => "resurrected",
            Self::DuplicateKey => "duplicate_key",
            Self::NullKey => "null_key",
            Self::Schema => "schema",
            Self::Unreadable => "unreadable",
        }
    }

    /// The severity that holds where nothing else is said.
    #[must_use]
    pub fn default_severity(self) -> Severity {
        match self {
            Self::Resurrected => Severity::Critical,
            Self::Missing
            | Self::Orphan
            | Self::Ahead
            | Self::DuplicateKey
            | Self::NullKey
            | Self::Schema
            | Self::Unreadable => Severity::High,
            Self::Mismatch => Severity::Medium,
            Self::Stale => Severity::Low,
            Self::InFlight => Severity::Info,
        }
    }
}

/// What a divergence costs. The greatest is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look.
    Low,
    /// Worth a ticket.
    Medium,
    /// Worth today.
    High,
    /// Worth waking someone.
    Critical,
}

impl Severity {
    /// Every severity, the worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// The severity's fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}
