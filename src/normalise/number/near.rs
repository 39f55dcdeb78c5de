//! Whether two numbers are within a bound of each other, exactly. It expands digits only where magnitudes do not decide.

use crate::contract::ExactDecimal;

use super::{Finite, Number};

/// How far apart is still equal, as a number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound<'a> {
    /// `|a − b| ≤ bound`.
    Absolute(&'a ExactDecimal),
    /// `|a − b| ≤ bound × max(|a|, |b|)`.
    Relative(&'a ExactDecimal),
}

/// Whether two numbers are within the bound of each other, exactly. NaN is near NaN, an infinity near itself.
#[must_use]
pub(crate) fn near(numbers: [&Number; 2], bound: Bound<'_>) -> bool {
    let [Number::Finite(one), Number::Finite(two)] = numbers else { return numbers[0] == numbers[1] };
    match bound {
        Bound::Absolute(bound) => near_finite([one, two], &bound.into()),
        Bound::Relative(fraction) => {
            let (one_absolute, two_absolute) = (one.absolute(), two.absolute());
            let larger = if one_absolute.at_least(&two_absolute) { one_absolute } else { two_absolute };
            near_finite([one, two], &larger.times(&fraction.into()))
        }
    }
}

fn near_finite([one, two]: [&Finite; 2], bound: &Finite) -> bool {
    if bound.negative {
        return false;
    }
    if one == two {
        return true;
    }
    let exponent = one.exponent.min(two.exponent).min(bound.exponent);
    if let (Some(one), Some(two), Some(bound)) = (one.scaled(exponent), two.scaled(exponent), bound.scaled(exponent))
        && let Some(distance) = one.checked_sub(two)
    {
        return distance.unsigned_abs() <= bound.unsigned_abs();
    }
    if bound.is_zero() {
        return false;
    }
    // By magnitude first, so that 1e10000 against 1 expands nothing. Both zero was decided above.
    let magnitudes = [one, two].map(|value| if value.is_zero() { i64::MIN } else { value.magnitude() });
    let (larger, smaller) = (magnitudes[0].max(magnitudes[1]), magnitudes[0].min(magnitudes[1]));
    let bound_magnitude = bound.magnitude();
    // |a − b| < 2 × 10^larger < 10^(larger + 1) ≤ 10^(bound_magnitude − 1) ≤ bound.
    if bound_magnitude > larger + 1 {
        return true;
    }
    // |a − b| > 10^(larger − 1) − 10^(larger − 2) > 10^(larger − 2) ≥ 10^bound_magnitude > bound.
    if smaller <= larger - 2 && bound_magnitude <= larger - 2 {
        return false;
    }
    (one.signed(exponent) - two.signed(exponent)).magnitude() <= bound.signed(exponent).magnitude()
}
