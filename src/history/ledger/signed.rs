//! The signature in a line of the ledger. It is of the line's bytes before it, so that `minisign` can check it, and a part of
//! what `line_digest` and the next line's `previous` are of, so that none can be taken out or put in later.
//!
//! ```text
//! {… ,"merkle_root":"…","signature":"untrusted comment: …\n…","line_digest":"…"}
//! └────── signed ──────┘
//! └────────────────────── line_digest ───────────────────────┘
//! ```

use std::borrow::Cow;
use std::io;

use super::super::sign::{Signer, signed_by};
use super::{LINE_DIGEST, Ledger, Line};

const SIGNATURE: &str = r#","signature":""#;

/// A JSON object with the signature of its bytes, but for the closing brace, as its last member.
pub(super) fn sign(object: &str, sequence: u64, signer: &Signer) -> io::Result<String> {
    let content = object.strip_suffix('}').unwrap_or(object);
    let signature = signer.sign(content.as_bytes(), &format!("line {sequence} of the ledger"))?;
    let quoted = serde_json::to_string(&signature)?;
    Ok(format!("{content}{}{quoted}}}", SIGNATURE.trim_end_matches('"')))
}

/// A JSON object without the signature that is its last member, where it has one.
pub(super) fn without(object: &str) -> Cow<'_, str> {
    match split(object.strip_suffix('}').unwrap_or(object)) {
        Some((content, _)) => Cow::Owned(format!("{content}}}")),
        None => Cow::Borrowed(object),
    }
}

/// What was signed, and the signature.
fn split(content: &str) -> Option<(&str, String)> {
    let start = content.rfind(SIGNATURE)?;
    // Whatever follows it would not be signed, and is then no line of a ledger.
    let signature = serde_json::from_str(&content[start + SIGNATURE.len() - 1..]).ok()?;
    Some((&content[..start], signature))
}

impl Line {
    /// What of it was signed, and the signature.
    pub(in super::super) fn signed(&self) -> Option<(&str, String)> {
        let text = std::str::from_utf8(&self.text).ok()?;
        split(text.rsplit_once(LINE_DIGEST)?.0)
    }
}

impl Ledger {
    /// Complains where a line without signature would follow signed ones.
    pub(in super::super) fn unsigned_line(&self, has_signer: bool) -> Result<(), String> {
        let signed = self.lines.iter().enumerate().rev().find_map(|(index, line)| Some((index + 1, line.signed()?.1)));
        match signed {
            Some((number, signature)) if !has_signer => {
                let key = signed_by(&signature).unwrap_or_default();
                Err(format!(
                    "the ledger is signed (line {number} by key {key}), but there is no `run.sign` to sign with"
                ))
            }
            _ => Ok(()),
        }
    }
}
