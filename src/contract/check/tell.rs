//! Checks who `[run]` says is told of a run. An address is never repeated, because it can hold a secret.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::tell::{Endpoint, NoticeOf, NoticeShape, Notify, Tell};
use super::super::tree::{Node, Problems, Table, Value};
use super::super::{Secret, values};

/// The longest that one attempt may take.
const LONGEST: Duration = Duration::from_secs(60);

/// All of it; `at` names the table.
pub(super) fn tell(table: &Table, problems: &mut Problems, warnings: &mut Problems) -> Tell {
    let metrics = table.node("metrics").and_then(|node| Some(values::resolved(node, &node.text()?.text)));
    let openlineage = table.node("openlineage").and_then(|node| endpoint(node, "run.openlineage", problems));
    let notify = table.node("notify").and_then(|node| notify(node, problems, warnings));
    Tell { metrics, openlineage, notify }
}

fn endpoint(node: &Node, name: &str, problems: &mut Problems) -> Option<Endpoint> {
    let text = node.text()?;
    match Endpoint::parse(&text.text, text.written.as_deref()) {
        Ok(endpoint) => Some(endpoint),
        Err(expected) => {
            problems.add(&node.at, None, format!("`{name}` is not an address that can be told: {expected}"), None);
            None
        }
    }
}

fn notify(node: &Node, problems: &mut Problems, warnings: &mut Problems) -> Option<Notify> {
    let table = node.table()?;
    if table.node("url").is_none() {
        problems.add(&node.at, None, "`run.notify.url` is missing", Some("write url = \"${HOOK_URL}\"".to_owned()));
        return None;
    }
    let endpoint = table.node("url").and_then(|node| endpoint(node, "run.notify.url", problems));
    let mut on: BTreeSet<NoticeOf> = match table.node("on") {
        None => [NoticeOf::Drifted, NoticeOf::Unverified, NoticeOf::Recovered].into(),
        Some(_) => table.texts("on").iter().filter_map(|(name, _)| NoticeOf::named(name)).collect(),
    };
    if let Some(node) = table.node("on").filter(|node| matches!(&node.value, Value::List(list) if list.is_empty())) {
        problems.add(&node.at, None, "`run.notify.on` is empty, so nobody would be told anything", None);
        on.clear();
    }
    let authorization = table.node("authorization").and_then(|node| {
        let text = node.text()?;
        if text.written.is_none() {
            let hint = "take it from the environment, as \"Bearer ${TOKEN}\"".to_owned();
            let message = "`run.notify.authorization` stands in the file, where whoever reads the file reads it";
            warnings.add(&node.at, None, message, Some(hint));
        }
        if text.text.is_empty() || text.text.chars().any(|character| character.is_control() || !character.is_ascii()) {
            problems.add(&node.at, None, "`run.notify.authorization` cannot be a header: expected visible ASCII", None);
            return None;
        }
        Some(Secret::new(text.text.as_str()))
    });
    let timeout = table.node("timeout").and_then(|node| {
        let span = values::span(node).ok()?;
        let timeout = Duration::from_nanos(u64::try_from(span.0).unwrap_or(u64::MAX));
        if timeout > LONGEST {
            problems.add(&node.at, None, "`run.notify.timeout` is too long, at most 60s is allowed", None);
        }
        Some(timeout)
    });
    let attempts = table.node("attempts").and_then(|node| {
        let attempts = values::count(node, 10).ok()?;
        if attempts == 0 {
            problems.add(&node.at, None, "`run.notify.attempts` is 0, expected at least 1", None);
        }
        u32::try_from(attempts).ok()
    });
    let shape = match table.text("shape").map(|text| text.text.as_str()) {
        Some("slack") => NoticeShape::Slack,
        _ => NoticeShape::Json,
    };
    Some(Notify {
        endpoint: endpoint?,
        shape,
        on,
        authorization,
        timeout: timeout.unwrap_or(Duration::from_secs(5)),
        attempts: attempts.unwrap_or(4).max(1),
    })
}
