//! What the terminal is told of time: how many divergences are new, recur, are resolved, and since when one recurs.

use std::io::{self, Write};

use super::{INDENT, sentence};
use crate::audit::{ContractAudit, Recurrence};
use crate::classify::Divergence;
use crate::report::escape::{count, counted};

/// The line of a contract; nothing where nothing was held against it.
pub(super) fn line(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    let Some(recurrence) = contract.recurrence.as_ref() else { return Ok(()) };
    let parts = parts(recurrence);
    if parts.is_empty() {
        return Ok(());
    }
    sentence("over time", &format!("{}; held against run {}", parts.join(", "), recurrence.since), out)
}

/// `2 new`, `1 recurring (since …)`, `3 resolved`; nothing of what is zero.
fn parts(recurrence: &Recurrence) -> Vec<String> {
    let Recurrence { new, recurring, resolved, unseen, .. } = *recurrence;
    let mut parts = Vec::new();
    if new > 0 {
        parts.push(format!("{} new", count(new)));
    }
    if let Some(oldest) = recurrence.oldest.as_ref().filter(|_| recurring > 0) {
        let since = format!("{}, {}", second(oldest.first_seen), counted(oldest.runs, "run"));
        let oldest = if recurring == 1 { format!("since {since}") } else { format!("the oldest since {since}") };
        parts.push(format!("{} recurring ({oldest})", count(recurring)));
    }
    if resolved > 0 {
        parts.push(format!("{} resolved", count(resolved)));
    }
    if unseen > 0 {
        parts.push(format!("{} not seen, but a column was not compared", count(unseen)));
    }
    parts
}

/// An instant to the second; the files have it whole.
fn second(instant: jiff::Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Below an example that recurs, since when.
pub(super) fn example(contract: &ContractAudit, divergence: &Divergence, out: &mut dyn Write) -> io::Result<()> {
    let known = contract.recurrence.as_ref().and_then(|known| known.examples.get(&divergence.fingerprint));
    match known {
        Some(seen) => writeln!(out, "{:INDENT$}since {}, {}", "", second(seen.first_seen), counted(seen.runs, "run")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Sighting;
    use crate::report::sample;

    fn told(recurrence: Option<Recurrence>) -> String {
        let contract = ContractAudit { recurrence, ..sample::audit().contracts.swap_remove(1) };
        let mut out = Vec::new();
        line(&contract, &mut out).expect("a vector takes all");
        for divergence in &contract.examples {
            example(&contract, divergence, &mut out).expect("a vector takes all");
        }
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn nothing_is_told_where_nothing_was_held_against_it_or_nothing_came_of_it() {
        assert_eq!(told(None), "");
        assert_eq!(told(Some(Recurrence { since: "a".to_owned(), ..Recurrence::default() })), "");
    }

    #[test]
    fn it_is_told_within_the_width_and_below_the_examples_that_recur() {
        let sighting = Sighting {
            first_run: "20260201T020000Z-0001".to_owned(),
            first_seen: sample::instant("2026-02-01T02:00:00.5Z"),
            runs: 9,
        };
        let recurrence = Recurrence {
            since: "20260228T020000Z-0001".to_owned(),
            new: 1,
            recurring: 3,
            resolved: 2000,
            unseen: 1,
            oldest: Some(sighting.clone()),
            examples: [(sample::divergences()[2].fingerprint, Sighting { runs: 1, ..sighting })].into(),
        };
        assert_eq!(
            told(Some(recurrence)),
            concat!(
                "  over time   1 new, 3 recurring (the oldest since 2026-02-01T02:00:00Z, 9\n",
                "              runs), 2,000 resolved, 1 not seen, but a column was not compared;\n",
                "              held against run 20260228T020000Z-0001\n",
                "            since 2026-02-01T02:00:00Z, 1 run\n",
            )
        );
    }
}
