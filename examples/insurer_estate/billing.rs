//! Billing: what is owed on each policy, as CSV with commas in its numbers.

use std::io;
use std::path::Path;

use super::policies::{EPOCH_2024_DAYS, Policy};
use super::truth::Truth;
use super::{CRM_RECEIVABLES, Random, amount, date, write_text};

pub(super) fn due_day(policy: &Policy) -> i32 {
    policy.start_day + 30
}

/// Writes the accounts. What differs in the receivable itself was planted with CRM's view.
pub(super) fn write(folder: &Path, policies: &[Policy], random: &mut Random, truth: &mut Truth) -> io::Result<()> {
    let planted = truth.of(CRM_RECEIVABLES);
    let mut lines = Vec::new();
    for policy in policies.iter().filter(|policy| !policy.deleted) {
        let mut account = policy.clone();
        let (mut currency, mut due) = ("EUR", due_day(policy));
        match policy.fate {
            "account lost" => {
                planted.kind("orphan");
                continue;
            }
            "account twice" => {
                planted.kind("duplicate_key");
                lines.push(line(&account, currency, due));
            }
            "balance" => account.receivable_cents -= 5_000,
            "balance near" => account.receivable_cents += 1,
            "due" => {
                due += 14;
                planted.mismatch(&["due_date"]);
            }
            "currency" => {
                currency = "CHF";
                planted.mismatch(&["currency"]);
            }
            "currency case" => {
                currency = "eur";
                planted.settled("case");
            }
            _ => {}
        }
        lines.push(line(&account, currency, due));
    }
    for number in 0..6 {
        planted.kind("missing");
        lines.push(format!("P-8{number:05};1,00;0,00;EUR;{};1", german(EPOCH_2024_DAYS)));
    }
    planted.kind("null_key");
    lines.push(format!(";42,00;0,00;EUR;{};1", german(EPOCH_2024_DAYS)));
    random.shuffle(&mut lines);
    planted.rows[0] = lines.len() as u64;
    let text = format!("policy_id;balance;credits;currency;due_date;instalments\n{}\n", lines.join("\n"));
    write_text(folder, "billing/receivables.csv", &text)
}

fn line(account: &Policy, currency: &str, due_day: i32) -> String {
    let Policy { id, receivable_cents, credits_cents, instalments, .. } = account;
    let (balance, credits) =
        (amount(i128::from(receivable_cents + credits_cents), ','), amount((*credits_cents).into(), ','));
    format!("{id};{balance};{credits};{currency};{};{instalments}", german(due_day))
}

fn german(day: i32) -> String {
    let date = date(day);
    format!("{}.{}.{}", &date[8..], &date[5..7], &date[..4])
}
