//! Judges a difference into a divergence: kind, severity, and the reason that set it.
//!
//! It is the policy as a flat list, first match wins. It never reads the clock, never looks at other rows.

use std::sync::Arc;

use crate::contract::{Kind, Severity};
use crate::normalise::FaultReason;
use crate::sides::Sides;

pub mod explain;

/// One disagreement, judged. Kinds of pairs have one for each differing attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// What it is.
    pub kind: Kind,
    /// What it costs.
    pub severity: Severity,
    /// What set the severity, and for values that need it, why they differ.
    pub reason: Reason,
    /// The key as JSON object text, canonical; None for `schema` and `unreadable`.
    pub key: Option<Box<str>>,
    /// The attribute, for pairs and columns.
    pub attribute: Option<Arc<str>>,
    /// Both values as they stand; None for NULL or absent. For `duplicate_key` the counts of rows.
    pub values: Sides<Option<Box<str>>>,
    /// The authority source of the attribute.
    pub authority_source: Arc<str>,
    /// Stable across runs.
    pub fingerprint: [u8; 32],
}

/// Why a divergence has its severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `rule:NAME`
    Rule(Arc<str>),
    /// `attribute:NAME`
    Attribute(Arc<str>),
    /// `kind:NAME`
    Kind(Kind),
    /// `default`
    Default,
    /// `unparseable`, `out_of_type`, `ambiguous_time`: the value itself is why.
    Value(FaultReason),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(name) => write!(formatter, "rule:{name}"),
            Self::Attribute(name) => write!(formatter, "attribute:{name}"),
            Self::Kind(kind) => write!(formatter, "kind:{}", kind.name()),
            Self::Default => formatter.write_str("default"),
            Self::Value(FaultReason::Unparseable) => formatter.write_str("unparseable"),
            Self::Value(FaultReason::OutOfType) => formatter.write_str("out_of_type"),
            Self::Value(FaultReason::AmbiguousTime) => formatter.write_str("ambiguous_time"),
        }
    }
}
