//! What a contract says of personal data, and the key that digests of it are made with. How it is masked is `run`'s business.

use std::fmt;

use super::{Attribute, Contract, Pii};

/// A key for digests of personal data. It is derived from what the user wrote and shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PiiKey([u8; 32]);

impl PiiKey {
    /// The least that is taken for a secret.
    pub const LEAST_CHARACTERS: usize = 16;

    /// Derived from a text.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        Self(blake3::derive_key("reconcile 2026 key of digests of personal data", secret.as_bytes()))
    }

    /// The key.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Nothing of it.
impl fmt::Debug for PiiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PiiKey")
    }
}

impl Contract {
    /// Whether any attribute holds personal data.
    #[must_use]
    pub fn has_pii(&self) -> bool {
        self.attributes.iter().any(|attribute| attribute.pii.is_some())
    }

    /// The attributes that hold personal data.
    pub fn personal(&self) -> impl Iterator<Item = (&Attribute, Pii)> {
        self.attributes.iter().filter_map(|attribute| Some((attribute, attribute.pii?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_shows_nothing_of_itself_and_depends_on_every_character() {
        let key = PiiKey::of("correct horse battery");
        assert_eq!(format!("{key:?}"), "PiiKey");
        assert_ne!(key, PiiKey::of("correct horse batterz"));
        assert_eq!(key, PiiKey::of("correct horse battery"));
    }
}
