//! Sources in the order of their keys are merged; whatever is planted in them, merging says what sorting records says. Cases are
//! made from their number: tables of a few hundred rows with rows left out, put in, changed, doubled near and far, moved,
//! without a key, and batches, units and threads of all sizes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, StringArray};
use reconcile::audit::Books;
use reconcile::classify::Divergence;
use reconcile::run::{Join, Progress, Tuning};
use reconcile::sides::Sides;

use crate::engine::said;
use crate::oracle::random::Random;
use crate::support::{Workspace, write_parquet};

/// A row: number, part of the number, name, day, amount.
type Row = (Option<i64>, i32, Option<String>, i32, Option<i64>);

/// Which columns are the key; each leaves the rows in order.
const KEYS: [&str; 4] = [r#"["number"]"#, r#"["number", "part"]"#, r#"["name"]"#, r#"["day", "number"]"#];

fn tables(random: &mut Random) -> Sides<Vec<Row>> {
    let rows = random.below(200);
    let row = |number: i64| {
        let name =
            format!("{}{number:06}", if number % 2 == 0 { "x" } else { "x is a name that is too long for a view" });
        let part = i32::try_from(number % 3).unwrap();
        (Some(number), part, Some(format!("{number:06} {name}")), i32::try_from(number / 7).unwrap(), Some(number % 5))
    };
    let authority: Vec<Row> = (0..i64::try_from(rows).unwrap()).map(|number| row(number * 2)).collect();
    let mut projection = authority.clone();
    let few = random.pick(&[0, 1, 4, 30]);
    let mut tables = Sides { authority, projection: std::mem::take(&mut projection) };
    for _ in 0..few {
        let side = random.pick(&reconcile::sides::Side::BOTH);
        let rows = tables.get_mut(side);
        if rows.is_empty() {
            continue;
        }
        let (at, other) = (random.below(rows.len()), random.below(rows.len()));
        match random.below(9) {
            0 => drop(rows.remove(at)),
            1 => rows[at].4 = Some(99),
            2 => rows[at].4 = None,
            // Twice, side by side or far apart, alike or not.
            3 => rows.insert(at, rows[at].clone()),
            4 => rows.insert(other, rows[at].clone()),
            5 => {
                let mut copy = rows[at].clone();
                copy.4 = Some(77);
                rows.push(copy);
            }
            // Out of its place.
            6 => {
                let moved = rows.remove(at);
                rows.insert(other.min(rows.len()), moved);
            }
            7 => rows.insert(at, row(i64::try_from(other).unwrap() * 2 + 1)),
            _ => (rows[at].0, rows[at].2) = (None, None),
        }
    }
    tables
}

fn write(workspace: &Workspace, name: &str, rows: &[Row], rows_of_group: usize) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
        ("part", Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>())),
        ("name", Arc::new(rows.iter().map(|row| row.2.as_deref()).collect::<StringArray>())),
        ("day", Arc::new(rows.iter().map(|row| Some(row.3)).collect::<Date32Array>())),
        ("amount", Arc::new(rows.iter().map(|row| row.4).collect::<Int64Array>())),
    ];
    write_parquet(&workspace.path().join(name), columns, rows_of_group);
}

/// Counts the phases of either way.
#[derive(Default)]
struct Phases {
    merged: AtomicUsize,
    scanned: AtomicUsize,
}

impl Progress for Phases {
    fn begin(&self, _contract: &str, phase: &str, _bytes: u64) {
        match phase {
            "comparing" => self.merged.fetch_add(1, Ordering::Relaxed),
            "reading" => self.scanned.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

type Outcome = (Vec<Divergence>, Sides<Books>, Sides<String>);

fn outcome(workspace: &Workspace, tuning: Tuning, threads: usize, phases: &Phases) -> Outcome {
    let said = said(workspace, tuning, threads, phases);
    (said.divergences, said.books, said.digests)
}

#[test]
fn merging_says_what_sorting_says() {
    let (phases, others) = (Phases::default(), Phases::default());
    for seed in 0..120 {
        let mut random = Random::new(seed);
        let tables = tables(&mut random);
        let workspace = Workspace::new();
        for (side, rows) in tables.iter() {
            write(&workspace, &format!("{side}.parquet"), rows, random.pick(&[3, 7, 40, 1_000]));
        }
        let key = random.pick(&KEYS);
        let filter = if random.percent(30) { "filter = \"amount is null or amount <> 3\"\n" } else { "" };
        workspace.file(
            "reconcile.toml",
            &format!(
                "version = 1\n[source.a]\nlocation = \"authority.parquet\"\n{filter}[source.p]\nlocation = \"projection.parquet\"\n{filter}\
                 [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = {key}\n"
            ),
        );
        let tuning = Tuning {
            batch_rows: random.pick(&[0, 1, 3, 50]),
            budget: random.pick(&[None, Some(64)]),
            tag_bits: random.pick(&[1, 8, 64, 64, 64]),
            ..Tuning::default()
        };
        let threads = random.pick(&[1, 2, 4]);
        let merged = outcome(&workspace, Tuning { join: Some(Join::Merge), ..tuning }, threads, &phases);
        let sorted = outcome(&workspace, Tuning { join: Some(Join::Sort), ..tuning }, 2, &others);
        assert_eq!(merged, sorted, "seed {seed}, {key}, {tuning:?}");
    }
    let (merged, scanned) = (phases.merged.into_inner(), phases.scanned.into_inner());
    // Most cases are merged to their end; those with many stragglers, or whose tags collide, are compared the other way.
    assert!(merged >= 60, "only {merged} cases were merged");
    assert!(scanned <= 60, "{scanned} cases were compared the other way");
    assert_eq!(others.merged.into_inner(), 0);
}
