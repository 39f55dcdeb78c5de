//! Claims: what it believes is covered, as CSV, with the names of the insured copied from the register of parties.

use std::io;
use std::path::Path;

use super::policies::{LOST_BATCH, Policy};
use super::truth::{Planted, Truth};
use super::{CLAIMS, Random, amount, date, write_text};

/// What becomes of a policy on its way to Claims.
pub(super) const FATES: [(&str, usize); 17] = [
    ("missing", 8),
    ("orphan", 5),
    ("product", 6),
    ("premium", 7),
    ("premium rounded", 24),
    ("unparseable", 3),
    ("too fine", 2),
    ("valid from", 4),
    ("city", 5),
    ("city in capitals", 14),
    ("insured", 4),
    ("insured cut", 16),
    ("party unknown", 3),
    ("party twice", 2),
    ("duplicate", 2),
    ("without key", 2),
    ("padded", 25),
];

/// A name of the insured is cut after so many characters.
pub(super) const CUT: usize = 12;

/// Whether the fault would be visible on this policy, and nothing but it.
pub(super) fn suits(fate: &str, policy: &Policy) -> bool {
    if policy.deleted {
        return false;
    }
    match fate {
        "premium rounded" => policy.premium_cents % 100 != 0,
        "insured" | "party unknown" | "party twice" => policy.holder.is_some(),
        "insured cut" => policy.holder.as_ref().is_some_and(|name| name.chars().count() > CUT),
        _ => true,
    }
}

pub(super) fn write(folder: &Path, policies: &[Policy], random: &mut Random, truth: &mut Truth) -> io::Result<()> {
    let planted = truth.of(CLAIMS);
    let mut lines = Vec::new();
    for (number, policy) in policies.iter().enumerate().filter(|(_, policy)| !policy.deleted) {
        if LOST_BATCH.contains(&number) {
            planted.kind("missing");
            planted.cause("key_range_missing", "policy_id");
        } else {
            befall(policy, &mut lines, planted);
        }
    }
    random.shuffle(&mut lines);
    planted.rows[1] = lines.len() as u64;
    let text = format!("policy_ref,coverage,premium,valid_from,risk_city,insured,adjuster\n{}\n", lines.join("\n"));
    write_text(folder, "claims/coverage.csv", &text)
}

fn befall(policy: &Policy, lines: &mut Vec<String>, planted: &mut Planted) {
    let mut row = policy.clone();
    let mut premium = amount(row.premium_cents, '.');
    let mut coverage = row.product.to_uppercase();
    let mut city = row.city.to_owned();
    match policy.claims_fate {
        "missing" => {
            planted.kind("missing");
            return;
        }
        "orphan" => {
            planted.kind("orphan");
            let other = Policy { id: row.id.replace("P-", "P-7"), ..row.clone() };
            lines.push(line(&other, &coverage, &premium, &city));
        }
        "product" => {
            coverage = String::from("PET");
            planted.mismatch(&["coverage"]);
            planted.cause("default_in_place", "coverage");
        }
        "premium" | "premium rounded" | "unparseable" | "too fine" => {
            premium = wrong_premium(policy, planted);
            planted.mismatch(&["premium"]);
        }
        "valid from" => {
            row.start_day -= 1;
            planted.mismatch(&["valid_from"]);
        }
        "city" => {
            city = String::from("Genova");
            planted.mismatch(&["risk_city"]);
        }
        "city in capitals" => {
            city = city.to_uppercase();
            planted.mismatch(&["risk_city"]);
            planted.cause("letter_case", "risk_city");
        }
        "insured" | "insured cut" | "party unknown" | "party twice" => {
            misname(&mut row, planted);
            planted.mismatch(&["insured"]);
        }
        "duplicate" => {
            planted.kind("duplicate_key");
            lines.push(line(&row, &coverage, &premium, &city));
        }
        "without key" => {
            planted.kind("null_key");
            let other = Policy { id: String::new(), ..row.clone() };
            lines.push(line(&other, &coverage, &premium, &city));
        }
        "padded" => {
            coverage.push_str("  ");
            planted.settled("trim");
        }
        _ => {}
    }
    lines.push(line(&row, &coverage, &premium, &city));
}

fn wrong_premium(policy: &Policy, planted: &mut Planted) -> String {
    let cents = policy.premium_cents;
    match policy.claims_fate {
        "premium rounded" => {
            planted.cause("rounded", "premium");
            ((cents + 50) / 100).to_string()
        }
        "unparseable" => {
            planted.reason("unparseable");
            "n/a".to_owned()
        }
        "too fine" => {
            planted.reason("out_of_type");
            format!("{}5", amount(cents, '.'))
        }
        _ => amount(cents - 99, '.'),
    }
}

fn misname(row: &mut Policy, planted: &mut Planted) {
    match row.claims_fate {
        "insured" => row.holder = Some("Max Mustermann".to_owned()),
        "insured cut" => {
            row.holder = row.holder.as_ref().map(|name| name.chars().take(CUT).collect());
            planted.cause("text_cut", "insured");
        }
        "party unknown" => planted.reason("lookup_lacks_key"),
        _ => planted.reason("lookup_key_twice"),
    }
}

fn line(row: &Policy, coverage: &str, premium: &str, city: &str) -> String {
    let Policy { id, holder, start_day, postcode, .. } = row;
    let insured = holder.as_deref().unwrap_or_default();
    format!("{id},\"{coverage}\",{premium},{},{city},{insured},team-{}", date(*start_day), postcode.len())
}
