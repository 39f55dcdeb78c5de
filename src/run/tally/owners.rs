//! Adds up what was read of the sources besides the two sides.

use jiff::Timestamp;

use super::super::Halt;
use super::Tally;
use crate::audit::{Books, Column, InputFacts, InputFile, OwnerFacts, OwnerRole, Unbalanced};
use crate::contract::Source;
use crate::database::place;
use crate::sides::Side;
use crate::source::{self, Opened, Unreadable};

/// A source's columns as it tells them.
pub(super) fn columns_of(opened: &Opened) -> Vec<Column> {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| Column {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
    };
    opened.schema.fields().iter().map(column).collect()
}

impl Tally<'_> {
    /// What of a source goes into the audit before it is read.
    pub(in super::super) fn input_of(&mut self, source: &Source, opened: &Opened) -> InputFacts {
        let secrets = &self.contract.secrets;
        // What was digested before is not digested again.
        let held = self.owners.iter().find(|one| one.input.source == source.name).map(|one| one.input.files.clone());
        let files = held.unwrap_or_else(|| {
            let digests = if self.settings.digest_inputs {
                source::digest_files(opened, |_| None, &|_| {})
            } else {
                Ok(Vec::new())
            };
            let digests = digests.unwrap_or_else(|error| {
                self.warnings.push(format!("source `{}`: its content could not be digested: {error}", source.name));
                Vec::new()
            });
            let digests = digests.into_iter().chain(std::iter::repeat(String::new()));
            let file = |(file, blake3): (&source::FileFact, String)| InputFile {
                path: secrets.redact(&file.shown).into_owned(),
                bytes: file.bytes,
                modified: file.modified,
                blake3,
            };
            opened.files.iter().zip(digests).map(file).collect()
        });
        InputFacts {
            source: source.name.clone(),
            context: source.context.as_deref().map(|context| secrets.redact(context).into_owned()),
            location: secrets.redact(source.location.shown()).into_owned(),
            place: source.database().map(place),
            files,
            columns: columns_of(opened),
            snapshot: super::opened::described(opened),
            ..InputFacts::default()
        }
    }

    /// A row of such a source that could not be read.
    pub(in super::super) fn unreadable_owner(&mut self, source: &str, range: Unreadable) {
        self.unreadable_owners += range.rows;
        let place = format!("source `{source}`, {}", range.place);
        self.unreadable.push((Side::Authority, Unreadable { place, ..range }));
    }

    /// What is known of all of them now; their books must balance.
    pub(in super::super) fn owners(&mut self, owners: Vec<OwnerFacts>) -> Result<(), Halt> {
        for owner in &owners {
            if !owner.books.balance() {
                let books = Books { read: owner.books.read, agree: owner.books.joined, ..Books::default() };
                return Err(Halt::Unbalanced(Unbalanced { side: Side::Authority, books }));
            }
        }
        self.owners = owners;
        Ok(())
    }

    /// When each was captured.
    pub(in super::super) fn owners_captured(&self) -> Vec<Option<Timestamp>> {
        self.owners.iter().map(|owner| owner.input.captured_at).collect()
    }

    /// Says of each what its rows came to, where that is worth a word.
    pub(super) fn warn_of_owners(&mut self) {
        for owner in &self.owners {
            let (name, books) = (&owner.input.source, &owner.books);
            let what = match owner.role {
                OwnerRole::Owner => "owner",
                OwnerRole::Lookup => "lookup",
                OwnerRole::Crosswalk => "crosswalk",
            };
            let mut say = |rows: u64, said: &str| {
                if rows > 0 {
                    let rows = super::verdict::counted(rows, "row");
                    self.warnings.push(format!("{what} `{name}`: {rows} {said}"));
                }
            };
            // What nobody refers to is usual where values are looked up.
            if owner.role == OwnerRole::Owner {
                say(books.unknown, "with keys that the authority does not have, which are not compared");
            }
            if owner.role == OwnerRole::Crosswalk {
                say(books.duplicate, "that map a key to several, or several to one");
            } else {
                say(books.duplicate, "with keys that occur more than once, so that their values are not known");
            }
            say(books.null_key, "with NULL in the key, or a key that cannot be read");
        }
    }
}
