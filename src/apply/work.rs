//! A target on its way: its actions brought into SQL and order, what keeps any of them from being done, the writing with
//! journal and receipt, and the undoing. It knows the order of the steps and nothing of dialects.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::alive::alive;
use super::backwards::Backwards;
use super::engine::{Engine, Halt, Item, Outcome, Steps, cell, op};
use super::given::Action;
use super::journal::{Begun, Ended, Image, Journal, Line, Story, Value, Written};
use super::link::{Link, Refused, open, preamble, repaired};
use super::order::{Ordered, order};
use super::statement::{Cell, Repair, Write, repair};
use super::table::{Column, Table};
use crate::contract::{Contract, Database, Source, System};

/// An action that was chosen, with its contract.
#[derive(Clone, Debug)]
pub struct Chosen<'a> {
    /// Its contract.
    pub contract: &'a Contract,
    /// The action, with its values.
    pub action: Action,
    /// Attributes whose values the plan does not hold.
    pub personal: BTreeSet<String>,
}

/// A target with everything that can be done there.
pub struct Target {
    /// The session.
    pub link: Box<dyn Link>,
    /// Whose dialect.
    pub system: System,
    /// The tables, by the names that the contracts give them.
    pub tables: Vec<(String, Table)>,
    /// In the order in which they are written; each with its place among the chosen.
    pub items: Vec<(usize, Item)>,
    /// What only a person can do: the place among the chosen, and why.
    pub manual: BTreeMap<usize, String>,
    /// What happens by itself when rows are written, for people.
    pub by_itself: Vec<String>,
}

/// Opens a target and brings actions into its terms. All of them are of contracts whose projection this database is.
///
/// # Errors
/// A server that cannot be reached, a table that is not there.
pub fn prepare(database: &Database, chosen: &[Chosen<'_>]) -> Result<Target, Refused> {
    let mut link = open(database)?;
    let mut manual = BTreeMap::new();
    let mut tables: Vec<(String, Table)> = Vec::new();
    let mut repairs: Vec<(usize, usize, Repair)> = Vec::new();
    for (place, one) in chosen.iter().enumerate() {
        let written = one.contract.sources.projection.database().and_then(repaired);
        let Some(written) = written else {
            manual.insert(place, "the projection is a query, which has no table of its own to repair".to_owned());
            continue;
        };
        let known = tables.iter().position(|(name, _)| name == written);
        let table = if let Some(table) = known {
            table
        } else {
            tables.push((written.to_owned(), link.table(written)?));
            tables.len() - 1
        };
        match repair(one.contract, &tables[table].1, &one.action) {
            Ok(repair) => repairs.push((place, table, repair)),
            Err(why) => _ = manual.insert(place, why),
        }
    }
    let bare: Vec<Table> = tables.iter().map(|(_, table)| table.clone()).collect();
    let ordered: Vec<Ordered<'_>> = repairs
        .iter()
        .enumerate()
        .map(|(index, (_, table, repair))| Ordered { index, table: *table, repair })
        .collect();
    let order = order(&bare, &ordered);
    manual.extend(order.refused.iter().map(|(index, why)| (repairs[*index].0, why.clone())));
    let mut repairs: Vec<Option<(usize, usize, Repair)>> = repairs.into_iter().map(Some).collect();
    let item = |(index, tied): (usize, bool)| {
        let (place, table, repair) = repairs[index].take()?;
        let one = &chosen[place];
        let item = Item {
            id: one.action.id.clone(),
            contract: one.contract.name.clone(),
            key: one.action.key_text.clone(),
            table,
            open: open_columns(one, &tables[table].1, &repair),
            repair,
            tied,
        };
        Some((place, item))
    };
    let items = order.places.into_iter().zip(order.tied).filter_map(item).collect();
    let told = |(name, table): &(String, Table)| {
        table.by_itself.iter().map(|what| format!("table `{name}`: {what}")).collect::<Vec<_>>()
    };
    let by_itself = tables.iter().flat_map(told).collect();
    Ok(Target { link, system: database.system, items, manual, by_itself, tables })
}

/// The columns whose values a receipt may hold as they are, where the contract has personal data: those that the action names
/// and that are not personal.
fn open_columns(one: &Chosen<'_>, table: &Table, repair: &Repair) -> Option<Vec<String>> {
    if !one.contract.has_pii() {
        return None;
    }
    let column = |name: &str| {
        let declared = one.contract.attributes.iter().find(|attribute| attribute.name == name);
        declared.and_then(|attribute| attribute.projected_as.first()).map_or_else(|| name.to_owned(), Clone::clone)
    };
    let declared = one.contract.personal().map(|(attribute, _)| attribute.name.clone());
    let personal: BTreeSet<String> = declared.chain(one.personal.iter().cloned()).map(|name| column(&name)).collect();
    let cells = repair.key.iter().chain(&repair.seen).chain(&repair.wanted);
    let names = cells.map(|cell| table.columns[cell.column].name.clone());
    Some(names.filter(|name| !personal.contains(name)).collect())
}

/// What an apply is recorded under, and how.
pub struct Recording<'a> {
    /// The file, which becomes the receipt.
    pub path: &'a Path,
    /// Its first line.
    pub begun: Begun,
    /// What digests of personal values are keyed with.
    pub key: [u8; 32],
    /// The clock.
    pub now: &'a dyn Fn() -> jiff::Timestamp,
    /// Who is told each step.
    pub steps: &'a dyn Steps,
}

/// What came of a target.
#[derive(Debug, Default)]
pub struct Told {
    /// Of each item: its place among the chosen, and what came of it.
    pub outcomes: Vec<(usize, Outcome)>,
    /// What ended it before its end, if anything.
    pub halted: Option<String>,
}

/// What is known of the touched keys after the writing: how many agree, how many still diverge; or why nothing is.
pub type Again = Result<(u64, u64), String>;

impl Target {
    /// Takes the target for itself. False where another apply has it.
    ///
    /// # Errors
    /// What the server refused.
    pub fn take(&mut self) -> Result<bool, Refused> {
        self.link.take()
    }

    /// Writes everything; then `again` compares the touched keys. The receipt ends with what came of it, and is not yet in the
    /// ledger.
    ///
    /// # Errors
    /// What kept the journal from being written.
    pub fn write(
        &mut self,
        recording: &Recording<'_>,
        again: &mut dyn FnMut(&[(usize, Outcome)]) -> Again,
    ) -> io::Result<(Told, Ended)> {
        let begun = Begun { columns: self.stored(), ..recording.begun.clone() };
        let mut journal = Journal::begin(recording.path, &begun)?;
        recording.steps.taken("journal begun");
        let (places, items): (Vec<usize>, Vec<Item>) = std::mem::take(&mut self.items).into_iter().unzip();
        let mut told = Told::default();
        let ended = {
            let mut engine = Engine {
                link: &mut *self.link,
                system: self.system,
                tables: &self.tables,
                journal: &mut journal,
                batch: 0,
                slow: 0,
                key: recording.key,
                steps: recording.steps,
            };
            engine.write(&items, &mut |place, outcome| {
                recording.steps.settled(1);
                told.outcomes.push((places[place], outcome));
            })
        };
        match ended {
            Ok(()) => {}
            Err(Halt::Journal(error)) => return Err(error),
            Err(Halt::Server(refused)) => told.halted = Some(refused.message),
        }
        let by_place: BTreeMap<usize, &Item> = places.iter().copied().zip(&items).collect();
        let skipped = |(place, outcome): &(usize, Outcome)| match (outcome, by_place.get(place)) {
            (Outcome::Skipped(why), Some(item)) => Some(Line::Skipped { action_id: item.id.clone(), why: why.clone() }),
            _ => None,
        };
        journal.write_all(told.outcomes.iter().filter_map(skipped))?;
        let count = |wanted: fn(&Outcome) -> bool| told.outcomes.iter().filter(|(_, one)| wanted(one)).count() as u64;
        let done = count(|one| *one == Outcome::Done);
        let mut ended = Ended {
            done,
            already: count(|one| *one == Outcome::Already),
            skipped: count(|one| matches!(one, Outcome::Skipped(_))),
            ended_at: String::new(),
        };
        if told.halted.is_some() {
            // A batch may be on its way: the apply goes on, and ends, when it is called again.
            return Ok((told, ended));
        }
        let line = match again(&told.outcomes) {
            Ok((agree, diverge)) => Line::Compared { agree, diverge, unknown: None },
            Err(why) => Line::Compared { agree: 0, diverge: 0, unknown: Some(why) },
        };
        journal.write(&line)?;
        recording.steps.taken("compared again");
        ended.ended_at = (recording.now)().to_string();
        journal.write(&Line::End(ended.clone()))?;
        recording.steps.taken("receipt ended");
        Ok((told, ended))
    }

    /// Ends the journal of an apply that was stopped: finds whether its last batch is durable, and says so in it. The counts are
    /// of what it did; None where it had ended already.
    ///
    /// # Errors
    /// What kept the server from being asked or the journal from being written, as a sentence.
    pub fn settle(&mut self, path: &Path, recording: &Recording<'_>) -> Result<(Story, Ended), String> {
        let mut story = Story::read(path).map_err(|error| error.to_string())?;
        if let Some(ended) = story.ended.clone() {
            return Ok((story, ended));
        }
        let mut journal = Journal::go_on(path, &story).map_err(|error| error.to_string())?;
        let names: BTreeSet<String> =
            story.batches.iter().flat_map(|batch| &batch.writes).map(|one| one.table.clone()).collect();
        for name in names {
            self.know(&name).map_err(|refused| refused.message)?;
        }
        for place in 0..story.batches.len() {
            let batch = &story.batches[place];
            if batch.durable.is_some() {
                continue;
            }
            let number = batch.number;
            let mut engine = Engine {
                link: &mut *self.link,
                system: self.system,
                tables: &self.tables,
                journal: &mut journal,
                batch: number,
                slow: 0,
                key: recording.key,
                steps: recording.steps,
            };
            let durable = engine.is_durable(batch).map_err(|refused| refused.message)?;
            let line = match durable {
                Some(true) => Line::Committed { batch: number },
                Some(false) => Line::GivenUp { batch: number },
                None => {
                    let why = "the apply was stopped while it was written, and the row has moved since".to_owned();
                    for written in &batch.writes {
                        let line = Line::Skipped { action_id: written.action_id.clone(), why: why.clone() };
                        journal.write(&line).map_err(|error| error.to_string())?;
                    }
                    continue;
                }
            };
            journal.write(&line).map_err(|error| error.to_string())?;
            story.batches[place].durable = durable;
        }
        let done = story.written().count() as u64;
        let ended = Ended { done, already: 0, skipped: 0, ended_at: (recording.now)().to_string() };
        journal.write(&Line::End(ended.clone())).map_err(|error| error.to_string())?;
        recording.steps.taken("unfinished receipt ended");
        story.ended = Some(ended.clone());
        Ok((story, ended))
    }

    /// What the columns of every table hold.
    fn stored(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let column = |column: &Column| (column.name.clone(), column.family.name().to_owned());
        self.tables.iter().map(|(name, table)| (name.clone(), table.columns.iter().map(column).collect())).collect()
    }

    /// Learns a table that no action names.
    ///
    /// # Errors
    /// What the server refused.
    pub fn know(&mut self, name: &str) -> Result<usize, Refused> {
        if let Some(known) = self.tables.iter().position(|(other, _)| other == name) {
            return Ok(known);
        }
        let table = self.link.table(name)?;
        self.tables.push((name.to_owned(), table));
        Ok(self.tables.len() - 1)
    }

    /// Puts what undoes a receipt in place of the items, the last first. `projection` is that of a contract, where it is known.
    ///
    /// # Errors
    /// A table that is not there any more.
    pub fn undo<'s>(&mut self, story: &Story, projection: &dyn Fn(&str) -> Option<&'s Source>) -> Result<(), Refused> {
        self.items.clear();
        self.manual.clear();
        // What was tied to the one before it has that one behind it now.
        let mut tied_on = false;
        for (place, written) in story.written().rev().enumerate() {
            let tied = std::mem::replace(&mut tied_on, written.tied);
            let table = self.know(&written.table)?;
            let then = story.begun.as_ref().and_then(|begun| begun.columns.get(&written.table));
            match undoing(&self.tables[table].1, (written, then), projection(&written.contract)) {
                Ok(repair) => {
                    let personal = written.before.iter().chain(&written.after).any(is_personal);
                    let open = || repair.key.iter().chain(&repair.seen).chain(&repair.wanted);
                    let names = || open().map(|cell| self.tables[table].1.columns[cell.column].name.clone()).collect();
                    let item = Item {
                        id: written.action_id.clone(),
                        contract: written.contract.clone(),
                        key: written.key.clone(),
                        table,
                        open: personal.then(names),
                        repair,
                        tied: tied && !self.items.is_empty(),
                    };
                    self.items.push((place, item));
                }
                Err(why) => _ = self.manual.insert(place, why),
            }
        }
        Ok(())
    }
}

fn is_personal(image: &Image) -> bool {
    image.values().any(|value| matches!(value, Value::Personal { .. }))
}

/// The repair that brings a row back to what it was, where it is still what it became.
fn undoing(
    table: &Table,
    (written, then): (&Written, Option<&BTreeMap<String, String>>),
    projection: Option<&Source>,
) -> Result<Repair, String> {
    if let Some(why) = &table.refused {
        return Err(why.clone());
    }
    let hidden = || "the receipt holds no personal value, so it cannot bring it back".to_owned();
    let of = |image: &Option<Image>, names: &[String]| -> Result<Vec<Cell>, String> {
        let image = image.as_ref().ok_or_else(hidden)?;
        let held = |name: &String| {
            let cell = cell(table, image, name).ok_or_else(hidden)?;
            same_type(table, &table.columns[cell.column], then)?;
            Ok(cell)
        };
        names.iter().map(held).collect()
    };
    let all = |image: &Option<Image>| -> Vec<String> {
        let known = |name: &&String| table.column(name).is_some_and(|column| !table.columns[column].generated);
        image.iter().flat_map(BTreeMap::keys).filter(known).cloned().collect()
    };
    let of_key = if written.after.is_some() { &written.after } else { &written.before };
    let key = of(of_key, &written.key_columns)?;
    let (write, seen, wanted) = match written.op.as_str() {
        "insert" => match &table.unseen {
            Some(why) => return Err(why.clone()),
            None => (Write::Delete, of(&written.after, &all(&written.after))?, Vec::new()),
        },
        "delete" => (Write::Insert, Vec::new(), of(&written.before, &all(&written.before))?),
        _ => {
            let mut names = written.columns.clone();
            names.extend(changed_besides(table, written));
            (Write::Update, of(&written.after, &names)?, of(&written.before, &names)?)
        }
    };
    let scope = projection.and_then(|projection| projection.filter.clone());
    let alive = projection.map_or(Ok(None), |projection| alive(projection, table, write))?;
    Ok(Repair { write, seen, wanted, scope, alive, ..Repair::of_key(key) })
}

/// Refuses a column whose values are of another kind than when they were written down: what stands for one of them would stand for
/// another value now. SQLite writes down of each value what it is.
fn same_type(table: &Table, column: &Column, then: Option<&BTreeMap<String, String>>) -> Result<(), String> {
    let now = column.family.name();
    match then.and_then(|then| then.get(&column.name)) {
        Some(then) if then != now && table.system != System::Sqlite => {
            Err(format!("column `{}` held values of another type when it was written ({then}, now {now})", column.name))
        }
        _ => Ok(()),
    }
}

/// Columns that changed with a row although the repair did not write them: the server or a trigger did.
fn changed_besides(table: &Table, written: &Written) -> Vec<String> {
    let (Some(before), Some(after)) = (&written.before, &written.after) else { return Vec::new() };
    let differs = |(name, value): &(&String, &Value)| {
        let known = table.column(name).is_some_and(|column| !table.columns[column].generated);
        let open = matches!((value, after.get(*name)), (Value::Read(_), Some(Value::Read(_))));
        known && open && after.get(*name) != Some(*value) && !written.columns.contains(*name)
    };
    before.iter().filter(differs).map(|(name, _)| name.clone()).collect()
}

/// What an item does, as a few words.
#[must_use]
pub fn doing(item: &Item) -> &'static str {
    op(item.repair.write)
}

/// Writes `plan.sql` and `rollback.sql` of a target: the statements of its items in transactions, and what undoes them, the
/// last first. What only a person can do is a comment.
///
/// # Errors
/// What kept the files from being written, or the server from being asked for the rows that are deleted.
pub fn scripts(
    target: &mut Target,
    title: &str,
    chosen: &[Chosen<'_>],
    plan: &mut dyn io::Write,
    rollback: &mut dyn io::Write,
) -> io::Result<()> {
    let mut undo = Backwards::new()?;
    for line in head(
        target,
        title,
        "repairs what the run found; apply it with `reconcile apply`, which also checks, records and can undo it",
    ) {
        writeln!(plan, "{line}")?;
    }
    for (place, why) in &target.manual {
        let action = &chosen[*place].action;
        let key = comment(&action.key_text);
        writeln!(plan, "-- manual: {} {} {key}: {}", action.contract, action.kind, comment(why))?;
    }
    let items: Vec<Item> = std::mem::take(&mut target.items).into_iter().map(|(_, item)| item).collect();
    for batch in super::engine::batches(&items, &target.tables) {
        let mut undo_batch = Vec::new();
        begin(target, plan)?;
        for item in &items[batch] {
            let table = &target.tables[item.table].1;
            if let Some(why) = hidden(item, table, chosen) {
                writeln!(plan, "-- manual: {} {}: {why}", comment(&item.contract), comment(&item.key))?;
                continue;
            }
            let row =
                if item.repair.write == Write::Delete { whole(&mut *target.link, table, item)? } else { Vec::new() };
            let about = format!("-- {} {}", item.id, comment(&item.contract));
            if item.repair.write == Write::Delete && row.is_empty() {
                writeln!(plan, "{about}: its row is not there any more, or is not the only one of its key")?;
                continue;
            }
            writeln!(plan, "{about}\n{};", item.repair.scripted(table, &row))?;
            undo_batch.push(format!("{about}\n{};", item.repair.undo(table, &row)));
        }
        writeln!(plan, "COMMIT;")?;
        undo.add(undo_batch)?;
    }
    for line in head(target, title, "undoes `plan.sql`, where its rows are still what it made of them") {
        writeln!(rollback, "{line}")?;
    }
    undo.write(|batch| {
        begin(target, rollback)?;
        io::copy(batch, rollback)?;
        writeln!(rollback, "COMMIT;")
    })
}

const HIDDEN: &str = "its row has columns that the plan does not name and that may be personal, so a script to delete it would show \
    them: `reconcile apply` does it";

const SECRET: &str =
    "the source's filter holds a value of the environment, which no file shows: `reconcile apply` does it";

const SECRET_TOO: &str =
    "`deleted` of the source holds a value of the environment, which no file shows: `reconcile apply` does it";

const SPELLED: &str =
    "the row may be there with its key in another spelling, which a script cannot look for: `reconcile apply` does it";

/// Why no script may hold what repairs a row.
fn hidden(item: &Item, table: &Table, chosen: &[Chosen<'_>]) -> Option<&'static str> {
    let filter = item.repair.scope.as_deref().unwrap_or_default();
    let of = chosen.iter().find(|one| one.contract.name == item.contract);
    if of.is_some_and(|one| one.contract.secrets.redact(filter) != filter) {
        return Some(SECRET);
    }
    let deleted = |one: &Chosen<'_>| one.contract.sources.projection.deleted.clone().unwrap_or_default();
    if of.is_some_and(|one| one.contract.secrets.redact(&deleted(one)) != deleted(one)) {
        return Some(SECRET_TOO);
    }
    if !item.repair.spellings.is_empty() {
        return Some(SPELLED);
    }
    may_show_people(item, table).then_some(HIDDEN)
}

/// Whether a script that deletes a row would hold values of columns of which nobody says that they are not personal.
fn may_show_people(item: &Item, table: &Table) -> bool {
    let unnamed = |open: &Vec<String>| table.columns.iter().any(|column| !open.contains(&column.name));
    item.repair.write == Write::Delete && item.open.as_ref().is_some_and(unnamed)
}

fn head(target: &Target, title: &str, what: &str) -> Vec<String> {
    let mut lines = vec![format!("-- {}: {what}", comment(title))];
    lines.extend(target.by_itself.iter().map(|told| format!("-- acts by itself: {}", comment(told))));
    lines.extend(preamble(target.system).iter().map(|line| format!("{line};")));
    lines
}

fn begin(target: &Target, out: &mut dyn io::Write) -> io::Result<()> {
    target.link.begin().iter().try_for_each(|line| writeln!(out, "{line};"))
}

/// One line, whatever a name holds.
fn comment(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// A row that a delete removes, all its columns; empty where it is not there any more.
fn whole(link: &mut dyn Link, table: &Table, item: &Item) -> io::Result<Vec<Cell>> {
    let list = super::statement::readings(table);
    let query = format!("SELECT {list} FROM {} WHERE {} LIMIT 2", table.sql, item.repair.within(table));
    let rows = link.rows(&query).map_err(|refused| io::Error::other(refused.message))?;
    Ok(match rows.as_slice() {
        [row] => super::statement::row_cells(table, row),
        _ => Vec::new(),
    })
}
