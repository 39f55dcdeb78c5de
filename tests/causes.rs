//! Causes as users see them: on the airports, and on planted tables whose options are pasted and settle what they say.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};
use serde_json::Value;
use toml::Table;

use crate::support::{Workspace, contract, counts, divergences, pair_contract, read_json, root, write_parquet};

/// The causes of a contract: name and attribute, with keys and option.
fn causes(contract: &Value) -> BTreeMap<(String, String), (u64, Option<String>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    contract["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| {
            assert!(!text(&cause["evidence"]).is_empty(), "{cause}");
            let option = cause["option"].as_str().map(str::to_owned);
            ((text(&cause["cause"]), text(&cause["attribute"])), (cause["keys"].as_u64().unwrap(), option))
        })
        .collect()
}

#[test]
fn the_airports_were_rounded_to_six_and_to_five_decimals() {
    let workspace = Workspace::new();
    let (config, reports) = (root().join("reconcile.toml"), workspace.path().join("reports"));
    let arguments =
        ["--config", config.to_str().unwrap(), "run", "airports-strict", "--out", reports.to_str().unwrap()];
    workspace.reconcile(arguments).expect(1, &["29,687", "19,782", "tolerance = \"0.00001\""]);
    let summary = workspace.summary();
    let found = contract(&summary, "airports-strict")["causes"].as_array().unwrap();
    let rounded: Vec<&Value> = found.iter().filter(|cause| cause["cause"] == "rounded").collect();
    let keys = |decimals: &str| -> u64 {
        let of = rounded.iter().filter(|cause| cause["evidence"].as_str().unwrap().contains(decimals));
        of.map(|cause| cause["keys"].as_u64().unwrap()).sum()
    };
    assert_eq!((keys("rounded to 6 decimals"), keys("rounded to 5 decimals")), (29_687, 19_782));
    assert_eq!(rounded.len(), 4, "lat and lon, each to 6 and to 5 decimals: {rounded:?}");
    for cause in &rounded {
        let attribute = cause["attribute"].as_str().unwrap();
        let expected = format!("[contract.airports-strict.attribute.{attribute}]\ntolerance = \"0.00001\"");
        assert_eq!(cause["option"], expected, "{attribute}");
    }
    let lines = divergences(&workspace.run());
    let named = lines.iter().filter(|line| line.get("cause").is_some_and(|cause| cause == "rounded")).count();
    assert_eq!(named, 29_687 + 19_782, "each line of the cause carries its name");
}

const ROWS: usize = 30;

/// A table of planted causes: a column for each, its value at the authority and in the projection.
fn planted() -> Vec<(&'static str, &'static str, fn(usize) -> (String, String))> {
    fn two(one: &str, two: &str) -> (String, String) {
        (one.to_owned(), two.to_owned())
    }
    vec![
        ("number", "rounded", |row| (format!("{row}.12345678"), format!("{row}.123457"))),
        ("cut_number", "truncated", |row| (format!("{}.98765", row * 7), format!("{}.98", row * 7))),
        ("letters", "letter_case", |row| (format!("Straße {row}"), format!("STRASSE {row}"))),
        ("blanks", "white_space", |row| (format!("a b {row}"), format!(" a  b {row}"))),
        ("form", "unicode_form", |row| (format!("é {row}"), format!("e\u{301} {row}"))),
        ("width", "unicode_form", |row| (format!("m² {row}"), format!("m2 {row}"))),
        ("zeros", "leading_zeros", |row| (format!("00{}", row + 10), (row + 10).to_string())),
        ("exponent", "scientific_notation", |row| (format!("{}000", row + 1), format!("{}E+3", row + 1))),
        ("spelling", "number_spelling", |row| (format!("{row}.50"), format!("{row}.5"))),
        ("state", "value_map", |row| if row % 2 == 0 { two("BOUND", "Active") } else { two("LAP SED", "In\"active") }),
        ("place", "enum_ordinal", |row| [two("NEW", "0"), two("OPEN", "1"), two("DONE", "2")][row % 3].clone()),
        ("absent", "null_spelled", |_| two("", "n/a")),
        ("first", "columns_swapped", |row| (format!("a{row}"), format!("b{row}"))),
        ("last", "", |row| (format!("b{row}"), format!("a{row}"))),
        ("broken", "mojibake", |row| (format!("Jörg {row}"), format!("JÃ¶rg {row}"))),
        ("street", "text_cut", |row| (format!("Via {row:03} della Pace"), format!("Via {row:03} de"))),
        ("cents", "constant_factor", |row| (format!("{row}.07"), format!("{row}07"))),
        ("debit", "sign_flipped", |row| (format!("{row}.3"), format!("-{row}.3"))),
        ("gone", "null_in_place", |row| (format!("v{row}"), String::new())),
        ("fallback", "default_in_place", |row| (format!("v{row}"), "unknown".to_owned())),
        ("version", "stuck_version", |row| ((row + 4).to_string(), "3".to_owned())),
    ]
}

fn tables() -> (String, String) {
    let columns = planted();
    let names: Vec<&str> = columns.iter().map(|(name, ..)| *name).collect();
    let head = format!("id,{}\n", names.join(","));
    let (mut authority, mut projection) = (head.clone(), head);
    for row in 0..ROWS {
        let values: Vec<(String, String)> = columns.iter().map(|(.., make)| make(row)).collect();
        let line = |side: fn(&(String, String)) -> &String| {
            let quoted = |text: &String| {
                if text.is_empty() { text.clone() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
            };
            values.iter().map(|pair| quoted(side(pair))).collect::<Vec<_>>().join(",")
        };
        writeln!(authority, "{row},{}", line(|pair| &pair.0)).unwrap();
        writeln!(projection, "{row},{}", line(|pair| &pair.1)).unwrap();
    }
    // Keys that follow one another are lost.
    let nothing = ",".repeat(columns.len() - 1);
    for row in 100..112 {
        writeln!(authority, "{row},{nothing}").unwrap();
    }
    (authority, projection)
}

/// What is said of one cause.
fn evidence(contract: &Value, cause: &str, attribute: &str) -> String {
    let causes = contract["causes"].as_array().unwrap().iter();
    let told = causes.filter(|one| one["cause"] == cause && one["attribute"] == attribute).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{cause} of {attribute}");
    told[0]["evidence"].as_str().unwrap().to_owned()
}

/// Puts the tables of one document into another.
fn paste(into: &mut Table, option: Table) {
    for (key, value) in option {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(here)), toml::Value::Table(more)) => paste(here, more),
            (_, value) => _ = into.insert(key, value),
        }
    }
}

/// Runs with every option that was proposed pasted into the contract; returns the contract's summary before and after.
fn pasted(workspace: &Workspace, config: &str) -> (Value, Value) {
    let run = |config: &str, reports: &str| {
        workspace.file("reconcile.toml", config);
        let outcome = workspace.reconcile(["run", "--out", reports]);
        assert!(matches!(outcome.status, Some(0 | 1)), "{}", outcome.shown());
        let runs = crate::support::runs_in(&workspace.path().join(reports));
        contract(&read_json(&runs[0].join("summary.json")), "pair").clone()
    };
    let before = run(config, "before");
    let mut document: Table = config.parse().unwrap();
    for (cause, (_, option)) in causes(&before) {
        let Some(option) = option else { continue };
        paste(&mut document, option.parse().unwrap_or_else(|error| panic!("{cause:?}: {option}\n{error}")));
    }
    let after = run(&document.to_string(), "after");
    (before, after)
}

#[test]
fn every_planted_cause_is_named_and_the_pasted_option_settles_it() {
    let (authority, projection) = tables();
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    let (before, after) = pasted(&workspace, &pair_contract("a.csv", "b.csv"));
    let mut expected: BTreeMap<(String, String), u64> = planted()
        .into_iter()
        .filter(|(_, cause, _)| !cause.is_empty())
        .map(|(name, cause, _)| ((cause.to_owned(), name.to_owned()), ROWS as u64))
        .collect();
    expected.insert(("key_range_missing".to_owned(), "id".to_owned()), 12);
    let found = causes(&before);
    assert_eq!(found.iter().map(|(cause, (keys, _))| (cause.clone(), *keys)).collect::<BTreeMap<_, _>>(), expected);
    let settles = [
        "rounded",
        "truncated",
        "letter_case",
        "white_space",
        "unicode_form",
        "leading_zeros",
        "scientific_notation",
        "number_spelling",
        "value_map",
        "enum_ordinal",
        "null_spelled",
        "columns_swapped",
        "constant_factor",
        "sign_flipped",
    ];
    for ((cause, attribute), (_, option)) in &found {
        assert_eq!(option.is_some(), settles.contains(&cause.as_str()), "{cause} of {attribute}: {option:?}");
        let evidence = evidence(&before, cause, attribute);
        if cause == "key_range_missing" {
            assert!(evidence.ends_with("in 12 of 12 missing keys: `id` from 100 to 111"), "{evidence}");
        } else {
            let (counts, examples) = evidence.split_once(", for example ").expect(&evidence);
            assert!(counts.contains(&format!("in {ROWS} of {ROWS} ")), "{cause} of {attribute}: {evidence}");
            // Where all rows have one and the same pair of values there is no second example.
            let alike = cause == "null_spelled";
            assert!(examples.contains(" and ") || alike, "{cause} of {attribute}: {evidence}");
        }
        if option.is_some() {
            assert_eq!(after["attributes"][attribute]["mismatches"], 0, "{cause} of {attribute} is not settled");
        }
        let explained = workspace.reconcile(["explain", cause]);
        explained.expect(0, &[cause]);
    }
    let named = causes(&after);
    assert!(named.keys().all(|(cause, _)| !settles.contains(&cause.as_str())), "{named:?}");
}

#[test]
fn threads_and_memory_change_no_cause_and_every_line_carries_its_own() {
    let (authority, projection) = tables();
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    let mut seen = Vec::new();
    for (number, more) in [["--threads", "1"], ["--threads", "3"], ["--memory-limit", "256MiB"]].iter().enumerate() {
        let reports = format!("reports-{number}");
        workspace.reconcile(["run", "--no-cache", "--out", &reports].iter().chain(more)).expect(1, &["causes"]);
        let run = crate::support::runs_in(&workspace.path().join(&reports)).remove(0);
        let summary = read_json(&run.join("summary.json"));
        let lines = divergences(&run);
        for ((cause, attribute), (keys, _)) in causes(contract(&summary, "pair")) {
            let of = |line: &&BTreeMap<String, String>| {
                let own = line.get("attribute").is_none_or(|name| *name == attribute);
                line.get("cause") == Some(&cause) && own
            };
            assert_eq!(lines.iter().filter(of).count() as u64, keys, "{cause} of {attribute}");
        }
        // A run is shown again as it was.
        let shown = workspace.reconcile(["report", run.to_str().unwrap()]);
        shown.expect(1, &["causes, each of many divergences"]);
        seen.push((contract(&summary, "pair")["causes"].clone(), lines));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn a_constant_offset_suggests_the_zone_and_the_zone_settles_it() {
    let workspace = Workspace::new();
    let ids = || Arc::new(Int64Array::from_iter_values(0..20)) as ArrayRef;
    let times = |hours: i64| -> ArrayRef {
        let micros = (0..20).map(|row: i64| (row * 7_777 + hours * 3_600) * 1_000_000 + 5);
        Arc::new(TimestampMicrosecondArray::from_iter_values(micros))
    };
    let zoned: ArrayRef = Arc::new(
        TimestampMicrosecondArray::from_iter_values((0..20).map(|row: i64| row * 7_777_000_000 + 5))
            .with_timezone("UTC"),
    );
    write_parquet(&workspace.path().join("zoned.parquet"), vec![("id", ids()), ("at", zoned)], 100);
    write_parquet(&workspace.path().join("local.parquet"), vec![("id", ids()), ("at", times(0))], 100);
    write_parquet(&workspace.path().join("later.parquet"), vec![("id", ids()), ("at", times(2))], 100);
    let cases = [
        ("zoned.parquet", "later.parquet", "[contract.pair.attribute.at]\ntimezone = \"+02:00\""),
        ("later.parquet", "zoned.parquet", "[contract.pair.attribute.at]\ntimezone = \"+02:00\""),
        (
            "local.parquet",
            "later.parquet",
            "[source.authority]\ntimezone = \"UTC\"\n\n[source.projection]\ntimezone = \"+02:00\"",
        ),
    ];
    for (authority, projection, option) in cases {
        let config = pair_contract(authority, projection) + "timezone = \"UTC\"\n";
        for folder in ["before", "after"] {
            std::fs::remove_dir_all(workspace.path().join(folder)).ok();
        }
        let (before, after) = pasted(&workspace, &config);
        let expected = (("time_offset".to_owned(), "at".to_owned()), (20, Some(option.to_owned())));
        assert_eq!(causes(&before), [expected].into(), "{authority} {projection}");
        assert_eq!(after["verdict"], "agreed", "{authority} {projection}");
    }
}

#[test]
fn summer_and_winter_time_suggest_the_zone_that_has_both_and_it_settles_them() {
    // Every ten hours of a year; none falls into the hour that came twice.
    let instants: Vec<i64> = (0..800).map(|row| 1_767_225_600 + row * 36_000 + row % 7 * 60).collect();
    let berlin = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let local =
        |second: &i64| second + i64::from(berlin.to_offset(jiff::Timestamp::from_second(*second).unwrap()).seconds());
    let ids = || Arc::new(Int64Array::from_iter_values(0..800)) as ArrayRef;
    let times = |seconds: Vec<i64>| {
        TimestampMicrosecondArray::from_iter_values(seconds.iter().map(|second| second * 1_000_000))
    };
    let workspace = Workspace::new();
    let write =
        |name: &str, at: ArrayRef| write_parquet(&workspace.path().join(name), vec![("id", ids()), ("at", at)], 100);
    write("zoned.parquet", Arc::new(times(instants.clone()).with_timezone("UTC")));
    write("utc.parquet", Arc::new(times(instants.clone())));
    write("local.parquet", Arc::new(times(instants.iter().map(local).collect())));
    let wrong =
        instants.iter().map(|second| if second / 60 % 5 == 0 { local(second) } else { second + 7200 }).collect();
    write("wrong.parquet", Arc::new(times(wrong)));
    let named = "[contract.pair.attribute.at]\ntimezone = \"Europe/Berlin\"";
    let both = "[source.authority]\ntimezone = \"UTC\"\n\n[source.projection]\ntimezone = \"Europe/Berlin\"";
    let cases = [
        ("zoned.parquet", "local.parquet", named),
        ("local.parquet", "zoned.parquet", named),
        ("utc.parquet", "local.parquet", both),
    ];
    for (authority, projection, option) in cases {
        let config = pair_contract(authority, projection) + "timezone = \"UTC\"\n";
        for folder in ["before", "after"] {
            std::fs::remove_dir_all(workspace.path().join(folder)).ok();
        }
        let (before, after) = pasted(&workspace, &config);
        let expected = (("time_offset".to_owned(), "at".to_owned()), (800, Some(option.to_owned())));
        assert_eq!(causes(&before), [expected].into(), "{authority} {projection}");
        assert!(before["causes"][0]["evidence"].as_str().unwrap().contains("Europe/Berlin"), "{before}");
        assert_eq!(after["verdict"], "agreed", "{authority} {projection}");
    }
    // One hour at the wrong time of the year, and it is no zone.
    workspace.file("reconcile.toml", &(pair_contract("zoned.parquet", "wrong.parquet") + "timezone = \"UTC\"\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let summary = workspace.summary();
    let found = contract(&summary, "pair")["causes"].as_array().unwrap();
    assert!(
        found.iter().all(|cause| !cause["evidence"].as_str().unwrap().contains("zone with its rules")),
        "{found:?}"
    );
}

#[test]
fn a_zone_that_is_utc_in_winter_is_named_where_all_rows_bear_it_out() {
    // Every eleven hours of a year; none falls into the hour that came twice.
    let instants: Vec<i64> = (0..780).map(|row| 1_767_236_400 + row * 39_600 + row % 7 * 60).collect();
    let london = jiff::tz::TimeZone::get("Europe/London").unwrap();
    let apart = |second: i64| i64::from(london.to_offset(jiff::Timestamp::from_second(second).unwrap()).seconds());
    let summer = instants.iter().filter(|second| apart(**second) != 0).count() as u64;
    assert!(summer > 300 && summer < 500);
    let workspace = Workspace::new();
    let times =
        |seconds: &[i64]| TimestampMicrosecondArray::from_iter_values(seconds.iter().map(|second| second * 1_000_000));
    // Some rows are not in the copy, and some are lost in it: neither says anything of the zone.
    let write = |name: &str, rows: std::ops::Range<i64>, at: ArrayRef| {
        let ids = Arc::new(Int64Array::from_iter_values(rows)) as ArrayRef;
        write_parquet(&workspace.path().join(name), vec![("id", ids), ("at", at)], 100);
    };
    let local: Vec<i64> = instants.iter().map(|second| second + apart(*second)).collect();
    write("zoned.parquet", 0..780, Arc::new(times(&instants).with_timezone("UTC")));
    write("utc.parquet", 0..780, Arc::new(times(&instants)));
    write("local.parquet", 0..780, Arc::new(times(&local)));
    write("lost.parquet", 30..780, Arc::new(times(&local[30..])));
    let named = "[contract.pair.attribute.at]\ntimezone = \"Europe/London\"";
    let both = "[source.authority]\ntimezone = \"UTC\"\n\n[source.projection]\ntimezone = \"Europe/London\"";
    let cases = [
        ("zoned.parquet", "local.parquet", named),
        ("local.parquet", "zoned.parquet", named),
        ("utc.parquet", "local.parquet", both),
        ("zoned.parquet", "lost.parquet", named),
    ];
    for (authority, projection, option) in cases {
        let config = pair_contract(authority, projection) + "timezone = \"UTC\"\n";
        for folder in ["before", "after"] {
            std::fs::remove_dir_all(workspace.path().join(folder)).ok();
        }
        let (before, after) = pasted(&workspace, &config);
        let found = causes(&before);
        let (keys, told) = &found[&("time_offset".to_owned(), "at".to_owned())];
        assert_eq!((*keys, told.as_deref()), (summer, Some(option)), "{authority} {projection}");
        let evidence =
            before["causes"].as_array().unwrap().iter().find(|cause| cause["cause"] == "time_offset").unwrap();
        let evidence = evidence["evidence"].as_str().unwrap();
        assert!(evidence.contains("Europe/London") && evidence.contains("that agree"), "{evidence}");
        assert_eq!(counts(&after["divergences"]).get("mismatch").copied().unwrap_or(0), 0, "{authority} {projection}");
    }
    // One summer hour that agrees, and it is a distance that some rows have.
    let mut one = local.clone();
    let place = instants.iter().position(|second| apart(*second) != 0).unwrap();
    one[place] = instants[place];
    write("one.parquet", 0..780, Arc::new(times(&one)));
    // All in summer: no row tells the zone from a constant distance.
    let all: Vec<usize> = (0..780).filter(|row| apart(instants[*row]) != 0).collect();
    let of = |from: &[i64]| all.iter().map(|row| from[*row]).collect::<Vec<i64>>();
    let rows = 0..i64::try_from(all.len()).unwrap();
    write("summer.parquet", rows.clone(), Arc::new(times(&of(&instants)).with_timezone("UTC")));
    write("shifted.parquet", rows, Arc::new(times(&of(&local))));
    for (authority, projection) in [("zoned.parquet", "one.parquet"), ("summer.parquet", "shifted.parquet")] {
        let config = pair_contract(authority, projection) + "timezone = \"UTC\"\n";
        workspace.file("reconcile.toml", &config);
        std::fs::remove_dir_all(workspace.path().join("reports")).ok();
        workspace.reconcile(["run", "--no-cache"]).expect(1, &["the projection lies 1h after the authority"]);
        let summary = workspace.summary();
        assert!(!contract(&summary, "pair")["causes"].to_string().contains("Europe/London"), "{projection}");
    }
}

#[test]
fn a_file_that_the_contract_reads_in_another_encoding_is_told_its_own() {
    let (mut authority, mut projection) = ("id,name\n".to_owned(), "id,name\n".to_owned());
    for row in 0..20 {
        writeln!(authority, "{row},Jörg {row}").unwrap();
        writeln!(projection, "{row},Jörg {row}").unwrap();
    }
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    let config = pair_contract("a.csv", "b.csv") + "[source.projection.csv]\nencoding = \"latin1\"\n";
    let (before, after) = pasted(&workspace, &config);
    let option = "[source.projection.csv]\nencoding = \"utf-8\"".to_owned();
    assert_eq!(causes(&before), [(("mojibake".to_owned(), "name".to_owned()), (20, Some(option)))].into());
    assert_eq!(after["verdict"], "agreed");
}

#[test]
fn times_that_say_their_own_zone_are_not_told_another() {
    let (mut authority, mut projection) = ("id,at\n".to_owned(), "id,at\n".to_owned());
    for row in 0..20 {
        writeln!(authority, "{row},2026-01-01T00:{row:02}:07Z").unwrap();
        writeln!(projection, "{row},2026-01-01T04:{row:02}:07+02:00").unwrap();
    }
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    let config = pair_contract("a.csv", "b.csv") + "attribute.at.type = \"timestamptz\"\n";
    workspace.file("reconcile.toml", &config);
    workspace.reconcile(["run"]).expect(1, &["the projection lies 2h after the authority"]);
    let expected = (("time_offset".to_owned(), "at".to_owned()), (20, None));
    assert_eq!(causes(contract(&workspace.summary(), "pair")), [expected].into());
}

#[test]
fn differences_without_a_common_cause_are_not_given_one() {
    let (mut authority, mut projection) = ("id,amount,at,name\n".to_owned(), "id,amount,at,name\n".to_owned());
    for row in 0_u64..60 {
        let odd = (row + 1) * 7_919 % 9_973;
        writeln!(authority, "{row},{odd}.25,2026-01-01T00:{:02}:{:02},name {odd}", row, odd % 60).unwrap();
        let (amount, name) = (odd * 999 / 10, (odd + 17) * 31 % 9_973);
        writeln!(projection, "{row},{amount}.75,2026-01-02T03:{:02}:{:02},other {name}", odd % 60, row).unwrap();
    }
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    let outcome = workspace.reconcile(["run"]);
    outcome.expect(1, &["60 keys diverge"]);
    assert_eq!(contract(&workspace.summary(), "pair")["causes"], serde_json::json!([]));
    assert!(!outcome.stdout.contains("causes"), "{}", outcome.shown());
}
