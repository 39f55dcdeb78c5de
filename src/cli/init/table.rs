//! One of the two tables: opened, its columns down to the members of structs, and how its texts spell things.
//!
//! What a source is told of a CSV file (delimiter, encoding, decimal sign, dates) is found by opening it that way, with
//! the reader that a run will use.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::draft::{self, Draft, DraftSource};
use super::loose::{DateOrder, Look, Style, loose};
use crate::cli::failure::Failure;
use crate::console::Counter;
use crate::contract::{self, Source};
use crate::normalise::{self, Binding, Comparison};
use crate::sides::Side;
use crate::source::{self, OpenOptions, Opened, Piece, Unit};

/// Rows at the head of a table that are looked at first.
pub(super) const HEAD_ROWS: usize = 50_000;
/// And bytes.
const HEAD_BYTES: usize = 32 << 20;
/// Levels of structs whose members are columns of their own.
const DEPTH_MAX: usize = 3;

/// One side, ready to be read.
pub(super) struct Table {
    pub(super) draft: DraftSource,
    pub(super) opened: Opened,
    pub(super) columns: Vec<Column>,
    pub(super) style: Style,
    /// The first rows.
    pub(super) head: Vec<RecordBatch>,
    /// Whether those are all rows.
    pub(super) whole: bool,
    source: Arc<Source>,
    reader: Reader,
    /// Who hears how far the reading is.
    counter: Counter,
}

/// A column, or the member of a struct.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) path: Vec<String>,
    /// Its type, as people say it.
    pub(super) described: String,
    /// What it is by itself.
    pub(super) comparison: Comparison,
}

impl Column {
    /// As messages show it.
    pub(super) fn shown(&self) -> String {
        self.path.join(".")
    }

    pub(super) fn is_nested(&self) -> bool {
        matches!(self.comparison, Comparison::Nested(_) | Comparison::Json)
    }
}

/// Some columns of a table and how their values are shown.
pub(super) struct Reader {
    /// Indices in the source's schema, ascending.
    pub(super) read: Vec<usize>,
    binding: Binding,
    side: Side,
}

impl Reader {
    /// Calls for each value of a column (its number among those of the reader) that is not NULL.
    pub(super) fn each(&self, batch: &RecordBatch, column: usize, call: impl FnMut(usize, &str)) {
        let rows: Vec<usize> = (0..batch.num_rows()).collect();
        normalise::show_each(&self.binding, self.side, column, batch, &rows, call);
    }
}

impl Table {
    /// Opens a location as it stands on the command line.
    pub(super) fn open(location: &str, name: &str, counter: Counter) -> Result<Self, Failure> {
        let mut draft = DraftSource { name: name.to_owned(), location: location.to_owned(), ..DraftSource::default() };
        let (mut source, mut opened) = open(&draft)?;
        if is_delimited(&opened) {
            if let Some(delimiter) = delimiter(&opened.schema) {
                let shown = if delimiter == '\t' { "\"\\t\"".to_owned() } else { format!("\"{delimiter}\"") };
                draft.csv.push(("delimiter", shown));
                (source, opened) = open(&draft)?;
            }
            if has_other_bytes(&opened)? {
                draft.csv.push(("encoding", "\"windows-1252\"".to_owned()));
                (source, opened) = open(&draft)?;
            }
        }
        let columns = columns(&source, &opened.schema)?;
        let paths: Vec<&Column> = columns.iter().collect();
        let reader = reader(&source, &opened.schema, &paths)?;
        let (head, whole) = head(&opened, &reader.read)?;
        let mut table = Self { draft, opened, columns, style: Style::default(), head, whole, source, reader, counter };
        if is_delimited(&table.opened) {
            table.learn_style()?;
        }
        Ok(table)
    }

    /// The pieces of a unit, of each of which it is told how far the reading is.
    pub(super) fn told<'a>(
        &'a self,
        unit: &'a dyn Unit,
        columns: &[usize],
    ) -> Result<impl Iterator<Item = Result<Piece, source::Error>> + 'a, source::Error> {
        let (all_rows, all_bytes) = (unit.rows(), unit.bytes());
        let mut left = all_bytes;
        let mut pieces = unit.read(columns)?;
        Ok(std::iter::from_fn(move || {
            let Some(piece) = pieces.next() else {
                self.counter.add(0, std::mem::take(&mut left));
                return None;
            };
            let rows = match &piece {
                Ok(Piece::Rows(batch)) => batch.num_rows() as u64,
                Ok(Piece::Unreadable(unreadable)) => unreadable.rows,
                Err(_) => 0,
            };
            let share = all_rows.map_or(0, |all| all_bytes * rows / all.max(1)).min(left);
            left -= share;
            self.counter.add(rows, share);
            Some(piece)
        }))
    }

    /// Every column.
    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Only some, by their numbers in `columns`.
    pub(super) fn reader_of(&self, columns: &[usize]) -> Result<Reader, Failure> {
        let columns: Vec<&Column> = columns.iter().map(|&column| &self.columns[column]).collect();
        reader(&self.source, &self.opened.schema, &columns)
    }

    fn learn_style(&mut self) -> Result<(), Failure> {
        let looks = self.looks();
        let comma = looks.iter().any(|look| look.is(look.comma) && look.signs > 0);
        let point = looks.iter().any(|look| look.is(look.point) && look.points > 0);
        self.style.decimal_comma = comma && !point;
        let has_iso = looks.iter().any(|look| look.is(look.iso));
        let order = |index: &usize| looks.iter().any(|look| look.is(look.orders[*index]));
        if !has_iso {
            self.style.date = (0..DateOrder::ALL.len()).find(order).map(|index| DateOrder::ALL[index]);
        }
        if self.style.decimal_comma {
            self.draft.csv.push(("decimal", "\",\"".to_owned()));
        }
        if let Some(date) = self.style.date {
            self.draft.csv.push(("date_format", format!("\"{}\"", date.pattern())));
        }
        if self.style != Style::default() {
            let columns: Vec<&Column> = self.columns.iter().collect();
            (self.source, self.opened) = open(&self.draft)?;
            self.reader = reader(&self.source, &self.opened.schema, &columns)?;
        }
        Ok(())
    }

    /// What the texts of each column at the head look like.
    fn looks(&self) -> Vec<Looks> {
        let mut looks = vec![Looks::default(); self.columns.len()];
        let german = Style { decimal_comma: true, date: None };
        for batch in &self.head {
            for (column, look) in looks.iter_mut().enumerate() {
                self.reader.each(batch, column, |_, text| {
                    let text = text.trim();
                    if text.is_empty() {
                        return;
                    }
                    look.values += 1;
                    let has = |sign: char| usize::from(text.contains(sign));
                    if matches!(loose(text, german).1, Look::Number { .. }) {
                        look.comma += 1;
                        look.signs += has(',');
                    }
                    match loose(text, Style::default()).1 {
                        Look::Number { .. } => {
                            look.point += 1;
                            look.points += has('.');
                        }
                        Look::Date => look.iso += 1,
                        Look::Stamp { .. } | Look::Text => {}
                    }
                    for (order, count) in DateOrder::ALL.iter().zip(&mut look.orders) {
                        *count += usize::from(order.read(text).is_some());
                    }
                });
            }
        }
        looks
    }
}

/// How many values of a column could be read in each way.
#[derive(Clone, Debug, Default)]
struct Looks {
    values: usize,
    comma: usize,
    /// Of those, with the sign itself.
    signs: usize,
    point: usize,
    points: usize,
    iso: usize,
    orders: [usize; DateOrder::ALL.len()],
}

impl Looks {
    /// Nearly all values: a few may be at fault.
    fn is(&self, count: usize) -> bool {
        count > 0 && count * 20 >= self.values * 19
    }
}

fn open(draft: &DraftSource) -> Result<(Arc<Source>, Opened), Failure> {
    let text = Draft::of_source(draft).text();
    let configuration = contract::load_text(draft::here(), &text)?;
    let source = Arc::clone(&configuration.contracts[0].sources.authority);
    let opened = source::open(&source, &OpenOptions::default())?;
    Ok((source, opened))
}

fn is_delimited(opened: &Opened) -> bool {
    opened.files.iter().any(|file| {
        let name = file.shown.to_lowercase();
        [".csv", ".tsv", ".txt"].iter().any(|ending| name.contains(ending))
    })
}

/// A header that came as one column, though it holds another sign that delimits.
fn delimiter(schema: &Schema) -> Option<char> {
    let [only] = &schema.fields()[..] else { return None };
    [';', '\t', '|']
        .into_iter()
        .max_by_key(|sign| only.name().matches(*sign).count())
        .filter(|sign| only.name().contains(*sign))
}

/// Whether rows at the head cannot be read because their bytes are not UTF-8.
fn has_other_bytes(opened: &Opened) -> Result<bool, Failure> {
    let all: Vec<usize> = (0..opened.schema.fields().len()).collect();
    let mut rows = 0;
    for unit in &opened.units {
        for piece in unit.read(&all)? {
            match piece? {
                Piece::Unreadable(unreadable) if unreadable.problem.to_lowercase().contains("utf-8") => {
                    return Ok(true);
                }
                Piece::Unreadable(_) => {}
                Piece::Rows(batch) => rows += batch.num_rows(),
            }
            if rows >= HEAD_ROWS {
                return Ok(false);
            }
        }
    }
    Ok(false)
}

/// Every column and member that can be compared with itself.
fn columns(source: &Arc<Source>, schema: &Schema) -> Result<Vec<Column>, Failure> {
    let mut paths = Vec::new();
    for field in schema.fields() {
        add_paths(&mut paths, &mut Vec::new(), field);
    }
    let drafts: Vec<Column> =
        paths.into_iter().map(|(path, described)| Column { path, described, comparison: Comparison::Null }).collect();
    let binding = bind(source, schema, &drafts.iter().collect::<Vec<_>>())?;
    let bound = |column: usize| binding.attributes.iter().find(|attribute| attribute.name == draft::name_of(column));
    let found = drafts.into_iter().enumerate().filter_map(|(number, column)| {
        let comparison = bound(number)?.comparison.clone();
        Some(Column { comparison, ..column })
    });
    Ok(found.collect())
}

fn add_paths(paths: &mut Vec<(Vec<String>, String)>, above: &mut Vec<String>, field: &Field) {
    above.push(field.name().clone());
    paths.push((above.clone(), normalise::describe(field)));
    if let DataType::Struct(members) = field.data_type()
        && above.len() < DEPTH_MAX
    {
        members.iter().for_each(|member| add_paths(paths, above, member));
    }
    above.pop();
}

/// Binds columns to themselves.
fn bind(source: &Arc<Source>, schema: &Schema, columns: &[&Column]) -> Result<Binding, Failure> {
    let paths: Vec<Vec<String>> = columns.iter().map(|column| column.path.clone()).collect();
    let text = Draft::of_itself(&paths).text();
    let mut contract = contract::Contract::clone(&contract::load_text(draft::here(), &text)?.contracts[0]);
    contract.sources.authority = Arc::clone(source);
    contract.sources.projection = Arc::clone(source);
    let schemas = crate::sides::Sides::from_fn(|_| schema);
    normalise::bind(normalise::BindRequest { contract: &contract, schemas }).map_err(|errors| {
        let said = |error: &normalise::BindError| {
            let said = error.to_string();
            said.trim_start_matches("authority: ").to_owned()
        };
        let first = errors.iter().map(said).next().unwrap_or_default();
        Failure::new(format!("{}: {first}", source.location.shown()))
    })
}

fn reader(source: &Arc<Source>, schema: &Schema, columns: &[&Column]) -> Result<Reader, Failure> {
    let binding = bind(source, schema, columns)?;
    let side = Side::Authority;
    Ok(Reader { read: normalise::columns_read(&binding, side), binding, side })
}

/// The first rows, and whether there are no others.
fn head(opened: &Opened, read: &[usize]) -> Result<(Vec<RecordBatch>, bool), Failure> {
    let (mut head, mut rows, mut bytes) = (Vec::new(), 0, 0);
    for unit in &opened.units {
        for piece in unit.read(read)? {
            let Piece::Rows(batch) = piece? else { continue };
            if batch.num_rows() == 0 {
                continue;
            }
            if rows == HEAD_ROWS || bytes >= HEAD_BYTES {
                return Ok((head, false));
            }
            let batch = compact(&batch);
            let taken = batch.slice(0, batch.num_rows().min(HEAD_ROWS - rows));
            rows += taken.num_rows();
            bytes += batch.get_array_memory_size();
            let cut = taken.num_rows() < batch.num_rows();
            head.push(taken);
            if cut {
                return Ok((head, false));
            }
        }
    }
    Ok((head, true))
}

/// Without the buffers that views of text share with rows that are gone.
pub(super) fn compact(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => Arc::clone(column),
        }
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).unwrap_or_else(|_| batch.clone())
}
