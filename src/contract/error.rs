//! What can be wrong with a contract, where, and what to do.
//!
//! It knows how a complaint is worded for people; it never decides what is wrong, and never holds a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::excerpt::Excerpt;

/// An error of the operating system as a sentence part: without its number, in lower case.
#[must_use]
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let Some(code) = error.raw_os_error() else { return text };
    let text = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}

/// One complaint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: Option<PathBuf>,
    /// 1-based line and column; the column counts characters.
    pub position: Option<(usize, usize)>,
    /// The contract or source, if it is about one; for `diff` the flag.
    pub about: Option<String>,
    /// What is wrong, with what was expected.
    pub message: String,
    /// What the reader can do.
    pub hint: Option<String>,
    /// The line of the file that it is about.
    pub excerpt: Option<Excerpt>,
}

impl Problem {
    /// The complaint with its label and its hint: `error: FILE:LINE:COLUMN: …` and, on a line of its own, `hint: …`.
    #[must_use]
    pub fn render(&self, label: &str) -> String {
        match &self.hint {
            Some(hint) => format!("{label}: {self}\nhint: {hint}"),
            None => format!("{label}: {self}"),
        }
    }
}

/// The place and the message, without label and hint.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(formatter, "{}", file.display())?;
            if let Some((line, column)) = self.position {
                write!(formatter, ":{line}:{column}")?;
            }
            formatter.write_str(": ")?;
        }
        if let Some(about) = &self.about {
            write!(formatter, "{about}: ")?;
        }
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// All complaints about a contract file, in the order of files, lines and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Problem>);

/// Every complaint with its label and hint, one after the other.
impl fmt::Display for Errors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            formatter.write_str(&problem.render("error"))?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// A complaint as an error.
pub type Error = Problem;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_place_subject_message_and_hint() {
        let problem = Problem {
            file: Some("reconcile.toml".into()),
            position: Some((14, 12)),
            about: Some("contract \"orders\"".to_owned()),
            message: "severity \"critcal\" is not one of critical, high, medium, low, info".to_owned(),
            hint: Some("did you mean \"critical\"?".to_owned()),
            excerpt: None,
        };
        assert_eq!(
            problem.render("error"),
            "error: reconcile.toml:14:12: contract \"orders\": severity \"critcal\" is not one of critical, high, \
             medium, low, info\nhint: did you mean \"critical\"?"
        );
    }
}
