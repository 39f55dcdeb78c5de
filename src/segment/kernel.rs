//! The texts, lanes and segments of canonical batches: what a database does in SQL, done here. A row with a fault, or a value
//! that its form does not cover, has no lanes.

use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Int64Type, TimeUnit, TimestampNanosecondType,
};
use jiff::Timestamp;
use jiff::tz::Offset;
use md5::{Digest, Md5};

use super::{Cut, Form};
use crate::normalise::{Binding, CanonicalBatch, CanonicalColumn, Comparison, Number};

/// Digits before or after the point beyond which a number is not written.
const DIGITS: usize = 400;
const MICROSECOND: i128 = 1000;
const SECOND: i128 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;

/// Computes what a database is asked for.
pub struct Kernel {
    /// Of each attribute, and the digits behind the point of its numbers.
    forms: Vec<(Form, i8)>,
    key_count: usize,
}

impl Kernel {
    /// For a binding all of whose attributes have a form.
    #[must_use]
    pub fn new(binding: &Binding) -> Option<Self> {
        let forms = binding.attributes.iter().map(|attribute| {
            let scale = if let Comparison::Decimal { scale, .. } = attribute.comparison { scale } else { 0 };
            Form::of(&attribute.comparison).map(|form| (form, scale))
        });
        Some(Self { forms: forms.collect::<Option<_>>()?, key_count: binding.key_count })
    }

    /// The texts of a batch, of the key alone or of all attributes.
    #[must_use]
    pub fn texts(&self, batch: &CanonicalBatch, only_key: bool) -> Texts {
        let count = if only_key { self.key_count } else { self.forms.len() };
        let columns = batch.columns.iter().zip(&self.forms).take(count);
        let columns = columns.enumerate().map(|(index, (column, form))| {
            let mut field = Field::new(batch.rows);
            field.fill(column, *form, index < self.key_count);
            field
        });
        Texts { columns: columns.collect(), key_count: self.key_count, number: leading(batch), text: Vec::new() }
    }
}

/// The leading attribute of the key, where it is a whole number of 64 bits.
fn leading(batch: &CanonicalBatch) -> Option<ArrayRef> {
    let values = &batch.columns.first()?.values;
    match values.data_type() {
        DataType::Int64 | DataType::Decimal128(_, 0) => Some(values.clone()),
        _ => None,
    }
}

/// The texts of a batch.
pub struct Texts {
    columns: Vec<Field>,
    key_count: usize,
    number: Option<ArrayRef>,
    text: Vec<u8>,
}

impl Texts {
    /// The lanes of a row; None where no sum tells about it.
    pub fn lanes(&mut self, row: usize) -> Option<[u32; 4]> {
        self.row(row, self.columns.len()).map(lanes)
    }

    /// The text of a row; None where no sum tells about it.
    pub fn text(&mut self, row: usize) -> Option<&[u8]> {
        self.row(row, self.columns.len())
    }

    /// The leading number of a row's key.
    #[must_use]
    pub fn number(&self, row: usize) -> Option<i64> {
        let values = self.number.as_ref()?;
        if values.is_null(row) {
            return None;
        }
        match values.data_type() {
            DataType::Int64 => Some(values.as_primitive::<Int64Type>().value(row)),
            _ => i64::try_from(values.as_primitive::<Decimal128Type>().value(row)).ok(),
        }
    }

    /// The segment of a row; None where it is in none.
    pub fn segment(&mut self, cut: &Cut, row: usize) -> Option<u32> {
        match cut {
            Cut::Ranges(stretches) => {
                let number = self.number(row)?;
                let behind = stretches.partition_point(|stretch| stretch.low <= number);
                let stretch = stretches[behind.checked_sub(1)?];
                if number > stretch.high {
                    return None;
                }
                let index = u64::try_from(i128::from(number) - i128::from(stretch.low)).ok()? / stretch.step;
                u32::try_from(index).ok().filter(|index| *index < stretch.count).map(|index| stretch.first + index)
            }
            Cut::Hash { bits } => {
                let [lane, ..] = self.row(row, self.key_count).map(lanes)?;
                Some(if *bits == 0 { 0 } else { lane >> (32 - bits) })
            }
        }
    }

    /// The fields of a row up to one, joined.
    fn row(&mut self, row: usize, count: usize) -> Option<&[u8]> {
        self.text.clear();
        for (index, column) in self.columns[..count].iter().enumerate() {
            if index > 0 {
                self.text.push(b'|');
            }
            self.text.extend_from_slice(column.at(row)?);
        }
        Some(&self.text)
    }
}

/// The MD5 of a text as four numbers.
fn lanes(text: &[u8]) -> [u32; 4] {
    let digest: [u8; 16] = Md5::digest(text).into();
    let mut lanes = [0; 4];
    for (lane, bytes) in lanes.iter_mut().zip(digest.chunks_exact(4)) {
        *lane = bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    }
    lanes
}

/// The texts of one column.
struct Field {
    bytes: Vec<u8>,
    /// Where each row's text ends; it begins where the one before ends.
    ends: Vec<usize>,
    /// Rows whose value is not covered, ascending.
    unsure: Vec<u32>,
}

impl Field {
    fn new(rows: usize) -> Self {
        Self { bytes: Vec::new(), ends: Vec::with_capacity(rows), unsure: Vec::new() }
    }

    fn at(&self, row: usize) -> Option<&[u8]> {
        if !self.unsure.is_empty() && u32::try_from(row).is_ok_and(|row| self.unsure.binary_search(&row).is_ok()) {
            return None;
        }
        let begin = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[begin..self.ends[row]])
    }

    /// Writes all values of a column; NULL in a key is not covered.
    fn fill(&mut self, column: &CanonicalColumn, form: (Form, i8), is_key: bool) {
        let values = column.values.as_ref();
        let nulls = values.logical_nulls();
        let mut faults = column.faults.iter().map(|fault| fault.row).peekable();
        for row in 0..values.len() {
            let number = u32::try_from(row).expect("a batch has fewer than 2³² rows");
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            let covered = if faults.next_if_eq(&number).is_some() {
                false
            } else if is_null {
                self.bytes.extend_from_slice(b"\\N");
                !is_key
            } else {
                self.write(values, row, form).is_some()
            };
            if !covered {
                self.unsure.push(number);
            }
            self.ends.push(self.bytes.len());
        }
    }

    /// Writes one value that is there; None where the form does not cover it.
    fn write(&mut self, values: &dyn Array, row: usize, (form, scale): (Form, i8)) -> Option<()> {
        let out = &mut self.bytes;
        match form {
            Form::Number => number(values, row, scale, out)?,
            Form::Boolean => out.push(if values.as_boolean_opt()?.value(row) { b'1' } else { b'0' }),
            Form::Text => escaped(bytes_of(values, row)?, out),
            Form::Bytes => bytes_of(values, row)?.iter().for_each(|byte| hex(*byte, out)),
            Form::Date => {
                let days = values.as_primitive_opt::<Date32Type>()?.value(row);
                let date = civil(i64::from(days).checked_mul(DAY_SECONDS)?, 0)?.date();
                write!(out, "{date}").ok()?;
            }
            Form::Stamp => stamp(values, row, out)?,
            Form::Uuid => {
                for (index, byte) in bytes_of(values, row)?.iter().enumerate() {
                    if matches!(index, 4 | 6 | 8 | 10) {
                        out.push(b'-');
                    }
                    hex(*byte, out);
                }
            }
        }
        Some(())
    }
}

fn number(values: &dyn Array, row: usize, scale: i8, out: &mut Vec<u8>) -> Option<()> {
    let digits = match values.data_type() {
        DataType::Int64 if scale == 0 => return write!(out, "{}", values.as_primitive::<Int64Type>().value(row)).ok(),
        DataType::Int64 => values.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Decimal128(..) => values.as_primitive::<Decimal128Type>().value(row).to_string(),
        DataType::Decimal256(..) => values.as_primitive::<Decimal256Type>().value(row).to_string(),
        _ => {
            let (coefficient, exponent) = Number::from_canonical(bytes_of(values, row)?)?.parts()?;
            return plain(&coefficient.to_string(), exponent, out);
        }
    };
    plain(&digits, -i32::from(scale), out)
}

/// Digits times a power of ten, without zeros behind the point that nothing follows.
fn plain(digits: &str, exponent: i32, out: &mut Vec<u8>) -> Option<()> {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let places = exponent.unsigned_abs() as usize;
    if digits.len() + places > DIGITS {
        return None;
    }
    if digits == "0" {
        out.push(b'0');
        return Some(());
    }
    out.extend_from_slice(sign.as_bytes());
    if exponent >= 0 {
        out.extend_from_slice(digits.as_bytes());
        out.extend(std::iter::repeat_n(b'0', places));
        return Some(());
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let fraction = fraction.trim_end_matches('0');
    out.extend_from_slice(whole.as_bytes());
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    Some(())
}

/// Text with separator and escape character escaped.
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if matches!(byte, b'\\' | b'|') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

fn hex(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// The bytes of a text or of bytes, whatever their layout.
fn bytes_of(values: &dyn Array, row: usize) -> Option<&[u8]> {
    Some(match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => values.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => values.as_string_view().value(row).as_bytes(),
        DataType::Binary => values.as_binary::<i32>().value(row),
        DataType::LargeBinary => values.as_binary::<i64>().value(row),
        DataType::BinaryView => values.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => values.as_fixed_size_binary().value(row),
        _ => return None,
    })
}

/// A moment to the microsecond; None where it is finer.
fn stamp(values: &dyn Array, row: usize, out: &mut Vec<u8>) -> Option<()> {
    let nanoseconds = match values.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            i128::from(values.as_primitive::<TimestampNanosecondType>().value(row))
        }
        _ => values.as_primitive_opt::<Decimal128Type>()?.value(row),
    };
    if nanoseconds % MICROSECOND != 0 {
        return None;
    }
    let (second, rest) = (nanoseconds.div_euclid(SECOND), nanoseconds.rem_euclid(SECOND));
    let moment = civil(i64::try_from(second).ok()?, 0)?;
    let (date, time) = (moment.date(), moment.time());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    write!(out, "{date} {hour:02}:{minute:02}:{second:02}.{:06}", rest / MICROSECOND).ok()
}

/// The day and time of a second since 1970, in the years that every system writes with four digits.
fn civil(second: i64, nanosecond: i32) -> Option<jiff::civil::DateTime> {
    let moment = Offset::UTC.to_datetime(Timestamp::new(second, nanosecond).ok()?);
    (1..=9999).contains(&moment.year()).then_some(moment)
}
