//! What a plan's line leaves open about a value: how a column without a type stores it, and whether a key may be spelled in
//! another way in a row that is there. Where it cannot be known, only a person can do it.

use super::given::{Given, Members};
use super::literal::quoted;
use super::statement::Cell;
use super::table::{Column, Family, Table};
use crate::contract::{Contract, LogicalType, Options, System};
use crate::normalise::{Number, as_compared};

/// How a value is stored in a column that stores anything. A plan writes decimals and bytes as texts, as its rows compare.
pub(super) fn stored_as(options: &Options, column: &Column, value: &Given) -> Result<Family, String> {
    let Given::Text(text) = value else { return Ok(Family::Anything) };
    match options.logical_type {
        Some(LogicalType::Binary) => return Ok(Family::Binary),
        Some(kind) if is_number(kind) => return Ok(Family::Numeric),
        Some(_) => return Ok(Family::Anything),
        None if options.round.is_some() => return Ok(Family::Numeric),
        None => {}
    }
    let may_be_bytes = text.len() % 2 == 0 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if may_be_bytes || Number::parse(text, '.').is_some() {
        return Err(format!(
            "column `{}` has no type, so it is not known whether it stores a number, a text or bytes: give the attribute a `type`",
            column.name
        ));
    }
    Ok(Family::Anything)
}

fn is_number(kind: LogicalType) -> bool {
    matches!(kind, LogicalType::Integer { .. } | LogicalType::Decimal(_) | LogicalType::Float32 | LogicalType::Float64)
}

/// What of a key a row of the target may have in another spelling, which a look-up of the one that is given does not find.
///
/// # Errors
/// That nobody can look for all spellings.
pub(super) fn other_spellings(
    contract: &Contract,
    table: &Table,
    members: &Members,
    key: &[Cell],
) -> Result<Vec<Spelling>, String> {
    let mut spellings = Vec::new();
    for ((name, value), cell) in members.iter().zip(key) {
        let column = &table.columns[cell.column];
        let declared = contract.attributes.iter().find(|one| one.name == *name);
        let options = declared.map_or(&contract.attribute_defaults, |one| &one.options);
        if let Some(why) = cannot_be_found(table.system, column.family, options, value) {
            return Err(format!(
                "`{name}` is compared {why}, so no look-up of column `{}` tells whether the row is there in another spelling",
                column.name
            ));
        }
        let folds =
            options.ignore_case || options.trim.is_some() || options.collapse_spaces || options.unicode.is_some();
        if let Given::Text(text) = value
            && folds
            && holds_texts(table.system, column.family, value)
        {
            spellings.push(Spelling {
                column: cell.column,
                text: as_compared(text, options),
                options: options.clone(),
            });
        }
    }
    Ok(spellings)
}

fn holds_texts(system: System, family: Family, value: &Given) -> bool {
    match family {
        Family::Text | Family::Padded | Family::Json | Family::Opaque | Family::Anything => true,
        // Any column of SQLite may hold texts, but one that makes numbers of them holds no other spelling of a number.
        Family::Numeric | Family::Float64 if system == System::Sqlite => {
            matches!(value, Given::Text(text) if Number::parse(text, '.').is_none())
        }
        _ => false,
    }
}

/// How values of a column are equal whose other spellings are without number.
fn cannot_be_found(system: System, family: Family, options: &Options, value: &Given) -> Option<&'static str> {
    if !options.null_equals.is_empty() && *value == Given::Null {
        return Some("with `null_equals`");
    }
    if !holds_texts(system, family, value) {
        return None;
    }
    if options.round.is_some() {
        return Some("with `round`");
    }
    if options.logical_type.is_some_and(|kind| kind != LogicalType::Text) {
        return Some("under another `type` than text");
    }
    // A number in a column without a type is stored as one.
    let number = matches!(value, Given::Number(_) | Given::Bool(_)) && family != Family::Anything;
    number.then_some("as a number")
}

/// A column of a key whose texts are equal in several spellings.
#[derive(Clone, Debug)]
pub struct Spelling {
    /// Index of the column.
    pub column: usize,
    /// The text as it compares.
    text: String,
    /// What makes others equal to it.
    options: Options,
}

/// White space of ASCII.
const SPACES: [(char, u8); 6] = [(' ', 32), ('\t', 9), ('\n', 10), ('\u{b}', 11), ('\u{c}', 12), ('\r', 13)];

impl Spelling {
    /// An expression that reads the column as text.
    #[must_use]
    pub fn reading(&self, table: &Table) -> String {
        let name = table.name(self.column);
        match table.system {
            System::Postgres => format!("{name}::pg_catalog.text"),
            System::Mysql => format!("CONVERT({name} USING utf8mb4)"),
            System::Sqlite => format!("CAST({name} AS TEXT)"),
        }
    }

    /// Whether a text is equal to this one.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        as_compared(text, &self.options) == self.text
    }

    /// A condition that holds for every row whose text may be equal to this one, and for few others: those that are the same but
    /// for small letters and white space, where all are of ASCII, and all that are not of ASCII.
    #[must_use]
    pub fn may_be(&self, table: &Table) -> String {
        let text = self.reading(table);
        let other = match table.system {
            System::Postgres => format!("{text} COLLATE \"C\" ~ '[^\\u0001-\\u007f]'"),
            System::Mysql => format!("LENGTH({text}) <> CHAR_LENGTH({text})"),
            System::Sqlite => format!("{text} GLOB '*[^' || char(1) || '-' || char(127) || ']*'"),
        };
        if !self.text.is_ascii() {
            return other;
        }
        let is_space = |one: char| SPACES.iter().any(|(space, _)| *space == one);
        let plain: String = self.text.to_ascii_lowercase().chars().filter(|one| !is_space(*one)).collect();
        let Ok(plain) = quoted(table.system, &plain) else { return other };
        let squeezed = match table.system {
            System::Postgres => {
                format!("pg_catalog.lower(pg_catalog.translate({text} COLLATE \"C\", E' \\t\\n\\u000b\\f\\r', ''))")
            }
            System::Mysql => removed(&text, |code| format!("CHAR({code} USING utf8mb4)")),
            System::Sqlite => removed(&text, |code| format!("char({code})")),
        };
        format!("({squeezed} = {plain} OR {other})")
    }
}

/// A text in small letters without white space.
fn removed(text: &str, space: impl Fn(u8) -> String) -> String {
    let replace = |text: String, (_, code): &(char, u8)| format!("replace({text}, {}, '')", space(*code));
    format!("lower({})", SPACES.iter().fold(text.to_owned(), replace))
}
