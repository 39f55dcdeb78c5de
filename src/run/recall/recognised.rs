//! What tells the parts of sources from each other, and which of them the last run has seen. It reads no rows, and takes a part for
//! one that was seen only where its id is the same.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::Batch;
use super::super::input::Inputs;
use crate::cache::{Cache, Id, Known, State};
use crate::digest;
use crate::sides::{Side, Sides};

/// The cache of a contract, in the sense that contract and schemas give its rows.
pub(super) fn cache(batch: &Batch<'_>, inputs: &Inputs, root: &std::path::Path) -> Cache {
    let contract = batch.contract;
    let mut meaning = vec![
        format!("{} {}", digest::FORMAT, batch.settings.tuning.tag_bits).into_bytes(),
        contract.digest.to_vec(),
        format!("{:?} {:?}", contract.attributes, contract.attribute_defaults).into_bytes(),
    ];
    for (side, source) in contract.sources.iter() {
        let input = inputs.sides.get(side);
        meaning.push(format!("{source:?} {:?} {:?}", input.columns, input.compared).into_bytes());
        // The hash of a field is in a fixed order, unlike what it prints.
        let mut hasher = Bytes::default();
        std::hash::Hash::hash(&input.opened.schema, &mut hasher);
        meaning.push(hasher.0);
    }
    let meaning: Vec<&[u8]> = meaning.iter().map(Vec::as_slice).collect();
    let sources = contract.sources.as_ref().map(|_, source| source.location.shown());
    let named = [&contract.name, sources.authority, sources.projection].map(str::as_bytes);
    Cache::new(root, &named, &meaning, &batch.settings.run_id)
}

/// Keeps what would be hashed.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl std::hash::Hasher for Bytes {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// What tells each unit of a side from others. One whose file cannot be told from another is only of this run.
pub(super) fn unit_ids(batch: &Batch<'_>, inputs: &Inputs, side: Side, (sense, files): (Id, &[Option<Id>])) -> Vec<Id> {
    let (opened, columns) = (&inputs.sides.get(side).opened, &inputs.sides.get(side).columns);
    let mut parts = vec![0_u64; opened.files.len()];
    opened.file_of.iter().for_each(|&file| parts[file] += 1);
    let mut next = vec![0_u64; opened.files.len()];
    let each = opened.units.iter().zip(&opened.file_of).enumerate().map(|(index, (unit, &file))| {
        let (part, parts) = (next[file], parts[file]);
        // Which rows of a broken file can be read depends on the columns.
        let within = format!("{side} {part} {parts} {} {:?} {columns:?}", unit.bytes(), unit.rows());
        next[file] += 1;
        let alone = format!("{} {index}", batch.settings.run_id);
        let file = files[file].as_ref().map_or(alone.as_bytes(), |id| &id.0);
        Id::of(&[&sense.0, file, within.as_bytes(), unit.place().as_bytes()])
    });
    each.collect()
}

/// What is left of the last run.
pub(super) struct Recognised {
    /// For each unit what the last run knew of it.
    pub(super) known: Sides<Vec<Option<Known>>>,
    /// Units that are gone, each with the unit it lay behind that is still there.
    pub(super) gone: Sides<Vec<(Option<Id>, Known)>>,
    /// Bits of the partitions that all of it adds up to.
    pub(super) bits: u32,
}

/// Holds the units that are there against those of the last run; `bits` is what the partitions would be without it.
pub(super) fn recognised(cache: &Cache, state: &State, ids: &Sides<Vec<Id>>, bits: u32) -> Recognised {
    /// Partitions may be so many times larger than they would be; beyond that what was kept is read anew.
    const COARSER: u32 = 2;
    let mut gone = Sides::<Vec<(Option<Id>, Known)>>::default();
    let mut coarsest = bits;
    let known = ids.as_ref().map(|side, ids| {
        let mut last: FxHashMap<Id, &Known> = state.units.get(side).iter().map(|known| (known.id, known)).collect();
        let known: Vec<Option<Known>> = ids
            .iter()
            .map(|id| {
                let usable = last.get(id).is_some_and(|known| known.bits + COARSER >= bits && cache.has(*id));
                if usable { last.remove(id).cloned() } else { None }
            })
            .collect();
        coarsest = known.iter().flatten().map(|known| known.bits).fold(coarsest, u32::min);
        let here: FxHashSet<Id> = ids.iter().copied().collect();
        let mut behind = None;
        for known in state.units.get(side) {
            if !last.contains_key(&known.id) {
                behind = Some(known.id);
            } else if !here.contains(&known.id) {
                gone.get_mut(side).push((behind, known.clone()));
            }
            // What is still there and of no use is read again, and all its keys are hot.
        }
        known
    });
    Recognised { known, gone, bits: coarsest }
}

/// Whether so much is known that it pays: all that is read is joined the plain way then.
pub(super) fn worth_it(inputs: &Inputs, known: &Sides<Vec<Option<Known>>>) -> bool {
    const ONE_IN: u64 = 4;
    let bytes = |side: Side, only: bool| {
        let units = inputs.sides.get(side).opened.units.iter().zip(known.get(side));
        units.filter(|(_, known)| !only || known.is_some()).map(|(unit, _)| unit.bytes()).sum::<u64>()
    };
    let (all, taken) =
        Side::BOTH.iter().fold((0, 0), |(all, taken), &side| (all + bytes(side, false), taken + bytes(side, true)));
    taken * ONE_IN >= all
}
