//! What a column is: from the storage classes that all its values have, and the type that it is declared with. No class
//! is ever converted into another where that could make two values alike that are not.

use arrow::datatypes::{DataType, Field};

use crate::notation::{Notation, field, unmapped};

/// The storage classes that the values of a column have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Some value is an integer.
    pub integer: bool,
    /// Some integer is neither 0 nor 1.
    pub beyond_bit: bool,
    /// Some value is a float.
    pub real: bool,
    /// Some value is text.
    pub text: bool,
    /// Some text is written as a number.
    pub written_number: bool,
    /// Some value is bytes.
    pub blob: bool,
}

/// What a column is read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only NULL.
    Null,
    /// Declared boolean, and 0 or 1 in every row.
    Boolean,
    /// Integers only.
    Integer,
    /// Floats only.
    Real,
    /// Integers and floats, or, in a column of numbers, texts that are none.
    Number,
    /// Text only.
    Text,
    /// Bytes only.
    Blob,
    /// Classes that have nothing in common, as a type's name.
    Mixed(String),
}

/// What a column is.
pub(super) fn kind(declared: &str, seen: Seen) -> Kind {
    match (seen.integer, seen.real, seen.text, seen.blob) {
        (false, false, false, false) => Kind::Null,
        (true, false, false, false) if is_boolean(declared) && !seen.beyond_bit => Kind::Boolean,
        (true, false, false, false) => Kind::Integer,
        (false, true, false, false) => Kind::Real,
        (true, true, false, false) => Kind::Number,
        (false, false, true, false) => Kind::Text,
        (false, false, false, true) => Kind::Blob,
        // SQLite makes numbers of all texts that are numbers in such a column, so these are none and will not parse. It does not
        // in a column of a STRICT table that is declared ANY, nor in a view.
        (_, _, true, false) if is_numeric(declared) && !seen.written_number => Kind::Number,
        _ => Kind::Mixed(mixed(seen)),
    }
}

impl Kind {
    /// The Arrow field.
    pub(super) fn field(&self, name: &str) -> Field {
        match self {
            Self::Null => Field::new(name, DataType::Null, true),
            Self::Boolean => Field::new(name, DataType::Boolean, true),
            // The width is only what SQLite stores, and bounds no other side's values.
            Self::Integer => field(name, DataType::Int64, Notation::Number),
            Self::Real => Field::new(name, DataType::Float64, true),
            Self::Number => field(name, DataType::Utf8, Notation::Number),
            Self::Text => Field::new(name, DataType::Utf8, true),
            Self::Blob => Field::new(name, DataType::Binary, true),
            Self::Mixed(said) => unmapped(name, said),
        }
    }
}

fn mixed(seen: Seen) -> String {
    let classes = [(seen.integer, "integer"), (seen.real, "real"), (seen.text, "text"), (seen.blob, "blob")];
    let classes: Vec<&str> = classes.iter().filter(|(is_there, _)| *is_there).map(|(_, name)| *name).collect();
    format!("mixed {} values", classes.join(" and "))
}

fn is_boolean(declared: &str) -> bool {
    declared.eq_ignore_ascii_case("boolean") || declared.eq_ignore_ascii_case("bool")
}

/// Whether a declared type has an affinity for numbers, by SQLite's own rules.
fn is_numeric(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        return true;
    }
    !(declared.is_empty() || has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB"))
}

/// Whether a text may be read as a number somewhere: with either separator, among blanks, or as an infinity.
pub(super) fn is_written_number(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let body = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity") {
        return true;
    }
    let (mantissa, exponent) = match body.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) {
        Some(at) => (&body[..at], &body[at + 1..]),
        None => (body, &b"0"[..]),
    };
    let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
    let digits = |part: &[u8]| part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_number = digits(mantissa) > 0
        && digits(mantissa) + 1 >= mantissa.len()
        && mantissa.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
    is_number && digits(exponent) > 0 && digits(exponent) == exponent.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_decide_and_the_declared_type_only_names() {
        let none = Seen::default();
        let integer = Seen { integer: true, beyond_bit: true, ..none };
        let bit = Seen { integer: true, ..none };
        let (real, text, blob) =
            (Seen { real: true, ..none }, Seen { text: true, ..none }, Seen { blob: true, ..none });
        let cases = [
            ("INTEGER", none, Kind::Null),
            ("BOOLEAN", bit, Kind::Boolean),
            ("BOOLEAN", integer, Kind::Integer),
            ("TINYINT(1)", bit, Kind::Integer),
            ("TEXT", integer, Kind::Integer),
            ("DECIMAL(12,2)", Seen { real: true, ..integer }, Kind::Number),
            ("DECIMAL(12,2)", real, Kind::Real),
            ("DATE", text, Kind::Text),
            ("", blob, Kind::Blob),
            ("INTEGER", Seen { text: true, ..integer }, Kind::Number),
            ("FLOATING POINT", Seen { text: true, ..integer }, Kind::Number),
            ("", Seen { text: true, ..integer }, Kind::Mixed("mixed integer and text values".to_owned())),
            (
                "ANY",
                Seen { text: true, written_number: true, ..integer },
                Kind::Mixed("mixed integer and text values".to_owned()),
            ),
            ("INTEGER", Seen { written_number: true, ..text }, Kind::Text),
            ("VARCHAR(3)", Seen { text: true, ..real }, Kind::Mixed("mixed real and text values".to_owned())),
            ("INTEGER", Seen { blob: true, ..integer }, Kind::Mixed("mixed integer and blob values".to_owned())),
        ];
        for (declared, seen, expected) in cases {
            assert_eq!(kind(declared, seen), expected, "{declared} {seen:?}");
        }
    }

    #[test]
    fn whatever_any_side_may_read_as_a_number_is_written_as_one() {
        for text in ["007", "8", " 8 ", "-1.5e+3", "2,5", ".5", "5.", "+1E5", "-inf", "Infinity"] {
            assert!(is_written_number(text.as_bytes()), "{text}");
        }
        for text in ["", "none", "12 apples", "2024-01-01", "1.2.3", "0x1F", "e5", "1e", "-", ".", "nan"] {
            assert!(!is_written_number(text.as_bytes()), "{text}");
        }
    }
}
