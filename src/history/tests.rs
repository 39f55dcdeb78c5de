//! Crashes, tampering and concurrency, each played through on real folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::folder::RunFolder;
use super::*;
use crate::audit::Recorder as _;
use crate::report::{markdown, sample};

fn reports() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The id of the nth run; they sort by time.
fn id(number: usize) -> String {
    format!("20260301T020000Z-{number:04}")
}

fn publish(reports: &Path, audit: &Audit) -> PathBuf {
    let (mut folder, _) = RunFolder::begin(reports, &audit.run_id).expect("it begins");
    for contract in &audit.contracts {
        for divergence in &contract.examples {
            folder.divergence(&contract.name, divergence).expect("it is written");
        }
    }
    folder.publish(audit).expect("it is published")
}

fn publish_many(reports: &Path, count: usize) {
    for number in 1..=count {
        publish(reports, &sample::small(&id(number)));
    }
}

fn changed(reports: &Path) -> Vec<String> {
    verify(reports).expect("it can be read").changed
}

fn ledger_lines(reports: &Path) -> Vec<String> {
    let text = fs::read_to_string(reports.join(ledger::FILE)).expect("a ledger");
    text.lines().map(str::to_owned).collect()
}

fn write_ledger(reports: &Path, lines: &[String]) {
    let mut text = lines.join("\n");
    text.push('\n');
    fs::write(reports.join(ledger::FILE), text).expect("the ledger is writable");
}

/// Takes the last ledger line away, as if the run had been killed between rename and append.
fn kill_before_line(reports: &Path) {
    let mut lines = ledger_lines(reports);
    lines.pop();
    write_ledger(reports, &lines);
}

#[test]
fn a_published_run_holds_every_file_and_verifies() {
    let reports = reports();
    let audit = sample::audit();
    let (mut folder, notes) = RunFolder::begin(&reports.path().join("deep/reports"), &audit.run_id).expect("it begins");
    assert_eq!(notes, Vec::<String>::new());
    folder.action(&sample::action()).expect("it is written");
    let path = folder.publish(&audit).expect("it is published");
    let names = place::names(&path).expect("a folder");
    assert_eq!(
        names,
        [
            "divergences.parquet",
            "junit.xml",
            "manifest.json",
            "metrics.prom",
            "openlineage.ndjson",
            "plan.ndjson",
            "report.html",
            "report.md",
            "summary.json"
        ]
    );
    let verification = verify(&reports.path().join("deep/reports")).expect("it can be read");
    assert_eq!((verification.unchanged, verification.changed, verification.notes), (1, vec![], vec![]));
    assert_eq!(
        place::names(&reports.path().join("deep/reports")).expect("a folder"),
        [".ledger.lock", audit.run_id.as_str(), ledger::FILE]
    );
}

#[test]
fn the_ledger_line_can_be_checked_by_hand() {
    let reports = reports();
    publish_many(reports.path(), 2);
    let lines = ledger_lines(reports.path());
    let read: serde_json::Value = serde_json::from_str(&lines[1]).expect("JSON");
    assert_eq!(read["sequence"], 2);
    assert_eq!(read["recorded_at"], "2026-03-01T02:00:01.373456789Z");
    assert_eq!(read["previous"], blake3::hash(lines[0].as_bytes()).to_hex().as_str());
    let manifest = |number| fs::read(reports.path().join(id(number)).join(manifest::FILE)).expect("a manifest");
    assert_eq!(read["manifest"], blake3::hash(&manifest(2)).to_hex().as_str());
    let leaf =
        |number| *blake3::hash(&[&[0], blake3::hash(&manifest(number)).as_bytes().as_slice()].concat()).as_bytes();
    let root = blake3::hash(&[&[1], leaf(1).as_slice(), leaf(2).as_slice()].concat());
    assert_eq!(read["merkle_root"], root.to_hex().as_str());
    let (content, _) = lines[1].split_once(",\"line_digest\"").expect("a digest");
    assert_eq!(read["line_digest"], blake3::hash(content.as_bytes()).to_hex().as_str());
    let first: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(first["previous"], "0".repeat(64));
}

#[test]
fn a_run_comes_back_as_the_same_report() {
    let reports = reports();
    let audit = sample::audit();
    let path = publish(reports.path(), &audit);
    let written = fs::read(path.join("report.md")).expect("a report");
    let whole = path.to_str().expect("UTF-8").to_owned();
    for run in [audit.run_id.as_str(), "latest", "2026", &whole] {
        let read = load(reports.path(), run).expect(run);
        let mut again = Vec::new();
        markdown::render(&read, &mut again).expect("a vector takes all");
        assert_eq!(again, written, "{run}");
    }
}

#[test]
fn a_run_that_is_not_there_or_is_ambiguous_is_said_so() {
    let reports = reports();
    let problem = |run: &str| load(reports.path(), run).expect_err(run).to_string();
    assert!(problem("latest").contains("holds no runs"));
    publish_many(reports.path(), 2);
    assert!(problem("2027").contains("the newest of 2 is"));
    assert!(problem("2026").contains("2 runs begin like that"));
    assert!(problem("./nowhere").contains("not a run folder"));
    assert!(problem("").contains("empty run id"));
    fs::write(reports.path().join(id(1)).join(manifest::FILE), "{}").expect("writable");
    assert!(problem(&id(1)).contains("not a manifest"));
    let other = fs::read_to_string(reports.path().join(id(2)).join(manifest::FILE)).expect("a manifest");
    fs::write(
        reports.path().join(id(2)).join(manifest::FILE),
        other.replace("\"elapsed_ms\": 1250", "\"elapsed_ms\": 1251"),
    )
    .expect("writable");
    assert!(problem(&id(2)).contains("not the one in the ledger"));
}

#[test]
fn a_bit_flipped_anywhere_in_a_run_is_found_and_its_file_named() {
    let reports = reports();
    let run_id = id(1);
    let folder = publish(reports.path(), &sample::small(&run_id));
    let ledger = ledger::Ledger::read(reports.path()).expect("a ledger");
    let line = ledger.runs().next().expect("a line").1.clone();
    for name in place::names(&folder).expect("a folder") {
        let path = folder.join(&name);
        let mut bytes = fs::read(&path).expect("a file");
        for position in 0..bytes.len() {
            bytes[position] ^= 1 << (position % 8);
            fs::write(&path, &bytes).expect("writable");
            // The part of `verify` that looks into folders, without the ledger, for the sake of time.
            let (changed, _) = verify::check_folder(&folder, &run_id, Some(&line)).expect("it can be read");
            assert!(changed.iter().any(|problem| problem.contains(&name)), "{name}, byte {position}: {changed:?}");
            bytes[position] ^= 1 << (position % 8);
        }
        fs::write(&path, &bytes).expect("writable");
    }
    assert_eq!(changed(reports.path()), Vec::<String>::new());
}

#[test]
fn a_bit_flipped_anywhere_in_the_ledger_is_found_and_its_line_named() {
    let reports = reports();
    publish_many(reports.path(), 3);
    let path = reports.path().join(ledger::FILE);
    let mut bytes = fs::read(&path).expect("a ledger");
    let mut line = 1;
    for position in 0..bytes.len() {
        let newline = bytes[position] == b'\n';
        for bit in [position % 8, 5] {
            bytes[position] ^= 1 << bit;
            fs::write(&path, &bytes).expect("writable");
            let changed = changed(reports.path());
            let named = format!("{}, line {line}:", ledger::FILE);
            assert!(
                changed.iter().any(|problem| problem.starts_with(&named)),
                "byte {position}, bit {bit}: {changed:?}"
            );
            bytes[position] ^= 1 << bit;
        }
        line += usize::from(newline);
    }
}

#[test]
fn a_cut_at_any_byte_of_the_ledger_is_found() {
    let reports = reports();
    publish_many(reports.path(), 2);
    let path = reports.path().join(ledger::FILE);
    let bytes = fs::read(&path).expect("a ledger");
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).expect("writable");
        assert_ne!(changed(reports.path()), Vec::<String>::new(), "cut to {length} bytes");
    }
    fs::remove_file(&path).expect("removable");
    let error = verify(reports.path()).expect_err("nothing proves anything");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("ledger.ndjson: is not there"), "{error}");
}

#[test]
fn a_folder_that_is_missing_or_holds_no_ledger_cannot_be_verified() {
    let reports = reports();
    for folder in [reports.path().to_owned(), reports.path().join("nowhere")] {
        let error = verify(&folder).expect_err("there is nothing to read");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert!(error.to_string().contains(&folder.display().to_string()), "{error}");
    }
}

#[test]
fn a_run_without_line_is_found_also_where_its_manifest_is_gone() {
    let reports = reports();
    publish_many(reports.path(), 2);
    kill_before_line(reports.path());
    fs::remove_file(reports.path().join(id(2)).join(manifest::FILE)).expect("removable");
    assert!(changed(reports.path())[0].starts_with("run `20260301T020000Z-0002` has no ledger line"));
    let (_folder, notes) = RunFolder::begin(reports.path(), &id(3)).expect("it begins");
    assert!(notes[0].contains("was not adopted: manifest.json is missing"), "{notes:?}");
    assert_eq!(ledger_lines(reports.path()).len(), 1);
}

#[test]
fn a_repeated_line_is_not_another_unchanged_run() {
    let reports = reports();
    publish_many(reports.path(), 2);
    let lines = ledger_lines(reports.path());
    write_ledger(reports.path(), &[lines[0].clone(), lines[1].clone(), lines[1].clone()]);
    let verification = verify(reports.path()).expect("it can be read");
    assert_eq!(verification.unchanged, 2);
    assert!(verification.changed.iter().any(|problem| problem.contains("has a line already")));
}

#[test]
fn nothing_is_adopted_into_a_broken_ledger_and_the_broken_place_is_named() {
    for (order, place) in [([0, 2, 3], "line 2: its sequence is 3"), ([0, 2, 1], "line 2: its sequence is 3")] {
        let reports = reports();
        publish_many(reports.path(), 4);
        let lines = ledger_lines(reports.path());
        write_ledger(reports.path(), &order.map(|index: usize| lines[index].clone()));
        let (folder, notes) = RunFolder::begin(reports.path(), &id(5)).expect("it begins");
        assert!(notes[0].contains(place) && notes[0].contains("the ledger was changed before this run"), "{notes:?}");
        assert!(notes[1].contains("was not adopted: the ledger is broken"), "{notes:?}");
        folder.publish(&sample::small(&id(5))).expect("it is published");
        assert!(ledger_lines(reports.path()).iter().all(|line| !line.contains("adopted")));
        assert!(!changed(reports.path()).is_empty());
    }
}

#[test]
fn a_report_says_where_the_ledger_does_not_know_its_folder() {
    let reports = reports();
    publish_many(reports.path(), 2);
    let path = |name: &str| reports.path().join(name).to_str().expect("UTF-8").to_owned();
    assert_eq!(load(reports.path(), &path(&id(1))).expect("a run").warnings, Vec::<String>::new());
    fs::rename(reports.path().join(id(1)), reports.path().join("copy")).expect("writable");
    let warnings = load(reports.path(), &path("copy")).expect("a run").warnings;
    assert!(warnings[0].contains("copy: it holds run `20260301T020000Z-0001`"), "{warnings:?}");
    kill_before_line(reports.path());
    let warnings = load(reports.path(), &path(&id(2))).expect("a run").warnings;
    assert!(warnings[0].contains("has no line of run `20260301T020000Z-0002`"), "{warnings:?}");
    // Under the name of a run that the ledger knows.
    fs::rename(reports.path().join(id(2)), reports.path().join(id(1))).expect("writable");
    let error = load(reports.path(), &path(&id(1))).expect_err("another manifest").to_string();
    assert!(error.contains(&path(&id(1))) && error.contains("not the one in the ledger"), "{error}");
}

#[test]
fn lines_that_were_removed_repeated_moved_or_forged_are_named() {
    let reports = reports();
    publish_many(reports.path(), 4);
    let lines = ledger_lines(reports.path());
    let pick = |order: &[usize]| order.iter().map(|index| lines[*index].clone()).collect::<Vec<_>>();
    // A forger who recomputes the line's own digest.
    let forge = |line: &str, before: &str, after: &str| {
        assert!(line.contains(before), "{line}");
        let (content, _) = line.split_once(",\"line_digest\"").expect("a digest");
        let content = content.replacen(before, after, 1);
        format!("{content},\"line_digest\":\"{}\"}}", blake3::hash(content.as_bytes()).to_hex())
    };
    let with = |index: usize, line: String| {
        let mut lines = lines.clone();
        lines[index] = line;
        lines
    };
    let cases = [
        ("first removed", pick(&[1, 2, 3]), "line 1: it follows another line"),
        ("middle removed", pick(&[0, 2, 3]), "line 2: its sequence is 3, expected 2"),
        ("last removed", pick(&[0, 1, 2]), "run `20260301T020000Z-0004` has no ledger line"),
        ("repeated", pick(&[0, 1, 1, 2, 3]), "line 3: run `20260301T020000Z-0002` has a line already, line 2"),
        ("moved", pick(&[0, 2, 1, 3]), "line 2: its sequence is 3, expected 2"),
        ("empty line", with(1, String::new()), "line 2: changed"),
        (
            "forged in the middle",
            with(1, forge(&lines[1], "agreed", "drifted")),
            "its `previous` is not the BLAKE3 of line 2",
        ),
        (
            "forged verdict at the end",
            with(3, forge(&lines[3], "agreed", "drifted")),
            "line 4: its `verdict` is not that",
        ),
        (
            "forged contract at the end",
            with(3, forge(&lines[3], "billing", "selling")),
            "line 4: its `contracts` is not that",
        ),
        (
            "forged instant at the end",
            with(3, forge(&lines[3], "2026-03-01T02:00:01", "2025-03-01T02:00:01")),
            "`recorded_at`",
        ),
        ("forged root at the end", with(3, forge(&lines[3], "merkle_root\":\"", "merkle_root\":\"0")), "`merkle_root`"),
        ("unknown field", with(3, forge(&lines[3], "\"sequence\"", "\"extra\":1,\"sequence\"")), "line 4: changed"),
        (
            "unknown version",
            with(3, forge(&lines[3], "_version\":1", "_version\":2")),
            "line 4: changed: format version 2",
        ),
    ];
    for (what, lines, expected) in cases {
        write_ledger(reports.path(), &lines);
        let changed = changed(reports.path());
        assert!(changed.iter().any(|problem| problem.contains(expected)), "{what}: {changed:?}");
    }
    write_ledger(reports.path(), &lines);
    assert_eq!(changed(reports.path()), Vec::<String>::new());
}

#[test]
fn files_and_folders_that_are_missing_or_put_in_are_named() {
    let reports = reports();
    publish_many(reports.path(), 2);
    let folder = reports.path().join(id(1));
    fs::write(folder.join("notes.txt"), "x").expect("writable");
    fs::create_dir(folder.join("inside")).expect("writable");
    fs::remove_file(folder.join("plan.ndjson")).expect("removable");
    fs::remove_dir_all(reports.path().join(id(2))).expect("removable");
    fs::create_dir(reports.path().join("somebody-elses")).expect("writable");
    let changed = changed(reports.path());
    let expected = [
        "run `20260301T020000Z-0001`: plan.ndjson is missing",
        "run `20260301T020000Z-0001`: inside was put in: manifest.json does not list it",
        "run `20260301T020000Z-0001`: notes.txt was put in: manifest.json does not list it",
        "run `20260301T020000Z-0002`: its folder is missing, and no line says that it was pruned",
    ];
    assert_eq!(changed, expected);
    let notes = verify(reports.path()).expect("it can be read").notes;
    assert_eq!(notes, ["`somebody-elses` is neither a run nor the ledger"]);
}

#[test]
fn the_next_run_adopts_what_a_crash_left_and_the_ledger_shows_it() {
    let reports = reports();
    publish_many(reports.path(), 2);
    kill_before_line(reports.path());
    assert!(changed(reports.path())[0].contains("has no ledger line"));
    let (folder, notes) = RunFolder::begin(reports.path(), &id(3)).expect("it begins");
    assert_eq!(notes, ["run `20260301T020000Z-0002` was adopted: it has a folder but had no ledger line"]);
    folder.publish(&sample::small(&id(3))).expect("it is published");
    let verification = verify(reports.path()).expect("it can be read");
    assert_eq!((verification.unchanged, verification.changed.len()), (3, 0));
    assert!(verification.notes[0].contains("line 2: run `20260301T020000Z-0002` was adopted"));
    assert!(ledger_lines(reports.path())[1].contains("\"adopted\":true"));
}

#[test]
fn a_folder_that_does_not_verify_is_not_adopted() {
    let reports = reports();
    publish_many(reports.path(), 2);
    kill_before_line(reports.path());
    fs::write(reports.path().join(id(2)).join("report.md"), "all is well").expect("writable");
    let (folder, notes) = RunFolder::begin(reports.path(), &id(3)).expect("it begins");
    assert!(notes[0].contains("was not adopted: run `20260301T020000Z-0002`: report.md was changed"), "{notes:?}");
    folder.publish(&sample::small(&id(3))).expect("it is published");
    assert_eq!(ledger_lines(reports.path()).len(), 2);
}

#[test]
fn a_line_cut_short_by_a_crash_is_replaced_and_the_new_line_says_so() {
    let reports = reports();
    publish_many(reports.path(), 2);
    let path = reports.path().join(ledger::FILE);
    let bytes = fs::read(&path).expect("a ledger");
    let first = ledger_lines(reports.path())[0].len() + 1;
    for cut in [first + 1, first + 40, bytes.len() - 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).expect("writable");
        assert_ne!(changed(reports.path()), Vec::<String>::new());
        let (folder, notes) = RunFolder::begin(reports.path(), &id(3)).expect("it begins");
        assert!(!notes.is_empty());
        folder.publish(&sample::small(&id(3))).expect("it is published");
        let verification = verify(reports.path()).expect("it can be read");
        assert_eq!((verification.unchanged, verification.changed), (3, vec![]), "cut to {cut}");
        // Only the newline was missing in the last case, so nothing was replaced.
        let said = verification.notes.iter().any(|note| note.contains("took the place of a line that was cut short"));
        assert_eq!(said, cut != bytes.len() - 1);
        fs::remove_dir_all(reports.path().join(id(3))).expect("removable");
    }
}

#[test]
fn a_dead_runs_leftovers_are_removed_and_a_live_runs_are_not() {
    let reports = reports();
    let (live, _) = RunFolder::begin(reports.path(), &id(1)).expect("it begins");
    let dead = reports.path().join(format!(".{}.partial", id(2)));
    fs::create_dir(&dead).expect("writable");
    fs::write(dead.join(".lock"), "").expect("writable");
    fs::write(dead.join("divergences.parquet"), "PAR1").expect("writable");
    let Err(error) = RunFolder::begin(reports.path(), &id(1)) else { panic!("two processes write one run") };
    assert!(error.to_string().contains("another process is writing this run"), "{error}");
    assert!(!dead.exists());
    live.publish(&sample::small(&id(1))).expect("it is published");
    assert_eq!(changed(reports.path()), Vec::<String>::new());
}

#[test]
fn what_is_not_published_leaves_nothing() {
    let reports = reports();
    let (folder, _) = RunFolder::begin(reports.path(), &id(1)).expect("it begins");
    drop(folder);
    let (folder, _) = RunFolder::begin(reports.path(), &id(1)).expect("it begins again");
    folder.publish(&sample::small(&id(2))).expect_err("it is another run's audit");
    let (folder, _) = RunFolder::begin(reports.path(), &id(1)).expect("it begins again");
    // Somebody damages the ledger meanwhile, so that the line cannot be appended after the rename.
    fs::write(reports.path().join(ledger::FILE), "not a ledger\n").expect("writable");
    folder.publish(&sample::small(&id(1))).expect_err("the ledger cannot be continued");
    assert_eq!(place::names(reports.path()).expect("a folder"), [".ledger.lock", ledger::FILE]);
    assert_eq!(fs::read_to_string(reports.path().join(ledger::FILE)).expect("a file"), "not a ledger\n");
}

#[test]
fn what_cannot_begin_says_why() {
    let reports = reports();
    publish_many(reports.path(), 1);
    let problem = |reports: &Path, run_id: &str| match RunFolder::begin(reports, run_id) {
        Ok(_) => panic!("`{run_id}` begins"),
        Err(error) => error.to_string(),
    };
    assert!(problem(reports.path(), &id(1)).contains("there is a run of this name already"));
    for run_id in ["", "../x", ".hidden", "a/b", "a b", "a\n"] {
        assert!(problem(reports.path(), run_id).contains("expected letters, digits"), "{run_id}");
    }
    let file = reports.path().join("a-file");
    fs::write(&file, "").expect("writable");
    assert!(problem(&file, "x").contains("a-file"));
    fs::write(reports.path().join(ledger::FILE), "not a ledger\n").expect("writable");
    assert!(problem(reports.path(), "x").contains("line 1: it has no `line_digest`"));
}

#[test]
fn many_runs_at_once_keep_the_chain() {
    let reports = reports();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let reports = reports.path();
            scope.spawn(move || {
                for number in 0..4 {
                    publish(reports, &sample::small(&id(writer * 10 + number)));
                    assert_eq!(changed(reports), Vec::<String>::new());
                }
            });
        }
    });
    let verification = verify(reports.path()).expect("it can be read");
    assert_eq!((verification.unchanged, verification.changed, verification.notes), (16, vec![], vec![]));
    let ids: BTreeSet<_> = ledger_lines(reports.path()).into_iter().collect();
    assert_eq!(ids.len(), 16);
}

#[test]
fn the_same_run_again_writes_the_same_bytes() {
    let [one, other] = [reports(), reports()];
    let paths = [&one, &other].map(|reports| publish(reports.path(), &sample::audit()));
    for name in place::names(&paths[0]).expect("a folder") {
        let [one, other] = paths.each_ref().map(|path| fs::read(path.join(&name)).expect("a file"));
        assert_eq!(one, other, "{name}");
    }
    assert_eq!(ledger_lines(one.path()), ledger_lines(other.path()));
}

fn days_after(days: i64) -> jiff::Timestamp {
    sample::instant("2026-03-01T02:00:01.373456789Z") + jiff::SignedDuration::from_hours(24 * days)
}

#[test]
fn prune_keeps_what_any_rule_keeps_and_always_the_newest() {
    let cases = [
        ("nothing asked", Retention::default(), 100, vec![]),
        ("newest two", Retention { keep_runs: Some(2), ..Retention::default() }, 0, vec![id(1), id(2)]),
        (
            "none, but the newest",
            Retention { keep_runs: Some(0), ..Retention::default() },
            0,
            vec![id(1), id(2), id(3)],
        ),
        ("young enough", Retention { keep_days: Some(7), ..Retention::default() }, 6, vec![]),
        ("just too old", Retention { keep_days: Some(7), ..Retention::default() }, 7, vec![id(1), id(2), id(3)]),
        (
            "either keeps",
            Retention { keep_runs: Some(3), keep_days: Some(7), ..Retention::default() },
            100,
            vec![id(1)],
        ),
        (
            "only asked",
            Retention { keep_runs: Some(1), dry_run: true, ..Retention::default() },
            0,
            vec![id(1), id(2), id(3)],
        ),
    ];
    for (what, retention, days, expected) in cases {
        let reports = reports();
        publish_many(reports.path(), 4);
        assert_eq!(
            prune(reports.path(), retention, days_after(days), None, &Unwatched).expect(what),
            expected,
            "{what}"
        );
        let verification = verify(reports.path()).expect("it can be read");
        let left = if retention.dry_run { 4 } else { 4 - expected.len() };
        assert_eq!((verification.unchanged, verification.changed), (left, vec![]), "{what}");
        assert!(reports.path().join(id(4)).is_dir());
        publish(reports.path(), &sample::small(&id(5)));
        assert_eq!(changed(reports.path()), Vec::<String>::new(), "{what}, then a run");
        assert_eq!(
            prune(reports.path(), Retention::default(), days_after(days), None, &Unwatched).expect(what),
            Vec::<String>::new()
        );
    }
}

#[test]
fn prune_finishes_what_a_crash_cut_short_and_refuses_what_was_changed() {
    let reports = reports();
    publish_many(reports.path(), 3);
    let kept = tempfile::tempdir().expect("a temporary folder");
    let copy = kept.path().join("manifest.json");
    fs::copy(reports.path().join(id(1)).join("manifest.json"), &copy).expect("readable");
    let retention = Retention { keep_runs: Some(2), ..Retention::default() };
    assert_eq!(prune(reports.path(), retention, days_after(1), None, &Unwatched).expect("it prunes"), [id(1)]);
    fs::create_dir(reports.path().join(id(1))).expect("writable");
    fs::copy(&copy, reports.path().join(id(1)).join("manifest.json")).expect("writable");
    assert_eq!(prune(reports.path(), retention, days_after(1), None, &Unwatched).expect("it prunes"), [id(1)]);
    assert_eq!(changed(reports.path()), Vec::<String>::new());

    fs::write(reports.path().join(id(2)).join("report.md"), "all is well").expect("writable");
    let retention = Retention { keep_runs: Some(1), ..Retention::default() };
    let error =
        prune(reports.path(), retention, days_after(1), None, &Unwatched).expect_err("it is evidence").to_string();
    assert!(error.contains("report.md was changed") && error.contains("nothing is pruned"), "{error}");
    assert!(reports.path().join(id(2)).is_dir());
}

#[test]
fn the_last_verdict_of_each_contract_comes_from_its_newest_run_even_if_that_was_pruned() {
    let reports = reports();
    assert!(last_verdicts(reports.path()).expect("no ledger is an empty one").is_empty());
    let mut audit = sample::audit();
    id(1).clone_into(&mut audit.run_id);
    publish(reports.path(), &audit);
    publish_many_from(reports.path(), 2, 3);
    let retention = Retention { keep_runs: Some(1), ..Retention::default() };
    prune(reports.path(), retention, days_after(1), None, &Unwatched).expect("it prunes");
    let verdicts = last_verdicts(reports.path()).expect("it can be read");
    let of = |contract: &str| verdicts[contract].clone();
    assert_eq!(of("billing-view"), ("agreed".to_owned(), id(3)));
    assert_eq!(of("crm-policy-view"), ("drifted".to_owned(), id(1)));
    assert_eq!(of("claims-view"), ("unverified".to_owned(), id(1)));
}

fn publish_many_from(reports: &Path, first: usize, last: usize) {
    for number in first..=last {
        publish(reports, &sample::small(&id(number)));
    }
}
