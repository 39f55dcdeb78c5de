//! Parses the values of options: lists of columns, pairs, sizes. It never looks at files.

use crate::contract::parse_size;

/// A CSV list of columns, so that a name may hold a comma.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(pub Vec<String>);

/// `ATTRIBUTE=COLUMN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnPair {
    /// The contract's name.
    pub attribute: String,
    /// The projection's name.
    pub column: String,
}

/// `[COLUMN=]VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToleranceOf {
    /// The column, if one is named.
    pub column: Option<String>,
    /// The tolerance as written; the contract's checks parse it.
    pub value: String,
}

/// `COLUMN=TYPE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// The column.
    pub column: String,
    /// The type as written; the contract's checks parse it.
    pub value: String,
}

/// Reads a CSV record of column names.
pub(super) fn columns(text: &str) -> Result<Columns, String> {
    let mut names = Vec::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    for record in reader.records() {
        if !names.is_empty() {
            return Err("has more than one line, expected one list of columns".to_owned());
        }
        let record = record.map_err(|error| format!("is not CSV: {error}"))?;
        names.extend(record.iter().map(str::to_owned));
    }
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err("holds an empty name, expected columns like `id` or `country,code`".to_owned());
    }
    Ok(Columns(names))
}

/// Reads `ATTRIBUTE=COLUMN`, split at the first `=` outside double quotes.
pub(super) fn pair(text: &str) -> Result<ColumnPair, String> {
    let expected = || "expected `attribute=projection_column`".to_owned();
    let (attribute, column) = if text.starts_with('"') {
        let close = closing_quote(text).ok_or_else(|| "a double quote is not closed".to_owned())?;
        let column = text[close + 1..].strip_prefix('=').ok_or_else(expected)?;
        (text[1..close].replace("\"\"", "\""), column)
    } else {
        let (attribute, column) = text.split_once('=').ok_or_else(expected)?;
        (attribute.to_owned(), column)
    };
    if attribute.is_empty() || column.is_empty() {
        return Err(expected());
    }
    Ok(ColumnPair { attribute, column: column.to_owned() })
}

/// Where the quote that opens the text is closed; a doubled quote stands for one.
fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut index = 1;
    while index < bytes.len() {
        if bytes[index] == b'"' {
            if bytes.get(index + 1) != Some(&b'"') {
                return Some(index);
            }
            index += 1;
        }
        index += 1;
    }
    None
}

/// Reads `[COLUMN=]VALUE`, split at the last `=`: a value never holds one, a name may.
pub(super) fn tolerance(text: &str) -> Result<ToleranceOf, String> {
    let (column, value) = match text.rsplit_once('=') {
        Some((column, value)) => (Some(column), value),
        None => (None, text),
    };
    if value.trim().is_empty() || column.is_some_and(str::is_empty) {
        return Err("expected a tolerance like `0.01`, `1%` or `price=0.01`".to_owned());
    }
    Ok(ToleranceOf { column: column.map(str::to_owned), value: value.to_owned() })
}

/// Reads `COLUMN=TYPE`, split at the last `=`: a type never holds one, a name may.
pub(super) fn column_type(text: &str) -> Result<ColumnType, String> {
    match text.rsplit_once('=') {
        Some((column, value)) if !column.is_empty() && !value.trim().is_empty() => {
            Ok(ColumnType { column: column.to_owned(), value: value.to_owned() })
        }
        _ => Err("expected a column and its type like `price=decimal(12,2)`".to_owned()),
    }
}

/// Reads a length of time like `24h`, `90m` or `1d`.
pub(super) fn length(text: &str) -> Result<jiff::SignedDuration, String> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok());
    let length = match days {
        Some(days) => days.checked_mul(24 * 60 * 60).map(jiff::SignedDuration::from_secs),
        None => text.trim().parse().ok(),
    };
    length
        .filter(|length| !length.is_negative())
        .ok_or_else(|| "expected a length of time like `24h` or `90m`".to_owned())
}

/// Reads a size like `4GiB`, `512 MB` or `1048576` into bytes, as the contract file does.
pub(super) fn size(text: &str) -> Result<u64, String> {
    parse_size(text)
}

/// `--threads` as the batch takes it; what is too large was refused before.
pub(super) fn threads(asked: Option<u64>) -> Option<usize> {
    asked.and_then(|threads| usize::try_from(threads).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_columns_is_csv() {
        let cases: [(&str, &[&str]); 5] = [
            ("id", &["id"]),
            ("country,code", &["country", "code"]),
            (r#""a,b",c"#, &["a,b", "c"]),
            (r#""say ""hi""",x"#, &[r#"say "hi""#, "x"]),
            ("with space, kept", &["with space", " kept"]),
        ];
        for (text, expected) in cases {
            assert_eq!(columns(text).unwrap().0, expected, "{text}");
        }
        for text in ["", ",", "a,,b", "a\nb"] {
            assert!(columns(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_pair_splits_at_the_first_sign_outside_quotes() {
        let cases = [
            ("a=b", "a", "b"),
            ("a=b=c", "a", "b=c"),
            (r#""a=b"=c"#, "a=b", "c"),
            (r#""say ""=""" =x"#, "", ""),
            (r#""say ""=""" "#, "", ""),
            (r#""q""="="x""#, r#"q"="#, r#""x""#),
        ];
        for (text, attribute, column) in cases {
            let parsed = pair(text);
            if attribute.is_empty() {
                assert!(parsed.is_err(), "{text} was accepted");
            } else {
                assert_eq!(
                    parsed.unwrap(),
                    ColumnPair { attribute: attribute.to_owned(), column: column.to_owned() },
                    "{text}"
                );
            }
        }
        for text in ["a", "=b", "a=", "\"a=b"] {
            assert!(pair(text).is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn a_tolerance_and_a_type_split_at_the_last_sign() {
        let bare = ToleranceOf { column: None, value: "0.01".to_owned() };
        assert_eq!(tolerance("0.01").unwrap(), bare);
        let named = ToleranceOf { column: Some("a=b".to_owned()), value: "1%".to_owned() };
        assert_eq!(tolerance("a=b=1%").unwrap(), named);
        let typed = ColumnType { column: "a=b".to_owned(), value: "decimal(12, 2)".to_owned() };
        assert_eq!(column_type("a=b=decimal(12, 2)").unwrap(), typed);
        assert!(tolerance("price=").is_err());
        assert!(tolerance("=1").is_err());
        assert!(column_type("price").is_err());
    }

    #[test]
    fn sizes_are_exact() {
        let cases = [
            ("1GiB", 1 << 30),
            ("4 GiB", 4 << 30),
            ("512 MB", 512_000_000),
            ("512mb", 512_000_000),
            ("1.5 KiB", 1536),
            ("1048576", 1_048_576),
            ("1b", 1),
            ("2TB", 2_000_000_000_000),
            ("1G", 1 << 30),
            ("1T", 1 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "GiB", "-1", "1 parsec", "0", "1.2.3 MB", "99999999999999999 TiB", "1e9", "999999999999999999999"]
        {
            assert!(size(text).is_err(), "{text} was accepted");
        }
    }
}
