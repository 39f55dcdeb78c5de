//! Contracts as users write them, right and wrong.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::super::*;
use super::check;
use crate::contract::read::Disk;
use crate::sides::Sides;

mod controls;
mod ownership;

/// Files in memory, and an environment.
#[derive(Default)]
struct Desk {
    files: BTreeMap<PathBuf, Vec<u8>>,
    environment: BTreeMap<&'static str, &'static str>,
}

impl Disk for Desk {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        self.files.get(file).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn matching(&self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let glob = globset::Glob::new(&folder.join(pattern).to_string_lossy()).map_err(|error| error.to_string())?;
        let matcher = glob.compile_matcher();
        Ok(self.files.keys().filter(|file| matcher.is_match(file)).cloned().collect())
    }

    fn identity(&self, file: &Path) -> PathBuf {
        file.to_path_buf()
    }
}

impl Desk {
    fn file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.into(), text.as_bytes().to_vec());
        self
    }

    fn set(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.insert(name, value);
        self
    }

    fn load(&self) -> Result<Configuration, Errors> {
        let environment = |name: &str| self.environment.get(name).map(|value| (*value).to_owned());
        check(Path::new("reconcile.toml"), &environment, self)
    }

    fn problems(&self) -> Vec<String> {
        match self.load() {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0.iter().map(|problem| problem.render("error")).collect(),
        }
    }
}

const HEAD: &str = "version = 1\n[source.erp]\nlocation = \"erp.csv\"\n[source.shop]\nlocation = \"shop.csv\"\n";

/// A file with two sources and one contract, to which lines are added.
fn orders(lines: &str) -> Desk {
    let contract =
        "[contract.orders]\nversion = \"1.0.0\"\nauthority = \"erp\"\nprojection = \"shop\"\nkey = [\"id\"]\n";
    Desk::default().file("reconcile.toml", &format!("{HEAD}{contract}{lines}"))
}

fn made(lines: &str) -> Arc<Contract> {
    let configuration = orders(lines).load().unwrap_or_else(|errors| panic!("{lines}\n{errors}"));
    Arc::clone(&configuration.contracts[0])
}

/// The one problem of a contract's lines, without its place.
fn message(lines: &str) -> String {
    match orders(lines).load() {
        Ok(_) => panic!("no problem in {lines}"),
        Err(Errors(problems)) => {
            assert_eq!(problems.len(), 1, "{lines}\n{problems:#?}");
            assert!(problems[0].position.is_some(), "{lines}");
            problems[0].message.clone()
        }
    }
}

fn number(coefficient: i128, exponent: i32) -> ExactDecimal {
    ExactDecimal { coefficient, exponent }
}

#[test]
fn ten_mistakes_are_ten_problems_each_with_its_place_and_hint() {
    let text = r#"version = 1
[source.erp]
location = "erp.csv"
fromat = "csv"
[source.shop]
location = "shop.csv"
max_age = 26
[contract.orders]
version = "1.0"
authority = "epr"
projection = "shop"
key = "id"
[contract.orders.severity]
missing = "critcal"
[contract.orders.attribute.premium]
type = "decimel(12, 2)"
tolerence = "0.01"
trim = true
[contract.orders.attribute.status]
type = "text"
tolerance = "1%"
timezone = "Europe/Rom"
"#;
    let problems = Desk::default().file("reconcile.toml", text).problems();
    let expected = [
        "error: reconcile.toml:4:1: source \"erp\": unknown key `fromat`, allowed here: location, context, format, table, query, filter, version_column, updated_at, deleted, captured_at, max_age, timezone, csv, pushdown, password_file, max_connections, max_rows_per_second, statement_timeout, max_duration, pause_if\nhint: did you mean `format`?",
        "error: reconcile.toml:7:11: source \"shop\": max_age is 26, expected a length of time such as \"26h\", \"15m\" or \"1d12h\" (ns us ms s m h d)\nhint: with its unit, for seconds: \"26s\"",
        "error: reconcile.toml:9:11: contract \"orders\": version is \"1.0\", expected a semantic version such as \"1.0.0\"\nhint: write \"1.0.0\"",
        "error: reconcile.toml:10:13: contract \"orders\": authority \"epr\" is no source\nhint: did you mean \"erp\"?",
        "error: reconcile.toml:12:7: contract \"orders\": key is \"id\", expected an array of strings\nhint: write `key = [\"id\"]`",
        "error: reconcile.toml:14:11: contract \"orders\": severity.missing \"critcal\" is not one of critical, high, medium, low, info\nhint: did you mean \"critical\"?",
        "error: reconcile.toml:16:8: contract \"orders\", attribute \"premium\": type \"decimel(12, 2)\" is not one of boolean, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, decimal, text, binary, date, time, timestamp, timestamptz, duration, uuid, json, decimal(p, s)\nhint: did you mean \"decimal(p, s)\"?",
        "error: reconcile.toml:17:1: contract \"orders\", attribute \"premium\": unknown key `tolerence`, allowed here: column, projected_as, owner, unicode, spaces, trim, case, null_equals, translate, type, round, tolerance, timezone, severity, repair, pii, derive, lookup\nhint: did you mean `tolerance`?",
        "error: reconcile.toml:18:8: contract \"orders\", attribute \"premium\": trim is true, expected one of left, right, both, none",
        "error: reconcile.toml:21:13: contract \"orders\", attribute \"status\": tolerance on type \"text\", which has no distance",
        "error: reconcile.toml:22:12: contract \"orders\", attribute \"status\": timezone is \"Europe/Rom\", expected an IANA time zone such as \"Europe/Rome\", or an offset such as \"+02:00\"\nhint: did you mean \"Europe/Rome\"?",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_bad_value_or_combination_is_one_problem() {
    let attribute = |lines: &str| format!("[contract.orders.attribute.x]\n{lines}\n");
    let cases = [
        ("tags = [1]", "`tags` holds 1, expected strings"),
        ("compare = \"some\"", "compare \"some\" is not one of all, declared"),
        ("window = \"0s\"", "window is \"0s\", expected a length of time above zero"),
        (
            "cadence = \"1m1h\"",
            "cadence is \"1m1h\", expected a length of time such as \"26h\", \"15m\" or \"1d12h\" (ns us ms s m h d)",
        ),
        ("allow = { keys = -1 }", "allow.keys is -1, expected a whole number"),
        (
            "allow = { ratio = \"101%\" }",
            "allow.ratio is \"101%\", expected a share between 0 and 1, or between \"0%\" and \"100%\"",
        ),
        ("allow = 3", "allow is 3, expected a table"),
        ("ignore = [\"id\"]", "ignore \"id\" leaves out key attribute \"id\", which the contract names"),
        ("ignore = [\"a[\"]", "ignore is \"a[\", expected a glob (unclosed character class; missing ']')"),
        ("ignore = [\"authority:\"]", "ignore is \"authority:\", expected a column name or a glob such as \"etl_*\""),
        ("extends = \"order\"", "extends \"order\" is no contract"),
        ("rule = 1", "rule is 1, expected an array of tables"),
        ("attribute = { x = 1 }", "attribute.x is 1, expected a table"),
        ("[[contract.orders.rule]]\nname = \"r\"\nseverity = \"low\"", "`when` is missing"),
        (&attribute("tolerance = \"-1\""), "tolerance is \"-1\", expected a tolerance that is not negative"),
        (
            &attribute("tolerance = \"200%\""),
            "tolerance is \"200%\", expected at most \"100%\" (of the larger magnitude)",
        ),
        (
            &attribute("tolerance = nan"),
            "tolerance is nan, expected a number (\"0.01\"), a percentage (\"1%\") or a time (\"500ms\"; ns us ms s m h d)",
        ),
        (
            &attribute("type = \"int64\"\ntolerance = \"5s\""),
            "tolerance on type \"int64\" is a time, expected a number or percentage",
        ),
        (&attribute("type = \"date\"\ntolerance = 1"), "tolerance on type \"date\" is a number, expected a time"),
        (&attribute("type = \"date\"\nround = 1"), "round on type \"date\", which is not numeric"),
        (
            &attribute("type = \"decimal(77, 2)\""),
            "type is \"decimal(77, 2)\", expected decimal(p, s) with p from 1 to 76 and s from 0 to p, such as \"decimal(12, 2)\"",
        ),
        (&attribute("owner = \"shop\""), "owner \"shop\" is the projection, which owns nothing"),
        (
            &attribute("owner = [\"erp\", \"shop\"]"),
            "owner is an array of sources, expected one source: an attribute has one owner, never two",
        ),
        (&attribute("owner = \"ebp\""), "owner \"ebp\" is no source"),
        (&attribute("projected_as = \"id\""), "projected_as \"id\" is the column of attribute \"id\" already"),
        (
            &attribute("projected_as = []"),
            "projected_as is an array, expected a column's name, or an array of a struct's members such as [\"address\", \"city\"]",
        ),
        (&attribute("column = \"a\"\nderive = \"b\""), "both `column` and `derive` are given, expected one of them"),
        (
            &attribute("translate = { A = [1] }"),
            "`translate` turns \"A\" into an array, expected a string, number or boolean",
        ),
        (&attribute("translate = { file = \"none.csv\" }"), "translate file none.csv cannot be read: entity not found"),
        (
            "[contract.orders.attribute.id]\ntolerance = 1",
            "tolerance on a key attribute, which must be equal to be found",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(message(lines), expected, "{lines}");
    }
}

#[test]
fn a_tolerance_without_a_key_is_a_problem() {
    let text = format!(
        "{HEAD}[contract.o]\nversion = \"1.0.0\"\nauthority = \"erp\"\nprojection = \"shop\"\nkey = []\nattribute.x.tolerance = 1\n"
    );
    let problems = Desk::default().file("reconcile.toml", &text).problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("tolerance without a key"), "{problems:?}");
}

#[test]
fn two_owners_of_one_projected_column_are_named() {
    let lines = "[contract.orders.attribute.a]\nprojected_as = \"x\"\n[contract.orders.attribute.b]\nprojected_as = \"x\"\nowner = \"billing\"\n[source.billing]\nlocation = \"b.csv\"\n";
    assert!(message(lines).contains("two owners (\"erp\" and \"billing\")"));
}

#[test]
fn numbers_are_taken_by_their_written_text() {
    let tolerance =
        |written: &str| made(&format!("attribute.x.tolerance = {written}")).attributes[0].options.tolerance.clone();
    let cases = [
        ("0.1", Tolerance::Absolute(number(1, -1))),
        ("\"0.010\"", Tolerance::Absolute(number(1, -2))),
        ("1", Tolerance::Absolute(number(1, 0))),
        ("0", Tolerance::Absolute(number(0, 0))),
        ("\".5\"", Tolerance::Absolute(number(5, -1))),
        ("1e-5", Tolerance::Absolute(number(1, -5))),
        ("9_007_199_254_740_993.1", Tolerance::Absolute(number(90_071_992_547_409_931, -1))),
        ("\"1%\"", Tolerance::Relative(number(1, -2))),
        ("\"0.5 %\"", Tolerance::Relative(number(5, -3))),
        ("\"100%\"", Tolerance::Relative(number(1, 0))),
        ("\"500ms\"", Tolerance::Time(Span(500_000_000))),
        ("\"1d12h\"", Tolerance::Time(Span(129_600_000_000_000))),
        ("\"1.5us\"", Tolerance::Time(Span(1500))),
    ];
    for (written, expected) in cases {
        assert_eq!(tolerance(written), Some(expected), "{written}");
    }
}

#[test]
fn sizes_are_read_in_their_usual_spellings() {
    let cases = [
        ("4 GiB", 4 << 30),
        ("1GiB", 1 << 30),
        ("512MB", 512_000_000),
        ("1048576", 1 << 20),
        ("1.5 KiB", 1536),
        ("2g", 2 << 30),
    ];
    for (text, bytes) in cases {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "0", "-1", "4 GiX", "1.0001 B", "GiB", "99999999999999999999 TiB"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
}

#[test]
fn every_type_of_the_reference_is_read() {
    let logical_type =
        |written: &str| made(&format!("attribute.x.type = \"{written}\"")).attributes[0].options.logical_type;
    let cases = [
        ("boolean", LogicalType::Boolean),
        ("int8", LogicalType::Integer { bits: 8, signed: true }),
        ("uint64", LogicalType::Integer { bits: 64, signed: false }),
        ("float32", LogicalType::Float32),
        ("decimal", LogicalType::Decimal(None)),
        ("decimal(76, 0)", LogicalType::Decimal(Some((76, 0)))),
        ("decimal (12,2)", LogicalType::Decimal(Some((12, 2)))),
        ("timestamptz", LogicalType::TimestampTz),
        ("duration", LogicalType::Duration),
        ("uuid", LogicalType::Uuid),
        ("json", LogicalType::Json),
    ];
    for (written, expected) in cases {
        assert_eq!(logical_type(written), Some(expected), "{written}");
    }
}

#[test]
fn zones_are_iana_names_or_offsets() {
    let seconds = |written: &str| {
        let contract = made(&format!("attribute.x.timezone = \"{written}\""));
        let zone = contract.attributes[0].options.timezone.clone().expect("a zone");
        zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds()
    };
    for (written, expected) in
        [("UTC", 0), ("Z", 0), ("Europe/Rome", 3600), ("+02:00", 7200), ("-0330", -12600), ("+5", 18000)]
    {
        assert_eq!(seconds(written), expected, "{written}");
    }
    for written in ["", "+25:00", "+1:5", "local", "CEST-1"] {
        assert!(
            message(&format!("attribute.x.timezone = \"{written}\"")).contains("expected an IANA time zone"),
            "{written}"
        );
    }
}

#[test]
fn a_zone_comes_from_the_source_then_the_contract_then_the_defaults() {
    let text = "version = 1\n[defaults]\ntimezone = \"+01:00\"\n[source.a]\nlocation = \"a\"\ntimezone = \"+03:00\"\n[source.b]\nlocation = \"b\"\n\
        [contract.one]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n\
        [contract.two]\nextends = \"one\"\ntimezone = \"+02:00\"\n";
    let configuration = Desk::default().file("reconcile.toml", text).load().expect("a configuration");
    let hours = |contract: &Contract| {
        contract.sources.as_ref().map(|_, source| {
            source.timezone.clone().expect("a zone").to_offset(jiff::Timestamp::UNIX_EPOCH).seconds() / 3600
        })
    };
    assert_eq!(hours(&configuration.contracts[0]), Sides { authority: 3, projection: 1 });
    assert_eq!(hours(&configuration.contracts[1]), Sides { authority: 3, projection: 2 });
    assert!(configuration.contracts[0].attribute_defaults.timezone.is_none());
}

#[test]
fn defaults_and_extends_are_merged_the_nearest_first() {
    let text = format!(
        "{HEAD}[defaults]\nfail_on = \"high\"\ntrim = \"both\"\nnull_equals = [\"-\"]\nseverity = {{ missing = \"low\", orphan = \"low\" }}\n\
        [contract.base]\nversion = \"1.2.3\"\nauthority = \"erp\"\nprojection = \"shop\"\nkey = [\"id\"]\ncase = \"ignore\"\n\
        severity = {{ missing = \"info\" }}\nattribute.x = {{ round = 2, translate = {{ A = 1, B = true }} }}\n\
        [contract.child]\nextends = \"base\"\nfail_on = \"medium\"\nattribute.x = {{ trim = \"none\", translate = {{ C = 1.50 }} }}\nattribute.y.null_equals = []\n"
    );
    let configuration = Desk::default().file("reconcile.toml", &text).load().expect("a configuration");
    let [base, child] = &configuration.contracts[..] else { panic!("two contracts") };
    assert_eq!((base.fail_on, child.fail_on), (Severity::High, Severity::Medium));
    assert_eq!(child.version, Version { text: "1.2.3".to_owned(), major: 1 });
    assert_eq!(child.severity[&Kind::Missing], Severity::Info);
    assert_eq!(child.severity[&Kind::Orphan], Severity::Low);
    assert_eq!(child.attribute_defaults.trim, Some(Trim::Both));
    assert!(child.attribute_defaults.ignore_case);
    let x = &child.attributes[0].options;
    assert_eq!((x.trim, x.ignore_case, x.round), (None, true, Some(2)));
    assert_eq!(x.null_equals, ["-"]);
    let translate: Vec<(&String, &String)> = x.translate.as_ref().expect("a table").iter().collect();
    assert_eq!(translate, [(&"C".to_owned(), &"1.50".to_owned())]);
    assert!(child.attributes[1].options.null_equals.is_empty());
    let base_translate = base.attributes[0].options.translate.clone().expect("a table");
    assert_eq!((base_translate["A"].as_str(), base_translate["B"].as_str()), ("1", "true"));
}

#[test]
fn a_cycle_of_extends_is_said_at_each_of_its_contracts() {
    let text =
        format!("{HEAD}[contract.a]\nextends = \"b\"\n[contract.b]\nextends = \"a\"\n[contract.c]\nextends = \"a\"\n");
    let problems = Desk::default().file("reconcile.toml", &text).problems();
    assert_eq!(
        problems,
        [
            "error: reconcile.toml:7:11: contract \"a\": `extends` makes a cycle: b → a → b",
            "error: reconcile.toml:9:11: contract \"b\": `extends` makes a cycle: a → b → a",
        ]
    );
}

#[test]
fn included_files_hold_sources_and_contracts_of_their_own_folder() {
    let main = "version = 1\ninclude = [\"teams/*.toml\"]\n[source.erp]\nlocation = \"erp.csv\"\n[contract.z]\nversion = \"1.0.0\"\nauthority = \"erp\"\nprojection = \"shop\"\nkey = []\n";
    let shop = "[source.shop]\nlocation = \"shop.csv\"\n[contract.a]\nextends = \"z\"\nattribute.s.translate = { file = \"map.csv\" }\nattribute.id = {}\n";
    let desk = Desk::default()
        .file("reconcile.toml", main)
        .file("teams/shop.toml", shop)
        .file("teams/map.csv", "from,to\nA,\"x, y\"\n,empty\n");
    let configuration = desk.load().expect("a configuration");
    let names: Vec<&str> = configuration.contracts.iter().map(|contract| contract.name.as_str()).collect();
    assert_eq!(names, ["z", "a"]);
    let Location::Files { written, path } = &configuration.sources["shop"].location else { panic!("files") };
    assert_eq!((written.as_str(), path.as_path()), ("shop.csv", Path::new("teams/shop.csv")));
    let translate = configuration.contracts[1].attributes[0].options.translate.clone().expect("a table");
    assert_eq!((translate["A"].as_str(), translate[""].as_str()), ("x, y", "empty"));
}

#[test]
fn what_goes_wrong_between_files_names_the_file() {
    let main = "version = 1\ninclude = [\"a.toml\", \"gone.toml\", \"none/*.toml\"]\n[source.erp]\nlocation = \"e\"\n";
    let team = "include = [\"reconcile.toml\"]\n[run]\nthreads = 1\n[source.erp]\nlocation = \"x\"\n";
    let problems = Desk::default().file("reconcile.toml", main).file("a.toml", team).problems();
    assert_eq!(
        problems,
        [
            "error: reconcile.toml:2:22: included file gone.toml cannot be read: entity not found",
            "error: a.toml:1:12: `include` makes a cycle: reconcile.toml leads here\nhint: a file must not include itself",
            "error: a.toml:2:2: unknown key `run`, allowed here: version, include, source, contract\nhint: `run` belongs at the top of the main file",
            "error: a.toml:4:9: source \"erp\": the name is taken, it was first used at reconcile.toml:3",
        ]
    );
}

#[test]
fn a_broken_translate_file_is_said_line_by_line() {
    let desk = orders("attribute.s.translate = { file = \"map.csv\" }").file("map.csv", "from,to\nA,1\nB\nA,2\n");
    let Err(Errors(problems)) = desk.load() else { panic!("a problem") };
    let messages: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "translate file map.csv, line 3: 1 field(s), expected two (from, to)",
            "translate file map.csv, line 4: \"A\" is already on line 2",
        ]
    );
}

#[test]
fn environment_variables_stand_in_strings() {
    let desk = orders(
        "team = \"${TEAM}\"\ndescription = \"$${TEAM} ${NONE:-fall back} ${EMPTY:-x}\"\nfail_on = \"${LEVEL:-high}\"",
    )
    .set("TEAM", "crm")
    .set("EMPTY", "");
    let contract = Arc::clone(&desk.load().expect("a configuration").contracts[0]);
    assert_eq!(contract.team.as_deref(), Some("crm"));
    assert_eq!(contract.description.as_deref(), Some("${TEAM} fall back x"));
    assert_eq!(contract.fail_on, Severity::High);
    assert_eq!(message("fail_on = \"${LEVEL}\""), "environment variable `LEVEL` is not set");
    assert_eq!(message("team = \"${LEVEL\""), "`${` without its `}`");
    assert_eq!(message("team = \"${A-B}\""), "`${A-B}` does not name an environment variable");
}

#[test]
fn what_came_from_the_environment_is_never_repeated() {
    let desk = orders("fail_on = \"${WORD}\"\nwindow = \"${WORD}\"\nauthority = \"${WORD}\"\n").set("WORD", "hunter2");
    let text = format!(
        "{HEAD}[contract.a]\nversion = \"${{WORD}}\"\nauthority = \"${{WORD}}\"\nprojection = \"shop\"\nkey = [\"id\"]\nfail_on = \"${{WORD}}\"\n[source.db]\nlocation = \"postgres://amy:${{WORD}}@db/shop\"\ntable = \"t\"\nmax_age = \"${{WORD}}\"\ncaptured_at = \"${{WORD}}\"\n"
    );
    let desk = Desk { files: desk.files, environment: desk.environment }.file("reconcile.toml", &text);
    let problems = desk.problems();
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert!(
        problems.iter().all(|problem| !problem.contains("hunter2") && problem.contains("${WORD}")),
        "{problems:#?}"
    );
}

#[test]
fn options_of_later_versions_are_said_when_used() {
    let lines = "window = \"15m\"\ncadence = \"24h\"\n\
        [contract.orders.attribute.a]\nowner = \"billing\"\nderive = \"x - y\"\n[contract.orders.attribute.b]\npii = \"mask\"\nowner = \"erp\"\n\
        [source.billing]\nlocation = \"b\"\n";
    let contract = made(lines);
    let said: Vec<(&str, bool)> =
        contract.unserved.iter().map(|unserved| (unserved.option.as_str(), unserved.hides)).collect();
    assert_eq!(said, [] as [(&str, bool); 0]);
}

#[test]
fn a_location_that_is_not_files_says_what_would_serve_it() {
    let text = "version = 1\n[source.a]\nlocation = \"kafka://u:p@h/topic\"\ndeleted = \"gone\"\n[source.b]\nlocation = \"s3://bucket/x\"\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = []\n";
    let configuration = Desk::default().file("reconcile.toml", text).load().expect("a configuration");
    let unserved: Vec<(&str, bool, bool)> = configuration.contracts[0]
        .unserved
        .iter()
        .map(|unserved| (unserved.option.as_str(), unserved.hides, unserved.consequence.contains("later version")))
        .collect();
    assert_eq!(unserved, [("source.a.location", true, true), ("source.b.location", true, true)]);
    assert_eq!(configuration.sources["a"].location.shown(), "kafka://h/topic");
}

#[test]
fn the_digest_follows_the_meaning_and_nothing_else() {
    let digest = |lines: &str| made(lines).digest;
    let plain =
        digest("[contract.orders.attribute.a]\nround = 2\n[contract.orders.attribute.b]\ntolerance = \"0.010\"\n");
    let same = [
        "# a comment\ndescription = \"x\"\nteam = \"t\"\ntags = [\"n\"]\n[contract.orders.attribute.b]\ntolerance = 0.01\n[contract.orders.attribute.a]\nround = 2\n",
        "runbook = \"r\"\nfail_on = \"low\"\ncompare = \"all\"\n[contract.orders.attribute.a]\nround = 2\ntrim = \"none\"\n[contract.orders.attribute.b]\ntolerance = 1e-2\n",
    ];
    for lines in same {
        assert_eq!(digest(lines), plain, "{lines}");
    }
    let base = digest("");
    let different = [
        "fail_on = \"high\"",
        "compare = \"declared\"",
        "ignore = [\"x\"]",
        "null_keys = \"match\"",
        "window = \"1s\"",
        "trim = \"both\"",
        "timezone = \"UTC\"",
        "allow.keys = 0",
        "severity.missing = \"high\"",
        "repair.missing = \"auto\"",
        "[contract.orders.attribute.a]",
        "attribute.a.type = \"int8\"",
        "attribute.a.type = \"decimal(3, 1)\"",
        "attribute.a.owner = \"billing\"\n[source.billing]\nlocation = \"x\"",
        "rule = [{ name = \"a\", when = \"true\", severity = \"low\" }]",
        "rule = [{ name = \"a\", when = \"false\", severity = \"low\" }]",
        "rule = [{ name = \"a\", when = \"false\", severity = \"high\" }]",
        "total = [{ name = \"a\" }]",
        "total = [{ name = \"a\", severity = \"low\" }]",
        "total = [{ name = \"a\", by = [\"b\"] }]",
        "total = [{ name = \"a\", sum = [\"b\"] }]",
        "invariant = [{ name = \"a\", side = \"authority\", when = \"b > 1\", severity = \"low\" }]",
        "invariant = [{ name = \"a\", side = \"both\", when = \"b > 1\", severity = \"low\" }]",
        "value_at_risk = \"b\"",
    ];
    let mut seen = std::collections::BTreeSet::from([base]);
    for lines in different {
        assert!(seen.insert(digest(lines)), "{lines}");
    }
}

#[test]
fn csv_options_are_read() {
    let text = HEAD.replace("location = \"erp.csv\"\n", "location = \"erp.csv\"\ncsv = { delimiter = \"\\t\", header = false, null = [\"\", \"NULL\"], encoding = \"latin1\", decimal = \",\", date_format = \"%d.%m.%Y\", timestamp_format = \"%s\", true = [\"J\"], false = [\"N\"] }\n");
    let text =
        format!("{text}[contract.o]\nversion = \"1.0.0\"\nauthority = \"erp\"\nprojection = \"shop\"\nkey = []\n");
    let configuration = Desk::default().file("reconcile.toml", &text).load().expect("a configuration");
    let expected = CsvOptions {
        delimiter: Some(b'\t'),
        header: false,
        null: Some(vec![String::new(), "NULL".to_owned()]),
        encoding: encoding_rs::WINDOWS_1252,
        decimal: ',',
        date_format: Some("%d.%m.%Y".to_owned()),
        timestamp_format: Some("%s".to_owned()),
        true_texts: vec!["J".to_owned()],
        false_texts: vec!["N".to_owned()],
    };
    assert_eq!(configuration.sources["erp"].csv, expected);
    assert_eq!(configuration.sources["shop"].csv, CsvOptions::default());
}

#[test]
fn captured_at_is_a_time_a_column_or_the_files_own() {
    let captured = |written: &str| {
        let text = HEAD.replace("location = \"erp.csv\"\n", &format!("location = \"erp.csv\"\n{written}\n"));
        let text =
            format!("{text}[contract.o]\nversion = \"1.0.0\"\nauthority = \"erp\"\nprojection = \"shop\"\nkey = []\n");
        let loaded = Desk::default().file("reconcile.toml", &text).load();
        loaded
            .map(|configuration| configuration.sources["erp"].captured_at.clone())
            .map_err(|errors| errors.to_string())
    };
    let noon = CapturedAt::At("2026-01-31T12:00:00Z".parse().expect("a time"));
    let cases = [
        ("captured_at = 2026-01-31T13:00:00+01:00", Ok(noon.clone())),
        ("captured_at = \"2026-01-31T12:00:00Z\"", Ok(noon.clone())),
        ("captured_at = 2026-01-31T13:00:00\ntimezone = \"Europe/Rome\"", Ok(noon)),
        ("captured_at = { column = \"as_of\" }", Ok(CapturedAt::Column("as_of".to_owned()))),
        ("captured_at = { file = \"mtime\" }", Ok(CapturedAt::FileModified)),
        ("", Ok(CapturedAt::SourceTells)),
    ];
    for (written, expected) in cases {
        assert_eq!(captured(written), expected, "{written}");
    }
    let wrong = [
        ("captured_at = 2026-01-31T13:00:00", "no zone"),
        ("captured_at = \"noon\"", "expected a time"),
        ("captured_at = { file = \"ctime\" }", "expected a time, { column"),
        ("captured_at = 2026-03-29T02:30:00\ntimezone = \"Europe/Rome\"", "does not have"),
    ];
    for (written, expected) in wrong {
        assert!(captured(written).expect_err(written).contains(expected), "{written}");
    }
}

#[test]
fn a_syntax_error_is_one_problem_at_its_place() {
    let cases =
        [("version = 1\nrun = [\n", 2, 8), ("version = \n", 1, 11), ("a = 1\na = 2\n", 2, 1), ("ä = ü\n", 1, 1)];
    for (text, line, column) in cases {
        let Err(Errors(problems)) = parse_text(text) else { panic!("{text}") };
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.starts_with("not valid TOML: "), "{problems:?}");
        assert_eq!(problems[0].position, Some((line, column)), "{text:?} {problems:?}");
    }
    let mut desk = Desk::default();
    desk.files.insert("reconcile.toml".into(), b"version = 1\nx = \"\xFF\"".to_vec());
    assert_eq!(desk.problems(), ["error: reconcile.toml:2:6: not valid UTF-8, expected a TOML file in UTF-8"]);
}

#[test]
fn a_file_without_contracts_never_agrees() {
    assert_eq!(
        Desk::default().file("reconcile.toml", "version = 1").problems(),
        [
            "error: reconcile.toml: there is no contract, expected at least one\nhint: write [contract.NAME] as docs/contract.md says; the shipped reconcile.toml is an example"
        ]
    );
    assert_eq!(Desk::default().problems().len(), 1);
}

#[test]
fn no_text_makes_the_parser_panic() {
    let example = crate::contract::schema::EXAMPLE;
    for end in (0..example.len()).filter(|end| example.is_char_boundary(*end)).step_by(5) {
        let _ = parse_text(&example[..end]);
    }
    for (start, _) in example.char_indices().step_by(31) {
        for sign in ["\"", "[", "}", "=", "\n", "${", "é", "-1", "{"] {
            let _ = parse_text(&format!("{}{sign}{}", &example[..start], &example[start..]));
        }
    }
    let deep = format!("a = {}", "[".repeat(100_000));
    let dotted = format!("{} = 1", vec!["a"; 50_000].join("."));
    for text in
        [deep.as_str(), dotted.as_str(), "\u{feff}version = 1", "a = 99999999999999999999999999999999999999999999"]
    {
        assert!(parse_text(text).is_err());
    }
}

#[test]
fn the_example_of_the_specification_loads_from_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("reconcile.toml");
    std::fs::write(&file, crate::contract::schema::EXAMPLE).expect("written");
    std::fs::create_dir(folder.path().join("contracts")).expect("made");
    let team = "[source.crm]\nlocation = \"../crm.ndjson\"\n[source.billing]\nlocation = \"billing.csv\"\n";
    std::fs::write(folder.path().join("contracts/team.toml"), team).expect("written");
    let configuration = load(&file, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(configuration.run.memory_limit, Some(4 << 30));
    assert_eq!(configuration.run.reports, folder.path().join("reports"));
    let contract = &configuration.contracts[0];
    assert_eq!(contract.version.major, 2);
    assert_eq!(contract.allow.ratio, Some(number(1, -4)));
    assert_eq!(contract.attributes.len(), 5);
    let Location::Files { path, .. } = &contract.sources.projection.location else { panic!("files") };
    assert_eq!(path, &folder.path().join("contracts/../crm.ndjson"));
}

mod diff {
    use super::*;

    fn request() -> DiffRequest {
        DiffRequest {
            authority: "a.csv".to_owned(),
            projection: "b.csv".to_owned(),
            key: vec!["id".to_owned()],
            ..DiffRequest::default()
        }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn flags_make_a_contract_named_diff() {
        let request = DiffRequest {
            map: vec![pair("total", "sum")],
            types: vec![pair("total", "decimal(12, 2)"), pair("born", "date")],
            tolerance: vec![(None, "1%".to_owned()), (Some("total".to_owned()), "0.01".to_owned())],
            ignore: vec!["etl_*".to_owned()],
            only: vec!["total".to_owned()],
            trim: true,
            null_equals: vec!["N/A".to_owned()],
            row_filter: Some("total > 1".to_owned()),
            ..request()
        };
        let contract = for_diff(&request).expect("a contract");
        assert_eq!((contract.name.as_str(), contract.version.text.as_str()), ("diff", "1.0.0"));
        assert_eq!((contract.fail_on, contract.compare), (Severity::Low, Compare::All));
        assert_eq!(contract.sources.authority.name, "a.csv");
        assert_eq!(contract.numeric_tolerance, Some(Tolerance::Relative(number(1, -2))));
        let total = &contract.attributes[0];
        assert_eq!((&total.column[..], &total.projected_as[..]), (&["total".to_owned()][..], &["sum".to_owned()][..]));
        assert_eq!(total.options.tolerance, Some(Tolerance::Absolute(number(1, -2))));
        assert_eq!(total.options.trim, Some(Trim::Both));
        assert_eq!(contract.attributes[1].options.logical_type, Some(LogicalType::Date));
        assert_eq!(contract.attribute_defaults.null_equals, ["N/A"]);
        assert!(contract.unserved.is_empty());
    }

    #[test]
    fn a_problem_names_the_flag() {
        let request = DiffRequest {
            authority: "ftp://amy:secret@host/x".to_owned(),
            map: vec![pair("a", "x"), pair("y", "x")],
            types: vec![pair("b", "decimel"), pair("b", "text")],
            tolerance: vec![
                (None, "5s".to_owned()),
                (Some("id".to_owned()), "1".to_owned()),
                (Some("c".to_owned()), "x".to_owned()),
            ],
            ignore: vec!["id".to_owned()],
            ..request()
        };
        let errors = for_diff(&request).expect_err("problems").to_string();
        let expected = [
            "error: AUTHORITY: the location's scheme is not one of file,",
            "error: --map: attribute \"y\": projected_as \"x\" is the column of attribute \"a\" already",
            "error: --type: attribute \"b\": type \"decimel\" is not one of",
            "hint: did you mean \"decimal\"?",
            "error: --type: \"b\" is named twice",
            "error: --tolerance: a value for all columns is for numbers, and \"5s\" is a time\nhint: name the column: --tolerance COLUMN=5s",
            "error: --tolerance: attribute \"id\": tolerance on a key attribute",
            "error: --tolerance: attribute \"c\": tolerance is \"x\", expected a number",
            "error: --ignore: ignore \"id\" leaves out key attribute \"id\"",
        ];
        for line in expected {
            assert!(errors.contains(line), "{line}\n---\n{errors}");
        }
        assert!(!errors.contains("secret"));
    }

    #[test]
    fn a_tolerance_needs_a_key() {
        let request = DiffRequest { key: Vec::new(), tolerance: vec![(None, "1".to_owned())], ..request() };
        assert!(for_diff(&request).expect_err("a problem").to_string().contains("tolerance without a key"));
    }
}
