//! A comparison in thirty obvious lines, and the engine's answer beside it, over random tables from a printed seed.
//!
//! Which cells are equal is known from how the case was made (`value.rs`), never from the engine; each side then writes
//! the same values in its own format, types and spelling (`write.rs`). `RECONCILE_ORACLE_CASES` sets how many cases a
//! theme has, `RECONCILE_ORACLE_SEED` where they begin: one failing seed with one case is that case again.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use reconcile::audit::{Books, ContractAudit, Recorder, Verdict};
use reconcile::classify::Divergence;
use reconcile::plan::Action;
use reconcile::run::{Join, Progress, Settings, Stop, Tuning};
use reconcile::sides::{Side, Sides};
use serde_json::value::RawValue;

mod case;
mod controls;
mod lag;
mod ownership;
pub(crate) mod random;
mod value;
mod write;

use case::{Case, Row, Theme};
use random::Random;
use value::{Family, Value, number};

/// A divergence as both sides of the test name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    kind: &'static str,
    /// None without a key.
    key: Option<Vec<Value>>,
    attribute: Option<String>,
    /// The counts of a duplicate key.
    note: String,
}

/// The key of a row as it is compared.
fn key(case: &Case, row: &Row) -> Vec<Value> {
    row.iter().zip(&case.attributes).take(case.keys).map(|(value, attribute)| attribute.rules.normal(value)).collect()
}

/// The oracle: two maps, and a walk over the union of their keys.
fn oracle(case: &Case) -> (Vec<Found>, Sides<Books>) {
    let mut found: Vec<Found> = case.schema.iter().map(|name| finding("schema", None, Some(name), "")).collect();
    let mut books = case.tables.as_ref().map(|_, rows| Books { read: rows.len() as u64, ..Books::default() });
    let mut maps: Sides<BTreeMap<Vec<Value>, Vec<&Row>>> = Sides::default();
    for (side, rows) in case.tables.iter() {
        for row in rows {
            let key = key(case, row);
            if key.contains(&Value::Null) && !case.null_keys_match {
                books.get_mut(side).null_key += 1;
                found.push(finding("null_key", Some(key), None, ""));
            } else {
                maps.get_mut(side).entry(key).or_default().push(row);
            }
        }
    }
    let union: BTreeSet<&Vec<Value>> = maps.authority.keys().chain(maps.projection.keys()).collect();
    for key in union {
        let rows = maps.as_ref().map(|_, map| map.get(key).map_or(&[][..], Vec::as_slice));
        let named = Some(key.clone());
        let (authority, projection) = (&mut books.authority, &mut books.projection);
        match (rows.authority, rows.projection) {
            ([one], []) if is_deleted(case, Side::Authority, one) => authority.tombstone += 1,
            ([], [other]) if is_deleted(case, Side::Projection, other) => projection.tombstone += 1,
            ([one], []) => {
                authority.unpaired += 1;
                let kind = case.lag.as_ref().map_or("missing", |lag| lag.missing(one, &case.tables.projection));
                found.push(finding(kind, named, None, ""));
            }
            ([], [_]) => {
                projection.unpaired += 1;
                found.push(finding("orphan", named, None, ""));
            }
            ([one], [other]) => {
                let kind = case.lag.as_ref().map_or("mismatch", |lag| lag.pair(one, other));
                let deleted = (is_deleted(case, Side::Authority, one), is_deleted(case, Side::Projection, other));
                let differing = if deleted == (false, false) { differing(case, one, other) } else { Vec::new() };
                let one_deleted = deleted.0 != deleted.1;
                let differ = one_deleted || !differing.is_empty();
                found.extend(one_deleted.then(|| finding(kind, named.clone(), None, "")));
                found.extend(differing.into_iter().map(|name| finding(kind, named.clone(), Some(name), "")));
                for books in [authority, projection] {
                    *(if differ { &mut books.differ } else { &mut books.agree }) += 1;
                }
            }
            (many, others) => {
                authority.duplicate += many.len() as u64;
                projection.duplicate += others.len() as u64;
                found.push(finding("duplicate_key", named, None, &format!("{}/{}", many.len(), others.len())));
            }
        }
    }
    (found, books)
}

/// What the owner of the last attribute has for the row of a key; None where it has no row or several.
fn owned<'a>(case: &'a Case, row: &Row) -> Option<&'a Value> {
    let rows = case.owner.as_ref()?;
    let wanted = key(case, row);
    let mut same = rows.iter().filter(|row| key(case, row) == wanted);
    match (same.next(), same.next()) {
        (Some(one), None) => one.last(),
        _ => None,
    }
}

fn is_deleted(case: &Case, side: Side, row: &Row) -> bool {
    case.lag.as_ref().is_some_and(|lag| lag.is_deleted(side, row))
}

/// Without a key, rows are a multiset: each surplus copy is one divergence.
fn oracle_of_multisets(case: &Case) -> (Vec<Found>, Sides<Books>) {
    let mut found: Vec<Found> = case.schema.iter().map(|name| finding("schema", None, Some(name), "")).collect();
    let mut copies: BTreeMap<Vec<Value>, Sides<u64>> = BTreeMap::new();
    for (side, rows) in case.tables.iter() {
        for row in rows {
            let normal = row.iter().zip(&case.attributes).map(|(value, attribute)| attribute.rules.normal(value));
            *copies.entry(normal.collect()).or_default().get_mut(side) += 1;
        }
    }
    let mut books = case.tables.as_ref().map(|_, rows| Books { read: rows.len() as u64, ..Books::default() });
    for count in copies.values() {
        let both = count.authority.min(count.projection);
        for (side, kind) in [(Side::Authority, "missing"), (Side::Projection, "orphan")] {
            let surplus = count.get(side) - both;
            books.get_mut(side).agree += both;
            books.get_mut(side).unpaired += surplus;
            found.extend((0..surplus).map(|_| finding(kind, None, None, "")));
        }
    }
    (found, books)
}

fn finding(kind: &'static str, key: Option<Vec<Value>>, attribute: Option<&String>, note: &str) -> Found {
    Found { kind, key, attribute: attribute.cloned(), note: note.to_owned() }
}

fn differing<'a>(case: &'a Case, authority: &Row, projection: &Row) -> Vec<&'a String> {
    case.attributes
        .iter()
        .zip(authority.iter().zip(projection))
        .enumerate()
        .skip(case.keys)
        .filter(|(place, (attribute, (one, other)))| {
            let rules = &attribute.rules;
            if case.owner.is_some() && place + 1 == case.attributes.len() {
                return owned(case, authority).is_none_or(|one| !rules.equal(&rules.normal(one), &rules.normal(other)));
            }
            !rules.equal(&rules.normal(one), &rules.normal(other))
        })
        .map(|(_, (attribute, _))| &attribute.name)
        .collect()
}

#[derive(Default)]
struct Notes {
    divergences: Vec<Divergence>,
    actions: Vec<Action>,
}

impl Recorder for Notes {
    fn divergence(&mut self, _contract: &str, divergence: &Divergence) -> io::Result<()> {
        self.divergences.push(divergence.clone());
        Ok(())
    }

    fn action(&mut self, action: &Action) -> io::Result<()> {
        self.actions.push(action.clone());
        Ok(())
    }
}

struct Silence;

impl Progress for Silence {
    fn begin(&self, _contract: &str, _phase: &str, _bytes: u64) {}
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

/// What the engine says of the case, in the engine's order.
fn engine(case: &Case, order: u64, threads: usize) -> (Vec<Found>, ContractAudit) {
    let folder = tempfile::tempdir().unwrap();
    case.write(folder.path(), order);
    let configuration = reconcile::contract::load(&folder.path().join("reconcile.toml"), &|_| None)
        .unwrap_or_else(|errors| panic!("the contract is refused: {:#?}\n{}", errors.0, case.contract()));
    let settings = Settings {
        run_id: "oracle".to_owned(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        command: "run".to_owned(),
        threads,
        memory_limit: None,
        spill_folder: folder.path().to_owned(),
        cache: None,
        examples: 3,
        draft_plan: case.seed.is_multiple_of(2),
        digest_inputs: false,
        signed: false,
        pii_key: None,
        decisions: std::sync::Arc::default(),
        earlier: None,
        shown: BTreeMap::new(),
        tuning: tuning(&mut Random::new(order ^ TUNING)),
    };
    let contracts: Vec<Arc<_>> = configuration.contracts.clone();
    let mut notes = Notes::default();
    let audit = reconcile::run::run(&contracts, &settings, &mut notes, &Silence, &Stop::default()).unwrap();
    let contract = audit.contracts.into_iter().next().unwrap();
    assert!(settings.draft_plan || notes.actions.is_empty(), "actions were drafted although no plan was asked for");
    controls::check_rules(case, &notes.divergences);
    controls::check_totals(case, &contract.figures);
    (notes.divergences.iter().map(|divergence| named(case, divergence)).collect(), contract)
}

/// Sets the sizes apart from the rows of the same seed.
const TUNING: u64 = 0x7E57;

/// Sizes that must change no result: tags so short that they collide, batches of one row, spilling at once.
fn tuning(random: &mut Random) -> Tuning {
    Tuning {
        tag_bits: random.pick(&[1, 3, 8, 64, 64]),
        batch_rows: random.pick(&[0, 0, 1, 3, 1_000]),
        partition_bits: random.pick(&[None, None, Some(0), Some(3)]),
        budget: random.pick(&[None, None, None, Some(64), Some(700)]),
        join: random.pick(&[None, Some(Join::Index), Some(Join::Index), Some(Join::Sort), Some(Join::Merge)]),
        ..Tuning::default()
    }
}

fn named(case: &Case, divergence: &Divergence) -> Found {
    let key = divergence.key.as_ref().filter(|_| case.keys > 0).map(|text| {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
        assert_eq!(members.len(), case.keys, "another number of attributes in key {text}");
        case.attributes[..case.keys].iter().map(|attribute| read(members[&attribute.name].get(), attribute)).collect()
    });
    let kind = divergence.kind.name();
    let count = |value: &Option<Box<str>>| value.as_deref().unwrap_or("0").to_owned();
    let note = match kind {
        "duplicate_key" => format!("{}/{}", count(&divergence.values.authority), count(&divergence.values.projection)),
        _ => String::new(),
    };
    let attribute = divergence.attribute.as_ref().map(ToString::to_string);
    Found { kind, key, attribute, note }
}

/// Reads a key's member back: only what it is, not how it is spelled.
fn read(json: &str, attribute: &case::Attribute) -> Value {
    if json == "null" {
        return Value::Null;
    }
    let text: String = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
    let moment = |local: jiff::civil::DateTime| {
        Value::Moment(jiff::tz::Offset::UTC.to_timestamp(local).unwrap().as_nanosecond())
    };
    let hex = |text: &str| {
        let digits: Vec<char> = text.trim_start_matches("0x").chars().filter(char::is_ascii_hexdigit).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap()).collect()
    };
    match attribute.family {
        Family::Integer | Family::Decimal | Family::Float => read_number(&text),
        Family::Bool => Value::Bool(text == "true"),
        Family::Text => attribute.rules.normal(&Value::Text(text)),
        Family::Binary | Family::Uuid => Value::Bytes(hex(&text)),
        Family::Date | Family::Local => moment(text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))),
        Family::Instant => Value::Moment(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()),
        Family::Time => moment(text.parse::<jiff::civil::Time>().unwrap().on(1970, 1, 1)),
        other => panic!("{other:?} is no key"),
    }
}

fn read_number(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "nan" => return Value::Special("NaN"),
        "inf" | "infinity" => return Value::Special("inf"),
        "-inf" | "-infinity" => return Value::Special("-inf"),
        _ => {}
    }
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let units: i128 = format!("{whole}{fraction}").parse().unwrap_or_else(|error| panic!("key number {text}: {error}"));
    let places = i32::try_from(fraction.len()).unwrap() - exponent.parse::<i32>().unwrap();
    match u32::try_from(places) {
        Ok(places) => number(units, places),
        Err(_) => number(units * 10_i128.pow(places.unsigned_abs()), 0),
    }
}

/// One case: the oracle and the engine, then the engine again with other rows first and other threads.
fn check(theme: Theme, seed: u64) -> Result<(), String> {
    let case = Case::make(theme, seed);
    let mut random = Random::new(seed ^ 0x5EED);
    let threads = random.pick(&[1, 2, 4]);
    let (mut expected, books) = if case.keys == 0 { oracle_of_multisets(&case) } else { oracle(&case) };
    expected.sort();
    let (in_order, audit) = engine(&case, seed, threads);
    let mut found = in_order.clone();
    found.sort();
    if audit.verdict == Verdict::Unverified {
        return Err(format!("unverified: {} {:?} {:?}", audit.because, audit.error, audit.warnings));
    }
    if found != expected {
        let surplus: Vec<_> = found.iter().filter(|one| !expected.contains(one)).collect();
        let lacking: Vec<_> = expected.iter().filter(|one| !found.contains(one)).collect();
        return Err(format!("the engine alone says {surplus:#?}\nthe oracle alone says {lacking:#?}"));
    }
    if audit.books != books {
        return Err(format!("books: {:#?}\noracle: {books:#?}", audit.books));
    }
    if let Some(lag) = &audit.lag {
        let keys = |kind| {
            let keys: BTreeSet<_> = expected.iter().filter(|one| one.kind == kind).map(|one| &one.key).collect();
            keys.len() as u64
        };
        if (lag.within, lag.beyond) != (keys("in_flight"), keys("stale")) {
            return Err(format!("{lag:?}, expected {} in flight and {} stale", keys("in_flight"), keys("stale")));
        }
    }
    if (audit.verdict == Verdict::Agreed) != expected.iter().all(|one| one.kind == "in_flight") {
        return Err(format!("verdict {:?} with {} divergences", audit.verdict, expected.len()));
    }
    if random.percent(15) {
        let again = engine(&case, seed.wrapping_add(1), 5 - threads).0;
        if again != in_order {
            return Err(format!("in another order of rows: {again:#?}\nbefore: {in_order:#?}"));
        }
    }
    Ok(())
}

fn check_all(theme: Theme, cases: u64) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = setting("RECONCILE_ORACLE_SEED").unwrap_or(1);
    let cases = setting("RECONCILE_ORACLE_CASES").unwrap_or(cases);
    let mut failures = Vec::new();
    for seed in first..first + cases {
        match std::panic::catch_unwind(|| check(theme, seed)) {
            Ok(Ok(())) => {}
            Ok(Err(complaint)) => failures.push((seed, complaint)),
            Err(_) => failures.push((seed, "panicked (see above)".to_owned())),
        }
    }
    let Some((seed, complaint)) = failures.first() else { return };
    let case = Case::make(theme, *seed);
    let all: String =
        failures.iter().map(|(seed, text)| format!("{seed}: {:.300}\n", text.replace('\n', " "))).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("oracle-{theme:?}-{seed}"));
    std::fs::create_dir_all(&folder).unwrap();
    case.write(&folder, *seed);
    panic!(
        "{theme:?}: {} of {cases} cases fail:\n{all}\nseed {seed}: {complaint}\n--- {:?}\n--- contract\n{}\n\
         --- authority\n{}--- projection\n{}\nagain: RECONCILE_ORACLE_SEED={seed} RECONCILE_ORACLE_CASES=1\n\
         its files: {}",
        failures.len(),
        tuning(&mut Random::new(seed ^ TUNING)),
        case.contract(),
        shown(&case.tables.authority),
        shown(&case.tables.projection),
        folder.display()
    );
}

fn shown(rows: &[Row]) -> String {
    rows.iter().map(|row| format!("{row:?}\n")).collect()
}

#[test]
fn the_engine_agrees_with_the_oracle_on_every_type() {
    check_all(Theme::Types, 900);
}

#[test]
fn the_engine_agrees_with_the_oracle_on_text_options() {
    check_all(Theme::TextOptions, 600);
}

#[test]
fn the_engine_agrees_with_the_oracle_on_distances() {
    check_all(Theme::Distances, 500);
}

#[test]
fn the_engine_agrees_with_the_oracle_on_nested_values() {
    check_all(Theme::Nested, 400);
}

#[test]
fn the_engine_agrees_with_the_oracle_without_a_key() {
    check_all(Theme::Keyless, 400);
}

#[test]
fn the_engine_agrees_with_the_oracle_on_a_second_owner() {
    check_all(Theme::Owners, 500);
}

#[test]
fn the_engine_agrees_with_the_oracle_on_versions_tombstones_and_windows() {
    check_all(Theme::Lag, 900);
}

/// What the other test compares is only worth as much as what it meets.
#[test]
fn random_markers_give_every_kind() {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 1..=200 {
        let (found, books) = oracle(&Case::make(Theme::Lag, seed));
        found.iter().for_each(|one| *kinds.entry(one.kind).or_default() += 1);
        for (_, books) in books.iter() {
            *kinds.entry("tombstone").or_default() += usize::from(books.tombstone > 0);
        }
    }
    for kind in ["resurrected", "ahead", "in_flight", "stale", "mismatch", "missing", "duplicate_key", "tombstone"] {
        assert!(kinds.get(kind).is_some_and(|count| *count >= 20), "too few of {kind}: {kinds:?}");
    }
}

#[test]
fn every_random_case_can_be_made_and_written() {
    for theme in
        [Theme::Types, Theme::TextOptions, Theme::Distances, Theme::Nested, Theme::Keyless, Theme::Owners, Theme::Lag]
    {
        for seed in 0..60 {
            let folder = tempfile::tempdir().unwrap();
            let case = Case::make(theme, seed);
            case.write(folder.path(), seed);
            let (found, books) = if case.keys == 0 { oracle_of_multisets(&case) } else { oracle(&case) };
            reconcile::audit::balanced(&books).unwrap();
            assert!(found.len() <= 2_000, "{theme:?}, seed {seed}: {} findings", found.len());
        }
    }
}
