//! Writes repairs: batch by batch in transactions, each row under its guard, looked at before and after, with the journal on
//! the disk before a transaction is durable. A row that has moved is left alone. It never decides what a repair is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use super::journal::{Batch, Image, Journal, Line, Value, Written};
use super::link::{Link, Refused};
use super::literal::as_read;
use super::statement::{Cell, Repair, Write, comparable, readings, referring, row_cells};
use super::table::Table;
use crate::contract::System;

/// How many rows a transaction writes at most.
pub const BATCH: usize = 100;

/// How many bytes of statements a transaction holds at most, besides its first.
const BATCH_BYTES: usize = 8 << 20;

/// How often what a constraint kept back is tried again after others were written.
const ROUNDS: usize = 8;

/// How many rows in a row may be given up because a statement took too long, before it is the target that is too slow.
const SLOW_ROWS: u32 = 5;

/// How many rows are looked at that may be of a key in another spelling.
const SPELLINGS: usize = 1_000;

/// How often a transaction is tried that fails for what passes.
const ATTEMPTS: u32 = 4;

/// The wait before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

/// One repair on its way.
#[derive(Clone, Debug)]
pub struct Item {
    /// The action's id.
    pub id: String,
    /// The contract.
    pub contract: String,
    /// The key as JSON text.
    pub key: String,
    /// The table, by its place.
    pub table: usize,
    /// What is written.
    pub repair: Repair,
    /// Must share a transaction with the one before.
    pub tied: bool,
    /// Which columns may be written down as they are; None: all.
    pub open: Option<Vec<String>>,
}

/// What came of a repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The row is as it ought to be already.
    Already,
    /// It was not done, and why.
    Skipped(String),
}

/// Who is told each step; a test ends the process at one.
pub trait Steps {
    /// A step that was just taken.
    fn taken(&self, step: &str);
    /// What came of so many more actions is known.
    fn settled(&self, _actions: u64) {}
}

/// Nobody.
pub struct Quietly;

impl Steps for Quietly {
    fn taken(&self, _: &str) {}
}

/// What ends an apply before its end.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// The server is of no further use.
    #[error("{0}")]
    Server(Refused),
    /// The journal cannot be written.
    #[error("{0}")]
    Journal(#[from] io::Error),
}

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        Self::Server(refused)
    }
}

/// A target with its tables, and all that writing to it needs.
pub struct Engine<'a> {
    /// The session.
    pub link: &'a mut dyn Link,
    /// Whose dialect.
    pub system: System,
    /// The tables, with the names that the contracts give them.
    pub tables: &'a [(String, Table)],
    /// What is on the disk before a transaction is.
    pub journal: &'a mut Journal,
    /// The number of the last batch.
    pub batch: u64,
    /// How many rows before this one were given up because a statement took too long.
    pub slow: u32,
    /// What digests of personal values are keyed with.
    pub key: [u8; 32],
    /// Who is told each step.
    pub steps: &'a dyn Steps,
}

impl Engine<'_> {
    /// Writes all of them in their order, and tells what came of each, in the same order.
    ///
    /// # Errors
    /// What ended it; what was told before is done and stands in the journal.
    pub fn write(&mut self, items: &[Item], tell: &mut dyn FnMut(usize, Outcome)) -> Result<(), Halt> {
        let mut again = Vec::new();
        for batch in batches(items, self.tables) {
            self.settle(items, batch, &mut |place, outcome, constraint| {
                if constraint { again.push((place, outcome)) } else { tell(place, outcome) }
            })?;
        }
        // What a constraint kept back may go now that the others are written, and let further ones go in turn.
        for _ in 0..ROUNDS {
            let mut left = Vec::new();
            let waiting = again.len();
            for (place, _) in again {
                self.settle(items, place..place + 1, &mut |place, outcome, constraint| {
                    if constraint { left.push((place, outcome)) } else { tell(place, outcome) }
                })?;
            }
            again = left;
            if again.len() == waiting {
                break;
            }
        }
        again.into_iter().for_each(|(place, outcome)| tell(place, outcome));
        Ok(())
    }

    /// One batch in a transaction; where the transaction as a whole is refused, each tied group in one of its own.
    fn settle(
        &mut self,
        items: &[Item],
        batch: std::ops::Range<usize>,
        tell: &mut dyn FnMut(usize, Outcome, bool),
    ) -> Result<(), Halt> {
        match self.attempts(items, batch.clone())? {
            Ok(outcomes) => {
                batch.zip(outcomes).for_each(|(place, (outcome, constraint))| tell(place, outcome, constraint));
                Ok(())
            }
            Err(why) => {
                let groups = groups(items, batch.clone());
                if groups.len() == 1 {
                    batch.for_each(|place| tell(place, Outcome::Skipped(why.clone()), true));
                    return Ok(());
                }
                groups.into_iter().try_for_each(|group| self.settle(items, group, tell))
            }
        }
    }

    /// The same transaction again, where another one was only in its way.
    fn attempts(
        &mut self,
        items: &[Item],
        batch: std::ops::Range<usize>,
    ) -> Result<Result<Vec<(Outcome, bool)>, String>, Halt> {
        for attempt in 0..ATTEMPTS {
            match self.transaction(items, batch.clone()) {
                Err(Halt::Server(refused)) if refused.passes() => {
                    self.link.run("ROLLBACK")?;
                    if attempt + 1 == ATTEMPTS {
                        return Ok(Err(said(&refused, items[batch.start].open.is_some())));
                    }
                    std::thread::sleep(PAUSE * 2_u32.pow(attempt));
                }
                ended => return ended,
            }
        }
        Ok(Ok(Vec::new()))
    }

    /// The outcomes, and which of them a constraint decided; or why the transaction was refused as a whole.
    fn transaction(
        &mut self,
        items: &[Item],
        batch: std::ops::Range<usize>,
    ) -> Result<Result<Vec<(Outcome, bool)>, String>, Halt> {
        for line in self.link.begin() {
            self.link.run(line)?;
        }
        self.steps.taken("transaction begun");
        let transaction = self.link.transaction()?;
        let mut outcomes = Vec::new();
        let mut writes = Vec::new();
        let personal = items[batch.clone()].iter().any(|item| item.open.is_some());
        for place in batch {
            let item = &items[place];
            let (outcome, written, constraint) = self.guarded(item)?;
            writes.extend(written);
            outcomes.push((outcome, constraint));
            self.steps.taken("row written");
        }
        if writes.is_empty() {
            self.link.run("ROLLBACK")?;
            return Ok(Ok(outcomes));
        }
        self.batch += 1;
        let batch = self.batch;
        self.journal.write(&Line::Batch { batch, writes, transaction })?;
        self.steps.taken("batch journalled");
        if let Err(refused) = self.link.run("COMMIT") {
            if refused.lost {
                // Whether it is durable is found when the apply goes on.
                return Err(refused.into());
            }
            // A transaction that the server refused to end may still stand.
            self.link.run("ROLLBACK")?;
            self.journal.write(&Line::GivenUp { batch })?;
            return Ok(Err(said(&refused, personal)));
        }
        self.steps.taken("committed");
        self.journal.write(&Line::Committed { batch })?;
        self.steps.taken("commit journalled");
        Ok(Ok(outcomes))
    }

    /// One row, within a savepoint, so that a refusal costs no other row.
    fn guarded(&mut self, item: &Item) -> Result<(Outcome, Option<Written>, bool), Halt> {
        self.link.run("SAVEPOINT reconcile_row")?;
        let (outcome, written, constraint) = match self.row(item) {
            Ok(told) => told,
            // Of a transaction that another one stands in the way of, nothing is kept: its locks would be in the way in turn.
            Err(refused) if refused.lost || refused.passes() => return Err(refused.into()),
            Err(refused) => {
                self.slow = if refused.is_slow() { self.slow + 1 } else { 0 };
                if self.slow >= SLOW_ROWS {
                    return Err(refused.into());
                }
                (Outcome::Skipped(said(&refused, item.open.is_some())), None, true)
            }
        };
        if outcome == Outcome::Done {
            self.slow = 0;
        }
        if outcome != Outcome::Done {
            self.link.run("ROLLBACK TO SAVEPOINT reconcile_row")?;
        }
        self.link.run("RELEASE SAVEPOINT reconcile_row")?;
        Ok((outcome, written, constraint))
    }

    /// What came of a row, what was written, and whether a constraint decided that it was not.
    fn row(&mut self, item: &Item) -> Result<(Outcome, Option<Written>, bool), Refused> {
        let tables = self.tables;
        let (_, table) = &tables[item.table];
        let repair = &item.repair;
        let skipped = |why: &str| Ok((Outcome::Skipped(why.to_owned()), None, false));
        let waits = |why: String| Ok((Outcome::Skipped(why), None, true));
        let before = self.select(table, &repair.within(table), true)?;
        if let Some(why) = if before.is_empty() { self.beside(table, repair)? } else { None } {
            return skipped(why);
        }
        let wanted_now = match repair.write {
            Write::Delete => before.is_empty(),
            Write::Insert | Write::Update => !before.is_empty() && self.count(table, &repair.as_wanted(table))? == 1,
        };
        match (repair.write, before.len()) {
            (_, 2..) => return skipped("the key names several rows of the target"),
            _ if wanted_now => return Ok((Outcome::Already, None, false)),
            (Write::Insert, 1) => return skipped("the row has moved since: there is one of this key now"),
            (Write::Update, 0) => return skipped("the row has moved since: there is none of this key now"),
            (Write::Update | Write::Delete, _) if self.is_buried(table, repair)? => {
                return skipped("the row has moved since: it is a tombstone now");
            }
            (Write::Update | Write::Delete, _) if self.count(table, &repair.as_seen(table))? != 1 => {
                return skipped("the row has moved since: it does not hold what the plan saw");
            }
            _ => {}
        }
        let row = before.first().map_or_else(Vec::new, |row| comparable(table, row_cells(table, row)));
        if repair.write == Write::Delete {
            for (query, what) in referring(table, &row, &repair.at(table)) {
                if !self.link.rows(&query)?.is_empty() {
                    return waits(format!("{what}, so the row is left for a person"));
                }
            }
        }
        let count = self.link.write(&repair.statement(table, &row))?;
        let after = self.select(table, &repair.within(table), false)?;
        let kept = match repair.write {
            Write::Delete => after.is_empty(),
            Write::Insert | Write::Update => after.len() == 1 && self.count(table, &repair.as_wanted(table))? == 1,
        };
        match (repair.write, count) {
            (Write::Insert, 0) if after.is_empty() => {
                return waits("another row holds a value that must be unique".to_owned());
            }
            (Write::Insert, 0) => return skipped("the row has moved since: there is one of this key now"),
            (_, 1) => {}
            _ => return waits("the target wrote another number of rows than one, so nothing was".to_owned()),
        }
        if !kept && repair.scope.is_some() && after.is_empty() {
            return skipped(
                "with this the row would leave those that the source's filter takes, so nothing was written",
            );
        }
        if !kept && !after.is_empty() && self.is_buried(table, repair)? {
            return skipped("with this the row would be a tombstone, so nothing was written");
        }
        if !kept {
            return skipped("the target does not keep the values as they were written, so nothing was");
        }
        let written = self.written(item, before.first(), after.first());
        Ok((Outcome::Done, Some(written), false))
    }

    /// What stands where no row of the key was found among those of the source: one that the filter leaves out, or one of the
    /// same key in another spelling.
    fn beside(&mut self, table: &Table, repair: &Repair) -> Result<Option<&'static str>, Refused> {
        if repair.scope.is_some() && self.count(table, &repair.at(table))? > 0 {
            return Ok(Some(
                "the row has moved since: the only row of this key is not among those that the source's filter takes",
            ));
        }
        if repair.spellings.is_empty() {
            return Ok(None);
        }
        let list: Vec<String> = repair.spellings.iter().map(|spelling| spelling.reading(table)).collect();
        let (list, condition) = (list.join(", "), repair.nearly_at(table));
        let rows =
            self.link.rows(&format!("SELECT {list} FROM {} WHERE {condition} LIMIT {}", table.sql, SPELLINGS + 1))?;
        let is = |row: &super::link::Answer| {
            repair
                .spellings
                .iter()
                .zip(row)
                .all(|(spelling, text)| text.as_deref().is_some_and(|text| spelling.is(text)))
        };
        if rows.iter().any(is) {
            return Ok(Some("the row has moved since: there is one of this key now, in another spelling"));
        }
        let many = "more rows than can be looked at may be of this key in another spelling, so it is left for a person";
        Ok((rows.len() > SPELLINGS).then_some(many))
    }

    /// Whether the row of a repair is a tombstone.
    fn is_buried(&mut self, table: &Table, repair: &Repair) -> Result<bool, Refused> {
        Ok(repair.alive.is_some() && self.count(table, &repair.living(table))? == 0)
    }

    fn select(&mut self, table: &Table, condition: &str, lock: bool) -> Result<Vec<super::link::Answer>, Refused> {
        let lock = if lock && self.system != System::Sqlite { " FOR UPDATE" } else { "" };
        let readings = readings(table);
        self.link.rows(&format!("SELECT {readings} FROM {} WHERE {condition} LIMIT 2{lock}", table.sql))
    }

    fn count(&mut self, table: &Table, condition: &str) -> Result<usize, Refused> {
        let rows = self.link.rows(&format!("SELECT 1 FROM {} WHERE {condition} LIMIT 2", table.sql))?;
        Ok(rows.len())
    }

    fn written(
        &self,
        item: &Item,
        before: Option<&super::link::Answer>,
        after: Option<&super::link::Answer>,
    ) -> Written {
        let (name, table) = &self.tables[item.table];
        let names = |cells: &[Cell]| cells.iter().map(|cell| table.columns[cell.column].name.clone()).collect();
        let image = |row: &super::link::Answer| image(table, row, item.open.as_deref(), &self.key);
        Written {
            action_id: item.id.clone(),
            contract: item.contract.clone(),
            key: item.key.clone(),
            op: op(item.repair.write).to_owned(),
            table: name.clone(),
            key_columns: names(&item.repair.key),
            columns: names(&item.repair.wanted),
            before: before.map(image),
            after: after.map(image),
            tied: item.tied,
        }
    }

    /// Whether a batch that was on its way when an apply ended is durable: what the server says of its transaction, else what
    /// its rows are. None where they have all moved since, or some are as before and others as after it.
    ///
    /// # Errors
    /// What the server refused.
    pub fn is_durable(&mut self, batch: &Batch) -> Result<Option<bool>, Refused> {
        if let Some(transaction) = &batch.transaction
            && let Some(durable) = self.link.fate(transaction)?
        {
            return Ok(Some(durable));
        }
        let mut seen = BTreeSet::new();
        for written in &batch.writes {
            let tables = self.tables;
            let Some((_, table)) = tables.iter().find(|(name, _)| *name == written.table) else { continue };
            let (Some(before_or_after), columns) =
                (written.after.as_ref().or(written.before.as_ref()), &written.key_columns)
            else {
                continue;
            };
            let key: Option<Vec<Cell>> = columns.iter().map(|name| cell(table, before_or_after, name)).collect();
            let Some(key) = key.filter(|key| !key.is_empty()) else { continue };
            let at = Repair::of_key(key).at(table);
            let rows = self.select(table, &at, false)?;
            let open = open_columns(before_or_after);
            let now: Vec<Image> = rows.iter().map(|row| image(table, row, open.as_deref(), &self.key)).collect();
            // Rows of the same key that the source's filter leaves out may lie beside it.
            let is = |then: &Option<Image>| then.as_ref().map_or(now.is_empty(), |then| now.contains(then));
            match (is(&written.after), is(&written.before)) {
                (true, false) => _ = seen.insert(true),
                (false, true) => _ = seen.insert(false),
                _ => {}
            }
        }
        Ok(if seen.len() == 1 { seen.first().copied() } else { None })
    }
}

/// The columns of an image that are written down as they are; None: all.
fn open_columns(image: &Image) -> Option<Vec<String>> {
    let open = |(name, value): (&String, &Value)| matches!(value, Value::Read(_)).then(|| name.clone());
    let open: Vec<String> = image.iter().filter_map(open).collect();
    (open.len() < image.len()).then_some(open)
}

/// A column of an image as a literal; None where the image does not hold it.
#[must_use]
pub fn cell(table: &Table, image: &Image, name: &str) -> Option<Cell> {
    let column = table.column(name)?;
    match image.get(name)? {
        Value::Read(read) => {
            Some(Cell { column, literal: as_read(table.system, &table.columns[column], read.as_deref()) })
        }
        Value::Personal { .. } => None,
    }
}

fn image(table: &Table, row: &super::link::Answer, open: Option<&[String]>, key: &[u8; 32]) -> Image {
    let value = |name: &String, read: &Option<String>| {
        if open.is_none_or(|open| open.contains(name)) {
            return Value::Read(read.clone());
        }
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(&[u8::from(read.is_some())]).update(read.as_deref().unwrap_or_default().as_bytes());
        Value::Personal { pii: hasher.finalize().to_hex().to_string() }
    };
    let columns = table.columns.iter().zip(row);
    columns.map(|(column, read)| (column.name.clone(), value(&column.name, read))).collect::<BTreeMap<_, _>>()
}

/// What a server said, without values where they are personal.
fn said(refused: &Refused, personal: bool) -> String {
    if personal {
        format!("the target refused it (code {})", refused.code)
    } else {
        format!("the target refused it: {}", refused.message)
    }
}

/// As plans name it.
#[must_use]
pub fn op(write: Write) -> &'static str {
    match write {
        Write::Insert => "insert",
        Write::Update => "update",
        Write::Delete => "delete",
    }
}

/// Where each transaction begins and ends.
#[must_use]
pub fn batches(items: &[Item], tables: &[(String, Table)]) -> Vec<std::ops::Range<usize>> {
    let mut batches: Vec<std::ops::Range<usize>> = Vec::new();
    let mut bytes = 0;
    for (place, item) in items.iter().enumerate() {
        let size = item.repair.statement(&tables[item.table].1, &[]).len();
        match batches.last_mut() {
            Some(last) if item.tied || (last.len() < BATCH && bytes + size <= BATCH_BYTES) => {
                last.end += 1;
                bytes += size;
            }
            _ => {
                batches.push(place..place + 1);
                bytes = size;
            }
        }
    }
    batches
}

fn groups(items: &[Item], batch: std::ops::Range<usize>) -> Vec<std::ops::Range<usize>> {
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    for place in batch {
        match groups.last_mut() {
            Some(last) if items[place].tied => last.end += 1,
            _ => groups.push(place..place + 1),
        }
    }
    groups
}
