//! Checks `run.pii_key`. Its text is never repeated.

use super::super::PiiKey;
use super::super::tree::{Node, Problems};

/// The key, where it is long enough. One that stands in the file itself is said.
pub(super) fn check_key(node: &Node, problems: &mut Problems, warnings: &mut Problems) -> Option<PiiKey> {
    let text = node.text()?;
    let hint = || Some("take it from the environment, as \"${RECONCILE_PII_KEY}\"".to_owned());
    if text.text.chars().count() < PiiKey::LEAST_CHARACTERS {
        let message = format!("`run.pii_key` is too short, expected at least {} characters", PiiKey::LEAST_CHARACTERS);
        problems.add(&node.at, None, message, hint());
        return None;
    }
    if text.written.is_none() {
        warnings.add(&node.at, None, "`run.pii_key` stands in the file, where whoever reads the file reads it", hint());
    }
    Some(PiiKey::of(&text.text))
}
