//! A list of a plan as an array of PostgreSQL: every element is a literal of the element's type, so that none of it is ever read as
//! SQL or as the text of an array. What an array cannot hold as a list does (lists of unequal length, objects) is said.

use serde_json::value::RawValue;

use super::given::Given;
use super::literal::literal;
use super::table::{Column, Family};
use crate::contract::System;

/// How many dimensions an array has at most.
const MOST: usize = 6;

/// An array that a list stands for, in SQL.
///
/// # Errors
/// What of it the column cannot hold, as a sentence part about the column.
pub(super) fn array(column: &Column, text: &str) -> Result<String, String> {
    let cannot = |what: &str| format!("column `{}` ({}) cannot hold {what}", column.name, column.shown);
    let element = column.element.as_deref().filter(|element| is_written(element.family));
    let element = element.ok_or_else(|| cannot("a list or an object"))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| cannot("what is no list"))?;
    let elements = elements(raw).ok_or_else(|| cannot("what is no list"))?;
    if elements.is_empty() {
        return Ok(format!("'{{}}'::{}", column.type_sql));
    }
    let (sql, dimensions) = within(element, &elements).map_err(|why| match why {
        Odd::Shape(what) => cannot(what),
        Odd::Element(said) => said,
    })?;
    if dimensions.len() > MOST {
        return Err(cannot("so many lists within each other"));
    }
    Ok(format!("{sql}::{}", column.type_sql))
}

/// Elements that one literal stands for. A `null` among documents would be two things.
fn is_written(family: Family) -> bool {
    !matches!(family, Family::Json | Family::List | Family::Nested)
}

/// Why it is no array.
enum Odd {
    Shape(&'static str),
    Element(String),
}

fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    raw.get().starts_with('[').then(|| serde_json::from_str(raw.get()).ok()).flatten()
}

/// The elements in SQL, and how many there are in each dimension.
fn within(column: &Column, all: &[&RawValue]) -> Result<(String, Vec<usize>), Odd> {
    let mut inner: Option<Vec<usize>> = None;
    let mut made = Vec::with_capacity(all.len());
    for raw in all {
        let (sql, dimensions) = match elements(raw) {
            Some(list) if list.is_empty() => return Err(Odd::Shape("an empty list in a list")),
            Some(list) => within(column, &list)?,
            None => (one(column, raw)?, Vec::new()),
        };
        if *inner.get_or_insert_with(|| dimensions.clone()) != dimensions {
            return Err(Odd::Shape("lists of unequal length in a list, or other values beside them"));
        }
        made.push(sql);
    }
    let mut dimensions = vec![all.len()];
    dimensions.extend(inner.unwrap_or_default());
    Ok((format!("ARRAY[{}]", made.join(", ")), dimensions))
}

fn one(column: &Column, raw: &RawValue) -> Result<String, Odd> {
    match Given::read(raw).map_err(Odd::Element)? {
        Given::Nested | Given::Personal(_) => Err(Odd::Shape("an object in a list")),
        given => literal(System::Postgres, column, &given).map_err(Odd::Element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(family: Family) -> Column {
        let plain = |name: &str, family: Family, type_sql: &str, element: Option<Box<Column>>| Column {
            name: name.to_owned(),
            family,
            type_sql: type_sql.to_owned(),
            shown: type_sql.to_owned(),
            required: false,
            generated: false,
            identity_always: false,
            element,
        };
        plain("c", Family::List, "t[]", Some(Box::new(plain("c", family, "t", None))))
    }

    #[test]
    fn a_list_is_an_array_of_literals() {
        for (family, text, expected) in [
            (Family::Text, "[]", "'{}'::t[]"),
            (Family::Text, " [ ] ", "'{}'::t[]"),
            (Family::Text, r#"["a",null,""]"#, "ARRAY['a'::t, NULL, ''::t]::t[]"),
            (Family::Text, r#"["NULL","{}","a,\"b\\"]"#, r#"ARRAY['NULL'::t, '{}'::t, E'a,"b\\'::t]::t[]"#),
            (Family::Text, r#"["'; drop table x; --"]"#, "ARRAY['''; drop table x; --'::t]::t[]"),
            (Family::Integer, "[1,-2]", "ARRAY['1'::t, '-2'::t]::t[]"),
            (Family::Integer, "[[1,2],[3,null]]", "ARRAY[ARRAY['1'::t, '2'::t], ARRAY['3'::t, NULL]]::t[]"),
            (Family::Boolean, "[true,false,null]", "ARRAY[TRUE, FALSE, NULL]::t[]"),
            (Family::Float64, r#"["NaN",0.1]"#, "ARRAY['NaN'::t, '1e-1'::t]::t[]"),
            (Family::Decimal, "[12345678901234567890123.45]", "ARRAY['12345678901234567890123.45'::t]::t[]"),
            (Family::Instant, r#"["2026-01-01T00:00:00Z"]"#, "ARRAY['2026-01-01 00:00:00+00'::t]::t[]"),
        ] {
            assert_eq!(array(&column(family), text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_no_array_holds_is_said() {
        for (family, text, why) in [
            (Family::Integer, "[1,[2]]", "lists of unequal length in a list, or other values"),
            (Family::Integer, "[[1],[2,3]]", "lists of unequal length"),
            (Family::Integer, "[[1],null]", "lists of unequal length in a list, or other values"),
            (Family::Integer, "[[]]", "an empty list in a list"),
            (Family::Integer, "[[[[[[[1]]]]]]]", "so many lists within each other"),
            (Family::Integer, "[1.5]", "what is no whole number"),
            (Family::Text, r#"[{"a":1}]"#, "an object in a list"),
            (Family::Text, r#"[{"pii":"00"}]"#, "an object in a list"),
            (Family::Text, r#"["a\u0000b"]"#, "the character NUL"),
            (Family::Text, r#"{"a":1}"#, "what is no list"),
            (Family::Text, "a,b", "what is no list"),
            (Family::Json, "[null]", "a list or an object"),
        ] {
            let said = array(&column(family), text).unwrap_err();
            assert!(said.contains(why) && said.contains("column `c`"), "{text}: {said}");
        }
    }
}
