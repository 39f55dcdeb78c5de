//! Where the expected value of an attribute comes from: which source owns it, from when, by what column, derivation or
//! lookup; and how one context's keys become the other's.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Attribute, Contract, Options, Source};
use crate::sides::{Side, Sides};

/// Where an attribute's expected value comes from. Empty: the column of the contract's authority.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The sources that own it, one after the other; empty: the contract's authority.
    pub owners: Vec<Tenure>,
    /// `column = { SOURCE = … }`: its column at each source that is named.
    pub columns: BTreeMap<String, Vec<String>>,
    /// SQL over the columns of the owner, or of the source that is looked into.
    pub derive: Option<String>,
    /// A second source that holds the value.
    pub lookup: Option<Lookup>,
}

impl Origin {
    /// Whether the value is more than a column of the contract's authority.
    #[must_use]
    pub fn is_composed(&self) -> bool {
        !self.owners.is_empty() || self.derive.is_some() || self.lookup.is_some()
    }
}

/// A source that owns an attribute, until an instant.
#[derive(Clone, Debug)]
pub struct Tenure {
    /// The owner.
    pub source: Arc<Source>,
    /// From then on the next one owns it; None: it still does.
    pub until: Option<Timestamp>,
}

impl Attribute {
    /// One that the contract does not declare: its column has its name on both sides.
    #[must_use]
    pub fn plain(name: &str, options: Options) -> Self {
        let column = vec![name.to_owned()];
        Self {
            name: name.to_owned(),
            projected_as: column.clone(),
            column,
            origin: Origin::default(),
            options,
            severity: None,
            repair: None,
            pii: None,
        }
    }

    /// Its column at another source than the contract's authority.
    #[must_use]
    pub fn column_at(&self, source: &str) -> Vec<String> {
        if let Some(lookup) = &self.origin.lookup {
            return lookup.column.clone();
        }
        match self.origin.columns.get(source) {
            Some(path) => path.clone(),
            // One that has other owners names their column; a key's plain `column` is the authority's.
            None if self.origin.owners.is_empty() => vec![self.name.clone()],
            None if self.origin.columns.is_empty() => self.column.clone(),
            None => vec![self.name.clone()],
        }
    }
}

/// `lookup = { source, on, column }`.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Where the value is.
    pub source: Arc<Source>,
    /// The authority's column, and the column of the source that equals it.
    pub on: Vec<(String, String)>,
    /// The column of the source that holds the value.
    pub column: Vec<String>,
}

/// `[contract.NAME.crosswalk]`: which key of the authority is which key of the projection.
#[derive(Clone, Debug)]
pub struct Crosswalk {
    /// Where it is.
    pub source: Arc<Source>,
    /// The authority's own columns that make its key, where they are others than those of the key's attributes.
    pub own: Option<Vec<String>>,
    /// Its columns of each side's keys: one for each attribute of the key, of the authority one for each of `own` where it is
    /// given.
    pub columns: Sides<Vec<String>>,
}

impl Contract {
    /// Every source that it reads: the two sides, other owners, those that are looked into, the crosswalk.
    pub fn every_source(&self) -> impl Iterator<Item = &Arc<Source>> {
        fn of_attribute(attribute: &Attribute) -> Vec<&Arc<Source>> {
            let owners = attribute.origin.owners.iter().map(|tenure| &tenure.source);
            owners.chain(attribute.origin.lookup.iter().map(|lookup| &lookup.source)).collect()
        }
        let sides = self.sources.iter().map(|(_, source)| source);
        let crosswalk = self.crosswalk.iter().map(|crosswalk| &crosswalk.source);
        let baseline = self.baseline.iter().map(|baseline| &baseline.source);
        sides.chain(self.attributes.iter().flat_map(of_attribute)).chain(crosswalk).chain(baseline)
    }

    /// Whether the sides must be composed before they are compared.
    #[must_use]
    pub fn is_composed(&self) -> bool {
        self.crosswalk.is_some() || self.attributes.iter().any(|attribute| attribute.origin.is_composed())
    }

    /// The source whose column an attribute's values come from.
    #[must_use]
    pub fn source_of(&self, side: Side, attribute: &str) -> &Arc<Source> {
        let own = self.sources.get(side);
        if side == Side::Projection {
            return own;
        }
        let mapped = self.crosswalk.as_ref().filter(|_| self.key.iter().any(|key| key == attribute));
        match mapped {
            Some(crosswalk) => &crosswalk.source,
            None => self.attributes.iter().find(|one| one.name == attribute).map_or(own, |one| self.owner(one)),
        }
    }

    /// The source that owns an attribute; of several the first, so the contract is one that was brought to an instant.
    #[must_use]
    pub fn owner<'a>(&'a self, attribute: &'a Attribute) -> &'a Arc<Source> {
        match (&attribute.origin.lookup, attribute.origin.owners.first()) {
            (Some(lookup), _) => &lookup.source,
            (None, Some(tenure)) => &tenure.source,
            (None, None) => &self.sources.authority,
        }
    }

    /// The same contract with the owner of every attribute that holds at an instant.
    #[must_use]
    pub fn at(&self, instant: Timestamp) -> Self {
        let mut contract = self.clone();
        for attribute in &mut contract.attributes {
            let holds = |tenure: &&Tenure| tenure.until.is_none_or(|until| instant < until);
            let Some(tenure) = attribute.origin.owners.iter().find(holds).cloned() else { continue };
            if let Some(path) = attribute.origin.columns.get(&tenure.source.name) {
                attribute.column.clone_from(path);
            }
            let is_authority = tenure.source.name == contract.sources.authority.name;
            attribute.origin.owners = if is_authority { Vec::new() } else { vec![tenure] };
        }
        contract
    }

    /// Every instant at which an owner changes, ascending.
    #[must_use]
    pub fn handovers(&self) -> Vec<Timestamp> {
        let tenures = self.attributes.iter().flat_map(|attribute| &attribute.origin.owners);
        let mut instants: Vec<Timestamp> = tenures.filter_map(|tenure| tenure.until).collect();
        instants.sort_unstable();
        instants.dedup();
        instants
    }
}
