//! Literals of every dialect: nothing of a value is ever read as SQL, and what a column cannot hold is said.

use super::*;

fn column(family: Family) -> Column {
    Column {
        name: "c".to_owned(),
        family,
        type_sql: "t".to_owned(),
        shown: "type".to_owned(),
        required: false,
        generated: false,
        identity_always: false,
    }
}

fn made(system: System, family: Family, text: &str) -> Result<String, String> {
    literal(system, &column(family), &Given::Text(text.to_owned()))
}

#[test]
fn nothing_of_a_value_is_ever_sql() {
    let hostile = r"'; drop table x; -- \";
    assert_eq!(made(System::Postgres, Family::Text, hostile).as_deref(), Ok(r"E'''; drop table x; -- \\'::t"));
    assert_eq!(made(System::Sqlite, Family::Text, hostile).as_deref(), Ok(r"'''; drop table x; -- \'"));
    assert!(made(System::Mysql, Family::Text, hostile).unwrap().starts_with("_utf8mb4 x'273b2064726f70"));
    assert_eq!(made(System::Sqlite, Family::Text, "a\0").as_deref(), Ok("CAST(x'6100' AS TEXT)"));
    for system in [System::Postgres, System::Mysql, System::Sqlite] {
        for family in [Family::Integer, Family::Decimal, Family::Float64, Family::Boolean, Family::Bits, Family::Binary]
        {
            let said = made(system, family, "1; drop table x");
            // A column of SQLite may hold a text whatever its type is; it is quoted.
            assert!(said.is_err() || said == Ok("'1; drop table x'".to_owned()), "{system:?} {family:?} {said:?}");
        }
    }
}

#[test]
fn what_a_column_cannot_hold_is_said() {
    for (system, family, text, why) in [
        (System::Postgres, Family::Text, "a\0b", "the character NUL"),
        (System::Postgres, Family::Integer, "1.5", "no whole number"),
        (System::Mysql, Family::Float64, "NaN", "no finite number"),
        (System::Mysql, Family::Decimal, "NaN", "no finite number"),
        (System::Postgres, Family::Integer, "Infinity", "no whole number"),
        (System::Sqlite, Family::Numeric, "12345678901234567.5", "so many digits"),
        (System::Postgres, Family::Timestamp, "2026-01-01T00:00:00Z", "a time with a zone"),
        (System::Postgres, Family::Instant, "2026-01-01T00:00:00", "a time without a zone"),
        (System::Mysql, Family::Date, "2026-01-01T00:00:01", "a time of the day"),
        (System::Sqlite, Family::Float64, "NaN", "NaN"),
    ] {
        let said = made(system, family, text).unwrap_err();
        assert!(said.contains(why) && said.contains("column `c` (type)"), "{said}");
    }
}

#[test]
fn numbers_and_times_are_written_as_each_system_reads_them() {
    for (system, family, text, expected) in [
        (System::Mysql, Family::Integer, "12.00", "12"),
        (System::Mysql, Family::Timestamp, "2026-01-01T01:02:03", "'2026-01-01 01:02:03'"),
        (System::Mysql, Family::Instant, "2026-01-01T01:02:03Z", "'2026-01-01 01:02:03'"),
        (System::Mysql, Family::Time, "-PT36H", "'-36:00:00'"),
        (System::Mysql, Family::Binary, "00ff", "x'00ff'"),
        (System::Sqlite, Family::Float64, "-Infinity", "-9e999"),
        (System::Sqlite, Family::Numeric, "12", "12"),
        (System::Postgres, Family::Date, "-0043-03-15", "'0044-03-15 BC'::t"),
        (System::Postgres, Family::Instant, "0000-01-01T00:00:00Z", "'0001-01-01 00:00:00+00 BC'::t"),
    ] {
        assert_eq!(made(system, family, text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_was_read_is_written_back_and_never_as_sql() {
    for (system, family, read, expected) in [
        (System::Postgres, Family::Text, r"'; drop table x; \", r"E'''; drop table x; \\'::t"),
        (System::Postgres, Family::Binary, "00ff", r"'\x00ff'::pg_catalog.bytea"),
        (System::Mysql, Family::Spelled, r"a\'b", "_utf8mb4 x'615c2762'"),
        (System::Mysql, Family::Text, "615c2762", "_utf8mb4 x'615c2762'"),
        (System::Sqlite, Family::Text, "T6127", "CAST(x'6127' AS TEXT)"),
        (System::Sqlite, Family::Anything, "1.5", "1.5"),
    ] {
        assert_eq!(as_read(system, &column(family), Some(read)), expected, "{system:?} {family:?} {read}");
        assert_eq!(as_read(system, &column(family), None), "NULL");
    }
}
