//! Opens the two sides of a contract and brings contract and schemas together, before any row is read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;

use super::carried::{Carried, Wanted};
use super::controls::{self, Gauges};
use super::owners::{self, Clock, Decided, Owners};
use super::tally::Tally;
use super::{Batch, Halt, Tuning, pushdown, spans};
use crate::contract::{CapturedAt, Compare, Contract, LogicalType, Source};
use crate::normalise::{BindRequest, Binding, bind, columns_read};
use crate::sides::{Side, Sides};
use crate::source::{self, OpenOptions, Opened, Remote};
use crate::sql::Predicate;

/// Both sides, opened and bound.
pub(super) struct Inputs {
    pub(super) binding: Binding,
    pub(super) sides: Sides<Input>,
    /// `--where`, over attributes.
    pub(super) row_filter: Option<Predicate>,
    /// The same attributes before the options that change what a text or number looks like: a row is in scope where the
    /// predicate holds for it either way.
    pub(super) as_it_stands: Option<Binding>,
    /// The contract as it holds now, where its owners had to be chosen or its sides composed, or where more is personal than it
    /// declares.
    pub(super) contract: Option<Contract>,
    /// What is read besides the two sides.
    pub(super) owners: Option<Owners>,
    /// What is measured of every row.
    pub(super) gauges: Gauges,
    /// Given where units leave out rows that agree by their sums: while it is set they give all rows.
    pub(super) whole: Option<Arc<AtomicBool>>,
    /// The instant that decided who owns what.
    pub(super) instant: Decided,
    /// The authority before it was composed, where another copy is held against it too.
    pub(super) authority: Option<Opened>,
}

impl Inputs {
    /// Reads all rows, also those that the comparison leaves out.
    pub(super) fn as_whole<T>(&self, read: impl FnOnce() -> T) -> T {
        let set = |all: bool| self.whole.iter().for_each(|whole| whole.store(all, Ordering::SeqCst));
        set(true);
        let done = read();
        set(false);
        done
    }

    /// Whether a side's rows were not read when it was opened.
    pub(super) fn is_deferred(&self) -> bool {
        let remotes = self.sides.iter().filter_map(|(_, input)| input.opened.units.first()?.remote());
        remotes.into_iter().any(Remote::is_deferred)
    }

    /// Bytes that reading one unit takes, of those that take the most.
    pub(super) fn memory(&self) -> u64 {
        let of_side = |input: &Input| input.opened.units.iter().map(|unit| unit.memory(&input.columns)).max();
        let of_owners = self.owners.iter().map(Owners::memory);
        self.sides.iter().filter_map(|(_, input)| of_side(input)).chain(of_owners).max().unwrap_or_default()
    }
}

impl Inputs {
    /// The same agreement over sides that were opened anew and have the same columns: nothing is left out of what is read,
    /// and nothing is measured of it.
    pub(super) fn anew(&self, contract: &Contract, opened: Sides<Opened>) -> Result<Self, Halt> {
        let sides = opened.try_map(|side, opened| input(contract, side, opened, &self.binding))?;
        let gauges = Gauges::none();
        let binding = self.binding.clone();
        Ok(Self {
            binding,
            sides,
            row_filter: None,
            as_it_stands: None,
            contract: None,
            owners: None,
            gauges,
            whole: None,
            instant: self.instant,
            authority: None,
        })
    }
}

/// One side, opened.
pub(super) struct Input {
    pub(super) opened: Opened,
    /// Columns that a scan reads, as indices in the source's schema, ascending.
    pub(super) columns: Vec<usize>,
    /// Which of those the comparison takes, as indices in `columns`.
    pub(super) compared: Vec<usize>,
    /// What is read of each row besides.
    pub(super) carried: Carried,
    /// `filter`, over the source's own columns.
    pub(super) filter: Option<Predicate>,
    /// `captured_at = { column }`, as an index in `columns`.
    pub(super) captured_column: Option<usize>,
}

impl Input {
    /// Reads these columns, which are all that it read before, and others.
    fn read(&mut self, columns: Vec<usize>) {
        let before = std::mem::replace(&mut self.columns, columns);
        let within = |place: usize| self.columns.binary_search(&before[place]).expect("it is still read");
        self.compared.iter_mut().for_each(|column| *column = within(*column));
        self.captured_column = self.captured_column.map(within);
        self.carried.moved(within);
    }
}

/// Has two comparisons read the same columns of one authority, so that a reading for one serves the other.
pub(super) fn read_alike(one: &mut Inputs, other: &mut Inputs) {
    let (one, other) = (&mut one.sides.authority, &mut other.sides.authority);
    let columns: BTreeSet<usize> = one.columns.iter().chain(&other.columns).copied().collect();
    one.read(columns.iter().copied().collect());
    other.read(columns.into_iter().collect());
}

/// Opens both sides and binds them. Both sides are tried, so that all problems are told at once.
/// Owners that change are those at the instant that the projection speaks for; where it tells none, at `now`.
pub(super) fn open(contract: &Contract, tuning: &Tuning, now: Timestamp) -> Result<Inputs, Vec<Halt>> {
    open_as(contract, tuning, Clock::Says(now), &OpenOptions::default())
}

/// The same for a batch, but that a database may leave its rows where they are, to be asked for sums first. Where owners change
/// and a column tells the instant, it is read.
pub(super) fn open_to_ask(batch: &Batch<'_>) -> Result<Inputs, Vec<Halt>> {
    let pushdown = pushdown::wish(batch.contract).filter(|_| !batch.contract.is_composed());
    let in_spans = (spans::wished(batch.contract) || batch.part().is_some()) && !batch.contract.is_composed();
    let options = OpenOptions { pushdown, in_spans, ..OpenOptions::default() };
    open_as(batch.contract, &batch.settings.tuning, Clock::Reads(batch), &options)
}

/// The same as `open`, for sources that were opened before: the time that they may take goes on.
pub(super) fn open_again(
    contract: &Contract,
    tuning: &Tuning,
    now: Timestamp,
    began: Instant,
) -> Result<Inputs, Vec<Halt>> {
    open_as(contract, tuning, Clock::Says(now), &OpenOptions { began: Some(began), ..OpenOptions::default() })
}

/// The same for another projection of an authority that was opened before: its rows, and those of every other owner, are read
/// in the state in which they were opened then.
pub(super) fn open_beside(
    first: &Inputs,
    contract: &Contract,
    tuning: &Tuning,
    now: Timestamp,
) -> Result<Inputs, Vec<Halt>> {
    let authority = first.authority.clone().ok_or_else(|| vec![Halt::Contract("there is no authority".to_owned())])?;
    let projection = open_side(contract, Side::Projection, tuning, &OpenOptions::default());
    let opened = Sides { authority: Ok(authority), projection };
    bound(contract, opened, tuning, Clock::Says(now), first.owners.as_ref())
}

fn open_as(contract: &Contract, tuning: &Tuning, clock: Clock<'_>, options: &OpenOptions) -> Result<Inputs, Vec<Halt>> {
    bound(contract, Sides::from_fn(|side| open_side(contract, side, tuning, options)), tuning, clock, None)
}

/// Composes and binds what was opened; every side that could not be is told.
fn bound(
    contract: &Contract,
    opened: Sides<Result<Opened, Halt>>,
    tuning: &Tuning,
    clock: Clock<'_>,
    before: Option<&Owners>,
) -> Result<Inputs, Vec<Halt>> {
    let mut halts = Vec::new();
    let mut keep = |result: Result<Opened, Halt>| result.map_err(|halt| halts.push(halt)).ok();
    let (authority, projection) = (keep(opened.authority), keep(opened.projection));
    let row_filter = contract.row_filter.as_deref().map(Predicate::parse).transpose();
    let row_filter = row_filter.map_err(|said| halts.push(Halt::Contract(format!("--where: {said}")))).ok();
    let (Some(authority), Some(projection), Some(row_filter)) = (authority, projection, row_filter) else {
        return Err(halts);
    };
    let opened = Sides { authority, projection };
    let instant = owners::instant(contract, &opened.projection, clock).map_err(|halt| vec![halt])?;
    let authority = contract.baseline.as_ref().map(|_| opened.authority.clone());
    let (effective, opened, owners) = composed(contract, opened, tuning, instant.at, before)?;
    let contract = effective.as_ref().unwrap_or(contract);
    let schemas = opened.as_ref().map(|_, opened| &*opened.schema);
    let binding = bind(BindRequest { contract, schemas })
        .map_err(|errors| errors.iter().map(|error| Halt::Contract(error.to_string())).collect::<Vec<_>>())?;
    if let Some(predicate) = &row_filter {
        let have: Vec<&str> = binding.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        if let Some(absent) = predicate.columns().iter().find(|name| !have.contains(&name.as_str())) {
            let said = format!("--where: no attribute `{absent}` (attributes are: {})", have.join(", "));
            return Err(vec![Halt::Contract(said)]);
        }
    }
    let compared = binding.attributes.iter().map(|attribute| attribute.name.as_str());
    let personal = contract.with_personal(compared);
    let contract = personal.as_ref().unwrap_or(contract);
    let gauges = Gauges::new(contract, &binding)?;
    let sides = opened.try_map(|side, opened| input(contract, side, opened, &binding)).map_err(|halt| vec![halt])?;
    let as_it_stands = row_filter.as_ref().map(|_| binding.as_it_stands());
    Ok(Inputs {
        binding,
        sides,
        row_filter,
        as_it_stands,
        contract: personal.or(effective),
        owners,
        gauges,
        whole: None,
        instant,
        authority,
    })
}

/// The contract with the owners that hold, and its sides composed, where it has more sources than two.
fn composed(
    contract: &Contract,
    opened: Sides<Opened>,
    tuning: &Tuning,
    instant: Timestamp,
    before: Option<&Owners>,
) -> Result<(Option<Contract>, Sides<Opened>, Option<Owners>), Vec<Halt>> {
    if !contract.is_composed() {
        return Ok((None, opened, None));
    }
    let resolved = contract.at(instant);
    if !resolved.is_composed() {
        return Ok((Some(resolved), opened, None));
    }
    let composed = owners::compose(resolved, opened, tuning, before)?;
    Ok((Some(composed.contract), composed.opened, Some(composed.owners)))
}

/// Opens one side.
pub(super) fn open_side(
    contract: &Contract,
    side: Side,
    tuning: &Tuning,
    options: &OpenOptions,
) -> Result<Opened, Halt> {
    let as_json = contract
        .attributes
        .iter()
        .filter(|attribute| attribute.options.logical_type == Some(LogicalType::Json))
        .filter(|attribute| side == Side::Projection || !attribute.origin.is_composed())
        .map(|attribute| match side {
            Side::Authority => attribute.column[0].clone(),
            Side::Projection => attribute.projected_as[0].clone(),
        })
        .collect();
    let declared = contract.compare == Compare::Declared;
    let options = OpenOptions { as_json, declared, batch_rows: tuning.batch_rows, ..options.clone() };
    source::open(contract.sources.get(side), &options).map_err(|error| Halt::Source { side, error })
}

fn input(contract: &Contract, side: Side, opened: Opened, binding: &Binding) -> Result<Input, Halt> {
    let source = contract.sources.get(side);
    let find = |name: &str, option: &str| {
        opened.schema.index_of(name).map_err(|_| {
            let have: Vec<&str> = opened.schema.fields().iter().map(|field| field.name().as_str()).collect();
            Halt::Contract(format!(
                "source `{}`, {option}: no column `{name}` (columns are: {})",
                source.name,
                have.join(", ")
            ))
        })
    };
    let filter = source
        .filter_here()
        .map(Predicate::parse)
        .transpose()
        .map_err(|said| Halt::Contract(format!("source `{}`, filter: {said}", source.name)))?;
    let mut columns = columns_read(binding, side);
    let needed = columns.clone();
    for name in filter.iter().flat_map(Predicate::columns) {
        columns.push(find(name, "filter")?);
    }
    for (name, option) in controls::columns(contract, side) {
        columns.push(find(name, &option)?);
    }
    let captured = match &source.captured_at {
        CapturedAt::Column(name) => Some(find(name, "captured_at")?),
        _ => None,
    };
    columns.extend(captured);
    let wanted = Wanted::of(source, &opened.schema, binding.key_count > 0)?;
    columns.extend(wanted.columns());
    columns.sort_unstable();
    columns.dedup();
    let within = |index: &usize| columns.binary_search(index).expect("every needed column is read");
    Ok(Input {
        compared: needed.iter().map(within).collect(),
        captured_column: captured.as_ref().map(within),
        carried: wanted.within(within),
        columns,
        opened,
        filter,
    })
}

/// Says which instant each side speaks for, and refuses a snapshot that is older than allowed.
pub(super) fn freshness(batch: &Batch<'_>, inputs: &Inputs, tally: &mut Tally<'_>) -> Result<(), Halt> {
    for (side, input) in inputs.sides.iter() {
        let source = batch.contract.sources.get(side);
        let told = source::captured_at(source, &input.opened).map_err(|error| Halt::Source { side, error })?;
        let captured_at = tally.oldest(side, told.or(tally.captured_at(side)));
        tally.captured(side, captured_at);
        check_age(source, side.name(), captured_at, batch.settings.started_at)?;
    }
    inputs.instant.still_holds(tally)
}

/// Refuses a source that is older than allowed.
pub(super) fn check_age(
    source: &Source,
    side: &str,
    captured_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Halt> {
    let Some(max_age) = source.max_age else { return Ok(()) };
    let Some(captured_at) = captured_at else {
        return Err(Halt::Contract(format!(
            "{side}: source `{}` has a max_age, but nothing tells when it was captured\nhint: set `captured_at`",
            source.name
        )));
    };
    let age = now.as_nanosecond() - captured_at.as_nanosecond();
    if age <= max_age.0 {
        return Ok(());
    }
    let hours =
        |nanoseconds: i128| format!("{}h{:02}m", nanoseconds / 3_600_000_000_000, nanoseconds / 60_000_000_000 % 60);
    Err(Halt::Contract(format!(
        "{side}: source `{}` speaks for {captured_at}, {} ago; at most {} are allowed",
        source.name,
        hours(age),
        hours(max_age.0)
    )))
}
