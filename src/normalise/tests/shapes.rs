//! UUIDs, binary, JSON, lists, structs and maps.

use super::*;

fn lists(rows: &[&[Option<i32>]]) -> ListArray {
    let mut builder = ListBuilder::new(Int32Builder::new());
    rows.iter().for_each(|row| builder.append_value(row.iter().copied()));
    builder.finish()
}

fn structs(members: Vec<(&str, ArrayRef)>, nulls: Option<NullBuffer>) -> StructArray {
    let fields: Vec<Field> =
        members.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    StructArray::new(fields.into(), members.into_iter().map(|(_, array)| array).collect(), nulls)
}

fn map(entries: &[(&str, i64)]) -> MapArray {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for (key, value) in entries {
        builder.keys().append_value(key);
        builder.values().append_value(*value);
    }
    builder.append(true).unwrap();
    builder.finish()
}

#[test]
fn uuids_compare_by_value_in_any_spelling() {
    let id = *b"\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x14\x17\x40\x00";
    let bytes = || -> ArrayRef { Arc::new(FixedSizeBinaryArray::try_from_iter([id].into_iter()).unwrap()) };
    for spelling in [
        "123e4567-e89b-12d3-a456-426614174000",
        "123E4567E89B12D3A456426614174000",
        "{123e4567-e89b-12d3-a456-426614174000}",
        "URN:UUID:123e4567-e89b-12d3-a456-426614174000",
    ] {
        let texts = || -> ArrayRef { Arc::new(text(&[spelling])) };
        all(&pair_of(bytes(), texts()).noted(Side::Authority, Notation::Uuid), "equal");
        all(&pair_of(bytes(), texts()).typed(LogicalType::Uuid), "equal");
        all(&pair_of(texts(), texts()).typed(LogicalType::Uuid), "equal");
    }
    for wrong in [
        "123e4567e89b-12d3-a456-426614174000",
        "123e4567",
        "{123e4567-e89b-12d3-a456-426614174000",
        "é23e4567-e89b-12d3-a456-426614174000",
    ] {
        all(&pair_of(bytes(), Arc::new(text(&[wrong]))).noted(Side::Authority, Notation::Uuid), "unparseable");
    }
    // Without the mark sixteen bytes are bytes.
    assert_eq!(pair_of(bytes(), bytes()).comparison(), Comparison::Binary);
    all(&pair(BinaryArray::from(vec![b"short".as_slice()]), text(&["x"])).typed(LogicalType::Uuid), "out of type");
}

#[test]
fn binary_compares_by_bytes_and_is_read_as_hexadecimal() {
    let plain: ArrayRef = Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice(), b"ab"]));
    for layout in [DataType::LargeBinary, DataType::BinaryView, DataType::FixedSizeBinary(2)] {
        all(&pair_of(Arc::clone(&plain), cast(&plain, &layout).unwrap()), "equal");
        all(&pair_of(cast(&plain, &layout).unwrap(), Arc::new(text(&["0x00FF", "6162"]))), "equal");
    }
    all(&pair_of(Arc::clone(&plain), Arc::new(text(&["0", "zz"]))), "unparseable");
    all(&pair_of(plain, Arc::new(Int64Array::from(vec![1, 2]))), "incomparable");
}

#[test]
fn json_compares_by_value() {
    let json = |one: &str, two: &str| pair(text(&[one]), text(&[two])).typed(LogicalType::Json).judged()[0];
    assert_eq!(json(r#"{"a":1,"b":[1,2]}"#, r#"{"b":[1.0,2e0],"a":1}"#), "equal");
    assert_eq!(json("[1,2]", "[2,1]"), "differs");
    assert_eq!(json("{}", r#"{"a":null}"#), "differs");
    assert_eq!(json("{", "{"), "unparseable");
    assert_eq!(json(r#"{"a":1,"a":1}"#, r#"{"a":1}"#), "unparseable");
    assert_eq!(json("", ""), "unparseable");
    let scalars = |other: ArrayRef, two: &str| {
        pair_of(other, Arc::new(text(&[two]))).noted(Side::Projection, Notation::Json).judged()[0]
    };
    assert_eq!(scalars(Arc::new(Int64Array::from(vec![1])), "1.0"), "equal");
    assert_eq!(scalars(Arc::new(Float32Array::from(vec![0.1])), "0.1"), "equal");
    assert_eq!(scalars(Arc::new(Float64Array::from(vec![f64::NAN])), "\"NaN\""), "out of type");
    assert_eq!(scalars(Arc::new(BooleanArray::from(vec![true])), "true"), "equal");
    assert_eq!(scalars(Arc::new(lists(&[&[Some(1), None]])), "[1,null]"), "equal");
    let member: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    assert_eq!(scalars(Arc::new(structs(vec![("a", member)], None)), r#"{"a":"x"}"#), "equal");
    assert_eq!(scalars(Arc::new(map(&[("b", 1), ("a", 2)])), r#"{"a":2,"b":1}"#), "equal");
}

#[test]
fn null_absent_and_json_null_are_three_things() {
    let members = || StringArray::from(vec![None, Some(""), Some("null")]);
    let shuffled = || StringArray::from(vec![Some("null"), None, Some("")]);
    let marked = |one: StringArray, two: StringArray| {
        pair(one, two)
            .typed(LogicalType::Json)
            .noted(Side::Authority, Notation::JsonMember)
            .noted(Side::Projection, Notation::JsonMember)
    };
    all(&marked(members(), members()), "equal");
    all(&marked(members(), shuffled()), "differs");
    let documents = pair(StringArray::from(vec![Some("null")]), StringArray::from(vec![None::<&str>]));
    all(&documents.noted(Side::Authority, Notation::Json).noted(Side::Projection, Notation::Json), "equal");
}

#[test]
fn lists_compare_element_by_element_in_every_layout() {
    let plain: ArrayRef = Arc::new(lists(&[&[Some(1), None], &[], &[Some(3)]]));
    let item = || Arc::new(Field::new("element", DataType::Int64, true));
    for layout in [DataType::LargeList(item()), DataType::ListView(item()), DataType::LargeListView(item())] {
        all(&pair_of(Arc::clone(&plain), cast(&plain, &layout).unwrap()), "equal");
    }
    all(&pair_of(Arc::clone(&plain), Arc::new(lists(&[&[None, Some(1)], &[None], &[]]))), "differs");
    let sliced = lists(&[&[Some(9)], &[Some(1), None], &[], &[Some(3)]]).slice(1, 3);
    all(&pair_of(Arc::clone(&plain), Arc::new(sliced)), "equal");
    let fixed = FixedSizeListArray::from_iter_primitive::<Int8Type, _, _>([Some(vec![Some(1), Some(2)]), None], 2);
    let mut same = ListBuilder::new(Float64Builder::new());
    same.append_value([Some(1.0), Some(2.0)]);
    same.append_null();
    let same = same.finish();
    all(&pair(fixed.slice(1, 1), same.slice(1, 1)), "equal");
    all(&pair(fixed, same), "equal");
    all(&pair_of(plain, Arc::new(Int64Array::from(vec![1, 2, 3]))), "incomparable");
}

#[test]
fn text_options_and_faults_reach_the_elements() {
    let list = |values: &[&str]| {
        let mut builder = ListBuilder::new(StringBuilder::new());
        builder.append_value(values.iter().map(|value| Some(*value)));
        builder.finish()
    };
    all(&pair(list(&[" A "]), list(&["a"])), "differs");
    let options = |options: &mut Options| {
        options.trim = Some(Trim::Both);
        options.ignore_case = true;
    };
    all(&pair(list(&[" A "]), list(&["a"])).with(options), "equal");
    all(&pair(list(&["1", "2.0"]), lists(&[&[Some(1), Some(2)]])), "equal");
    all(&pair(list(&["1", "x"]), lists(&[&[Some(1), Some(2)]])), "unparseable");
    all(&pair(list(&["1"]), list(&["1"])).tolerance(1, 0), "error");
}

#[test]
fn struct_members_compare_by_name_and_a_lacking_one_is_null() {
    let numbers = |values: Vec<Option<i64>>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    let one = || structs(vec![("a", numbers(vec![Some(1)])), ("b", numbers(vec![Some(2)]))], None);
    let two = structs(vec![("b", Arc::new(decimals(&[200], 5, 2))), ("a", numbers(vec![Some(1)]))], None);
    all(&pair(one(), two), "equal");
    let lacking = structs(vec![("a", numbers(vec![Some(1)]))], None);
    all(&pair(one(), lacking.clone()), "differs");
    let with_null = structs(vec![("a", numbers(vec![Some(1)])), ("b", numbers(vec![None]))], None);
    all(&pair(with_null, lacking.clone()), "equal");
    let garbage = structs(vec![("a", numbers(vec![Some(7)]))], Some(NullBuffer::from(vec![false])));
    all(
        &pair(garbage.clone(), structs(vec![("a", numbers(vec![Some(8)]))], Some(NullBuffer::from(vec![false])))),
        "equal",
    );
    // A NULL struct is not a struct of NULLs.
    all(&pair(garbage, structs(vec![("a", numbers(vec![None]))], None)), "differs");
    let texts = structs(vec![("a", Arc::new(text(&["x"])))], None);
    all(&pair(texts, lacking), "unparseable");
    let twice = structs(vec![("a", numbers(vec![Some(1)])), ("a", numbers(vec![Some(2)]))], None);
    all(&pair(twice.clone(), twice), "incomparable");
}

#[test]
fn maps_compare_without_order_and_keep_repeated_keys() {
    all(&pair(map(&[("a", 1), ("b", 2)]), map(&[("b", 2), ("a", 1)])), "equal");
    all(&pair(map(&[("a", 1), ("a", 2)]), map(&[("a", 2), ("a", 1)])), "equal");
    all(&pair(map(&[("a", 1), ("a", 1)]), map(&[("a", 1)])), "differs");
    all(&pair(map(&[("a", 1)]), lists(&[&[Some(1)]])), "incomparable");
}

#[test]
fn nested_encodings_do_not_run_into_each_other() {
    let nested = |rows: &[&[&str]]| {
        let mut builder = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
        for row in rows {
            builder.values().append_value(row.iter().map(|value| Some(*value)));
        }
        builder.append(true);
        builder.finish()
    };
    for (one, two) in [
        (nested(&[&["ab"], &[]]), nested(&[&["a"], &["b"]])),
        (nested(&[&["a", "b"]]), nested(&[&["a"], &["b"]])),
        (nested(&[&[]]), nested(&[])),
        (nested(&[&[""]]), nested(&[&[]])),
    ] {
        all(&pair(one, two), "differs");
    }
}

#[test]
fn unions_are_named_as_not_supported() {
    let fields = UnionFields::try_new([0], [Field::new("a", DataType::Int32, true)]).unwrap();
    let union = |value| {
        let children: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![value]))];
        UnionArray::try_new(fields.clone(), ScalarBuffer::from(vec![0_i8]), None, children).unwrap()
    };
    let pair = pair(union(1), union(1));
    all(&pair, "incomparable");
    let types = &pair.bind().unwrap().schema[0].types;
    assert!(types.authority.as_ref().unwrap().ends_with("(not supported)"));
    let nested = FixedSizeListArray::new(
        Arc::new(Field::new("item", union(1).data_type().clone(), true)),
        1,
        Arc::new(union(1)),
        None,
    );
    all(&super::pair(nested.clone(), nested), "incomparable");
}

#[test]
fn long_offsets_are_read_as_such() {
    let values = Int64Array::from(vec![1, 2, 3]);
    let field = Arc::new(Field::new("item", DataType::Int64, true));
    let large = LargeListArray::new(field, OffsetBuffer::from_lengths([2, 1]), Arc::new(values), None);
    all(&pair(large, lists(&[&[Some(1), Some(2)], &[Some(3)]])), "equal");
}
