//! Customer Relations: the view that it shows of policies and of what is owed on them, as NDJSON.

use std::io;
use std::path::Path;

use super::policies::{DAY_US, MINUTE_US, Policy};
use super::truth::{Planted, Truth};
use super::{CRM_POLICIES, CRM_RECEIVABLES, Random, amount, billing, date, instant, write_text};

/// A row of CRM's view.
#[derive(Clone)]
struct Row {
    id: Option<String>,
    policy: Policy,
    status: &'static str,
    holder: Option<String>,
    /// Whether it shows a receivable at all.
    receivable: bool,
    due_day: i32,
}

/// What CRM ought to show for a status; of a new one nobody agreed on anything.
pub(super) fn status(status: &'static str) -> &'static str {
    match status {
        "BOUND" => "Active",
        "PENDING" => "Pending",
        "LAPSED" | "CANCELLED" => "Inactive",
        other => other,
    }
}

/// What becomes of a policy on its way to CRM, or of its account on its way from Billing, and how many it happens to.
pub(super) const FATES: [(&str, usize); 39] = [
    ("placeholder", 15),
    ("missing", 9),
    ("status", 11),
    ("premium", 13),
    ("premium gap", 3),
    ("holder", 4),
    ("holder lost", 2),
    ("city", 8),
    ("start", 4),
    ("changed", 5),
    ("coverages", 3),
    ("premium and status", 5),
    ("duplicate", 4),
    ("without key", 3),
    ("orphan", 7),
    ("suspended", 22),
    ("suspended otherwise", 2),
    ("zone", 30),
    ("stale", 12),
    ("stale missing", 2),
    ("ahead", 4),
    ("in flight", 8),
    ("in flight missing", 3),
    ("resurrected", 5),
    ("tombstone", 12),
    ("no premium", 3),
    ("receivable lost", 6),
    ("account lost", 5),
    ("account twice", 2),
    ("balance", 9),
    ("due", 4),
    ("currency", 3),
    ("premium near", 25),
    ("padded", 40),
    ("upper case", 40),
    ("decomposed", 30),
    ("spaces", 20),
    ("balance near", 30),
    ("currency case", 20),
];

/// Whether the fault would be visible on this policy, and nothing but it.
pub(super) fn suits(fate: &str, policy: &Policy) -> bool {
    let holder = policy.holder.as_deref();
    match fate {
        "placeholder" => holder.is_none(),
        "holder" | "holder lost" | "padded" | "upper case" | "spaces" => holder.is_some(),
        "decomposed" => holder.is_some_and(|name| decomposed(name) != name),
        "coverages" => policy.coverages.len() > 1,
        _ => true,
    }
}

/// Writes CRM's view and Billing's accounts, which it is about as well.
pub(super) fn write(folder: &Path, policies: &[Policy], random: &mut Random, truth: &mut Truth) -> io::Result<()> {
    let mut rows = Vec::new();
    for (number, policy) in policies.iter().enumerate() {
        let row = Row {
            id: Some(policy.id.clone()),
            status: match policy.fate {
                // Nobody agreed on what a new status becomes, so it becomes this or that.
                "suspended" => "On hold",
                "suspended otherwise" => "Inactive",
                _ => status(policy.status),
            },
            holder: policy.holder.clone(),
            receivable: !policy.deleted,
            due_day: billing::due_day(policy),
            policy: policy.clone(),
        };
        befall(number, row, &mut rows, truth);
    }
    random.shuffle(&mut rows);
    let planted = truth.of(CRM_POLICIES);
    planted.rows[1] = rows.len() as u64;
    planted.kind("schema");
    for row in &rows {
        planted.counted(1, row.status, row.policy.premium_cents);
    }
    truth.of(CRM_RECEIVABLES).rows[1] = rows.iter().filter(|row| row.receivable).count() as u64;
    billing::write(folder, policies, random, truth)?;
    write_text(folder, "crm/policy_view.ndjson", &rows.iter().map(line).collect::<String>())
}

fn befall(number: usize, row: Row, rows: &mut Vec<Row>, truth: &mut Truth) {
    let premium = row.policy.premium_cents;
    match row.policy.fate {
        // No row of CRM, and so no receivable either.
        fate @ ("missing" | "stale missing" | "in flight missing" | "tombstone") => {
            let kind = match fate {
                "missing" => "missing",
                "stale missing" => "stale",
                "in flight missing" => "in_flight",
                _ => return,
            };
            truth.of(CRM_POLICIES).worth(kind, premium);
            truth.of(CRM_RECEIVABLES).kind("missing");
        }
        "resurrected" => {
            truth.of(CRM_POLICIES).worth("resurrected", premium);
            rows.push(row);
        }
        "duplicate" => {
            truth.of(CRM_POLICIES).worth("duplicate_key", 0);
            truth.of(CRM_RECEIVABLES).kind("duplicate_key");
            rows.extend([row.clone(), row]);
        }
        "without key" => {
            truth.of(CRM_POLICIES).worth("null_key", premium);
            rows.extend([Row { id: None, receivable: false, ..row.clone() }, row]);
        }
        "orphan" => {
            truth.of(CRM_POLICIES).worth("orphan", premium);
            let id = row.id.as_deref().map(|id| id.replace("P-", "P-9"));
            rows.extend([Row { id, receivable: false, ..row.clone() }, row]);
        }
        "receivable lost" => {
            truth.of(CRM_RECEIVABLES).kind("missing");
            let planted = truth.of(CRM_POLICIES);
            mismatch(planted, &row, &["receivable"]);
            planted.cause("null_in_place", "receivable");
            rows.push(Row { receivable: false, ..row });
        }
        "stale" | "ahead" | "in flight" => rows.push(behind(number, row, truth.of(CRM_POLICIES))),
        _ => rows.push(altered(number, row, truth.of(CRM_POLICIES))),
    }
}

/// A pair that differs, and what it is worth at the authority.
fn mismatch(planted: &mut Planted, row: &Row, attributes: &[&'static str]) {
    planted.worth("mismatch", row.policy.premium_cents);
    planted.attributes(attributes);
}

/// A status that CRM does not show of this policy: of two, one or the other, so that no map explains them.
fn other_status(number: usize, shown: &str) -> &'static str {
    let mut others = ["Active", "Inactive", "Pending"].into_iter().filter(|other| *other != shown);
    others.nth(number % 2).expect("there are two others")
}

/// The copy of another version than the authority's.
fn behind(number: usize, mut row: Row, planted: &mut Planted) -> Row {
    let kind = if row.policy.fate == "in flight" { "in_flight" } else { row.policy.fate };
    planted.worth(kind, row.policy.premium_cents);
    if kind == "ahead" {
        planted.attributes(&["policy_status"]);
        row.policy.version += 1;
        row.status = other_status(number, row.status);
        return row;
    }
    planted.attributes(&["premium", "changed_at"]);
    row.policy.version -= 1 + i64::from(number.is_multiple_of(3));
    row.policy.premium_cents += 1_700;
    let days = i64::try_from(number % 9).expect("small");
    row.policy.changed_us -= (1 + days) * DAY_US + 7 * MINUTE_US + i64::try_from(number).expect("small");
    row
}

/// A row that differs without being behind, or that only the contract's options make equal.
fn altered(number: usize, mut row: Row, planted: &mut Planted) -> Row {
    let attributes: &[&'static str] = match row.policy.fate {
        "status" | "suspended" | "suspended otherwise" => &["policy_status"],
        "premium" | "premium gap" => &["premium"],
        "premium and status" => &["premium", "policy_status"],
        "holder" | "holder lost" => &["holder_name"],
        "city" => &["address"],
        "start" => &["start_date"],
        "changed" | "zone" => &["changed_at"],
        "coverages" => &["coverages"],
        "balance" | "account lost" | "account twice" => &["receivable"],
        _ => {
            settled(&mut row, planted);
            return row;
        }
    };
    mismatch(planted, &row, attributes);
    match row.policy.fate {
        "status" => row.status = other_status(number, row.status),
        "premium" => row.policy.premium_cents += 1_500,
        "premium gap" => {
            row.policy.premium_cents += 15_013;
            planted.reason("rule:large-premium-gap");
        }
        "premium and status" => {
            row.policy.premium_cents -= 250;
            row.status = other_status(number, row.status);
        }
        "holder" => row.holder = Some("Max Mustermann".to_owned()),
        "holder lost" => row.holder = None,
        "city" => row.policy.city = "Atlantis",
        "start" => row.policy.start_day += 1,
        "changed" => row.policy.changed_us += 1,
        "zone" => {
            row.policy.changed_us += 120 * MINUTE_US;
            planted.cause("time_offset", "changed_at");
        }
        "coverages" => row.policy.coverages.truncate(1),
        "account lost" => planted.reason("owner_lacks_key"),
        "account twice" => planted.reason("owner_key_twice"),
        _ => {}
    }
    row
}

/// A difference that the contract's options settle, or none.
fn settled(row: &mut Row, planted: &mut Planted) {
    let rename = |row: &mut Row, change: &dyn Fn(&str) -> String| row.holder = row.holder.as_deref().map(change);
    match row.policy.fate {
        "premium near" => {
            row.policy.premium_cents += 1;
            planted.settled("tolerance of premium");
        }
        "padded" => {
            rename(row, &|name| format!("  {name} "));
            planted.settled("trim");
        }
        "upper case" => {
            rename(row, &str::to_uppercase);
            planted.settled("case");
        }
        "decomposed" => {
            rename(row, &decomposed);
            planted.settled("unicode");
        }
        "spaces" => {
            rename(row, &|name| name.replace(' ', "   "));
            planted.settled("spaces");
        }
        "placeholder" => {
            row.holder = Some("N/A".to_owned());
            planted.settled("null_equals");
        }
        "balance near" => planted.settled("tolerance of receivable"),
        "no premium" => planted.breaks("a bound policy has a premium"),
        _ => {}
    }
}

/// The same name with its accents as combining marks.
fn decomposed(name: &str) -> String {
    [('ü', "u\u{308}"), ('ë', "e\u{308}"), ('é', "e\u{301}"), ('á', "a\u{301}"), ('ñ', "n\u{303}")]
        .iter()
        .fold(name.to_owned(), |name, (composed, marks)| name.replace(*composed, marks))
}

fn line(row: &Row) -> String {
    let policy = &row.policy;
    let member = |value: &Option<String>| serde_json::Value::from(value.clone());
    let quoted = |value: &str| serde_json::Value::from(value).to_string();
    let owed = |value: String| if row.receivable { value } else { "null".to_owned() };
    let coverages: Vec<String> = policy.coverages.iter().map(|coverage| quoted(coverage)).collect();
    let members = [
        format!("\"policyNo\":{}", member(&row.id)),
        format!("\"product\":{}", quoted(policy.product)),
        format!("\"policyStatus\":{}", quoted(row.status)),
        format!("\"holder\":{}", member(&row.holder)),
        format!("\"premium\":{}", amount(policy.premium_cents, '.')),
        format!("\"startDate\":{}", quoted(&date(policy.start_day))),
        format!("\"changedAt\":{}", quoted(&instant(policy.changed_us, 2))),
        format!("\"rowVersion\":{}", policy.version),
        format!(
            "\"address\":{{\"postcode\":{},\"city\":{},\"street\":{}}}",
            quoted(&policy.postcode),
            quoted(policy.city),
            quoted(&policy.street)
        ),
        format!("\"coverages\":[{}]", coverages.join(",")),
        format!("\"segment\":{}", quoted(if policy.premium_cents > 200_000 { "premium" } else { "standard" })),
        format!("\"receivable\":{}", owed(amount(i128::from(policy.receivable_cents), '.'))),
        format!("\"receivableDue\":{}", owed(quoted(&date(row.due_day)))),
        format!("\"receivableCurrency\":{}", owed(quoted("EUR"))),
        format!("\"receivableInstalments\":{}", owed(policy.instalments.to_string())),
    ];
    format!("{{{}}}\n", members.join(","))
}
