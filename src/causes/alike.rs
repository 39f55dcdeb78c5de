//! Suspects that are guessed from some rows, and whether they explain as those of all rows do.

use super::suspect::Suspect;
use super::{Places, Suspects};

impl Suspects {
    /// Those that explain pairs: which keys are missing together is not seen in some rows.
    #[must_use]
    pub fn of_pairs(self) -> Self {
        Self { ranges: Vec::new(), question: None, gaps: Vec::new(), places: Places::default(), ..self }
    }

    /// Whether these, which explain pairs only, give every difference to the same causes as others do: then what the ones have
    /// explained is what the others explain.
    #[must_use]
    pub fn explain_as(&self, others: &Self) -> bool {
        let pairs_only = |suspects: &Self| suspects.ranges.is_empty() && suspects.gaps.is_empty();
        let alike = |(ours, theirs): (&Vec<Suspect>, &Vec<Suspect>)| {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(our, their)| our.explains_as(their))
        };
        pairs_only(self)
            && pairs_only(others)
            && self.swaps == others.swaps
            && self.attributes.len() == others.attributes.len()
            && self.attributes.iter().zip(&others.attributes).all(alike)
    }
}
