//! `[run.sign]`: which key signs runs and ledger. The key's file is not opened here; that is `history`'s business.

use std::fmt;
use std::path::PathBuf;

/// What runs and ledger are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The file of the minisign secret key, a relative path already resolved against the contract file.
    pub key: PathBuf,
    /// What opens it, where it has a password.
    pub password: Option<Password>,
}

/// A password. It shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Of a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text, for what opens the key.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Nothing of it.
impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_shows_nothing_of_itself() {
        let sign = Sign { key: "a.key".into(), password: Some(Password::new("hunter2")) };
        assert!(!format!("{sign:?}").contains("hunter2"), "{sign:?}");
    }
}
