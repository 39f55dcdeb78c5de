//! What equal means for an attribute: the options of a comparison, and the types and distances that they name. They compare
//! nothing; that is `normalise`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Span;

/// What equal means for an attribute. Applied in the order of the fields.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Normalization form.
    pub unicode: Option<UnicodeForm>,
    /// Runs of white space become one space.
    pub collapse_spaces: bool,
    /// Which ends are trimmed.
    pub trim: Option<Trim>,
    /// Full Unicode default case folding.
    pub ignore_case: bool,
    /// Texts that are NULL.
    pub null_equals: Vec<String>,
    /// The owner's value to the expected value.
    pub translate: Option<Arc<BTreeMap<String, String>>>,
    /// The logical type both sides are compared under.
    pub logical_type: Option<LogicalType>,
    /// Decimal places, half away from zero.
    pub round: Option<u32>,
    /// How far apart is still equal.
    pub tolerance: Option<Tolerance>,
    /// Zone of its timestamps without zone, on both sides.
    pub timezone: Option<TimeZone>,
}

/// A Unicode normalization form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnicodeForm {
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
}

/// Which ends of a text are trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// The start.
    Left,
    /// The end.
    Right,
    /// Both ends.
    Both,
}

/// How far apart two values may be and still be equal; the bound itself is equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Of numbers.
    Absolute(ExactDecimal),
    /// Of numbers, as a fraction of the larger magnitude (`"1%"` is 0.01).
    Relative(ExactDecimal),
    /// Of times.
    Time(Span),
}

/// `coefficient × 10^exponent`, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactDecimal {
    /// All digits.
    pub coefficient: i128,
    /// Power of ten.
    pub exponent: i32,
}

impl ExactDecimal {
    /// Whether it is less than the fraction `part / whole`, exactly; of nothing every part is too much.
    #[must_use]
    pub fn less_than(&self, part: u64, whole: u64) -> bool {
        use num_bigint::BigInt;
        let power = |exponent: u32| BigInt::from(10).pow(exponent);
        let (mut bound, mut part) = (BigInt::from(self.coefficient) * whole, BigInt::from(part));
        match self.exponent {
            0.. => bound *= power(self.exponent.unsigned_abs()),
            _ => part *= power(self.exponent.unsigned_abs()),
        }
        bound < part
    }
}

impl std::fmt::Display for ExactDecimal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.coefficient.unsigned_abs().to_string();
        let sign = if self.coefficient < 0 { "-" } else { "" };
        if self.exponent >= 0 {
            let zeros = "0".repeat(self.exponent.unsigned_abs() as usize);
            return write!(formatter, "{sign}{digits}{zeros}");
        }
        let places = self.exponent.unsigned_abs() as usize;
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(formatter, "{sign}{whole}.{fraction}")
    }
}

/// `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalType {
    /// `boolean`
    Boolean,
    /// `int8` … `uint64`
    Integer {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether negative values fit.
        signed: bool,
    },
    /// `float32`
    Float32,
    /// `float64`
    Float64,
    /// `decimal(p, s)`; a bare `decimal` holds any number exactly.
    Decimal(Option<(u8, i8)>),
    /// `text`
    Text,
    /// `binary`
    Binary,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`: local, without zone
    Timestamp,
    /// `timestamptz`: an instant
    TimestampTz,
    /// `duration`
    Duration,
    /// `uuid`
    Uuid,
    /// `json`
    Json,
}
