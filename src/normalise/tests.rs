//! The comparison rules as tables: two one-column batches of given Arrow arrays and options, and what each row is judged.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;
use jiff::tz::TimeZone;

use super::*;
use crate::contract::{
    Allow, CapturedAt, Compare, CsvOptions, ExactDecimal, Location, LogicalType, RepairPolicy, Severity, Source, Span,
    Trim, UnicodeForm, Version,
};
use crate::notation::{self, Notation};

mod numbers;
mod shapes;
mod times;

pub(super) fn source(name: &str) -> Source {
    Source {
        name: name.to_owned(),
        context: None,
        location: Location::Files { written: name.to_owned(), path: name.into() },
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

pub(super) fn contract(key: &[&str]) -> Contract {
    Contract {
        name: "seam".to_owned(),
        version: Version { text: "1.0.0".to_owned(), major: 1 },
        description: None,
        team: None,
        runbook: None,
        tags: Vec::new(),
        cadence: None,
        sources: Sides::from_fn(|side| Arc::new(source(side.name()))),
        key: key.iter().map(|name| (*name).to_owned()).collect(),
        null_keys_match: false,
        compare: Compare::All,
        only: Vec::new(),
        ignore: Vec::new(),
        row_filter: None,
        window: None,
        recheck: None,
        fail_on: Severity::Low,
        allow: Allow::default(),
        attributes: Vec::new(),
        attribute_defaults: Options::default(),
        numeric_tolerance: None,
        severity: std::collections::BTreeMap::new(),
        repair: RepairPolicy::default(),
        crosswalk: None,
        baseline: None,
        parity: None,
        controls: crate::contract::Controls::default(),
        unserved: Vec::new(),
        secrets: crate::contract::Secrets::default(),
        digest: [0; 32],
    }
}

/// Two columns and what is said of them.
struct Pair {
    fields: Sides<Field>,
    arrays: Sides<ArrayRef>,
    contract: Contract,
}

fn pair(authority: impl Array + 'static, projection: impl Array + 'static) -> Pair {
    pair_of(Arc::new(authority), Arc::new(projection))
}

fn pair_of(authority: ArrayRef, projection: ArrayRef) -> Pair {
    let arrays = Sides { authority, projection };
    let fields = arrays.as_ref().map(|_, array| Field::new("value", array.data_type().clone(), true));
    let mut contract = contract(&["id"]);
    contract.attributes.push(crate::contract::Attribute {
        name: "value".to_owned(),
        column: vec!["value".to_owned()],
        origin: crate::contract::Origin::default(),
        projected_as: vec!["value".to_owned()],
        options: Options::default(),
        severity: None,
        repair: None,
        pii: None,
    });
    Pair { fields, arrays, contract }
}

impl Pair {
    fn with(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(&mut self.contract.attributes[0].options);
        self
    }

    fn typed(self, logical: LogicalType) -> Self {
        self.with(|options| options.logical_type = Some(logical))
    }

    fn tolerance(self, coefficient: i128, exponent: i32) -> Self {
        let bound = ExactDecimal { coefficient, exponent };
        self.with(|options| options.tolerance = Some(Tolerance::Absolute(bound)))
    }

    fn source(mut self, side: Side, set: impl FnOnce(&mut Source)) -> Self {
        set(Arc::make_mut(self.contract.sources.get_mut(side)));
        self
    }

    fn zone(self, side: Side, zone: &str) -> Self {
        self.source(side, |source| source.timezone = Some(TimeZone::get(zone).unwrap()))
    }

    fn noted(mut self, side: Side, notation: Notation) -> Self {
        let field = self.fields.get_mut(side);
        *field = notation::field(field.name(), field.data_type().clone(), notation);
        self
    }

    fn bind(&self) -> Result<Binding, Vec<BindError>> {
        let schemas = self
            .fields
            .as_ref()
            .map(|_, field| Schema::new(vec![Field::new("id", DataType::Int64, true), field.clone()]));
        bind(BindRequest { contract: &self.contract, schemas: schemas.as_ref() })
    }

    fn batch(&self, side: Side) -> RecordBatch {
        let array = Arc::clone(self.arrays.get(side));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(array.len()).unwrap()));
        let fields = vec![Field::new("id", DataType::Int64, true), self.fields.get(side).clone()];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![ids, array]).unwrap()
    }

    fn comparison(&self) -> Comparison {
        self.bind().unwrap().attributes[1].comparison.clone()
    }

    fn columns(&self) -> (Binding, Sides<CanonicalColumn>) {
        let binding = self.bind().unwrap();
        let columns = Sides::from_fn(|side| normalise(&binding, side, &self.batch(side)).columns.pop().unwrap());
        (binding, columns)
    }

    /// How each row is judged: `equal`, `differs` or the fault; or the one reason why nothing is compared.
    fn judged(&self) -> Vec<&'static str> {
        match self.bind() {
            Err(_) => return vec!["error"],
            Ok(binding) if !binding.schema.is_empty() => {
                return vec![match binding.schema[0].reason {
                    SchemaReason::MissingColumn => "missing",
                    SchemaReason::Incomparable => "incomparable",
                    SchemaReason::ZoneUnknown => "zone unknown",
                }];
            }
            Ok(_) => {}
        }
        let (binding, columns) = self.columns();
        let attribute = &binding.attributes[1];
        for (_, column) in columns.iter() {
            assert_layout(&attribute.comparison, column.values.data_type());
        }
        let rows = self.arrays.authority.len();
        (0..rows).map(|row| judge(attribute, &columns, row)).collect()
    }
}

fn assert_layout(comparison: &Comparison, data_type: &DataType) {
    let fits = match comparison {
        Comparison::Text => matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        Comparison::Binary => {
            matches!(
                data_type,
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_)
            )
        }
        _ => *data_type == column::layout(comparison),
    };
    assert!(fits, "{comparison:?} is laid out as {data_type}");
}

fn judge(attribute: &BoundAttribute, columns: &Sides<CanonicalColumn>, row: usize) -> &'static str {
    let fault = columns.iter().find_map(|(_, column)| column.faults.iter().find(|fault| fault.row as usize == row));
    if let Some(fault) = fault {
        assert!(columns.iter().all(|(_, column)| fault.reason == FaultReason::AmbiguousTime
            || !distance::is_fault(column, row)
            || column.values.is_null(row)));
        return match fault.reason {
            FaultReason::Unparseable => "unparseable",
            FaultReason::OutOfType => "out of type",
            FaultReason::AmbiguousTime => "ambiguous",
            other => unreachable!("{other:?} comes of composing only"),
        };
    }
    let packed = columns.as_ref().map(|_, column| {
        let mut bytes = Vec::new();
        cell::pack(cell::cell(&column.values, row), &mut bytes);
        bytes
    });
    let equal = packed.authority == packed.projection;
    let near = attribute.tolerance.as_ref().is_some_and(|tolerance| {
        within(tolerance, &attribute.comparison, columns.as_ref(), Sides { authority: row, projection: row })
    });
    if equal || near { "equal" } else { "differs" }
}

/// Asserts that all rows are judged alike, on either side.
fn all(pair: &Pair, expected: &str) {
    let judged = pair.judged();
    assert!(judged.iter().all(|one| *one == expected), "expected {expected}, judged {judged:?}, {:?}", pair.fields);
}

fn text(values: &[&str]) -> StringArray {
    StringArray::from(values.to_vec())
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> Decimal128Array {
    Decimal128Array::from(values.to_vec()).with_precision_and_scale(precision, scale).unwrap()
}

#[test]
fn null_equals_only_null_and_no_placeholder_is_null() {
    let authority = StringArray::from(vec![None, None, Some(""), Some(" "), Some("NULL")]);
    let projection = StringArray::from(vec![None, Some(""), Some(" "), None, None]);
    assert_eq!(pair(authority, projection).judged(), ["equal", "differs", "differs", "differs", "differs"]);
    let numbers = pair(Int64Array::from(vec![None, Some(0)]), Float64Array::from(vec![Some(0.0), None]));
    all(&numbers, "differs");
    let nans = pair(Float64Array::from(vec![Some(f64::NAN)]), Float64Array::from(vec![None]));
    all(&nans, "differs");
}

#[test]
fn an_all_null_column_has_common_ground_with_every_type() {
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1)]);
    let others: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1])),
        Arc::new(text(&["a"])),
        Arc::new(TimestampSecondArray::from(vec![1]).with_timezone("UTC")),
        Arc::new(Date32Array::from(vec![1])),
        Arc::new(list.finish()),
        Arc::new(Decimal256Array::from(vec![i256::from_i128(1)])),
        Arc::new(BinaryArray::from(vec![b"a".as_slice()])),
    ];
    for other in others {
        all(&pair_of(Arc::new(NullArray::new(1)), Arc::clone(&other)), "differs");
        let nothing = new_null_array(other.data_type(), 1);
        all(&pair_of(nothing, Arc::new(NullArray::new(1))), "equal");
    }
    all(&pair(NullArray::new(3), NullArray::new(3)), "equal");
}

#[test]
fn text_compares_by_code_points_in_every_layout() {
    let values = ["a", "é", "", "a longer text than fits a view"];
    let layouts = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View];
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let plain: ArrayRef = Arc::new(text(&values));
    for one in layouts.iter().chain([&dictionary]) {
        for two in layouts.iter().chain([&dictionary]) {
            let (one, two) = (cast(&plain, one).unwrap(), cast(&plain, two).unwrap());
            all(&pair_of(Arc::clone(&one), Arc::clone(&two)), "equal");
            all(&pair_of(one, two).with(|options| options.ignore_case = true), "equal");
        }
    }
    all(&pair(text(&["e\u{301}", "a", "A", "a "]), text(&["é", "a\u{0}", "a", "a"])), "differs");
}

#[test]
fn text_options_do_what_they_name() {
    all(&pair(text(&["Straße", "ΣΑΣ"]), text(&["STRASSE", "σας"])).with(|options| options.ignore_case = true), "equal");
    let trimmed = pair(text(&["\u{a0}\u{2003}a ", " b"]), text(&["a", "b\u{85}"]));
    all(&trimmed.with(|options| options.trim = Some(Trim::Both)), "equal");
    all(&pair(text(&["e\u{301}"]), text(&["é"])).with(|options| options.unicode = Some(UnicodeForm::Nfc)), "equal");
    all(&pair(text(&["a\u{a0} b"]), text(&["a b"])).with(|options| options.collapse_spaces = true), "equal");
    let nulls =
        pair(StringArray::from(vec![Some("N/A"), Some(""), None]), StringArray::from(vec![None, None, Some("N/A")]));
    all(&nulls.with(|options| options.null_equals = vec![String::new(), "N/A".to_owned()]), "equal");
    let placeholder = |options: &mut Options| options.null_equals = vec!["-1".to_owned()];
    let numbers = pair(Int64Array::from(vec![Some(-1), Some(-1), Some(1)]), text(&["-1", "-1", "1"]));
    all(&numbers.with(placeholder), "equal");
    let numbers = pair(Int64Array::from(vec![Some(-1), None]), Int64Array::from(vec![None, Some(-1)]));
    all(&numbers.with(placeholder), "equal");
    all(&pair(Int64Array::from(vec![-1, 1]), Int64Array::from(vec![1, -1])).with(placeholder), "differs");
}

#[test]
fn translate_acts_on_the_owners_side_only() {
    let map = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned()));
        Some(Arc::new(pairs.collect::<std::collections::BTreeMap<_, _>>()))
    };
    let status = pair(text(&["BOUND", "OTHER", "Active"]), text(&["Active", "OTHER", "BOUND"]))
        .with(|options| options.translate = map(&[("BOUND", "Active")]));
    assert_eq!(status.judged(), ["equal", "equal", "differs"]);
    let codes = pair(Int32Array::from(vec![1, 2, 3]), text(&["Active", "Lapsed", "3"]))
        .with(|options| options.translate = map(&[("1", "Active"), ("2", "Lapsed")]));
    all(&codes, "equal");
    let renumbered =
        pair(Int32Array::from(vec![Some(1), Some(2), None]), Int64Array::from(vec![Some(10), Some(2), None]))
            .with(|options| options.translate = map(&[("1", "10")]));
    all(&renumbered, "equal");
    let dictionary = cast(
        &(Arc::new(text(&["BOUND"])) as ArrayRef),
        &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
    );
    let labels = pair_of(dictionary.unwrap(), Arc::new(text(&["active"]))).with(|options| {
        options.translate = map(&[("bound", "Active")]);
        options.ignore_case = true;
    });
    all(&labels, "equal");
}

#[test]
fn booleans_compare_with_text_and_with_numbers_only_under_the_type() {
    let booleans = || BooleanArray::from(vec![true, false]);
    all(&pair(booleans(), text(&["TRUE", "False"])), "equal");
    all(&pair(booleans(), text(&["1", "yes"])), "unparseable");
    all(&pair(booleans(), Int8Array::from(vec![1, 0])), "incomparable");
    all(&pair(booleans(), Int8Array::from(vec![1, 0])).typed(LogicalType::Boolean), "equal");
    all(&pair(booleans(), Int8Array::from(vec![2, -1])).typed(LogicalType::Boolean), "out of type");
    all(&pair(booleans(), text(&["1", "0"])).typed(LogicalType::Boolean), "equal");
    let given = pair(booleans(), text(&["J", "N"])).source(Side::Projection, |source| {
        source.csv.true_texts = vec!["J".to_owned()];
        source.csv.false_texts = vec!["N".to_owned()];
    });
    all(&given, "equal");
}

#[test]
fn slices_and_garbage_under_nulls_change_nothing() {
    let garbage =
        Int64Array::new(ScalarBuffer::from(vec![i64::MAX, 5, -7]), Some(NullBuffer::from(vec![false, true, false])));
    all(
        &pair(
            garbage.clone(),
            Decimal128Array::from(vec![None, Some(5), None]).with_precision_and_scale(10, 0).unwrap(),
        ),
        "equal",
    );
    let wide = Decimal128Array::new(
        ScalarBuffer::from(vec![i128::MAX, 500, i128::MIN]),
        Some(NullBuffer::from(vec![false, true, false])),
    );
    let wide = wide.with_data_type(DataType::Decimal128(10, 2));
    let narrow = Int16Array::from(vec![None, Some(5), None]);
    all(&pair(wide.clone(), narrow.clone()), "equal");
    all(
        &pair(wide, narrow.clone()).with(|options| options.logical_type = Some(LogicalType::Decimal(Some((5, 2))))),
        "equal",
    );
    let keys = Int32Array::new(ScalarBuffer::from(vec![99, 0, -1]), Some(NullBuffer::from(vec![false, true, false])));
    let dictionary = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(text(&["5", "x"]))).unwrap();
    all(&pair(dictionary, garbage.clone()), "equal");
    let sliced = Arc::new(Int64Array::from(vec![9, 9, 1, 2, 9])).slice(2, 2);
    all(&pair_of(Arc::new(sliced), Arc::new(text(&["x", "1", "2"]).slice(1, 2))), "equal");
    let trimmed = pair_of(Arc::new(text(&["x", " 1", "2 "]).slice(1, 2)), Arc::new(text(&["1", "2"])));
    all(&trimmed.with(|options| options.trim = Some(Trim::Both)), "equal");
}

#[test]
fn empty_batches_are_columns_without_rows() {
    for array in
        [DataType::Int64, DataType::Utf8, DataType::Decimal256(50, 3), DataType::Timestamp(TimeUnit::Second, None)]
    {
        let empty = new_empty_array(&array);
        assert!(pair_of(Arc::clone(&empty), empty).judged().is_empty());
    }
}

#[test]
fn runs_and_dictionaries_compare_by_label() {
    let runs: RunArray<Int32Type> = vec![Some("a"), Some("a"), None, Some("b")].into_iter().collect();
    let plain = StringArray::from(vec![Some("a"), Some("a"), None, Some("b")]);
    all(&pair(runs, plain.clone()), "equal");
    let dictionary: DictionaryArray<UInt8Type> = vec![Some("a"), Some("a"), None, Some("b")].into_iter().collect();
    all(&pair(dictionary.clone(), plain), "equal");
    let other = DictionaryArray::<UInt8Type>::try_new(
        UInt8Array::from(vec![Some(2), Some(2), Some(1), Some(0)]),
        Arc::new(StringArray::from(vec![Some("b"), None, Some("a")])),
    );
    all(&pair(dictionary, other.unwrap()), "equal");
}

#[test]
fn values_are_shown_as_they_stand() {
    let shown = |array: ArrayRef| {
        let pair = pair_of(Arc::clone(&array), array);
        let batch = pair.batch(Side::Authority);
        show(&pair.bind().unwrap(), Side::Authority, 1, &batch, 0)
    };
    let mut list = ListBuilder::new(Float32Builder::new());
    list.append_value([Some(0.1), None]);
    let cases: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(text(&[" a "])), " a "),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
        (Arc::new(decimals(&[-1050], 10, 2)), "-10.50"),
        (Arc::new(decimals(&[5], 10, 3)), "0.005"),
        (Arc::new(Float64Array::from(vec![3.0])), "3.0"),
        (Arc::new(Float64Array::from(vec![0.1])), "0.1"),
        (Arc::new(Float32Array::from(vec![0.1])), "0.1"),
        (Arc::new(BooleanArray::from(vec![true])), "true"),
        (Arc::new(Date32Array::from(vec![19_724])), "2024-01-02"),
        (Arc::new(TimestampMillisecondArray::from(vec![1_500])), "1970-01-01T00:00:01.5"),
        (Arc::new(TimestampSecondArray::from(vec![0]).with_timezone("+02:00")), "1970-01-01T00:00:00Z"),
        (Arc::new(BinaryArray::from(vec![b"\x00\xff".as_slice()])), "00ff"),
        (Arc::new(list.finish()), "[0.1,null]"),
        (Arc::new(DurationSecondArray::from(vec![-3661])), "-PT1H1M1S"),
        (Arc::new(Time64NanosecondArray::from(vec![1])), "00:00:00.000000001"),
    ];
    for (array, expected) in cases {
        assert_eq!(shown(array).as_deref(), Some(expected));
    }
    assert_eq!(shown(Arc::new(Int64Array::from(vec![None]))), None);
}

#[test]
fn keys_are_written_alike_from_either_side() {
    let json = |pair: &Pair| {
        let (binding, columns) = pair.columns();
        let write = |_, column: &CanonicalColumn| canonical_json(&binding.attributes[1].comparison, column, 0);
        let sides = columns.as_ref().map(write);
        assert_eq!(sides.authority, sides.projection);
        sides.authority.to_string()
    };
    let cases = [
        (pair(Int64Array::from(vec![7]), UInt64Array::from(vec![7])), "7"),
        (pair(UInt64Array::from(vec![u64::MAX]), UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
        (pair(Int64Array::from(vec![7]), text(&["007"])), "7"),
        (pair(decimals(&[70], 10, 1), decimals(&[700], 10, 2)), "\"7.00\""),
        (pair(text(&["a\"b"]), text(&["a\"b"])), "\"a\\\"b\""),
        (pair(BooleanArray::from(vec![true]), text(&["true"])), "true"),
        (pair(Date32Array::from(vec![0]), text(&["1970-01-01"])), "\"1970-01-01\""),
        (pair(Int64Array::from(vec![None]), Int64Array::from(vec![None])), "null"),
    ];
    for (pair, expected) in cases {
        assert_eq!(json(&pair), expected);
    }
}

#[test]
fn a_fault_shows_the_value_as_it_stands_and_is_near_nothing() {
    let texts = || text(&["abc", "1"]);
    let pair = pair(texts(), texts()).tolerance(1, 3);
    assert_eq!(pair.judged(), ["unparseable", "equal"]);
    let (_, columns) = pair.columns();
    let fault = Fault { row: 0, reason: FaultReason::Unparseable, shown: "abc".into() };
    assert_eq!(columns.authority.faults, [fault]);
    assert!(columns.authority.values.is_null(0));
}

#[test]
fn the_view_for_sql_has_plain_columns() {
    let instants = || TimestampSecondArray::from(vec![Some(1), None]).with_timezone("UTC");
    let types = [
        (pair(decimals(&[1, 2], 10, 2), Int8Array::from(vec![1, 2])), DataType::Decimal128(10, 2)),
        (pair(text(&["1", "2"]), Float64Array::from(vec![1.0, 2.0])), DataType::Float64),
        (pair(instants(), instants()), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        (pair(text(&["a", "b"]), text(&["a", "b"])), DataType::Utf8),
    ];
    for (pair, expected) in types {
        let binding = pair.bind().unwrap();
        let view = attribute_view(&binding, &normalise(&binding, Side::Authority, &pair.batch(Side::Authority)));
        assert_eq!((view.num_rows(), view.schema().field(1).name().as_str()), (2, "value"));
        assert_eq!(*view.column(1).data_type(), expected);
    }
}
