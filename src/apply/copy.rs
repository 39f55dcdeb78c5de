//! A repaired copy of a file: its rows with the actions of a plan carried out, as CSV or Parquet. The file that it is a copy of
//! is never touched. What the file's columns cannot hold is said, and then there is no copy.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch, interleave};
use arrow::datatypes::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;

use super::given::{Action, Given};
use crate::contract::{Contract, CsvOptions};
use crate::normalise::{Binding, Comparison};

/// What is done with the rows of a file.
pub struct Repairs<'a> {
    contract: &'a Contract,
    by_key: BTreeMap<&'a str, Vec<&'a Action>>,
    inserts: Vec<&'a Action>,
    /// Actions whose rows were found.
    met: BTreeSet<&'a str>,
    schema: Option<SchemaRef>,
    comparisons: BTreeMap<String, Comparison>,
}

impl<'a> Repairs<'a> {
    /// What these actions do.
    #[must_use]
    pub fn new(contract: &'a Contract, actions: &[&'a Action]) -> Self {
        let mut by_key: BTreeMap<&str, Vec<&Action>> = BTreeMap::new();
        let (inserts, others): (Vec<&Action>, Vec<&Action>) = actions.iter().partition(|action| action.op == "insert");
        for action in others {
            by_key.entry(&action.key_text).or_default().push(action);
        }
        Self { contract, by_key, inserts, met: BTreeSet::new(), schema: None, comparisons: BTreeMap::new() }
    }

    /// Learns the columns.
    pub fn learn(&mut self, binding: &Binding, schema: &SchemaRef) {
        self.schema = Some(Arc::clone(schema));
        self.comparisons = binding.attributes.iter().map(|one| (one.name.clone(), one.comparison.clone())).collect();
    }

    /// A batch with what the actions say of its rows.
    ///
    /// # Errors
    /// What a column cannot hold.
    pub fn batch(&mut self, batch: &RecordBatch, keys: &[Option<Box<str>>]) -> Result<RecordBatch, String> {
        let mut keep = vec![true; batch.num_rows()];
        let mut cells: BTreeMap<usize, Vec<(usize, Option<String>)>> = BTreeMap::new();
        for (row, key) in keys.iter().enumerate() {
            let Some(actions) = key.as_deref().and_then(|key| self.by_key.get(key)) else { continue };
            for &action in actions {
                self.met.insert(&action.id);
                if action.op == "delete" {
                    keep[row] = false;
                }
                for (name, value) in action.after.iter().flatten() {
                    let column = self.column(name, batch)?;
                    cells.entry(column).or_default().push((row, self.spelled(name, value)?));
                }
            }
        }
        let mut columns = batch.columns().to_vec();
        for (column, cells) in cells {
            let name = batch.schema_ref().field(column).name().clone();
            let values = typed(&name, columns[column].data_type(), cells.iter().map(|(_, value)| value.as_deref()));
            let values = values.map_err(|why| self.told(why))?;
            let mut from: Vec<(usize, usize)> = (0..batch.num_rows()).map(|row| (0, row)).collect();
            cells.iter().enumerate().for_each(|(place, (row, _))| from[*row] = (1, place));
            columns[column] =
                interleave(&[&columns[column], &values], &from).map_err(|error| format!("column `{name}`: {error}"))?;
        }
        let written = RecordBatch::try_new(batch.schema(), columns).map_err(|error| error.to_string())?;
        filter_record_batch(&written, &BooleanArray::from(keep)).map_err(|error| error.to_string())
    }

    /// The rows that are added, at the end.
    ///
    /// # Errors
    /// What a column cannot hold, or that it needs a value which the contract does not know.
    pub fn added(&mut self) -> Result<RecordBatch, String> {
        let schema = self.schema.clone().ok_or("the file was not read")?;
        let empty = RecordBatch::new_empty(Arc::clone(&schema));
        let mut values: Vec<Vec<Option<String>>> = vec![vec![None; self.inserts.len()]; schema.fields().len()];
        for (row, action) in self.inserts.clone().into_iter().enumerate() {
            self.met.insert(&action.id);
            for (name, value) in action.after.iter().flatten() {
                let column = self.column(name, &empty)?;
                values[column][row] = self.spelled(name, value)?;
            }
        }
        let column = |(field, values): (&Arc<arrow::datatypes::Field>, &Vec<Option<String>>)| {
            typed(field.name(), field.data_type(), values.iter().map(Option::as_deref)).map_err(|why| self.told(why))
        };
        let columns: Result<Vec<ArrayRef>, String> = schema.fields().iter().zip(&values).map(column).collect();
        RecordBatch::try_new(schema, columns?).map_err(|error| format!("a row that is added: {error}"))
    }

    /// What a column cannot hold; where the contract has personal data, not why, as that quotes the value.
    fn told(&self, Unfit { column, why }: Unfit) -> String {
        let why = if self.contract.has_pii() { String::new() } else { format!(": {why}") };
        format!("column {column} cannot hold a value{why}")
    }

    /// Whether an action was carried out.
    #[must_use]
    pub fn was_met(&self, action: &Action) -> bool {
        self.met.contains(action.id.as_str())
    }

    fn column(&self, attribute: &str, batch: &RecordBatch) -> Result<usize, String> {
        let declared = self.contract.attributes.iter().find(|one| one.name == attribute);
        let path = declared.map(|one| one.projected_as.as_slice()).filter(|path| !path.is_empty());
        let name = match path {
            None => attribute,
            Some([name]) => name.as_str(),
            Some(_) => return Err(format!("`{attribute}` is a part of a column, which is not written by itself")),
        };
        batch.schema_ref().index_of(name).map_err(|_| format!("`{name}` is no column of the file"))
    }

    /// A value as the file spells it.
    fn spelled(&self, attribute: &str, value: &Given) -> Result<Option<String>, String> {
        if matches!(value, Given::Personal(_)) {
            return Err(format!("the value of `{attribute}` is personal, and the authority does not tell it any more"));
        }
        let csv = &self.contract.sources.projection.csv;
        let Some(text) = value.text() else { return Ok(None) };
        let by = |format: &Option<String>| format.clone();
        let spelled = match self.comparisons.get(attribute) {
            Some(Comparison::Integer | Comparison::Decimal { .. } | Comparison::Float | Comparison::Number) => {
                text.replace('.', &csv.decimal.to_string())
            }
            Some(Comparison::Boolean) => {
                let texts = if text == "true" { &csv.true_texts } else { &csv.false_texts };
                texts.first().cloned().unwrap_or(text)
            }
            Some(Comparison::Date) => match (by(&csv.date_format), text.parse::<jiff::civil::Date>()) {
                (Some(format), Ok(date)) => date.strftime(&format).to_string(),
                _ => text,
            },
            Some(Comparison::Timestamp) => match (by(&csv.timestamp_format), text.parse::<jiff::civil::DateTime>()) {
                (Some(format), Ok(at)) => at.strftime(&format).to_string(),
                _ => text,
            },
            _ => text,
        };
        Ok(Some(spelled))
    }
}

/// That a column, by its name and type, cannot hold a value, and why.
struct Unfit {
    column: String,
    why: String,
}

/// Texts as an array of a type.
fn typed<'v>(
    column: &str,
    data_type: &DataType,
    values: impl Iterator<Item = Option<&'v str>>,
) -> Result<ArrayRef, Unfit> {
    let values: Vec<Option<&str>> = values.collect();
    let cannot =
        |why: &dyn std::fmt::Display| Unfit { column: format!("`{column}` ({data_type})"), why: why.to_string() };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    if matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
    ) {
        let bytes: Option<Vec<Option<Vec<u8>>>> =
            values.iter().map(|value| value.map(unhex).map_or(Some(None), |bytes| bytes.map(Some))).collect();
        let bytes = bytes.ok_or_else(|| cannot(&"it is no hex"))?;
        let array = BinaryArray::from_iter(bytes);
        return cast_with_options(&array, data_type, &options).map_err(|error| cannot(&error));
    }
    let array = StringArray::from(values);
    cast_with_options(&array, data_type, &options).map_err(|error| cannot(&error))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    (digits.len() % 2 == 0).then(|| digits.chunks(2).map(pair).collect()).flatten()
}

/// How a copy is written.
pub enum Copy<W: Write + Send> {
    /// As delimited text.
    Text(Text<W>),
    /// As Parquet, with the types that the file has.
    Parquet(Box<ArrowWriter<W>>, SchemaRef),
}

/// A copy as delimited text, in the file's own dialect.
pub struct Text<W> {
    out: W,
    csv: CsvOptions,
    delimiter: u8,
    begun: bool,
}

impl<W: Write + Send> Copy<W> {
    /// A copy as delimited text.
    ///
    /// # Errors
    /// An encoding that is only read.
    pub fn text(out: W, csv: &CsvOptions, delimiter: u8) -> Result<Self, String> {
        if csv.encoding.output_encoding() != csv.encoding {
            return Err(format!("copies in {} are not written", csv.encoding.name()));
        }
        Ok(Self::Text(Text { out, csv: csv.clone(), delimiter, begun: false }))
    }

    /// A copy as Parquet, with the schema of the file that it is a copy of.
    ///
    /// # Errors
    /// A type that Parquet does not hold.
    pub fn parquet(out: W, schema: SchemaRef) -> Result<Self, String> {
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), None).map_err(|error| error.to_string())?;
        Ok(Self::Parquet(Box::new(writer), schema))
    }

    /// Writes rows.
    ///
    /// # Errors
    /// What kept them from being written.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        match self {
            Self::Text(text) => text.write(batch),
            Self::Parquet(writer, schema) => {
                writer.write(&with_types(batch, schema)?).map_err(|error| error.to_string())
            }
        }
    }

    /// Ends the copy.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn finish(self) -> Result<W, String> {
        match self {
            Self::Text(mut text) => text.out.flush().map(|()| text.out).map_err(|error| error.to_string()),
            Self::Parquet(writer, _) => writer.into_inner().map_err(|error| error.to_string()),
        }
    }
}

impl<W: Write> Text<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let mut text = String::new();
        if !self.begun && self.csv.header {
            let names: Vec<String> = batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect();
            let cells: Result<Vec<String>, String> = names.iter().map(|name| self.cell(Some(name))).collect();
            text.push_str(&self.line(&cells?));
        }
        self.begun = true;
        let columns: Result<Vec<StringArray>, String> = batch.columns().iter().map(as_text).collect();
        let columns = columns?;
        for row in 0..batch.num_rows() {
            let value = |column: &StringArray| self.cell(column.is_valid(row).then(|| column.value(row)));
            let cells: Result<Vec<String>, String> = columns.iter().map(value).collect();
            text.push_str(&self.line(&cells?));
        }
        let (bytes, _, lost) = self.csv.encoding.encode(&text);
        if lost {
            return Err(format!("a value has characters that {} does not have", self.csv.encoding.name()));
        }
        self.out.write_all(&bytes).map_err(|error| error.to_string())
    }

    fn line(&self, cells: &[String]) -> String {
        format!("{}\n", cells.join(&char::from(self.delimiter).to_string()))
    }

    fn cell(&self, value: Option<&str>) -> Result<String, String> {
        let nulls = self.csv.null.as_deref();
        let Some(value) = value else {
            return match nulls {
                None => Ok(String::new()),
                Some([first, ..]) => Ok(self.quoted(first, false)),
                Some([]) => Err("`csv.null` names no text for NULL".to_owned()),
            };
        };
        if nulls.is_some_and(|nulls| nulls.iter().any(|null| null == value)) {
            return Err("a value is a text that stands for NULL (`csv.null`)".to_owned());
        }
        Ok(self.quoted(value, nulls.is_none() && value.is_empty()))
    }

    fn quoted(&self, value: &str, always: bool) -> String {
        let special = |byte: u8| byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r' | b' ' | b'\t');
        if always || value.bytes().any(special) {
            format!("\"{}\"", value.replace('"', "\"\""))
        } else {
            value.to_owned()
        }
    }
}

/// The rows in the types of a file, where they were read in others that hold the same values.
fn with_types(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let column = |field: &Arc<arrow::datatypes::Field>| {
        let column =
            batch.column_by_name(field.name()).ok_or_else(|| format!("column `{}` is not there", field.name()))?;
        cast_with_options(column, field.data_type(), &options)
            .map_err(|_| format!("column `{}`: a value does not fit its type, {}", field.name(), field.data_type()))
    };
    let columns: Result<Vec<ArrayRef>, String> = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(Arc::clone(schema), columns?).map_err(|error| error.to_string())
}

fn as_text(column: &ArrayRef) -> Result<StringArray, String> {
    let text = arrow::compute::cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
    Ok(text.as_string::<i32>().clone())
}
