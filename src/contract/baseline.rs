//! `baseline`: the old copy that the projection replaces, and the contract as it is held against it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Contract, Controls, Source};

/// The old copy.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Where it is.
    pub source: Arc<Source>,
    /// Path of the column of each declared attribute there.
    pub projected_as: BTreeMap<String, Vec<String>>,
}

impl Contract {
    /// The same agreement with the old copy in the projection's place, without what measures or judges a run.
    #[must_use]
    pub fn with_baseline(&self) -> Option<Self> {
        let baseline = self.baseline.as_ref()?;
        let mut contract = self.clone();
        contract.sources.projection = Arc::clone(&baseline.source);
        for attribute in &mut contract.attributes {
            if let Some(path) = baseline.projected_as.get(&attribute.name) {
                attribute.projected_as.clone_from(path);
            }
        }
        contract.baseline = None;
        contract.controls = Controls::default();
        Some(contract)
    }
}
