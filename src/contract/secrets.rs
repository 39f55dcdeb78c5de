//! What came from the environment, so that no text for people repeats it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Shorter values are part of too many words to be told from them.
const LEAST_CHARACTERS: usize = 3;

/// Every value that an environment variable put into the contract's files, with the variable's name.
#[derive(Clone, Default)]
pub struct Secrets(Arc<[(String, String)]>);

impl Secrets {
    /// Of names and values in any order, each as often as it was read.
    pub(super) fn new(read: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut pairs = Vec::new();
        for (name, value) in read {
            // An error may quote what it repeats.
            let quoted = [value.escape_debug().to_string(), value.replace('\'', "''")];
            pairs.extend(quoted.into_iter().filter(|quoted| *quoted != value).map(|quoted| (name.clone(), quoted)));
            pairs.push((name, value));
        }
        pairs.retain(|(_, value)| value.chars().count() >= LEAST_CHARACTERS);
        // The longest first, so that no part of a value is left where another value is a part of it.
        pairs.sort_by(|(name, value), (other_name, other)| {
            other.len().cmp(&value.len()).then_with(|| (value, name).cmp(&(other, other_name)))
        });
        pairs.dedup();
        Self(pairs.into())
    }

    /// The text with `${NAME}` in place of each value.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let (mut redacted, mut rest) = (String::new(), text);
        while let Some((start, name, value)) = self.first(rest) {
            redacted.extend([&rest[..start], "${", name, "}"]);
            rest = &rest[start + value.len()..];
        }
        if rest.len() == text.len() {
            return Cow::Borrowed(text);
        }
        redacted.push_str(rest);
        Cow::Owned(redacted)
    }

    /// The same in place.
    pub(crate) fn redact_in(&self, text: &mut String) {
        if let Cow::Owned(redacted) = self.redact(text) {
            *text = redacted;
        }
    }

    /// Where the first value starts; of two that start there, the longer one.
    fn first(&self, text: &str) -> Option<(usize, &str, &str)> {
        let found = self.0.iter().filter_map(|(name, value)| Some((text.find(value.as_str())?, name, value)));
        found.min_by_key(|(start, ..)| *start).map(|(start, name, value)| (start, name.as_str(), value.as_str()))
    }
}

/// Only the names.
impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_gives_way_to_the_name_of_its_variable() {
        let pairs =
            [("SHORT", "ab"), ("PART", "hunter"), ("WHOLE", "hunter2"), ("NAME", "WHOLE"), ("QUOTE", "o'neill")];
        let secrets = Secrets::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let cases = [
            ("nothing of it, not even ab", "nothing of it, not even ab"),
            ("hunter2 and hunter3", "${WHOLE} and ${PART}3"),
            ("hunter2WHOLE", "${WHOLE}${NAME}"),
            ("'o''neill' or \"o\\'neill\"", "'${QUOTE}' or \"${QUOTE}\""),
        ];
        for (text, expected) in cases {
            assert_eq!(secrets.redact(text), expected);
        }
        assert!(matches!(secrets.redact("none"), Cow::Borrowed(_)));
        assert!(!format!("{secrets:?}").contains("hunter"));
        assert_eq!(Secrets::default().redact("hunter2"), "hunter2");
    }
}
