//! Which source owns an attribute, for the reports about the contracts themselves.

use std::sync::Arc;

use super::{Contract, Source};

impl Contract {
    /// The source that decides what an attribute's values are.
    #[must_use]
    pub fn owner_of(&self, attribute: &str) -> &Arc<Source> {
        // Every attribute is the authority's: a contract that names another owner is refused before it is compared.
        let _ = attribute;
        &self.sources.authority
    }
}
