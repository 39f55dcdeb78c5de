//! Where divergences lie: one tenant, one file, a stretch of keys or of time. What is planted is named, and what only looks
//! like it stays unnamed.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use crate::support::{Workspace, contract, divergences, pair_contract};

/// Rows of a planted table.
struct Row {
    id: u64,
    tenant: &'static str,
    region: &'static str,
    value: u64,
}

const TENANTS: [&str; 3] = ["acme", "bolt", "core"];

/// Three tenants in turn, in two regions; the values have nothing in common.
fn rows(count: u64) -> Vec<Row> {
    let one = |id: u64| {
        let tenant = TENANTS[usize::try_from(id % 3).unwrap()];
        let region = if tenant == "acme" || id % 2 == 0 { "north" } else { "south" };
        Row { id, tenant, region, value: (id + 7) * 7_919 % 99_991 }
    };
    (0..count).map(one).collect()
}

fn csv<'r>(rows: impl IntoIterator<Item = &'r Row>, value: impl Fn(&Row) -> u64) -> String {
    let mut text = "id,tenant,region,value\n".to_owned();
    for row in rows {
        writeln!(text, "{},{},{},v{}", row.id, row.tenant, row.region, value(row)).unwrap();
    }
    text
}

/// A value that no cause makes of another.
fn other(row: &Row) -> u64 {
    (row.value + 31) * 104_729 % 1_299_709 + 100_000
}

/// Runs, and gives the causes that say where, as name, attribute, keys and evidence.
fn told(workspace: &Workspace, more: &[&str]) -> Vec<(String, Option<String>, u64, String)> {
    std::fs::remove_dir_all(workspace.path().join("reports")).ok();
    let outcome = workspace.reconcile(["run", "--no-cache"].iter().chain(more));
    assert_eq!(outcome.status, Some(1), "{}", outcome.shown());
    let summary = workspace.summary();
    let causes = contract(&summary, "pair")["causes"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let told = causes.iter().map(|cause| {
        let evidence = text(&cause["evidence"]).unwrap();
        (text(&cause["cause"]).unwrap(), text(&cause["attribute"]), cause["keys"].as_u64().unwrap(), evidence)
    });
    told.collect()
}

fn named(workspace: &Workspace) -> usize {
    let lines = divergences(&workspace.run());
    lines.iter().filter(|line| line.get("cause").is_some_and(|cause| cause.starts_with("one_"))).count()
}

/// A workspace whose projection has another value in the rows that are chosen.
fn differing(count: u64, chosen: impl Fn(&Row) -> bool) -> Workspace {
    let rows = rows(count);
    let changed = csv(&rows, |row| if chosen(row) { other(row) } else { row.value });
    Workspace::pair(("a.csv", csv(&rows, |row| row.value).as_bytes()), ("b.csv", changed.as_bytes()))
}

#[test]
fn the_one_tenant_that_differs_is_named_with_what_was_counted() {
    let workspace = differing(300, |row| row.tenant == "acme" && row.id % 2 == 0);
    let found = told(&workspace, &[]);
    let expected = "all 50 `mismatch` keys lie in rows whose `tenant` is \"acme\" (100 rows), and none in the 200 rows \
                    elsewhere, for example {\"id\":";
    assert_eq!(found.len(), 1, "{found:?}");
    let (cause, attribute, keys, evidence) = &found[0];
    assert_eq!((cause.as_str(), attribute.as_deref(), *keys), ("one_value_only", None, 50));
    assert!(evidence.starts_with(expected), "{evidence}");
    assert_eq!(named(&workspace), 50, "each line carries it");
    // However rows are read and brought together.
    for more in [["--threads", "1"], ["--threads", "5"], ["--memory-limit", "256MiB"]] {
        assert_eq!(told(&workspace, &more), found);
    }
    // The region of that tenant alone is told, where the tenant is not compared.
    workspace.file("reconcile.toml", &(pair_contract("a.csv", "b.csv") + "ignore = [\"tenant\"]\n"));
    assert!(told(&workspace, &[])[0].3.contains("`region` is \"north\""));
}

#[test]
fn among_the_rows_that_where_keeps_a_place_is_told_with_their_number() {
    // A chosen third of the ids differs in one tenant alone; the others differ everywhere, and are left out.
    let chosen = |row: &Row| row.id < 150;
    let workspace = differing(300, |row| row.tenant == "acme" || !chosen(row));
    assert_eq!(told(&workspace, &[]), [], "among all rows nothing holds them together");
    let found = told(&workspace, &["--where", "cast(id as bigint) < 150"]);
    let expected = "all 50 `mismatch` keys lie in rows whose `tenant` is \"acme\" (50 rows that `--where` keeps), and none in the 100 \
                    rows elsewhere, for example {\"id\":";
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].2), ("one_value_only", 50));
    assert!(found[0].3.starts_with(expected), "{found:?}");
    for more in [["--threads", "1"], ["--threads", "5"]] {
        assert_eq!(told(&workspace, &["--where", "cast(id as bigint) < 150", more[0], more[1]]), found);
    }
    // Near misses: no row elsewhere is compared; too few are to tell it from chance; one elsewhere differs too.
    assert_eq!(told(&workspace, &["--where", "cast(id as bigint) < 150 and tenant = 'acme'"]), []);
    assert_eq!(
        told(&workspace, &["--where", "cast(id as bigint) < 150 and (tenant = 'acme' or cast(id as bigint) < 10)"]),
        []
    );
    assert_eq!(told(&workspace, &["--where", "cast(id as bigint) < 152"]), []);
}

#[test]
fn the_one_file_is_told_among_the_rows_that_where_keeps() {
    let rows = rows(400);
    let (first, second) = rows.split_at(200);
    let workspace = Workspace::new();
    workspace.file("authority/1.csv", &csv(first, |row| row.value));
    workspace.file("authority/2.csv", &csv(second, |row| row.value));
    // The first file is not loaded at all, and of the second what `--where` leaves out.
    workspace.file("b.csv", &csv(second.iter().filter(|row| row.id < 300), |row| row.value));
    workspace.file("reconcile.toml", &pair_contract("authority", "b.csv"));
    let told_of_files = |more: &[&str]| {
        told(&workspace, more).into_iter().filter(|cause| cause.0 == "one_file_only").collect::<Vec<_>>()
    };
    assert_eq!(told_of_files(&[]), []);
    let found = told_of_files(&["--where", "cast(id as bigint) < 300 and cast(id as bigint) % 2 = 0"]);
    assert_eq!(found.len(), 1, "{found:?}");
    let said = "all 100 `missing` keys lie in one file of the authority, \"authority/1.csv\" (100 rows that `--where` keeps), and none \
                in the 50 rows elsewhere";
    assert!(found[0].3.starts_with(said), "{found:?}");
}

#[test]
fn a_range_of_missing_keys_is_told_only_where_no_key_at_all_lies_in_it() {
    let rows = rows(400);
    let lost = |row: &Row| (100..160).contains(&row.id);
    let text = |row: &Row| row.value;
    let authority = csv(&rows, text);
    let missing = csv(rows.iter().filter(|row| !lost(row)), text);
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", missing.as_bytes()));
    let ranges = |clause: &str| {
        let found = told(&workspace, &["--where", clause]);
        found.into_iter().filter(|cause| cause.0 == "key_range_missing").map(|cause| cause.2).collect::<Vec<_>>()
    };
    assert_eq!(ranges("cast(id as bigint) < 200"), [60]);
    assert_eq!(ranges("cast(id as bigint) >= 120"), [40], "the part of it that was looked at");
    // Between any two of these lie keys of other tenants, of which it is not known whether they are missing.
    assert_eq!(ranges("tenant = 'bolt' and region = 'north'"), [] as [u64; 0]);
}

#[test]
fn lost_and_differing_rows_of_one_tenant_are_one_story() {
    let rows = rows(600);
    let lost = |row: &Row| row.tenant == "bolt" && row.value.is_multiple_of(3);
    let kept = rows.iter().filter(|row| !lost(row));
    let projection = csv(kept, |row| if row.tenant == "bolt" && row.value % 3 == 1 { other(row) } else { row.value });
    let authority = csv(&rows, |row| row.value);
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    let found = told(&workspace, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    let bolt = |rest: u64| rows.iter().filter(|row| row.tenant == "bolt" && row.value % 3 == rest).count();
    let said = format!(
        "all {} `missing` keys and all {} `mismatch` keys lie in rows whose `tenant` is \"bolt\"",
        bolt(0),
        bolt(1)
    );
    assert!(found[0].3.starts_with(&said), "{found:?}\n{said}");
    assert_eq!(found[0].2 as usize, bolt(0) + bolt(1));
}

#[test]
fn a_tenant_is_told_beside_what_happened_and_a_line_keeps_its_own_cause() {
    let rows = rows(300);
    let text = |shout: bool| {
        let mut text = "id,tenant,name\n".to_owned();
        for row in &rows {
            let name = format!("name {}x", row.value);
            let name = if shout && row.tenant == "core" { name.to_uppercase() } else { name };
            writeln!(text, "{},{},{name}", row.id, row.tenant).unwrap();
        }
        text
    };
    let workspace = Workspace::pair(("a.csv", text(false).as_bytes()), ("b.csv", text(true).as_bytes()));
    let found = told(&workspace, &[]);
    let names: Vec<&str> = found.iter().map(|cause| cause.0.as_str()).collect();
    assert_eq!(names, ["letter_case", "one_value_only"], "{found:?}");
    assert_eq!(named(&workspace), 0, "what happened says more of a line than where");
}

#[test]
fn what_is_not_held_together_by_one_value_stays_unnamed() {
    let acme = |row: &Row| row.tenant == "acme";
    let cases: [(&str, Workspace); 4] = [
        ("one row of another tenant diverges too", differing(300, |row| (acme(row) && row.id % 2 == 0) || row.id == 1)),
        ("nineteen rows are told one by one", differing(300, |row| acme(row) && row.id < 57)),
        ("too few rows have another value", differing(30, |row| row.id < 25)),
        ("chance would have put no more elsewhere", {
            let mut rows = rows(300);
            rows.iter_mut().for_each(|row| {
                (row.tenant, row.region) = if row.id < 40 { ("bolt", "south") } else { ("acme", "north") }
            });
            let changed = csv(&rows, |row| if row.id >= 40 && row.id % 6 == 0 { other(row) } else { row.value });
            Workspace::pair(("a.csv", csv(&rows, |row| row.value).as_bytes()), ("b.csv", changed.as_bytes()))
        }),
    ];
    for (why, workspace) in cases {
        assert_eq!(told(&workspace, &[]), [], "{why}");
    }
}

#[test]
fn only_one_attribute_of_one_tenant_is_told_by_its_attribute() {
    let rows = rows(300);
    let text = |changed: bool| {
        let mut text = "id,tenant,value,note\n".to_owned();
        for row in &rows {
            let value = if changed && row.tenant == "acme" { other(row) } else { row.value };
            let note = if changed && row.id % 5 == 0 { other(row) + 1 } else { row.value + 1 };
            writeln!(text, "{},{},v{value},n{note}", row.id, row.tenant).unwrap();
        }
        text
    };
    let workspace = Workspace::pair(("a.csv", text(false).as_bytes()), ("b.csv", text(true).as_bytes()));
    let found = told(&workspace, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1.as_deref(), found[0].2), ("one_value_only", Some("value"), 100));
    assert!(
        found[0].3.starts_with("all 100 mismatches of `value` lie in rows whose `tenant` is \"acme\""),
        "{found:?}"
    );
    assert_eq!(named(&workspace), 100);
}

#[test]
fn a_personal_value_is_not_said() {
    let workspace = differing(300, |row| row.tenant == "acme" && row.id % 2 == 0);
    let personal =
        "[contract.pair.attribute.tenant]\npii = \"mask\"\n[contract.pair.attribute.region]\npii = \"mask\"\n";
    workspace.file("reconcile.toml", &(pair_contract("a.csv", "b.csv") + personal));
    let found = told(&workspace, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].3.contains("one value, which is personal") && !found[0].3.contains("acme"), "{found:?}");
}

#[test]
fn the_one_file_that_was_not_loaded_is_named() {
    let rows = rows(300);
    let workspace = Workspace::new();
    let of = |row: &Row| row.value % 3;
    for file in 0..3 {
        workspace.file(&format!("a/part-{file}.csv"), &csv(rows.iter().filter(|row| of(row) == file), |row| row.value));
    }
    let kept = |row: &&Row| of(row) != 1 || row.id % 4 == 0;
    workspace.file("b.csv", &csv(rows.iter().filter(kept), |row| row.value));
    workspace.file("reconcile.toml", &pair_contract("a/*.csv", "b.csv"));
    let found = told(&workspace, &[]);
    let (missing, whole) =
        (rows.iter().filter(|row| !kept(row)).count(), rows.iter().filter(|row| of(row) == 1).count());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].2), ("one_file_only", missing as u64));
    let said = format!(
        "all {missing} `missing` keys lie in one file of the authority, \"a/part-1.csv\" ({whole} rows), and none in the {} rows elsewhere",
        300 - whole
    );
    assert!(found[0].3.starts_with(&said), "{found:?}\n{said}");
    assert_eq!(named(&workspace), missing);
    for more in [["--threads", "1"], ["--memory-limit", "256MiB"]] {
        assert_eq!(told(&workspace, &more), found);
    }
    // What another run keeps of unchanged files says the same.
    for _ in 0..2 {
        workspace.reconcile(["run", "--out", "kept"]).expect(1, &["one_file_only"]);
    }
    // One lost row of another file, and it is no file's fault.
    let stray = rows.iter().position(|row| of(row) == 2).unwrap() as u64;
    workspace.file("b.csv", &csv(rows.iter().filter(kept).filter(|row| row.id != stray), |row| row.value));
    assert_eq!(told(&workspace, &[]), []);
}

/// Runs two tables of one key and gives each range that is said to be missing: its keys and the evidence.
fn ranges(key: &[&str], lines: &[String], lost: &dyn Fn(usize) -> bool) -> Vec<(u64, String)> {
    let text = |keep: &dyn Fn(usize) -> bool| {
        let kept = lines.iter().enumerate().filter(|(row, _)| keep(*row)).map(|(_, line)| line.as_str());
        [key.join(",")].into_iter().chain(kept.map(str::to_owned)).collect::<Vec<_>>().join("\n") + "\n"
    };
    let workspace =
        Workspace::pair(("a.csv", text(&|_| true).as_bytes()), ("b.csv", text(&|row| !lost(row)).as_bytes()));
    let config = pair_contract("a.csv", "b.csv").replace("[\"id\"]", &format!("{key:?}"));
    let types: BTreeMap<&str, &str> = [("at", "timestamptz"), ("number", "int64")].into();
    let typed = key.iter().filter_map(|name| Some((name, types.get(name)?)));
    let typed: String = typed.map(|(name, kind)| format!("attribute.{name}.type = \"{kind}\"\n")).collect();
    workspace.file("reconcile.toml", &(config + &typed));
    let found = told(&workspace, &[]);
    let found: Vec<_> = found.into_iter().filter(|cause| cause.0 == "key_range_missing").collect();
    let lines = divergences(&workspace.run());
    let lines = lines.iter().filter(|line| line.get("cause").is_some_and(|cause| cause == "key_range_missing"));
    assert_eq!(lines.count() as u64, found.iter().map(|(_, _, keys, _)| keys).sum::<u64>());
    let range = |(_, attribute, keys, evidence): (_, Option<String>, u64, String)| {
        assert_eq!(attribute.as_deref(), key.last().copied());
        (keys, evidence)
    };
    found.into_iter().map(range).collect()
}

/// The one range that is told.
fn missing(key: &[&str], lines: &[String], lost: impl Fn(usize) -> bool) -> Option<(u64, String)> {
    let found = ranges(key, lines, &lost);
    assert!(found.len() < 2, "{found:?}");
    found.into_iter().next()
}

#[test]
fn a_stretch_of_time_that_is_lost_is_named_where_no_other_key_lies_in_it() {
    let at = |row: usize| {
        format!(
            "2026-03-{:02}T{:02}:{:02}:{:02}Z",
            1 + row / 48,
            row / 2 % 24,
            row * 7 % 30 + row % 2 * 30,
            row * 13 % 60
        )
    };
    let mut times: Vec<String> = (0..400).map(at).collect();
    times.sort();
    let (keys, evidence) = missing(&["at"], &times, |row| (100..140).contains(&row) || row == 300).unwrap();
    assert_eq!(keys, 40);
    assert!(evidence.starts_with("all 40 authority keys that lie between"), "{evidence}");
    assert!(
        evidence.contains("40 of 41 missing keys, from {\"at\":") && evidence.contains(&times[100][..13]),
        "{evidence}"
    );
    assert_eq!(missing(&["at"], &times, |row| (100..139).contains(&row) && row != 119), None, "a key between parts it");
    assert_eq!(missing(&["at"], &times, |row| (100..119).contains(&row)), None, "nineteen are few");
    assert_eq!(missing(&["at"], &times, |row| row % 2 == 0), None);
    assert_eq!(missing(&["at"], &times, |row| row < 395), None, "nearly all are missing, wherever");
}

#[test]
fn a_part_of_a_key_of_several_attributes_that_is_lost_is_named() {
    let lines: Vec<String> =
        TENANTS.iter().flat_map(|tenant| (0..100).map(move |number| format!("{tenant},{}", number * 3))).collect();
    let key = ["tenant", "number"];
    let (keys, evidence) = missing(&key, &lines, |row| (120..150).contains(&row)).unwrap();
    assert_eq!(keys, 30);
    let ends = "from {\"tenant\":\"bolt\",\"number\":60} to {\"tenant\":\"bolt\",\"number\":147}";
    assert!(evidence.contains("in the order of `tenant`, `number`") && evidence.contains(ends), "{evidence}");
    let (keys, evidence) = missing(&key, &lines, |row| (100..200).contains(&row)).unwrap();
    assert_eq!(keys, 100);
    assert!(
        evidence.contains("from {\"tenant\":\"bolt\",\"number\":0} to {\"tenant\":\"bolt\",\"number\":297}"),
        "{evidence}"
    );
    assert_eq!(missing(&key, &lines, |row| (120..150).contains(&row) && row != 135), None);
}

#[test]
fn several_stretches_that_are_lost_are_told_one_by_one() {
    let mut numbers: Vec<u64> = (0..400).map(|row| row * 10 + row * row % 7).collect();
    numbers.sort_unstable();
    let lines: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let told = |lost: &dyn Fn(usize) -> bool| ranges(&["number"], &lines, lost);
    let ends =
        |from: usize, to: usize| format!("from {{\"number\":{}}} to {{\"number\":{}}}", numbers[from], numbers[to]);
    let found = told(&|row| (50..90).contains(&row) || (200..230).contains(&row) || row == 300);
    assert_eq!(found.iter().map(|(keys, _)| *keys).collect::<Vec<_>>(), [40, 30]);
    assert!(found[0].1.contains("40 of 71 missing keys") && found[0].1.contains(&ends(50, 89)), "{found:?}");
    assert!(found[1].1.contains(&ends(200, 229)), "{found:?}");
    // One of two lies with another key in it.
    let found = told(&|row| (50..90).contains(&row) || ((200..230).contains(&row) && row != 215));
    assert_eq!(found.iter().map(|(keys, _)| *keys).collect::<Vec<_>>(), [40]);
}

#[test]
fn of_more_missing_keys_than_are_kept_several_stretches_are_told() {
    let numbers: Vec<u64> = (0..200_000).map(|row| row * 10 + row % 7).collect();
    let lines: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let lost = |row: usize| (20_000..70_000).contains(&row) || (120_000..150_000).contains(&row) || row % 1000 == 1;
    let found = ranges(&["number"], &lines, &lost);
    assert_eq!(found.len(), 2, "{found:?}");
    for ((keys, evidence), range) in found.iter().zip([20_000..70_000_u64, 120_000..150_000]) {
        // The ends are keys that were kept: most of what is missing was.
        let whole = range.end - range.start;
        assert!((whole - 50..=whole).contains(keys), "{evidence}");
        assert!(evidence.contains("of 80,120 missing keys"), "{evidence}");
        let numbers = evidence.rsplit("from ").next().unwrap().split(|letter: char| !letter.is_ascii_digit());
        let ends: Vec<u64> = numbers.filter_map(|digits| digits.parse().ok()).collect();
        let [first, last] = ends[..] else { panic!("{evidence}") };
        let (from, to) = (range.start as usize, range.end as usize);
        assert!(lines[from..from + 50].contains(&first.to_string()), "{evidence}");
        assert!(lines[to - 50..to].contains(&last.to_string()), "{evidence}");
    }
    // Another key in each thousandth place of a stretch leaves no stretch of it.
    let found = ranges(&["number"], &lines, &|row| (20_000..150_000).contains(&row) && row % 1000 != 1);
    assert_eq!(found, []);
}

#[test]
fn numbers_with_holes_that_are_lost_together_are_named() {
    let mut numbers: Vec<u64> = (0..400).map(|row| row * 10 + row * row % 7).collect();
    numbers.sort_unstable();
    let lines: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let (keys, evidence) = missing(&["number"], &lines, |row| (50..90).contains(&row)).unwrap();
    assert_eq!(keys, 40);
    assert!(
        evidence.contains(&format!("from {{\"number\":{}}} to {{\"number\":{}}}", numbers[50], numbers[89])),
        "{evidence}"
    );
}

#[test]
fn causes_are_metrics() {
    let workspace = differing(300, |row| row.tenant == "acme" && row.id % 2 == 0);
    told(&workspace, &[]);
    let metrics = std::fs::read_to_string(workspace.run().join("metrics.prom")).unwrap();
    let line = "reconcile_cause_keys{contract=\"pair\",cause=\"one_value_only\",attribute=\"\"} 50\n";
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains("# TYPE reconcile_cause_keys gauge\n"), "{metrics}");
}
