//! Whether one number is another rounded or scaled, exactly: whole numbers and powers of ten, no float decides.

use crate::contract::ExactDecimal;

/// How a number may be brought to fewer digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    /// To the nearest, half away from zero.
    Away,
    /// To the nearest, half to the even neighbour.
    Even,
    /// What is beyond is cut off.
    Truncate,
}

impl Mode {
    pub(super) const ALL: [Self; 3] = [Self::Away, Self::Even, Self::Truncate];
}

/// By how many decimals a number may have been rounded to be the other, least and most, in each mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spans {
    /// The decimals that it shows.
    pub(super) shown: u8,
    /// The most, in each mode; None where that mode does not give it.
    most: [Option<u8>; 3],
}

impl Spans {
    /// Whether rounding to so many decimals gives it.
    pub(super) fn hold(self, mode: Mode, decimals: u8) -> bool {
        decimals >= self.shown && self.most[mode as usize].is_some_and(|most| decimals <= most)
    }

    /// Whether the mode gives it at all.
    pub(super) fn any(self, mode: Mode) -> bool {
        self.most[mode as usize].is_some()
    }
}

/// More decimals than these are not looked at.
const DECIMALS: u32 = 36;

/// How many decimals a number shows.
pub(super) fn decimals(number: ExactDecimal) -> u32 {
    if number.exponent < 0 { number.exponent.unsigned_abs() } else { 0 }
}

/// How `rounded` comes of `whole`, where it does. What it shows is a whole number of the last digit that is kept, so if it
/// comes of rounding to some decimals, it comes of rounding to any fewer that it shows.
pub(super) fn spans(rounded: ExactDecimal, whole: ExactDecimal) -> Option<Spans> {
    let (shown, finest) = (decimals(rounded), decimals(whole));
    if finest <= shown || finest > DECIMALS {
        return None;
    }
    let scaled = |number: ExactDecimal| {
        let shift = u32::try_from(number.exponent + i32::try_from(finest).ok()?).ok()?;
        number.coefficient.checked_mul(10_i128.checked_pow(shift)?)
    };
    let (one, two) = (scaled(rounded)?, scaled(whole)?);
    let distance = two.checked_sub(one)?.unsigned_abs();
    let towards_zero = one.unsigned_abs() <= two.unsigned_abs() && (one == 0 || (one < 0) == (two < 0));
    // Below the last digit that it shows nothing else could have been rounded to it.
    if distance >= 10_u128.pow(finest - shown) {
        return None;
    }
    let odd = decimals(rounded) == shown && rounded.exponent <= 0 && rounded.coefficient % 2 != 0;
    let mut most = [None; 3];
    for kept in shown..finest {
        let unit = 10_u128.pow(finest - kept);
        let half = unit / 2;
        let held = [
            distance < half || (distance == half && !towards_zero),
            distance < half || (distance == half && !(kept == shown && odd)),
            distance < unit && towards_zero,
        ];
        if !held.contains(&true) {
            break;
        }
        for (most, held) in most.iter_mut().zip(held) {
            if held {
                *most = u8::try_from(kept).ok();
            }
        }
    }
    let shown = u8::try_from(shown).ok()?;
    most.iter().any(Option::is_some).then_some(Spans { shown, most })
}

/// A factor between authority and projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Factor {
    /// The projection is the authority times `10^power`.
    Ten(i8),
    /// The projection is the authority times the known factor of this number.
    Times(u8),
    /// The authority is the projection times it.
    Over(u8),
}

/// A factor between units that people confuse, the float nearest to it, and how it is written.
struct Known {
    exact: ExactDecimal,
    float: f64,
    shown: &'static str,
}

/// Factors between bytes, times, lengths, masses.
const KNOWN: [Known; 12] = {
    const fn of(coefficient: i128, exponent: i32, float: f64, shown: &'static str) -> Known {
        Known { exact: ExactDecimal { coefficient, exponent }, float, shown }
    }
    [
        of(1024, 0, 1024.0, "1024"),
        of(1_048_576, 0, 1_048_576.0, "1048576"),
        of(1_073_741_824, 0, 1_073_741_824.0, "1073741824"),
        of(6, 1, 60.0, "60"),
        of(36, 2, 3600.0, "3600"),
        of(864, 2, 86400.0, "86400"),
        of(24, 0, 24.0, "24"),
        of(7, 0, 7.0, "7"),
        of(12, 0, 12.0, "12"),
        of(254, -2, 2.54, "2.54"),
        of(1_609_344, -6, 1.609_344, "1.609344"),
        of(45_359_237, -8, 0.453_592_37, "0.45359237"),
    ]
};

impl Factor {
    /// What the authority is multiplied by, where that is a decimal of a few digits.
    pub(super) fn exact(self) -> Option<String> {
        match self {
            Self::Ten(power @ ..0) => Some(format!("0.{}1", "0".repeat(usize::from(power.unsigned_abs()) - 1))),
            Self::Ten(_) | Self::Times(_) => Some(self.to_string()),
            Self::Over(_) => None,
        }
    }
}

impl std::fmt::Display for Factor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ten(power @ 0..) => write!(formatter, "1{}", "0".repeat(usize::from(power.unsigned_abs()))),
            Self::Ten(power) => write!(formatter, "1/1{}", "0".repeat(usize::from(power.unsigned_abs()))),
            Self::Times(known) => formatter.write_str(KNOWN[usize::from(*known)].shown),
            Self::Over(known) => write!(formatter, "1/{}", KNOWN[usize::from(*known)].shown),
        }
    }
}

/// The factor from authority to projection, where it is one that is known.
pub(super) fn factor(authority: ExactDecimal, projection: ExactDecimal) -> Option<Factor> {
    if authority.coefficient == 0 || projection.coefficient == 0 {
        return None;
    }
    if authority.coefficient == projection.coefficient {
        let power = i8::try_from(projection.exponent.checked_sub(authority.exponent)?).ok()?;
        return (power != 0 && power.unsigned_abs() <= 12).then_some(Factor::Ten(power));
    }
    // The float only spares exact work where it could not succeed.
    let ratio = float(projection) / float(authority);
    let near = |ratio: f64, guess: f64| (ratio - guess).abs() < 1e-9 * guess;
    KNOWN.iter().zip(0_u8..).find_map(|(known, number)| {
        if near(ratio, known.float) && is_product(authority, known.exact, projection) {
            return Some(Factor::Times(number));
        }
        let back = near(ratio * known.float, 1.0) && is_product(projection, known.exact, authority);
        back.then_some(Factor::Over(number))
    })
}

/// About the number.
#[expect(clippy::cast_precision_loss, reason = "a guess that is proved by whoever makes it")]
fn float(number: ExactDecimal) -> f64 {
    // Nearly all are of 64 bits, which the processor converts by itself.
    let coefficient =
        i64::try_from(number.coefficient).map_or(number.coefficient as f64, |coefficient| coefficient as f64);
    if number.exponent == 0 { coefficient } else { coefficient * 10_f64.powi(number.exponent) }
}

fn is_product(one: ExactDecimal, two: ExactDecimal, product: ExactDecimal) -> bool {
    let Some(mut coefficient) = one.coefficient.checked_mul(two.coefficient) else { return false };
    let Some(mut exponent) = one.exponent.checked_add(two.exponent) else { return false };
    while coefficient != 0 && coefficient % 10 == 0 {
        (coefficient, exponent) = (coefficient / 10, exponent + 1);
    }
    ExactDecimal { coefficient, exponent } == product
}
