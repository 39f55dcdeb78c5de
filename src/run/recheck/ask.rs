//! How a database is asked for the rows of some keys: conditions over the columns of the key, in its dialect. A condition may
//! hold for more rows than are meant (a collation that folds case, a padded text), never for fewer: whoever asks tells rows
//! apart by their exact keys afterwards. Where that cannot be promised there is no condition, and the table is read whole.
//!
//! Values are literals that every byte survives: numbers are digits, texts are quoted in the one way that no setting changes.

use arrow::datatypes::DataType;

use crate::contract::System;
use crate::database::Native;
use crate::database::dialect::quoted_name;
use crate::normalise::{Binding, BoundAttribute, Comparison};
use crate::segment::{covers, uncovered};
use crate::sides::Side;
use crate::source::{Opened, Remote};

/// The values of a key as they compare; None for NULL.
pub(super) type KeyTexts = [Option<Box<str>>];

/// What the columns of a key are in a database.
pub(super) struct Asking {
    system: System,
    columns: Vec<(String, Form)>,
}

/// How the values of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Number,
    Text,
    Uuid,
    Date,
}

impl Asking {
    /// Keys that one statement names.
    const AT_ONCE: usize = 500;
    /// The same where an expression may not be nested deeply.
    const OF_SQLITE: usize = 200;
    /// Bytes of one statement.
    const STATEMENT_BYTES: usize = 512 << 10;
    /// Bytes of a condition that must be one.
    const WHOLE_BYTES: usize = 4 << 20;

    /// For the key of a side, where every part of it can be asked for.
    pub(super) fn of(binding: &Binding, side: Side, opened: &Opened, system: System) -> Option<Self> {
        let remote = opened.units.first().and_then(|unit| unit.remote());
        let column = |attribute: &BoundAttribute| {
            if uncovered(attribute).is_some() {
                return None;
            }
            let index = attribute.columns.get(side).index;
            if let Some(remote) = remote {
                return told(remote, index, &attribute.comparison);
            }
            let field = opened.schema.field(index);
            let form = typed(system, field.data_type(), &attribute.comparison)?;
            // A text that stands for something else (a document) is not compared as a text there.
            if form == Form::Text && !field.metadata().is_empty() {
                return None;
            }
            Some((quoted_name(system, field.name()), form))
        };
        let columns = binding.attributes.iter().take(binding.key_count).map(column).collect::<Option<_>>()?;
        Some(Self { system, columns })
    }

    /// Whether a row may equal several keys there.
    pub(super) fn is_loose(&self) -> bool {
        self.columns.iter().any(|(_, form)| *form == Form::Text)
    }

    /// Conditions that hold, together, for every row of these keys; None where one has no literal.
    pub(super) fn conditions<'k>(&self, keys: impl Iterator<Item = &'k KeyTexts>) -> Option<Vec<String>> {
        let (whole, parts): (Vec<_>, Vec<_>) = keys.partition(|key| key.iter().all(Option::is_some));
        let listed = self.columns.len() == 1 || self.system != System::Sqlite;
        let (whole, mut parts) = if listed { (whole, parts) } else { (Vec::new(), [whole, parts].concat()) };
        let mut conditions = Vec::new();
        let names = tuple(&self.columns.iter().map(|column| self.name(column, &whole)).collect::<Vec<_>>());
        let most = if self.system == System::Sqlite { Self::OF_SQLITE } else { Self::AT_ONCE };
        let mut values = whole.iter().map(|key| self.literals(key).map(|literals| tuple(&literals)));
        Self::gather(&mut values, Self::AT_ONCE, ", ", |list| conditions.push(format!("{names} IN ({list})")))?;
        parts.sort_unstable();
        parts.dedup();
        let mut terms = parts.iter().map(|key| self.term(key));
        Self::gather(&mut terms, most, " OR ", |list| conditions.push(format!("({list})")))?;
        Some(conditions)
    }

    /// One condition that holds for every row of these keys; None where one has no literal, or they are too many for one statement.
    pub(super) fn condition<'k>(&self, keys: impl Iterator<Item = &'k KeyTexts>) -> Option<String> {
        let conditions = self.conditions(keys)?;
        let bytes: usize = conditions.iter().map(String::len).sum();
        (bytes <= Self::WHOLE_BYTES && !conditions.is_empty()).then(|| conditions.join("\nOR "))
    }

    /// Hands texts over in lists that one statement may have.
    fn gather(
        texts: &mut dyn Iterator<Item = Option<String>>,
        most: usize,
        between: &str,
        mut each: impl FnMut(String),
    ) -> Option<()> {
        let (mut list, mut count) = (String::new(), 0);
        for text in texts {
            let text = text?;
            if count == most || count > 0 && list.len() + text.len() > Self::STATEMENT_BYTES {
                each(std::mem::take(&mut list));
                count = 0;
            }
            if count > 0 {
                list.push_str(between);
            }
            list.push_str(&text);
            count += 1;
        }
        if count > 0 {
            each(list);
        }
        Some(())
    }

    /// A column as it is compared with the literals of some keys.
    fn name(&self, (sql, form): &(String, Form), keys: &[&KeyTexts]) -> String {
        let at = self.columns.iter().position(|(name, _)| name == sql).unwrap_or_default();
        let plain = |key: &&KeyTexts| key[at].as_deref().is_none_or(str::is_ascii);
        match (self.system, form) {
            // Enumerations take no other label, and case may be told apart only there.
            (System::Postgres, Form::Text) => format!("({sql})::text"),
            // What a narrower character set does not have is no error then.
            (System::Mysql, Form::Text) if !keys.iter().all(plain) => format!("CONVERT({sql} USING utf8mb4)"),
            _ => sql.clone(),
        }
    }

    /// `(a = 1 AND b IS NULL)`
    fn term(&self, key: &&KeyTexts) -> Option<String> {
        let one = |(column, text): (&(String, Form), &Option<Box<str>>)| match text {
            None => Some(format!("{} IS NULL", column.0)),
            Some(text) => Some(format!("{} = {}", self.name(column, &[key]), literal(self.system, column.1, text)?)),
        };
        let terms = self.columns.iter().zip(key.iter()).map(one).collect::<Option<Vec<_>>>()?;
        Some(format!("({})", terms.join(" AND ")))
    }

    fn literals(&self, key: &KeyTexts) -> Option<Vec<String>> {
        let one =
            |((_, form), text): (&(String, Form), &Option<Box<str>>)| literal(self.system, *form, text.as_deref()?);
        self.columns.iter().zip(key).map(one).collect()
    }
}

fn tuple(parts: &[String]) -> String {
    if let [one] = parts { one.clone() } else { format!("({})", parts.join(", ")) }
}

/// What a database tells of a column.
fn told(remote: &dyn Remote, index: usize, comparison: &Comparison) -> Option<(String, Form)> {
    let (sql, native) = remote.column(index).filter(|(_, native)| covers(*native, comparison))?;
    let form = match native {
        Native::Integer | Native::Decimal => Form::Number,
        Native::Text => Form::Text,
        Native::Uuid => Form::Uuid,
        Native::Date => Form::Date,
        Native::Boolean | Native::Bytes | Native::Local | Native::Instant => return None,
    };
    Some((sql, form))
}

/// What a column's type tells where the database tells no more: types whose values have no other spelling there.
fn typed(system: System, column: &DataType, comparison: &Comparison) -> Option<Form> {
    use DataType as T;
    let is_number = matches!(comparison, Comparison::Integer | Comparison::Decimal { .. } | Comparison::Number);
    match (system, column, comparison) {
        (System::Sqlite, ..) => None,
        (_, T::Int8 | T::Int16 | T::Int32 | T::Int64, _) if is_number => Some(Form::Number),
        (System::Mysql, T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 | T::Decimal128(..) | T::Decimal256(..), _)
            if is_number =>
        {
            Some(Form::Number)
        }
        (System::Mysql, T::Utf8, Comparison::Text) => Some(Form::Text),
        (System::Postgres, T::FixedSizeBinary(16), Comparison::Uuid) => Some(Form::Uuid),
        (_, T::Date32, Comparison::Date) => Some(Form::Date),
        _ => None,
    }
}

/// A value in SQL; None where it has no literal that is surely the same value there.
fn literal(system: System, form: Form, text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digits = |some: &[u8]| !some.is_empty() && some.iter().all(u8::is_ascii_digit);
    match form {
        Form::Number => {
            let unsigned = text.strip_prefix('-').unwrap_or(text);
            let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
            let is_number = digits(whole.as_bytes()) && digits(fraction.as_bytes());
            // A whole number is written as one: what has a point may be taken for a float.
            let whole_only = fraction.bytes().all(|digit| digit == b'0');
            let end = text.len() - if text.contains('.') { fraction.len() + 1 } else { 0 };
            is_number.then(|| if whole_only { text[..end].to_owned() } else { text.to_owned() })
        }
        Form::Date => {
            let is_day = bytes.len() == 10
                && bytes.iter().enumerate().all(|(at, byte)| match at {
                    4 | 7 => *byte == b'-',
                    _ => byte.is_ascii_digit(),
                });
            (is_day && !text.starts_with("0000")).then(|| format!("DATE '{text}'"))
        }
        Form::Uuid => {
            let is_uuid = bytes.len() == 36 && bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
            (is_uuid && system == System::Postgres).then(|| format!("'{text}'::uuid"))
        }
        Form::Text => quoted(system, text),
    }
}

/// A text in quotes, whatever the session's settings are.
fn quoted(system: System, text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.".contains(&byte));
    match system {
        _ if text.contains('\0') => None,
        _ if is_plain => Some(format!("'{text}'")),
        System::Postgres => Some(format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))),
        System::Mysql => {
            let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("_utf8mb4 x'{hex}'"))
        }
        System::Sqlite => Some(format!("'{}'", text.replace('\'', "''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (System, Vec<Form>, Vec<Vec<Option<&'static str>>>, Vec<&'static str>);

    fn asking(system: System, forms: &[Form]) -> Asking {
        let column = |(index, form): (usize, &Form)| (quoted_name(system, &format!("k{index}")), *form);
        Asking { system, columns: forms.iter().enumerate().map(column).collect() }
    }

    fn asked(system: System, forms: &[Form], keys: &[&[Option<&str>]]) -> Option<Vec<String>> {
        let keys: Vec<Vec<Option<Box<str>>>> =
            keys.iter().map(|key| key.iter().map(|text| text.map(Box::from)).collect()).collect();
        asking(system, forms).conditions(keys.iter().map(Vec::as_slice))
    }

    #[test]
    fn a_key_is_asked_for_in_the_words_of_each_system() {
        use Form::{Date, Number, Text, Uuid};
        let uuid = "0190a3c0-0000-7000-8000-000000000001";
        let cases: Vec<Case> = vec![
            (System::Postgres, vec![Number], vec![vec![Some("1")], vec![Some("-2.50")]], vec![r#""k0" IN (1, -2.50)"#]),
            (System::Postgres, vec![Text], vec![vec![Some(r"it's \ ü")]], vec![r#"("k0")::text IN (E'it''s \\ ü')"#]),
            (System::Mysql, vec![Text], vec![vec![Some("a b")]], vec!["`k0` IN ('a b')"]),
            (System::Mysql, vec![Text], vec![vec![Some("a'b")]], vec!["`k0` IN (_utf8mb4 x'612762')"]),
            (
                System::Mysql,
                vec![Text],
                vec![vec![Some("ü")]],
                vec!["CONVERT(`k0` USING utf8mb4) IN (_utf8mb4 x'c3bc')"],
            ),
            (System::Sqlite, vec![Text], vec![vec![Some("it's")]], vec![r#""k0" IN ('it''s')"#]),
            (
                System::Postgres,
                vec![Uuid],
                vec![vec![Some(uuid)]],
                vec![r#""k0" IN ('0190a3c0-0000-7000-8000-000000000001'::uuid)"#],
            ),
            (
                System::Sqlite,
                vec![Number],
                vec![vec![Some("9007199254740993.00")], vec![Some("1.50")]],
                vec![r#""k0" IN (9007199254740993, 1.50)"#],
            ),
            (
                System::Mysql,
                vec![Number, Date],
                vec![vec![Some("7"), Some("2026-02-28")], vec![None, Some("2026-02-28")]],
                vec!["(`k0`, `k1`) IN ((7, DATE '2026-02-28'))", "((`k0` IS NULL AND `k1` = DATE '2026-02-28'))"],
            ),
            (
                System::Sqlite,
                vec![Number, Text],
                vec![vec![Some("7"), Some("x")], vec![Some("8"), Some("y")]],
                vec![r#"(("k0" = 7 AND "k1" = 'x') OR ("k0" = 8 AND "k1" = 'y'))"#],
            ),
        ];
        for (system, forms, keys, expected) in cases {
            let keys: Vec<&[Option<&str>]> = keys.iter().map(Vec::as_slice).collect();
            let expected: Vec<String> = expected.into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(asked(system, &forms, &keys), Some(expected), "{system:?} {keys:?}");
        }
    }

    #[test]
    fn what_has_no_sure_literal_is_not_asked_for() {
        for (system, form, text) in [
            (System::Postgres, Form::Number, "NaN"),
            (System::Mysql, Form::Number, "1e5"),
            (System::Mysql, Form::Number, ""),
            (System::Postgres, Form::Number, "1); drop table x; --"),
            (System::Postgres, Form::Text, "a\0b"),
            (System::Mysql, Form::Uuid, "0190a3c0-0000-7000-8000-000000000001"),
            (System::Mysql, Form::Date, "0000-00-00"),
            (System::Postgres, Form::Date, "12026-01-01"),
        ] {
            assert_eq!(asked(system, &[form], &[&[Some(text)]]), None, "{system:?} {text:?}");
        }
    }

    #[test]
    fn many_keys_are_asked_for_in_several_statements() {
        let texts: Vec<String> = (0..1201).map(|number| number.to_string()).collect();
        let keys: Vec<Vec<Option<Box<str>>>> = texts.iter().map(|text| vec![Some(text.as_str().into())]).collect();
        let conditions = asking(System::Postgres, &[Form::Number]).conditions(keys.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(conditions.len(), 3);
        let named: usize = conditions.iter().map(|condition| condition.matches(", ").count() + 1).sum();
        assert_eq!(named, 1201);
        let one = asking(System::Mysql, &[Form::Number]).condition(keys.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(one.matches(" IN (").count(), 3);
    }
}
