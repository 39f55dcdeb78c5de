//! Where a run's trace and metrics go by OTLP over HTTP, from `--otlp` and the environment variables of OpenTelemetry. No header
//! is ever shown.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::failure::Failure;
use crate::contract::Endpoint;
use crate::report::otlp::Parent;

/// Who takes them, and how they are sent.
pub(super) struct Otlp {
    pub(super) traces: Option<Destination>,
    pub(super) metrics: Option<Destination>,
    /// What the sender says of itself.
    pub(super) resource: Vec<(String, String)>,
    /// The span of whoever started the program, from `TRACEPARENT`.
    pub(super) parent: Option<Parent>,
}

/// Who takes one of the two.
pub(super) struct Destination {
    pub(super) endpoint: Endpoint,
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    /// The endpoint is of this signal alone.
    own: bool,
}

/// What is sent, as the names of variables and paths have it.
#[derive(Clone, Copy)]
enum Signal {
    Traces,
    Metrics,
}

/// The port that collectors speak gRPC at.
const GRPC: u16 = 4317;
const HTTP: &str = "http/protobuf";

/// The variables that are set.
struct Set<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Set<'_> {
    /// The value of a variable; one that is empty is as if it were not set.
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// The variable of the signal, else that of both, with its name.
    fn of(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.upper());
        let both = format!("OTEL_EXPORTER_OTLP_{what}");
        [own, both].into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }
}

impl Signal {
    fn upper(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }

    /// Below an endpoint of both.
    fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
        }
    }
}

impl Otlp {
    /// What the option asks for, else the environment; None where neither does. An address in the environment that cannot be
    /// used is a warning: it was not meant for this program alone.
    pub(super) fn of(
        option: Option<&str>,
        variable: &dyn Fn(&str) -> Option<String>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, Failure> {
        let set = Set(variable);
        let [traces, metrics] = match option {
            Some(text) => {
                let endpoint = Endpoint::parse(text, None);
                let endpoint = endpoint.map_err(|expected| Failure::new(format!("--otlp: {expected}")))?;
                [Signal::Traces, Signal::Metrics].map(|signal| Some((endpoint.joined(signal.path()), false)))
            }
            None => from_environment(&set, warnings),
        };
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let mut said = Vec::new();
        let mut destination = |signal: Signal, endpoint: Option<(Endpoint, bool)>| {
            let (endpoint, own) = endpoint?;
            let (timeout, headers) = (timeout(&set, signal, &mut said), headers(&set, signal, &mut said));
            Some(Destination { endpoint, headers, timeout, own })
        };
        let (traces, metrics) = (destination(Signal::Traces, traces), destination(Signal::Metrics, metrics));
        // What is said of a variable of both is said once.
        for one in said {
            if !warnings.contains(&one) {
                warnings.push(one);
            }
        }
        let name = set.get("OTEL_SERVICE_NAME");
        let mut resource =
            pairs("OTEL_RESOURCE_ATTRIBUTES", &set.get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default(), warnings);
        let of_attributes = resource.iter().rfind(|(key, _)| key == "service.name").map(|(_, value)| value.clone());
        resource.retain(|(key, _)| key != "service.name");
        let name = name.or(of_attributes).unwrap_or_else(|| "reconcile".to_owned());
        resource.insert(0, ("service.name".to_owned(), name));
        let parent = set.get("TRACEPARENT").and_then(|text| {
            let parent = Parent::parse(&text, set.get("TRACESTATE").as_deref());
            if parent.is_none() {
                warnings.push(
                    "TRACEPARENT is not one of version 00 of W3C Trace Context: the trace has no parent".to_owned(),
                );
            }
            parent
        });
        Ok(Some(Self { traces, metrics, resource, parent }))
    }

    /// Whether both go to one collector in one way, so that what does not take the one is not asked to take the other.
    pub(super) fn is_one(&self) -> bool {
        match (&self.traces, &self.metrics) {
            (Some(one), Some(other)) => {
                !one.own && !other.own && one.headers == other.headers && one.timeout == other.timeout
            }
            _ => false,
        }
    }
}

impl Destination {
    /// What may be wrong with the address where nothing arrives.
    pub(super) fn doubt(&self) -> &'static str {
        if self.endpoint.port() == Some(GRPC) {
            " (port 4317 is for gRPC, which is not spoken here; HTTP has port 4318)"
        } else {
            ""
        }
    }
}

/// Where the environment wants each to go, and whether by a variable of its own, which is taken as it stands.
fn from_environment(set: &Set<'_>, warnings: &mut Vec<String>) -> [Option<(Endpoint, bool)>; 2] {
    if set.get("OTEL_SDK_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        return [None, None];
    }
    let mut said = Vec::new();
    let found = [Signal::Traces, Signal::Metrics].map(|signal| {
        let exporter = set.get(&format!("OTEL_{}_EXPORTER", signal.upper()));
        if exporter.is_some_and(|value| value.trim() == "none") {
            return None;
        }
        let (name, text) = set.of(signal, "ENDPOINT")?;
        if let Some((variable, protocol)) = set.of(signal, "PROTOCOL").filter(|(_, text)| text.trim() != HTTP) {
            // Only what is known is shown: a variable may hold anything.
            let is = match protocol.trim() {
                known @ ("grpc" | "http/json") => format!("is `{known}`"),
                _ => "is none that is known".to_owned(),
            };
            said.push(format!(
                "{variable} {is}, and this program speaks only {HTTP} (collectors mostly take it at port 4318): nothing is \
                 sent to what {name} names"
            ));
            return None;
        }
        match Endpoint::parse(&text, Some(&format!("${{{name}}}"))) {
            Ok(endpoint) if name == "OTEL_EXPORTER_OTLP_ENDPOINT" => Some((endpoint.joined(signal.path()), false)),
            Ok(endpoint) => Some((endpoint, true)),
            Err(expected) => {
                said.push(format!("{name}: {expected}; nothing is sent to it"));
                None
            }
        }
    });
    said.dedup();
    warnings.extend(said);
    found
}

fn timeout(set: &Set<'_>, signal: Signal, warnings: &mut Vec<String>) -> Duration {
    let milliseconds = match set.of(signal, "TIMEOUT").map(|(name, text)| (name, text.trim().parse::<u64>())) {
        None => 10_000,
        Some((_, Ok(milliseconds))) => milliseconds.clamp(1, 60_000),
        Some((name, Err(_))) => {
            warnings.push(format!("{name} is no whole number of milliseconds: 10000 is taken"));
            10_000
        }
    };
    Duration::from_millis(milliseconds)
}

fn headers(set: &Set<'_>, signal: Signal, warnings: &mut Vec<String>) -> Vec<(String, String)> {
    set.of(signal, "HEADERS").map_or_else(Vec::new, |(name, text)| pairs(&name, &text, warnings))
}

/// `key=value,key=value`, with values as in a URL.
fn pairs(name: &str, text: &str, warnings: &mut Vec<String>) -> Vec<(String, String)> {
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

    /// Where traces and metrics go.
    fn places(otlp: Option<&Otlp>) -> [Option<&str>; 2] {
        let Some(otlp) = otlp else { return [None, None] };
        [&otlp.traces, &otlp.metrics].map(|to| to.as_ref().map(|to| to.endpoint.reveal()))
    }

    fn text(pairs: &[(String, String)]) -> Vec<String> {
        pairs.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn the_option_comes_before_the_environment_and_headers_are_decoded() {
        let set = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2, x-a = b ,broken"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod%2Ceu,service.name=other"),
        ];
        let (otlp, warnings) = of(Some("http://option:4318"), &set);
        assert_eq!(
            places(otlp.as_ref()),
            [Some("http://option:4318/v1/traces"), Some("http://option:4318/v1/metrics")]
        );
        let otlp = otlp.expect("it is asked for");
        assert!(otlp.is_one());
        let traces = otlp.traces.expect("they are sent");
        assert_eq!(traces.timeout, Duration::from_millis(250));
        assert_eq!(text(&traces.headers), ["authorization=Bearer hunter2", "x-a=b"]);
        assert_eq!(text(&otlp.resource), ["service.name=other", "deployment.environment=prod,eu"]);
        assert_eq!(warnings, ["OTEL_EXPORTER_OTLP_HEADERS: a part is not `name=value`, it is left out"]);
        let named = of(None, &[&set[..1], &set[4..], &[("OTEL_SERVICE_NAME", "nightly")]].concat()).0;
        assert_eq!(places(named.as_ref()), [Some("http://env:4318/v1/traces"), Some("http://env:4318/v1/metrics")]);
        assert_eq!(text(&named.expect("by the environment").resource)[0], "service.name=nightly");
        let bare = of(None, &set[..1]).0.expect("by the environment");
        assert_eq!(text(&bare.resource), ["service.name=reconcile"]);
    }

    #[test]
    fn a_signal_has_variables_of_its_own_whose_endpoint_is_taken_as_it_stands() {
        let set = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/api/spans"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=traces"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://both:4318/otlp"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=both,x-more=1"),
        ];
        let (otlp, warnings) = of(None, &set);
        assert_eq!(
            places(otlp.as_ref()),
            [Some("https://traces.example/api/spans"), Some("http://both:4318/otlp/v1/metrics")]
        );
        let otlp = otlp.expect("by the environment");
        assert!(!otlp.is_one());
        let headers = |to: &Option<Destination>| to.as_ref().map(|to| text(&to.headers)).unwrap_or_default();
        assert_eq!(headers(&otlp.traces), ["x-key=traces"]);
        assert_eq!(headers(&otlp.metrics), ["x-key=both", "x-more=1"]);
        assert_eq!(warnings, ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT is no whole number of milliseconds: 10000 is taken"]);
        let (alone, warnings) = of(None, &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:9090")]);
        assert_eq!(places(alone.as_ref()), [None, Some("http://metrics:9090/")]);
        assert!(warnings.is_empty(), "{warnings:?}");
        let (alone, _) = of(None, &[set[3], ("OTEL_TRACES_EXPORTER", "none")]);
        assert_eq!(places(alone.as_ref()), [None, Some("http://both:4318/otlp/v1/metrics")]);
    }

    #[test]
    fn a_protocol_that_is_not_spoken_is_said_for_what_it_is_of() {
        let both = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317");
        let (otlp, warnings) = of(None, &[both, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert!(otlp.is_none());
        assert_eq!(
            warnings,
            [
                "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`, and this program speaks only http/protobuf (collectors mostly take it at \
              port 4318): nothing is sent to what OTEL_EXPORTER_OTLP_ENDPOINT names"
            ]
        );
        let own =
            [both, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "hunter2")];
        let (otlp, warnings) = of(None, &own);
        assert_eq!(places(otlp.as_ref()), [None, Some("http://env:4317/v1/metrics")]);
        let said = warnings.join("\n");
        assert!(said.starts_with("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is none that is known"), "{said}");
        assert!(!said.contains("hunter2") && warnings.len() == 1, "{said}");
    }

    #[test]
    fn the_span_of_whoever_started_it_is_the_parent() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317");
        let (otlp, warnings) =
            of(None, &[endpoint, ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]);
        let otlp = otlp.expect("by the environment");
        assert!(otlp.parent.as_ref().is_some_and(|parent| parent.sampled) && warnings.is_empty(), "{warnings:?}");
        assert!(otlp.metrics.is_some_and(|to| to.doubt().contains("4318")));
        let (otlp, warnings) = of(Some("http://h:4318"), &[("TRACEPARENT", "hunter2")]);
        let otlp = otlp.expect("by the option");
        assert!(otlp.parent.is_none() && otlp.traces.is_some_and(|to| to.doubt().is_empty()));
        assert!(warnings.len() == 1 && !warnings[0].contains("hunter2"), "{warnings:?}");
    }

    #[test]
    fn an_environment_that_is_not_meant_for_us_is_no_error() {
        assert!(of(None, &[]).0.is_none() && of(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).0.is_none());
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318");
        assert!(of(None, &[endpoint, ("OTEL_SDK_DISABLED", "true")]).0.is_none());
        let (otlp, warnings) = of(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]);
        assert!(otlp.is_none());
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(Otlp::of(Some("collector:4317"), &|_| None, &mut Vec::new()).is_err(), "a wrong option is bad usage");
    }
}
