//! The lines of a contract's meaning that say who owns what; none where the authority owns all.

use super::super::tree::quoted;
use super::super::{Contract, Origin};
use super::{Lines, list, source};

/// Where an attribute's value comes from.
pub(super) fn origin(lines: &mut Lines, path: &str, origin: &Origin) {
    for (index, tenure) in origin.owners.iter().enumerate() {
        source(lines, &format!("{path}.owner.{index}"), &tenure.source);
        lines.maybe(format_args!("{path}.owner.{index}.until"), tenure.until);
    }
    for (name, column) in &origin.columns {
        lines.add(format_args!("{path}.column.{}", quoted(name)), list(column));
    }
    lines.maybe(format_args!("{path}.derive"), origin.derive.as_deref().map(quoted));
    if let Some(lookup) = &origin.lookup {
        source(lines, &format!("{path}.lookup"), &lookup.source);
        for (own, other) in &lookup.on {
            lines.add(format_args!("{path}.lookup.on.{}", quoted(own)), quoted(other));
        }
        lines.add(format_args!("{path}.lookup.column"), list(&lookup.column));
    }
}

/// Which keys are which.
pub(super) fn crosswalk(lines: &mut Lines, contract: &Contract) {
    if let Some(crosswalk) = &contract.crosswalk {
        source(lines, "crosswalk", &crosswalk.source);
        for (side, columns) in crosswalk.columns.iter() {
            let columns = if let [one] = &columns[..] { quoted(one) } else { list(columns) };
            lines.add(format_args!("crosswalk.{side}_column"), columns);
        }
        lines.maybe("crosswalk.own", crosswalk.own.as_deref().map(list));
    }
}
