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
        element: None,
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
    let stood_for = Ok("replace('a\u{e001}\u{e000}''', char(57345), char(0))");
    assert_eq!(made(System::Sqlite, Family::Text, "a\0\u{e000}'").as_deref(), stood_for);
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
        (System::Mysql, Family::Decimal, "1e70", "so many digits"),
        (System::Postgres, Family::Timestamp, "2026-01-01T00:00:00.1234567", "less than a microsecond"),
        (System::Mysql, Family::Instant, "2026-01-01T00:00:00.1234567Z", "less than a microsecond"),
    ] {
        let said = made(system, family, text).unwrap_err();
        assert!(said.contains(why) && said.contains("column `c` (type)"), "{said}");
    }
}

#[test]
fn a_number_for_a_column_without_a_type_keeps_every_digit_or_is_refused() {
    let made = |text: &str| literal(System::Sqlite, &column(Family::Anything), &Given::Number(text.to_owned()));
    assert_eq!(made("12").as_deref(), Ok("12"));
    assert_eq!(made("0.5").as_deref(), Ok("5e-1"));
    for lost in ["12345678901234567890123", "0.12345678901234567", "1e400"] {
        assert!(made(lost).unwrap_err().contains("column `c` (type) cannot hold so "), "{lost}");
    }
    let nested = literal(System::Postgres, &column(Family::Text), &Given::Nested).unwrap_err();
    assert!(nested.contains("a list or an object"), "{nested}");
}

#[test]
fn numbers_and_times_are_written_as_each_system_reads_them() {
    for (system, family, text, expected) in [
        (System::Mysql, Family::Integer, "12.00", "12"),
        // With a power of ten it would be a float of 15 digits.
        (System::Mysql, Family::Decimal, "-1.2345678901234567890123e5", "-123456.78901234567890123"),
        (System::Mysql, Family::Decimal, "1e-3", "0.001"),
        (System::Mysql, Family::Decimal, "+.50", "0.5"),
        (System::Mysql, Family::Decimal, "-12e2", "-1200"),
        (System::Mysql, Family::Decimal, "0.00", "0"),
        (System::Postgres, Family::Instant, "2026-01-01T00:00:00.123456000Z", "'2026-01-01 00:00:00.123456000+00'::t"),
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
        (System::Mysql, Family::Float64, "-0", "-0e0"),
        (System::Mysql, Family::Float32, "0.5", "CAST(0.5e0 AS FLOAT)"),
    ] {
        assert_eq!(as_read(system, &column(family), Some(read)), expected, "{system:?} {family:?} {read}");
        assert_eq!(as_read(system, &column(family), None), "NULL");
    }
}
