//! `metrics.prom`: the run's figures in the Prometheus text format, version 0.0.4, for a textfile collector. It holds only
//! what the audit holds: no histories, no clock.

use std::io::{self, Write};

use crate::audit::lag::{Lag, Spread};
use crate::audit::{Audit, ContractAudit, Measured, OwnerFacts, Verdict};
use crate::contract::{Kind, Severity};

mod baseline;
mod batch;
mod cadence;
mod causes;
mod figures;
mod measured;

pub use batch::of_batch;
pub use cadence::Cadence;

/// What the metrics are made of.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// The run.
    pub audit: &'a Audit,
    /// How each contract of the file stands to its cadence.
    pub cadences: &'a [Cadence<'a>],
    /// What was measured of the run.
    pub measured: &'a Measured,
}

/// Writes all of it.
///
/// # Errors
/// What kept it from being written.
pub fn render(whole: &Whole<'_>, out: &mut dyn Write) -> io::Result<()> {
    gathered(whole).iter().try_for_each(|metric| write_metric(metric, out))
}

/// Every metric; one without samples is not written.
pub(super) fn gathered<'a>(whole: &Whole<'a>) -> Vec<Metric<'a>> {
    let audit = whole.audit;
    let mut metrics = run_metrics(audit);
    metrics.extend(contract_metrics(audit));
    metrics.extend(further_metrics(audit));
    metrics.extend(figures::metrics(audit));
    metrics.extend([baseline::metric(audit), causes::metric(audit)]);
    metrics.extend(measured::metrics(audit, whole.measured));
    metrics.extend(cadence::metrics(whole.cadences));
    metrics
}

fn write_metric(metric: &Metric<'_>, out: &mut dyn Write) -> io::Result<()> {
    if metric.samples.is_empty() {
        return Ok(());
    }
    writeln!(out, "# HELP {} {}", metric.name, metric.help)?;
    writeln!(out, "# TYPE {} gauge", metric.name)?;
    for (labels, value) in &metric.samples {
        let labels: Vec<_> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(out, "{}{labels} {value}", metric.name)?;
    }
    Ok(())
}

/// One metric, a gauge.
pub(super) struct Metric<'a> {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: Vec<Sample<'a>>,
}

/// Labels and a number.
pub(super) type Sample<'a> = (Vec<(&'static str, &'a str)>, String);

fn run_metrics(audit: &Audit) -> Vec<Metric<'_>> {
    let metric = |name, help, value: String| Metric { name, help, samples: vec![(vec![], value)] };
    let labels = vec![
        ("run_id", audit.run_id.as_str()),
        ("command", audit.command.as_str()),
        ("tool_version", env!("CARGO_PKG_VERSION")),
    ];
    // What the predicate says may hold values, so only that there is one is told.
    let narrowed = audit.narrowed().map(|_| (vec![], "1".to_owned()));
    vec![
        Metric {
            name: "reconcile_run_info",
            help: "The run that these figures are of; always 1.",
            samples: vec![(labels, "1".to_owned())],
        },
        Metric {
            name: "reconcile_run_narrowed",
            help: "The run compared only keys that satisfy a predicate; always 1.",
            samples: narrowed.into_iter().collect(),
        },
        metric(
            "reconcile_run_verdict",
            "The worst verdict of the run: 0 agreed, 1 drifted, 2 unverified.",
            rank(audit.verdict()).to_string(),
        ),
        metric(
            "reconcile_run_start_timestamp_seconds",
            "When the run began, in seconds since 1970.",
            seconds(audit.started_at.as_millisecond()),
        ),
        metric(
            "reconcile_run_duration_seconds",
            "How long the run took.",
            seconds(i64::try_from(audit.elapsed_ms).unwrap_or(i64::MAX)),
        ),
    ]
}

fn contract_metrics<'a>(audit: &'a Audit) -> Vec<Metric<'a>> {
    vec![
        each(audit, "reconcile_contract_verdict", "Verdict: 0 agreed, 1 drifted, 2 unverified.", |contract| {
            vec![(vec![("version", contract.version.as_str())], rank(contract.verdict).to_string())]
        }),
        each(audit, "reconcile_coverage_ratio", "Rows compared over rows in scope.", |contract| {
            vec![(vec![], contract.coverage.to_string())]
        }),
        each(audit, "reconcile_rows", "Rows read, by side.", |contract| {
            contract.books.iter().map(|(side, books)| (vec![("side", side.name())], books.read.to_string())).collect()
        }),
        each(audit, "reconcile_rows_agreed", "Rows in pairs that agree.", |contract| {
            vec![(vec![], contract.books.authority.agree.to_string())]
        }),
        each(audit, "reconcile_divergences", "Diverging keys, by kind.", |contract| {
            let keys = |kind| contract.keys.get(&kind).copied().unwrap_or(0).to_string();
            Kind::ALL.into_iter().map(|kind| (vec![("kind", kind.name())], keys(kind))).collect()
        }),
        each(audit, "reconcile_divergence_lines", "Lines of divergences.parquet, by severity.", |contract| {
            let lines = |severity| contract.severities.get(&severity).copied().unwrap_or(0).to_string();
            Severity::ALL.into_iter().map(|severity| (vec![("severity", severity.name())], lines(severity))).collect()
        }),
        each(audit, "reconcile_attribute_mismatches", "Mismatches, by attribute.", |contract| {
            let sample =
                |(name, mismatches): &'a (String, u64)| (vec![("attribute", name.as_str())], mismatches.to_string());
            contract.attributes.iter().map(sample).collect()
        }),
        each(audit, "reconcile_plan_actions", "Repair actions, by safety.", |contract| {
            let plan = contract.plan;
            [("safe", plan.safe), ("review", plan.review), ("manual", plan.manual)]
                .map(|(safety, actions)| (vec![("safety", safety)], actions.to_string()))
                .to_vec()
        }),
        each(
            audit,
            "reconcile_captured_timestamp_seconds",
            "The instant that a side speaks for, where it tells one, in seconds since 1970.",
            |contract| {
                let sample = |(side, instant): (crate::sides::Side, jiff::Timestamp)| {
                    (vec![("side", side.name())], seconds(instant.as_millisecond()))
                };
                let told = contract.inputs.iter().filter_map(|(side, input)| Some((side, input.captured_at?)));
                told.map(sample).collect()
            },
        ),
    ]
}

/// What only some contracts ask for.
fn further_metrics(audit: &Audit) -> Vec<Metric<'_>> {
    vec![
        each(audit, "reconcile_decided_divergences", "Divergences that people decided, by decision.", |contract| {
            let mut of = std::collections::BTreeMap::<_, u64>::new();
            for (group, divergences) in &contract.decided.groups {
                *of.entry(group.choice.name()).or_default() += divergences;
            }
            of.into_iter().map(|(name, count)| (vec![("decision", name)], count.to_string())).collect()
        }),
        each(audit, "reconcile_owner_rows", "Rows of sources besides the two sides, by account.", |contract| {
            contract.owners.iter().flat_map(owner_samples).collect()
        }),
        each(
            audit,
            "reconcile_lag_keys",
            "Keys that lie behind, within and beyond the contract's window.",
            |contract| {
                let keys = |lag: &Lag| [("within", lag.within), ("beyond", lag.beyond)];
                let keys = contract.lag.iter().flat_map(keys);
                keys.map(|(window, keys)| (vec![("window", window)], keys.to_string())).collect()
            },
        ),
        each(audit, "reconcile_lag_seconds", "How many seconds keys lie behind, by percentile.", |contract| {
            percentiles(contract.lag.as_ref().and_then(|lag| lag.seconds))
        }),
        each(audit, "reconcile_lag_versions", "How many versions keys lie behind, by percentile.", |contract| {
            percentiles(contract.lag.as_ref().and_then(|lag| lag.versions))
        }),
        each(audit, "reconcile_recurrence", "Divergences by how they stand to the run before.", |contract| {
            let counts = contract
                .recurrence
                .as_ref()
                .map(|known| [("new", known.new), ("recurring", known.recurring), ("resolved", known.resolved)]);
            let sample = |(status, count): (&'static str, u64)| (vec![("status", status)], count.to_string());
            counts.into_iter().flatten().map(sample).collect()
        }),
    ]
}

fn owner_samples(owner: &OwnerFacts) -> Vec<Sample<'_>> {
    let labels =
        |account| vec![("source", owner.input.source.as_str()), ("role", owner.role.name()), ("account", account)];
    owner.books.accounts().map(|(account, rows)| (labels(account), rows.to_string())).into()
}

fn percentiles<'a>(spread: Option<Spread>) -> Vec<Sample<'a>> {
    let Some(spread) = spread else { return Vec::new() };
    [("0", spread.min), ("50", spread.median), ("95", spread.p95), ("99", spread.p99), ("100", spread.max)]
        .map(|(percentile, value)| (vec![("percentile", percentile)], value.to_string()))
        .to_vec()
}

/// One metric of every contract, each sample led by the contract's name.
fn each<'a>(
    audit: &'a Audit,
    name: &'static str,
    help: &'static str,
    samples: impl Fn(&'a ContractAudit) -> Vec<Sample<'a>>,
) -> Metric<'a> {
    let samples = audit
        .contracts
        .iter()
        .flat_map(|contract| {
            samples(contract).into_iter().map(|(mut labels, value)| {
                labels.insert(0, ("contract", contract.name.as_str()));
                (labels, value)
            })
        })
        .collect();
    Metric { name, help, samples }
}

fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Agreed => 0,
        Verdict::Drifted => 1,
        Verdict::Unverified => 2,
    }
}

/// Milliseconds as seconds, exactly.
fn seconds(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let magnitude = milliseconds.unsigned_abs();
    format!("{sign}{}.{:03}", magnitude / 1000, magnitude % 1000)
}

/// A label's value: backslash, quote and newline are all that the format escapes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn rendered(audit: &Audit) -> String {
        let mut out = Vec::new();
        let whole = Whole { audit, cadences: &[], measured: &Measured::default() };
        render(&whole, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_metrics_of_one_small_run() {
        insta::assert_snapshot!(rendered(&sample::small("20260301T020000Z-0001")), @r#"
        # HELP reconcile_run_info The run that these figures are of; always 1.
        # TYPE reconcile_run_info gauge
        reconcile_run_info{run_id="20260301T020000Z-0001",command="run",tool_version="0.1.0"} 1
        # HELP reconcile_run_verdict The worst verdict of the run: 0 agreed, 1 drifted, 2 unverified.
        # TYPE reconcile_run_verdict gauge
        reconcile_run_verdict 0
        # HELP reconcile_run_start_timestamp_seconds When the run began, in seconds since 1970.
        # TYPE reconcile_run_start_timestamp_seconds gauge
        reconcile_run_start_timestamp_seconds 1772330400.123
        # HELP reconcile_run_duration_seconds How long the run took.
        # TYPE reconcile_run_duration_seconds gauge
        reconcile_run_duration_seconds 1.250
        # HELP reconcile_contract_verdict Verdict: 0 agreed, 1 drifted, 2 unverified.
        # TYPE reconcile_contract_verdict gauge
        reconcile_contract_verdict{contract="billing-view",version="1.0.0"} 0
        # HELP reconcile_coverage_ratio Rows compared over rows in scope.
        # TYPE reconcile_coverage_ratio gauge
        reconcile_coverage_ratio{contract="billing-view"} 1
        # HELP reconcile_rows Rows read, by side.
        # TYPE reconcile_rows gauge
        reconcile_rows{contract="billing-view",side="authority"} 3001
        reconcile_rows{contract="billing-view",side="projection"} 3000
        # HELP reconcile_rows_agreed Rows in pairs that agree.
        # TYPE reconcile_rows_agreed gauge
        reconcile_rows_agreed{contract="billing-view"} 3000
        # HELP reconcile_divergences Diverging keys, by kind.
        # TYPE reconcile_divergences gauge
        reconcile_divergences{contract="billing-view",kind="missing"} 1
        reconcile_divergences{contract="billing-view",kind="orphan"} 0
        reconcile_divergences{contract="billing-view",kind="mismatch"} 0
        reconcile_divergences{contract="billing-view",kind="stale"} 0
        reconcile_divergences{contract="billing-view",kind="ahead"} 0
        reconcile_divergences{contract="billing-view",kind="in_flight"} 0
        reconcile_divergences{contract="billing-view",kind="resurrected"} 0
        reconcile_divergences{contract="billing-view",kind="duplicate_key"} 0
        reconcile_divergences{contract="billing-view",kind="null_key"} 0
        reconcile_divergences{contract="billing-view",kind="schema"} 0
        reconcile_divergences{contract="billing-view",kind="unreadable"} 0
        # HELP reconcile_divergence_lines Lines of divergences.parquet, by severity.
        # TYPE reconcile_divergence_lines gauge
        reconcile_divergence_lines{contract="billing-view",severity="critical"} 0
        reconcile_divergence_lines{contract="billing-view",severity="high"} 0
        reconcile_divergence_lines{contract="billing-view",severity="medium"} 0
        reconcile_divergence_lines{contract="billing-view",severity="low"} 1
        reconcile_divergence_lines{contract="billing-view",severity="info"} 0
        # HELP reconcile_attribute_mismatches Mismatches, by attribute.
        # TYPE reconcile_attribute_mismatches gauge
        reconcile_attribute_mismatches{contract="billing-view",attribute="amount"} 0
        # HELP reconcile_plan_actions Repair actions, by safety.
        # TYPE reconcile_plan_actions gauge
        reconcile_plan_actions{contract="billing-view",safety="safe"} 0
        reconcile_plan_actions{contract="billing-view",safety="review"} 0
        reconcile_plan_actions{contract="billing-view",safety="manual"} 0
        # HELP reconcile_build_info The version of reconcile; always 1.
        # TYPE reconcile_build_info gauge
        reconcile_build_info{version="0.1.0"} 1
        # HELP reconcile_divergence_ratio Diverging keys, without those in flight, over the authority's rows.
        # TYPE reconcile_divergence_ratio gauge
        reconcile_divergence_ratio{contract="billing-view"} 0.0003332222592469177
        "#);
    }

    #[test]
    fn every_line_follows_the_exposition_format_and_each_sample_is_said_once() {
        let mut audit = sample::audit();
        audit.contracts[1].attributes.push(("a \"quoted\" \\ \n name".to_owned(), 3));
        let metrics = rendered(&audit);
        let sample = regex::Regex::new(
            r#"^[a-z_]+(\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\})? -?[0-9.]+$"#,
        )
        .expect("a valid pattern");
        let mut seen = std::collections::BTreeSet::new();
        let mut declared = "";
        for line in metrics.lines() {
            if let Some(declaration) = line.strip_prefix("# TYPE ") {
                declared = declaration.split(' ').next().unwrap_or_default();
            }
            if line.starts_with('#') {
                continue;
            }
            assert!(sample.is_match(line), "{line}");
            assert!(line.starts_with(declared), "{line} under {declared}");
            assert!(seen.insert(line.rsplit_once(' ').map(|(series, _)| series)), "{line} twice");
        }
        assert!(metrics.contains(
            r#"reconcile_attribute_mismatches{contract="crm-policy-view",attribute="a \"quoted\" \\ \n name"} 3"#
        ));
        assert!(metrics.contains("reconcile_run_duration_seconds 1.250\n"));
        assert!(metrics.ends_with('\n'));
    }
}
