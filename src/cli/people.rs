//! What a run is given of people: the key of digests of personal data, and what was decided of earlier divergences.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::failure::Failure;
use super::outcome::{Batch, unwritable};
use crate::audit::Audit;
use crate::contract::{Contract, PiiKey};
use crate::history;
use crate::run::Settings;

/// Looks both up in the folder of reports.
pub(super) fn prepare(batch: &Batch<'_>, settings: &mut Settings, warnings: &mut Vec<String>) -> Result<(), Failure> {
    let Some(reports) = &batch.reports else { return Ok(()) };
    if any(&batch.contracts) && settings.pii_key.is_none() {
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

/// Whether any of these is about people.
pub(super) fn any(contracts: &[Arc<Contract>]) -> bool {
    contracts.iter().any(|contract| contract.has_pii())
}

/// `--where` as a record shows it: without what may be a value, where any contract is about people. `audit` is of the run that it
/// narrowed, which knows the attributes that no contract names.
pub(super) fn shown_filter(predicate: &str, contracts: &[Arc<Contract>], audit: &Audit) -> String {
    if !any(contracts) {
        return predicate.to_owned();
    }
    let declared =
        contracts.iter().flat_map(|one| one.attributes.iter().map(|attribute| &attribute.name).chain(&one.key));
    let compared = audit.contracts.iter().flat_map(|one| one.attributes.iter().map(|(name, _)| name).chain(&one.key));
    without_literals(predicate, &declared.chain(compared).map(String::as_str).collect())
}

/// Words of SQL that are no value.
const WORDS: [&str; 39] = [
    "all",
    "and",
    "any",
    "as",
    "between",
    "bigint",
    "bool",
    "boolean",
    "case",
    "cast",
    "date",
    "decimal",
    "double",
    "else",
    "end",
    "escape",
    "false",
    "float",
    "for",
    "from",
    "ilike",
    "in",
    "int",
    "integer",
    "interval",
    "is",
    "like",
    "not",
    "null",
    "or",
    "precision",
    "regexp",
    "rlike",
    "similar",
    "text",
    "then",
    "timestamp",
    "true",
    "when",
];

/// A predicate in which no word is left but names and those of SQL: what stands in quotes of any kind, a number, a comment, and
/// also a word whose quotes were forgotten, may be what someone looked for.
fn without_literals(predicate: &str, names: &BTreeSet<&str>) -> String {
    let mut shown = String::new();
    let mut rest = predicate;
    while let Some(first) = rest.chars().next() {
        let of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
        let taken = match first {
            '\'' => {
                let (_, taken) = quoted(rest, first);
                shown.push_str("'***'");
                taken
            }
            '"' | '`' => {
                let (word, taken) = quoted(rest, first);
                shown.push_str(if names.contains(word.as_str()) { &rest[..taken] } else { MASK });
                taken
            }
            '$' if dollars(rest).is_some() => {
                shown.push_str("'***'");
                dollars(rest).unwrap_or(rest.len())
            }
            '-' if rest.starts_with("--") => {
                shown.push_str("--***");
                rest.find('\n').unwrap_or(rest.len())
            }
            '/' if rest.starts_with("/*") => {
                shown.push_str("/****/");
                rest[2..].find("*/").map_or(rest.len(), |end| 2 + end + 2)
            }
            digit if digit.is_ascii_digit() => {
                shown.push_str(MASK);
                rest.find(|next| !of_word(next) && next != '.').unwrap_or(rest.len())
            }
            letter if of_word(letter) => {
                let taken = rest.find(|next| !of_word(next)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(taken);
                let known = names.contains(word)
                    || WORDS.contains(&word.to_ascii_lowercase().as_str())
                    || after.starts_with('(');
                shown.push_str(if known { word } else { MASK });
                taken
            }
            other => {
                shown.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    shown
}

const MASK: &str = "***";

/// What stands in quotes at the start of a text, and how much of the text it takes; a doubled quote is one of what is quoted.
fn quoted(text: &str, quote: char) -> (String, usize) {
    let mut word = String::new();
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((_, letter)) = letters.next() {
        if letter != quote {
            word.push(letter);
        } else if letters.next_if(|(_, next)| *next == quote).is_some() {
            word.push(quote);
        } else {
            return (word, letters.peek().map_or(text.len(), |(place, _)| *place));
        }
    }
    (word, text.len())
}

/// How much of a text a literal in dollar quotes takes, where it starts with one; all of it where that has no end.
fn dollars(text: &str) -> Option<usize> {
    let tag = text[1..].find('$').map(|end| &text[..=end + 1])?;
    let plain = tag[1..tag.len() - 1].chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    plain.then(|| text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_is_shown_without_what_it_looks_for() {
        let names = ["name", "id", "born 1970", "line2", "a`b"].into();
        let cases = [
            ("name = 'Anna' and id > 17", "name = '***' and id > ***"),
            ("name = 'O''Neill' or \"born 1970\" = 1.5e3", "name = '***' or \"born 1970\" = ***"),
            ("line2 in (1, 22)", "line2 in (***, ***)"),
            ("name = 'open", "name = '***'"),
            ("name = \"Anna\" or `a``b` = `Anna`", "name = *** or `a``b` = ***"),
            ("name = $$Anna$$ or name = $a$An$na$a$ or id = $1", "name = '***' or name = '***' or id = $***"),
            ("name = $$open", "name = '***'"),
            ("name = Anna or upper(name) LIKE 'A%'", "name = *** or upper(name) LIKE '***'"),
            ("id > 1 -- Anna\nor /* Anna */ id is NULL", "id > *** --***\nor /****/ id is NULL"),
            ("name = E'it\\'s Anna' /* Anna", "name = ***'***'*** ***'***'"),
            ("name = \"é", "name = ***"),
        ];
        for (predicate, expected) in cases {
            let shown = without_literals(predicate, &names);
            assert!(!shown.contains("Anna"), "{shown}");
            assert_eq!(shown, expected);
        }
    }
}
