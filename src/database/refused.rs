//! Why a database did not answer: what it said, without a secret, and what can be done.

/// What kept a database from being reached, or a statement from being answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Refused {
    /// What was seen and what was expected.
    pub problem: String,
    /// What can be done now.
    pub hint: Option<String>,
}

impl Refused {
    /// Says it without advice.
    #[must_use]
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: None }
    }

    /// Adds advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
