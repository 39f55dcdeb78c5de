//! Who is told of a run, as they are told it: real files, real requests to a server on this machine. Nobody who cannot be told
//! changes what the run says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::Value;

use crate::formats;
use crate::receiver::{Answer, Receiver, Request, nobody};
use crate::support::{Outcome, Workspace, pair_contract, read_json, tree};

const SECRET: &str = "hunter2";

/// A contract `pair` over two tables, equal or not; `run` stands under `[run]`.
fn pair(equal: bool, run: &str) -> Workspace {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n"), ("b.csv", b""));
    copy_is(&workspace, equal);
    let text = pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &text.replacen("version = 1\n", &format!("version = 1\n{run}\n"), 1));
    workspace
}

fn copy_is(workspace: &Workspace, equal: bool) {
    workspace.file("b.csv", if equal { "id,name\n1,Anna\n2,Bert\n" } else { "id,name\n1,Anna\n2,Quirinus\n" });
}

/// Runs it with these variables, and nothing of the machine between it and a server here.
fn call(workspace: &Workspace, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command: Command = workspace.command(arguments);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    Outcome::of(&command.output().unwrap())
}

/// What is said of the newest run in its own record.
fn warnings(workspace: &Workspace) -> Vec<String> {
    let summary = read_json(&workspace.runs().pop().unwrap().join("summary.json"));
    summary["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap().to_owned()).collect()
}

/// What the document that was printed says of the run itself.
#[track_caller]
fn printed(outcome: &Outcome) -> Vec<String> {
    let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
    serde_json::from_value(document["warnings"].clone()).unwrap()
}

/// No output and no file holds the secret.
#[track_caller]
fn keeps_the_secret(workspace: &Workspace, outcome: &Outcome) {
    assert!(!outcome.shown().contains(SECRET), "{}", outcome.shown());
    let reports = workspace.path().join("reports");
    for name in tree(&reports).iter().filter(|name| reports.join(name).is_file()) {
        let bytes = fs::read(reports.join(name)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{name}");
    }
}

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn a_collector_gets_a_file_of_its_own_that_is_always_whole() {
    let workspace = pair(false, "[run]\nmetrics = \"collected/nightly.prom\"");
    let path = workspace.path().join("collected/nightly.prom");
    call(&workspace, &["run"], &[]).expect(2, &["its folder is not there", "nothing was compared"]);
    assert!(workspace.runs().is_empty());
    fs::create_dir(workspace.path().join("collected")).unwrap();
    call(&workspace, &["run"], &[]).expect(1, &[]);
    let metrics = fs::read_to_string(&path).unwrap();
    assert_eq!(formats::metrics_complaints(&metrics), "");
    for series in [
        "reconcile_run_verdict{batch=\"nightly\"} 1",
        "reconcile_contract_verdict{batch=\"nightly\",contract=\"pair\",version=\"1.0.0\"} 1",
        "reconcile_divergence_kind_lines{batch=\"nightly\",contract=\"pair\",kind=\"mismatch\",severity=\"medium\"} 1",
        "reconcile_divergence_ratio{batch=\"nightly\",contract=\"pair\"} 0.5",
        "reconcile_build_info{batch=\"nightly\",version=\"0.1.0\"} 1",
        "reconcile_phase_duration_seconds{batch=\"nightly\",contract=\"pair\",phase=\"",
        "reconcile_contract_last_run_timestamp_seconds{batch=\"nightly\",contract=\"pair\"} ",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(series)), "{series}\n{metrics}");
    }
    // A run of a part would take the rest away; who asks for a file gets it.
    for arguments in [&["run", "pair"][..], &["run", "--where", "id = '1'"]] {
        fs::write(&path, "untouched").unwrap();
        call(&workspace, arguments, &[]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "untouched", "{arguments:?}");
    }
    call(&workspace, &["run", "pair", "--metrics", "collected/other.prom"], &[]).expect(1, &[]);
    assert!(fs::read_to_string(workspace.path().join("collected/other.prom")).unwrap().contains("batch=\"other\""));
    let diff = ["diff", "a.csv", "b.csv", "--key", "id", "--metrics", "collected/diff.prom"];
    call(&workspace, &diff, &[]).expect(1, &[]);
    let metrics = fs::read_to_string(workspace.path().join("collected/diff.prom")).unwrap();
    assert_eq!(formats::metrics_complaints(&metrics), "");
    assert!(metrics.contains("kind=\"mismatch\",severity=\"medium\"} 1"), "{metrics}");
    let left = tree(&workspace.path().join("collected"));
    assert_eq!(left, ["diff.prom", "nightly.prom", "other.prom"], "nothing is left aside");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_costs_no_run() {
    let workspace = pair(true, "");
    call(&workspace, &["run", "--junit", "a.csv"], &[]).expect(0, &[]);
    call(&workspace, &["run", "--junit", "reports"], &[]).expect(2, &["reports: is a folder, expected a file"]);
    assert_eq!(workspace.runs().len(), 1);
}

/// Reads JUnit with another program's parser: each testcase with what it holds.
fn junit(workspace: &Workspace, path: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    const PROGRAM: &str = "import json,sys,xml.etree.ElementTree as tree\n\
        root = tree.parse(sys.argv[1]).getroot()\n\
        assert root.tag == 'testsuites' and len(root) == 1, root.tag\n\
        cases = root[0].findall('testcase')\n\
        assert int(root.get('tests')) == int(root[0].get('tests')) == len(cases)\n\
        assert int(root.get('failures')) == len(root.findall('.//failure'))\n\
        assert int(root.get('errors')) == len(root.findall('.//error'))\n\
        float(root.get('time'))\n\
        print(json.dumps({c.get('name'): {**{e.tag: (e.get('message') or '') + '|' + (e.text or '') for e in c}, \
        'time': c.get('time'), 'classname': c.get('classname')} for c in cases}))\n";
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(path).current_dir(workspace.path()).output();
    let outcome = Outcome::of(&output.expect("python3 is there: .ci/test installs it"));
    serde_json::from_str(&outcome.expect(0, &[]).stdout).unwrap()
}

#[test]
fn a_pipeline_gets_a_testcase_a_contract() {
    let workspace = pair(false, "");
    let name = "we <ird> & \\\"odd\\\"";
    let more = format!(
        "[contract.\"{name}\"]\nversion = \"1.0.0\"\nauthority = \"authority\"\nprojection = \"authority\"\nkey = [\"id\"]\n\
         [source.gone]\nlocation = \"gone.csv\"\n[contract.broken]\nversion = \"1.0.0\"\nauthority = \"authority\"\n\
         projection = \"gone\"\nkey = [\"id\"]\n"
    );
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{text}{more}"));
    workspace.bytes("b.csv", "id,name\n1,Anna\n2,\"</failure>\u{1}\u{1b}[2J]]>&\u{ffff}\"\n".as_bytes());
    call(&workspace, &["run", "--junit", "junit.xml"], &[]).expect(2, &[]);
    let written = workspace.path().join("junit.xml");
    assert_eq!(fs::read(&written).unwrap(), fs::read(workspace.run().join("junit.xml")).unwrap());
    let cases = junit(&workspace, &written);
    assert_eq!(cases.len(), 3);
    let drifted = &cases["pair"]["failure"];
    assert!(
        drifted.starts_with("1 key diverges at or above low|")
            && drifted.contains("medium mismatch {\"id\":\"2\"} name"),
        "{drifted}"
    );
    assert!(drifted.contains("</failure>\\u{1}\\u{1b}[2J]]>&\\u{ffff}"), "{drifted}");
    assert!(cases["broken"]["error"].contains("gone.csv"), "{cases:?}");
    let agreed = &cases["we <ird> & \"odd\""];
    assert!(!agreed.contains_key("failure") && !agreed.contains_key("error"), "{agreed:?}");
}

fn attributes(of: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |value: &Any| match value {
        Any::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| text(pair.value.as_ref().unwrap().value.as_ref().unwrap());
    of.iter().map(|pair| (pair.key.as_str(), value(pair))).collect()
}

#[test]
fn a_collector_of_opentelemetry_gets_trace_and_metrics() {
    let receiver = Receiver::start(&[Answer::Status(200)]);
    let workspace = pair(false, "");
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=prod"),
    ];
    let outcome = call(&workspace, &["run", "--otlp", &format!("{}/otlp", receiver.url())], &variables);
    outcome.expect(1, &[]);
    assert_eq!(warnings(&workspace), Vec::<String>::new());
    keeps_the_secret(&workspace, &outcome);
    let requests = receiver.requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/otlp/v1/traces", "/otlp/v1/metrics"]);
    for request in &requests {
        assert_eq!(request.headers["content-type"], "application/x-protobuf");
        assert_eq!(request.headers["authorization"], "Bearer hunter2");
    }
    let traces = ExportTraceServiceRequest::decode(requests[0].body.as_slice()).unwrap();
    let resource = attributes(&traces.resource_spans[0].resource.as_ref().unwrap().attributes);
    assert_eq!((resource["service.name"].as_str(), resource["deployment.environment"].as_str()), ("reconcile", "prod"));
    trace_is_a_tree(&traces.resource_spans[0].scope_spans[0].spans, &workspace);

    let metrics = ExportMetricsServiceRequest::decode(requests[1].body.as_slice()).unwrap();
    let sent: Vec<&str> =
        metrics.resource_metrics[0].scope_metrics[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    let written = fs::read_to_string(workspace.run().join("metrics.prom")).unwrap();
    let names: Vec<&str> = written.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(sent, names, "both hold the same metrics");
}

#[test]
fn the_trace_goes_on_from_whoever_started_the_program() {
    let receiver = Receiver::start(&[Answer::Status(200)]);
    let workspace = pair(true, "");
    let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let run = |flags: &str| {
        let parent = format!("00-{trace}-{span}-{flags}");
        let variables = [("TRACEPARENT", &*parent), ("TRACESTATE", "vendor=x")];
        call(&workspace, &["run", "--no-cache", "--otlp", &receiver.url()], &variables).expect(0, &["agreed"]);
        receiver.requests()
    };
    let requests = run("01");
    let traces = ExportTraceServiceRequest::decode(requests[0].body.as_slice()).unwrap();
    let spans = &traces.resource_spans[0].scope_spans[0].spans;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(spans.iter().all(|one| hex(&one.trace_id) == trace && one.trace_state == "vendor=x"));
    let roots: Vec<_> = spans.iter().filter(|one| hex(&one.parent_span_id) == span).collect();
    assert!(roots.len() == 1 && roots[0].name == "reconcile run", "{roots:?}");
    // Whoever began the trace decided that it is not kept; the metrics are another matter.
    let paths: Vec<String> = run("00").into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/metrics"]);
    let outcome = call(&workspace, &["run", "--otlp", &receiver.url()], &[("TRACEPARENT", "hunter2")]);
    outcome.expect(0, &["TRACEPARENT is not one"]);
    keeps_the_secret(&workspace, &outcome);
}

/// A span for the run, the contract and each of its phases, each within the one above it.
fn trace_is_a_tree(spans: &[Span], workspace: &Workspace) {
    let [run, contract, phases @ ..] = spans else { panic!("{spans:?}") };
    assert_eq!((run.name.as_str(), contract.name.as_str()), ("reconcile run", "pair"));
    assert!(run.parent_span_id.is_empty() && contract.parent_span_id == run.span_id);
    assert!(!phases.is_empty() && phases.iter().all(|phase| phase.parent_span_id == contract.span_id));
    let within = |inner: &Span, outer: &Span| {
        // The clock of the wall may be set while a run goes on; lengths are measured by another.
        assert!(inner.end_time_unix_nano >= inner.start_time_unix_nano, "{inner:?}");
        assert_eq!((inner.trace_id.len(), inner.span_id.len()), (16, 8));
        assert_eq!(inner.trace_id, outer.trace_id);
    };
    within(contract, run);
    phases.iter().for_each(|phase| within(phase, contract));
    let said = attributes(&run.attributes);
    assert_eq!(said["reconcile.run_id"], workspace.run().file_name().unwrap().to_string_lossy());
    assert_eq!((said["reconcile.verdict"].as_str(), run.status.as_ref().unwrap().code), ("drifted", 0));
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len());
}

#[test]
fn traces_and_metrics_go_each_where_their_own_variables_say() {
    let (traces, both) = (Receiver::start(&[Answer::Status(500)]), Receiver::start(&[Answer::Status(200)]));
    let workspace = pair(true, "");
    let own = format!("{}/spans/in?site=eu", traces.url());
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*both.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &own),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=hunter2%2C,x-part=a%3Db"),
        ("OTEL_SERVICE_NAME", "nightly"),
    ];
    let outcome = call(&workspace, &["run", "--format", "json"], &variables);
    outcome.expect(0, &["agreed"]);
    keeps_the_secret(&workspace, &outcome);
    // Who does not take the one says nothing of who takes the other.
    let told = "OTLP: traces did not reach ${OTEL_EXPORTER_OTLP_TRACES_ENDPOINT}: ";
    assert!(printed(&outcome).len() == 1 && printed(&outcome)[0].starts_with(told), "{:?}", printed(&outcome));
    let (traces, metrics) = (traces.requests(), both.requests());
    assert_eq!(traces[0].path, "/spans/in?site=eu", "as it stands, with no path added");
    assert_eq!((traces[0].headers["x-key"].as_str(), traces[0].headers["x-part"].as_str()), ("hunter2,", "a=b"));
    assert!(
        !traces[0].headers.contains_key("authorization"),
        "the signal's own headers take the place of those of both"
    );
    assert_eq!((metrics.len(), metrics[0].path.as_str()), (1, "/v1/metrics"));
    assert_eq!(metrics[0].headers["authorization"], "Bearer hunter2");
    let sent = ExportMetricsServiceRequest::decode(metrics[0].body.as_slice()).unwrap();
    let resource = attributes(&sent.resource_metrics[0].resource.as_ref().unwrap().attributes);
    assert_eq!(resource["service.name"], "nightly");

    // gRPC is not spoken, which is said; and a process that is to send nothing sends nothing.
    let grpc = [variables[0], ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let outcome = call(&workspace, &["run", "--format", "json"], &grpc);
    outcome.expect(0, &["agreed"]);
    assert!(printed(&outcome)[0].contains("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"), "{:?}", printed(&outcome));
    let disabled = [variables[0], ("OTEL_SDK_DISABLED", "true")];
    let outcome = call(&workspace, &["run", "--format", "json"], &disabled);
    outcome.expect(0, &["agreed"]);
    assert_eq!((printed(&outcome).len(), both.requests().len()), (0, 0));
}

#[test]
fn the_environment_names_a_collector_and_one_that_is_not_there_changes_nothing() {
    let receiver = Receiver::start(&[Answer::Status(200)]);
    let workspace = pair(true, "");
    call(&workspace, &["run"], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]).expect(0, &["agreed"]);
    assert_eq!(receiver.requests().len(), 2);
    let gone = nobody().replace("http://", "http://amy:hunter2@");
    for (variables, told) in [
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", gone.as_str())],
            "OTLP: traces did not reach ${OTEL_EXPORTER_OTLP_ENDPOINT}: the connection was refused (tried 2 times)",
        ),
        (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")], "OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL"),
    ] {
        let outcome = call(&workspace, &["run", "--format", "json"], &variables);
        outcome.expect(0, &["agreed"]);
        assert!(printed(&outcome).iter().any(|warning| warning.contains(told)), "{:?}", printed(&outcome));
        keeps_the_secret(&workspace, &outcome);
    }
    let hangs = Receiver::start(&[Answer::Hang]);
    let arguments = ["run", "--format", "json", "--otlp", &hangs.url()];
    let outcome = call(&workspace, &arguments, &[("OTEL_EXPORTER_OTLP_TIMEOUT", "100")]);
    outcome.expect(0, &["agreed"]);
    assert!(printed(&outcome)[0].ends_with("no answer within 100 ms (tried 2 times)"), "{:?}", printed(&outcome));
    call(&workspace, &["run", "--otlp", "collector:4317"], &[]).expect(2, &["--otlp: expected a URL"]);
}

#[test]
fn a_catalogue_gets_the_events_of_each_contract() {
    let receiver = Receiver::start(&[Answer::Status(201)]);
    let workspace = pair(false, "[run]\nopenlineage = \"${LINEAGE}\"");
    let (url, key) = (receiver.url(), ("OPENLINEAGE_API_KEY", SECRET));
    let outcome = call(&workspace, &["run"], &[("LINEAGE", &url), key, ("OPENLINEAGE_NAMESPACE", "prod")]);
    outcome.expect(1, &[]);
    keeps_the_secret(&workspace, &outcome);
    let requests = receiver.requests();
    let kinds: Vec<Value> = requests.iter().map(|request| json(request)["eventType"].clone()).collect();
    assert_eq!(kinds, ["START", "COMPLETE"]);
    for request in &requests {
        assert_eq!(
            (request.path.as_str(), request.headers["authorization"].as_str()),
            ("/api/v1/lineage", "Bearer hunter2")
        );
        assert_eq!(json(request)["job"]["namespace"], "prod");
    }
    let ended = json(&requests[1]);
    let projection = &ended["inputs"][1];
    assert_eq!((projection["namespace"].as_str(), projection["name"].as_str()), (Some("file"), Some("b.csv")));
    let columns = serde_json::json!([{"name": "id", "type": "Utf8"}, {"name": "name", "type": "Utf8"}]);
    assert_eq!(projection["facets"]["schema"]["fields"], columns);
    let tested = projection["inputFacets"]["dataQualityAssertions"]["assertions"].as_array().unwrap();
    let failed: Vec<&str> =
        tested.iter().filter(|test| test["success"] == false).map(|test| test["assertion"].as_str().unwrap()).collect();
    assert_eq!(failed, ["agrees with its authority", "no mismatch", "equals its authority"]);
    assert!(!ended.to_string().contains("Quirinus"), "no value of a row");

    // A narrowed run says nothing of the whole, and a catalogue that refuses is a warning.
    call(&workspace, &["run", "--where", "id = '1'"], &[("LINEAGE", &url)]).expect(0, &[]);
    assert!(receiver.requests().is_empty());
    let refuses = Receiver::start(&[Answer::Status(403)]);
    let variables = [("LINEAGE", &*format!("{}/hunter2", refuses.url()))];
    let outcome = call(&workspace, &["run", "--format", "json"], &variables);
    outcome.expect(1, &[]);
    let told = "OpenLineage: 2 of 2 events did not reach ${LINEAGE}: it answered with status 403 (tried once)";
    assert!(printed(&outcome).contains(&told.to_owned()), "{:?}", printed(&outcome));
    keeps_the_secret(&workspace, &outcome);
    assert_eq!(refuses.requests()[0].path, "/hunter2");
}

const NOTIFY: &str = "[run.notify]\nurl = \"${HOOK}\"\nauthorization = \"Bearer ${TOKEN}\"\ntimeout = \"60s\"";

#[test]
fn a_webhook_is_tried_again_until_it_takes_the_notice() {
    let receiver = Receiver::start(&[Answer::Status(500), Answer::Status(500), Answer::Status(200)]);
    let workspace = pair(false, NOTIFY);
    let variables = [("HOOK", &*format!("{}/hunter2", receiver.url())), ("TOKEN", SECRET)];
    let outcome = call(&workspace, &["run"], &variables);
    outcome.expect(1, &[]);
    assert_eq!(warnings(&workspace), Vec::<String>::new());
    keeps_the_secret(&workspace, &outcome);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.headers["authorization"] == "Bearer hunter2"));
    let notice = json(&requests[2]);
    formats::holds("notice", &notice);
    assert_eq!(notice["events"], serde_json::json!(["drifted"]));
    assert_eq!(notice["run_id"].as_str().unwrap(), workspace.run().file_name().unwrap().to_string_lossy());
    assert_eq!(notice["contracts"][0]["divergences"], serde_json::json!({"mismatch": 1}));
    for hidden in ["Quirinus", "Bert", "a.csv", SECRET] {
        assert!(!notice.to_string().contains(hidden), "{notice}");
    }
    call(&workspace, &["run", "--no-notify"], &variables).expect(1, &[]);
    assert!(receiver.requests().is_empty());
}

#[test]
fn whoever_cannot_be_told_is_a_warning_and_nothing_more() {
    let hangs = Receiver::start(&[Answer::Hang]);
    let refuses = Receiver::start(&[Answer::Status(404)]);
    let cases = [
        (hangs.url(), "100ms", "no answer within 100 ms (tried 2 times)"),
        (nobody(), "60s", "the connection was refused (tried 2 times)"),
        (refuses.url(), "60s", "it answered with status 404 (tried once)"),
    ];
    for (url, timeout, problem) in cases {
        for (equal, status) in [(true, 0), (false, 1)] {
            let notify = "[run.notify]\nurl = \"${HOOK}\"\non = [\"agreed\", \"drifted\"]\nattempts = 2";
            let workspace = pair(equal, &format!("{notify}\ntimeout = \"{timeout}\""));
            let outcome = call(&workspace, &["run", "--format", "json"], &[("HOOK", &format!("{url}/hunter2"))]);
            assert_eq!(outcome.status, Some(status), "{}", outcome.shown());
            let told = format!("notify: nobody was told of this run at ${{HOOK}}: {problem}");
            // The run was published before anybody was told, so its record knows nothing of it.
            assert_eq!(printed(&outcome), std::slice::from_ref(&told));
            assert!(outcome.stderr.contains(&format!("warning: {told}")), "{}", outcome.shown());
            assert_eq!(warnings(&workspace), Vec::<String>::new());
            keeps_the_secret(&workspace, &outcome);
        }
    }
}

#[test]
fn a_recovery_is_told_once_and_what_was_not_asked_for_never() {
    let receiver = Receiver::start(&[Answer::Status(200)]);
    let notify = "[run.notify]\nurl = \"${HOOK}\"\nshape = \"slack\"\non = [\"recovered\", \"unverified\"]";
    let workspace = pair(false, notify);
    let url = receiver.url();
    let run = || call(&workspace, &["run", "--no-cache"], &[("HOOK", &url)]);
    run().expect(1, &[]);
    assert!(receiver.requests().is_empty(), "drift was not asked for");
    copy_is(&workspace, true);
    run().expect(0, &[]);
    let [told] = &receiver.requests()[..] else { panic!("one notice is expected") };
    let message = json(told);
    assert_eq!(message["text"], "reconcile: agreed, 1 contract");
    assert!(message["blocks"].to_string().contains("agree again: pair"), "{message}");
    run().expect(0, &[]);
    assert!(receiver.requests().is_empty(), "it agreed before");
    fs::remove_file(workspace.path().join("b.csv")).unwrap();
    run().expect(2, &[]);
    let [told] = &receiver.requests()[..] else { panic!("one notice is expected") };
    assert!(json(told)["blocks"].to_string().contains("*pair* unverified: it could not be compared"), "{told:?}");
}

#[test]
fn what_cannot_be_told_by_its_contract_is_said_before_anything_is_compared() {
    let cases = [
        ("[run]\nopenlineage = \"marquez\"", "`run.openlineage` is not an address that can be told: expected a URL"),
        ("[run.notify]\nurl = \"ftp://hunter2\"", "`run.notify.url` is not an address"),
        ("[run.notify]\non = [\"drifted\"]", "`run.notify.url` is missing"),
        ("[run.notify]\nurl = \"http://h\"\non = []", "`run.notify.on` is empty"),
        ("[run.notify]\nurl = \"http://h\"\non = [\"drifed\"]", "did you mean \"drifted\"?"),
        ("[run.notify]\nurl = \"http://h\"\nattempts = 0", "`run.notify.attempts` is 0, expected at least 1"),
        ("[run.notify]\nurl = \"http://h\"\ntimeout = \"2m\"", "at most 60s is allowed"),
        ("[run.notify]\nurl = \"http://h\"\nshape = \"teams\"", "not one of json, slack"),
    ];
    for (run, told) in cases {
        let workspace = pair(true, run);
        let outcome = call(&workspace, &["run"], &[]);
        outcome.expect(2, &[told]);
        assert!(!outcome.shown().contains(SECRET), "{}", outcome.shown());
        assert!(workspace.runs().is_empty());
    }
    let workspace = pair(true, "[run.notify]\nurl = \"http://h\"\nauthorization = \"Bearer hunter2\"");
    let outcome = call(&workspace, &["check"], &[]);
    outcome.expect(0, &["stands in the file"]);
    assert!(!outcome.shown().contains(SECRET), "{}", outcome.shown());
}

#[test]
fn a_comment_of_a_pull_request_never_grows_too_long() {
    let workspace = Workspace::new();
    let columns: Vec<String> = (0..2_000).map(|number| format!("attribute_with_a_long_name_{number:04}")).collect();
    for (name, value) in [("a.csv", "x"), ("b.csv", "y")] {
        let row = vec![format!("{value}{}", "v".repeat(40)); columns.len()];
        workspace.file(name, &format!("id,{}\n1,{}\n", columns.join(","), row.join(",")));
    }
    workspace.file("reconcile.toml", &pair_contract("a.csv", "b.csv"));
    let outcome = call(&workspace, &["run", "--format", "markdown", "--limit", "2000"], &[]);
    outcome.expect(1, &["# Reconciliation: drifted", "The rest is left out: a comment holds 65536 characters"]);
    assert!(outcome.stdout.chars().count() <= 65_536, "{}", outcome.stdout.chars().count());
    let whole = fs::read_to_string(workspace.run().join("report.md")).unwrap();
    assert!(whole.chars().count() > 65_536 && !whole.contains("The rest is left out"));
}
