//! What people are told of a run by a webhook: as JSON of our own, or as a message for Slack. It holds names, verdicts and
//! counts, and never a key, a value, a location or an error's text.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::escape::{counted, visible};
use crate::audit::{Audit, ContractAudit, Verdict};
use crate::contract::{Kind, NoticeOf};

/// How many contracts a message for people names.
const NAMED: usize = 20;

/// One notice.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// The run.
    pub audit: &'a Audit,
    /// The verdict of each contract in the run before it.
    pub before: &'a BTreeMap<String, String>,
}

impl Notice<'_> {
    /// What happened, the worst first: a verdict of the run, and `recovered` where a contract agrees again that did not in
    /// the run before. A run that `--where` narrowed shows no recovery.
    #[must_use]
    pub fn of(&self) -> Vec<NoticeOf> {
        let mut happened = vec![match self.audit.verdict() {
            Verdict::Agreed => NoticeOf::Agreed,
            Verdict::Drifted => NoticeOf::Drifted,
            Verdict::Unverified => NoticeOf::Unverified,
        }];
        // The worst verdict hides no other.
        if self.audit.verdict() == Verdict::Unverified && self.any(Verdict::Drifted) {
            happened.push(NoticeOf::Drifted);
        }
        if !self.recovered().is_empty() {
            happened.push(NoticeOf::Recovered);
        }
        happened
    }

    fn any(&self, verdict: Verdict) -> bool {
        self.audit.contracts.iter().any(|contract| contract.verdict == verdict)
    }

    /// The contracts that agree again.
    #[must_use]
    pub fn recovered(&self) -> Vec<&str> {
        if self.audit.narrowed().is_some() {
            return Vec::new();
        }
        let was_off = |name: &String| self.before.get(name).is_some_and(|verdict| verdict != Verdict::Agreed.name());
        let again = self.audit.contracts.iter().filter(|contract| contract.verdict == Verdict::Agreed);
        again.map(|contract| &contract.name).filter(|name| was_off(name)).map(String::as_str).collect()
    }

    /// As JSON of our own; `docs/schemas/notice.schema.json` describes it.
    #[must_use]
    pub fn json(&self) -> Value {
        let audit = self.audit;
        let contract = |contract: &ContractAudit| {
            json!({
                "name": contract.name,
                "version": contract.version,
                "verdict": contract.verdict.name(),
                "before": self.before.get(&contract.name),
                "because": contract.because,
                "team": contract.team,
                "runbook": contract.runbook,
                "coverage": contract.coverage,
                "divergences": counts(contract),
                "severities": contract.severities.iter().map(|(severity, lines)| (severity.name().to_owned(), json!(lines)))
                    .collect::<serde_json::Map<_, _>>(),
            })
        };
        let mut notice = json!({
            "format_version": 1,
            "events": self.of().iter().map(|event| event.name()).collect::<Vec<_>>(),
            "run_id": audit.run_id,
            "verdict": audit.verdict().name(),
            "started_at": audit.started_at.to_string(),
            "elapsed_ms": audit.elapsed_ms,
            "command": audit.command,
            "tool_version": env!("CARGO_PKG_VERSION"),
            "recovered": self.recovered(),
            "contracts": audit.contracts.iter().map(contract).collect::<Vec<_>>(),
        });
        if audit.narrowed().is_some() {
            notice["narrowed"] = json!(true);
        }
        notice
    }

    /// As a message that Slack and what is like it take.
    #[must_use]
    pub fn slack(&self) -> Value {
        let audit = self.audit;
        let total = audit.contracts.len() as u64;
        let part = if audit.narrowed().is_some() { ", only keys that satisfy --where" } else { "" };
        let heading = format!("reconcile: {}, {}{part}", audit.verdict().name(), counted(total, "contract"));
        let mut lines = vec![format!("*{heading}*")];
        let mut worst: Vec<&ContractAudit> =
            audit.contracts.iter().filter(|contract| contract.verdict != Verdict::Agreed).collect();
        worst.sort_by_key(|contract| std::cmp::Reverse(contract.verdict));
        lines.extend(worst.iter().take(NAMED).map(|contract| line(contract)));
        if worst.len() > NAMED {
            lines.push(format!("… and {} more", worst.len() - NAMED));
        }
        let recovered = self.recovered();
        if !recovered.is_empty() {
            let named: Vec<String> = recovered.iter().take(NAMED).map(|name| plain(name)).collect();
            let more = recovered.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            lines.push(format!("agree again: {}{more}", named.join(", ")));
        }
        lines.push(format!("run `{}`", plain(&audit.run_id)));
        // A section holds at most 3,000 characters.
        let sections = lines.iter().map(|line| {
            let line: String = line.chars().take(2_900).collect();
            json!({"type": "section", "text": {"type": "mrkdwn", "text": line}})
        });
        json!({"text": heading, "blocks": sections.collect::<Vec<_>>()})
    }
}

fn line(contract: &ContractAudit) -> String {
    let mut line = format!("*{}* {}: {}", plain(&contract.name), contract.verdict.name(), plain(&contract.because));
    let found: Vec<String> = counts(contract).iter().map(|(kind, keys)| format!("{kind} {keys}")).collect();
    if !found.is_empty() {
        line.push_str(&format!(" ({})", found.join(", ")));
    }
    for (label, text) in [("team", &contract.team), ("runbook", &contract.runbook)] {
        if let Some(text) = text {
            line.push_str(&format!("\n{label}: {}", plain(text)));
        }
    }
    line
}

/// Keys by kind, without zeros.
fn counts(contract: &ContractAudit) -> serde_json::Map<String, Value> {
    let found = Kind::ALL.into_iter().filter_map(|kind| {
        let keys = contract.keys.get(&kind).copied().filter(|keys| *keys > 0)?;
        Some((kind.name().to_owned(), json!(keys)))
    });
    found.collect()
}

/// A text in which nothing is markup, a mention or a link with another text.
fn plain(text: &str) -> String {
    visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(['*', '`', '~'], "·")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn before(verdicts: &[(&str, &str)]) -> BTreeMap<String, String> {
        verdicts.iter().map(|(name, verdict)| ((*name).to_owned(), (*verdict).to_owned())).collect()
    }

    #[test]
    fn a_contract_that_agrees_again_recovered_and_one_that_always_did_not() {
        let mut audit = sample::small("20260301T020000Z-0001");
        for (then, recovered) in [("drifted", true), ("unverified", true), ("agreed", false)] {
            let before = before(&[("billing-view", then)]);
            let notice = Notice { audit: &audit, before: &before };
            assert_eq!(notice.of().contains(&NoticeOf::Recovered), recovered, "{then}");
        }
        assert_eq!(Notice { audit: &audit, before: &BTreeMap::new() }.of(), [NoticeOf::Agreed], "its first run");
        audit.settings.insert("where".to_owned(), "id = 1".to_owned());
        let before = before(&[("billing-view", "drifted")]);
        assert_eq!(Notice { audit: &audit, before: &before }.of(), [NoticeOf::Agreed], "a narrowed run");
    }

    #[test]
    fn the_worst_verdict_hides_no_drift() {
        let audit = sample::audit();
        let notice = Notice { audit: &audit, before: &BTreeMap::new() };
        assert_eq!(notice.of(), [NoticeOf::Unverified, NoticeOf::Drifted]);
    }

    #[test]
    fn a_notice_holds_no_key_no_value_no_location_and_no_error() {
        let audit = sample::audit();
        let notice = Notice { audit: &audit, before: &BTreeMap::new() };
        let texts = [notice.json().to_string(), notice.slack().to_string()];
        for contract in &audit.contracts {
            let mut hidden: Vec<String> = contract.error.clone().into_iter().collect();
            hidden.extend(contract.inputs.iter().map(|(_, input)| input.location.clone()));
            for example in &contract.examples {
                hidden.extend(
                    example
                        .key
                        .iter()
                        .chain(example.values.iter().filter_map(|(_, value)| value.as_ref()))
                        .map(ToString::to_string),
                );
            }
            for hidden in hidden.iter().filter(|hidden| hidden.len() > 2) {
                assert!(texts.iter().all(|text| !text.contains(hidden.as_str())), "{hidden}");
            }
        }
        assert!(texts[0].contains("3 keys at or above `high`"), "{}", texts[0]);
    }

    #[test]
    fn a_message_for_slack_mentions_nobody_and_has_an_end() {
        let mut audit = sample::audit();
        audit.contracts[1].name = "<!channel> *x*".to_owned();
        let many = (0..60).map(|_| audit.contracts[1].clone());
        audit.contracts.extend(many.collect::<Vec<_>>());
        let message = Notice { audit: &audit, before: &BTreeMap::new() }.slack();
        assert!(!message.to_string().contains("<!"), "{message}");
        assert!(message["blocks"].as_array().is_some_and(|blocks| blocks.len() <= 50), "Slack takes 50 blocks");
        assert!(message.to_string().contains("and 42 more"), "{message}");
    }
}
