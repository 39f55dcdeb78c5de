//! `manifest.json`: what makes a run evidence. It holds every fact of the audit, so that `report RUN` can render the run
//! again, and the digest of every other file in the folder. The structs are the wire format (docs/formats.md).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::sign::SUFFIX;
use crate::audit::{Audit, Column, ContractAudit, InputFacts, InputFile, PlanCounts, Verdict, balanced};
use crate::classify::{Divergence, Reason};
use crate::contract::{ContractFile, Kind, Severity};
use crate::normalise::FaultReason;
use crate::report::causes::CauseRecord;
use crate::report::checksums::ChecksumsRecord;
use crate::report::decided::DecidedRecord;
use crate::report::json::{
    BooksRecord, FiguresRecord, LagRecord, PlanRecord, SidesRecord, TakenOverRecord, by_kind, by_severity, hex,
};
use crate::report::recheck::SecondLookRecord;
use crate::report::segments::{ResumedRecord, SegmentsRecord};
use crate::sides::Sides;

mod baseline;
mod owners;
mod recurrence;

use baseline::BaselineRecord;
use owners::OwnerRecord;
use recurrence::RecurrenceRecord;

pub(super) const FILE: &str = "manifest.json";

/// The file of its signature, beside it.
pub(super) fn signature_file() -> String {
    format!("{FILE}{SUFFIX}")
}

/// Grows with each change of the format that a reader must know of.
pub(super) const FORMAT_VERSION: u32 = 1;
/// The version of the byte format under the table digests.
const DIGEST_FORMAT: u32 = crate::digest::FORMAT;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Manifest {
    pub(super) format_version: u32,
    pub(super) run_id: String,
    pub(super) tool: Tool,
    digest_format: u32,
    pub(super) verdict: String,
    pub(super) started_at: String,
    pub(super) elapsed_ms: u64,
    command: String,
    settings: BTreeMap<String, String>,
    interrupted: Option<i32>,
    /// Only of a run that goes on from another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) resumed: Option<ResumedRecord>,
    warnings: Vec<String>,
    pub(super) contracts: Vec<ContractRecord>,
    /// The files that the contracts were read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) contract_files: Vec<ContractFileRecord>,
    /// Every file of the folder but this one and its signature, sorted by name.
    pub(super) files: Vec<FileRecord>,
}

/// One file that the contracts were read from.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ContractFileRecord {
    /// From the folder of the contract file.
    pub(super) path: String,
    pub(super) blake3: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Tool {
    name: String,
    pub(super) version: String,
}

/// One file of the run folder.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct FileRecord {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ContractRecord {
    pub(super) name: String,
    pub(super) version: String,
    contract_digest: String,
    pub(super) verdict: String,
    because: String,
    error: Option<String>,
    team: Option<String>,
    runbook: Option<String>,
    description: Option<String>,
    key: Vec<String>,
    #[serde(deserialize_with = "exact_float")]
    coverage: f64,
    books: SidesRecord<BooksRecord>,
    inputs: SidesRecord<InputRecord>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) attribute_owners: BTreeMap<String, String>,
    keys: Map<String, Value>,
    severities: Map<String, Value>,
    keys_by_severity: Map<String, Value>,
    attributes: Vec<AttributeRecord>,
    plan: PlanRecord,
    plan_truncated: bool,
    #[serde(default, skip_serializing_if = "FiguresRecord::is_none")]
    figures: FiguresRecord,
    warnings: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decided: Option<DecidedRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owners: Vec<OwnerRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lag: Option<LagRecord>,
    examples: Vec<ExampleRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recurrence: Option<RecurrenceRecord>,
    /// Only where some were found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<CauseRecord>,
    /// Only where the contract has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<BaselineRecord>,
    /// Only where a database serves a side and may compute checksums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksums: Option<ChecksumsRecord>,
    /// Only where the contract asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second_look: Option<SecondLookRecord>,
    /// Only where something is kept of another run, or for another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    segments: Option<SegmentsRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
struct AttributeRecord {
    name: String,
    mismatches: u64,
}

#[derive(Debug, Deserialize, Serialize)]
struct InputRecord {
    source: String,
    context: Option<String>,
    location: String,
    captured_at: Option<String>,
    table_digest: String,
    files: Vec<InputFileRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    #[serde(default, skip_serializing_if = "TakenOverRecord::is_none")]
    taken_over: TakenOverRecord,
    /// Empty where the source did not open, and in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<ColumnRecord>,
    /// Likewise; empty too where every column was compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
    /// Only of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct ColumnRecord {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct InputFileRecord {
    path: String,
    bytes: u64,
    modified: Option<String>,
    blake3: String,
}

/// A line of `divergences.parquet`.
#[derive(Debug, Deserialize, Serialize)]
struct ExampleRecord {
    kind: String,
    severity: String,
    reason: String,
    key: Option<String>,
    attribute: Option<String>,
    authority_value: Option<String>,
    projection_value: Option<String>,
    authority_source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    fingerprint: String,
}

/// `serde_json`'s own reading of a float may be off by its last bit; Rust's is exact.
fn exact_float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = <Box<RawValue>>::deserialize(deserializer)?;
    match text.get() {
        "null" => Ok(f64::NAN),
        number => number.parse().map_err(serde::de::Error::custom),
    }
}

impl ContractFileRecord {
    pub(super) fn of(file: &ContractFile) -> Self {
        Self { path: file.path.clone(), blake3: file.blake3.clone() }
    }
}

impl Manifest {
    /// The manifest of a run whose other files are these.
    pub(super) fn of(audit: &Audit, mut files: Vec<FileRecord>) -> Self {
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            format_version: FORMAT_VERSION,
            run_id: audit.run_id.clone(),
            tool: Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            digest_format: DIGEST_FORMAT,
            verdict: audit.verdict().name().to_owned(),
            started_at: audit.started_at.to_string(),
            elapsed_ms: audit.elapsed_ms,
            command: audit.command.clone(),
            settings: audit.settings.clone(),
            interrupted: audit.interrupted,
            resumed: audit.resumed.as_ref().map(ResumedRecord::of),
            warnings: audit.warnings.clone(),
            contracts: audit.contracts.iter().map(ContractRecord::of).collect(),
            contract_files: Vec::new(),
            files,
        }
    }

    /// Reads a manifest; the problem is a sentence part.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| format!("not a manifest: {error}"))?;
        if manifest.format_version != FORMAT_VERSION {
            let seen = manifest.format_version;
            return Err(format!("format version {seen}, this version reads {FORMAT_VERSION}"));
        }
        Ok(manifest)
    }

    /// Whether its table digests are of the byte format of this version.
    pub(super) fn same_digest_format(&self) -> bool {
        self.digest_format == DIGEST_FORMAT
    }

    /// When the run ended, which is when it was recorded.
    pub(super) fn recorded_at(&self) -> Result<jiff::Timestamp, String> {
        recorded_at(instant(&self.started_at)?, self.elapsed_ms)
    }

    /// The audit that this manifest was made of; the problem is a sentence part.
    pub(super) fn into_audit(self) -> Result<Audit, String> {
        let contracts: Result<Vec<_>, _> = self.contracts.into_iter().map(ContractRecord::into_audit).collect();
        let audit = Audit {
            run_id: self.run_id,
            started_at: instant(&self.started_at)?,
            elapsed_ms: self.elapsed_ms,
            command: self.command,
            settings: self.settings,
            contracts: contracts?,
            warnings: self.warnings,
            interrupted: self.interrupted,
            resumed: self.resumed.map(ResumedRecord::into_facts),
        };
        if audit.verdict().name() != self.verdict {
            return Err(format!("verdict `{}`, but its contracts give `{}`", self.verdict, audit.verdict().name()));
        }
        Ok(audit)
    }
}

/// When a run that began then and took so long ended.
pub(super) fn recorded_at(started_at: jiff::Timestamp, elapsed_ms: u64) -> Result<jiff::Timestamp, String> {
    let elapsed = std::time::Duration::from_millis(elapsed_ms);
    started_at.checked_add(elapsed).map_err(|error| error.to_string())
}

impl ContractRecord {
    fn of(contract: &ContractAudit) -> Self {
        Self {
            name: contract.name.clone(),
            version: contract.version.clone(),
            contract_digest: hex(&contract.contract_digest),
            verdict: contract.verdict.name().to_owned(),
            because: contract.because.clone(),
            error: contract.error.clone(),
            team: contract.team.clone(),
            runbook: contract.runbook.clone(),
            description: contract.description.clone(),
            key: contract.key.clone(),
            coverage: contract.coverage,
            books: SidesRecord::of(&contract.books, BooksRecord::of),
            inputs: SidesRecord::of(&contract.inputs, InputRecord::of),
            attribute_owners: contract.attribute_owners.clone(),
            keys: by_kind(&contract.keys),
            severities: by_severity(&contract.severities),
            keys_by_severity: by_severity(&contract.keys_by_severity),
            attributes: contract
                .attributes
                .iter()
                .map(|(name, mismatches)| AttributeRecord { name: name.clone(), mismatches: *mismatches })
                .collect(),
            plan: PlanRecord::of(contract.plan),
            plan_truncated: contract.plan_truncated,
            figures: FiguresRecord::of(&contract.figures),
            warnings: contract.warnings.clone(),
            decided: DecidedRecord::of(&contract.decided),
            owners: contract.owners.iter().map(OwnerRecord::of).collect(),
            lag: contract.lag.as_ref().map(LagRecord::of),
            examples: contract.examples.iter().map(ExampleRecord::of).collect(),
            recurrence: contract.recurrence.as_ref().map(RecurrenceRecord::of),
            causes: contract.causes.iter().map(CauseRecord::of).collect(),
            baseline: contract.baseline.as_ref().map(BaselineRecord::of),
            checksums: contract.checksums.as_ref().map(ChecksumsRecord::of),
            second_look: contract.second_look.as_ref().map(SecondLookRecord::of),
            segments: contract.segments.as_ref().map(SegmentsRecord::of),
        }
    }

    fn into_audit(self) -> Result<ContractAudit, String> {
        let books = self.books.into_sides().map(|_, books| books.into_books());
        balanced(&books).map_err(|error| format!("contract `{}`: {error}", self.name))?;
        let plan = self.plan;
        Ok(ContractAudit {
            contract_digest: digest(&self.contract_digest)?,
            verdict: verdict(&self.verdict)?,
            books,
            inputs: self.inputs.into_sides().try_map(|_, input| input.into_facts())?,
            owners: self.owners.into_iter().map(OwnerRecord::into_facts).collect::<Result<_, _>>()?,
            keys: counts(&self.keys, kind)?,
            severities: counts(&self.severities, severity)?,
            keys_by_severity: counts(&self.keys_by_severity, severity)?,
            attributes: self.attributes.into_iter().map(|attribute| (attribute.name, attribute.mismatches)).collect(),
            plan: PlanCounts { safe: plan.safe, review: plan.review, manual: plan.manual },
            examples: self.examples.into_iter().map(ExampleRecord::into_divergence).collect::<Result<_, _>>()?,
            name: self.name,
            version: self.version,
            because: self.because,
            error: self.error,
            team: self.team,
            runbook: self.runbook,
            description: self.description,
            key: self.key,
            coverage: self.coverage,
            plan_truncated: self.plan_truncated,
            attribute_owners: self.attribute_owners,
            lag: self.lag.map(LagRecord::into_facts).transpose()?,
            figures: self.figures.into_figures(kind, severity)?,
            warnings: self.warnings,
            decided: self.decided.map(DecidedRecord::into_facts).transpose()?.unwrap_or_default(),
            recurrence: self.recurrence.map(RecurrenceRecord::into_facts).transpose()?,
            causes: self.causes.into_iter().map(CauseRecord::into_cause).collect(),
            baseline: self.baseline.map(BaselineRecord::into_facts).transpose()?,
            checksums: self.checksums.map(ChecksumsRecord::into_facts),
            second_look: self.second_look.map(SecondLookRecord::into_facts).transpose()?,
            segments: self.segments.map(SegmentsRecord::into_facts).transpose()?,
        })
    }
}

impl InputRecord {
    fn of(input: &InputFacts) -> Self {
        let files = input.files.iter().map(|file| InputFileRecord {
            path: file.path.clone(),
            bytes: file.bytes,
            modified: file.modified.map(|instant| instant.to_string()),
            blake3: file.blake3.clone(),
        });
        let columns = input.columns.iter();
        let columns =
            columns.map(|column| ColumnRecord { name: column.name.clone(), data_type: column.data_type.clone() });
        Self {
            source: input.source.clone(),
            context: input.context.clone(),
            location: input.location.clone(),
            captured_at: input.captured_at.map(|instant| instant.to_string()),
            table_digest: input.table_digest.clone(),
            files: files.collect(),
            snapshot: input.snapshot.clone(),
            taken_over: TakenOverRecord::of(input.taken_over),
            columns: columns.collect(),
            left_out: input.left_out.clone(),
            place: input.place.clone(),
        }
    }

    fn into_facts(self) -> Result<InputFacts, String> {
        let files = self.files.into_iter().map(|file| {
            let modified = file.modified.as_deref().map(instant).transpose()?;
            Ok(InputFile { path: file.path, bytes: file.bytes, modified, blake3: file.blake3 })
        });
        let columns = self.columns.into_iter();
        let columns = columns.map(|column| Column { name: column.name, data_type: column.data_type });
        Ok(InputFacts {
            files: files.collect::<Result<_, String>>()?,
            snapshot: self.snapshot,
            taken_over: self.taken_over.into_facts(),
            source: self.source,
            context: self.context,
            location: self.location,
            captured_at: self.captured_at.as_deref().map(instant).transpose()?,
            table_digest: self.table_digest,
            columns: columns.collect(),
            left_out: self.left_out,
            place: self.place,
        })
    }
}

impl ExampleRecord {
    fn of(divergence: &Divergence) -> Self {
        let text = |value: &Option<Box<str>>| value.as_deref().map(str::to_owned);
        Self {
            kind: divergence.kind.name().to_owned(),
            severity: divergence.severity.name().to_owned(),
            reason: divergence.reason.to_string(),
            key: text(&divergence.key),
            attribute: divergence.attribute.as_deref().map(str::to_owned),
            authority_value: text(&divergence.values.authority),
            projection_value: text(&divergence.values.projection),
            authority_source: divergence.authority_source.to_string(),
            cause: divergence.cause.map(str::to_owned),
            fingerprint: hex(&divergence.fingerprint),
        }
    }

    fn into_divergence(self) -> Result<Divergence, String> {
        let boxed = |text: Option<String>| text.map(String::into_boxed_str);
        Ok(Divergence {
            kind: kind(&self.kind)?,
            severity: severity(&self.severity)?,
            reason: reason(&self.reason)?,
            key: boxed(self.key),
            attribute: self.attribute.map(Arc::from),
            values: Sides { authority: boxed(self.authority_value), projection: boxed(self.projection_value) },
            authority_source: self.authority_source.into(),
            cause: self.cause.as_deref().and_then(|cause| crate::causes::NAMES.into_iter().find(|name| *name == cause)),
            fingerprint: digest(&self.fingerprint)?,
            row_digest: None,
        })
    }
}

fn instant(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|_| format!("`{text}` is not an instant"))
}

pub(super) fn digest(text: &str) -> Result<[u8; 32], String> {
    let hash = blake3::Hash::from_hex(text).map_err(|_| format!("`{text}` is not a BLAKE3 in hex"))?;
    Ok(*hash.as_bytes())
}

pub(super) fn verdict(name: &str) -> Result<Verdict, String> {
    [Verdict::Agreed, Verdict::Drifted, Verdict::Unverified]
        .into_iter()
        .find(|verdict| verdict.name() == name)
        .ok_or_else(|| format!("`{name}` is not a verdict"))
}

pub(super) fn kind(name: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("`{name}` is not a kind"))
}

pub(super) fn severity(name: &str) -> Result<Severity, String> {
    let found = Severity::ALL.into_iter().find(|severity| severity.name() == name);
    found.ok_or_else(|| format!("`{name}` is not a severity"))
}

/// The other way round than `Display` of `Reason`.
pub(super) fn reason(text: &str) -> Result<Reason, String> {
    match (text.split_once(':'), text) {
        (Some(("rule", name)), _) => Ok(Reason::Rule(name.into())),
        (Some(("attribute", name)), _) => Ok(Reason::Attribute(name.into())),
        (Some(("kind", name)), _) => Ok(Reason::Kind(kind(name)?)),
        (_, "default") => Ok(Reason::Default),
        (_, "deleted_in_projection") => Ok(Reason::DeletedInProjection),
        (_, "settled") => Ok(Reason::Settled),
        (_, "unstable") => Ok(Reason::Unstable),
        _ => {
            let found = FaultReason::ALL.into_iter().find(|reason| reason.name() == text);
            found.map(Reason::Value).ok_or_else(|| format!("`{text}` is not a reason"))
        }
    }
}

/// Counts by name; a zero is the same as nothing.
fn counts<K: Ord>(
    named: &Map<String, Value>,
    parse: impl Fn(&str) -> Result<K, String>,
) -> Result<BTreeMap<K, u64>, String> {
    let mut counts = BTreeMap::new();
    for (name, count) in named {
        let count = count.as_u64().ok_or_else(|| format!("`{name}` is {count}, expected a count"))?;
        let key = parse(name)?;
        if count > 0 {
            counts.insert(key, count);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Baseline;
    use crate::report::sample;

    #[test]
    fn an_audit_comes_back_from_its_manifest_as_it_was() {
        for coverage in [1.0, 0.999_99, 0.1 + 0.2, 1.0 / 3.0, 5e-324, 0.0] {
            let mut audit = sample::audit();
            audit.contracts[1].coverage = coverage;
            audit.contracts[1].figures = sample::figures();
            audit.contracts[1].baseline = Some(sample::baseline());
            audit.contracts[1].checksums = Some(sample::checksums());
            audit.contracts[1].second_look = Some(sample::second_look());
            audit.contracts[2].baseline = Some(Baseline { parity: None, ..sample::baseline() });
            let text = serde_json::to_vec_pretty(&Manifest::of(&audit, vec![])).expect("JSON");
            let read = Manifest::parse(&text).and_then(Manifest::into_audit).expect("a manifest");
            assert_eq!(format!("{read:?}"), format!("{audit:?}"));
        }
    }

    #[test]
    fn every_reason_comes_back_from_its_name() {
        let reasons = [
            Reason::Rule("a:b c".into()),
            Reason::Attribute("kind:x".into()),
            Reason::Kind(Kind::DuplicateKey),
            Reason::Default,
            Reason::DeletedInProjection,
            Reason::Settled,
            Reason::Unstable,
        ];
        for expected in reasons.into_iter().chain(FaultReason::ALL.map(Reason::Value)) {
            assert_eq!(reason(&expected.to_string()), Ok(expected));
        }
        assert!(reason("because").is_err());
    }

    #[test]
    fn a_manifest_whose_books_do_not_balance_or_whose_verdict_contradicts_is_refused() {
        let text = serde_json::to_string(&Manifest::of(&sample::audit(), vec![])).expect("JSON");
        let cases = [
            (r#""read":3001"#, r#""read":3002"#, "do not balance"),
            (r#""verdict":"unverified","started"#, r#""verdict":"agreed","started"#, "its contracts give"),
            (r#""format_version":1"#, r#""format_version":2"#, "format version 2"),
            (r#""missing":1"#, r#""missed":1"#, "is not a kind"),
        ];
        for (before, after, expected) in cases {
            assert!(text.contains(before), "{before}");
            let problem = Manifest::parse(text.replacen(before, after, 1).as_bytes()).and_then(Manifest::into_audit);
            let problem = problem.expect_err(after);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
