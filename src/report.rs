//! Turns an audit into files and text, one renderer a format. Never compares, never decides a verdict.

pub mod json;
pub mod markdown;
pub mod parquet;
pub mod plan;
pub mod prometheus;
pub mod text;
