//! What is kept between runs: a second run says the same as one that reads everything, whatever happened to files and cache.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use serde_json::Value;

use crate::support::{Outcome, Workspace, contract, read_json, runs_in, write_parquet};

/// Files of a side, each a list of rows.
type Files = Vec<Vec<(i64, String)>>;

const CONTRACT: &str = "version = 1\n\n[source.a]\nlocation = \"a/*.parquet\"\n\n[source.p]\nlocation = \
                        \"p/*.parquet\"\n\n[contract.pair]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \
                        \"p\"\nkey = [\"id\"]\n";

/// A pair of so many files of so many rows, alike.
fn alike(files: i64, rows: i64) -> (Files, Files) {
    let of_file = |file: i64| (0..rows).map(|row| row * files + file).map(|id| (id, format!("value {id}"))).collect();
    let side: Files = (0..files).map(of_file).collect();
    // The other side has the same rows in other files.
    let ids = (0..files * rows).collect::<Vec<_>>();
    let other = ids.chunks(usize::try_from(rows).unwrap());
    (side, other.map(|ids| ids.iter().map(|id| (*id, format!("value {id}"))).collect()).collect())
}

fn write(workspace: &Workspace, side: &str, file: usize, rows: &[(i64, String)]) -> PathBuf {
    let folder = workspace.path().join(side);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{file:03}.parquet"));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id)));
    let values: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, value)| value)));
    write_parquet(&path, vec![("id", ids), ("value", values)], 1 << 20);
    path
}

fn write_all(workspace: &Workspace, (authority, projection): &(Files, Files)) {
    for (side, files) in [("a", authority), ("p", projection)] {
        files.iter().enumerate().for_each(|(file, rows)| drop(write(workspace, side, file, rows)));
    }
}

/// A pair with a few of every kind of divergence, and its contract.
fn pair() -> (Workspace, (Files, Files)) {
    let mut sides = alike(6, 300);
    "other".clone_into(&mut sides.0[1][7].1);
    sides.0[2].remove(20);
    sides.1[3].remove(33);
    let twice = sides.1[4][5].clone();
    sides.1[2].push(twice);
    let workspace = Workspace::new();
    write_all(&workspace, &sides);
    workspace.file("reconcile.toml", CONTRACT);
    (workspace, sides)
}

/// Waits until what was written is old enough to be relied on.
fn settle() {
    std::thread::sleep(Duration::from_millis(60));
}

/// What a run found: all but names, instants, what it says of the cache and of the run before.
#[derive(Debug, PartialEq)]
struct Result {
    summary: Value,
    divergences: Vec<u8>,
    plan: Vec<u8>,
    /// Table digests and file digests.
    inputs: Vec<Value>,
}

/// Runs into a folder of reports of its own.
fn run(workspace: &Workspace, reports: &str, more: &[&str]) -> (Result, u64) {
    let before = runs_in(&workspace.path().join(reports));
    let outcome = workspace.reconcile(["run", "--out", reports].iter().chain(more));
    assert!(matches!(outcome.status, Some(0 | 1)), "{}", outcome.shown());
    let run = runs_in(&workspace.path().join(reports)).into_iter().find(|run| !before.contains(run)).unwrap();
    (result(&run), taken_over(&read_json(&run.join("summary.json")), "pair"))
}

fn result(run: &Path) -> Result {
    let mut summary = read_json(&run.join("summary.json"));
    for name in ["run_id", "started_at", "elapsed_ms"] {
        summary.as_object_mut().unwrap().remove(name);
    }
    for contract in summary["contracts"].as_array_mut().unwrap() {
        // How it stands to the run before is no part of what was found.
        for name in ["taken_over", "recurrence"] {
            contract.as_object_mut().unwrap().remove(name);
        }
        let warnings = contract["warnings"].as_array_mut().unwrap();
        warnings.retain(|warning| !warning.as_str().unwrap().starts_with("its meaning has changed since run"));
    }
    let manifest = read_json(&run.join("manifest.json"));
    let inputs = |side: &str| {
        let mut input = manifest["contracts"][0]["inputs"][side].clone();
        input.as_object_mut().unwrap_or_else(|| panic!("no inputs in {manifest}")).remove("taken_over");
        input
    };
    Result {
        summary,
        divergences: fs::read(run.join("divergences.parquet")).unwrap(),
        plan: fs::read(run.join("plan.ndjson")).unwrap(),
        inputs: vec![inputs("authority"), inputs("projection")],
    }
}

/// Rows that were not read, of both sides.
fn taken_over(summary: &Value, name: &str) -> u64 {
    let sides = &contract(summary, name)["taken_over"];
    ["authority", "projection"].iter().map(|side| sides[side]["rows"].as_u64().unwrap_or(0)).sum()
}

/// The run that reads everything.
fn fresh(workspace: &Workspace) -> Result {
    let (result, taken) = run(workspace, "fresh", &["--no-cache"]);
    assert_eq!(taken, 0, "`--no-cache` took rows over");
    result
}

fn all_rows(sides: &(Files, Files)) -> u64 {
    sides.0.iter().chain(&sides.1).map(|rows| rows.len() as u64).sum()
}

/// Entries of the cache.
fn entries(workspace: &Workspace) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = Vec::new();
    for contract in fs::read_dir(workspace.path().join("reports/.cache")).unwrap() {
        entries.extend(fs::read_dir(contract.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    entries.sort();
    entries
}

#[test]
fn a_second_run_reads_nothing_and_says_the_same() {
    let (workspace, sides) = pair();
    settle();
    let (first, none) = run(&workspace, "reports", &[]);
    assert_eq!(none, 0);
    assert_eq!(first, fresh(&workspace));
    let (second, taken) = run(&workspace, "reports", &[]);
    assert_eq!(second, first);
    assert_eq!(taken, all_rows(&sides));
    let outcome = workspace.reconcile(["run"]);
    outcome.expect(1, &["not read", "taken over from an earlier run", "--no-cache"]);
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
    let said = workspace.reconcile(["audit", "verify"]);
    assert!(!said.shown().contains("cache"), "the cache is no stray\n{}", said.shown());
    workspace.reconcile(["report", "latest", "--format", "markdown"]).expect(1, &["Not read: authority"]);
}

#[test]
fn a_file_changed_in_place_is_noticed_although_size_and_time_are_as_they_were() {
    let (workspace, sides) = pair();
    settle();
    let (first, _) = run(&workspace, "reports", &[]);
    let path = workspace.path().join("a/003.parquet");
    let before = fs::metadata(&path).unwrap();
    let mut rows = sides.0[3].clone();
    rows[11].1 = rows[11].1.replace("value", "VALUE");
    // The same inode, the same length, and the same time of modification.
    let other = Workspace::new();
    let bytes = fs::read(write(&other, "a", 3, &rows)).unwrap();
    fs::write(&path, &bytes).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.len(), before.ino(), before.mtime_nsec()), (after.len(), after.ino(), after.mtime_nsec()));
    settle();
    let (second, taken) = run(&workspace, "reports", &[]);
    assert_ne!(second, first, "the change was not noticed");
    assert_eq!(second, fresh(&workspace));
    assert_eq!(taken, all_rows(&sides) - 300);
}

#[test]
fn a_file_that_was_only_just_written_is_not_relied_on() {
    let (workspace, sides) = pair();
    settle();
    let later = SystemTime::now() + Duration::from_hours(1);
    File::options().write(true).open(workspace.path().join("p/001.parquet")).unwrap().set_modified(later).unwrap();
    let (first, _) = run(&workspace, "reports", &[]);
    let (second, taken) = run(&workspace, "reports", &[]);
    assert_eq!(first, second);
    assert_eq!(taken, all_rows(&sides) - 300);
}

/// Runs with one entry after the other cut off, longer, changed or gone: every run says the same. Tells in how many of the 60 where
/// it was not gone nothing was taken over.
fn runs_with_damage(workspace: &Workspace, expected: &Result) -> usize {
    let kept: Vec<(PathBuf, Vec<u8>)> =
        entries(workspace).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    assert!(kept.len() >= 13, "12 units and a state are kept, found {}", kept.len());
    let try_with = |sample: usize, path: &Path, damaged: Option<&[u8]>| -> u64 {
        match damaged {
            Some(damaged) => fs::write(path, damaged).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let (again, taken) = run(workspace, "reports", &[]);
        assert_eq!(&again, expected, "sample {sample}: {} damaged", path.display());
        entries(workspace).iter().for_each(|path| fs::remove_file(path).unwrap());
        for (path, bytes) in &kept {
            fs::write(path, bytes).unwrap();
        }
        taken
    };
    let mut noticed = 0;
    for sample in 0..60_usize {
        let (path, bytes) = &kept[sample * 7 % kept.len()];
        let mut damaged = bytes.clone();
        let at = sample * 7919 % bytes.len();
        match sample % 4 {
            0 => damaged.truncate(at),
            1 => damaged.extend_from_slice(b"more"),
            _ => damaged[at] ^= 1 << (sample % 8),
        }
        noticed += usize::from(try_with(sample, path, Some(&damaged)) == 0);
    }
    for (sample, (path, _)) in kept.iter().enumerate() {
        try_with(sample, path, None);
    }
    noticed
}

#[test]
fn no_damage_to_an_entry_changes_a_result() {
    let (workspace, _) = pair();
    settle();
    let (first, _) = run(&workspace, "reports", &[]);
    let noticed = runs_with_damage(&workspace, &first);
    assert!(noticed > 20, "damage was noticed {noticed} times");
}

#[test]
fn no_damage_to_an_entry_changes_what_is_found_of_files_that_were_rewritten() {
    let (workspace, mut sides) = pair();
    settle();
    run(&workspace, "reports", &[]);
    sides.0[1][200].1.push('!');
    sides.0[1].remove(100);
    sides.1[2][5].1.push('?');
    write(&workspace, "a", 1, &sides.0[1]);
    write(&workspace, "p", 2, &sides.1[2]);
    settle();
    let expected = fresh(&workspace);
    let noticed = runs_with_damage(&workspace, &expected);
    assert!(noticed > 20, "damage was noticed {noticed} times");
    let (again, taken) = run(&workspace, "reports", &[]);
    assert_eq!((again, taken), (expected, all_rows(&sides) - 299 - 301), "the entries as they were are of use");
}

#[test]
fn entries_that_changed_places_are_not_taken_for_each_other() {
    let (workspace, _) = pair();
    settle();
    let (first, _) = run(&workspace, "reports", &[]);
    let units: Vec<PathBuf> =
        entries(&workspace).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "unit")).collect();
    fs::copy(&units[0], &units[1]).unwrap();
    let (second, taken) = run(&workspace, "reports", &[]);
    assert_eq!((second, taken), (first, 0));
}

#[test]
fn another_meaning_takes_nothing_over() {
    let (workspace, sides) = pair();
    settle();
    run(&workspace, "reports", &[]);
    for more in ["[contract.pair.attribute.value]\ncase = \"ignore\"\n", "ignore = [\"value\"]\n"] {
        workspace.file("reconcile.toml", &format!("{CONTRACT}{more}"));
        let (other, taken) = run(&workspace, "reports", &[]);
        assert_eq!((&other, taken), (&fresh(&workspace), 0), "{more}");
        let (again, taken) = run(&workspace, "reports", &[]);
        assert_eq!((again, taken), (other, all_rows(&sides)), "{more}");
    }
    let (_, taken) = run(&workspace, "reports", &["--where", "id < 100"]);
    assert_eq!(taken, 0, "rows of another scope were taken over");
}

#[test]
fn the_cache_may_go_at_any_time_and_holds_no_more_than_is_needed() {
    let (workspace, sides) = pair();
    settle();
    let (first, _) = run(&workspace, "reports", &[]);
    let held = entries(&workspace);
    fs::remove_dir_all(workspace.path().join("reports/.cache")).unwrap();
    let (second, taken) = run(&workspace, "reports", &[]);
    assert_eq!((&second, taken), (&first, 0));
    assert_eq!(entries(&workspace), held);
    fs::remove_file(workspace.path().join("a/005.parquet")).unwrap();
    fs::remove_file(workspace.path().join("p/002.parquet")).unwrap();
    let (third, taken) = run(&workspace, "reports", &[]);
    assert_eq!(third, fresh(&workspace));
    assert_eq!(taken, all_rows(&sides) - 300 - 301);
    let units = entries(&workspace).iter().filter(|path| path.extension().is_some_and(|kind| kind == "unit")).count();
    assert_eq!(units, 10, "units of removed files are removed");
    assert!(!fs::exists(workspace.path().join("fresh/.cache")).unwrap(), "`--no-cache` keeps nothing");
}

#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let (workspace, _) = pair();
    workspace.file("in-the-way", "");
    let outcome = workspace.reconcile(["run", "--cache", "in-the-way"]);
    outcome.expect(1, &["the cache could not be written"]);
}

#[test]
fn a_disk_that_is_full_while_rows_are_taken_over_is_a_warning() {
    let mut sides = alike(6, 20_000);
    let workspace = Workspace::new();
    write_all(&workspace, &sides);
    settle();
    let diff = ["diff", "a", "p", "--key", "id", "--format", "json", "--no-progress"];
    workspace.reconcile(diff.iter().chain(&["--cache", "kept"])).expect(0, &[]);
    for row in [3, 15_000] {
        sides.1[4][row].1.push('!');
    }
    write(&workspace, "p", 4, &sides.1[4]);
    settle();
    // A file may have 25 KiB: the digests of the rewritten rows do not fit, all else does.
    let script = "trap '' XFSZ; ulimit -f 50; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_reconcile")]).args(diff).args(["--cache", "kept"]);
    let outcome = Outcome::of(&command.current_dir(workspace.path()).output().unwrap());
    outcome.expect(1, &["the cache could not be written"]);
    let found = |outcome: &Outcome| -> [Value; 4] {
        let summary: Value = serde_json::from_str(&outcome.stdout).unwrap();
        ["divergences", "rows", "attributes", "books"].map(|name| summary["contracts"][0][name].clone())
    };
    let plain = workspace.reconcile(diff);
    plain.expect(1, &[]);
    assert_eq!(found(&plain)[0]["mismatch"], 2, "{}", plain.shown());
    assert_eq!(found(&outcome), found(&plain));
    let after = workspace.reconcile(diff.iter().chain(&["--cache", "kept"]));
    assert_eq!(found(&after), found(&plain));
    let taken = |outcome: &Outcome| taken_over(&serde_json::from_str(&outcome.stdout).unwrap(), "diff");
    assert_eq!((taken(&outcome), taken(&after)), (0, all_rows(&sides) - 20_000), "what is not kept is read again");
    assert!(!after.shown().contains("could not be written"), "{}", after.shown());
}

#[test]
fn diff_keeps_something_only_where_a_folder_is_named() {
    let (workspace, sides) = pair();
    settle();
    let diff = |more: &[&str]| -> (Outcome, Value) {
        let words = ["diff", "a", "p", "--key", "id", "--format", "json"];
        let outcome = workspace.reconcile(words.iter().chain(more));
        let mut summary: Value = serde_json::from_str(&outcome.stdout).unwrap();
        let taken = taken_over_of(&mut summary);
        (outcome, taken)
    };
    for (more, rows) in [(&[][..], 0), (&["--cache", "kept"], 0), (&["--cache", "kept"], all_rows(&sides)), (&[], 0)] {
        let (outcome, taken) = diff(more);
        outcome.expect(1, &[]);
        let sum: u64 = ["authority", "projection"].iter().map(|side| taken[side]["rows"].as_u64().unwrap_or(0)).sum();
        assert_eq!(sum, rows, "{more:?}");
    }
}

fn taken_over_of(summary: &mut Value) -> Value {
    summary["contracts"][0]["taken_over"].take()
}

/// Numbers that look random, from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Some rows of some files change, come, go, double, move or change places.
fn edit(random: &mut Random, sides: &mut (Files, Files), next: &mut i64) -> Vec<(bool, usize)> {
    let mut touched = Vec::new();
    for _ in 0..=random.below(4) {
        let authority = random.below(2) == 0;
        let files = if authority { &mut sides.0 } else { &mut sides.1 };
        let (file, other) = (random.below(files.len()), random.below(files.len()));
        if files[file].is_empty() {
            continue;
        }
        let row = random.below(files[file].len());
        match random.below(8) {
            0 | 1 => files[file][row].1.push('!'),
            2 => drop(files[file].remove(row)),
            3 => {
                *next += 1;
                files[file].push((*next, format!("new {next}")));
            }
            4 => {
                let twice = files[file][row].clone();
                files[other].push(twice);
            }
            5 => {
                let moved = files[file].remove(row);
                files[other].push(moved);
            }
            6 => files[file].rotate_left(row),
            _ => files[file].truncate(row),
        }
        touched.extend([(authority, file), (authority, other)]);
    }
    touched
}

#[test]
fn random_edits_over_several_runs_always_equal_a_run_that_reads_everything() {
    let seed = std::env::var("RECONCILE_CACHE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos().into());
    let mut random = Random(seed);
    // More rows to a file than a row is looked for.
    let mut sides = alike(12, 160);
    let mut next = 1_000_000;
    let workspace = Workspace::new();
    workspace.file("reconcile.toml", CONTRACT);
    write_all(&workspace, &sides);
    let mut total = 0;
    for round in 0..12 {
        settle();
        let (kept, taken) = run(&workspace, "reports", &[]);
        assert_eq!(kept, fresh(&workspace), "RECONCILE_CACHE_SEED={seed}, round {round}");
        total += taken;
        for (authority, file) in edit(&mut random, &mut sides, &mut next) {
            let (side, files) = if authority { ("a", &sides.0) } else { ("p", &sides.1) };
            write(&workspace, side, file, &files[file]);
        }
    }
    assert!(total > 0, "RECONCILE_CACHE_SEED={seed}: nothing was ever taken over");
}

#[test]
fn a_key_that_is_doubled_alike_on_both_sides_stays_found_whichever_files_are_rewritten() {
    let mut sides = alike(6, 300);
    let twice = sides.0[4][5].clone();
    assert!(sides.1[0].contains(&twice));
    sides.0[2].push(twice.clone());
    sides.1[2].push(twice);
    let workspace = Workspace::new();
    write_all(&workspace, &sides);
    workspace.file("reconcile.toml", CONTRACT);
    // Of either side the file with one of both, with the other, or another one is rewritten elsewhere, and its rows rotated.
    for (round, files) in [vec![], vec![2], vec![4], vec![2, 4], vec![0], vec![0, 2, 4]].into_iter().enumerate() {
        for file in files {
            for (name, side) in [("a", &mut sides.0), ("p", &mut sides.1)] {
                side[file][100].1.push('!');
                side[file].rotate_left(round % 2);
                write(&workspace, name, file, &side[file]);
            }
        }
        settle();
        let (kept, taken) = run(&workspace, "reports", &[]);
        assert_eq!(kept, fresh(&workspace), "round {round}");
        let found = &contract(&kept.summary, "pair")["divergences"];
        assert_eq!(found["duplicate_key"], 1, "round {round}: {found}");
        assert_eq!(taken > 0, round > 0, "round {round}");
    }
}

#[test]
fn a_key_that_comes_again_in_a_file_too_large_to_be_kept_is_found() {
    let rows = |first: i64| (first..first + 60_000).map(|id| (id, format!("value {id}")));
    for sides in [&["a", "p"][..], &["a"], &["p"]] {
        let workspace = Workspace::new();
        workspace.file("reconcile.toml", CONTRACT);
        let old: Vec<_> = rows(0).collect();
        ["a", "p"].iter().for_each(|side| drop(write(&workspace, side, 0, &old)));
        settle();
        run(&workspace, "reports", &[]);
        // A row of a key that lies in a file that is taken over.
        let new: Vec<_> = rows(1_000_000).collect();
        for side in ["a", "p"] {
            let again = sides.contains(&side).then(|| (7, "another".to_owned()));
            let rows: Vec<_> = new.iter().cloned().chain(again).collect();
            write(&workspace, side, 1, &rows);
        }
        settle();
        let many = ["--memory-limit", "256MiB", "--threads", "64"];
        let (second, taken) = run(&workspace, "reports", &many);
        assert_eq!(taken, 120_000, "the old files are taken over");
        assert_eq!(second, fresh(&workspace), "twice on {sides:?}");
        let found = &contract(&second.summary, "pair")["divergences"];
        assert_eq!(found["duplicate_key"], 1, "{found}");
    }
}
