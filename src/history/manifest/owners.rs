//! The sources besides the two sides, in the manifest.

use serde::{Deserialize, Serialize};

use super::InputRecord;
use crate::audit::{OwnerFacts, OwnerRole};
use crate::report::json::OwnerBooksRecord;

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct OwnerRecord {
    role: String,
    attributes: Vec<String>,
    books: OwnerBooksRecord,
    input: InputRecord,
}

impl OwnerRecord {
    pub(super) fn of(owner: &OwnerFacts) -> Self {
        Self {
            role: owner.role.name().to_owned(),
            attributes: owner.attributes.clone(),
            books: OwnerBooksRecord::of(&owner.books),
            input: InputRecord::of(&owner.input),
        }
    }

    pub(super) fn into_facts(self) -> Result<OwnerFacts, String> {
        let role = OwnerRole::ALL.into_iter().find(|role| role.name() == self.role);
        let role = role.ok_or_else(|| format!("`{}` is not a role of a source", self.role))?;
        let (books, input) = (self.books.into_books(), self.input.into_facts()?);
        if !books.balance() {
            return Err(format!("the books of source `{}` do not balance", input.source));
        }
        Ok(OwnerFacts { role, attributes: self.attributes, input, books })
    }
}
