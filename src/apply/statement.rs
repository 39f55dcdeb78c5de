//! The statements of one repair: what it finds, writes and leaves, and how it is undone. Every write is guarded by what was
//! seen. It only makes text, and says of what it cannot make why.

use super::alive::alive;
use super::doubt::{Spelling, other_spellings, stored_as};
use super::given::{Action, Given, Members};
use super::literal::{as_read, holds, literal, names, reading};
use super::table::{Column, Family, Referring, Table, Unique};
use crate::contract::{Contract, System};

/// A column with the literal that it holds or ought to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Index of the column.
    pub column: usize,
    /// In SQL.
    pub literal: String,
}

/// What a repair does to its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Adds it.
    Insert,
    /// Changes it.
    Update,
    /// Removes it.
    Delete,
}

/// One repair, in SQL.
#[derive(Clone, Debug)]
pub struct Repair {
    /// What it does.
    pub write: Write,
    /// The columns of the key.
    pub key: Vec<Cell>,
    /// What was seen.
    pub seen: Vec<Cell>,
    /// What ought to be.
    pub wanted: Vec<Cell>,
    /// The source's filter, in the dialect: whose rows are repaired.
    pub scope: Option<String>,
    /// What a living row satisfies, where the source knows tombstones, which are never repaired.
    pub alive: Option<String>,
    /// Of an insert: what of its key may be there in another spelling.
    pub spellings: Vec<Spelling>,
}

/// Brings an action into the table's terms.
///
/// # Errors
/// Why only a person can do it, as a sentence part.
pub fn repair(contract: &Contract, table: &Table, action: &Action) -> Result<Repair, String> {
    if let Some(why) = &table.refused {
        return Err(why.clone());
    }
    let write = match (action.op.as_str(), action.safety.as_str()) {
        ("insert", "safe" | "review") => Write::Insert,
        ("update", "safe" | "review") => Write::Update,
        ("delete", "safe" | "review") => Write::Delete,
        ("replay", _) => return Err("its owner is asked to send it again (`reconcile plan --replay`)".to_owned()),
        _ => return Err(action.reason.clone()),
    };
    let none = Members::new();
    let (before, after) = (action.before.as_ref().unwrap_or(&none), action.after.as_ref().unwrap_or(&none));
    let key: Vec<Cell> = match write {
        // The row's own spelling of its key, where it differs from how keys compare.
        Write::Insert => cells(contract, table, &own_key(action, after))?,
        Write::Update => cells(contract, table, &action.key)?,
        Write::Delete => cells(contract, table, &own_key(action, before))?,
    };
    let spellings = match write {
        Write::Insert => other_spellings(contract, table, &own_key(action, after), &key)?,
        _ => Vec::new(),
    };
    if key.is_empty() {
        return Err("the row cannot be addressed by a key".to_owned());
    }
    let (seen, wanted) = (cells(contract, table, before)?, cells(contract, table, after)?);
    if let Some(why) = table.unseen.as_ref().filter(|_| write == Write::Delete) {
        return Err(why.clone());
    }
    let projection = &contract.sources.projection;
    let alive = alive(projection, table, write)?;
    let repair = Repair { write, key, seen, wanted, scope: projection.filter.clone(), alive, spellings };
    repair.writable(table)?;
    Ok(repair)
}

fn own_key(action: &Action, row: &Members) -> Members {
    let own = |name: &String| row.iter().find(|(other, _)| other == name).cloned();
    action.key.iter().map(|(name, value)| own(name).unwrap_or_else(|| (name.clone(), value.clone()))).collect()
}

fn cells(contract: &Contract, table: &Table, members: &Members) -> Result<Vec<Cell>, String> {
    members.iter().map(|(attribute, value)| cell(contract, table, attribute, value)).collect()
}

fn cell(contract: &Contract, table: &Table, attribute: &str, value: &Given) -> Result<Cell, String> {
    let declared = contract.attributes.iter().find(|one| one.name == attribute);
    let path = declared.map(|one| one.projected_as.as_slice()).filter(|path| !path.is_empty());
    let name = match path {
        None => attribute,
        Some([name]) => name.as_str(),
        Some(_) => return Err(format!("`{attribute}` is a part of a column, which is not written by itself")),
    };
    let column = table.column(name).ok_or_else(|| format!("`{name}` is no column of the table"))?;
    let options = declared.map_or(&contract.attribute_defaults, |one| &one.options);
    let literal = match table.columns[column].family {
        Family::Anything => {
            let family = stored_as(options, &table.columns[column], value)?;
            literal(table.system, &Column { family, ..table.columns[column].clone() }, value)?
        }
        _ => literal(table.system, &table.columns[column], value)?,
    };
    Ok(Cell { column, literal })
}

impl Repair {
    /// One that only names a row.
    #[must_use]
    pub fn of_key(key: Vec<Cell>) -> Self {
        let (seen, wanted, spellings) = (Vec::new(), Vec::new(), Vec::new());
        Self { write: Write::Delete, key, seen, wanted, scope: None, alive: None, spellings }
    }

    fn writable(&self, table: &Table) -> Result<(), String> {
        if self.write == Write::Delete {
            return Ok(());
        }
        // What the server computes is not written, but looked at afterwards.
        if let Some(cell) =
            self.wanted.first().filter(|_| self.wanted.iter().all(|one| table.columns[one.column].generated))
        {
            return Err(format!("column `{}` is computed by the server", table.columns[cell.column].name));
        }
        let given = |cell: &&Cell| self.write == Write::Update && table.columns[cell.column].identity_always;
        if let Some(cell) = self.wanted.iter().find(given) {
            return Err(format!(
                "column `{}` is given by the server and never changed",
                table.columns[cell.column].name
            ));
        }
        let mut required = table.columns.iter().enumerate().filter(|(_, column)| column.required);
        let unknown = required.find(|(index, _)| !self.wanted.iter().any(|cell| cell.column == *index));
        match (self.write, unknown) {
            (Write::Insert, Some((_, column))) => {
                Err(format!("column `{}` needs a value that the contract does not know", column.name))
            }
            _ => Ok(()),
        }
    }

    /// The condition that names the row.
    #[must_use]
    pub fn at(&self, table: &Table) -> String {
        let one =
            |cell: &Cell| names(table.system, &table.columns[cell.column], &table.name(cell.column), &cell.literal);
        self.key.iter().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// The condition that rows satisfy which may have this key in another spelling.
    #[must_use]
    pub fn nearly_at(&self, table: &Table) -> String {
        let one = |cell: &Cell| match self.spellings.iter().find(|spelling| spelling.column == cell.column) {
            Some(spelling) => spelling.may_be(table),
            None => names(table.system, &table.columns[cell.column], &table.name(cell.column), &cell.literal),
        };
        self.key.iter().map(one).collect::<Vec<_>>().join(" AND ")
    }

    /// The condition that names the row among those that the source's filter takes: others are not the contract's.
    #[must_use]
    pub fn within(&self, table: &Table) -> String {
        // Whatever ends the filter, a comment even, ends on its line.
        let scope = self.scope.as_ref().map(|filter| format!(" AND ({filter}\n)"));
        self.at(table) + &scope.unwrap_or_default()
    }

    /// The condition that names the row among those that live.
    #[must_use]
    pub fn living(&self, table: &Table) -> String {
        let alive = self.alive.as_ref().map(|alive| format!(" AND ({alive})"));
        self.within(table) + &alive.unwrap_or_default()
    }

    /// The condition that names the row as it was seen.
    #[must_use]
    pub fn as_seen(&self, table: &Table) -> String {
        with(self.living(table), table, &self.seen)
    }

    /// The condition that names the row as it ought to be.
    #[must_use]
    pub fn as_wanted(&self, table: &Table) -> String {
        with(self.living(table), table, &self.wanted)
    }

    /// The condition that it is the only row of its key. Whoever looked at the row before the statement knows that; a script does
    /// not, whose table may have lost the index that said so.
    fn alone(&self, table: &Table) -> String {
        let rows = format!("SELECT 1 FROM {} WHERE {} LIMIT 2", table.sql, self.within(table));
        format!(" AND (SELECT count(*) FROM ({rows}) AS reconcile_same) = 1")
    }

    /// The statement that writes. A delete holds the row to `row` too, where it is known: all its columns as they were read.
    #[must_use]
    pub fn statement(&self, table: &Table, row: &[Cell]) -> String {
        self.writing(table, row, "")
    }

    /// The same for a script, in which nothing is looked at before.
    #[must_use]
    pub fn scripted(&self, table: &Table, row: &[Cell]) -> String {
        self.writing(table, row, &self.alone(table))
    }

    fn writing(&self, table: &Table, row: &[Cell], besides: &str) -> String {
        match self.write {
            Write::Insert => insert(table, &self.wanted, &self.at(table)),
            Write::Update => update(table, &self.wanted, &(self.as_seen(table) + besides)),
            Write::Delete => delete(table, &(with(self.as_seen(table), table, row) + besides), row, &self.at(table)),
        }
    }

    /// The statement of a script that undoes it, where the row is still what the repair left. `row` is a deleted row, all its
    /// columns.
    #[must_use]
    pub fn undo(&self, table: &Table, row: &[Cell]) -> String {
        let left = self.as_wanted(table) + &self.alone(table);
        match self.write {
            Write::Insert => delete(table, &left, &self.wanted, &self.at(table)),
            Write::Update => update(table, &self.seen, &left),
            Write::Delete => insert(table, row, &self.at(table)),
        }
    }

    /// The values under a unique constraint before and after, where it changes them; None where one is not known or is NULL.
    #[must_use]
    pub fn unique(&self, unique: &Unique, of: &[Cell]) -> Option<Vec<String>> {
        if !unique.columns.iter().any(|column| of.iter().any(|cell| cell.column == *column)) {
            return None;
        }
        let value = |column: &usize| {
            let cell = of.iter().chain(&self.key).chain(&self.seen).find(|cell| cell.column == *column)?;
            (cell.literal != "NULL").then(|| cell.literal.clone())
        };
        unique.columns.iter().map(value).collect()
    }
}

/// A condition, and that the columns hold these values besides.
#[must_use]
pub fn with(condition: String, table: &Table, cells: &[Cell]) -> String {
    cells.iter().fold(condition, |mut all, cell| {
        let one = holds(table.system, &table.columns[cell.column], &table.name(cell.column), &cell.literal);
        if !all.is_empty() {
            all.push_str(" AND ");
        }
        all.push_str(&one);
        all
    })
}

/// A delete of the row of a condition, where nothing refers to it that the server would remove or change with it.
fn delete(table: &Table, condition: &str, row: &[Cell], at: &str) -> String {
    let free = referring(table, row, at).into_iter();
    let free = free.map(|(query, _)| format!(" AND NOT EXISTS (SELECT 1 FROM ({query}) AS reconcile_referring)"));
    format!("DELETE FROM {} WHERE {condition}{}", table.sql, free.collect::<String>())
}

/// Queries of which each finds a row that the server would remove or change by itself with the row that `at` names, and what
/// that is, as a sentence part. A column that `row` does not hold is taken from the row itself.
#[must_use]
pub fn referring(table: &Table, row: &[Cell], at: &str) -> Vec<(String, String)> {
    let one = |foreign: &Referring| {
        let mut conditions = Vec::new();
        for (column, &referred) in foreign.columns.iter().zip(&foreign.referred) {
            let value = match row.iter().find(|cell| cell.column == referred) {
                // No row refers to what is NULL.
                Some(cell) if cell.literal == "NULL" => return None,
                Some(cell) => cell.literal.clone(),
                None => format!("{}.{}", table.sql, table.name(referred)),
            };
            conditions.push(format!("{column} = {value}"));
        }
        if foreign.own {
            conditions.push(format!("NOT ({at})"));
        }
        let query = format!("SELECT 1 AS found FROM {} WHERE {} LIMIT 1", foreign.sql, conditions.join(" AND "));
        Some((
            query,
            format!(
                "rows of `{}` refer to it, on which the server would act (on delete {})",
                foreign.shown, foreign.act
            ),
        ))
    };
    table.referring.iter().filter_map(one).collect()
}

/// An update of the rows of a condition.
#[must_use]
pub fn update(table: &Table, cells: &[Cell], condition: &str) -> String {
    let writable = cells.iter().filter(|cell| !table.columns[cell.column].generated);
    let set: Vec<String> = writable.map(|cell| format!("{} = {}", table.name(cell.column), cell.literal)).collect();
    // A constraint may say that another row makes way, or that the whole transaction does: not here.
    let or = if table.system == System::Sqlite { "UPDATE OR ABORT" } else { "UPDATE" };
    format!("{or} {} SET {} WHERE {condition}", table.sql, set.join(", "))
}

/// An insert where no row of the condition is there.
#[must_use]
pub fn insert(table: &Table, cells: &[Cell], condition: &str) -> String {
    let written: Vec<&Cell> = cells.iter().filter(|cell| !table.columns[cell.column].generated).collect();
    let columns: Vec<String> = written.iter().map(|cell| table.name(cell.column)).collect();
    let values: Vec<&str> = written.iter().map(|cell| cell.literal.as_str()).collect();
    let own = written.iter().any(|cell| table.columns[cell.column].identity_always);
    let own = if own { " OVERRIDING SYSTEM VALUE" } else { "" };
    let (from, conflict) = match table.system {
        System::Mysql => (" FROM DUAL", ""),
        // PostgreSQL refuses the words where a constraint can wait.
        System::Postgres if table.unique.iter().any(|unique| unique.deferrable) => ("", ""),
        System::Postgres | System::Sqlite => ("", " ON CONFLICT DO NOTHING"),
    };
    format!(
        "INSERT INTO {table} ({}){own} SELECT {}{from} WHERE NOT EXISTS (SELECT 1 FROM {table} WHERE {condition}){conflict}",
        columns.join(", "),
        values.join(", "),
        table = table.sql,
    )
}

/// The columns of a table as `reading` reads them, as the list of a SELECT.
#[must_use]
pub fn readings(table: &Table) -> String {
    let one = |(index, column): (usize, &Column)| reading(table.system, column, &table.name(index));
    table.columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// A whole row as it was read, in literals.
#[must_use]
pub fn row_cells(table: &Table, row: &[Option<String>]) -> Vec<Cell> {
    let one = |(column, value): (usize, &Option<String>)| Cell {
        column,
        literal: as_read(table.system, &table.columns[column], value.as_deref()),
    };
    row.iter().enumerate().map(one).collect()
}

/// The cells of a row that can be held against the table: all but those without an equality of their own that the server
/// computes.
#[must_use]
pub fn comparable(table: &Table, cells: Vec<Cell>) -> Vec<Cell> {
    let fits =
        |cell: &Cell| !(table.columns[cell.column].generated && table.columns[cell.column].family == Family::Opaque);
    cells.into_iter().filter(fits).collect()
}
