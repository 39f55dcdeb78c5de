//! Which source owns an attribute, for the reports about the contracts themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Configuration, Contract, Source};

impl Contract {
    /// The source that decides what an attribute's values are.
    #[must_use]
    pub fn owner_of(&self, attribute: &str) -> &Arc<Source> {
        let declared = self.attributes.iter().find(|declared| declared.name == attribute);
        declared.map_or(&self.sources.authority, |declared| self.owner(declared))
    }

    /// Every other source than the authority that owns attributes, by its name, with these in their order.
    #[must_use]
    pub fn other_owners(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for attribute in &self.attributes {
            let owner = self.owner(attribute).name.as_str();
            if owner != self.sources.authority.name {
                others.entry(owner).or_default().push(&attribute.name);
            }
        }
        others
    }

    /// Whether the contract itself says that an attribute goes from one source to another.
    #[must_use]
    pub fn hands_over(&self, attribute: &str, from: &str, to: &str) -> bool {
        let declared = self.attributes.iter().find(|declared| declared.name == attribute);
        let place = |name: &str| declared?.origin.owners.iter().position(|tenure| tenure.source.name == name);
        place(from).zip(place(to)).is_some_and(|(from, to)| from < to)
    }
}

impl Configuration {
    /// The same with the owners that hold at an instant.
    #[must_use]
    pub fn at(&self, instant: Timestamp) -> Self {
        let contracts = self.contracts.iter().map(|contract| Arc::new(contract.at(instant))).collect();
        Self { contracts, ..self.clone() }
    }
}
