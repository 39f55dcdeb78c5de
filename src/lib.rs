//! Compares authoritative snapshots with downstream projections and never says `agreed` falsely.

pub mod apply;
pub mod audit;
pub mod cache;
pub mod causes;
pub mod classify;
pub mod cli;
pub mod console;
pub mod contract;
pub mod courier;
pub mod database;
pub mod diff;
pub mod digest;
pub mod history;
pub mod normalise;
pub mod notation;
pub mod plan;
pub mod processor;
pub mod report;
pub mod run;
pub mod segment;
pub mod sides;
pub mod source;
pub mod spill;
pub mod sql;
