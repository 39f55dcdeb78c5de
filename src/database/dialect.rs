//! How each system writes names in SQL. Every name is quoted, so that it means what it says and nothing else.

use crate::contract::System;

/// A name in SQL: quoted, its own quotes doubled.
#[must_use]
pub fn quoted_name(system: System, name: &str) -> String {
    let quote = quote_of(system);
    let doubled: String = [quote, quote].iter().collect();
    format!("{quote}{}{quote}", name.replace(quote, &doubled))
}

/// A table's name as users write it (`public.orders`, or with quotes where a part holds a dot), in SQL.
///
/// # Errors
/// What is wrong with it.
pub fn quoted_table(system: System, written: &str) -> Result<String, String> {
    let parts = table_parts(written)?;
    Ok(parts.iter().map(|part| quoted_name(system, part)).collect::<Vec<_>>().join("."))
}

/// The parts of a table's name as users write it: `public.orders`, `"odd.name"."Orders"`. Names are taken as they stand,
/// without folding their case.
///
/// # Errors
/// What is wrong with it.
pub fn table_parts(written: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut rest = written;
    loop {
        let (part, behind) = if let Some(quote @ ('"' | '`')) = rest.chars().next() {
            quoted_part(rest, quote)
                .ok_or_else(|| format!("the table `{written}` opens a quote and never closes it"))?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        if part.is_empty() {
            return Err(format!("the table `{written}` has an empty part, expected a name such as public.orders"));
        }
        parts.push(part);
        match behind.strip_prefix('.') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(parts),
            None => return Err(format!("the table `{written}` has text behind a quote, expected a dot")),
        }
    }
}

/// A quoted part at the start of a text, and what stands behind it.
fn quoted_part(text: &str, quote: char) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find(quote)?;
        part.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(behind) => {
                part.push(quote);
                rest = behind;
            }
            None => return Some((part, rest)),
        }
    }
}

fn quote_of(system: System) -> char {
    match system {
        System::Postgres | System::Sqlite => '"',
        System::Mysql => '`',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself_whatever_it_holds() {
        assert_eq!(quoted_name(System::Postgres, r#"a"; drop table b; --"#), r#""a""; drop table b; --""#);
        assert_eq!(quoted_name(System::Mysql, "a`b"), "`a``b`");
        assert_eq!(quoted_name(System::Sqlite, "order"), "\"order\"");
    }

    #[test]
    fn a_table_may_be_written_with_and_without_quotes() {
        let cases: [(&str, &[&str]); 5] = [
            ("orders", &["orders"]),
            ("public.Orders", &["public", "Orders"]),
            (r#""odd.name"."it ""is""".x"#, &["odd.name", "it \"is\"", "x"]),
            ("`a``b`.c", &["a`b", "c"]),
            ("two words", &["two words"]),
        ];
        for (written, parts) in cases {
            assert_eq!(table_parts(written).unwrap(), parts, "{written}");
        }
        for wrong in ["", "a.", ".a", "\"a", "\"a\"b"] {
            assert!(table_parts(wrong).is_err(), "{wrong}");
        }
        assert_eq!(quoted_table(System::Mysql, "shop.orders").as_deref(), Ok("`shop`.`orders`"));
    }
}
