//! Which source owns an attribute, for the reports about the contracts themselves.

use std::sync::Arc;

use super::{Contract, Source};

impl Contract {
    /// The source that decides what an attribute's values are.
    #[must_use]
    pub fn owner_of(&self, attribute: &str) -> &Arc<Source> {
        let declared = self.attributes.iter().find(|declared| declared.name == attribute);
        declared.map_or(&self.sources.authority, |declared| self.owner(declared))
    }
}
