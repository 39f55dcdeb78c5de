//! `plan.ndjson`.
