//! What every kind, reason, verdict and cause means, what usually causes it, and what to do, for an operator who meets it.
//!
//! The texts are plain values: they are the same whatever was compared, and nothing here prints them. A kind without a
//! text does not compile.

use crate::contract::Kind;

mod accounts;
mod baseline;
mod causes;
mod decisions;
mod kinds;
mod owners;
mod reasons;
mod recheck;
mod recurrence;
mod repairs;
mod severities;
mod verdicts;

/// The explanation of a word as a report shows it: `missing`, `rule:large-premium-gap`, `unverified`.
#[must_use]
pub fn explain(word: &str) -> Option<Explanation> {
    // A reason carries the name that made it; what it means does not depend on the name.
    let stem = match word.split_once(':') {
        Some((stem @ ("rule" | "attribute" | "kind"), _)) => stem,
        Some(_) => return None,
        None => word,
    };
    let stem = stem.trim().to_lowercase().replace('-', "_");
    all().find(|explanation| explanation.word == stem)
}

/// Every explanation, group by group in the order of `Group::ALL`: kinds in the order of the report, then reasons in the
/// order in which they decide, and so on.
pub fn all() -> impl Iterator<Item = Explanation> {
    let found = Kind::ALL.into_iter().map(kinds::explanation);
    let found = found.chain(reasons::ALL).chain(owners::ALL).chain(recheck::ALL);
    let found = found.chain(verdicts::ALL).chain(severities::ALL).chain(causes::ALL);
    let found = found.chain(repairs::ALL).chain(decisions::ALL);
    found.chain(recurrence::ALL).chain(baseline::ALL).chain(accounts::ALL)
}

/// What a word means. Texts are wrapped at 88 columns; examples are indented by four spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The word, as reports write it.
    pub word: &'static str,
    /// What sort of word it is.
    pub group: Group,
    /// One line.
    pub summary: &'static str,
    /// *What it means*
    pub meaning: &'static str,
    /// *What usually causes it*
    pub causes: &'static str,
    /// *Example*: two rows
    pub example: &'static str,
    /// *Repair and its safety*
    pub repair: &'static str,
}

/// What sort of word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A kind of divergence.
    Kind,
    /// What set a divergence's severity, or why a value cannot be compared.
    Reason,
    /// How a contract or a run ended.
    Verdict,
    /// How bad a divergence is.
    Severity,
    /// What many divergences have in common.
    Cause,
    /// Who may do an action of the plan.
    Safety,
    /// What an action of the plan would do.
    Operation,
    /// What a person decided of a divergence.
    Decision,
    /// How it stands to the run before.
    Recurrence,
    /// How it stands to the old copy.
    Parity,
    /// Where a row that was read is booked.
    Account,
}

impl Group {
    /// Every group, in the order in which people meet them.
    pub const ALL: [Self; 11] = [
        Self::Kind,
        Self::Reason,
        Self::Verdict,
        Self::Severity,
        Self::Cause,
        Self::Safety,
        Self::Operation,
        Self::Decision,
        Self::Recurrence,
        Self::Parity,
        Self::Account,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Reason => "reason",
            Self::Verdict => "verdict",
            Self::Severity => "severity",
            Self::Cause => "cause",
            Self::Safety => "safety",
            Self::Operation => "operation",
            Self::Decision => "decision",
            Self::Recurrence => "recurrence",
            Self::Parity => "parity",
            Self::Account => "account",
        }
    }

    /// What heads a list of its words.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Kind => "Kinds of divergence",
            Self::Reason => "Reasons: what set a severity, or why a value is not known",
            Self::Verdict => "Verdicts of a contract and of a run",
            Self::Severity => "Severities, the worst first",
            Self::Cause => "Causes: what many divergences have in common",
            Self::Safety => "Safety of a repair: who may do it",
            Self::Operation => "Operations of a repair: what it would do",
            Self::Decision => "Decisions of people",
            Self::Recurrence => "How a divergence stands to the run before",
            Self::Parity => "How a divergence stands to the old copy",
            Self::Account => "Accounts: where the rows that were read are booked",
        }
    }

    /// Its words, in their order.
    pub fn words(self) -> impl Iterator<Item = Explanation> {
        all().filter(move |explanation| explanation.group == self)
    }
}

impl Explanation {
    /// The four sections with their headings, in reading order.
    #[must_use]
    pub fn sections(&self) -> [(&'static str, &'static str); 4] {
        [
            ("What it means", self.meaning),
            ("What usually causes it", self.causes),
            ("Example", self.example),
            ("Repair and its safety", self.repair),
        ]
    }

    /// For the terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.word, self.summary);
        for (heading, section) in self.sections() {
            text.push_str(&format!("\n{heading}\n\n{}\n", section.trim_matches('\n')));
        }
        text
    }

    /// The same as Markdown; what is indented is a code block there too.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("## `{}`\n\n{}\n", self.word, self.summary);
        for (heading, section) in self.sections() {
            text.push_str(&format!("\n### {heading}\n\n{}\n", section.trim_matches('\n')));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::classify::Reason;
    use crate::contract::Severity;
    use crate::normalise::FaultReason;

    #[test]
    fn every_explanation_is_complete() {
        for explanation in all() {
            let word = explanation.word;
            assert!(!explanation.summary.is_empty() && explanation.summary.len() <= 80, "{word}: summary");
            for (heading, section) in explanation.sections() {
                assert!(section.trim().len() > 60, "{word}: {heading} is empty or too short");
                for line in section.lines() {
                    assert!(line.chars().count() <= 88, "{word}: {heading}: too long: {line}");
                    assert_eq!(line, line.trim_end(), "{word}: {heading}: blanks at the end");
                }
            }
            let rows = explanation.example.lines().filter(|line| line.starts_with("    ")).count();
            assert!(rows >= 2, "{word}: the example has {rows} rows, expected two");
        }
    }

    #[test]
    fn every_word_is_explained_once() {
        let words: Vec<&str> = all().map(|explanation| explanation.word).collect();
        assert_eq!(words.len(), words.iter().collect::<BTreeSet<_>>().len());
        for word in words {
            assert_eq!(explain(word).map(|explanation| explanation.word), Some(word));
        }
    }

    #[test]
    fn every_kind_and_every_reason_as_a_report_writes_it_is_explained() {
        for kind in Kind::ALL {
            assert_eq!(explain(kind.name()).map(|explanation| explanation.group), Some(Group::Kind));
        }
        let reasons = [
            Reason::Rule(Arc::from("large-premium-gap")),
            Reason::Attribute(Arc::from("a:b")),
            Reason::Kind(Kind::InFlight),
            Reason::Default,
            Reason::DeletedInProjection,
            Reason::Settled,
            Reason::Unstable,
        ];
        for reason in reasons.into_iter().chain(FaultReason::ALL.map(Reason::Value)) {
            let word = reason.to_string();
            assert_eq!(explain(&word).map(|explanation| explanation.group), Some(Group::Reason), "{word}");
        }
    }

    #[test]
    fn every_cause_is_explained_in_its_order() {
        assert!(Group::Cause.words().map(|explanation| explanation.word).eq(crate::causes::NAMES));
        let severities = Group::Severity.words().map(|explanation| explanation.word);
        assert!(severities.eq(Severity::ALL.map(Severity::name)));
    }

    #[test]
    fn words_stand_group_by_group() {
        assert!(Group::ALL.into_iter().flat_map(Group::words).eq(all()));
    }

    #[test]
    fn words_are_found_however_they_are_written() {
        assert_eq!(explain("In-Flight").map(|explanation| explanation.word), Some("in_flight"));
        assert_eq!(explain("unheard"), None);
        assert_eq!(explain("weather:bad"), None);
    }

    #[test]
    fn every_default_severity_that_a_text_names_is_the_real_one() {
        for kind in Kind::ALL {
            let severity = kind.default_severity().name();
            let meaning = kinds::explanation(kind).meaning.replace('\n', " ");
            assert!(meaning.contains(&format!("severity is {severity}")), "{}: severity is {severity}", kind.name());
        }
    }
}
