//! Exact sums of canonical numbers: whatever the order in which they are added, the result is the same to the last digit.
//! A float counts as its shortest decimal. It never rounds and never overflows.

use std::cmp::Ordering;

use num_bigint::{BigInt, Sign};

use super::{Finite, Number};

/// A sum at a common power of ten, which sinks as finer numbers are added.
#[derive(Clone, Debug, Default)]
pub struct ExactSum {
    exponent: i32,
    /// What fits; the rest is in `big`.
    small: i128,
    big: BigInt,
}

impl ExactSum {
    /// Powers of ten beyond which a number is not added, so that a sum stays small whatever the input: every float and every
    /// decimal lies within.
    const REACH: i64 = 400;

    /// Adds a number; false where it is none that can be added: NaN, an infinity, or a text beyond 10^±400.
    pub fn add(&mut self, number: &Number) -> bool {
        let Number::Finite(finite) = number else { return false };
        if finite.magnitude() > Self::REACH || i64::from(finite.exponent) < -Self::REACH {
            return false;
        }
        self.sink_to(finite.exponent);
        match finite.scaled(self.exponent).and_then(|units| self.small.checked_add(units)) {
            Some(sum) => self.small = sum,
            None => self.big += finite.signed(self.exponent),
        }
        true
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.sink_to(other.exponent);
        self.big += other.units_at(self.exponent);
    }

    /// This sum less another.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self { exponent, small: 0, big: self.units_at(exponent) - other.units_at(exponent) }
    }

    /// The same without its sign.
    #[must_use]
    pub fn absolute(&self) -> Self {
        let units = self.units_at(self.exponent);
        Self { exponent: self.exponent, small: 0, big: BigInt::from_biguint(Sign::Plus, units.into_parts().1) }
    }

    /// Whether it comes to nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.units_at(self.exponent).sign() == Sign::NoSign
    }

    /// Which is further from zero.
    #[must_use]
    pub fn compare_magnitudes(&self, other: &Self) -> Ordering {
        let exponent = self.exponent.min(other.exponent);
        self.units_at(exponent).magnitude().cmp(other.units_at(exponent).magnitude())
    }

    /// The sum as a number.
    #[must_use]
    pub fn number(&self) -> Number {
        let (sign, magnitude) = self.units_at(self.exponent).into_parts();
        Number::Finite(Finite::from_big(sign == Sign::Minus, &magnitude, self.exponent))
    }

    fn units_at(&self, exponent: i32) -> BigInt {
        let units = &self.big + self.small;
        let shift = u32::try_from(i64::from(self.exponent) - i64::from(exponent)).unwrap_or(0);
        if shift == 0 { units } else { units * BigInt::from(10).pow(shift) }
    }

    fn sink_to(&mut self, exponent: i32) {
        if exponent >= self.exponent {
            return;
        }
        let shift = u32::try_from(i64::from(self.exponent) - i64::from(exponent)).unwrap_or(0);
        let narrow = 10_i128.checked_pow(shift).and_then(|power| self.small.checked_mul(power));
        if let Some(small) = narrow.filter(|_| self.big.sign() == Sign::NoSign) {
            self.small = small;
        } else {
            self.big = self.units_at(exponent);
            self.small = 0;
        }
        self.exponent = exponent;
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.less(other).is_zero()
    }
}

impl std::fmt::Display for ExactSum {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(texts: &[&str]) -> ExactSum {
        let mut sum = ExactSum::default();
        for text in texts {
            assert!(sum.add(&Number::parse(text, '.').expect("a number")), "{text}");
        }
        sum
    }

    #[test]
    fn sums_are_exact_to_the_last_digit() {
        for (numbers, expected) in [
            (&["0.1", "0.2"][..], "0.3"),
            (&["99999999999999999999999999999999999999", "1"], "100000000000000000000000000000000000000"),
            (
                &["99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001"],
                "99999999999999999999999999999999999999.00000000000000000000000000000000000001",
            ),
            (&["1e300", "1", "-1e300"], "1"),
            (
                &["170141183460469231731687303715884105727", "170141183460469231731687303715884105727"],
                "340282366920938463463374607431768211454",
            ),
            (&["-0.10", "0.1"], "0"),
            (&["5e3", "0.5"], "5000.5"),
            (&[], "0"),
        ] {
            assert_eq!(sum(numbers).to_string(), expected, "{numbers:?}");
            let reversed: Vec<&str> = numbers.iter().rev().copied().collect();
            assert_eq!(sum(&reversed), sum(numbers));
        }
    }

    #[test]
    fn what_is_no_number_of_a_usual_size_is_not_added() {
        let mut held = sum(&["1"]);
        for text in ["NaN", "inf", "-inf", "1e401", "1e-401"] {
            assert!(!held.add(&Number::parse(text, '.').expect("a number")), "{text}");
        }
        assert_eq!(held.to_string(), "1");
        assert!(held.add(&Number::from_f64(f64::MAX)) && held.add(&Number::from_f64(5e-324)));
    }

    #[test]
    fn differences_are_ranked_by_magnitude() {
        let difference = sum(&["1.5"]).less(&sum(&["2.75"]));
        assert_eq!((difference.to_string().as_str(), difference.absolute().to_string().as_str()), ("-1.25", "1.25"));
        assert_eq!(difference.compare_magnitudes(&sum(&["1"])), Ordering::Greater);
        assert_eq!(difference.compare_magnitudes(&sum(&["1.250"])), Ordering::Equal);
    }

    proptest! {
        #[test]
        fn the_order_of_adding_and_merging_changes_nothing(
            numbers in proptest::collection::vec((any::<i64>(), -30_i32..30), 0..20),
            cut in 0_usize..20,
        ) {
            let number = |&(units, exponent): &(i64, i32)| Number::parse(&format!("{units}e{exponent}"), '.').expect("a number");
            let mut all = ExactSum::default();
            numbers.iter().for_each(|one| assert!(all.add(&number(one))));
            let (first, rest) = numbers.split_at(cut.min(numbers.len()));
            let mut parts = [ExactSum::default(), ExactSum::default()];
            rest.iter().rev().for_each(|one| assert!(parts[0].add(&number(one))));
            first.iter().rev().for_each(|one| assert!(parts[1].add(&number(one))));
            let [mut merged, other] = parts;
            merged.merge(&other);
            prop_assert_eq!(&merged, &all);
            let units: BigInt = numbers.iter().map(|(units, exponent)| BigInt::from(*units) * BigInt::from(10).pow((exponent + 30).unsigned_abs())).sum();
            prop_assert_eq!(all.units_at(-30), units);
        }
    }
}
