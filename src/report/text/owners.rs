//! The sources besides the two sides, on the terminal: a line each of what it is and of what its rows came to.

use std::io::{self, Write};

use super::super::escape::{count, counted, visible};
use super::{Style, input_parts, labelled, wrapped};
use crate::audit::ContractAudit;

pub(super) fn owners(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for owner in &contract.owners {
        let mut parts = input_parts(&owner.input);
        let attributes: Vec<String> = owner.attributes.iter().map(|name| visible(name)).collect();
        parts.push(format!("for {}", attributes.join(" and ")));
        parts.push(counted(owner.books.read, "row"));
        parts.push(format!("{} joined", count(owner.books.joined)));
        wrapped(owner.role.name(), &parts, out)?;
        if style.verbose {
            for file in &owner.input.files {
                labelled("", &format!("{}, {}", visible(&file.path), counted(file.bytes, "byte")), out)?;
            }
            let accounts =
                owner.books.accounts().map(|(name, rows)| format!("{} {}", count(rows), name.replace('_', " ")));
            wrapped("books", &accounts, out)?;
        }
    }
    Ok(())
}
