//! NUMERIC as PostgreSQL sends it: digits of base 10,000, exact to the last one.

use arrow::datatypes::i256;

/// A NUMERIC's bytes, taken apart.
pub(super) struct Numeric<'a> {
    /// The power of 10,000 of the first digit.
    weight: i32,
    sign: u16,
    /// Digits after the point, as they are shown.
    scale: usize,
    /// Two bytes each.
    digits: &'a [u8],
}

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

impl<'a> Numeric<'a> {
    /// None where the bytes are no NUMERIC.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let part = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let numeric = Self {
            weight: i32::from(part(2)?.cast_signed()),
            sign: part(4)?,
            scale: usize::from(part(6)?),
            digits: bytes.get(8..)?,
        };
        (numeric.digits.len() == 2 * usize::from(part(0)?)).then_some(numeric)
    }

    fn digits(&self) -> impl Iterator<Item = u16> {
        self.digits.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// The value times `10^scale`; None where that is no whole number, does not fit, or is none at all.
    pub(super) fn scaled<T: Whole>(&self, scale: i8) -> Option<T> {
        if self.sign != NEGATIVE && self.sign != 0 {
            return None;
        }
        let mut sum = T::default();
        // The power of ten that one of the last digit stands for.
        let mut power = 4 * (self.weight + 1) + i32::from(scale);
        for digit in self.digits() {
            power -= 4;
            let (kept, cut) = match power {
                0.. => (10_000, 1),
                -1 => (1000, 10),
                -2 => (100, 100),
                -3 => (10, 1000),
                _ => (1, 10_000),
            };
            if i32::from(digit) % cut != 0 {
                return None;
            }
            sum = sum.shifted(kept, i32::from(digit) / cut)?;
        }
        for _ in 0..power.max(0) {
            sum = sum.shifted(10, 0)?;
        }
        if self.sign == NEGATIVE { sum.negated() } else { Some(sum) }
    }

    /// The value in decimal notation.
    pub(super) fn write(&self, out: &mut String) {
        match self.sign {
            NAN => return out.push_str("NaN"),
            INFINITY => return out.push_str("Infinity"),
            NEGATIVE_INFINITY => return out.push_str("-Infinity"),
            NEGATIVE => out.push('-'),
            _ => {}
        }
        let digit = |power: i32| {
            let index = usize::try_from(self.weight - power).ok()?;
            let pair = self.digits.get(2 * index..2 * index + 2)?;
            Some(u16::from_be_bytes([pair[0], pair[1]]))
        };
        if self.weight < 0 {
            out.push('0');
        }
        for power in (0..=self.weight).rev() {
            let digit = digit(power).unwrap_or(0);
            if power == self.weight { out.push_str(&digit.to_string()) } else { out.push_str(&format!("{digit:04}")) }
        }
        if self.scale == 0 {
            return;
        }
        out.push('.');
        let begin = out.len();
        let mut power = -1;
        while out.len() - begin < self.scale {
            out.push_str(&format!("{:04}", digit(power).unwrap_or(0)));
            power -= 1;
        }
        out.truncate(begin + self.scale);
    }
}

/// Whole numbers that never overflow unseen.
pub(super) trait Whole: Copy + Default {
    /// This times a power of ten, and a digit more.
    fn shifted(self, by: i32, digit: i32) -> Option<Self>;
    /// This below zero.
    fn negated(self) -> Option<Self>;
}

impl Whole for i128 {
    fn shifted(self, by: i32, digit: i32) -> Option<Self> {
        self.checked_mul(by.into())?.checked_add(digit.into())
    }

    fn negated(self) -> Option<Self> {
        self.checked_neg()
    }
}

impl Whole for i256 {
    fn shifted(self, by: i32, digit: i32) -> Option<Self> {
        self.checked_mul(Self::from_i128(by.into()))?.checked_add(Self::from_i128(digit.into()))
    }

    fn negated(self) -> Option<Self> {
        self.checked_neg()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number as the server would send it.
    fn sent(text: &str) -> Vec<u8> {
        let (sign, text) = text.strip_prefix('-').map_or((0, text), |rest| (NEGATIVE, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let scale = fraction.len();
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let mut weight = i16::try_from(whole.len() / 4).unwrap() - 1;
        let all = format!("{whole}{fraction}");
        let mut digits: Vec<u16> = (0..all.len() / 4).map(|at| all[4 * at..4 * at + 4].parse().unwrap()).collect();
        while digits.first() == Some(&0) {
            digits.remove(0);
            weight -= 1;
        }
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let head = [u16::try_from(digits.len()).unwrap(), weight.cast_unsigned(), sign, u16::try_from(scale).unwrap()];
        head.iter().chain(&digits).flat_map(|part| part.to_be_bytes()).collect()
    }

    #[test]
    fn every_number_is_exact_in_decimal_notation_and_as_a_scaled_integer() {
        let cases = [
            ("0", 0, Some(0)),
            ("1", 2, Some(100)),
            ("-12345.6789", 4, Some(-123_456_789)),
            ("12345.6789", 3, None),
            ("0.0001", 4, Some(1)),
            ("0.00000001", 8, Some(1)),
            ("0.00010000", 5, Some(10)),
            ("10000000000", 1, Some(100_000_000_000)),
            ("123456789012345678901234567890123456.78", 2, Some(12_345_678_901_234_567_890_123_456_789_012_345_678)),
            ("0.10", 1, Some(1)),
            ("90000.5", 1, Some(900_005)),
            ("0.000000010001", 8, None),
            ("0.05", 1, None),
        ];
        for (text, scale, scaled) in cases {
            let bytes = sent(text);
            let numeric = Numeric::read(&bytes).unwrap();
            let mut written = String::new();
            numeric.write(&mut written);
            assert_eq!(written, text);
            assert_eq!(numeric.scaled::<i128>(scale), scaled, "{text}");
            assert_eq!(numeric.scaled::<i256>(scale), scaled.map(i256::from_i128), "{text}");
        }
        for (sign, name) in [(NAN, "NaN"), (INFINITY, "Infinity"), (NEGATIVE_INFINITY, "-Infinity")] {
            let bytes: Vec<u8> = [0, 0, sign, 0].iter().flat_map(|part| part.to_be_bytes()).collect();
            let numeric = Numeric::read(&bytes).unwrap();
            let mut written = String::new();
            numeric.write(&mut written);
            assert_eq!((written.as_str(), numeric.scaled::<i128>(2)), (name, None));
        }
        assert!(Numeric::read(&[0, 1, 0, 0, 0, 0, 0, 0]).is_none());
    }
}
