//! Sources from the outside: files are written, opened through `open_cut`, and read back whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float32Array, Float64Array,
    Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::contract::CsvOptions;
use crate::notation::{Notation, notation};

/// A source of files with all defaults.
pub(super) fn source(path: &Path) -> Source {
    Source {
        name: "orders".to_owned(),
        context: None,
        location: Location::Files { written: path.display().to_string(), path: path.to_owned() },
        format: None,
        filter: None,
        version_column: None,
        updated_at: None,
        deleted: None,
        captured_at: CapturedAt::SourceTells,
        max_age: None,
        timezone: None,
        csv: CsvOptions::default(),
    }
}

/// Everything a source gives, cut small.
#[derive(Debug)]
pub(super) struct Everything {
    pub(super) batch: RecordBatch,
    pub(super) unreadable: Vec<Unreadable>,
    pub(super) units: usize,
    pub(super) warnings: Vec<String>,
}

impl Everything {
    pub(super) fn column(&self, name: &str) -> ArrayRef {
        Arc::clone(
            self.batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}: {:?}", self.batch.schema())),
        )
    }

    /// A row as texts, `-` for NULL.
    pub(super) fn row(&self, row: usize) -> Vec<String> {
        let options = FormatOptions::default().with_null("-");
        let show = |column: &ArrayRef| ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string();
        self.batch.columns().iter().map(show).collect()
    }

    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        (0..self.batch.num_rows()).map(|row| self.row(row)).collect()
    }
}

pub(super) fn read_all(opened: &Opened) -> Result<Everything, Error> {
    let columns: Vec<usize> = (0..opened.schema.fields().len()).collect();
    read_columns(opened, &columns)
}

pub(super) fn read_columns(opened: &Opened, columns: &[usize]) -> Result<Everything, Error> {
    let schema = Arc::new(opened.schema.project(columns).unwrap());
    let mut batches = Vec::new();
    let mut unreadable = Vec::new();
    for unit in &opened.units {
        let mut rows = 0;
        for piece in unit.read(columns)? {
            match piece? {
                Piece::Rows(batch) => {
                    assert_eq!(batch.schema(), schema, "a batch has the schema that was asked for");
                    assert!(batch.num_rows() > 0, "no empty batches");
                    rows += batch.num_rows() as u64;
                    batches.push(batch);
                }
                Piece::Unreadable(piece) => {
                    assert!(piece.rows > 0);
                    rows += piece.rows;
                    unreadable.push(piece);
                }
            }
        }
        if let Some(expected) = unit.rows() {
            assert_eq!(rows, expected, "{} tells its rows", unit.place());
        }
    }
    let batch = if columns.is_empty() {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, vec![], &options).unwrap()
    } else {
        concat_batches(&schema, &batches).unwrap()
    };
    Ok(Everything { batch, unreadable, units: opened.units.len(), warnings: opened.warnings.clone() })
}

pub(super) fn cuts(bytes: usize) -> Cuts {
    Cuts { unit_bytes: bytes, block_bytes: bytes.max(1) }
}

pub(super) fn read_source(source: &Source) -> Result<Everything, Error> {
    read_all(&open(source, &OpenOptions::default())?)
}

pub(super) fn read(path: &Path) -> Result<Everything, Error> {
    read_source(&source(path))
}

/// The message of a source that does not open or read, with its hint.
pub(super) fn refusal(path: &Path) -> String {
    match read(path) {
        Err(error) => format!("{error}{}", error.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default()),
        Ok(everything) => panic!("it can be read: {everything:?}"),
    }
}

pub(super) fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::read::GzEncoder::new(content, flate2::Compression::fast());
    let mut bytes = Vec::new();
    encoder.read_to_end(&mut bytes).unwrap();
    bytes
}

pub(super) fn zstandard(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).unwrap()
}

pub(super) fn parquet_bytes(batch: &RecordBatch, group_rows: usize) -> Vec<u8> {
    let properties =
        ::parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut bytes = Vec::new();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

pub(super) fn one_column(name: &str, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap()
}

pub(super) fn sample(rows: usize) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows).unwrap()));
    let names: ArrayRef =
        Arc::new((0..rows).map(|row| (row % 7 != 0).then(|| format!("name {row}"))).collect::<StringArray>());
    let items =
        (0..rows).map(|row| Some((0..row % 3).map(|item| Some(i32::try_from(item).unwrap())).collect::<Vec<_>>()));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(items));
    let members = vec![(Arc::new(Field::new("city", DataType::Utf8, true)), Arc::clone(&names))];
    let structs: ArrayRef = Arc::new(StructArray::from(members));
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("name", names, true),
        ("items", lists, true),
        ("address", structs, true),
    ])
    .unwrap()
}

#[test]
fn every_plain_and_compressed_format_gives_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let text = "id,name\n1,Anna\n2,Bob\n";
    let tabs = text.replace(',', "\t");
    let lines = "{\"id\":1,\"name\":\"Anna\"}\n{\"id\":2,\"name\":\"Bob\"}\n";
    let array = format!("[{}]", lines.trim().replace('\n', ","));
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, content) in [("a.csv", text), ("a.tsv", &*tabs), ("a.ndjson", lines), ("a.json", &*array)] {
        files.push((name.to_owned(), content.into()));
        files.push((format!("{name}.gz"), gzip(content.as_bytes())));
        files.push((format!("{name}.zst"), zstandard(content.as_bytes())));
        // Several members or frames in one file are one text.
        let (first, second) = content.as_bytes().split_at(content.len() / 2);
        files.push((format!("two.{name}.gz"), [gzip(first), gzip(second)].concat()));
        files.push((format!("two.{name}.zst"), [zstandard(first), zstandard(second)].concat()));
    }
    for (name, content) in files {
        let path = write(folder.path(), &name, &content);
        for size in [1, 5, 1 << 20] {
            let opened = open_cut(&source(&path), &OpenOptions::default(), cuts(size)).unwrap();
            let everything = read_all(&opened).unwrap();
            assert_eq!(everything.rows(), [["1", "Anna"], ["2", "Bob"]], "{name} in cuts of {size}");
            assert_eq!(
                digest_files(&opened, |_| None, &|_| {}).unwrap(),
                [blake3::hash(&content).to_hex().to_string()]
            );
            unchanged(&opened).unwrap();
        }
    }
}

#[test]
fn files_of_a_directory_are_united_by_column_name_in_the_order_of_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "b.csv", "name,id\nBob,2\n");
    write(folder.path(), "a.csv", "id,name,extra\n1,Anna,x\n");
    write(folder.path(), "_SUCCESS", "");
    write(folder.path(), ".a.csv.crc", "xx");
    write(folder.path(), "_draft.csv", "id\n9\n");
    write(folder.path(), "notes.md", "# notes");
    let everything = read(folder.path()).unwrap();
    assert_eq!(everything.rows(), [["1", "Anna", "x"], ["2", "Bob", "-"]]);
    assert_eq!(everything.warnings.len(), 2, "{:?}", everything.warnings);
    let glob = folder.path().join("{a,b}.csv");
    assert_eq!(read(&glob).unwrap().rows(), everything.rows());
    let named = write(folder.path(), "odd [1].csv", "id\n7\n");
    assert_eq!(read(&named).unwrap().rows(), [["7"]]);
}

#[test]
fn hive_folders_become_text_columns() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "land=IT/city=S%C3%A3o%20X/a.csv", "id\n1\n2\n");
    write(folder.path(), "land=__HIVE_DEFAULT_PARTITION__/city=100%/b.csv", "id\n3\n");
    let everything = read(folder.path()).unwrap();
    assert_eq!(everything.rows(), [["1", "IT", "São X"], ["2", "IT", "São X"], ["3", "-", "100%"]]);
    let opened = open(&source(folder.path()), &OpenOptions::default()).unwrap();
    assert_eq!(read_columns(&opened, &[1]).unwrap().rows(), [["IT"], ["IT"], ["-"]]);
    assert_eq!(read_columns(&opened, &[]).unwrap().batch.num_rows(), 3);
    assert_eq!(read(&folder.path().join("land=*/**/*.csv")).unwrap().rows(), everything.rows());
    write(folder.path(), "land=IT/city=Roma/c.csv", "id,land\n4,XX\n");
    assert!(refusal(folder.path()).contains("column `land` comes from the folder's name"));
    let all = tempfile::tempdir().unwrap();
    write(all.path(), "land=IT/a.csv", "id,land\n1,FR\n");
    let everything = read(all.path()).unwrap();
    assert_eq!(everything.rows(), [["1", "FR"]]);
    assert_eq!(everything.warnings.len(), 1);
}

#[test]
fn columns_of_several_files_meet_in_a_type_that_holds_every_value_exactly() {
    let stamp = |seconds| Arc::new(TimestampSecondArray::from(vec![seconds]).with_timezone("UTC")) as ArrayRef;
    let micros = |value| Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC")) as ArrayRef;
    let decimal = |value, precision, scale| {
        Arc::new(Decimal128Array::from(vec![value]).with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
    };
    let labels: DictionaryArray<Int32Type> = vec!["x"].into_iter().collect();
    let cases: Vec<(ArrayRef, ArrayRef, Option<DataType>)> = vec![
        (Arc::new(Int32Array::from(vec![1])), Arc::new(Int64Array::from(vec![1])), Some(DataType::Int64)),
        (
            Arc::new(Int64Array::from(vec![-1])),
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            Some(DataType::Decimal128(20, 0)),
        ),
        (decimal(1234, 6, 2), decimal(5, 4, 4), Some(DataType::Decimal128(8, 4))),
        (decimal(1234, 6, 2), Arc::new(Int64Array::from(vec![i64::MAX])), Some(DataType::Decimal128(21, 2))),
        (Arc::new(Float32Array::from(vec![0.5])), Arc::new(Float64Array::from(vec![0.1])), Some(DataType::Float64)),
        (Arc::new(labels), Arc::new(StringArray::from(vec!["y"])), Some(DataType::Utf8View)),
        (stamp(1), micros(1), Some(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))),
        (Arc::new(Int64Array::from(vec![1])), Arc::new(Float64Array::from(vec![0.1])), None),
        (Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["1"])), None),
        (stamp(1), Arc::new(TimestampSecondArray::from(vec![1])), None),
    ];
    for (first, second, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let context = format!("{} with {}", first.data_type(), second.data_type());
        write(folder.path(), "a.parquet", parquet_bytes(&one_column("v", first), 10));
        write(folder.path(), "b.parquet", parquet_bytes(&one_column("v", second), 10));
        if let Some(data_type) = expected {
            let everything = read(folder.path()).unwrap();
            assert_eq!(*everything.column("v").data_type(), data_type, "{context}");
            assert_eq!(everything.column("v").null_count(), 0, "{context}");
        } else {
            let message = refusal(folder.path());
            assert!(message.contains("b.parquet: column `v` is"), "{context}: {message}");
            assert!(message.contains("a.parquet it is"), "{context}: {message}");
        }
    }
}

#[test]
fn nested_columns_are_united_member_by_member() {
    let folder = tempfile::tempdir().unwrap();
    let person = |members: Vec<(&str, ArrayRef)>| {
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, array)| (Arc::new(Field::new(name, array.data_type().clone(), true)), array))
            .collect();
        one_column("person", Arc::new(StructArray::from(members)))
    };
    let first = person(vec![("age", Arc::new(Int32Array::from(vec![7])))]);
    let second = person(vec![
        ("name", Arc::new(StringArray::from(vec!["Eva"])) as ArrayRef),
        ("age", Arc::new(Int64Array::from(vec![8]))),
    ]);
    write(folder.path(), "a.parquet", parquet_bytes(&first, 10));
    write(folder.path(), "b.parquet", parquet_bytes(&second, 10));
    let everything = read(folder.path()).unwrap();
    assert_eq!(everything.rows(), [["{age: 7, name: -}"], ["{age: 8, name: Eva}"]]);
}

#[test]
fn what_cannot_be_opened_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let sample = parquet_bytes(&sample(10), 5);
    let cases: &[(&str, &[u8], &str)] = &[
        ("empty.csv", b"", "is empty (0 bytes), expected data"),
        ("empty.csv.gz", &gzip(b""), "is empty below its compression"),
        ("blank.csv", b"\n\n", "holds only blank lines, expected a header or a record"),
        ("not.parquet", b"id,name\n1,2\n", "begins with `id,name\\n`, expected a Parquet file"),
        ("short.parquet", &sample[..sample.len() / 2], "without a Parquet footer, expected `PAR1` at its end"),
        ("tiny.parquet", b"PAR1", "without a Parquet footer"),
        ("really.csv", &sample, "is a Parquet file, expected CSV text"),
        ("really.ndjson", &sample, "is a Parquet file, expected a JSON object a line"),
        ("really.csv.gz", b"id\n1\n", "begins with `id\\n1\\n`, expected CSV text in gzip"),
        ("gz.csv", &gzip(b"id\n"), "is gzip data, expected CSV text"),
        ("cut.csv.gz", &gzip(&b"id\n1\n".repeat(100))[..20], "ends inside its gzip data"),
        ("cut.ndjson.zst", &zstandard(&b"{\"a\":1}\n".repeat(100))[..20], "ends inside its Zstandard data"),
        ("not.arrow", b"hello world", "begins with `hello wo`, expected an Arrow IPC file or stream"),
        ("object.json", b"{\"a\": 1}", "begins with `{`, expected `[`: an array of objects | say format = \"ndjson\""),
        ("array.ndjson", b"[{\"a\": 1}]", "begins with `[` and has no line that is an object"),
        ("cut.json", b"[{\"a\": 1}, {\"a\"", "ends inside its array, expected `]`"),
        ("more.json", b"[{\"a\": 1}] x", "goes on after the closing `]`"),
        ("comma.json", b"[{\"a\": 1},\n]", "has a comma before the closing `]`"),
        ("wide.csv", b"\xFF\xFEi\0d\0", "byte order mark of UTF-16LE, expected text in UTF-8"),
        ("twice.csv", b"id,x,id\n", "columns 1 and 3 are both named `id`"),
        ("unnamed.csv", b",x\n", "column 1 has no name"),
        ("header.csv", b"\"id,x\n1,2\n", "a quote is opened and never closed"),
        ("old-mac.csv", b"id,x\r1,2\r", "lines end in a carriage return alone"),
        ("data.xyz", b"id\n", "has no known extension"),
        ("a.parquet.gz", b"xx", "is Parquet compressed as a whole"),
    ];
    for (name, content, expected) in cases {
        let path = write(folder.path(), name, content);
        let message = refusal(&path);
        assert!(message.contains(expected), "{name}: {message}");
        assert!(message.contains(name), "{name}: {message}");
        assert!(message.matches(name).count() == 1, "the place once: {message}");
    }
    let missing = folder.path().join("missing.csv");
    assert!(refusal(&missing).contains("does not exist, expected a file, a directory or a glob"));
    assert!(refusal(&folder.path().join("*.nothing")).contains("matches no data file"));
    let empty = tempfile::tempdir().unwrap();
    assert!(refusal(empty.path()).contains("is a directory without data files"));
    let remote = Source {
        location: Location::Remote { scheme: "kafka".to_owned(), shown: "kafka://broker/x".to_owned() },
        ..source(Path::new(""))
    };
    assert!(read_source(&remote).unwrap_err().to_string().contains("later version"));
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", "id\n1\n2\n");
    let opened = open(&source(&path), &OpenOptions::default()).unwrap();
    unchanged(&opened).unwrap();
    fs::write(&path, "id\n1\n").unwrap();
    let error = unchanged(&opened).unwrap_err().to_string();
    assert!(error.contains("changed while it was read: it had 7 bytes, now 5"), "{error}");
    assert!(read_all(&opened).is_err());
    assert!(digest_files(&opened, |_| None, &|_| {}).is_err());
    fs::remove_file(&path).unwrap();
    assert!(unchanged(&opened).unwrap_err().to_string().contains("is not any more"));
    // Another file of the same size under the same name.
    let opened = open(&source(&write(folder.path(), "b.csv", "id\n1\n")), &OpenOptions::default()).unwrap();
    fs::rename(write(folder.path(), "c.csv", "id\n2\n"), folder.path().join("b.csv")).unwrap();
    assert!(unchanged(&opened).is_err());
}

#[test]
fn the_instant_of_a_snapshot_is_what_the_source_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", "id\n1\n");
    let mut orders = source(&path);
    let opened = open(&orders, &OpenOptions::default()).unwrap();
    assert_eq!(captured_at(&orders, &opened).unwrap(), None);
    orders.captured_at = CapturedAt::FileModified;
    assert_eq!(captured_at(&orders, &opened).unwrap(), opened.files[0].modified);
    let instant = jiff::Timestamp::from_second(5).unwrap();
    orders.captured_at = CapturedAt::At(instant);
    assert_eq!(captured_at(&orders, &opened).unwrap(), Some(instant));
}

#[test]
fn a_uuid_of_parquet_carries_its_notation() {
    let field = Field::new("id", DataType::FixedSizeBinary(16), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let array: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([[7_u8; 16]].iter()).unwrap());
    let batch = RecordBatch::try_new(schema, vec![array]).unwrap();
    let message = "message schema { optional fixed_len_byte_array(16) id (UUID); }";
    let parsed = ::parquet::schema::parser::parse_message_type(message).unwrap();
    let descriptor = ::parquet::schema::types::SchemaDescriptor::new(Arc::new(parsed));
    let options = ::parquet::arrow::arrow_writer::ArrowWriterOptions::new().with_parquet_schema(descriptor);
    let mut bytes = Vec::new();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.parquet", bytes);
    let opened = open(&source(&path), &OpenOptions::default()).unwrap();
    assert_eq!(notation(opened.schema.field(0)), Some(Notation::Uuid));
    assert_eq!(read_all(&opened).unwrap().column("id").as_fixed_size_binary().value(0), [7; 16]);
}

#[test]
fn batches_have_the_wanted_rows() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = std::iter::once("id\n".to_owned()).chain((0..10).map(|row| format!("{row}\n"))).collect();
    let paths =
        [write(folder.path(), "a.csv", text), write(folder.path(), "a.parquet", parquet_bytes(&sample(10), 100))];
    for path in paths {
        let options = OpenOptions { batch_rows: 4, ..OpenOptions::default() };
        let opened = open(&source(&path), &options).unwrap();
        let sizes: Vec<usize> = opened.units[0]
            .read(&[0])
            .unwrap()
            .map(|piece| match piece.unwrap() {
                Piece::Rows(batch) => batch.num_rows(),
                Piece::Unreadable(unreadable) => panic!("{unreadable:?}"),
            })
            .collect();
        assert_eq!(sizes, [4, 4, 2]);
    }
}

#[test]
fn single_rows_of_texts_are_those_of_the_whole_reading() {
    let comma_text = |row: usize| match row % 5 {
        0 => format!("{row},plain\n"),
        1 => format!("{row},\"quoted, {row}\"\n"),
        2 => format!("{row},\"two\nlines\"\r\n"),
        3 => format!("{row},\n\n"),
        _ => format!("{row},\"say \"\"{row}\"\"\"\n"),
    };
    let object = |row: usize| match row % 3 {
        0 => format!("{{\"a\":{row},\"b\":\"text\"}}\n"),
        1 => format!("{{\"a\":{row}.5,\"b\":\"say \\\"{row}\\\"\"}}\n\n"),
        _ => format!("{{\"b\":null, \"a\":-{row}}}\n"),
    };
    let folder = tempfile::tempdir().unwrap();
    let alike: String = (0..1000).map(|row| format!("{row},x\n")).collect();
    let mixed: String = (0..1000).map(comma_text).collect();
    let objects: String = (0..1000).map(object).collect();
    for (name, content) in
        [("a.csv", format!("a,b\n{alike}")), ("b.csv", format!("a,b\n{mixed}")), ("c.ndjson", objects)]
    {
        let path = write(folder.path(), name, content);
        for bytes in [1 << 10, 1 << 20] {
            let opened = open_cut(&source(&path), &OpenOptions::default(), cuts(bytes)).unwrap();
            let before = opened.units[0].read_rows(&[0, 1], &[0]);
            assert!(before.is_none(), "{name}: nothing is known before the first reading");
            let whole = read_all(&opened).unwrap();
            assert_eq!((whole.batch.num_rows(), whole.unreadable.len()), (1000, 0), "{name}");
            let mut first = 0;
            for unit in &opened.units {
                let rows = read_unit(unit.as_ref());
                for step in [1, 7, 200] {
                    let wanted: Vec<u64> = (0..rows as u64).skip(step / 2).step_by(step).collect();
                    let pieces = unit.read_rows(&[0, 1], &wanted).expect("it was read to its end").unwrap();
                    let found: Vec<RecordBatch> = pieces
                        .map(|piece| match piece.unwrap() {
                            Piece::Rows(rows) => rows,
                            Piece::Unreadable(unreadable) => panic!("{unreadable:?}"),
                        })
                        .collect();
                    let found = concat_batches(&opened.schema, &found).unwrap();
                    let offsets = wanted.iter().map(|row| first as u64 + row).collect::<Vec<_>>();
                    let offsets = arrow::array::UInt64Array::from(offsets);
                    let expected = arrow::compute::take_record_batch(&whole.batch, &offsets).unwrap();
                    assert_eq!(found.columns(), expected.columns(), "{name}, every {step} in cuts of {bytes}");
                }
                first += rows;
            }
            assert_eq!(first, 1000, "{name}");
        }
    }
}

fn read_unit(unit: &dyn Unit) -> usize {
    let pieces = unit.read(&[0]).unwrap();
    pieces.map(|piece| if let Piece::Rows(rows) = piece.unwrap() { rows.num_rows() } else { 0 }).sum()
}
