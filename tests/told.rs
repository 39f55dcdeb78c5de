//! Where most rows differ, rows that do not agree are told while the sources are merged once more instead of being kept; whatever is
//! planted, telling says what keeping says, to the last example. Cases are made from their number.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, StringArray};
use reconcile::audit::{ContractAudit, Recorder};
use reconcile::classify::Divergence;
use reconcile::plan::Action;
use reconcile::run::{Join, Progress, Settings, Stop, Tuning};
use reconcile::sides::Sides;

use crate::engine::settings;
use crate::oracle::random::Random;
use crate::support::{Workspace, write_parquet};

#[derive(Clone)]
struct Row {
    number: i64,
    tenant: i32,
    name: Option<String>,
    day: i32,
    amount: Option<f64>,
    code: String,
    /// The number as text, in the same order.
    label: Option<String>,
}

/// Rows in the order of their numbers, and a copy in which most differ as a few mistakes would have it.
fn tables(random: &mut Random, rows: usize) -> Sides<Vec<Row>> {
    let row = |number: usize| Row {
        number: i64::try_from(number).unwrap(),
        tenant: i32::try_from(number % 3).unwrap(),
        name: (number % 11 != 0).then(|| format!("Name of {number}, which is longer than a view")),
        day: i32::try_from(number * 3 % 900).unwrap(),
        amount: (number % 7 != 0).then_some(f64::from(u32::try_from(number).unwrap()) * 1.37),
        code: ["open", "shut", "lost"][number % 3].to_owned(),
        label: Some(format!("{number:06}")),
    };
    let authority: Vec<Row> = (0..rows).map(row).collect();
    let mut projection = authority.clone();
    if random.percent(20) {
        projection.iter_mut().step_by(97).for_each(|row| row.label = None);
    }
    for mistake in 0..8 {
        if !random.percent(40) {
            continue;
        }
        let share = random.pick(&[30, 90, 100]);
        for row in &mut projection {
            if !random.percent(share) {
                continue;
            }
            match mistake {
                0 => row.name = row.name.as_deref().map(str::to_uppercase),
                1 => row.amount = row.amount.map(|amount| (amount * 10.0).round() / 10.0),
                2 => row.amount = row.amount.map(|amount| amount + 0.001),
                3 => row.day += 1,
                4 => row.code = row.code.replace("open", "O").replace("shut", "S"),
                5 => row.name = row.name.take().or(Some("none".to_owned())),
                6 if row.tenant == 1 => row.amount = Some(0.0),
                7 => row.name = row.name.as_deref().map(|name| format!(" {name} ")),
                _ => {}
            }
        }
    }
    if random.percent(30) {
        let first = random.below(projection.len() / 2);
        projection.drain(first..first + 20);
    }
    if random.percent(40) {
        projection.retain(|row| row.number % 13 != 5);
    }
    let mut authority = authority;
    if random.percent(30) {
        authority.retain(|row| row.number % 17 != 5);
    }
    if random.percent(30) {
        // Put behind all others, out of their order.
        let orphans = authority.iter().filter(|row| row.number % 12 == 7);
        let behind = |row: &Row| Row { number: -row.number, label: Some(format!("{:06}", -row.number)), ..row.clone() };
        projection.extend(orphans.map(behind).collect::<Vec<_>>());
    }
    if random.percent(15) {
        // Twice: rows of the line must be kept too.
        projection.push(projection[0].clone());
    }
    Sides { authority, projection }
}

fn write(workspace: &Workspace, name: &str, rows: &[Row], rows_of_group: usize) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("number", Arc::new(rows.iter().map(|row| Some(row.number)).collect::<Int64Array>())),
        ("tenant", Arc::new(rows.iter().map(|row| Some(row.tenant)).collect::<Int32Array>())),
        ("name", Arc::new(rows.iter().map(|row| row.name.as_deref()).collect::<StringArray>())),
        ("day", Arc::new(rows.iter().map(|row| Some(row.day)).collect::<Date32Array>())),
        ("amount", Arc::new(rows.iter().map(|row| row.amount).collect::<Float64Array>())),
        ("code", Arc::new(rows.iter().map(|row| Some(row.code.as_str())).collect::<StringArray>())),
        ("label", Arc::new(rows.iter().map(|row| row.label.as_deref()).collect::<StringArray>())),
    ];
    write_parquet(&workspace.path().join(name), columns, rows_of_group);
}

/// The sources of a case and its contract.
fn write_all(workspace: &Workspace, random: &mut Random) {
    let rows = 60 + random.below(300);
    let tables = tables(random, rows);
    write_tables(workspace, random, &tables, &[5, 40, 1_000]);
}

fn write_tables(workspace: &Workspace, random: &mut Random, tables: &Sides<Vec<Row>>, rows_of_group: &[usize]) {
    for (side, rows) in tables.iter() {
        let parts = random.pick(&[1, 1, 3]);
        for (number, part) in rows.chunks(rows.len().div_ceil(parts)).enumerate() {
            write(workspace, &format!("{side}-{number}.parquet"), part, random.pick(rows_of_group));
        }
    }
    write_contract(workspace, random);
}

fn write_contract(workspace: &Workspace, random: &mut Random) {
    let attribute = random.pick(&[
        "",
        "[contract.c.attribute.amount]\ntolerance = \"0.002\"\n",
        "[contract.c.attribute.name]\ntrim = \"both\"\n",
        "[contract.c.attribute.name]\npii = \"drop\"\n",
    ]);
    let key = random.pick(&["\"number\"", "\"number\"", "\"number\", \"tenant\"", "\"label\""]);
    let filter = |random: &mut Random| random.pick(&["", "", "", "filter = \"tenant <> 2\"\n"]);
    let (of_authority, of_projection) = (filter(random), filter(random));
    let worth = random.pick(&["", "", "", "value_at_risk = \"amount\"\n"]);
    let total = random.pick(&["", "[[contract.c.total]]\nname = \"all\"\nby = [\"code\"]\nsum = [\"amount\"]\n"]);
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"authority-*.parquet\"\n{of_authority}[source.p]\nlocation = \"projection-*.parquet\"\n\
             {of_projection}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [{key}]\n{worth}{attribute}{total}"
        ),
    );
}

/// Keeps nothing.
struct Heedless {
    /// Whether it listens, or wants nothing to be said.
    listens: bool,
}

impl Recorder for Heedless {
    fn keeps(&self) -> bool {
        self.listens
    }
    fn divergence(&mut self, _contract: &str, divergence: &Divergence) -> io::Result<()> {
        assert!(self.listens, "told {divergence:?}");
        Ok(())
    }
    fn action(&mut self, action: &Action) -> io::Result<()> {
        panic!("told {action:?}")
    }
}

/// Counts how often the sources were merged, and how often they were to be judged.
#[derive(Default)]
struct Passes {
    merged: AtomicUsize,
    told: AtomicUsize,
}

impl Progress for Passes {
    fn begin(&self, _contract: &str, phase: &str, bytes: u64) {
        match phase {
            "comparing" => self.merged.fetch_add(1, Ordering::Relaxed),
            "judging" if bytes > 0 => self.told.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

fn audited(workspace: &Workspace, tuning: Tuning, threads: usize, passes: &Passes, examples: usize) -> ContractAudit {
    recorded(workspace, (tuning, examples), threads, passes, Heedless { listens: false })
}

fn recorded(
    workspace: &Workspace,
    (tuning, examples): (Tuning, usize),
    threads: usize,
    passes: &Passes,
    mut recorder: Heedless,
) -> ContractAudit {
    let settings =
        Settings { draft_plan: false, pii_key: Some([7; 32]), examples, ..settings(workspace, tuning, threads) };
    let configuration = reconcile::contract::load(&workspace.path().join("reconcile.toml"), &|_| None).unwrap();
    let audit =
        reconcile::run::run(&configuration.contracts, &settings, &mut recorder, passes, &Stop::default()).unwrap();
    audit.contracts.into_iter().next().unwrap()
}

#[test]
fn telling_says_what_keeping_says() {
    let (mut told, mut again, mut caused) = (0, 0, 0);
    for seed in 0..80 {
        let mut random = Random::new(seed);
        let workspace = Workspace::new();
        write_all(&workspace, &mut random);
        let tuning = Tuning { batch_rows: random.pick(&[0, 1, 7, 50]), join: Some(Join::Merge), ..Tuning::default() };
        let (passes, others) = (Passes::default(), Passes::default());
        let dense = Tuning { dense_rows: 0, ..tuning };
        let examples = random.pick(&[0, 20, 20, 5_000]);
        let of_telling = audited(&workspace, dense, random.pick(&[1, 2, 4]), &passes, examples);
        let of_keeping = audited(&workspace, Tuning { dense_rows: u64::MAX, ..tuning }, 2, &others, examples);
        assert_eq!(of_telling.error, None);
        assert_eq!(format!("{of_telling:#?}"), format!("{of_keeping:#?}"), "seed {seed}, {tuning:?}");
        let sorted = audited(&workspace, Tuning { join: Some(Join::Sort), ..tuning }, 2, &others, examples);
        assert_eq!(format!("{of_telling:#?}"), format!("{sorted:#?}"), "seed {seed}, {tuning:?}");
        let was_told = passes.merged.into_inner() == 2;
        told += usize::from(was_told);
        again += usize::from(was_told && passes.told.into_inner() > 0);
        caused += of_telling.causes.len();
    }
    assert!(told >= 40, "only {told} cases were told");
    assert!(again >= 10 && told - again >= 5, "{again} of {told} were told again");
    assert!(caused >= 80, "only {caused} causes were named");
}

/// What the first rows suggest is what all were judged by, where all suggest it too; a cause of five rows is seen in few.
#[test]
fn judging_by_a_guess_says_what_judging_afterwards_says() {
    let (mut at_once, mut afterwards) = (0, 0);
    for seed in 0..24 {
        let mut random = Random::new(seed);
        let workspace = Workspace::new();
        let mut tables = tables(&mut random, 9_000);
        if seed % 2 == 0 {
            let named = tables.projection.iter_mut().filter(|row| row.name.is_some());
            named.step_by(1_500).take(5).for_each(|row| row.code = row.code.to_uppercase());
        }
        write_tables(&workspace, &mut random, &tables, &[500, 4_000]);
        write_contract(&workspace, &mut random);
        let (guessed, later) = (Passes::default(), Passes::default());
        let examples = random.pick(&[0, 20, 5_000]);
        let tuning = Tuning { join: Some(random.pick(&[Join::Merge, Join::Sort])), ..Tuning::default() };
        let mut guessing = audited(&workspace, tuning, 2, &guessed, examples);
        // Who is told each line is told it once its cause is known, with the digests of its rows; so is who needs lines to judge them.
        let mut judging = recorded(&workspace, (tuning, examples), 2, &later, Heedless { listens: true });
        let examples = guessing.examples.iter_mut().chain(&mut judging.examples);
        examples.for_each(|example| (example.cause, example.row_digest) = (None, None));
        assert_eq!(guessing.error, None);
        assert_eq!(format!("{guessing:#?}"), format!("{judging:#?}"), "seed {seed}, {tuning:?}");
        if later.told.into_inner() == 1 {
            let came_true = guessed.told.into_inner() == 0;
            *if came_true { &mut at_once } else { &mut afterwards } += 1;
        }
    }
    assert!(at_once >= 3 && afterwards >= 3, "{at_once} guesses came true, {afterwards} did not");
}

/// Puts another file in the place of the projection's once it is to be judged.
struct Meddler<'a> {
    workspace: &'a Workspace,
    done: AtomicUsize,
}

impl Progress for Meddler<'_> {
    fn begin(&self, _contract: &str, phase: &str, bytes: u64) {
        if phase == "judging" && bytes > 0 {
            self.done.fetch_add(1, Ordering::Relaxed);
            let path = |name: &str| self.workspace.path().join(name);
            std::fs::copy(path("authority-0.parquet"), path("projection-0.parquet")).unwrap();
        }
    }
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

#[test]
fn a_file_that_changes_between_the_passes_is_an_error() {
    let workspace = Workspace::new();
    let row = |number: i64| Row {
        number,
        tenant: 1,
        name: None,
        day: 1,
        amount: None,
        code: format!("a code that is stored as it is {number}"),
        label: None,
    };
    let rows: Vec<Row> = (0..2_000).map(row).collect();
    // The first of each span suggest another distance than most.
    let others: Vec<Row> =
        rows.iter().map(|row| Row { day: 2 + i32::from(row.number % 500 < 200), ..row.clone() }).collect();
    write(&workspace, "authority-0.parquet", &rows, 100);
    write(&workspace, "projection-0.parquet", &others, 100);
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.a]\nlocation = \"authority-*.parquet\"\n[source.p]\nlocation = \"projection-*.parquet\"\n\
         [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"number\"]\n",
    );
    let tuning = Tuning { join: Some(Join::Merge), dense_rows: 0, ..Tuning::default() };
    let settings = Settings { draft_plan: false, ..settings(&workspace, tuning, 2) };
    let configuration = reconcile::contract::load(&workspace.path().join("reconcile.toml"), &|_| None).unwrap();
    let meddler = Meddler { workspace: &workspace, done: AtomicUsize::new(0) };
    let mut recorder = Heedless { listens: false };
    let audit =
        reconcile::run::run(&configuration.contracts, &settings, &mut recorder, &meddler, &Stop::default()).unwrap();
    let contract = &audit.contracts[0];
    let error = contract.error.as_deref().unwrap_or_default();
    assert!(error.contains("changed while it was read"), "{error:?}, {:?}", contract.verdict);
    assert_eq!(meddler.done.into_inner(), 1);
}
