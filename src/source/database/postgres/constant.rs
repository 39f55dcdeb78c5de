//! Whether a filter chooses the same rows in every session and statement of one snapshot: each has its own `now()`, and its own
//! chance. Only what is made of columns, constants, operators and functions that the server knows to be immutable is
//! taken for the same. In doubt it is not, which costs speed alone. It asks the server about names, and reads no row.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::types::Column;
use crate::database::postgres::Failure;

/// Words of SQL that answer nothing by themselves.
const WORDS: [&str; 47] = [
    "all",
    "and",
    "any",
    "array",
    "asymmetric",
    "at",
    "between",
    "both",
    "by",
    "case",
    "cast",
    "coalesce",
    "day",
    "distinct",
    "else",
    "end",
    "escape",
    "extract",
    "false",
    "for",
    "from",
    "greatest",
    "hour",
    "ilike",
    "in",
    "is",
    "isnull",
    "leading",
    "least",
    "like",
    "minute",
    "month",
    "not",
    "notnull",
    "null",
    "nullif",
    "or",
    "second",
    "similar",
    "some",
    "substring",
    "symmetric",
    "then",
    "trailing",
    "true",
    "when",
    "year",
];
/// Types of which no text means another value at another time.
const TYPES: [&str; 20] = [
    "bigint", "bool", "boolean", "bytea", "decimal", "double", "float4", "float8", "int", "int2", "int4", "int8",
    "integer", "jsonb", "numeric", "real", "smallint", "text", "uuid", "varchar",
];
/// Types whose constants may be written behind their name.
const DATED: [&str; 6] = ["date", "interval", "time", "timestamp", "timestamptz", "timetz"];
/// What a date or time may be written as, and is another one every day.
const MOVING: [&str; 4] = ["now", "today", "tomorrow", "yesterday"];

/// Whether a filter over these columns is the same in every session.
pub(super) async fn is_constant(client: &Client, filter: &str, columns: &[Column]) -> Result<bool, Failure> {
    let is_column = |name: &str| columns.iter().any(|column| column.name == name);
    let Some(named) = named(filter, is_column) else { return Ok(false) };
    let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>();
    let (functions, operators) = (list(named.functions), list(named.operators));
    let asked = "SELECT (SELECT count(DISTINCT proname) FROM pg_catalog.pg_proc WHERE proname::text = ANY ($1::text[])) \
         = cardinality($1::text[]) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname::text = ANY ($1::text[]) AND provolatile <> 'i') \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode \
         WHERE o.oprname::text = ANY ($2::text[]) AND (p.provolatile = 'v' \
         OR p.provolatile = 's' AND p.pronamespace <> 'pg_catalog'::regnamespace))";
    let told = client.query_one(asked, &[&functions, &operators]).await;
    Ok(told.map_err(|error| Failure::of(&error))?.get(0))
}

/// What a filter calls.
#[derive(Debug, Default, PartialEq, Eq)]
struct Named {
    functions: BTreeSet<String>,
    operators: BTreeSet<String>,
}

/// What stands before a word or constant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A type is to follow.
    Cast,
    /// `at`, of `at time zone`.
    At,
    Constant,
    Other,
}

/// The functions and operators of a filter; None where it holds anything else that is not known to be constant.
fn named(filter: &str, is_column: impl Fn(&str) -> bool) -> Option<Named> {
    let mut named = Named::default();
    let mut rest = filter;
    let mut before = Before::Other;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return Some(named) };
        if rest.starts_with("--") {
            rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
            continue;
        }
        if rest.starts_with("/*") {
            return None;
        }
        (before, rest) = match first {
            '\'' => {
                let (constant, behind) = quoted(rest, '\'')?;
                // Two constants that follow each other are one.
                let is_moving = words_of(&constant).any(|word| MOVING.contains(&word.to_ascii_lowercase().as_str()));
                if is_moving || before == Before::Constant {
                    return None;
                }
                (Before::Constant, behind)
            }
            '"' => {
                let (name, behind) = quoted(rest, '"')?;
                let is_plain = is_column(&name) && before != Before::Cast && !behind.trim_start().starts_with('(');
                is_plain.then_some((Before::Other, behind))?
            }
            '0'..='9' => {
                let end = rest.find(|next: char| !(next.is_ascii_alphanumeric() || next == '.' || next == '_'));
                (Before::Other, end.map_or("", |end| &rest[end..]))
            }
            '(' | ')' | ',' | '.' | '[' | ']' => (Before::Other, &rest[1..]),
            ':' => (Before::Cast, rest.strip_prefix("::")?),
            _ if is_word(first) => word(rest, before, &is_column, &mut named)?,
            _ => (Before::Other, operator(rest, &mut named)?),
        };
    }
}

/// Takes a word; None where it is not known to be constant.
fn word<'a>(
    rest: &'a str,
    before: Before,
    is_column: impl Fn(&str) -> bool,
    named: &mut Named,
) -> Option<(Before, &'a str)> {
    let (word, behind) = rest.split_at(rest.find(|next: char| !is_word(next)).unwrap_or(rest.len()));
    let word = word.to_ascii_lowercase();
    let next = behind.trim_start().chars().next();
    // A letter before a constant may make it another one.
    if behind.starts_with('\'') && word.len() == 1 {
        return None;
    }
    if before == Before::Cast {
        return TYPES.contains(&word.as_str()).then_some((Before::Other, behind));
    }
    let is_dated = DATED.contains(&word.as_str()) && next == Some('\'');
    let is_zone = word == "zone" || word == "precision" || word == "time" && before == Before::At;
    if is_dated || is_zone || word == "as" || WORDS.contains(&word.as_str()) {
        let next = match word.as_str() {
            "as" => Before::Cast,
            "at" => Before::At,
            _ => Before::Other,
        };
        return Some((next, behind));
    }
    if next == Some('(') {
        named.functions.insert(word);
        return Some((Before::Other, behind));
    }
    is_column(&word).then_some((Before::Other, behind))
}

/// Takes an operator; None for what is none.
fn operator<'a>(rest: &'a str, named: &mut Named) -> Option<&'a str> {
    let is_part = |next: char| "+-*/<>=~!@#%^&|`?".contains(next);
    let mut end = rest.find(|next: char| !is_part(next)).unwrap_or(rest.len());
    for comment in ["--", "/*"] {
        end = rest.find(comment).map_or(end, |at| end.min(at));
    }
    let (operator, behind) = rest.split_at(end);
    // Behind `&` a quote may be of another kind.
    if operator.is_empty() || operator.ends_with('&') && behind.starts_with(['\'', '"']) {
        return None;
    }
    // A sign may stand close to what is before it.
    let signed = [operator.trim_end_matches(['+', '-']), operator].map(str::to_owned);
    named.operators.extend(signed.into_iter().filter(|operator| !operator.is_empty()));
    Some(behind)
}

/// What stands in quotes, and what behind them; None where they do not end.
fn quoted(rest: &str, quote: char) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut rest = rest.strip_prefix(quote)?;
    loop {
        let (part, behind) = rest.split_once(quote)?;
        text.push_str(part);
        match behind.strip_prefix(quote) {
            Some(behind) => {
                text.push(quote);
                rest = behind;
            }
            None => return Some((text, behind)),
        }
    }
}

fn is_word(part: char) -> bool {
    part.is_ascii_alphanumeric() || part == '_' || !part.is_ascii()
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|part: char| !part.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(filter: &str) -> Option<(String, String)> {
        let columns = ["id", "day", "valid_to", "Odd Name", "note"];
        let named = named(filter, |name| columns.contains(&name))?;
        let list = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(" ");
        Some((list(named.functions), list(named.operators)))
    }

    #[test]
    fn what_is_made_of_columns_and_constants_is_the_same_everywhere() {
        let cases = [
            ("id > 10 -- the first ones are tests", "", ">"),
            ("ID BETWEEN 1 AND 2.5e3 or \"Odd Name\" is not null", "", ""),
            ("day >= date '2026-01-01' and valid_to < timestamp '2026-01-01 00:00'", "", "< >="),
            ("id::numeric = -1 and note = 'it''s snow'", "", "- ="),
            ("lower(note) LIKE 'a%' AND id in (1, 2)", "lower", ""),
            ("cast(note as integer) <>-1 or id = any('{1,2}'::int[])", "", "<> <>- ="),
            ("valid_to at time zone 'UTC' > '2026-01-01'", "", ">"),
            ("extract(year from day) = 2026 and now(id)", "now", "="),
        ];
        for (filter, functions, operators) in cases {
            assert_eq!(calls(filter), Some((functions.to_owned(), operators.to_owned())), "{filter}");
        }
    }

    #[test]
    fn what_may_be_another_value_in_another_session_is_never_taken_for_the_same() {
        for filter in [
            "day < current_date",
            "valid_to > 'now'",
            "valid_to > timestamptz 'Tomorrow 00:00'",
            "valid_to > 'no'\n'w'",
            "valid_to > E'\\x6eow'",
            "valid_to > U&'\\006eow'",
            "note::timestamptz > '2026-01-01'",
            "cast(note as date) = '2026-01-01'",
            "id in (select id from other)",
            "other.id = 1",
            "\"other\" = 1",
            "id = $1",
            "note = $$x$$",
            "id = 1 /* so */",
            "note = user",
            "note = 'unfinished",
            "xmin = 1",
            "id = 1; select 1",
        ] {
            assert_eq!(calls(filter), None, "{filter}");
        }
    }
}
