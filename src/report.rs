//! Turns an audit into files and text, one renderer a format. Never compares, never decides a verdict.

mod baseline;
pub(crate) mod causes;
pub(crate) mod checksums;
pub(crate) mod decided;
pub(crate) mod escape;
mod figures;
pub mod html;
pub mod json;
pub mod junit;
mod lag;
mod left_out;
pub mod markdown;
pub mod notice;
pub mod openlineage;
pub mod otlp;
pub mod parquet;
pub mod plan;
pub mod prometheus;
pub(crate) mod recheck;
pub mod recurrence;
pub(crate) mod segments;
mod sum;
pub mod text;
mod told;

#[cfg(test)]
pub(crate) mod sample;
