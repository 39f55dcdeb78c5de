//! Which columns are compared, and what is said of the others.

use super::*;
use crate::contract::Ignore;
use crate::normalise::tests::contract;

fn schema(columns: &[(&str, DataType)]) -> Schema {
    Schema::new(columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect::<Vec<_>>())
}

fn attribute(name: &str, column: &[&str], projected_as: &[&str]) -> Attribute {
    let path = |path: &[&str]| path.iter().map(|part| (*part).to_owned()).collect();
    Attribute {
        name: name.to_owned(),
        column: path(column),
        origin: crate::contract::Origin::default(),
        projected_as: path(projected_as),
        options: Options::default(),
        severity: None,
        repair: None,
        pii: None,
    }
}

fn ignore(side: Option<Side>, glob: &str) -> Ignore {
    Ignore { side, written: glob.to_owned(), glob: globset::Glob::new(glob).unwrap().compile_matcher() }
}

fn bound(contract: &Contract, authority: &Schema, projection: &Schema) -> Result<Binding, Vec<BindError>> {
    bind(BindRequest { contract, schemas: Sides { authority, projection } })
}

fn names(binding: &Binding) -> (Vec<&str>, Vec<&str>) {
    (
        binding.attributes.iter().map(|attribute| attribute.name.as_str()).collect(),
        binding.schema.iter().map(|difference| difference.attribute.as_str()).collect(),
    )
}

const INT: DataType = DataType::Int64;

#[test]
fn every_column_of_either_side_is_compared_or_a_difference() {
    let authority = schema(&[("b", INT), ("id", INT), ("only_here", INT), ("status", INT), ("a", INT)]);
    let projection = schema(&[("a", INT), ("policyStatus", INT), ("only_there", INT), ("no", INT), ("b", INT)]);
    let mut contract = contract(&["id"]);
    contract.attributes =
        vec![attribute("policy_status", &["status"], &["policyStatus"]), attribute("id", &["id"], &["no"])];
    let binding = bound(&contract, &authority, &projection).unwrap();
    let expected = (vec!["id", "policy_status", "a", "b"], vec!["only_here", "only_there"]);
    assert_eq!(names(&binding), expected);
    assert_eq!((binding.key_count, binding.attributes[0].columns.projection.index), (1, 3));
    contract.compare = Compare::Declared;
    let binding = bound(&contract, &authority, &projection).unwrap();
    assert_eq!(names(&binding), (vec!["id", "policy_status"], vec![]));
    assert_eq!(binding.left_out.authority, ["b", "only_here", "a"]);
}

#[test]
fn ignore_leaves_out_by_glob_and_side() {
    let authority = schema(&[("id", INT), ("etl_at", INT), ("note", INT)]);
    let projection = schema(&[("id", INT), ("etl_by", INT), ("note", INT)]);
    let mut contract = contract(&["id"]);
    contract.ignore = vec![ignore(None, "etl_*"), ignore(Some(Side::Authority), "note")];
    let binding = bound(&contract, &authority, &projection).unwrap();
    // The projection's note is compared with nothing, and nothing ignores it.
    assert_eq!(names(&binding), (vec!["id"], vec!["note"]));
    contract.ignore = vec![ignore(None, "*")];
    assert!(matches!(bound(&contract, &authority, &projection).unwrap_err()[0], BindError::Option { .. }));
}

#[test]
fn only_compares_these_and_the_key() {
    let both = schema(&[("id", INT), ("a", INT), ("b", INT)]);
    let mut contract = contract(&["id"]);
    contract.only = vec!["a".to_owned()];
    assert_eq!(names(&bound(&contract, &both, &both).unwrap()), (vec!["id", "a"], vec![]));
    contract.only = vec!["misspelt".to_owned()];
    assert!(matches!(bound(&contract, &both, &both).unwrap_err()[0], BindError::NoColumn { .. }));
}

#[test]
fn all_complaints_come_at_once() {
    let authority = schema(&[("id", DataType::Utf8), ("a", INT), ("a", INT)]);
    let projection = schema(&[("x", INT)]);
    let mut contract = contract(&["id"]);
    contract.attributes = vec![attribute("nowhere", &["nowhere"], &["nowhere"])];
    let errors = bound(&contract, &authority, &projection).unwrap_err();
    assert!(matches!(errors[0], BindError::TwoColumns { side: Side::Authority, .. }));
    assert!(matches!(errors[1], BindError::NoKeyColumn { side: Side::Projection, .. }));
    assert!(matches!(errors[2], BindError::NoColumn { .. }));
}

#[test]
fn a_key_without_common_ground_is_an_error_and_an_attribute_a_difference() {
    let authority = schema(&[("id", INT), ("a", INT)]);
    let projection = schema(&[("id", DataType::Boolean), ("a", DataType::Boolean)]);
    let errors = bound(&contract(&["id"]), &authority, &projection).unwrap_err();
    let expected = BindError::IncomparableKey {
        attribute: "id".to_owned(),
        authority: "int64".to_owned(),
        projection: "boolean".to_owned(),
    };
    assert_eq!(errors, [expected]);
    let binding = bound(&contract(&[]), &authority, &projection).unwrap();
    assert_eq!(names(&binding), (vec![], vec!["a", "id"]));
}

#[test]
fn members_of_structs_are_columns() {
    let address = DataType::Struct(vec![Field::new("city", DataType::Utf8, true), Field::new("zip", INT, true)].into());
    let authority = schema(&[("id", INT), ("address", address)]);
    let projection = schema(&[("id", INT), ("city", DataType::Utf8), ("zip", INT)]);
    let mut contract = contract(&["id"]);
    contract.attributes = vec![attribute("city", &["address", "city"], &["city"])];
    // A member that no attribute names keeps its struct from passing unseen.
    assert_eq!(
        names(&bound(&contract, &authority, &projection).unwrap()),
        (vec!["id", "city"], vec!["address", "zip"])
    );
    contract.attributes.push(attribute("zip", &["address", "zip"], &["zip"]));
    let binding = bound(&contract, &authority, &projection).unwrap();
    assert_eq!(names(&binding), (vec!["id", "city", "zip"], vec![]));
    assert_eq!(binding.attributes[1].columns.authority.members, ["city"]);
    assert_eq!(super::super::columns_read(&binding, Side::Authority), [0, 1]);
}

#[test]
fn a_bare_tolerance_is_for_undeclared_numbers_that_are_not_the_key() {
    let authority =
        schema(&[("id", INT), ("amount", DataType::Float64), ("name", DataType::Utf8), ("count", DataType::Utf8)]);
    let projection = schema(&[("id", INT), ("amount", INT), ("name", DataType::Utf8), ("count", INT)]);
    let mut contract = contract(&["id"]);
    contract.numeric_tolerance =
        Some(Tolerance::Absolute(crate::contract::ExactDecimal { coefficient: 1, exponent: 0 }));
    let binding = bound(&contract, &authority, &projection).unwrap();
    let tolerant: Vec<bool> = binding.attributes.iter().map(|attribute| attribute.tolerance.is_some()).collect();
    assert_eq!(names(&binding).0, ["id", "amount", "count", "name"]);
    assert_eq!(tolerant, [false, true, true, false]);
    assert_eq!(binding.attributes[2].comparison, Comparison::Number);
}

#[test]
fn names_may_hold_anything_and_are_case_sensitive() {
    let both = schema(&[("id", INT), ("a.b", INT), ("A.b", INT), (" \"kind\"", INT)]);
    let binding = bound(&contract(&["id"]), &both, &both).unwrap();
    assert_eq!(names(&binding), (vec!["id", " \"kind\"", "A.b", "a.b"], vec![]));
}

#[test]
fn a_multiset_of_nothing_is_refused_because_it_could_only_agree() {
    let both = schema(&[("id", INT)]);
    let mut nothing = contract(&[]);
    nothing.compare = Compare::Declared;
    assert_eq!(bound(&nothing, &both, &both).unwrap_err(), [BindError::NothingCompared]);
}

#[test]
fn translations_that_fall_together_under_other_options_are_refused() {
    let both = schema(&[("id", INT), ("status", DataType::Utf8)]);
    let mut ambiguous = contract(&["id"]);
    let mut status = attribute("status", &["status"], &["status"]);
    let map = [("B", "x"), ("b", "y")].map(|(from, to)| (from.to_owned(), to.to_owned()));
    status.options.translate = Some(std::sync::Arc::new(map.into()));
    ambiguous.attributes = vec![status.clone()];
    assert!(bound(&ambiguous, &both, &both).is_ok());
    status.options.ignore_case = true;
    ambiguous.attributes = vec![status];
    let errors = bound(&ambiguous, &both, &both).unwrap_err();
    assert!(errors[0].to_string().contains("`B` and `b` are alike"), "{errors:?}");
}

#[test]
fn a_foreign_type_that_is_not_mapped_is_a_difference_that_names_it() {
    let side =
        |type_name: &str| Schema::new(vec![Field::new("id", INT, true), crate::notation::unmapped("place", type_name)]);
    let (contract, text) = (contract(&["id"]), schema(&[("id", INT), ("place", DataType::Utf8)]));
    let own = side("geometry");
    for other in [&text, &side("geometry"), &schema(&[("id", INT), ("place", DataType::Null)])] {
        let binding = bound(&contract, &own, other).unwrap();
        assert_eq!(names(&binding), (vec!["id"], vec!["place"]));
        let [difference] = &binding.schema[..] else { panic!("one column, {:?}", binding.schema) };
        assert_eq!(difference.reason, SchemaReason::Incomparable);
        assert_eq!(difference.types.authority.as_deref(), Some("geometry (not supported)"));
    }
}
