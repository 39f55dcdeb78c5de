//! A contract cut down to a few keys, so that looking at them again costs a look-up each and not a table: tables of databases
//! are asked for these keys, and of everything else only rows with these keys are compared. It is done only where a database's
//! `=` finds every row that the comparison would pair; whoever calls counts the rows that must be there, and compares the whole
//! where they are not. It reads no row.

use std::sync::Arc;

use crate::apply::given::Action;
use crate::apply::link;
use crate::apply::literal::quoted;
use crate::apply::table::{Family, Table};
use crate::contract::{Contract, Database, Location, Options, Rows, Source, System};
use crate::sides::{Side, Sides};

/// Keys that one comparison asks for.
const AT_ONCE: usize = 500;

/// The same where a key has several attributes, because conditions are nested then.
const AT_ONCE_NESTED: usize = 50;

/// More than so many keys are compared with everything else: a table is read faster than it is looked up.
const MOST: usize = 10_000;

/// Some of the keys.
pub(super) struct Part {
    /// The contract of these keys alone.
    pub(super) contract: Contract,
    /// How many of the keys must be on both sides.
    pub(super) present: u64,
}

/// One value of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Whole(i64),
    Text(String),
}

impl Value {
    fn sql(&self, system: System) -> Option<String> {
        match self {
            Self::Whole(value) => Some(value.to_string()),
            Self::Text(text) => quoted(system, text).ok(),
        }
    }

    /// As a predicate over attributes has it.
    fn predicate(&self) -> String {
        match self {
            Self::Whole(value) => value.to_string(),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
        }
    }

    /// Whether `=` of a column finds this value however the column spells it.
    fn is_found_by(&self, family: Family) -> bool {
        match self {
            Self::Whole(_) => matches!(family, Family::Integer | Family::Decimal | Family::Numeric),
            Self::Text(_) => family == Family::Text,
        }
    }
}

/// The contract in parts, each of some of the keys of these actions; None where it can only be compared as a whole.
pub(super) fn parts(contract: &Contract, actions: &[&Action]) -> Option<Vec<Part>> {
    let plain = contract.key.iter().all(|name| has_plain_values(contract, name));
    if contract.key.is_empty() || contract.row_filter.is_some() || contract.is_composed() || !plain {
        return None;
    }
    let mut keys: Vec<(Vec<Value>, bool)> =
        actions.iter().map(|action| key(contract, action)).collect::<Option<_>>()?;
    keys.sort();
    keys.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 |= same && next.1;
        same
    });
    if keys.len() > MOST || contract.sources.iter().all(|(_, source)| table_of(source).is_none()) {
        return None;
    }
    let tables =
        contract.sources.as_ref().try_map(|side, source| looked_up(contract, side, source, &keys).ok_or(())).ok()?;
    let at_once = if contract.key.len() == 1 { AT_ONCE } else { AT_ONCE_NESTED };
    keys.chunks(at_once).map(|some| part(contract, &tables, some)).collect()
}

fn has_plain_values(contract: &Contract, name: &str) -> bool {
    let declared = contract.attributes.iter().find(|attribute| attribute.name == name);
    let options = declared.map_or(&contract.attribute_defaults, |attribute| &attribute.options);
    let Options {
        unicode,
        collapse_spaces,
        trim,
        ignore_case,
        null_equals,
        translate,
        logical_type,
        round,
        tolerance,
        ..
    } = options;
    let as_it_stands =
        unicode.is_none() && !collapse_spaces && trim.is_none() && !ignore_case && null_equals.is_empty();
    let by_its_type = translate.is_none() && logical_type.is_none() && round.is_none() && tolerance.is_none();
    as_it_stands && by_its_type && declared.is_none_or(|attribute| attribute.pii.is_none()) && !name.contains('"')
}

/// The key of an action in the contract's order, and whether its row must be there on both sides.
fn key(contract: &Contract, action: &Action) -> Option<(Vec<Value>, bool)> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&action.key_text).ok()?;
    let value = |name: &String| match members.get(name)? {
        serde_json::Value::Number(number) => number.as_i64().map(Value::Whole),
        serde_json::Value::String(text) if !text.contains(char::is_control) => Some(Value::Text(text.clone())),
        _ => None,
    };
    let values = contract.key.iter().map(value).collect::<Option<Vec<_>>>()?;
    Some((values, matches!(action.op.as_str(), "insert" | "update")))
}

/// The table of a database that a source reads, if it is one.
fn table_of(source: &Source) -> Option<(&Database, &str)> {
    let database = source.database()?;
    Some((database, link::repaired(database)?))
}

/// A table that is asked for keys, with the columns of the key.
type Asked = Option<(Table, Vec<usize>)>;

/// What is asked of a side: nothing of what is no table. None where a table cannot be asked for all of these keys.
fn looked_up(contract: &Contract, side: Side, source: &Source, keys: &[(Vec<Value>, bool)]) -> Option<Asked> {
    let Some((database, written)) = table_of(source) else { return Some(None) };
    let table = link::open(database).ok()?.table(written).ok()?;
    let column = |name: &String| {
        let declared = contract.attributes.iter().find(|attribute| attribute.name == *name);
        let path = declared.map(|one| if side == Side::Authority { &one.column } else { &one.projected_as });
        match path.map(Vec::as_slice) {
            None => table.column(name),
            Some([name]) => table.column(name),
            Some(_) => None,
        }
    };
    let columns = contract.key.iter().map(column).collect::<Option<Vec<usize>>>()?;
    let found = |(values, _): &(Vec<Value>, bool)| {
        values.iter().zip(&columns).all(|(value, &column)| value.is_found_by(table.columns[column].family))
    };
    keys.iter().all(found).then_some(Some((table, columns)))
}

fn part(contract: &Contract, tables: &Sides<Asked>, keys: &[(Vec<Value>, bool)]) -> Option<Part> {
    let mut narrow = contract.clone();
    let names: Vec<String> = contract.key.iter().map(|name| format!("\"{name}\"")).collect();
    let predicate = |value: &Value| Some(value.predicate());
    narrow.row_filter = Some(condition(&names, keys, &predicate)?);
    for (side, asked) in tables.iter() {
        let Some((table, columns)) = asked else { continue };
        let names: Vec<String> = columns.iter().map(|&column| table.name(column)).collect();
        let condition = condition(&names, keys, &|value| value.sql(table.system))?;
        let source = Arc::make_mut(narrow.sources.get_mut(side));
        if let Location::Database(database) = &mut source.location {
            database.rows = Rows::Query(format!("SELECT * FROM {} WHERE {condition}", table.sql));
        }
    }
    let present = keys.iter().filter(|(_, present)| *present).count() as u64;
    Some(Part { contract: narrow, present })
}

/// `a IN (1, 2)`, or `(a = 1 AND b = 2) OR …`.
fn condition(names: &[String], keys: &[(Vec<Value>, bool)], sql: &dyn Fn(&Value) -> Option<String>) -> Option<String> {
    if let [name] = names {
        let values = keys.iter().map(|(values, _)| sql(&values[0])).collect::<Option<Vec<_>>>()?;
        return Some(format!("{name} IN ({})", values.join(", ")));
    }
    let one = |(values, _): &(Vec<Value>, bool)| {
        let terms = names.iter().zip(values).map(|(name, value)| Some(format!("{name} = {}", sql(value)?)));
        Some(format!("({})", terms.collect::<Option<Vec<_>>>()?.join(" AND ")))
    };
    Some(keys.iter().map(one).collect::<Option<Vec<_>>>()?.join(" OR "))
}
