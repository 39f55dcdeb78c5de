//! What the engine asks of the allocator for a row, which no machine's speed changes: a guard against work that nobody
//! wanted. A figure that falls is to be written down here; one that rises has a reason, or is a defect.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};
use reconcile::audit::{Recorder, Verdict};
use reconcile::classify::Divergence;
use reconcile::plan::Action;
use reconcile::run::{Progress, Settings, Stop, Tuning};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region};

use crate::support::{Workspace, alone, asked, pair_contract, write_parquet};

/// Rows of each side.
const ROWS: i32 = 40_000;

/// How far above its figure a case may be, in percent.
const MARGIN: f64 = 20.0;

/// One row in so many differs (0: none), allocations for each row of a side, and bytes allocated for each.
const CASES: [(i64, f64, f64); 3] = [(0, 0.141, 640.2), (100, 0.440, 739.7), (1, 13.409, 3_272.0)];

/// A key and eleven attributes of the usual types.
fn table(workspace: &Workspace, name: &str, one_in: i64) {
    let ids = || 0..i64::from(ROWS);
    let integers = |of: fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(ids().map(of))) };
    let texts = |of: fn(i64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(ids().map(of))) };
    let amounts = |of: fn(i64) -> i128| -> ArrayRef {
        let amounts = Decimal128Array::from_iter_values(ids().map(of));
        Arc::new(amounts.with_precision_and_scale(15, 2).unwrap())
    };
    let days = |of: fn(i64) -> i64| -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(ids().map(|row| i32::try_from(of(row)).unwrap())))
    };
    let differs = |row: i64| one_in > 0 && row % one_in == 0;
    let last = Int64Array::from_iter_values(ids().map(|row| row % 50 + i64::from(differs(row))));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", integers(|row| row)),
        ("part", integers(|row| row * 7 % 20_011)),
        ("line", integers(|row| row % 7)),
        ("price", amounts(|row| i128::from(row * 104_729 % 10_000_000))),
        ("discount", amounts(|row| i128::from(row % 11))),
        ("weight", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| f64::from(row) / 8.0)))),
        ("shipped", days(|row| 8_000 + row % 2_500)),
        ("received", days(|row| 8_010 + row % 2_500)),
        ("flag", texts(|row| ["A", "N", "R"][usize::try_from(row % 3).unwrap()].to_owned())),
        ("mode", texts(|row| ["AIR", "RAIL", "TRUCK", "REG AIR"][usize::try_from(row % 4).unwrap()].to_owned())),
        ("comment", texts(|row| format!("carefully final requests wake {row}"))),
        ("quantity", Arc::new(last)),
    ];
    write_parquet(&workspace.path().join(name), columns, 10_000);
}

struct Deaf(u64);

impl Recorder for Deaf {
    fn divergence(&mut self, _contract: &str, _divergence: &Divergence) -> io::Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn action(&mut self, _action: &Action) -> io::Result<()> {
        Ok(())
    }
}

impl Progress for Deaf {
    fn begin(&self, _contract: &str, _phase: &str, _bytes: u64) {}
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

/// Compares once, and tells what was asked of the allocator.
fn measured(workspace: &Workspace, one_in: i64) -> Value {
    let configuration = reconcile::contract::load(&workspace.path().join("reconcile.toml"), &|_| None).unwrap();
    let settings = Settings {
        run_id: "work".to_owned(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        command: "run".to_owned(),
        threads: 1,
        memory_limit: None,
        spill_folder: workspace.path().to_owned(),
        cache: None,
        examples: 20,
        draft_plan: false,
        digest_inputs: false,
        signed: false,
        pii_key: None,
        decisions: std::sync::Arc::default(),
        earlier: None,
        shown: BTreeMap::new(),
        tuning: Tuning::default(),
    };
    let mut recorder = Deaf(0);
    let region = Region::new(&INSTRUMENTED_SYSTEM);
    let audit =
        reconcile::run::run(&configuration.contracts, &settings, &mut recorder, &Deaf(0), &Stop::default()).unwrap();
    let asked = region.change();
    let differing = if one_in == 0 { 0 } else { i64::from(ROWS) / one_in };
    assert_eq!(i64::try_from(recorder.0).unwrap(), differing, "one divergence for each row that differs");
    assert_eq!(audit.contracts[0].verdict == Verdict::Agreed, differing == 0);
    json!({ "allocations": asked.allocations + asked.reallocations, "bytes": asked.bytes_allocated })
}

#[test]
fn a_row_asks_no_more_of_the_allocator_than_it_did() {
    if let Some((request, answer)) = asked() {
        let one_in = request["one_in"].as_i64().unwrap();
        let workspace = Workspace::new();
        table(&workspace, "a.parquet", 0);
        table(&workspace, "b.parquet", one_in);
        workspace.file("reconcile.toml", &pair_contract("a.parquet", "b.parquet"));
        // What is made once in a process is not counted.
        measured(&workspace, one_in);
        std::fs::write(answer, measured(&workspace, one_in).to_string()).unwrap();
        return;
    }
    let (mut figures, mut above) = (String::new(), 0);
    for (one_in, allocations_known, bytes_known) in CASES {
        let asked = alone("work::a_row_asks_no_more_of_the_allocator_than_it_did", &json!({ "one_in": one_in }));
        let of_row = |name: &str| asked[name].as_f64().unwrap() / f64::from(ROWS);
        let (allocations, bytes) = (of_row("allocations"), of_row("bytes"));
        let most = 1.0 + MARGIN / 100.0;
        above += usize::from(allocations > allocations_known * most) + usize::from(bytes > bytes_known * most);
        writeln!(
            figures,
            "one row in {one_in} differs: {allocations:.3} allocations a row (known: {allocations_known}), \
             {bytes:.1} bytes a row (known: {bytes_known})"
        )
        .unwrap();
    }
    assert_eq!(above, 0, "more than {MARGIN}% above what is known:\n{figures}");
}
