//! Where a run's trace and metrics go by OTLP over HTTP, from `--otlp` and the environment variables of OpenTelemetry. No header
//! is ever shown.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::failure::Failure;
use crate::contract::Endpoint;
use crate::report::otlp::Parent;

/// Who takes them, and how they are sent.
pub(super) struct Otlp {
    pub(super) endpoint: Endpoint,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    /// What the sender says of itself.
    pub(super) resource: Vec<(String, String)>,
    /// The span of whoever started the program, from `TRACEPARENT`.
    pub(super) parent: Option<Parent>,
}

/// The port that collectors speak gRPC at.
const GRPC: u16 = 4317;

impl Otlp {
    /// What the option asks for, else the environment; None where neither does. An address in the environment that cannot be
    /// used is a warning: it was not meant for this program alone.
    pub(super) fn of(
        option: Option<&str>,
        variable: &dyn Fn(&str) -> Option<String>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, Failure> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let endpoint = match option {
            Some(text) => {
                let endpoint = Endpoint::parse(text, None);
                Some(endpoint.map_err(|expected| Failure::new(format!("--otlp: {expected}")))?)
            }
            None => from_environment(&set, warnings),
        };
        let Some(endpoint) = endpoint else { return Ok(None) };
        let name = set("OTEL_SERVICE_NAME").unwrap_or_else(|| "reconcile".to_owned());
        let mut resource = pairs(&set, "OTEL_RESOURCE_ATTRIBUTES", warnings);
        resource.retain(|(key, _)| key != "service.name");
        resource.insert(0, ("service.name".to_owned(), name));
        let timeout = match set("OTEL_EXPORTER_OTLP_TIMEOUT").map(|text| text.trim().parse::<u64>()) {
            None => 10_000,
            Some(Ok(milliseconds)) => milliseconds.clamp(1, 60_000),
            Some(Err(_)) => {
                let problem = "OTEL_EXPORTER_OTLP_TIMEOUT is no whole number of milliseconds: 10000 is taken";
                warnings.push(problem.to_owned());
                10_000
            }
        };
        let headers = pairs(&set, "OTEL_EXPORTER_OTLP_HEADERS", warnings);
        let parent = set("TRACEPARENT").and_then(|text| {
            let parent = Parent::parse(&text, set("TRACESTATE").as_deref());
            if parent.is_none() {
                warnings.push(
                    "TRACEPARENT is not one of version 00 of W3C Trace Context: the trace has no parent".to_owned(),
                );
            }
            parent
        });
        Ok(Some(Self { endpoint, headers, timeout: Duration::from_millis(timeout), resource, parent }))
    }

    /// What may be wrong with the address where nothing arrives.
    pub(super) fn doubt(&self) -> &'static str {
        if self.endpoint.port() == Some(GRPC) {
            " (port 4317 is for gRPC, which is not spoken here; HTTP has port 4318)"
        } else {
            ""
        }
    }
}

fn from_environment(set: &dyn Fn(&str) -> Option<String>, warnings: &mut Vec<String>) -> Option<Endpoint> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return None;
    }
    let text = set(NAME)?;
    if let Some(protocol) = set("OTEL_EXPORTER_OTLP_PROTOCOL")
        && protocol.trim() != "http/protobuf"
    {
        warnings.push(format!("{NAME} is set, but this program speaks only http/protobuf, not what OTEL_EXPORTER_OTLP_PROTOCOL says: nothing is sent"));
        return None;
    }
    match Endpoint::parse(&text, Some(&format!("${{{NAME}}}"))) {
        Ok(endpoint) => Some(endpoint),
        Err(expected) => {
            warnings.push(format!("{NAME}: {expected}; nothing is sent"));
            None
        }
    }
}

/// `key=value,key=value`, with values as in a URL.
fn pairs(set: &dyn Fn(&str) -> Option<String>, name: &str, warnings: &mut Vec<String>) -> Vec<(String, String)> {
    let text = set(name).unwrap_or_default();
    let mut pairs = Vec::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        match part.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                let value = percent_decode_str(value.trim()).decode_utf8_lossy().into_owned();
                pairs.push((key.trim().to_owned(), value));
            }
            _ => warnings.push(format!("{name}: a part is not `name=value`, it is left out")),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(option: Option<&str>, set: &[(&str, &str)]) -> (Option<Otlp>, Vec<String>) {
        let mut warnings = Vec::new();
        let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let otlp = Otlp::of(option, &variable, &mut warnings).expect("no bad usage");
        (otlp, warnings)
    }

    #[test]
    fn the_option_comes_before_the_environment_and_headers_are_decoded() {
        let set = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2, x-a = b ,broken"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod,service.name=other"),
        ];
        let (otlp, warnings) = of(Some("http://option:4318"), &set);
        let otlp = otlp.expect("it is asked for");
        assert_eq!(otlp.endpoint.reveal(), "http://option:4318/");
        assert_eq!(otlp.timeout, Duration::from_millis(250));
        let text =
            |pairs: &[(String, String)]| pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
        assert_eq!(text(&otlp.headers), ["authorization=Bearer hunter2", "x-a=b"]);
        assert_eq!(text(&otlp.resource), ["service.name=reconcile", "deployment.environment=prod"]);
        assert_eq!(warnings, ["OTEL_EXPORTER_OTLP_HEADERS: a part is not `name=value`, it is left out"]);
        assert_eq!(of(None, &set).0.expect("by the environment").endpoint.reveal(), "http://env:4318/");
    }

    #[test]
    fn the_span_of_whoever_started_it_is_the_parent() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317");
        let (otlp, warnings) =
            of(None, &[endpoint, ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]);
        let otlp = otlp.expect("by the environment");
        assert!(otlp.parent.as_ref().is_some_and(|parent| parent.sampled) && warnings.is_empty(), "{warnings:?}");
        assert!(otlp.doubt().contains("4318"));
        let (otlp, warnings) = of(Some("http://h:4318"), &[("TRACEPARENT", "hunter2")]);
        assert!(otlp.is_some_and(|otlp| otlp.parent.is_none() && otlp.doubt().is_empty()));
        assert!(warnings.len() == 1 && !warnings[0].contains("hunter2"), "{warnings:?}");
    }

    #[test]
    fn an_environment_that_is_not_meant_for_us_is_no_error() {
        assert!(of(None, &[]).0.is_none() && of(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).0.is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318");
        assert!(of(None, &[endpoint, ("OTEL_SDK_DISABLED", "true")]).0.is_none());
        for set in [
            [endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"), ("A", "b")],
        ] {
            let (otlp, warnings) = of(None, &set);
            assert!(otlp.is_none());
            assert_eq!(warnings.len(), 1, "{warnings:?}");
        }
        assert!(Otlp::of(Some("collector:4317"), &|_| None, &mut Vec::new()).is_err(), "a wrong option is bad usage");
    }
}
