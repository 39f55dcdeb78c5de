//! Ownership: where attributes have other owners than the contract's authority, are derived or looked up, or where keys are
//! mapped, a side is *composed* before it is bound. What follows reads it as any other source, and a value that its owner
//! does not have is a fault, which equals nothing.
//!
//! ```text
//! open: both sides, every other source ── resolve owners at an instant ── composed schemas ── bind
//! load: every other source is read once, by key, within half of the budget; the rest lies on disk
//! read: each batch of the authority asks for its keys
//! close: which rows were joined, which keys only the other source knows, how old it is
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::Schema;

use super::derive::Derivation;
use super::input::check_age;
use super::tally::Tally;
use super::{Batch, Halt, Tuning};
use crate::audit::{OwnerBooks, OwnerFacts, OwnerRole};
use crate::contract::{Attribute, Contract, Ignore, LogicalType, Source};
use crate::normalise::composed_field;
use crate::sides::{Side, Sides};
use crate::source::{self, Opened};
use crate::sql::Predicate;

mod compose;
mod crossing;
mod instant;
mod join;
mod mapping;
mod other;
mod store;

use compose::{Composed, Extra, Plan};
use crossing::Crossing;
pub(super) use instant::{Clock, Decided, instant};
use join::{Join, Wanted};
use other::{Facts, Matching, Other, Pair, failed, json_column};

/// What a contract takes from other sources than its two.
pub(super) struct Owners {
    joins: Vec<Arc<Join>>,
    crossing: Option<Arc<Crossing>>,
}

/// A contract with its owners resolved, and its sides composed.
pub(super) struct ComposedSides {
    pub(super) contract: Contract,
    pub(super) opened: Sides<Opened>,
    pub(super) owners: Owners,
}

/// Opens every other source and composes the sides. Every problem is told. What another composition of the same authority has
/// opened `before` is read as that left it.
pub(super) fn compose(
    contract: Contract,
    opened: Sides<Opened>,
    tuning: &Tuning,
    before: Option<&Owners>,
) -> Result<ComposedSides, Vec<Halt>> {
    let mut composer = Composer {
        plans: Sides::from_fn(|_| Vec::new()),
        schemas: opened.as_ref().map(|_, opened| Arc::clone(&opened.schema)),
        contract,
        tuning,
        owners: Owners { joins: Vec::new(), crossing: None },
        hidden: Sides::default(),
        before: before
            .iter()
            .flat_map(|owners| owners.opened())
            .map(|(source, one)| (source.name.clone(), one.clone()))
            .collect(),
        halts: Vec::new(),
    };
    composer.own_derivations();
    composer.joins();
    composer.crosswalk();
    if !composer.halts.is_empty() {
        return Err(composer.halts);
    }
    composer.finish(opened).map_err(|halt| vec![halt])
}

struct Composer<'a> {
    contract: Contract,
    tuning: &'a Tuning,
    schemas: Sides<Arc<Schema>>,
    plans: Sides<Vec<Extra>>,
    owners: Owners,
    /// Columns that are taken by what is composed.
    hidden: Sides<Vec<String>>,
    /// Sources that were opened before, in the order in which they are asked for.
    before: VecDeque<(String, Opened)>,
    halts: Vec<Halt>,
}

/// Attributes that one reading of another source serves.
struct Group {
    source: Arc<Source>,
    role: OwnerRole,
    on: Vec<(String, String)>,
    attributes: Vec<usize>,
}

impl Composer<'_> {
    /// A name for an added column that no column of the side has.
    fn name(&self, side: Side, wish: &str) -> String {
        let mut name = wish.to_owned();
        while self.schemas.get(side).fields().find(&name).is_some()
            || self.plans.get(side).iter().any(|extra| *extra.field().name() == name)
        {
            name.push('\'');
        }
        name
    }

    /// The next source that was opened before, if it is this one.
    fn opened_before(&mut self, source: &Source) -> Option<Opened> {
        let is_next = self.before.front().is_some_and(|(name, _)| *name == source.name);
        self.before.pop_front().filter(|_| is_next).map(|(_, opened)| opened)
    }

    /// Derivations over the authority's own columns.
    fn own_derivations(&mut self) {
        for index in 0..self.contract.attributes.len() {
            let attribute = &self.contract.attributes[index];
            let origin = &attribute.origin;
            let Some(written) = origin.derive.clone() else { continue };
            if !origin.owners.is_empty() || origin.lookup.is_some() {
                continue;
            }
            let (name, schema) = (attribute.name.clone(), Arc::clone(&self.schemas.authority));
            match Derivation::new(&written, &self.contract.sources.authority, &schema) {
                Ok(derivation) => {
                    let columns = derivation.columns().iter().filter_map(|name| schema.index_of(name).ok()).collect();
                    self.hidden.authority.extend(derivation.columns().iter().cloned());
                    let column = self.name(Side::Authority, &format!("derive({name})"));
                    self.plans.authority.push(Extra::derived(&column, &name, derivation, columns));
                    self.contract.attributes[index].column = vec![column];
                }
                Err(said) => self.halts.push(Halt::Contract(format!("attribute `{name}`, derive: {said}"))),
            }
        }
    }

    /// Owners and lookups, one reading for all attributes that are joined alike.
    fn joins(&mut self) {
        let mut groups: Vec<Group> = Vec::new();
        for (index, attribute) in self.contract.attributes.iter().enumerate() {
            let (source, role, on) = match (&attribute.origin.lookup, attribute.origin.owners.first()) {
                (Some(lookup), _) => (&lookup.source, OwnerRole::Lookup, lookup.on.clone()),
                (None, Some(tenure)) => (&tenure.source, OwnerRole::Owner, Vec::new()),
                (None, None) => continue,
            };
            let alike = |group: &&mut Group| group.source.name == source.name && group.role == role && group.on == on;
            match groups.iter_mut().find(alike) {
                Some(group) => group.attributes.push(index),
                None => groups.push(Group { source: Arc::clone(source), role, on, attributes: vec![index] }),
            }
        }
        for group in groups {
            if let Err(halt) = self.join(&group) {
                self.halts.push(halt);
            }
        }
    }

    fn join(&mut self, group: &Group) -> Result<(), Halt> {
        let as_json = group.attributes.iter().filter_map(|&index| {
            let attribute = &self.contract.attributes[index];
            json_column(attribute, &attribute.column_at(&group.source.name))
        });
        let as_json = as_json.collect();
        let before = self.opened_before(&group.source);
        let mut other = Other::open(&group.source, as_json, self.tuning, before)?;
        let pairs = self.pairs(group);
        let null_keys_match = group.role == OwnerRole::Owner && self.contract.null_keys_match;
        let sources = Sides {
            authority: (&self.contract.sources.authority, &*self.schemas.authority),
            projection: (&group.source, &*other.opened.schema),
        };
        let matching = Matching::new(&self.contract, sources, pairs, null_keys_match)?;
        for column in matching.columns(Side::Projection) {
            let name = other.opened.schema.field(column).name().clone();
            other.take(&name, "key")?;
        }
        let (mut wanted, mut served) = (Vec::new(), Vec::new());
        for &index in &group.attributes {
            let attribute = &self.contract.attributes[index];
            let path = attribute.column_at(&group.source.name);
            let found = match &attribute.origin.derive {
                Some(written) => Some(Wanted::derived(&attribute.name, written, &mut other)?),
                None => Wanted::column(&attribute.name, &path, &mut other),
            };
            let column = self.name(Side::Authority, &format!("{}.{}", group.source.name, attribute.name));
            // What a copy at the authority says of it is not compared: another source owns it.
            self.hidden.authority.push(attribute.name.clone());
            if group.role == OwnerRole::Owner {
                let own = attribute.origin.columns.get(&self.contract.sources.authority.name);
                self.hidden.authority.extend(own.and_then(|path| path.first()).cloned());
            }
            // A column that its owner lacks is a `schema` divergence, as anywhere: it is not found under this name.
            self.contract.attributes[index].column = vec![column.clone()];
            if let Some(found) = found {
                served.push((column, wanted.len()));
                wanted.push(found);
            }
        }
        self.hidden.authority.extend(group.on.iter().map(|(own, _)| own.clone()));
        let join = Arc::new(Join::new(other, group.role, matching, wanted));
        for (column, index) in served {
            let field = composed_field(&column, &join.wanted[index].field);
            self.plans.authority.push(Extra::Joined { join: Arc::clone(&join), index, field });
        }
        self.owners.joins.push(join);
        Ok(())
    }

    /// The columns that a group is joined by.
    fn pairs(&self, group: &Group) -> Vec<Pair> {
        if group.role == OwnerRole::Lookup {
            let pair = |(own, other): &(String, String)| Pair {
                name: own.clone(),
                own: vec![own.clone()],
                other: vec![other.clone()],
                options: self.contract.attribute_defaults.clone(),
                texts_are: None,
            };
            return group.on.iter().map(pair).collect();
        }
        let types = self.types_of_key();
        let pair = |(index, name): (usize, &String)| {
            let declared = self.contract.attributes.iter().find(|attribute| attribute.name == *name);
            let at = |source: &str| declared.map(|attribute| attribute.column_at(source));
            Pair {
                name: name.clone(),
                own: declared.map_or_else(|| vec![name.clone()], |attribute| attribute.column.clone()),
                other: at(&group.source.name).unwrap_or_else(|| vec![name.clone()]),
                options: declared.map_or_else(|| self.contract.attribute_defaults.clone(), |one| one.options.clone()),
                texts_are: types.get(index).copied().flatten(),
            }
        };
        self.contract.key.iter().enumerate().map(pair).collect()
    }

    /// What the keys of the two sides are compared as: two texts mean the same between authority and owner.
    fn types_of_key(&self) -> Vec<Option<LogicalType>> {
        let pair = |name: &String| {
            let declared = self.contract.attributes.iter().find(|attribute| attribute.name == *name);
            let plain = || vec![name.clone()];
            Pair {
                name: name.clone(),
                own: declared.map_or_else(plain, |attribute| attribute.column.clone()),
                other: declared.map_or_else(plain, |attribute| attribute.projected_as.clone()),
                options: declared.map_or_else(|| self.contract.attribute_defaults.clone(), |one| one.options.clone()),
                texts_are: None,
            }
        };
        let sources = Sides::from_fn(|side| (self.contract.sources.get(side), &**self.schemas.get(side)));
        let pairs = self.contract.key.iter().map(pair).collect();
        // Where they have no common ground, the contract itself is refused.
        Matching::new(&self.contract, sources, pairs, false).map(|matching| matching.types()).unwrap_or_default()
    }

    fn crosswalk(&mut self) {
        if let Some(crosswalk) = self.contract.crosswalk.clone()
            && let Err(halt) = self.cross(&crosswalk)
        {
            self.halts.push(halt);
        }
    }

    /// Leaves out the columns that something composed has taken, unless the projection has them too.
    fn hide(&mut self) {
        for name in std::mem::take(&mut self.hidden.authority) {
            let taken = |attribute: &Attribute| attribute.projected_as.first() == Some(&name);
            let across = self.schemas.projection.fields().find(&name).is_some()
                && !self.contract.attributes.iter().any(taken)
                && !self.contract.key.contains(&name);
            let declared = |attribute: &Attribute| attribute.column.first() == Some(&name);
            let keyed = |key: &String| *key == name && !self.contract.attributes.iter().any(|one| one.name == *key);
            if !across && !self.contract.attributes.iter().any(declared) && !self.contract.key.iter().any(keyed) {
                self.contract.ignore.push(ignored(Side::Authority, &name));
            }
        }
    }

    fn finish(mut self, opened: Sides<Opened>) -> Result<ComposedSides, Halt> {
        self.hide();
        let mut plans = self.plans.map(|_, extras| Some(extras));
        let contract = &self.contract;
        let opened = opened.try_map(|side, mut opened| -> Result<Opened, Halt> {
            let extras = plans.get_mut(side).take().unwrap_or_default();
            if extras.is_empty() {
                return Ok(opened);
            }
            let fields = opened.schema.fields().iter().cloned();
            let fields = fields.chain(extras.iter().map(|extra| Arc::new(extra.field().clone())));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let filter = filter_of(contract.sources.get(side), &opened.schema)?;
            let plan = Arc::new(Plan { side, own: opened.schema.fields().len(), schema, extras, filter });
            opened.schema = Arc::clone(&plan.schema);
            let composed = |inner| Arc::new(Composed { inner, plan: Arc::clone(&plan) }) as Arc<dyn source::Unit>;
            opened.units = std::mem::take(&mut opened.units).into_iter().map(composed).collect();
            Ok(opened)
        })?;
        Ok(ComposedSides { contract: self.contract, opened, owners: self.owners })
    }
}

/// An `ignore` of one column.
fn ignored(side: Side, column: &str) -> Ignore {
    let glob = globset::Glob::new(&globset::escape(column)).expect("an escaped name is a glob");
    Ignore { side: Some(side), written: format!("{side}:{column}"), glob: glob.compile_matcher() }
}

fn filter_of(source: &Source, schema: &Schema) -> Result<Option<(Predicate, Vec<usize>)>, Halt> {
    let said = |said: String| Halt::Contract(format!("source `{}`, filter: {said}", source.name));
    let Some(filter) = source.filter_here().map(Predicate::parse).transpose().map_err(said)? else {
        return Ok(None);
    };
    // One that names a column which is not there is refused where the side is opened.
    let mut columns: Vec<usize> = filter.columns().iter().filter_map(|name| schema.index_of(name).ok()).collect();
    columns.sort_unstable();
    Ok(Some((filter, columns)))
}

impl Owners {
    /// Every source with what was read of it.
    fn each(&self) -> impl Iterator<Item = (&Other, Option<&Facts>)> {
        let joins = self.joins.iter().map(|join| (&join.other, join.facts()));
        joins.chain(self.crossing.iter().map(|crossing| (&crossing.other, crossing.facts())))
    }

    /// Every source, opened.
    pub(super) fn opened(&self) -> impl Iterator<Item = (&Arc<Source>, &Opened)> {
        self.each().map(|(other, _)| (&other.source, &other.opened))
    }

    /// Bytes that reading one part takes, of those that take the most.
    pub(super) fn memory(&self) -> u64 {
        self.each().map(|(other, _)| other.memory()).max().unwrap_or_default()
    }

    /// Reads every source, within half of the budget; tells how many bytes are held.
    pub(super) fn load(&self, own: &Batch<'_>, tally: &mut Tally<'_>) -> Result<u64, Halt> {
        let budget = own.settings.tuning.budget.unwrap_or(own.budget);
        let each = budget / 2 / self.each().count().max(1) as u64;
        let mut held = 0;
        for join in &self.joins {
            held += join.load(own, each)?;
        }
        if let Some(crossing) = &self.crossing {
            held += crossing.load(own, each.max(budget / 8))?;
        }
        for (other, facts) in self.each() {
            let unreadable = facts.into_iter().flat_map(|facts| &facts.unreadable);
            unreadable.for_each(|range| tally.unreadable_owner(&other.source.name, range.clone()));
        }
        self.tell(own, tally, false)?;
        Ok(held)
    }

    /// Tells the tally what is known of every source; `joined` where all rows of the authority have asked.
    fn tell(&self, own: &Batch<'_>, tally: &mut Tally<'_>, joined: bool) -> Result<(), Halt> {
        let mut all: Vec<(OwnerRole, Vec<String>, OwnerBooks)> = Vec::new();
        for join in &self.joins {
            let attributes = join.wanted.iter().map(|wanted| wanted.attribute.clone()).collect();
            all.push((join.role, attributes, join.books(joined)?));
        }
        if let Some(crossing) = &self.crossing {
            all.push((OwnerRole::Crosswalk, own.contract.key.clone(), crossing.books(joined)));
        }
        let mut told = Vec::new();
        for ((other, facts), (role, attributes, books)) in self.each().zip(all) {
            let captured =
                source::captured_at(&other.source, &other.opened).map_err(|error| failed(&other.source, &error))?;
            let column = facts.and_then(|facts| facts.captured);
            let column = column.and_then(|nanoseconds| jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).ok());
            let mut input = tally.input_of(&other.source, &other.opened);
            input.captured_at = captured.or(column);
            told.push(OwnerFacts { role, attributes, input, books });
        }
        tally.owners(told)
    }

    /// After the comparison: nothing changed meanwhile, all rows are in an account, no source is too old.
    pub(super) fn close(&self, own: &Batch<'_>, tally: &mut Tally<'_>) -> Result<(), Halt> {
        for (other, _) in self.each() {
            source::unchanged(&other.opened).map_err(|error| failed(&other.source, &error))?;
        }
        self.tell(own, tally, true)?;
        let captured = tally.owners_captured();
        for ((other, _), captured) in self.each().zip(captured) {
            check_age(&other.source, "authority", captured, own.settings.started_at)?;
        }
        Ok(())
    }

    /// What is worth a word of every source before rows are read.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let of = |other: &Other| {
            let name = other.source.name.clone();
            let warnings = other.opened.warnings.clone();
            warnings.into_iter().map(move |warning| format!("source `{name}`: {warning}"))
        };
        self.each().flat_map(move |(other, _)| of(other))
    }
}
