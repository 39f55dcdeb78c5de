//! What can be wrong with a contract, where, and what to do.

use std::path::PathBuf;

/// One complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: Option<PathBuf>,
    /// 1-based line and column.
    pub position: Option<(usize, usize)>,
    /// The contract or source, if it is about one.
    pub about: Option<String>,
    /// What is wrong, with what was expected.
    pub message: String,
    /// What the reader can do.
    pub hint: Option<String>,
}

/// All complaints about a contract file, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} problem(s) in the contract", .0.len())]
pub struct Errors(pub Vec<Problem>);

/// A complaint as an error.
pub type Error = Problem;
