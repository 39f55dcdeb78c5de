//! `summary.json`, what `--format json` prints, and the lines of `--format ndjson`. The structs of this file are the wire
//! format (docs/formats.md describes it); they never leave it, so the inside can be renamed freely.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::causes::CauseRecord;
use super::decided::DecidedRecord;
use super::escape::hides;
use crate::audit::{Audit, Books, ContractAudit, InputFacts, PlanCounts, TakenOver};
use crate::classify::Divergence;
use crate::contract::{Kind, Severity};
use crate::sides::{Side, Sides};

mod baseline;
mod figures;
mod lag;
mod over_time;
mod owners;

use super::checksums::ChecksumsRecord;
use super::recheck::SecondLookRecord;
use super::segments::{ResumedRecord, SegmentsRecord};
use baseline::BaselineSummary;
pub(crate) use baseline::ThreeWayRecord;
pub(crate) use figures::FiguresRecord;
pub(crate) use lag::LagRecord;
use over_time::RecurrenceSummary;
pub(crate) use owners::OwnerBooksRecord;
use owners::OwnerSummary;

/// Grows with each change of the format that a reader must know of.
pub const FORMAT_VERSION: u32 = 1;

/// Writes `summary.json`: one JSON document, indented, with a newline at its end.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(&Summary::of(audit))?;
    text.push(b'\n');
    out.write_all(&text)
}

/// `summary.json` as a value.
///
/// # Panics
/// Never: it has only text keys, so it is always JSON.
#[must_use]
pub fn summary(audit: &Audit) -> Value {
    serde_json::to_value(Summary::of(audit)).expect("the summary has only text keys, so it is always JSON")
}

/// The last line of `--format ndjson`: `summary.json` on one line, without the newline.
///
/// # Panics
/// Never: it has only text keys, so it is always JSON.
#[must_use]
pub fn summary_line(audit: &Audit) -> String {
    harmless(&serde_json::to_string(&Summary::of(audit)).expect("the summary has only text keys, so it is always JSON"))
}

/// One divergence as a line of `--format ndjson`, without the newline: the columns of `divergences.parquet`, with the key
/// as an object.
///
/// # Panics
/// Never: it has only text keys, so it is always JSON.
#[must_use]
pub fn divergence_line(contract: &str, divergence: &Divergence) -> String {
    // A key is canonical JSON by its type's promise. Were it not, it would still be shown, as a text.
    let key: Option<Box<RawValue>> = divergence.key.as_deref().map(|key| {
        serde_json::from_str(key)
            .unwrap_or_else(|_| serde_json::value::to_raw_value(key).expect("a text is always JSON"))
    });
    let line = DivergenceLine {
        record: "divergence",
        contract,
        kind: divergence.kind.name(),
        severity: divergence.severity.name(),
        reason: divergence.reason.to_string(),
        key,
        attribute: divergence.attribute.as_deref(),
        authority_value: divergence.values.authority.as_deref(),
        projection_value: divergence.values.projection.as_deref(),
        authority_source: &divergence.authority_source,
        cause: divergence.cause,
        fingerprint: hex(&divergence.fingerprint),
    };
    harmless(&serde_json::to_string(&line).expect("a line has only text keys, so it is always JSON"))
}

/// The same JSON, in which no character can control or deceive a terminal: outside of its texts JSON holds none of them,
/// and within them an escape is the same character.
fn harmless(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if hides(character) {
            let mut units = [0; 2];
            shown.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Bytes as lowercase hex.
pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}

#[derive(Serialize)]
struct DivergenceLine<'a> {
    record: &'static str,
    contract: &'a str,
    kind: &'static str,
    severity: &'static str,
    reason: String,
    key: Option<Box<RawValue>>,
    attribute: Option<&'a str>,
    authority_value: Option<&'a str>,
    projection_value: Option<&'a str>,
    authority_source: &'a str,
    cause: Option<&'a str>,
    fingerprint: String,
}

/// The fields up to `contracts` are the agreed ones; those after it are more.
#[derive(Serialize)]
struct Summary<'a> {
    format_version: u32,
    run_id: &'a str,
    verdict: &'static str,
    started_at: String,
    elapsed_ms: u64,
    contracts: Vec<ContractSummary<'a>>,
    command: &'a str,
    tool_version: &'static str,
    warnings: &'a [String],
    interrupted: Option<i32>,
    /// Only of a run that goes on from another.
    #[serde(skip_serializing_if = "Option::is_none")]
    resumed: Option<ResumedRecord>,
    /// Only where it left out a part of the keys.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    narrowed: Option<&'a str>,
}

impl<'a> Summary<'a> {
    fn of(audit: &'a Audit) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            run_id: &audit.run_id,
            verdict: audit.verdict().name(),
            started_at: audit.started_at.to_string(),
            elapsed_ms: audit.elapsed_ms,
            contracts: audit.contracts.iter().map(ContractSummary::of).collect(),
            command: &audit.command,
            tool_version: env!("CARGO_PKG_VERSION"),
            warnings: &audit.warnings,
            interrupted: audit.interrupted,
            resumed: audit.resumed.as_ref().map(ResumedRecord::of),
            narrowed: audit.narrowed(),
        }
    }
}

/// The fields up to `error` are the agreed ones; those after it are more.
#[derive(Serialize)]
struct ContractSummary<'a> {
    name: &'a str,
    version: &'a str,
    verdict: &'static str,
    coverage: f64,
    rows: Rows,
    divergences: Map<String, Value>,
    severities: Map<String, Value>,
    attributes: Map<String, Value>,
    causes: Vec<CauseRecord>,
    plan: PlanRecord,
    warnings: &'a [String],
    error: Option<&'a str>,
    because: &'a str,
    team: Option<&'a str>,
    runbook: Option<&'a str>,
    key: &'a [String],
    keys_by_severity: Map<String, Value>,
    books: SidesRecord<BooksRecord>,
    captured_at: SidesRecord<Option<String>>,
    plan_truncated: bool,
    /// Only where a column was.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<SidesRecord<Vec<String>>>,
    /// Only what the contract asks for.
    #[serde(flatten)]
    figures: FiguresRecord,
    /// Only where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_over: Option<SidesRecord<TakenOverRecord>>,
    /// Only where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<DecidedRecord>,
    /// Only where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owners: Vec<OwnerSummary<'a>>,
    /// Only where markers or a window are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<LagRecord>,
    /// Only where there is a run to be held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    recurrence: Option<RecurrenceSummary<'a>>,
    /// Only where the contract has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<BaselineSummary<'a>>,
    /// Only where a database serves a side and may compute checksums.
    #[serde(skip_serializing_if = "Option::is_none")]
    checksums: Option<ChecksumsRecord>,
    /// Only where the contract asks for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_look: Option<SecondLookRecord>,
    /// Only where something is kept of another run, or for another run.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<SegmentsRecord>,
}

impl<'a> ContractSummary<'a> {
    fn of(contract: &'a ContractAudit) -> Self {
        Self {
            name: &contract.name,
            version: &contract.version,
            verdict: contract.verdict.name(),
            coverage: contract.coverage,
            rows: Rows::of(&contract.books),
            divergences: by_kind(&contract.keys),
            severities: by_severity(&contract.severities),
            attributes: contract
                .attributes
                .iter()
                .map(|(name, mismatches)| (name.clone(), serde_json::json!({ "mismatches": mismatches })))
                .collect(),
            causes: contract.causes.iter().map(CauseRecord::of).collect(),
            plan: PlanRecord::of(contract.plan),
            warnings: &contract.warnings,
            error: contract.error.as_deref(),
            because: &contract.because,
            team: contract.team.as_deref(),
            runbook: contract.runbook.as_deref(),
            key: &contract.key,
            keys_by_severity: by_severity(&contract.keys_by_severity),
            books: SidesRecord::of(&contract.books, BooksRecord::of),
            captured_at: SidesRecord::of(&contract.inputs, captured_at),
            plan_truncated: contract.plan_truncated,
            left_out: contract
                .inputs
                .iter()
                .any(|(_, input)| !input.left_out.is_empty())
                .then(|| SidesRecord::of(&contract.inputs, |input| input.left_out.clone())),
            figures: FiguresRecord::of(&contract.figures),
            taken_over: contract
                .inputs
                .iter()
                .any(|(_, input)| input.taken_over.any())
                .then(|| SidesRecord::of(&contract.inputs, |input| TakenOverRecord::of(input.taken_over))),
            decided: DecidedRecord::of(&contract.decided),
            owners: contract.owners.iter().map(OwnerSummary::of).collect(),
            lag: contract.lag.as_ref().map(LagRecord::of),
            recurrence: contract.recurrence.as_ref().map(RecurrenceSummary::of),
            baseline: contract.baseline.as_ref().map(BaselineSummary::of),
            checksums: contract.checksums.as_ref().map(ChecksumsRecord::of),
            second_look: contract.second_look.as_ref().map(SecondLookRecord::of),
            segments: contract.segments.as_ref().map(SegmentsRecord::of),
        }
    }
}

fn captured_at(input: &InputFacts) -> Option<String> {
    input.captured_at.map(|instant| instant.to_string())
}

#[derive(Serialize)]
struct Rows {
    authority: u64,
    projection: u64,
    /// Rows in pairs, whether they agree or differ; the same number on both sides.
    matched: u64,
}

impl Rows {
    fn of(books: &Sides<Books>) -> Self {
        Self { authority: books.authority.read, projection: books.projection.read, matched: matched(books) }
    }
}

/// Rows in pairs, whether they agree or differ.
pub(super) fn matched(books: &Sides<Books>) -> u64 {
    books.authority.agree + books.authority.differ
}

/// Every kind, zero where none.
pub(crate) fn by_kind(keys: &BTreeMap<Kind, u64>) -> Map<String, Value> {
    Kind::ALL.iter().map(|kind| (kind.name().to_owned(), keys.get(kind).copied().unwrap_or(0).into())).collect()
}

/// Every severity, the worst first, zero where none.
pub(crate) fn by_severity(counts: &BTreeMap<Severity, u64>) -> Map<String, Value> {
    Severity::ALL
        .iter()
        .map(|severity| (severity.name().to_owned(), counts.get(severity).copied().unwrap_or(0).into()))
        .collect()
}

/// One value for each side, on the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SidesRecord<T> {
    authority: T,
    projection: T,
}

impl<T> SidesRecord<T> {
    pub(crate) fn of<U>(sides: &Sides<U>, mut convert: impl FnMut(&U) -> T) -> Self {
        Self { authority: convert(sides.get(Side::Authority)), projection: convert(sides.get(Side::Projection)) }
    }

    pub(crate) fn into_sides(self) -> Sides<T> {
        Sides { authority: self.authority, projection: self.projection }
    }
}

/// Repair actions by safety, on the wire.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct PlanRecord {
    pub(crate) safe: u64,
    pub(crate) review: u64,
    pub(crate) manual: u64,
}

impl PlanRecord {
    pub(crate) fn of(plan: PlanCounts) -> Self {
        let PlanCounts { safe, review, manual } = plan;
        Self { safe, review, manual }
    }
}

/// What was taken over from an earlier run, on the wire.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct TakenOverRecord {
    files: u64,
    rows: u64,
    digests: u64,
}

impl TakenOverRecord {
    pub(crate) fn of(taken_over: TakenOver) -> Self {
        let TakenOver { files, rows, digests } = taken_over;
        Self { files, rows, digests }
    }

    pub(crate) fn into_facts(self) -> TakenOver {
        TakenOver { files: self.files, rows: self.rows, digests: self.digests }
    }

    pub(crate) fn is_none(&self) -> bool {
        !self.into_facts().any()
    }
}

/// The accounts of one side, on the wire. They add up to `read`, but for `out_of_scope`, which stands beside it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct BooksRecord {
    pub(crate) read: u64,
    pub(crate) agree: u64,
    pub(crate) differ: u64,
    pub(crate) unpaired: u64,
    /// Only where there are any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) tombstone: u64,
    pub(crate) duplicate: u64,
    pub(crate) null_key: u64,
    pub(crate) unreadable: u64,
    pub(crate) uncompared: u64,
    pub(crate) out_of_scope: u64,
}

impl BooksRecord {
    pub(crate) fn of(books: &Books) -> Self {
        let Books {
            read,
            agree,
            differ,
            unpaired,
            tombstone,
            duplicate,
            null_key,
            unreadable,
            uncompared,
            out_of_scope,
        } = *books;
        Self { read, agree, differ, unpaired, tombstone, duplicate, null_key, unreadable, uncompared, out_of_scope }
    }

    pub(crate) fn into_books(self) -> Books {
        let Self {
            read,
            agree,
            differ,
            unpaired,
            tombstone,
            duplicate,
            null_key,
            unreadable,
            uncompared,
            out_of_scope,
        } = self;
        Books { read, agree, differ, unpaired, tombstone, duplicate, null_key, unreadable, uncompared, out_of_scope }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_summary_holds_the_agreed_fields_in_the_agreed_order() {
        let summary = summary(&sample::audit());
        let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&summary)[..6],
            ["format_version", "run_id", "verdict", "started_at", "elapsed_ms", "contracts"]
        );
        let contract = &summary["contracts"][1];
        let agreed = [
            "name",
            "version",
            "verdict",
            "coverage",
            "rows",
            "divergences",
            "severities",
            "attributes",
            "causes",
            "plan",
            "warnings",
            "error",
        ];
        assert_eq!(names(contract)[..agreed.len()], agreed);
        assert_eq!(names(&contract["divergences"]), Kind::ALL.map(Kind::name));
        assert_eq!(names(&contract["severities"]), ["critical", "high", "medium", "low", "info"]);
        assert_eq!(summary["verdict"], "unverified");
        assert_eq!(summary["started_at"], "2026-03-01T02:00:00.123456789Z");
        assert_eq!(contract["rows"], serde_json::json!({"authority": 12004, "projection": 12002, "matched": 12002}));
        assert_eq!(contract["divergences"]["missing"], 2);
        assert_eq!(contract["divergences"]["schema"], 0);
        assert_eq!(contract["attributes"]["premium"], serde_json::json!({"mismatches": 1}));
        assert_eq!(contract["plan"], serde_json::json!({"safe": 2, "review": 2, "manual": 0}));
        assert_eq!(contract["error"], Value::Null);
    }

    #[test]
    fn the_rendered_text_is_the_summary_and_ends_with_a_newline() {
        let mut out = Vec::new();
        render(&sample::audit(), &mut out).expect("a vector takes all");
        assert_eq!(out.last(), Some(&b'\n'));
        let read: Value = serde_json::from_slice(&out).expect("valid JSON");
        assert_eq!(read, summary(&sample::audit()));
        assert_eq!(serde_json::from_str::<Value>(&summary_line(&sample::audit())).expect("valid JSON"), read);
        assert!(!summary_line(&sample::audit()).contains('\n'));
    }

    #[test]
    fn a_divergence_is_one_line_with_the_columns_of_the_parquet_file() {
        let divergences = sample::divergences();
        let line = divergence_line("crm-policy-view", &divergences[1]);
        assert_eq!(
            line,
            concat!(
                r#"{"record":"divergence","contract":"crm-policy-view","kind":"missing","severity":"critical","#,
                r#""reason":"rule:old | policies","key":{"policy_id":12345678901234567890123456789012345678},"#,
                r#""attribute":null,"authority_value":null,"projection_value":null,"authority_source":"policy_admin","#,
                r#""cause":null,"fingerprint":"FINGERPRINT"}"#
            )
            .replace("FINGERPRINT", &hex(&divergences[1].fingerprint))
        );
        assert!(!divergence_line("crm", &divergences[3]).contains('\n'));
        let strange = Divergence { key: Some("not json".into()), ..divergences[0].clone() };
        let read: Value = serde_json::from_str(&divergence_line("crm", &strange)).expect("valid JSON all the same");
        assert_eq!(read["key"], "not json");
    }

    #[test]
    fn no_line_can_control_a_terminal_and_none_says_another_thing() {
        let mut divergence = sample::divergences().swap_remove(2);
        let value = "\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{200b}\u{e0041}木";
        divergence.key = Some(format!("{{\"id\":\"{}\"}}", "\u{202e}").into());
        divergence.values.projection = Some(value.into());
        let line = divergence_line("a", &divergence);
        assert!(!line.chars().any(hides), "{line}");
        assert!(line.contains("\\u202e\\u200b\\udb40\\udc41木"), "{line}");
        let read: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((read["projection_value"].as_str(), read["key"]["id"].as_str()), (Some(value), Some("\u{202e}")));
    }
}
