//! The ledger of coverage that Claims replaces: the old copy, which is right where the new one has regressed, wrong in the same
//! way where a fault was inherited, and wrong alone where it was healed. It knows of no cities.

use std::io;
use std::path::Path;

use super::claims::CUT;
use super::policies::{LOST_BATCH, Policy};
use super::truth::{Planted, Truth};
use super::{CLAIMS, Random, SEED, amount, date, write_text};

/// So many of the policies that never came to Claims were not in the ledger either.
const NEVER_KNOWN: u64 = 4;
/// So many policies that were deleted are in the ledger still, and so many premiums of it are wrong in it alone.
const STILL_THERE: u64 = 3;
const WRONG_ALONE: u64 = 12;

pub(super) fn write(folder: &Path, policies: &[Policy], faults: u64, truth: &mut Truth) -> io::Result<()> {
    let planted = truth.of(CLAIMS);
    // Keys that the authority has twice or not at all are wrong in any copy.
    planted.stands("inherited", faults);
    // The ledger has no column for the city, which the new copy has.
    planted.stands("healed", 1);
    let mut lines = Vec::new();
    for (number, policy) in policies.iter().enumerate() {
        if policy.deleted {
            if planted.seen("deleted") <= STILL_THERE {
                planted.stands("healed", 1);
                lines.push(line(policy, policy.product, &amount(policy.premium_cents, '.')));
            }
        } else if LOST_BATCH.contains(&number) {
            planted.stands("regressions", 1);
            lines.push(line(policy, policy.product, &amount(policy.premium_cents, '.')));
        } else {
            befall(policy, &mut lines, planted);
        }
    }
    Random(SEED + 1).shuffle(&mut lines);
    write_text(folder, "claims_ledger/ledger.csv", &format!("POLICY,COVER,PREMIUM,SINCE,NAME\n{}\n", lines.join("\n")))
}

fn befall(policy: &Policy, lines: &mut Vec<String>, planted: &mut Planted) {
    let mut row = policy.clone();
    let mut premium = amount(row.premium_cents, '.');
    let mut cover = row.product;
    match policy.claims_fate {
        "missing" if planted.seen("missing") <= NEVER_KNOWN => return planted.stands("inherited", 1),
        "missing" | "orphan" | "premium rounded" | "unparseable" | "too fine" | "insured" | "duplicate"
        | "without key" => {
            planted.stands("regressions", 1);
        }
        "product" => {
            cover = "TRAVEL";
            planted.stands("changed", 1);
        }
        "premium" => {
            premium = amount(row.premium_cents - 99, '.');
            planted.stands("inherited", 1);
        }
        "valid from" => {
            row.start_day -= 1;
            planted.stands("inherited", 1);
        }
        "insured cut" => {
            row.holder = row.holder.map(|name| name.chars().take(CUT).collect());
            planted.stands("inherited", 1);
        }
        "party unknown" | "party twice" => planted.stands("inherited", 1),
        "city" | "city in capitals" => planted.stands("untold", 1),
        "padded" if planted.seen("padded") <= WRONG_ALONE => {
            premium = amount(row.premium_cents + 1_000, '.');
            planted.stands("healed", 1);
        }
        _ => {}
    }
    lines.push(line(&row, cover, &premium));
}

fn line(row: &Policy, cover: &str, premium: &str) -> String {
    let name = row.holder.as_deref().unwrap_or_default();
    format!("{},{},{premium},{},{name}", row.id, cover.to_uppercase(), date(row.start_day))
}
