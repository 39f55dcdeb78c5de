//! Three tables are held against each other in one state of the authority, whose rows are read once for both copies.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use reconcile::audit::{ThreeWay, Verdict};
use reconcile::run::{Join, Progress, Tuning};

use super::{counts, found, run, workspace};
use crate::engine::{audited, settings};
use crate::servers::postgres::{Database, database};
use crate::support::tree;

/// Counts rows that are read, and does something right before the first reading of a comparison, given its number from 1.
struct Readings<'a> {
    rows: AtomicU64,
    begun: AtomicUsize,
    act: Mutex<Box<dyn FnMut(usize) + Send + 'a>>,
}

impl<'a> Readings<'a> {
    fn doing(act: impl FnMut(usize) + Send + 'a) -> Self {
        Self { rows: AtomicU64::new(0), begun: AtomicUsize::new(0), act: Mutex::new(Box::new(act)) }
    }
}

impl Progress for Readings<'_> {
    fn begin(&self, _contract: &str, phase: &str, _bytes: u64) {
        if phase == "reading" {
            let reading = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
            (*self.act.lock().unwrap())(reading);
        }
    }

    fn advance(&self, rows: u64, _bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    fn end(&self) {}
}

const ROWS: u64 = 3000;

/// A table whose rows of these keys have another premium.
fn table(faults: &[u64]) -> String {
    (1..=ROWS).fold("id,premium,name\n".to_owned(), |mut table, id| {
        let premium = if faults.contains(&id) { id + 1 } else { id };
        writeln!(table, "{id},{premium},n{id}").unwrap();
        table
    })
}

fn parity(baseline: Option<reconcile::audit::Baseline>) -> ThreeWay {
    baseline.unwrap().parity.expect("the old copy was compared")
}

#[test]
fn the_authority_is_read_once_for_both_copies_however_rows_are_brought_together() {
    let same = workspace(&table(&[]), &table(&[]), &[]);
    same.file("admin.csv", &table(&[]));
    for join in [None, Some(Join::Merge), Some(Join::Index), Some(Join::Sort)] {
        for threads in [1, 4] {
            let readings = Readings::doing(|_| {});
            let settings = settings(&same, Tuning { join, ..Tuning::default() }, threads);
            let (audit, _) = audited(&same, &settings, &readings);
            assert_eq!((audit.verdict, audit.error), (Verdict::Agreed, None), "{join:?}");
            assert_eq!(readings.rows.into_inner(), 3 * ROWS, "{join:?} with {threads} threads");
        }
    }
}

#[test]
fn one_reading_tells_what_two_would() {
    let other = workspace(&table(&[5, 7, 1000]), &table(&[7, 9]), &[]);
    other.file("admin.csv", &table(&[]));
    // Tags of few bits collide, and a budget of a few bytes spills all records.
    for (tag_bits, budget) in [(64, None), (4, None), (64, Some(1 << 10)), (12, Some(1 << 10))] {
        for join in [Join::Index, Join::Sort] {
            let tuning = Tuning { tag_bits, budget, join: Some(join), ..Tuning::default() };
            let (audit, notes) = audited(&other, &settings(&other, tuning, 2), &Readings::doing(|_| {}));
            assert_eq!((audit.verdict, audit.error), (Verdict::Drifted, None));
            assert_eq!(notes.divergences.len(), 3);
            let parity = parity(audit.baseline);
            let said = [parity.regressions, parity.inherited, parity.healed];
            assert_eq!(said, [2, 1, 1], "{tag_bits} {budget:?} {join:?}");
        }
    }
}

#[test]
fn an_authority_that_changes_before_the_old_copy_is_compared_leaves_the_contract_unverified() {
    let changing = workspace(&table(&[]), &table(&[3]), &[]);
    changing.file("admin.csv", &table(&[]));
    let readings = Readings::doing(|reading| {
        if reading == 2 {
            changing.file("admin.csv", &table(&[3]));
        }
    });
    let (audit, _) = audited(&changing, &settings(&changing, Tuning::default(), 2), &readings);
    assert_eq!(readings.begun.into_inner(), 2);
    assert_eq!(audit.verdict, Verdict::Unverified);
    let error = audit.error.unwrap();
    assert!(error.contains("admin.csv") && error.contains("changed"), "{error}");
    assert!(audit.baseline.unwrap().parity.is_none());
}

#[test]
fn a_query_that_would_answer_otherwise_the_second_time_is_asked_once() {
    // How many connections a database of its own has: the more, the oftener it was opened.
    let (authority, owner) = (database(), database());
    let connections = |database: &Database| {
        format!(
            "location = \"{}\"\nmax_connections = 1\nquery = \"SELECT 1 AS id, count(*) AS premium FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'reconcile'\"",
            database.url()
        )
    };
    let one = "id,premium\n1,1\n";
    // The authority itself.
    let asked = workspace(one, one, &[("location = \"admin.csv\"", &connections(&authority))]);
    run(&asked, 0, &["every row agrees"]);
    assert_eq!(counts(&found(&asked)["baseline"]), [0; 6]);
    // Another owner of an attribute, and the authority of both in that case.
    let owned = format!(
        "[source.billing]\n{}\n[contract.policies.attribute.balance]\nowner = \"billing\"\ncolumn = \"premium\"\ntype = \"decimal\"",
        connections(&owner)
    );
    let lines = [("location = \"admin.csv\"", connections(&authority)), ("#PREMIUM", owned)];
    let lines: Vec<(&str, &str)> = lines.iter().map(|(mark, line)| (*mark, line.as_str())).collect();
    let copy = "id,premium,balance\n1,1,1\n";
    let asked = workspace(copy, copy, &lines);
    run(&asked, 0, &["every row agrees"]);
    assert_eq!(counts(&found(&asked)["baseline"]), [0; 6]);
}

#[test]
fn what_was_partly_taken_over_or_is_damaged_changes_nothing() {
    let (new, old) = (table(&[5, 700, 2500]), table(&[700, 1900]));
    let parts = workspace(&new, &old, &[("location = \"admin.csv\"", "location = \"admin\"")]);
    let all = table(&[]);
    let (head, rows) = all.split_once('\n').unwrap();
    let rows: Vec<&str> = rows.lines().collect();
    let write = |number: usize| {
        let of_part = rows[number * 500..(number + 1) * 500].join("\n");
        parts.file(&format!("admin/{number}.csv"), &format!("{head}\n{of_part}\n"));
    };
    (0..6).for_each(write);
    let told = || {
        // What was written just now is not trusted to be unchanged.
        std::thread::sleep(std::time::Duration::from_millis(60));
        run(&parts, 1, &["2 regressions (old_crm is right), 1 inherited, 1 healed"]);
        found(&parts)["taken_over"]["authority"]["rows"].as_u64().unwrap_or(0)
    };
    assert_eq!(told(), 0);
    assert_eq!(told(), ROWS);
    // One part is read for both copies, the others are read for the old one alone.
    write(2);
    assert_eq!(told(), ROWS - 500);
    let cache = parts.path().join("reports/.cache");
    let mut noticed = 0;
    for round in 0..8 {
        // What was damaged is gone after the run that noticed, and kept anew.
        let kept: Vec<_> =
            tree(&cache).into_iter().map(|name| cache.join(name)).filter(|path| path.is_file()).collect();
        assert!(kept.len() >= 7, "six parts and a state are kept: {kept:?}");
        let path = &kept[round * 3 % kept.len()];
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
        write(3);
        noticed += usize::from(told() == 0);
    }
    assert!(noticed > 0, "no damage was noticed");
}
