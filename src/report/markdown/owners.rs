//! The sources besides the two sides, in `report.md`.

use std::io::{self, Write};

use super::super::escape::count;
use super::plain;
use crate::audit::ContractAudit;

pub(super) fn owners(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    if contract.owners.is_empty() {
        return Ok(());
    }
    writeln!(out, "### Other sources\n")?;
    writeln!(
        out,
        "| source | as | for | as of | rows | joined | unknown to the authority | of keys that occur more than once | NULL in the key | unreadable | not joined |"
    )?;
    writeln!(out, "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for owner in &contract.owners {
        let captured = owner.input.captured_at.map_or_else(|| "not told".to_owned(), |instant| instant.to_string());
        let attributes: Vec<String> = owner.attributes.iter().map(|name| plain(name)).collect();
        let rows: Vec<String> = owner.books.accounts().map(|(_, rows)| count(rows)).into();
        writeln!(
            out,
            "| {} | {} | {} | {captured} | {} |",
            plain(&owner.input.source),
            owner.role.name(),
            attributes.join(", "),
            rows.join(" | ")
        )?;
    }
    writeln!(out)
}
