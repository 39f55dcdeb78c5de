//! Checks `[run.sign]`. The password is never repeated.

use super::super::sign::{Password, Sign};
use super::super::tree::{Problems, Table};
use super::super::values;

/// The key's file and its password. A password that stands in the file itself is said.
pub(super) fn check_sign(table: &Table, warnings: &mut Problems) -> Option<Sign> {
    let node = table.node("key")?;
    let key = values::resolved(node, &node.text()?.text);
    let password = table.node("password").and_then(|node| Some((node, node.text()?)));
    if let Some((node, text)) = password
        && text.written.is_none()
    {
        let hint = "take it from the environment, as \"${RECONCILE_SIGN_PASSWORD}\"".to_owned();
        let message = "`run.sign.password` stands in the file, where whoever reads the file reads it";
        warnings.add(&node.at, None, message, Some(hint));
    }
    Some(Sign { key, password: password.map(|(_, text)| Password::new(&text.text)) })
}
