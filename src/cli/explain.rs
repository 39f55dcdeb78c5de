//! `reconcile explain`: prints what `classify::explain` knows of a word. The texts are not here.

use serde_json::{Value, json};

use super::failure::{Failure, nearest};
use super::{ExitStatus, Explain, Format, Global, table};
use crate::classify::explain::{self, Explanation, Group};
use crate::console::Console;

mod key;

pub(super) use key::{room, rows};

pub(super) fn run(options: &Explain, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    // A run is never a word of the list; what follows it may be one, as a key.
    if let [run, key] = options.words.as_slice()
        && explain::explain(run).is_none()
        && !meant_as_words(run, key)
    {
        return key::run((run, key), options, global, console);
    }
    let text = if options.words.is_empty() { list(global.format) } else { texts(&options.words, global.format)? };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

/// Every word with a line of its own, group by group.
fn list(format: Format) -> String {
    let rows = |group: Group| -> Vec<Vec<String>> {
        group.words().map(|word| vec![word.word.to_owned(), word.summary.to_owned()]).collect()
    };
    match format {
        Format::Text => {
            let part = |group: Group| format!("{}\n{}", group.heading(), listed(&rows(group)));
            let parts: Vec<String> = Group::ALL.into_iter().map(part).collect();
            format!("{}\n`reconcile explain WORD` tells all of a word.\n", parts.join("\n"))
        }
        Format::Markdown => {
            let part = |group: Group| {
                format!("## {}\n\n{}", group.heading(), table::markdown(&["word", "in short"], &rows(group)))
            };
            Group::ALL.into_iter().map(part).collect::<Vec<_>>().join("\n")
        }
        Format::Json | Format::Ndjson => documents(&explain::all().collect::<Vec<_>>(), format),
    }
}

/// Words and what they mean in short, in two columns that are as wide in every group.
fn listed(rows: &[Vec<String>]) -> String {
    let width = explain::all().map(|explanation| explanation.word.len()).max().unwrap_or_default();
    rows.iter().map(|row| format!("  {:width$}  {}\n", row[0], row[1])).collect()
}

fn texts(words: &[String], format: Format) -> Result<String, Failure> {
    let mut found = Vec::new();
    for word in words {
        match explain::explain(word) {
            Some(explanation) => found.push(explanation),
            None => return Err(unknown(word)),
        }
    }
    Ok(match format {
        Format::Text => found.iter().map(Explanation::text).collect::<Vec<_>>().join("\n"),
        Format::Markdown => found.iter().map(Explanation::markdown).collect::<Vec<_>>().join("\n"),
        Format::Json | Format::Ndjson => documents(&found, format),
    })
}

/// Whether two words look like two of the list, the first of them misspelt, rather than a run and a key.
fn meant_as_words(first: &str, second: &str) -> bool {
    let words = explain::all().map(|explanation| explanation.word);
    explain::explain(second).is_some() && nearest(first, words).is_some()
}

fn unknown(word: &str) -> Failure {
    let words: Vec<&str> = explain::all().map(|explanation| explanation.word).collect();
    let known = || "`reconcile explain` alone lists the words with a line each".to_owned();
    let hint = if word == "latest" || word.contains('/') || word.starts_with(|first: char| first.is_ascii_digit()) {
        format!("of a run a key is explained: `reconcile explain {word} KEY`; `reconcile report {word}` shows the run")
    } else {
        nearest(word, words.iter().copied()).unwrap_or_else(known)
    };
    Failure::with_hint(format!("explain: `{word}` is not one of the {} words that reports use", words.len()), hint)
}

fn documents(explanations: &[Explanation], format: Format) -> String {
    let documents: Vec<Value> = explanations.iter().map(document).collect();
    if format == Format::Json {
        return format!("{:#}\n", json!({"format_version": 1, "explanations": documents}));
    }
    documents.iter().map(|document| format!("{document}\n")).collect()
}

fn document(explanation: &Explanation) -> Value {
    let mut document = json!({
        "word": explanation.word,
        "group": explanation.group.name(),
        "summary": explanation.summary,
    });
    for (name, text) in ["meaning", "causes", "example", "repair"].into_iter().zip(explanation.sections()) {
        document[name] = text.1.into();
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_word_gets_the_nearest() {
        let failure = texts(&words(&["mising"]), Format::Text).unwrap_err();
        assert_eq!(failure.problems[0].hint.as_deref(), Some("did you mean `missing`?"));
        let failure = texts(&words(&["weather"]), Format::Text).unwrap_err();
        assert!(failure.problems[0].hint.as_deref().unwrap().contains("reconcile explain"));
    }

    #[test]
    fn several_words_are_explained_one_after_the_other() {
        let text = texts(&words(&["missing", "rule:large-premium-gap"]), Format::Text).unwrap();
        assert!(text.starts_with("missing: "), "{text}");
        assert!(text.contains("\nrule: "), "{text}");
    }

    #[test]
    fn a_misspelt_word_before_another_is_no_run() {
        assert!(meant_as_words("mising", "orphan"));
        assert!(!meant_as_words("latest", "missing"));
        assert!(!meant_as_words("20261121T072500", "1042"));
    }

    #[test]
    fn json_holds_every_section() {
        let document: Value = serde_json::from_str(&texts(&words(&["orphan"]), Format::Json).unwrap()).unwrap();
        for section in ["meaning", "causes", "example", "repair"] {
            assert!(!document["explanations"][0][section].as_str().unwrap().is_empty(), "{section}");
        }
        assert_eq!(list(Format::Ndjson).lines().count(), explain::all().count());
    }
}
