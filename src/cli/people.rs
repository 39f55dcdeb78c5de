//! What a run is given of people: the key of digests of personal data, and what was decided of earlier divergences.

use std::sync::Arc;

use super::failure::Failure;
use super::outcome::{Batch, unwritable};
use crate::contract::PiiKey;
use crate::history;
use crate::run::Settings;

/// Looks both up in the folder of reports.
pub(super) fn prepare(batch: &Batch<'_>, settings: &mut Settings, warnings: &mut Vec<String>) -> Result<(), Failure> {
    let Some(reports) = &batch.reports else { return Ok(()) };
    if batch.contracts.iter().any(|contract| contract.has_pii()) && settings.pii_key.is_none() {
        let (secret, warning) = history::personal_key(reports).map_err(|error| unwritable(reports, &error))?;
        settings.pii_key = Some(*PiiKey::of(&secret).bytes());
        warnings.extend(warning);
    }
    if batch.command == "run" && reports.is_dir() {
        let (decisions, warning) = history::decisions(reports)
            .map_err(|error| Failure::path(reports, "the decisions of people cannot be read", &error))?;
        settings.decisions = Arc::new(decisions);
        warnings.extend(warning);
    }
    Ok(())
}

/// A predicate without the texts and numbers in it, which may be personal; names stay.
pub(super) fn without_literals(predicate: &str) -> String {
    let mut shown = String::new();
    let mut rest = predicate.chars().peekable();
    let mut in_name = false;
    while let Some(character) = rest.next() {
        match character {
            '\'' => {
                // A doubled quote ends one text and begins the next, which is the same text.
                while rest.by_ref().any(|next| next == '\'') && rest.next_if_eq(&'\'').is_some() {}
                shown.push_str("'***'");
                in_name = false;
            }
            '"' | '`' => {
                shown.push(character);
                for next in rest.by_ref() {
                    shown.push(next);
                    if next == character {
                        break;
                    }
                }
                in_name = false;
            }
            digit if digit.is_ascii_digit() && !in_name => {
                while rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '.' || *next == '_').is_some() {}
                shown.push_str("***");
            }
            _ => {
                in_name = character.is_alphanumeric() || character == '_';
                shown.push(character);
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_is_shown_without_what_it_looks_for() {
        let cases = [
            ("name = 'Anna' and id > 17", "name = '***' and id > ***"),
            ("name = 'O''Neill' or \"born 1970\" = 1.5e3", "name = '***' or \"born 1970\" = ***"),
            ("line2 in (1, 22)", "line2 in (***, ***)"),
            ("name = 'open", "name = '***'"),
        ];
        for (predicate, expected) in cases {
            assert_eq!(without_literals(predicate), expected);
        }
    }
}
