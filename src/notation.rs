//! What an Arrow field says of its text beyond its type, as extension names in the field's metadata.
//!
//! A source of JSON has values that no Arrow type holds exactly: numbers of any length, and members that are themselves
//! JSON. It hands them over as text and marks the field here; `normalise` reads the mark. Neither imports the other.

use arrow::datatypes::{DataType, Field};

const EXTENSION: &str = "ARROW:extension:name";
const NUMBER: &str = "reconcile.number";
const JSON: &str = "reconcile.json";
const JSON_DOCUMENT: &str = "arrow.json";
const JSON_MEMBER: &str = "reconcile.json_member";
const UUID: &str = "arrow.uuid";
const UNMAPPED: &str = "reconcile.unmapped";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// What the text in a field stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// In text: a number in decimal notation, of any length. On a numeric type: the type is only what the values that were
    /// seen need, and bounds no other.
    Number,
    /// A value of a JSON source that is itself JSON; a JSON `null` at its top is NULL.
    Json,
    /// A JSON document (the Arrow canonical extension); a JSON `null` is a value, not NULL.
    JsonDocument,
    /// A member of a JSON object under `type = "json"`: the text `null` is a JSON null, the empty text is an absent member.
    JsonMember,
    /// Sixteen bytes that are a UUID (the Arrow canonical extension, which Parquet's UUID type becomes).
    Uuid,
    /// Values of a foreign type that has no Arrow type; they are never compared.
    Unmapped,
}

/// The notation that a field declares, if any.
#[must_use]
pub fn notation(field: &Field) -> Option<Notation> {
    match field.metadata().get(EXTENSION)?.as_str() {
        NUMBER => Some(Notation::Number),
        JSON => Some(Notation::Json),
        JSON_DOCUMENT => Some(Notation::JsonDocument),
        JSON_MEMBER => Some(Notation::JsonMember),
        UUID => Some(Notation::Uuid),
        UNMAPPED => Some(Notation::Unmapped),
        _ => None,
    }
}

/// A nullable field that declares its notation.
#[must_use]
pub fn field(name: &str, data_type: DataType, notation: Notation) -> Field {
    let extension = match notation {
        Notation::Number => NUMBER,
        Notation::Json => JSON,
        Notation::JsonDocument => JSON_DOCUMENT,
        Notation::JsonMember => JSON_MEMBER,
        Notation::Uuid => UUID,
        Notation::Unmapped => UNMAPPED,
    };
    let metadata = [(EXTENSION.to_owned(), extension.to_owned())].into();
    Field::new(name, data_type, true).with_metadata(metadata)
}

/// A nullable field of text whose values have no common ground with any other: a type of a database that is not mapped.
#[must_use]
pub fn unmapped(name: &str, type_name: &str) -> Field {
    let mut field = field(name, DataType::Utf8, Notation::Unmapped);
    let mut metadata = field.metadata().clone();
    metadata.insert(EXTENSION_METADATA.to_owned(), type_name.to_owned());
    field.set_metadata(metadata);
    field
}

/// What `unmapped` was told the type is called.
#[must_use]
pub fn unmapped_type(field: &Field) -> Option<&str> {
    let known = notation(field) == Some(Notation::Unmapped);
    field.metadata().get(EXTENSION_METADATA).filter(|_| known).map(String::as_str)
}
