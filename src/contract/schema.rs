//! JSON Schema of `reconcile.toml`, made from the same tables that the reader checks files against.
//!
//! It is for editors: it says the shape of every value, and not how values fit together; `reconcile check` says that.

use serde_json::{Map, Value, json};

use super::raw::{self, Key, Section, Shape};
use super::values::TYPES;

/// The JSON Schema (draft 2020-12) of `reconcile.toml`.
#[must_use]
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut schema = object(&raw::FILE, &mut definitions);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("reconcile.toml");
    schema["description"] = json!(
        "Sources, and the contracts that say which is the authority of which. `${NAME}` and `${NAME:-default}` stand for environment variables in every string."
    );
    schema["$defs"] = Value::Object(definitions);
    schema
}

fn object(section: &Section, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> =
        section.keys.iter().map(|key| (key.name.to_owned(), property(key, definitions))).collect();
    let mut schema = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    if section.key("extends").is_some() {
        // What another contract says need not be said again.
        schema["anyOf"] = json!([{ "required": ["extends"] }, { "required": required }]);
    } else if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn property(key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = shape(key.shape, definitions);
    let mut description = key.says.to_owned();
    if !key.default.is_empty() {
        description.extend([" Default: ", key.default, "."]);
    }
    schema["description"] = json!(description);
    schema
}

/// A reference to a section, which is defined once however often it is used.
fn reference(section: &Section, definitions: &mut Map<String, Value>) -> Value {
    let name = section.name.replace(".NAME", "");
    if !definitions.contains_key(&name) {
        definitions.insert(name.clone(), Value::Null);
        let schema = object(section, definitions);
        definitions.insert(name.clone(), schema);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn shape(shape: Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Text
        | Shape::Delimiter
        | Shape::DecimalSeparator
        | Shape::Encoding
        | Shape::TimeFormat
        | Shape::Zone => {
            json!({ "type": "string" })
        }
        Shape::Texts | Shape::Ignore => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Count(u64::MAX) => json!({ "type": "integer", "minimum": 0 }),
        Shape::Count(most) => json!({ "type": "integer", "minimum": 0, "maximum": most }),
        Shape::Several(names) => json!({ "type": "array", "items": { "anyOf": [{ "enum": names }, variable()] } }),
        Shape::OneOf(names) => json!({ "anyOf": [{ "enum": names }, variable()] }),
        Shape::FormatVersion => json!({ "const": 1 }),
        Shape::Version => text_like(r"^\d+\.\d+\.\d+([-+].*)?$"),
        Shape::Span => text_like(r"^\s*(\d+(\.\d+)?\s*(ns|us|µs|ms|s|m|h|d)\s*)+$"),
        Shape::Size => json!({ "anyOf": [
            { "type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*([KkMmGgTt][Ii]?)?[Bb]?\s*$" }, { "type": "integer", "minimum": 1 }, variable(),
        ] }),
        Shape::Ratio => json!({ "anyOf": [
            { "type": "string", "pattern": r"^\s*\+?[\d.]+([eE][-+]?\d+)?\s*%?\s*$" }, { "type": "number", "minimum": 0, "maximum": 1 }, variable(),
        ] }),
        Shape::Tolerance => json!({ "type": ["string", "number"], "minimum": 0 }),
        Shape::Type => {
            let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).filter(|name| !name.contains('(')).collect();
            let decimal = json!({ "type": "string", "pattern": r"^decimal\s*\(\s*\d+\s*(,\s*\d+\s*)?\)$" });
            json!({ "anyOf": [{ "enum": names }, decimal, variable()] })
        }
        Shape::Path | Shape::KeyColumns => json!({ "anyOf": [
            { "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] }),
        Shape::CapturedAt => json!({ "anyOf": [
            { "type": "string" },
            { "type": "object", "additionalProperties": false, "required": ["column"], "properties": { "column": { "type": "string" } } },
            { "type": "object", "additionalProperties": false, "required": ["file"], "properties": { "file": { "const": "mtime" } } },
        ] }),
        Shape::Translate => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] } })
        }
        Shape::Section(section) => reference(section, definitions),
        Shape::Named(section) => {
            json!({ "type": "object", "additionalProperties": reference(section, definitions) })
        }
        Shape::Each(section) => json!({ "type": "array", "items": reference(section, definitions) }),
        Shape::Columns => json!({ "anyOf": [
            { "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            { "type": "object", "minProperties": 1, "additionalProperties": { "anyOf": [
                { "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ] } },
        ] }),
        Shape::Owners(section) => json!({ "anyOf": [
            { "type": "string" }, { "type": "array", "items": reference(section, definitions), "minItems": 2 },
        ] }),
        Shape::On => json!({ "anyOf": [
            { "type": "string" }, { "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } },
        ] }),
        Shape::Crossed => json!({ "anyOf": [
            { "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            { "type": "object", "minProperties": 1, "additionalProperties": { "type": "string" } },
        ] }),
        Shape::Instant => json!({ "type": "string" }),
    }
}

fn text_like(pattern: &str) -> Value {
    json!({ "anyOf": [{ "type": "string", "pattern": pattern }, variable()] })
}

/// A string that an environment variable completes.
fn variable() -> Value {
    json!({ "type": "string", "pattern": r"\$\{" })
}

/// The example of the specification, whole.
#[cfg(test)]
pub(super) const EXAMPLE: &str = include_str!("schema/example.toml");

#[cfg(test)]
mod tests;
