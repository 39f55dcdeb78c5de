//! What the counts of a contract come to: agreed, drifted or unverified, and why. Nothing is counted here.

use super::super::desk::{decided_away, open};
use super::{Tally, scope};
use crate::audit::Verdict;
use crate::causes::grouped;
use crate::contract::{Kind, Severity};

impl Tally<'_> {
    /// The verdict that the divergences make, and why.
    pub(super) fn verdict(&self) -> (Verdict, String) {
        let unreadable = self.books.authority.unreadable + self.books.projection.unreadable + self.unreadable_owners;
        if unreadable > 0 {
            return (Verdict::Unverified, format!("{} could not be read", counted(unreadable, "row")));
        }
        if let Some(columns) = self.keys.get(&Kind::Schema) {
            let besides: u64 = self.keys.iter().filter(|(kind, _)| **kind != Kind::Schema).map(|(_, keys)| keys).sum();
            let besides = if besides > 0 { format!("; {} besides", diverge(besides)) } else { String::new() };
            return (Verdict::Drifted, format!("{} could not be compared{besides}", counted(*columns, "column")));
        }
        let nothing_in_scope = self.books.iter().all(|(_, books)| books.read == 0 && books.out_of_scope > 0);
        if nothing_in_scope {
            return (Verdict::Agreed, "no row satisfies `--where`, so nothing was compared".to_owned());
        }
        match self.exceeded() {
            Some(because) => (Verdict::Drifted, because),
            None if self.keys.is_empty() => (Verdict::Agreed, scope::EVERY_ROW.to_owned()),
            None if self.keys.keys().all(|kind| *kind == Kind::InFlight) => {
                (Verdict::Agreed, "what differs may still be on its way".to_owned())
            }
            None if self.decided.away() > 0 => (Verdict::Agreed, decided_away(&self.decided)),
            None => (Verdict::Agreed, "what diverges is within what the contract allows".to_owned()),
        }
    }

    /// Which allowance is exceeded, if any. What is not allowed anything is allowed none.
    fn exceeded(&self) -> Option<String> {
        let (allow, fail_on) = (&self.contract.allow, self.contract.fail_on);
        let excused = |severity: &Severity| self.excused.get(severity).copied().unwrap_or(0);
        let unexcused = |(severity, keys): (&Severity, &u64)| (*severity, keys - excused(severity));
        let open = open(&self.keys_by_severity.iter().map(unexcused).collect(), &self.relieved);
        let failing: u64 = open.range(fail_on..).map(|(_, keys)| keys).sum();
        for (&severity, &keys) in open.iter().rev() {
            match allow.severity.get(&severity) {
                Some(&allowed) if keys > allowed => {
                    return Some(format!(
                        "{} of severity {}, {} are allowed",
                        counted(keys, "key"),
                        severity.name(),
                        grouped(allowed)
                    ));
                }
                None if allow.keys.is_none() && allow.ratio.is_none() && severity >= fail_on => {
                    return Some(format!("{} at or above {}", diverge(failing), fail_on.name()));
                }
                _ => {}
            }
        }
        if let Some(allowed) = allow.keys.filter(|&allowed| failing > allowed) {
            let (diverge, allowed) = (diverge(failing), grouped(allowed));
            return Some(format!("{diverge} at or above {}, {allowed} are allowed", fail_on.name()));
        }
        let ratio = allow.ratio.filter(|ratio| ratio.less_than(failing, self.books.authority.read))?;
        Some(format!(
            "{} of {} authority rows diverge, a ratio of {ratio} is allowed",
            grouped(failing),
            grouped(self.books.authority.read)
        ))
    }
}

/// So many keys diverge.
fn diverge(keys: u64) -> String {
    if keys == 1 { "1 key diverges".to_owned() } else { format!("{} keys diverge", grouped(keys)) }
}

/// A count with its noun.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(count)) }
}
