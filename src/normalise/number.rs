//! Any number at its exact value: read from text, integers, decimals and floats, written as canonical bytes, rounded and
//! compared for distance without ever going through a float. It never approximates and never guesses a separator.
//!
//! # Canonical bytes
//!
//! Two numbers are equal exactly where these bytes are equal.
//!
//! ```text
//! NaN   00      −∞   01      zero  03      +∞   05
//!
//! every other number, value = ± coefficient × 10^exponent, the coefficient not divisible by ten:
//! +------+---------------------+--------------------------------------+
//! | sign | exponent            | coefficient                          |
//! | 02 − | i32, big endian     | big endian, no leading zero byte     |
//! | 04 + |                     |                                      |
//! +------+---------------------+--------------------------------------+
//!   1      4                     1 …
//! ```

use arrow::datatypes::{ArrowPrimitiveType, Float16Type, i256};
use num_bigint::{BigInt, BigUint, Sign};

use crate::contract::ExactDecimal;

mod exact;
mod near;

pub use exact::ExactSum;
pub(super) use near::{Bound, near};

/// The greatest power of ten that a text may ask for; beyond it a few bytes of input would cost megabytes.
const EXPONENT_LIMIT: i64 = 10_000;
/// The most digits that a text may hold.
const DIGIT_LIMIT: usize = 20_000;
/// Digits that always fit a `u128`.
const SMALL_DIGITS: u32 = 38;

/// Any number. The derived equality is equality by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// Not a number; equal to itself here.
    NaN,
    /// Beyond every number.
    Infinite {
        /// Below every number.
        negative: bool,
    },
    /// A number.
    Finite(Finite),
}

/// `± coefficient × 10^exponent`, in the one form whose coefficient is not divisible by ten (zero: exponent 0, no sign).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finite {
    negative: bool,
    coefficient: Coefficient,
    exponent: i32,
}

/// The digits. `Big` only where they do not fit a `u128`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Coefficient {
    Small(u128),
    Big(BigUint),
}

/// `10^power`, for powers up to 38.
pub(super) fn power_of_ten(power: u32) -> u128 {
    10_u128.pow(power)
}

fn strip_small(mut coefficient: u128, mut exponent: i32) -> (u128, i32) {
    while coefficient > u128::from(u64::MAX) && coefficient.is_multiple_of(10) {
        coefficient /= 10;
        exponent += 1;
    }
    if let Ok(mut narrow) = u64::try_from(coefficient) {
        while narrow != 0 && narrow.is_multiple_of(10) {
            narrow /= 10;
            exponent += 1;
        }
        coefficient = u128::from(narrow);
    }
    (coefficient, exponent)
}

impl Finite {
    /// Brings `± coefficient × 10^exponent` into the one form.
    #[must_use]
    pub fn new(negative: bool, coefficient: u128, exponent: i32) -> Self {
        if coefficient == 0 {
            return Self { negative: false, coefficient: Coefficient::Small(0), exponent: 0 };
        }
        let (coefficient, exponent) = strip_small(coefficient, exponent);
        Self { negative, coefficient: Coefficient::Small(coefficient), exponent }
    }

    fn from_big(negative: bool, coefficient: &BigUint, exponent: i32) -> Self {
        if let Ok(small) = u128::try_from(coefficient) {
            return Self::new(negative, small, exponent);
        }
        // Through its digits: one conversion instead of one long division for each trailing zero.
        let digits = coefficient.to_str_radix(10);
        let stripped = digits.trim_end_matches('0');
        let zeros = i32::try_from(digits.len() - stripped.len()).unwrap_or(i32::MAX);
        let exponent = exponent.saturating_add(zeros);
        if let Ok(small) = stripped.parse::<u128>() {
            return Self::new(negative, small, exponent);
        }
        let big = BigUint::parse_bytes(stripped.as_bytes(), 10).expect("what was stripped are digits");
        Self { negative, coefficient: Coefficient::Big(big), exponent }
    }

    fn is_zero(&self) -> bool {
        self.coefficient == Coefficient::Small(0)
    }

    fn big(&self) -> BigUint {
        match &self.coefficient {
            Coefficient::Small(small) => BigUint::from(*small),
            Coefficient::Big(big) => big.clone(),
        }
    }

    fn signed(&self, exponent: i32) -> BigInt {
        let shift = u32::try_from(i64::from(self.exponent) - i64::from(exponent)).unwrap_or(0);
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        BigInt::from_biguint(sign, self.big() * BigUint::from(10_u8).pow(shift))
    }

    /// The value over `10^exponent`, where that is an integer that fits.
    fn scaled(&self, exponent: i32) -> Option<i128> {
        let Coefficient::Small(small) = self.coefficient else { return None };
        let shift = u32::try_from(i64::from(self.exponent) - i64::from(exponent)).ok()?;
        if small == 0 {
            return Some(0);
        }
        if shift > SMALL_DIGITS {
            return None;
        }
        let magnitude = i128::try_from(small.checked_mul(power_of_ten(shift))?).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// How many digits the coefficient has.
    fn digits(&self) -> i64 {
        match &self.coefficient {
            Coefficient::Small(0) => 0,
            Coefficient::Small(small) => i64::from(small.ilog10()) + 1,
            Coefficient::Big(big) => i64::try_from(big.to_str_radix(10).len()).unwrap_or(i64::MAX),
        }
    }

    /// The `m` of `10^(m-1) ≤ |value| < 10^m`.
    fn magnitude(&self) -> i64 {
        self.digits() + i64::from(self.exponent)
    }

    fn absolute(&self) -> Self {
        Self { negative: false, ..self.clone() }
    }

    fn at_least(&self, other: &Self) -> bool {
        if self.is_zero() || other.is_zero() {
            return other.is_zero();
        }
        let magnitudes = (self.magnitude(), other.magnitude());
        if magnitudes.0 != magnitudes.1 {
            return magnitudes.0 > magnitudes.1;
        }
        let exponent = self.exponent.min(other.exponent);
        self.signed(exponent).magnitude() >= other.signed(exponent).magnitude()
    }

    fn times(&self, other: &Self) -> Self {
        let exponent = self.exponent.saturating_add(other.exponent);
        let negative = self.negative != other.negative;
        if let (Coefficient::Small(one), Coefficient::Small(two)) = (&self.coefficient, &other.coefficient)
            && let Some(product) = one.checked_mul(*two)
        {
            return Self::new(negative, product, exponent);
        }
        Self::from_big(negative, &(self.big() * other.big()), exponent)
    }

    /// Rounds to `places` decimals, half away from zero.
    fn round(&self, places: u32) -> Self {
        let excess = -i64::from(self.exponent) - i64::from(places);
        let Ok(drop) = u32::try_from(excess) else { return self.clone() };
        if drop == 0 {
            return self.clone();
        }
        // Fewer digits than are dropped: below a tenth of the last place, so zero.
        if i64::from(drop) > self.digits() {
            return Self::new(false, 0, 0);
        }
        let exponent = i32::try_from(-i64::from(places)).unwrap_or(i32::MIN);
        match &self.coefficient {
            Coefficient::Small(small) if drop <= SMALL_DIGITS => {
                let unit = power_of_ten(drop);
                let up = u128::from(small % unit >= unit / 2);
                Self::new(self.negative, small / unit + up, exponent)
            }
            _ => {
                let unit = BigUint::from(10_u8).pow(drop);
                let big = self.big();
                let up = u8::from(&big % &unit >= &unit / 2_u8);
                Self::from_big(self.negative, &(big / unit + up), exponent)
            }
        }
    }
}

impl From<&ExactDecimal> for Finite {
    fn from(decimal: &ExactDecimal) -> Self {
        Self::new(decimal.coefficient < 0, decimal.coefficient.unsigned_abs(), decimal.exponent)
    }
}

impl Number {
    /// Zero.
    pub const ZERO: Self = Self::Finite(Finite { negative: false, coefficient: Coefficient::Small(0), exponent: 0 });

    /// `value × 10^-scale`.
    #[must_use]
    pub fn from_scaled(value: i128, scale: i8) -> Self {
        Self::Finite(Finite::new(value < 0, value.unsigned_abs(), -i32::from(scale)))
    }

    /// `value × 10^-scale`.
    #[must_use]
    pub fn from_scaled_256(value: i256, scale: i8) -> Self {
        if let Some(narrow) = value.to_i128() {
            return Self::from_scaled(narrow, scale);
        }
        let big = BigInt::from_signed_bytes_be(&value.to_be_bytes());
        Self::Finite(Finite::from_big(value.is_negative(), big.magnitude(), -i32::from(scale)))
    }

    /// The shortest decimal that reads back as this float.
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        // Below 2^53 neighbours are closer than one, so an integer is its own shortest decimal.
        if value.abs() < 9_007_199_254_740_992.0 && value.fract() == 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53")]
            return Self::from_scaled(value as i128, 0);
        }
        if value.is_finite() { Self::shortest(zmij::Buffer::new().format_finite(value)) } else { Self::special(value) }
    }

    /// The shortest decimal that reads back as this float, as a `float32`.
    #[must_use]
    pub fn from_f32(value: f32) -> Self {
        if value.is_finite() {
            Self::shortest(zmij::Buffer::new().format_finite(value))
        } else {
            Self::special(f64::from(value))
        }
    }

    /// The shortest decimal that reads back as this float, as a `float16`.
    #[must_use]
    pub fn from_f16(value: <Float16Type as ArrowPrimitiveType>::Native) -> Self {
        let wide = value.to_f64();
        if !wide.is_finite() {
            return Self::special(wide);
        }
        // Five significant digits tell all halves apart, so the loop ends with a text that reads back.
        for digits in 0..5_usize {
            let text = format!("{wide:.digits$e}");
            let read_back = text.parse::<f64>().map(<Float16Type as ArrowPrimitiveType>::Native::from_f64);
            if read_back.is_ok_and(|back| back.to_bits() == value.to_bits()) {
                return Self::shortest(&text);
            }
        }
        Self::from_f64(wide)
    }

    fn shortest(text: &str) -> Self {
        Self::parse(text, '.').expect("the shortest decimal of a finite float is a number")
    }

    fn special(value: f64) -> Self {
        if value.is_nan() { Self::NaN } else { Self::Infinite { negative: value < 0.0 } }
    }

    /// Reads a number in any usual spelling: sign, digits with at most one decimal separator, exponent; or `NaN`, `inf`,
    /// `infinity` in any letter case. None for anything else: spaces, thousands separators, a bare point, hexadecimal,
    /// or powers of ten beyond ±10,000.
    #[must_use]
    pub fn parse(text: &str, separator: char) -> Option<Self> {
        let Ok(point) = u8::try_from(separator) else {
            return if text.contains('.') { None } else { Self::parse(&text.replace(separator, "."), '.') };
        };
        let bytes = text.as_bytes();
        let (negative, body) = match bytes.split_first()? {
            (b'-', body) => (true, body),
            (b'+', body) => (false, body),
            _ => (false, bytes),
        };
        if !body.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == point) {
            return Self::parse_special(body, negative);
        }
        let (mut coefficient, mut significant, mut fraction) = (0_u128, 0_u32, 0_i64);
        let (mut any_digit, mut after_point) = (false, false);
        let mut at = 0;
        while let Some(byte) = body.get(at) {
            if byte.is_ascii_digit() {
                any_digit = true;
                fraction += i64::from(after_point);
                if significant > 0 || *byte != b'0' {
                    significant += 1;
                }
                if significant <= SMALL_DIGITS {
                    coefficient = coefficient * 10 + u128::from(byte - b'0');
                }
            } else if *byte == point && !after_point {
                after_point = true;
            } else {
                break;
            }
            at += 1;
        }
        if !any_digit {
            return None;
        }
        let (mantissa, tail) = body.split_at(at);
        let exponent = parse_exponent(tail)?;
        if significant == 0 {
            return Some(Self::ZERO);
        }
        let exponent = exponent - fraction;
        if significant as usize > DIGIT_LIMIT || exponent.abs() > EXPONENT_LIMIT + fraction.min(EXPONENT_LIMIT) {
            return None;
        }
        let exponent = i32::try_from(exponent).ok()?;
        if significant <= SMALL_DIGITS {
            return Some(Self::Finite(Finite::new(negative, coefficient, exponent)));
        }
        let digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).collect();
        let big = BigUint::parse_bytes(&digits, 10)?;
        Some(Self::Finite(Finite::from_big(negative, &big, exponent)))
    }

    fn parse_special(body: &[u8], negative: bool) -> Option<Self> {
        if body.eq_ignore_ascii_case(b"nan") {
            Some(Self::NaN)
        } else if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") {
            Some(Self::Infinite { negative })
        } else {
            None
        }
    }

    /// Appends the canonical bytes.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        let finite = match self {
            Self::NaN => return out.push(0),
            Self::Infinite { negative: true } => return out.push(1),
            Self::Infinite { negative: false } => return out.push(5),
            Self::Finite(finite) if finite.is_zero() => return out.push(3),
            Self::Finite(finite) => finite,
        };
        out.push(if finite.negative { 2 } else { 4 });
        out.extend_from_slice(&finite.exponent.to_be_bytes());
        match &finite.coefficient {
            Coefficient::Small(small) => {
                let bytes = small.to_be_bytes();
                out.extend_from_slice(&bytes[small.leading_zeros() as usize / 8..]);
            }
            Coefficient::Big(big) => out.extend_from_slice(&big.to_bytes_be()),
        }
    }

    /// Reads canonical bytes back.
    #[must_use]
    pub fn from_canonical(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match (tag, rest) {
            (0, []) => Some(Self::NaN),
            (1, []) => Some(Self::Infinite { negative: true }),
            (3, []) => Some(Self::ZERO),
            (5, []) => Some(Self::Infinite { negative: false }),
            (2 | 4, rest) => {
                let (exponent, digits) = rest.split_first_chunk::<4>()?;
                let exponent = i32::from_be_bytes(*exponent);
                let mut small = [0_u8; 16];
                if let Some(start) = 16_usize.checked_sub(digits.len()) {
                    small[start..].copy_from_slice(digits);
                    return Some(Self::Finite(Finite::new(*tag == 2, u128::from_be_bytes(small), exponent)));
                }
                Some(Self::Finite(Finite::from_big(*tag == 2, &BigUint::from_bytes_be(digits), exponent)))
            }
            _ => None,
        }
    }

    /// Its coefficient and power of ten; None for NaN and infinities.
    #[must_use]
    pub fn parts(&self) -> Option<(BigInt, i32)> {
        let Self::Finite(finite) = self else { return None };
        Some((finite.signed(finite.exponent), finite.exponent))
    }

    /// The value in at most 38 digits, where it has no more; its coefficient is not divisible by ten.
    #[must_use]
    pub fn exact(&self) -> Option<ExactDecimal> {
        let Self::Finite(finite) = self else { return None };
        let Coefficient::Small(small) = finite.coefficient else { return None };
        let magnitude = i128::try_from(small).ok()?;
        let coefficient = if finite.negative { -magnitude } else { magnitude };
        Some(ExactDecimal { coefficient, exponent: finite.exponent })
    }

    /// Whether it is neither NaN nor an infinity.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        matches!(self, Self::Finite(_))
    }

    /// The value times `10^scale`, where that is an integer of at most 128 bits.
    #[must_use]
    pub fn to_scaled(&self, scale: i8) -> Option<i128> {
        let Self::Finite(finite) = self else { return None };
        if finite.is_zero() {
            return Some(0);
        }
        finite.scaled(-i32::from(scale))
    }

    /// The value times `10^scale`, where that is an integer of at most 256 bits.
    #[must_use]
    pub fn to_scaled_256(&self, scale: i8) -> Option<i256> {
        if let Some(narrow) = self.to_scaled(scale) {
            return Some(i256::from_i128(narrow));
        }
        let Self::Finite(finite) = self else { return None };
        let target = -i32::from(scale);
        // 78 digits hold every 256-bit integer; beyond them nothing is expanded.
        if finite.exponent < target || finite.magnitude() - i64::from(target) > 78 {
            return None;
        }
        let bytes = finite.signed(target).to_signed_bytes_be();
        let start = 32_usize.checked_sub(bytes.len())?;
        let mut wide = [if finite.negative { 0xff } else { 0 }; 32];
        wide[start..].copy_from_slice(&bytes);
        Some(i256::from_be_bytes(wide))
    }

    /// The nearest `float64`; None where a number is beyond all of them.
    #[must_use]
    pub fn to_f64(&self) -> Option<f64> {
        let finite = match self {
            Self::NaN => return Some(f64::NAN),
            Self::Infinite { negative } => return Some(if *negative { f64::NEG_INFINITY } else { f64::INFINITY }),
            Self::Finite(finite) => finite,
        };
        if let Some(value) = finite.scaled(0)
            && value.unsigned_abs() < 1 << 53
        {
            #[expect(clippy::cast_precision_loss, reason = "an integer below 2^53")]
            return Some(value as f64);
        }
        finite.scientific().parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// The nearest `float32`; None where a number is beyond all of them.
    #[must_use]
    pub fn to_f32(&self) -> Option<f32> {
        match self {
            Self::NaN => Some(f32::NAN),
            Self::Infinite { negative } => Some(if *negative { f32::NEG_INFINITY } else { f32::INFINITY }),
            // Through the digits: by way of a `float64` it would be rounded twice.
            Self::Finite(finite) => finite.scientific().parse().ok().filter(|value: &f32| value.is_finite()),
        }
    }

    /// Rounds to decimals, half away from zero.
    #[must_use]
    pub fn round(self, places: u32) -> Self {
        match self {
            Self::Finite(finite) => Self::Finite(finite.round(places)),
            other => other,
        }
    }
}

impl Finite {
    fn scientific(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        match &self.coefficient {
            Coefficient::Small(small) => format!("{sign}{small}e{}", self.exponent),
            Coefficient::Big(big) => format!("{sign}{big}e{}", self.exponent),
        }
    }
}

fn parse_exponent(tail: &[u8]) -> Option<i64> {
    let Some((mark, tail)) = tail.split_first() else { return Some(0) };
    if !mark.eq_ignore_ascii_case(&b'e') {
        return None;
    }
    let (negative, digits) = match tail.split_first()? {
        (b'-', digits) => (true, digits),
        (b'+', digits) => (false, digits),
        _ => (false, tail),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_i64, |sum, digit| (sum * 10 + i64::from(digit - b'0')).min(10 * EXPONENT_LIMIT));
    if value > EXPONENT_LIMIT {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// Plain digits where they are few, otherwise `1.5e300`. The text reads back as the same number.
impl std::fmt::Display for Number {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let finite = match self {
            Self::NaN => return formatter.write_str("NaN"),
            Self::Infinite { negative } => return formatter.write_str(if *negative { "-inf" } else { "inf" }),
            Self::Finite(finite) => finite,
        };
        let digits = match &finite.coefficient {
            Coefficient::Small(small) => small.to_string(),
            Coefficient::Big(big) => big.to_str_radix(10),
        };
        if finite.negative {
            formatter.write_str("-")?;
        }
        let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let exponent = i64::from(finite.exponent);
        let magnitude = length + exponent;
        if exponent >= 0 && magnitude <= 80 {
            let zeros = usize::try_from(exponent).unwrap_or(0);
            return write!(formatter, "{digits}{}", "0".repeat(zeros));
        }
        if exponent < 0 && magnitude > 0 {
            let (whole, fraction) = digits.split_at(usize::try_from(magnitude).unwrap_or(0));
            return write!(formatter, "{whole}.{fraction}");
        }
        if exponent < 0 && magnitude > -20 {
            let zeros = usize::try_from(-magnitude).unwrap_or(0);
            return write!(formatter, "0.{}{digits}", "0".repeat(zeros));
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        write!(formatter, "{first}{point}{rest}e{}", magnitude - 1)
    }
}

#[cfg(test)]
mod tests;
