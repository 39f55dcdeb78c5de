//! The sources besides the two sides, on the wire.

use serde::{Deserialize, Serialize};

use super::captured_at;
use crate::audit::{OwnerBooks, OwnerFacts};

/// One of them in `summary.json`.
#[derive(Debug, Serialize)]
pub(super) struct OwnerSummary<'a> {
    role: &'static str,
    source: &'a str,
    attributes: &'a [String],
    captured_at: Option<String>,
    books: OwnerBooksRecord,
}

impl<'a> OwnerSummary<'a> {
    pub(super) fn of(owner: &'a OwnerFacts) -> Self {
        Self {
            role: owner.role.name(),
            source: &owner.input.source,
            attributes: &owner.attributes,
            captured_at: captured_at(&owner.input),
            books: OwnerBooksRecord::of(&owner.books),
        }
    }
}

/// Its accounts. They add up to `read`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct OwnerBooksRecord {
    read: u64,
    joined: u64,
    unknown: u64,
    duplicate: u64,
    null_key: u64,
    unreadable: u64,
    unjoined: u64,
}

impl OwnerBooksRecord {
    pub(crate) fn of(books: &OwnerBooks) -> Self {
        let OwnerBooks { read, joined, unknown, duplicate, null_key, unreadable, unjoined } = *books;
        Self { read, joined, unknown, duplicate, null_key, unreadable, unjoined }
    }

    pub(crate) fn into_books(self) -> OwnerBooks {
        let Self { read, joined, unknown, duplicate, null_key, unreadable, unjoined } = self;
        OwnerBooks { read, joined, unknown, duplicate, null_key, unreadable, unjoined }
    }
}
