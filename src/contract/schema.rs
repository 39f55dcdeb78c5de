//! JSON Schema of `reconcile.toml`.

/// The JSON Schema (draft 2020-12) of `reconcile.toml`.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    todo!()
}
