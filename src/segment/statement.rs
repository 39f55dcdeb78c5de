//! What a database is asked: SQL that counts and sums segments of a table, in each dialect. Names are quoted, numbers are
//! numbers; no value of a row stands in a statement.
//!
//! All dialects write the text of a row as `kernel` does. Where a value is not covered the row is unsure: by a test of its own
//! (infinity, a zero date, a flag that is neither 0 nor 1), or because its text is NULL (text that is no UTF-8, or longer than
//! a server allows).

use crate::contract::System;
use crate::database::{Native, SQLITE_LANE, SQLITE_MD5};

use super::{Chosen, Cut, Form};

/// A table as statements name it.
#[derive(Clone, Debug)]
pub struct Table {
    /// Whose dialect it is.
    pub system: System,
    /// What stands behind FROM.
    pub from: String,
    /// Which rows are read, if not all.
    pub filter: Option<String>,
    /// A column for each attribute of the binding, in its order.
    pub columns: Vec<Column>,
    /// How many of them are the key.
    pub key_count: usize,
}

/// A column as statements name it.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its quoted name.
    pub sql: String,
    /// What it is there.
    pub native: Native,
    /// What its values become.
    pub form: Form,
}

impl Table {
    /// Asks for the least and the greatest leading number.
    #[must_use]
    pub fn extent(&self) -> String {
        let number = &self.columns[0].sql;
        format!("SELECT MIN({number}), MAX({number}) FROM {}{}", self.from, self.only(None))
    }

    /// Asks how many rows there are.
    #[must_use]
    pub fn rows(&self) -> String {
        format!("SELECT COUNT(*) FROM {}{}", self.from, self.only(None))
    }

    /// Asks for the sums of segments: by line the segment, rows, four sums, rows that are unsure, and with `keys` how many
    /// keys differ. `within` leaves rows out whose leading number is not between two numbers.
    ///
    /// A stretch's segments are numbered from zero, and rows that are in none have NULL for a segment.
    #[must_use]
    pub fn sums(&self, cut: &Cut, stretch: usize, within: Option<(i64, i64)>, keys: bool) -> String {
        let segment = self.segment(cut, stretch);
        let text = self.text(&self.columns);
        let unsure = self.unsure();
        let key = if keys {
            format!(", {} AS k", self.md5(&self.text(&self.columns[..self.key_count])))
        } else {
            String::new()
        };
        let only = self.only(within.map(|(low, high)| format!("{} BETWEEN {low} AND {high}", self.columns[0].sql)));
        let inner = format!(
            "SELECT {segment} AS b, {} AS h, CASE WHEN {unsure} THEN 1 ELSE 0 END AS u{key} FROM {}{only}{}",
            self.md5(&text),
            self.from,
            self.fence(within.is_some())
        );
        let lanes: Vec<String> = (0..4).map(|lane| format!("SUM({})", self.lane("h", lane))).collect();
        let keys = if keys { ", COUNT(DISTINCT k)" } else { "" };
        format!(
            "SELECT b, COUNT(*), {}, SUM(CASE WHEN u = 1 OR h IS NULL THEN 1 ELSE 0 END){keys} FROM ({inner}) AS s GROUP BY b",
            lanes.join(", ")
        )
    }

    /// Conditions that hold, together, for each chosen row once. Each names at most `most` ranges or segments.
    #[must_use]
    pub fn conditions(&self, chosen: &Chosen, most: usize) -> Vec<String> {
        match chosen {
            Chosen::Ranges(ranges) => {
                let number = &self.columns[0].sql;
                let one = |(low, high): &(i64, i64)| format!("{number} BETWEEN {low} AND {high}");
                let chunks = ranges.chunks(most).map(|ranges| ranges.iter().map(one).collect::<Vec<_>>().join(" OR "));
                chunks.chain([format!("{number} IS NULL")]).collect()
            }
            Chosen::Hash { bits, segments } => {
                let segment = self.hash(*bits);
                let chunks = segments.chunks(most).map(|segments| {
                    let segments: Vec<String> = segments.iter().map(u32::to_string).collect();
                    format!("{segment} IN ({})", segments.join(", "))
                });
                // NULL in a key has a text and so a segment; a text that cannot be digested has none.
                chunks.chain([format!("{segment} IS NULL")]).collect()
            }
        }
    }

    fn only(&self, condition: Option<String>) -> String {
        let filter = self.filter.as_ref().map(|filter| format!("({filter}\n)"));
        let all: Vec<String> = filter.into_iter().chain(condition).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }

    /// What keeps a digest from being computed once for each lane.
    fn fence(&self, small: bool) -> &'static str {
        match self.system {
            System::Postgres => " OFFSET 0",
            // The server writes it to a table of its own, so it must not be large.
            System::Mysql if small => " LIMIT 18446744073709551615",
            System::Mysql | System::Sqlite => "",
        }
    }

    fn segment(&self, cut: &Cut, stretch: usize) -> String {
        match cut {
            Cut::Ranges(stretches) => {
                let (number, stretch) = (&self.columns[0].sql, &stretches[stretch]);
                let (low, step) = (stretch.low, stretch.step);
                match self.system {
                    System::Postgres => format!("(CAST({number} AS bigint) - ({low})) / {step}"),
                    System::Mysql => format!("(CAST({number} AS SIGNED) - ({low})) DIV {step}"),
                    System::Sqlite => format!("({number} - ({low})) / {step}"),
                }
            }
            Cut::Hash { bits } => self.hash(*bits),
        }
    }

    fn hash(&self, bits: u32) -> String {
        let md5 = self.md5(&self.text(&self.columns[..self.key_count]));
        let shift = 32 - bits;
        format!("({} >> {shift})", self.lane(&md5, 0))
    }

    fn lane(&self, md5: &str, lane: usize) -> String {
        let from = lane * 8 + 1;
        match self.system {
            System::Postgres => {
                format!("CAST(CAST('x' || substr({md5}, {from}, 8) AS bit(32)) AS bigint) & 4294967295")
            }
            System::Mysql => format!("CAST(CONV(SUBSTRING({md5}, {from}, 8), 16, 10) AS UNSIGNED)"),
            System::Sqlite => format!("{SQLITE_LANE}({md5}, {from})"),
        }
    }

    fn md5(&self, text: &str) -> String {
        match self.system {
            System::Postgres => format!("md5(convert_to({text}, 'UTF8'))"),
            System::Mysql => format!("MD5({text})"),
            System::Sqlite => format!("{SQLITE_MD5}({text})"),
        }
    }

    fn text(&self, columns: &[Column]) -> String {
        let fields: Vec<String> = columns.iter().map(|column| self.field(column)).collect();
        match self.system {
            System::Mysql => format!("CONCAT({})", fields.join(", X'7C', ")),
            System::Postgres | System::Sqlite => fields.join(" || '|' || "),
        }
    }

    /// A field of a row's text; NULL only where a value that is there has none.
    fn field(&self, column: &Column) -> String {
        let value = match self.system {
            System::Postgres => postgres(column),
            System::Mysql => mysql(column),
            System::Sqlite => sqlite(column),
        };
        let null = match self.system {
            System::Postgres => r"E'\\N'",
            System::Mysql => "X'5C4E'",
            System::Sqlite => r"'\N'",
        };
        format!("CASE WHEN {} IS NULL THEN {null} ELSE {value} END", column.sql)
    }

    /// Holds for rows that no sum tells about.
    fn unsure(&self) -> String {
        let keys = self.columns[..self.key_count].iter().map(|column| format!("{} IS NULL", column.sql));
        let values = self.columns.iter().filter_map(|column| doubt(self.system, column));
        let all: Vec<String> = keys.chain(values).collect();
        if all.is_empty() { "1 = 0".to_owned() } else { all.join(" OR ") }
    }
}

fn postgres(column: &Column) -> String {
    let name = &column.sql;
    let text = match column.native {
        Native::Integer | Native::Uuid => format!("CAST({name} AS text)"),
        Native::Decimal => format!("CAST(trim_scale({name}) AS text)"),
        Native::Boolean => format!("CASE WHEN {name} THEN '1' ELSE '0' END"),
        Native::Text => {
            return format!(
                r"replace(replace(CAST({name} AS text) COLLATE {c}, E'\\', E'\\\\'), '|', E'\\|')",
                c = r#""C""#
            );
        }
        Native::Bytes => format!("encode({name}, 'hex')"),
        Native::Date => format!("to_char({name}, 'YYYY-MM-DD')"),
        Native::Local => format!("to_char({name}, 'YYYY-MM-DD HH24:MI:SS.US')"),
        Native::Instant => format!("to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"),
    };
    format!(r#"{text} COLLATE "C""#)
}

fn mysql(column: &Column) -> String {
    let name = &column.sql;
    let text = match column.native {
        // Zero is added because a column may be padded with zeros.
        Native::Integer | Native::Boolean => format!("({name} + 0)"),
        Native::Decimal => {
            let text = format!("CAST(({name} + 0) AS CHAR)");
            return format!(
                "CASE WHEN {name} = 0 THEN X'30' ELSE CAST(IF(INSTR({text}, '.') > 0, TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text})), {text}) AS BINARY) END"
            );
        }
        Native::Text => {
            return format!(
                "REPLACE(REPLACE(CAST(CONVERT({name} USING utf8mb4) AS BINARY), X'5C', X'5C5C'), X'7C', X'5C7C')"
            );
        }
        Native::Bytes => format!("LOWER(HEX({name}))"),
        Native::Date => format!("DATE_FORMAT({name}, '%Y-%m-%d')"),
        Native::Local => format!("DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s.%f')"),
        Native::Instant => {
            format!("DATE_FORMAT(CONVERT_TZ({name}, @@session.time_zone, '+00:00'), '%Y-%m-%d %H:%i:%s.%f')")
        }
        Native::Uuid => format!("LOWER(CAST({name} AS CHAR))"),
    };
    format!("CAST({text} AS BINARY)")
}

fn sqlite(column: &Column) -> String {
    let name = &column.sql;
    match column.native {
        Native::Text => format!(r"replace(replace({name}, '\', '\\'), '|', '\|')"),
        Native::Bytes => format!("lower(hex({name}))"),
        _ => format!("CAST({name} AS TEXT)"),
    }
}

/// Holds for values that their form does not cover.
fn doubt(system: System, column: &Column) -> Option<String> {
    let name = &column.sql;
    if column.form == Form::Boolean && column.native == Native::Integer {
        return Some(format!("{name} NOT IN (0, 1)"));
    }
    match (system, column.native) {
        (System::Postgres, Native::Decimal) => Some(format!(
            "CAST({name} AS text) IN ('NaN', 'Infinity', '-Infinity') OR length(CAST({name} AS text)) > 400"
        )),
        (System::Postgres, Native::Date) => {
            Some(format!("NOT ({name} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31')"))
        }
        (System::Postgres, Native::Local) => Some(format!(
            "NOT ({name} BETWEEN TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999')"
        )),
        (System::Postgres, Native::Instant) => Some(format!(
            "NOT ({name} BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00Z' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999Z')"
        )),
        (System::Mysql, Native::Date | Native::Local | Native::Instant) => {
            // What the calendar does not have changes on its way to a number of days and back.
            Some(format!(
                "YEAR({name}) = 0 OR MONTH({name}) = 0 OR DAYOFMONTH({name}) = 0 \
                 OR DAYOFMONTH({name}) > 28 AND FROM_DAYS(TO_DAYS({name})) <> DATE({name})"
            ))
        }
        _ => None,
    }
}
