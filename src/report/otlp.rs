//! The run for OpenTelemetry: a trace (a span for the run, each contract, each phase) and the metrics of `metrics.prom`, as
//! protobuf messages of OTLP. It sends nothing.

use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

use super::prometheus::{self, Whole};
use crate::audit::{Audit, ContractAudit, Timing, Verdict};

/// The span of whoever started the run, which goes on in the run's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    trace: [u8; 16],
    span: [u8; 8],
    /// Whoever began the trace keeps it.
    pub sampled: bool,
    /// What others wrote of it.
    state: String,
}

impl Parent {
    /// Reads `traceparent` and `tracestate` of W3C Trace Context; of a later version what is known of it.
    #[must_use]
    pub fn parse(text: &str, state: Option<&str>) -> Option<Self> {
        let parts: Vec<&str> = text.trim().split('-').collect();
        let [version, trace, span, flags, more @ ..] = parts.as_slice() else { return None };
        let [version] = bytes::<1>(version)?;
        if version == 0xff || (version == 0 && !more.is_empty()) {
            return None;
        }
        let (trace, span, [flags]) = (bytes::<16>(trace)?, bytes::<8>(span)?, bytes::<1>(flags)?);
        let known = trace != [0; 16] && span != [0; 8];
        let state = state.map(str::trim).unwrap_or_default().to_owned();
        known.then_some(Self { trace, span, sampled: flags & 1 == 1, state })
    }
}

/// So many bytes in lowercase hex.
fn bytes<const LENGTH: usize>(hex: &str) -> Option<[u8; LENGTH]> {
    let lower = hex.len() == 2 * LENGTH && hex.bytes().all(|one| one.is_ascii_digit() || (b'a'..=b'f').contains(&one));
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap_or_default();
    lower.then(|| std::array::from_fn(byte))
}

/// The trace, as the body of a request to `/v1/traces`. `resource` is what the sender says of itself.
#[must_use]
pub fn traces(whole: &Whole<'_>, resource: &[(String, String)], parent: Option<&Parent>) -> Vec<u8> {
    let audit = whole.audit;
    let id = parent.map_or_else(|| digest(&[&audit.run_id])[..16].to_vec(), |parent| parent.trace.to_vec());
    let trace = Trace { id, run_id: &audit.run_id, state: parent.map_or("", |parent| &parent.state) };
    let root = trace.span_id(&[]);
    let mut spans = vec![run_span(audit, &trace)];
    spans[0].parent_span_id = parent.map(|parent| parent.span.to_vec()).unwrap_or_default();
    for contract in &audit.contracts {
        let Some(timing) = whole.measured.timing(&contract.name) else { continue };
        spans.push(contract_span(contract, timing, &trace, &root));
        let parent = trace.span_id(&[&contract.name]);
        spans.extend(timing.phases.iter().enumerate().map(|(number, phase)| Span {
            attributes: vec![text("reconcile.contract", &contract.name)],
            parent_span_id: parent.clone(),
            ..trace.span(&[&contract.name, &number.to_string()], &phase.name, phase.began, phase.took)
        }));
    }
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let resource = Some(of_resource(resource));
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Every metric as a gauge at the run's end, as the body of a request to `/v1/metrics`.
#[must_use]
pub fn metrics(whole: &Whole<'_>, resource: &[(String, String)]) -> Vec<u8> {
    let audit = whole.audit;
    let ended = audit.started_at.checked_add(Duration::from_millis(audit.elapsed_ms)).unwrap_or(audit.started_at);
    let point = |(labels, value): &(Vec<(&'static str, &str)>, String)| NumberDataPoint {
        attributes: labels.iter().map(|(name, value)| text(name, value)).collect(),
        start_time_unix_nano: nanoseconds(audit.started_at),
        time_unix_nano: nanoseconds(ended),
        value: value.parse().ok().map(Number::AsDouble),
        ..NumberDataPoint::default()
    };
    let gathered = prometheus::gathered(whole);
    let told = gathered.iter().filter(|metric| !metric.samples.is_empty());
    let metrics = told.map(|metric| Metric {
        name: metric.name.to_owned(),
        description: metric.help.to_owned(),
        unit: unit(metric.name).to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: metric.samples.iter().map(point).collect() })),
        ..Metric::default()
    });
    let scope_metrics =
        vec![ScopeMetrics { scope: Some(scope()), metrics: metrics.collect(), ..ScopeMetrics::default() }];
    let resource = Some(of_resource(resource));
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// The ids of one trace: they depend only on the run's id and its parent, so that what is sent twice is the same.
struct Trace<'a> {
    id: Vec<u8>,
    run_id: &'a str,
    state: &'a str,
}

impl Trace<'_> {
    fn span_id(&self, parts: &[&str]) -> Vec<u8> {
        let parts: Vec<&str> = ["span", self.run_id].into_iter().chain(parts.iter().copied()).collect();
        digest(&parts)[..8].to_vec()
    }

    fn span(&self, parts: &[&str], name: &str, began: Timestamp, took: Duration) -> Span {
        Span {
            trace_id: self.id.clone(),
            trace_state: self.state.to_owned(),
            span_id: self.span_id(parts),
            name: name.to_owned(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanoseconds(began),
            end_time_unix_nano: nanoseconds(began.checked_add(took).unwrap_or(began)),
            ..Span::default()
        }
    }
}

fn run_span(audit: &Audit, trace: &Trace<'_>) -> Span {
    let attributes = vec![
        text("reconcile.run_id", &audit.run_id),
        text("reconcile.command", &audit.command),
        text("reconcile.verdict", audit.verdict().name()),
        number("reconcile.contracts", audit.contracts.len() as u64),
    ];
    let took = Duration::from_millis(audit.elapsed_ms);
    let name = format!("reconcile {}", audit.command);
    Span { attributes, status: Some(status(audit.verdict(), "")), ..trace.span(&[], &name, audit.started_at, took) }
}

fn contract_span(contract: &ContractAudit, timing: &Timing, trace: &Trace<'_>, root: &[u8]) -> Span {
    let attributes = vec![
        text("reconcile.contract", &contract.name),
        text("reconcile.contract.version", &contract.version),
        text("reconcile.verdict", contract.verdict.name()),
        text("reconcile.because", &contract.because),
        number("reconcile.rows.authority", contract.books.authority.read),
        number("reconcile.rows.projection", contract.books.projection.read),
        number("reconcile.diverging_keys", contract.keys.values().sum()),
    ];
    Span {
        attributes,
        parent_span_id: root.to_vec(),
        status: Some(status(contract.verdict, &contract.because)),
        ..trace.span(&[&contract.name], &contract.name, timing.began, timing.took)
    }
}

/// What could not be compared is an error; that copies drift is what the work is there to find.
fn status(verdict: Verdict, because: &str) -> Status {
    let (code, message) = match verdict {
        Verdict::Agreed => (StatusCode::Ok, ""),
        Verdict::Drifted => (StatusCode::Unset, ""),
        Verdict::Unverified => (StatusCode::Error, because),
    };
    Status { message: message.to_owned(), code: code.into() }
}

fn of_resource(said: &[(String, String)]) -> Resource {
    let version = ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let attributes = said.iter().chain([&version]).map(|(name, value)| text(name, value)).collect();
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "reconcile".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn number(key: &str, value: u64) -> KeyValue {
    let value = Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The unit that a metric's name ends with, in UCUM.
fn unit(name: &str) -> &'static str {
    if name.ends_with("_seconds") {
        "s"
    } else if name.ends_with("_ratio") {
        "1"
    } else {
        ""
    }
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_as_w3c_trace_context_says() {
        const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = Parent::parse(&format!(" {GOOD}\n"), Some(" a=b ")).expect("it is one");
        assert_eq!((parent.span[0], parent.sampled, parent.state.as_str()), (0xb7, true, "a=b"));
        assert!(!Parent::parse(&GOOD.replace("-01", "-00"), None).expect("it is one").sampled);
        // A later version may say more.
        assert!(Parent::parse(&format!("cc{}-more", &GOOD[2..]), None).is_some());
        let zeros = "0".repeat(32);
        for bad in [
            "",
            "00",
            &format!("{GOOD}-more"),
            &format!("ff{}", &GOOD[2..]),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &zeros),
            &GOOD.replace("b7ad6b7169203331", &zeros[..16]),
            &GOOD.to_uppercase(),
            &GOOD.replace("0af7", "0äf"),
            &GOOD.replace("-01", "-1"),
        ] {
            assert_eq!(Parent::parse(bad, None), None, "{bad}");
        }
    }
}
