//! `plan.ndjson`: one repair action a line, in the order in which they were drafted. It never decides an action.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::plan::Action;

/// A line of `plan.ndjson`. Field order is the file's.
#[derive(Serialize)]
struct Line<'a> {
    action_id: &'a str,
    contract: &'a str,
    kind: &'a str,
    op: &'a str,
    /// The key's own JSON text, because a number in it may have more digits than any Rust number.
    key: &'a RawValue,
    before: &'a Option<Value>,
    after: &'a Option<Value>,
    guard: &'a Option<Value>,
    safety: &'a str,
    reason: &'a str,
}

/// Writes one action and the end of its line.
///
/// # Errors
/// What kept it from being written, or that its key is not JSON.
pub fn write_action(action: &Action, out: &mut dyn Write) -> io::Result<()> {
    let key: &RawValue = serde_json::from_str(&action.key)?;
    let line = Line {
        action_id: &action.action_id,
        contract: &action.contract,
        kind: action.kind.name(),
        op: action.op.name(),
        key,
        before: &action.before,
        after: &action.after,
        guard: &action.guard,
        safety: action.safety.name(),
        reason: &action.reason,
    };
    // Put together first, so that a failure leaves no half line in a buffer.
    let mut text = serde_json::to_vec(&line)?;
    text.push(b'\n');
    out.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn an_action_is_one_line_and_its_key_keeps_all_digits() {
        let mut out = Vec::new();
        write_action(&sample::action(), &mut out).expect("a vector takes all");
        assert_eq!(
            String::from_utf8(out).expect("JSON is text"),
            concat!(
                r#"{"action_id":"00000000000000000000000000000000","contract":"crm-policy-view","kind":"mismatch","#,
                r#""op":"update","key":{"policy_id":12345678901234567890123456789012345678},"#,
                r#""before":{"premium":"n/a"},"after":{"premium":"10.00"},"#,
                r#""guard":{"row":"present","values":{"premium":"n/a"}},"safety":"safe","#,
                r#""reason":"the contract repairs `premium` without a person"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_key_that_is_not_json_is_refused_and_writes_nothing() {
        let mut out = Vec::new();
        let action = Action { key: "policy 17".into(), ..sample::action() };
        assert!(write_action(&action, &mut out).is_err());
        assert!(out.is_empty());
    }
}
