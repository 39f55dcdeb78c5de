//! Delimited text: what each record means, where a broken one lies, and that no cut changes either.

use std::path::Path;

use proptest::prelude::*;

use super::super::tests::{Everything, cuts, read_all, read_columns, source, write};
use super::super::{OpenOptions, open_cut};
use crate::contract::CsvOptions;

fn read_with(content: &[u8], options: CsvOptions, bytes: usize) -> Everything {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", content);
    let mut text = source(&path);
    text.csv = options;
    read_all(&open_cut(&text, &OpenOptions::default(), cuts(bytes)).unwrap()).unwrap()
}

fn texts(content: &str) -> Vec<Vec<String>> {
    read_with(content.as_bytes(), CsvOptions::default(), 1 << 20).rows()
}

#[test]
fn records_mean_what_rfc_4180_says() {
    let cases: &[(&str, &[&[&str]])] = &[
        ("a,b\n1,2\n", &[&["1", "2"]]),
        ("a,b\r\n1,2\r\n3,4", &[&["1", "2"], &["3", "4"]]),
        ("a,b\n1,2\r", &[&["1", "2"]]),
        ("a,b\n,\"\"\n", &[&["-", ""]]),
        ("a,b\n\"x\ny\",\"p\"\"q\"\n", &[&["x\ny", "p\"q"]]),
        ("a,b\n\"\"\"\",\",\"\r\n", &[&["\"", ","]]),
        ("a,b\n\n1,2\n\r\n\n", &[&["1", "2"]]),
        ("\u{feff}a,b\n1,2\n", &[&["1", "2"]]),
        ("a,b\n 1 , 2 \n", &[&[" 1 ", " 2 "]]),
        ("\"a\",\"b \"\"c\"\"\"\n1,2\n", &[&["1", "2"]]),
        ("a\n1\n\n\"\"\n", &[&["1"], &["-"], &[""]]),
        ("\n\na\n1\n", &[&["1"]]),
        ("a,b\n", &[]),
        ("a,b", &[]),
        ("a,b\nx\ry,2\n", &[&["x\ry", "2"]]),
    ];
    for (content, expected) in cases {
        for bytes in [1, 2, 3, 7, 1 << 20] {
            let everything = read_with(content.as_bytes(), CsvOptions::default(), bytes);
            assert_eq!(everything.rows(), *expected, "{content:?} in cuts of {bytes}");
            assert_eq!(everything.unreadable, [], "{content:?}");
        }
    }
}

#[test]
fn broken_records_are_said_with_their_line_and_reading_goes_on() {
    let cases: &[(&[u8], &[(u64, &str)], usize)] = &[
        (b"a,b\n1\n2,3\n4,5,6\n", &[(2, "has 1 field, expected 2"), (4, "has 3 fields, expected 2")], 1),
        (b"a,b\n\"x\ny\",1\n1,x\"y\n5,6\n", &[(4, "field 2: has a quote inside")], 2),
        (b"a,b\n\"x\"y,1\n5,6\n", &[(2, "field 1: has text after its closing quote")], 1),
        (b"a,b\n5,6\n\"x,1\n5,6\n", &[(3, "a quote is opened and never closed until the end of the file")], 1),
        (b"a,b\n5,\xFF\n\xC3\xA9,6\n", &[(2, "column `b`, byte 3 of the record: is not UTF-8")], 1),
        (b"a,b\n1,\"x\n\xFF\"\n5,6\n", &[(2, "column `b`, byte 6 of the record: is not UTF-8")], 1),
        (b"a,b\n\"1\" ,2\n5,6\n", &[(2, "field 1: has text after its closing quote")], 1),
        (b"a,b\nx\"\"y,2\n\"\"x,3\n5,6\n", &[(2, "field 1: has a quote inside"), (3, "field 1: has text after")], 1),
        (b"a,b\n\"1\"\r,2\n5,6\n", &[(2, "field 1: has text after its closing quote")], 1),
    ];
    for (content, expected, rows) in cases {
        for bytes in [1, 2, 3, 5, 8, 1 << 20] {
            let everything = read_with(content, CsvOptions::default(), bytes);
            let context = format!("{:?} in cuts of {bytes}: {everything:?}", String::from_utf8_lossy(content));
            assert_eq!(everything.batch.num_rows(), *rows, "{context}");
            assert_eq!(everything.unreadable.len(), expected.len(), "{context}");
            for (seen, (line, problem)) in everything.unreadable.iter().zip(*expected) {
                assert!(seen.place.ends_with(&format!("a.csv, line {line}")), "{context}");
                assert!(seen.problem.contains(problem), "{context}");
            }
        }
    }
}

#[test]
fn what_is_unreadable_does_not_depend_on_the_columns_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.csv", b"a,b,c\n1,\xFF,3\n4,5,6\n7,8\n9,1\"0,1\n");
    let opened = open_cut(&source(&path), &OpenOptions::default(), cuts(1 << 20)).unwrap();
    for columns in [&[][..], &[0], &[1], &[2], &[0, 2]] {
        let everything = read_columns(&opened, columns).unwrap();
        assert_eq!((everything.batch.num_rows(), everything.unreadable.len()), (1, 3));
    }
}

#[test]
fn listed_texts_are_null_and_nothing_else_is() {
    let read = |null: &[&str]| {
        let null = Some(null.iter().map(|text| (*text).to_owned()).collect());
        read_with(b"a,b\n,\"\"\nNULL,\"NULL\"\nx,null\n", CsvOptions { null, ..CsvOptions::default() }, 1 << 20).rows()
    };
    assert_eq!(read(&["NULL"]), [["", ""], ["-", "-"], ["x", "null"]]);
    assert_eq!(read(&["", "NULL"]), [["-", "-"], ["-", "-"], ["x", "null"]]);
    assert_eq!(read(&[]), [["", ""], ["NULL", "NULL"], ["x", "null"]]);
}

#[test]
fn options_say_how_the_text_is_written() {
    let options = CsvOptions { delimiter: Some(b';'), header: false, ..CsvOptions::default() };
    let everything = read_with(b"1;a,b\n2;c\n", options, 3);
    assert_eq!(everything.rows(), [["1", "a,b"], ["2", "c"]]);
    assert_eq!(everything.batch.schema().field(1).name(), "column_2");
    let options = CsvOptions { encoding: encoding_rs::WINDOWS_1252, ..CsvOptions::default() };
    for bytes in [1, 1 << 20] {
        assert_eq!(read_with(b"na\xEFf,b\n\xE9,2\n", options.clone(), bytes).rows(), [["é", "2"]]);
    }
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let options = CsvOptions { encoding: encoding_rs::UTF_16LE, ..CsvOptions::default() };
    assert_eq!(read_with(&wide("\u{feff}a,b\nž,\"2\n3\"\n"), options, 4).rows(), [["ž", "2\n3"]]);
    let options = CsvOptions { encoding: encoding_rs::SHIFT_JIS, ..CsvOptions::default() };
    let everything = read_with(b"a,b\n1,2\n\xFF,3\n", options, 1 << 20);
    assert_eq!(everything.rows(), [["1", "2"]]);
    assert!(everything.unreadable[0].place.ends_with("line 3"));
    assert!(everything.unreadable[0].problem.contains("is not Shift_JIS"));
}

#[test]
fn a_long_file_is_cut_into_many_units() {
    let content: String = std::iter::once("id,text\n".to_owned())
        .chain((0..5000).map(|row| format!("{row},\"line\n{row}\"\n")))
        .collect();
    let cut = read_with(content.as_bytes(), CsvOptions::default(), 1000);
    assert!(cut.units > 20, "{}", cut.units);
    assert_eq!(cut.rows(), read_with(content.as_bytes(), CsvOptions::default(), 1 << 20).rows());
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,3}",
        Just(String::new()),
        prop::collection::vec(prop::sample::select(vec!["\"", ",", "\n", "\r\n", "x", "é", " ", "\r"]), 0..6)
            .prop_map(|parts| parts.concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn well_formed_text_reads_as_the_csv_crate_reads_it(
        rows in prop::collection::vec(prop::collection::vec(field(), 3), 0..12),
        bytes in prop::sample::select(vec![1_usize, 2, 3, 16, 1 << 20]),
        crlf in any::<bool>(),
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let content = writer.into_inner().unwrap();
        let everything = read_with(&content, CsvOptions { null: Some(vec![]), ..CsvOptions::default() }, bytes);
        prop_assert_eq!(&everything.unreadable, &[]);
        let mut reader = csv::Reader::from_reader(&*content);
        let peers: Vec<Vec<String>> =
            reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        prop_assert_eq!(&everything.rows(), &peers);
        prop_assert_eq!(&everything.rows(), &rows);
    }

    #[test]
    fn no_cut_changes_what_is_read_of_any_bytes(
        parts in prop::collection::vec(
            prop::sample::select(vec![&b"\""[..], b",", b"\n", b"\r\n", b"x", b"\xC3\xA9", b"\xFF", b"\"\"", b"ab", b"\r"]),
            0..40,
        ),
        bytes in prop::sample::select(vec![1_usize, 2, 3, 5, 9]),
    ) {
        let content = [b"a,b\n".to_vec(), parts.concat()].concat();
        let whole = read_with(&content, CsvOptions::default(), 1 << 20);
        let cut = read_with(&content, CsvOptions::default(), bytes);
        prop_assert_eq!(whole.rows(), cut.rows());
        let said = |everything: &Everything| -> Vec<(String, String)> {
            everything
                .unreadable
                .iter()
                .map(|unreadable| {
                    let line = Path::new(&unreadable.place).file_name().unwrap().to_string_lossy().into_owned();
                    (line, unreadable.problem.clone())
                })
                .collect()
        };
        prop_assert_eq!(said(&whole), said(&cut));
        super::fuzz(&content);
    }
}

#[test]
fn a_quoted_text_of_one_column_is_no_blank_line() {
    assert_eq!(texts("a\n\"\"\n\nx\n"), [[""], ["-"], ["x"]]);
}
