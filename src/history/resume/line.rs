//! Lines of a published run, read back as what they were made of. A line that would not be written again byte for byte is refused.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::classify::Divergence;
use crate::history::findings::Finding;
use crate::history::manifest::{digest, kind, reason, severity};
use crate::plan::{Action, Op, Safety};
use crate::report::plan::write_action;
use crate::sides::Sides;

/// A line of `divergences.parquet`; the problem is a sentence part.
pub(super) fn divergence(finding: &Finding) -> Result<Divergence, String> {
    let boxed = |text: &Option<String>| text.clone().map(String::into_boxed_str);
    let cause = finding.cause.as_deref().map(|cause| {
        let known = crate::causes::NAMES.into_iter().find(|name| *name == cause);
        known.ok_or_else(|| format!("`{cause}` is not a cause"))
    });
    Ok(Divergence {
        kind: kind(&finding.kind)?,
        severity: severity(&finding.severity)?,
        reason: reason(&finding.reason)?,
        key: boxed(&finding.key),
        attribute: finding.attribute.as_deref().map(Arc::from),
        values: Sides { authority: boxed(&finding.authority_value), projection: boxed(&finding.projection_value) },
        authority_source: finding.authority_source.as_str().into(),
        cause: cause.transpose()?,
        fingerprint: digest(&finding.fingerprint)?,
        row_digest: finding.row_digest.as_deref().map(digest).transpose()?,
    })
}

#[derive(Deserialize)]
struct Wire {
    action_id: String,
    contract: String,
    kind: String,
    op: String,
    key: Box<RawValue>,
    before: Option<Value>,
    after: Option<Value>,
    guard: Option<Value>,
    safety: String,
    reason: String,
}

/// A line of `plan.ndjson`; the problem is a sentence part.
pub(super) fn action(line: &str) -> Result<Action, String> {
    let wire: Wire = serde_json::from_str(line).map_err(|error| format!("not an action: {error}"))?;
    let op = [Op::Insert, Op::Update, Op::Delete, Op::Replay, Op::Review].into_iter().find(|op| op.name() == wire.op);
    let safety = [Safety::Safe, Safety::Review, Safety::Manual].into_iter().find(|one| one.name() == wire.safety);
    let action = Action {
        action_id: wire.action_id,
        contract: wire.contract,
        kind: kind(&wire.kind)?,
        op: op.ok_or_else(|| format!("`{}` is not an operation", wire.op))?,
        key: wire.key.get().into(),
        before: wire.before,
        after: wire.after,
        guard: wire.guard,
        safety: safety.ok_or_else(|| format!("`{}` is not a safety", wire.safety))?,
        reason: wire.reason,
    };
    let mut again = Vec::new();
    write_action(&action, &mut again).map_err(|error| error.to_string())?;
    if again.strip_suffix(b"\n") == Some(line.as_bytes()) {
        Ok(action)
    } else {
        Err("would be written otherwise".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn an_action_comes_back_from_its_line_or_is_refused() {
        let mut line = Vec::new();
        write_action(&sample::action(), &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert_eq!(action(line.trim_end()), Ok(sample::action()));
        let spaced = line.trim_end().replacen(':', ": ", 1);
        assert_eq!(action(&spaced), Err("would be written otherwise".to_owned()));
        assert!(action(&line.replace("\"safe\"", "\"sure\"")).unwrap_err().contains("is not a safety"));
    }

    #[test]
    fn a_divergence_comes_back_from_its_line() {
        for mut expected in sample::divergences() {
            expected.row_digest = Some([7; 32]);
            let text = |value: &Option<Box<str>>| value.as_deref().map(str::to_owned);
            let finding = Finding {
                contract: "c".to_owned(),
                kind: expected.kind.name().to_owned(),
                severity: expected.severity.name().to_owned(),
                reason: expected.reason.to_string(),
                key: text(&expected.key),
                attribute: expected.attribute.as_deref().map(str::to_owned),
                authority_value: text(&expected.values.authority),
                projection_value: text(&expected.values.projection),
                authority_source: expected.authority_source.to_string(),
                cause: expected.cause.map(str::to_owned),
                fingerprint: crate::report::json::hex(&expected.fingerprint),
                row_digest: expected.row_digest.as_ref().map(crate::report::json::hex),
            };
            assert_eq!(divergence(&finding).as_ref(), Ok(&expected));
            assert!(divergence(&Finding { kind: "gone".to_owned(), ..finding }).is_err());
        }
    }
}
