//! The digest of a contract's meaning: BLAKE3 over a canonical text of all that changes what is compared or judged.
//!
//! Left out is what only people read (description, team, runbook, tags), when the job runs (cadence), and where the rows lie
//! (a run's manifest holds the digest of what was read). The text is one line an option, sorted where order means nothing,
//! and opens with its own version: whoever changes a line changes the version.

use std::fmt::{Display, Write};

use jiff::tz::TimeZone;

use super::tree::quoted;
use super::{
    Attribute, CapturedAt, Compare, Contract, Controls, CsvOptions, ExactDecimal, LogicalType, Options, Repair, Source,
    Tolerance, Trim, UnicodeForm,
};

mod ownership;

const HEADING: &str = "reconcile contract meaning 1";

/// The digest.
pub(super) fn digest(contract: &Contract) -> [u8; 32] {
    *blake3::hash(canonical_text(contract).as_bytes()).as_bytes()
}

/// Lines `option = value`.
struct Lines(String);

impl Lines {
    fn add(&mut self, option: impl Display, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{option} = {value}");
    }

    fn maybe(&mut self, option: impl Display, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(option, value);
        }
    }
}

fn canonical_text(contract: &Contract) -> String {
    let mut lines = Lines(format!("{HEADING}\n"));
    lines.add("name", quoted(&contract.name));
    lines.add("version", quoted(&contract.version.text));
    lines.add("key", list(&contract.key));
    lines.add("null_keys_match", contract.null_keys_match);
    lines.add("compare", if contract.compare == Compare::All { "all" } else { "declared" });
    lines.add("only", sorted_list(contract.only.iter().map(String::as_str)));
    lines.add("ignore", sorted_list(contract.ignore.iter().map(|entry| entry.written.as_str())));
    lines.maybe("where", contract.row_filter.as_deref().map(quoted));
    lines.maybe("window", contract.window.map(|span| span.0));
    if let Some(recheck) = contract.recheck {
        lines.add("recheck.after", recheck.after.0);
        lines.add("recheck.times", recheck.times);
    }
    lines.add("fail_on", contract.fail_on.name());
    lines.maybe("allow.keys", contract.allow.keys);
    lines.maybe("allow.ratio", contract.allow.ratio.map(decimal));
    for (severity, keys) in &contract.allow.severity {
        lines.add(format_args!("allow.severity.{}", severity.name()), keys);
    }
    for (kind, severity) in &contract.severity {
        lines.add(format_args!("severity.{}", kind.name()), severity.name());
    }
    for (kind, repair) in &contract.repair.kinds {
        lines.add(format_args!("repair.{}", kind.name()), repair_name(*repair));
    }
    lines.maybe("repair.max_actions", contract.repair.max_actions);
    lines.maybe("repair.max_ratio", contract.repair.max_ratio.map(decimal));
    options(&mut lines, "attribute_defaults", &contract.attribute_defaults);
    lines.maybe("numeric_tolerance", contract.numeric_tolerance.as_ref().map(tolerance));
    let mut attributes: Vec<&Attribute> = contract.attributes.iter().collect();
    attributes.sort_unstable_by_key(|attribute| &attribute.name);
    for declared in attributes {
        attribute(&mut lines, declared);
    }
    for (side, held) in contract.sources.iter() {
        source(&mut lines, side.name(), held);
    }
    ownership::crosswalk(&mut lines, contract);
    controls(&mut lines, &contract.controls);
    lines.0
}

fn controls(lines: &mut Lines, controls: &Controls) {
    // The order of rules is part of what they mean.
    for (place, rule) in controls.rules.iter().enumerate() {
        let severity = rule.severity.name();
        lines.add(
            format_args!("rule.{place}.{}", quoted(&rule.name)),
            format_args!("{severity} {}", quoted(rule.when.written())),
        );
    }
    for total in &controls.totals {
        let severity = total.severity.map_or("none", super::Severity::name);
        let (by, sum) = (list(&total.by), list(&total.sum));
        lines.add(format_args!("total.{}", quoted(&total.name)), format_args!("{severity} by {by} sum {sum}"));
    }
    for invariant in &controls.invariants {
        let (sides, severity) = (&invariant.sides, invariant.severity.name());
        let when = quoted(invariant.when.written());
        lines.add(format_args!("invariant.{}", quoted(&invariant.name)), format_args!("{sides:?} {severity} {when}"));
    }
    lines.maybe("value_at_risk", controls.value_at_risk.as_deref().map(quoted));
}

fn attribute(lines: &mut Lines, attribute: &Attribute) {
    let path = format!("attribute.{}", quoted(&attribute.name));
    lines.add(format_args!("{path}.column"), list(&attribute.column));
    lines.add(format_args!("{path}.projected_as"), list(&attribute.projected_as));
    ownership::origin(lines, &path, &attribute.origin);
    options(lines, &path, &attribute.options);
    lines.maybe(format_args!("{path}.severity"), attribute.severity.map(super::Severity::name));
    lines.maybe(format_args!("{path}.repair"), attribute.repair.map(repair_name));
}

fn options(lines: &mut Lines, path: &str, options: &Options) {
    let unicode = options.unicode.map(|form| match form {
        UnicodeForm::Nfc => "nfc",
        UnicodeForm::Nfd => "nfd",
        UnicodeForm::Nfkc => "nfkc",
        UnicodeForm::Nfkd => "nfkd",
    });
    lines.maybe(format_args!("{path}.unicode"), unicode);
    lines.add(format_args!("{path}.collapse_spaces"), options.collapse_spaces);
    let trim = options.trim.map(|trim| match trim {
        Trim::Left => "left",
        Trim::Right => "right",
        Trim::Both => "both",
    });
    lines.maybe(format_args!("{path}.trim"), trim);
    lines.add(format_args!("{path}.ignore_case"), options.ignore_case);
    lines.add(format_args!("{path}.null_equals"), sorted_list(options.null_equals.iter().map(String::as_str)));
    for (from, to) in options.translate.iter().flat_map(|map| map.iter()) {
        lines.add(format_args!("{path}.translate.{}", quoted(from)), quoted(to));
    }
    lines.maybe(format_args!("{path}.type"), options.logical_type.map(type_name));
    lines.maybe(format_args!("{path}.round"), options.round);
    lines.maybe(format_args!("{path}.tolerance"), options.tolerance.as_ref().map(tolerance));
    lines.maybe(format_args!("{path}.timezone"), options.timezone.as_ref().map(zone));
}

fn source(lines: &mut Lines, side: &str, source: &Source) {
    lines.add(side, quoted(&source.name));
    let text = |text: &Option<String>| text.as_deref().map(quoted);
    lines.maybe(format_args!("{side}.format"), source.format.map(|format| format!("{format:?}").to_lowercase()));
    lines.maybe(format_args!("{side}.filter"), text(&source.filter));
    lines.maybe(format_args!("{side}.version_column"), text(&source.version_column));
    lines.maybe(format_args!("{side}.updated_at"), text(&source.updated_at));
    lines.maybe(format_args!("{side}.deleted"), text(&source.deleted));
    match source.database().map(|database| &database.rows) {
        Some(super::Rows::Table(table)) => lines.add(format_args!("{side}.table"), quoted(table)),
        Some(super::Rows::Query(query)) => lines.add(format_args!("{side}.query"), quoted(query)),
        None => {}
    }
    let captured_at = match &source.captured_at {
        CapturedAt::SourceTells => "source".to_owned(),
        // The instant itself is new with every snapshot, and is in the manifest.
        CapturedAt::At(_) => "instant".to_owned(),
        CapturedAt::Column(column) => format!("column {}", quoted(column)),
        CapturedAt::FileModified => "file".to_owned(),
    };
    lines.add(format_args!("{side}.captured_at"), captured_at);
    lines.maybe(format_args!("{side}.max_age"), source.max_age.map(|span| span.0));
    lines.maybe(format_args!("{side}.timezone"), source.timezone.as_ref().map(zone));
    csv(lines, side, &source.csv);
}

fn csv(lines: &mut Lines, side: &str, csv: &CsvOptions) {
    lines.maybe(format_args!("{side}.csv.delimiter"), csv.delimiter);
    lines.add(format_args!("{side}.csv.header"), csv.header);
    let null = csv.null.as_ref().map(|texts| sorted_list(texts.iter().map(String::as_str)));
    lines.maybe(format_args!("{side}.csv.null"), null);
    lines.add(format_args!("{side}.csv.encoding"), csv.encoding.name());
    lines.add(format_args!("{side}.csv.decimal"), quoted(&csv.decimal.to_string()));
    lines.maybe(format_args!("{side}.csv.date_format"), csv.date_format.as_deref().map(quoted));
    lines.maybe(format_args!("{side}.csv.timestamp_format"), csv.timestamp_format.as_deref().map(quoted));
    lines.add(format_args!("{side}.csv.true"), sorted_list(csv.true_texts.iter().map(String::as_str)));
    lines.add(format_args!("{side}.csv.false"), sorted_list(csv.false_texts.iter().map(String::as_str)));
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(","))
}

fn sorted_list<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let mut texts: Vec<String> = texts.map(quoted).collect();
    texts.sort_unstable();
    texts.dedup();
    format!("[{}]", texts.join(","))
}

fn decimal(number: ExactDecimal) -> String {
    format!("{}e{}", number.coefficient, number.exponent)
}

fn tolerance(tolerance: &Tolerance) -> String {
    match tolerance {
        Tolerance::Absolute(number) => format!("absolute {}", decimal(*number)),
        Tolerance::Relative(number) => format!("relative {}", decimal(*number)),
        Tolerance::Time(span) => format!("time {}", span.0),
    }
}

fn repair_name(repair: Repair) -> &'static str {
    match repair {
        Repair::Auto => "auto",
        Repair::Review => "review",
        Repair::Replay => "replay",
        Repair::Ignore => "ignore",
    }
}

fn type_name(logical_type: LogicalType) -> String {
    if let LogicalType::Decimal(Some((precision, scale))) = logical_type {
        return format!("decimal({precision},{scale})");
    }
    let name = super::values::TYPES.iter().find(|(_, held)| *held == logical_type).map(|(name, _)| *name);
    name.unwrap_or_default().to_owned()
}

fn zone(zone: &TimeZone) -> String {
    match (zone.iana_name(), zone.to_fixed_offset()) {
        (Some(name), _) => quoted(name),
        (None, Ok(offset)) => format!("offset {}", offset.seconds()),
        (None, Err(_)) => "unknown".to_owned(),
    }
}
