//! What one pair of values looks like by itself: the first test that it passes, exactly, the most telling first. A class
//! is no cause yet: that takes many pairs of it. Cheap tests come first, and no float decides.

use crate::contract::ExactDecimal;
use crate::normalise::{Reading, spelled_number};
use crate::sides::Side;

use super::number::{Factor, Spans, decimals, factor, spans};
use super::text::{Garbled, Spaces, cut, garbled, same_but_case, same_but_spaces, same_but_unicode};

/// What a pair of unlike values looks like. `side` is where the value was changed: shortened, rounded, garbled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// NULL on one side.
    Null(Side),
    /// Equal but for letter case.
    Case,
    /// Equal but for white space.
    Spaces(Spaces),
    /// Equal in a normalization form; whether only in a compatible one.
    Unicode { compatible: bool },
    /// Bytes of one encoding read as another.
    Garbled { side: Side, how: Garbled },
    /// Leading zeros are gone.
    Zeros { side: Side },
    /// The same number with an exponent.
    Scientific { side: Side },
    /// The same number, spelled in another way.
    Spelled,
    /// The same text up to so many characters.
    Cut { side: Side, characters: u32 },
    /// The same number with the other sign.
    Sign,
    /// A known factor apart.
    Factor(Factor),
    /// The other side's number, in fewer digits.
    Rounded { side: Side, spans: Spans },
    /// A whole number of quarters of an hour apart, as zones are; in minutes.
    Quarters(i32),
    /// So many nanoseconds apart.
    Offset(i128),
    /// One side has fewer decimals, so many, and yet is not the other, rounded.
    Unrounded { side: Side, shown: u8 },
    /// None of these.
    Other,
    /// A side has no value, or one that cannot be told from others: it has no part in any cause.
    Untold,
}

/// The class of two values that differ.
pub(super) fn class_of(authority: Reading<'_>, projection: Reading<'_>) -> Class {
    match (authority, projection) {
        (Reading::Nothing | Reading::Other, _)
        | (_, Reading::Nothing | Reading::Other)
        // Neither side's value is one under the contract, so no option about the other side settles it.
        | (Reading::Fault(_), Reading::Fault(_)) => Class::Untold,
        (_, Reading::Null) => Class::Null(Side::Projection),
        (Reading::Null, _) => Class::Null(Side::Authority),
        (Reading::Number(one), Reading::Number(two)) => of_numbers(one, two),
        (Reading::Time(one), Reading::Time(two)) => of_times(one, two),
        (Reading::Text(one), Reading::Text(two)) => of_texts(one, two),
        _ => Class::Other,
    }
}

fn of_numbers(authority: ExactDecimal, projection: ExactDecimal) -> Class {
    let negated = |number: ExactDecimal| ExactDecimal { coefficient: -number.coefficient, ..number };
    if authority.coefficient != 0 && negated(authority) == projection {
        return Class::Sign;
    }
    if let Some(factor) = factor(authority, projection) {
        return Class::Factor(factor);
    }
    // The side with fewer decimals may be the other, rounded.
    let side = if authority.exponent > projection.exponent { Side::Authority } else { Side::Projection };
    let (rounded, whole) = match side {
        Side::Authority => (authority, projection),
        Side::Projection => (projection, authority),
    };
    match (spans(rounded, whole), u8::try_from(decimals(rounded))) {
        (Some(spans), _) => Class::Rounded { side, spans },
        (None, Ok(shown)) if decimals(whole) > decimals(rounded) => Class::Unrounded { side, shown },
        (None, _) => Class::Other,
    }
}

const SECOND: i128 = 1_000_000_000;
const QUARTER: i128 = 900 * SECOND;
/// No zone is farther from UTC.
const FARTHEST: i128 = 14 * 3600 * SECOND;

fn of_times(authority: i128, projection: i128) -> Class {
    let distance = projection - authority;
    if distance % QUARTER == 0 && distance.abs() <= FARTHEST {
        return i32::try_from(distance / (60 * SECOND)).map_or(Class::Other, Class::Quarters);
    }
    if distance.abs() < SECOND
        && let class @ Class::Rounded { .. } = of_numbers(seconds(authority), seconds(projection))
    {
        return class;
    }
    Class::Offset(distance)
}

/// Nanoseconds as a decimal number of seconds.
fn seconds(nanoseconds: i128) -> ExactDecimal {
    let mut number = ExactDecimal { coefficient: nanoseconds, exponent: if nanoseconds == 0 { 0 } else { -9 } };
    while number.coefficient != 0 && number.coefficient % 10 == 0 {
        number = ExactDecimal { coefficient: number.coefficient / 10, exponent: number.exponent + 1 };
    }
    number
}

/// Longer texts are documents; what was done to the whole of one is not looked for.
const LONG: usize = 1 << 16;

fn of_texts(authority: &str, projection: &str) -> Class {
    let mut class = Class::Other;
    let mut numbers = false;
    if let (Some(one), Some(two)) = (spelled_number(authority), spelled_number(projection)) {
        numbers = true;
        class = if one == two { of_spellings(authority, projection) } else { of_numbers(one, two) };
        if !matches!(class, Class::Other | Class::Unrounded { .. }) {
            return class;
        }
    }
    if authority.len().max(projection.len()) > LONG {
        return Class::Other;
    }
    if same_but_case(authority, projection) {
        return Class::Case;
    }
    if let Some(spaces) = same_but_spaces(authority, projection) {
        return Class::Spaces(spaces);
    }
    if let Some(compatible) = same_but_unicode(authority, projection) {
        return Class::Unicode { compatible };
    }
    for (side, whole, changed) in [(Side::Projection, authority, projection), (Side::Authority, projection, authority)]
    {
        if let Some(how) = garbled(whole, changed) {
            return Class::Garbled { side, how };
        }
        // A number with fewer digits is another number.
        if let Some(characters) = cut(whole, changed).filter(|_| !numbers) {
            return Class::Cut { side, characters };
        }
    }
    class
}

/// Two texts of one number.
fn of_spellings(authority: &str, projection: &str) -> Class {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits(authority) && digits(projection) {
        let side = if projection.len() < authority.len() { Side::Projection } else { Side::Authority };
        return Class::Zeros { side };
    }
    let scientific = |text: &str| text.contains(['e', 'E']);
    match (scientific(authority), scientific(projection)) {
        (false, true) => Class::Scientific { side: Side::Projection },
        (true, false) => Class::Scientific { side: Side::Authority },
        _ => Class::Spelled,
    }
}
