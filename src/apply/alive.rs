//! What tells a living row of a target from a tombstone: `deleted` of its source, said again in the target's SQL, so that it can be
//! a part of a guard. Where it could mean something else there it says so, and guesses nothing.

use super::literal::quoted;
use super::statement::Write;
use super::table::{Column, Family, Table};
use crate::contract::{Source, System};
use crate::sql::{Comparison, Condition, Predicate, Value};

/// The condition that the row of a repair must satisfy to be a living one; None where the source knows no tombstones.
///
/// # Errors
/// Why no guard can hold it, as a sentence part.
pub(super) fn alive(source: &Source, table: &Table, write: Write) -> Result<Option<String>, String> {
    match living(source, table) {
        // A row is added only where none of its key is there, living or not.
        Err(_) if write == Write::Insert => Ok(None),
        known => known,
    }
}

fn living(source: &Source, table: &Table) -> Result<Option<String>, String> {
    let Some(written) = &source.deleted else { return Ok(None) };
    let said =
        |why: String| format!("no guard can hold whether the row is a tombstone: in `deleted` of its source, {why}");
    // A name that is there goes before the predicate that it might also be.
    let buried = match table.column(written) {
        Some(index) => flagged(source, table, index),
        None => Predicate::parse(written).and_then(|predicate| predicate.condition()).and_then(|one| sql(table, &one)),
    };
    // NULL is not deleted.
    buried.map(|buried| Some(format!("({buried}) IS NOT TRUE"))).map_err(said)
}

/// A column that says it by itself: whatever does not say that the row lives counts as a tombstone.
fn flagged(source: &Source, table: &Table, index: usize) -> Result<String, String> {
    let (column, name) = (&table.columns[index], table.name(index));
    let (yes, no) = (&source.csv.true_texts, &source.csv.false_texts);
    let zero = if yes.iter().any(|text| text == "0") { None } else { Some("0") };
    let texts = || {
        let of = |name: String| listed(table.system, &name, no.iter().map(String::as_str).chain(zero));
        match (no.is_empty(), table.system) {
            (false, _) => of(as_text(table.system, &name)),
            (true, System::Postgres) => listed(
                table.system,
                &format!("pg_catalog.lower({})", as_text(table.system, &name)),
                zero.into_iter().chain(["false"]),
            ),
            (true, System::Mysql) => listed(
                table.system,
                &as_text(table.system, &format!("LOWER(CONVERT({name} USING utf8mb4))")),
                zero.into_iter().chain(["false"]),
            ),
            (true, System::Sqlite) => {
                listed(table.system, &format!("lower({name}) COLLATE BINARY"), zero.into_iter().chain(["false"]))
            }
        }
    };
    match (table.system, column.family) {
        (System::Postgres, Family::Boolean) => Ok(name),
        (System::Postgres | System::Mysql, Family::Integer | Family::Decimal) | (System::Mysql, Family::Bits) => {
            Ok(format!("NOT ({name} = 0)"))
        }
        (System::Postgres, Family::Text | Family::Padded | Family::Bits) | (System::Mysql, Family::Text) => {
            Ok(format!("NOT ({})", texts()?))
        }
        // Each value is what it is stored as.
        (System::Sqlite, _) => {
            Ok(format!("NOT (CASE typeof({name}) WHEN 'text' THEN {} ELSE {name} = 0 END)", texts()?))
        }
        _ => Err(unlike(column, "a boolean")),
    }
}

/// A condition in the dialect.
fn sql(table: &Table, condition: &Condition) -> Result<String, String> {
    let find = |name: &String| table.column(name).ok_or_else(|| format!("`{name}` is no column of the table"));
    Ok(match condition {
        Condition::Constant(true) => "(1 = 1)".to_owned(),
        Condition::Constant(false) => "(1 = 0)".to_owned(),
        Condition::IsNull(name) => format!("{} IS NULL", table.name(find(name)?)),
        Condition::Flag(name) => compared(table, find(name)?, Comparison::Equal, &Value::Boolean(true))?,
        Condition::Truth(name) => truth(table, find(name)?)?,
        Condition::Compare(name, comparison, value) => compared(table, find(name)?, *comparison, value)?,
        Condition::Not(inner) => format!("NOT ({})", sql(table, inner)?),
        Condition::And(one, other) => format!("({} AND {})", sql(table, one)?, sql(table, other)?),
        Condition::Or(one, other) => format!("({} OR {})", sql(table, one)?, sql(table, other)?),
    })
}

/// A column that is taken for a truth value.
fn truth(table: &Table, index: usize) -> Result<String, String> {
    let (column, name) = (&table.columns[index], table.name(index));
    match (table.system, column.family) {
        (System::Postgres, Family::Boolean) => Ok(name),
        (System::Postgres | System::Mysql, Family::Integer) | (System::Sqlite, Family::Numeric | Family::Anything) => {
            Ok(format!("{name} <> 0"))
        }
        _ => Err(unlike(column, "a boolean")),
    }
}

fn compared(table: &Table, index: usize, comparison: Comparison, value: &Value) -> Result<String, String> {
    let (system, column, name) = (table.system, &table.columns[index], table.name(index));
    let op = match comparison {
        Comparison::Equal => "=",
        Comparison::Unequal => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    };
    match (value, system, column.family) {
        (Value::Text(text), System::Postgres, Family::Text | Family::Padded | Family::Label)
        | (Value::Text(text), System::Mysql, Family::Text)
        | (Value::Text(text), System::Sqlite, Family::Text | Family::Numeric | Family::Anything) => {
            Ok(format!("{} {op} {}", as_text(system, &name), exact(system, text)?))
        }
        (Value::Whole(number), System::Postgres | System::Mysql, Family::Integer)
        | (Value::Whole(number), System::Sqlite, Family::Numeric | Family::Anything) => {
            Ok(format!("{name} {op} {number}"))
        }
        (Value::Boolean(value), System::Postgres, Family::Boolean) => {
            Ok(format!("{name} {op} {}", if *value { "TRUE" } else { "FALSE" }))
        }
        // Only 0 and 1 are booleans there, whatever the column is declared as.
        (Value::Boolean(value), System::Sqlite, Family::Numeric | Family::Anything) => {
            Ok(format!("{name} {op} {}", u8::from(*value)))
        }
        (Value::Text(_), ..) => Err(unlike(column, "a text")),
        (Value::Whole(_), ..) => Err(unlike(column, "a whole number")),
        (Value::Boolean(_), ..) => Err(unlike(column, "a boolean")),
    }
}

fn unlike(column: &Column, wanted: &str) -> String {
    format!("column `{}` ({}) is compared as {wanted}", column.name, column.shown)
}

/// A column of texts, as it compares by code points.
fn as_text(system: System, name: &str) -> String {
    match system {
        System::Postgres => format!("{name}::pg_catalog.text COLLATE \"C\""),
        System::Mysql => format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY)"),
        System::Sqlite => format!("{name} COLLATE BINARY"),
    }
}

/// A text to compare that with.
fn exact(system: System, text: &str) -> Result<String, String> {
    let quoted = quoted(system, text).map_err(|what| format!("a text holds {what}"))?;
    Ok(match system {
        System::Postgres => format!("{quoted}::pg_catalog.text"),
        System::Mysql => format!("CAST(CONVERT({quoted} USING utf8mb4) AS BINARY)"),
        System::Sqlite => quoted,
    })
}

fn listed<'t>(system: System, of: &str, texts: impl Iterator<Item = &'t str>) -> Result<String, String> {
    let texts: Vec<String> = texts.map(|text| exact(system, text)).collect::<Result<_, _>>()?;
    Ok(format!("{of} IN ({})", texts.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::contract::load_text;

    fn source(lines: &str) -> crate::contract::Source {
        let text = format!(
            "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.p]\nlocation = \"p.csv\"\n{lines}\n[contract.c]\n\
             version = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n"
        );
        let configuration = load_text(Path::new("/reconcile.toml"), &text).unwrap();
        (*configuration.contracts[0].sources.projection).clone()
    }

    fn table(system: System, family: Family) -> Table {
        let column = Column {
            name: "gone".to_owned(),
            family,
            type_sql: String::new(),
            shown: "type".to_owned(),
            required: false,
            generated: false,
            identity_always: false,
            element: None,
        };
        Table {
            system,
            sql: "t".to_owned(),
            identity: "t".to_owned(),
            columns: vec![column],
            unique: Vec::new(),
            foreign: Vec::new(),
            referring: Vec::new(),
            by_itself: Vec::new(),
            unseen: None,
            refused: None,
        }
    }

    #[test]
    fn a_column_or_predicate_is_said_in_each_dialect() {
        use Family as F;
        use System as S;

        for (system, family, deleted, expected) in [
            (S::Postgres, F::Boolean, "gone", r#"("gone") IS NOT TRUE"#),
            (S::Postgres, F::Boolean, "not gone", r#"(NOT ("gone")) IS NOT TRUE"#),
            (S::Mysql, F::Integer, "not gone", "(NOT (`gone` <> 0)) IS NOT TRUE"),
            (S::Postgres, F::Integer, "gone", r#"(NOT ("gone" = 0)) IS NOT TRUE"#),
            (
                S::Postgres,
                F::Text,
                "gone",
                r#"(NOT (pg_catalog.lower("gone"::pg_catalog.text COLLATE "C") IN ('0'::pg_catalog.text, 'false'::pg_catalog.text))) IS NOT TRUE"#,
            ),
            (
                S::Postgres,
                F::Label,
                "gone = 'it''s'",
                r#"("gone"::pg_catalog.text COLLATE "C" = 'it''s'::pg_catalog.text) IS NOT TRUE"#,
            ),
            (S::Mysql, F::Integer, "gone", "(NOT (`gone` = 0)) IS NOT TRUE"),
            (S::Mysql, F::Timestamp, "gone is not null", "(NOT (`gone` IS NULL)) IS NOT TRUE"),
            (
                S::Mysql,
                F::Text,
                "gone = 'D'",
                "(CAST(CONVERT(`gone` USING utf8mb4) AS BINARY) = CAST(CONVERT('D' USING utf8mb4) AS BINARY)) IS NOT TRUE",
            ),
            (
                S::Sqlite,
                F::Numeric,
                "gone",
                r#"(NOT (CASE typeof("gone") WHEN 'text' THEN lower("gone") COLLATE BINARY IN ('0', 'false') ELSE "gone" = 0 END)) IS NOT TRUE"#,
            ),
            (S::Sqlite, F::Numeric, "gone in (1, 2)", r#"(("gone" = 1 OR "gone" = 2)) IS NOT TRUE"#),
            (S::Sqlite, F::Text, "gone <> 'D'", r#"(NOT ("gone" COLLATE BINARY = 'D')) IS NOT TRUE"#),
        ] {
            let source = source(&format!("deleted = \"{deleted}\""));
            let said = alive(&source, &table(system, family), Write::Update).unwrap();
            assert_eq!(said.as_deref(), Some(expected), "{deleted}");
        }
        let texts = source("deleted = \"gone\"\ncsv = { true = [\"J\", \"0\"], false = [\"N\"] }");
        let said = alive(&texts, &table(S::Sqlite, F::Text), Write::Delete).unwrap();
        let expected = r#"(NOT (CASE typeof("gone") WHEN 'text' THEN "gone" COLLATE BINARY IN ('N') ELSE "gone" = 0 END)) IS NOT TRUE"#;
        assert_eq!(said.as_deref(), Some(expected));
        assert_eq!(alive(&source(""), &table(S::Sqlite, F::Text), Write::Delete), Ok(None));
    }

    #[test]
    fn what_no_guard_can_hold_keeps_rows_from_being_changed() {
        for (deleted, why) in [
            ("gone < upper('d')", "it compares columns with each other, or computes"),
            ("gone < now()", "unsupported function"),
            ("other = 'D'", "`other` is no column of the table"),
            ("gone = 'D'", "column `gone` (type) is compared as a text"),
            ("gone = 1", "column `gone` (type) is compared as a whole number"),
            ("gone = true", "column `gone` (type) is compared as a boolean"),
            ("gone", "column `gone` (type) is compared as a boolean"),
        ] {
            let (source, table) = (source(&format!("deleted = \"{deleted}\"")), table(System::Mysql, Family::Date));
            for write in [Write::Update, Write::Delete] {
                let said = alive(&source, &table, write).unwrap_err();
                assert!(
                    said.starts_with("no guard can hold whether the row is a tombstone") && said.contains(why),
                    "{said}"
                );
            }
            assert_eq!(alive(&source, &table, Write::Insert), Ok(None), "no row of its key is there");
        }
    }
}
