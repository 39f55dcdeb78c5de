//! Turns the raw TOML into the checked contract and collects every complaint on the way.

use std::path::Path;

use super::{Configuration, Contract, Errors};

/// What `reconcile diff` was told, which stands for a contract named `diff`.
#[derive(Clone, Debug, Default)]
pub struct DiffRequest {
    /// Location as written on the command line (relative to the working directory).
    pub authority: String,
    /// Location as written on the command line.
    pub projection: String,
    /// Key attributes; empty with `--no-key`.
    pub key: Vec<String>,
    /// `--map attribute=projection_column`.
    pub map: Vec<(String, String)>,
    /// `--ignore`
    pub ignore: Vec<String>,
    /// `--only`
    pub only: Vec<String>,
    /// `--tolerance [COLUMN=]VALUE`
    pub tolerance: Vec<(Option<String>, String)>,
    /// `--type COLUMN=TYPE`
    pub types: Vec<(String, String)>,
    /// `--trim`
    pub trim: bool,
    /// `--ignore-case`
    pub ignore_case: bool,
    /// `--null-equals`
    pub null_equals: Vec<String>,
    /// `--where`
    pub row_filter: Option<String>,
}

/// Reads and checks a configuration file and all that it includes.
///
/// # Errors
/// Every problem that was found.
pub fn load(file: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Configuration, Errors> {
    let _ = (file, environment);
    todo!()
}

/// Makes the contract that `reconcile diff` stands for, through the same checks.
///
/// # Errors
/// Every problem that was found; they name the flag.
pub fn for_diff(request: &DiffRequest) -> Result<Contract, Errors> {
    let _ = request;
    todo!()
}
