//! The reinsurer: life policies ceded to it, under numbers of its own, and the list that says which number is which policy.

use std::io;
use std::path::Path;

use super::policies::Policy;
use super::truth::Truth;
use super::{CESSIONS, Random, amount, write_text};

/// What becomes of a life policy on its way to the reinsurer. All others are there, under a number of its own.
const FATES: [(&str, usize); 5] =
    [("not ceded", 4), ("no number", 3), ("unknown number", 2), ("two numbers", 2), ("in cents", 12)];

/// The reinsurer's letter for a status. The contract does not know these yet.
fn letter(status: &str) -> &'static str {
    match status {
        "BOUND" => "F",
        "LAPSED" => "L",
        "CANCELLED" => "C",
        "PENDING" => "W",
        _ => "S",
    }
}

pub(super) fn write(folder: &Path, policies: &[Policy], random: &mut Random, truth: &mut Truth) -> io::Result<()> {
    let planted = truth.of(CESSIONS);
    let mut life: Vec<&Policy> = policies.iter().filter(|policy| policy.product == "life" && !policy.deleted).collect();
    planted.rows[0] = life.len() as u64;
    random.shuffle(&mut life);
    let fates = FATES.iter().flat_map(|(fate, count)| std::iter::repeat_n(*fate, *count));
    let (mut numbers, mut cessions) = (Vec::new(), Vec::new());
    for ((index, policy), fate) in life.iter().enumerate().zip(fates.chain(std::iter::repeat(""))) {
        let number = format!("R-{:05}", 20_000 + 7 * index);
        let mut premium = policy.premium_cents;
        match fate {
            "no number" => {
                planted.kind("missing");
                planted.reason("unmapped_key");
                continue;
            }
            "not ceded" => planted.kind("missing"),
            "unknown number" => {
                planted.kind("orphan");
                planted.reason("unmapped_key");
                cessions.push(line(&format!("X-{index:05}"), policy, premium));
            }
            "two numbers" => {
                for kind in ["missing", "orphan"] {
                    planted.kind(kind);
                    planted.reason("ambiguous_key");
                }
                numbers.push(format!("{},{}", policy.id, number.replace("R-", "R-9")));
            }
            "in cents" => {
                premium *= 100;
                planted.attributes(&["premium"]);
                planted.cause("constant_factor", "premium");
            }
            _ => {}
        }
        numbers.push(format!("{},{number}", policy.id));
        if fate == "not ceded" {
            continue;
        }
        cessions.push(line(&number, policy, premium));
        if fate != "two numbers" {
            planted.mismatch(&["status"]);
            planted.cause("value_map", "status");
        }
    }
    random.shuffle(&mut numbers);
    random.shuffle(&mut cessions);
    planted.rows[1] = cessions.len() as u64;
    let text = format!("policy_id,cession_no\n{}\n", numbers.join("\n"));
    write_text(folder, "reinsurance/policy_numbers.csv", &text)?;
    let text = format!("cession_no,status,premium,treaty\n{}\n", cessions.join("\n"));
    write_text(folder, "reinsurance/cessions.csv", &text)
}

fn line(number: &str, policy: &Policy, premium_cents: i128) -> String {
    format!("{number},{},{},LIFE-Q{}", letter(policy.status), amount(premium_cents, '.'), 1 + policy.instalments % 4)
}
