//! JSON: which types values make, what is exact, where a broken record lies, and that no cut changes any of it.

use arrow::datatypes::DataType;
use proptest::prelude::*;

use super::super::tests::{Everything, cuts, gzip, read, read_all, read_columns, refusal, source, write};
use super::super::{OpenOptions, Opened, open_cut};
use crate::notation::{Notation, notation};

fn opened(folder: &tempfile::TempDir, name: &str, content: &[u8], as_json: &[&str], bytes: usize) -> Opened {
    let path = write(folder.path(), name, content);
    let as_json = as_json.iter().map(|name| (*name).to_owned()).collect();
    open_cut(&source(&path), &OpenOptions { as_json, batch_rows: 3, ..OpenOptions::default() }, cuts(bytes)).unwrap()
}

fn lines(content: &str, as_json: &[&str]) -> Everything {
    let folder = tempfile::tempdir().unwrap();
    read_all(&opened(&folder, "a.ndjson", content.as_bytes(), as_json, 1 << 20)).unwrap()
}

#[test]
fn numbers_are_exact_and_types_are_those_of_the_whole_file() {
    let wide = "12345678901234567890123456789012345678901234567890";
    let exotic = format!("{wide}{wide}");
    let cases: &[(&[&str], DataType, Option<Notation>, &[&str])] = &[
        (&["1", "-2"], DataType::Int64, Some(Notation::Number), &["1", "-2"]),
        (
            &["9223372036854775807", "-9223372036854775808"],
            DataType::Int64,
            Some(Notation::Number),
            &["9223372036854775807", "-9223372036854775808"],
        ),
        (
            &["9223372036854775808", "1"],
            DataType::Decimal128(19, 0),
            Some(Notation::Number),
            &["9223372036854775808", "1"],
        ),
        (&["1", "0.10"], DataType::Decimal128(3, 2), Some(Notation::Number), &["1.00", "0.10"]),
        (&["1e3", "-2.5E-2"], DataType::Decimal128(7, 3), Some(Notation::Number), &["1000.000", "-0.025"]),
        (&["-0.0", "0e99"], DataType::Decimal128(2, 1), Some(Notation::Number), &["0.0", "0.0"]),
        (&["1", "null"], DataType::Int64, Some(Notation::Number), &["1", "-"]),
        (&[wide, "0.5"], DataType::Decimal256(51, 1), Some(Notation::Number), &[&format!("{wide}.0"), "0.5"]),
        (&[&exotic, "1.50"], DataType::Utf8, Some(Notation::Number), &[&exotic, "1.50"]),
        (&["1e999999999999999999999", "1"], DataType::Utf8, Some(Notation::Number), &["1e999999999999999999999", "1"]),
        (&["true", "false"], DataType::Boolean, None, &["true", "false"]),
        (&["\"x\"", "\"\\u00e9\\n\""], DataType::Utf8, None, &["x", "é\n"]),
        (&["null", "null"], DataType::Null, None, &["-", "-"]),
        (&["1", "\"x\""], DataType::Utf8, Some(Notation::Json), &["1", "\"x\""]),
        (&["{\"a\": 1}", "[2]"], DataType::Utf8, Some(Notation::Json), &["{\"a\": 1}", "[2]"]),
        (&["true", "null"], DataType::Boolean, None, &["true", "-"]),
    ];
    for (values, data_type, mark, shown) in cases {
        let content: String = values.iter().map(|value| format!("{{\"v\": {value}}}\n")).collect();
        let everything = lines(&content, &[]);
        let schema = everything.batch.schema();
        assert_eq!(*schema.field(0).data_type(), *data_type, "{values:?}");
        assert_eq!(notation(schema.field(0)), *mark, "{values:?}");
        assert_eq!(everything.rows().concat(), *shown, "{values:?}");
        assert_eq!(everything.unreadable, [], "{values:?}");
    }
}

#[test]
fn nested_values_become_lists_and_structs_with_the_same_rules() {
    let everything = lines(
        "{\"a\": {\"x\": 1, \"y\": [1, 2.5]}}\n{\"a\": {\"y\": [], \"z\": \"t\"}}\n{\"a\": null}\n{\"a\": {\"y\": [null]}}\n{}\n",
        &[],
    );
    let field = everything.batch.schema().field(0).clone();
    let DataType::Struct(members) = field.data_type() else { panic!("{field}") };
    let names: Vec<_> = members.iter().map(|member| member.name().as_str()).collect();
    assert_eq!(names, ["x", "y", "z"]);
    assert_eq!(
        everything.rows().concat(),
        ["{x: 1, y: [1.0, 2.5], z: -}", "{x: -, y: [], z: t}", "-", "{x: -, y: [-], z: -}", "-"]
    );
    let mixed = lines("{\"a\": [1, \"x\"]}\n{\"b\": {}}\n", &[]);
    let schema = mixed.batch.schema();
    let DataType::List(item) = schema.field(0).data_type() else { panic!("{schema}") };
    assert_eq!(notation(item), Some(Notation::Json));
    assert_eq!(mixed.rows(), [["[1, \"x\"]", "-"], ["-", "{}"]]);
}

#[test]
fn a_column_compared_as_json_keeps_null_apart_from_absent() {
    let everything = lines("{\"id\": 1, \"v\": {\"a\": 1.0}}\n{\"id\": 2, \"v\": null}\n{\"id\": 3}\n", &["v"]);
    assert_eq!(notation(everything.batch.schema().field(1)), Some(Notation::JsonMember));
    assert_eq!(everything.rows(), [["1", "{\"a\": 1.0}"], ["2", "null"], ["3", ""]]);
}

#[test]
fn broken_records_are_said_with_line_and_column_and_reading_goes_on() {
    let deep = format!("{{\"a\": {}1{}}}", "[".repeat(200), "]".repeat(200));
    let cases: &[(&[u8], &str, &str)] = &[
        (b"{\"a\": 1", "line 2, column 7", "is broken JSON: it ends while parsing an object"),
        (b"{\"a\": }", "line 2, column 7", "is broken JSON: expected value"),
        (b"[1, 2]", "line 2, column 1", "is an array, expected an object"),
        (b"12", "line 2, column 1", "is a number, expected an object"),
        (b"null", "line 2, column 1", "is null, expected an object"),
        (b"hello", "line 2, column 1", "is no JSON: begins with `h`, expected `{`"),
        (b"  {\"a\": \"\xFF\"}", "line 2, column 10", "is not UTF-8"),
        (b"{\"a\": 1, \"a\": 2}", "line 2, column 15", "has two members named `a`"),
        (b"{\"a\": {\"b\": 1, \"\\u0062\": 2}}", "line 2, column 26", "has two members named `b`"),
        (b"{\"a\": 1} x", "line 2, column 10", "is broken JSON: trailing characters"),
        (b"{\"a\": \"\\ud800\"}", "line 2", "is broken JSON"),
        (b"{\"a\": 01}", "line 2", "is broken JSON: invalid number"),
        (deep.as_bytes(), "line 2", "is nested deeper than 128 levels"),
    ];
    for (line, place, problem) in cases {
        let content = [b"{\"a\": 7, \"b\": 1}\n", *line, b"\n\n{\"b\": 2}\n"].concat();
        for bytes in [1, 5, 1 << 20] {
            let folder = tempfile::tempdir().unwrap();
            for (name, content) in [("a.ndjson", content.clone()), ("a.ndjson.gz", gzip(&content))] {
                let opened = opened(&folder, name, &content, &[], bytes);
                for columns in [&[][..], &[0], &[1], &[0, 1]] {
                    let everything = read_columns(&opened, columns).unwrap();
                    let context = format!("{} {columns:?}: {everything:?}", String::from_utf8_lossy(line));
                    assert_eq!(everything.batch.num_rows(), 2, "{context}");
                    assert_eq!(everything.unreadable.len(), 1, "{context}");
                    let seen = &everything.unreadable[0];
                    assert!(seen.place.contains(&format!("{name}, {place}")), "{context}");
                    assert!(seen.problem.contains(problem), "{context}");
                }
            }
        }
    }
}

#[test]
fn elements_of_an_array_are_rows_and_broken_ones_are_said() {
    let content = b" [\n {\"a\": 1},\n  {\"a\": \"]},[\"}, 3,\n\n {\"a\": {\"b\" 1}}, , {\"a\": [2]}\n]\n";
    let folder = tempfile::tempdir().unwrap();
    for bytes in [1, 2, 9, 1 << 20] {
        for (name, content) in [("a.json", content.to_vec()), ("a.json.gz", gzip(content))] {
            let everything = read_all(&opened(&folder, name, &content, &[], bytes)).unwrap();
            assert_eq!(everything.rows().concat(), ["1", "\"]},[\"", "[2]"], "{name} {bytes}");
            let said: Vec<_> = everything.unreadable.iter().map(|seen| (&*seen.place, &*seen.problem)).collect();
            assert_eq!(said.len(), 3, "{said:?}");
            assert!(
                said[0].0.contains("line 3, column") && said[0].1.contains("is a number, expected an object"),
                "{said:?}"
            );
            assert!(said[1].0.contains("line 5, column") && said[1].1.contains("is broken JSON"), "{said:?}");
            assert!(said[2].0.contains("line 5") && said[2].1.contains("is empty, expected an object"), "{said:?}");
        }
    }
    let empty = write(folder.path(), "empty.json", " [ ] \n");
    assert!(refusal(&empty).contains("without rows this format has no columns"), "{}", refusal(&empty));
    let broken = write(folder.path(), "broken.ndjson", "x\ny\n");
    let said = refusal(&broken);
    assert!(said.contains("broken.ndjson, line 1") && said.contains("no row of the source can be read"), "{said}");
}

#[test]
fn files_of_one_source_learn_their_types_together() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.ndjson", "{\"id\": 1, \"v\": 1}\n");
    write(folder.path(), "b.json", "[{\"v\": 2.50, \"w\": true}]");
    let everything = read(folder.path()).unwrap();
    assert_eq!(*everything.batch.schema().field(1).data_type(), DataType::Decimal128(3, 2));
    assert_eq!(everything.rows(), [["1", "1.00", "-"], ["-", "2.50", "true"]]);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        (-3_i64..3).prop_map(serde_json::Value::from),
        "[a-z\"\\\\\n,{}\\[\\]é]{0,4}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_cut_and_no_compression_changes_what_is_read(
        rows in prop::collection::vec(prop::collection::btree_map("[abc]", value(), 0..3), 1..8),
        bytes in prop::sample::select(vec![1_usize, 3, 17]),
    ) {
        let rows: Vec<serde_json::Value> =
            rows.into_iter().map(|row| serde_json::Value::Object(row.into_iter().collect())).collect();
        let by_line: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let array = serde_json::to_string_pretty(&rows).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let whole = read_all(&opened(&folder, "a.ndjson", by_line.as_bytes(), &[], 1 << 20)).unwrap();
        prop_assert_eq!(whole.batch.num_rows(), rows.len());
        let others = [
            ("b.ndjson", by_line.clone().into_bytes()),
            ("b.ndjson.gz", gzip(by_line.as_bytes())),
        ];
        for (name, content) in others {
            let read = read_all(&opened(&folder, name, &content, &[], bytes)).unwrap();
            prop_assert_eq!(&read.batch, &whole.batch);
        }
        let compact = serde_json::to_string(&rows).unwrap();
        for (name, content) in [("b.json", compact.clone().into_bytes()), ("b.json.gz", gzip(compact.as_bytes()))] {
            let read = read_all(&opened(&folder, name, &content, &[], bytes)).unwrap();
            prop_assert_eq!(&read.batch, &whole.batch);
        }
        let pretty = read_all(&opened(&folder, "c.json", array.as_bytes(), &[], bytes)).unwrap();
        prop_assert_eq!(pretty.batch.num_rows(), rows.len());
        super::fuzz(by_line.as_bytes());
        super::fuzz(array.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                &b"{"[..], b"}", b"[", b"]", b"\"a\"", b":", b",", b"1", b"\n", b"\\", b"\"", b"\xFF", b" ", b"{\"a\":1}", b"1e5", b"null",
            ]),
            0..30,
        ),
    ) {
        super::fuzz(&parts.concat());
    }
}

proptest! {
    #[test]
    fn flat_objects_read_as_those_that_are_not(
        rows in prop::collection::vec(
            (
                prop::option::of("-?(0|[1-9][0-9]{0,18})"),
                prop::option::of("-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,10})?"),
                prop::option::of("[a-z é]{0,20}"),
                prop::sample::select(vec!["true", "false", "null"]),
            ),
            1..12,
        ),
    ) {
        let written = |escape: bool| -> String {
            let line = |(integer, decimal, text, boolean): &(Option<String>, Option<String>, Option<String>, &str)| {
                let name = if escape { "\\u0061" } else { "a" };
                let decimal = decimal.as_ref().map(|decimal| format!(",\"b\":{decimal}")).unwrap_or_default();
                let text = text.as_ref().map_or_else(|| "null".to_owned(), |text| format!("\"{text}\""));
                let integer = integer.as_deref().unwrap_or("null");
                format!("{{\"{name}\":{integer}{decimal},\"c\":{text},\"d\":{boolean}}}\n")
            };
            rows.iter().map(line).collect()
        };
        let (flat, other) = (lines(&written(false), &[]), lines(&written(true), &[]));
        prop_assert_eq!(flat.batch, other.batch);
        prop_assert_eq!(flat.unreadable, other.unreadable);
    }
}
