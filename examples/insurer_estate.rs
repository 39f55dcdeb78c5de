//! Writes the insurer's estate of `fixtures/insurer`: four systems whose copies have come apart, and the truth of it.
//!
//! `cargo run --example insurer_estate` rewrites the folder; the same seed gives the same bytes, which a test holds it
//! to. The truth is what was planted, written down while it was planted: it is never found by comparing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, ListBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::json;

/// The seed of the committed fixtures.
pub const SEED: u64 = 20_260_905;

const POLICIES: usize = 3_000;
const POLICY_FILES: usize = 3;

/// 2024-01-01T00:00:00Z in microseconds.
const EPOCH_2024_US: i64 = 1_704_067_200_000_000;
/// 2024-01-01 in days.
const EPOCH_2024_DAYS: i32 = 19_723;

/// Writes the estate to the folder that is named, or to the fixtures.
///
/// # Errors
/// What kept a file from being written.
pub fn main() -> io::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/insurer")), PathBuf::from);
    generate(&folder)
}

/// Writes every file of the estate below `folder`.
///
/// # Errors
/// What kept a file from being written.
pub fn generate(folder: &Path) -> io::Result<()> {
    let mut random = Random(SEED);
    let mut truth = Truth::default();
    let policies: Vec<Policy> = (0..POLICIES).map(|number| Policy::make(number, &mut random)).collect();
    let authority = AuthorityFaults::choose(&mut random);
    write_policy_admin(folder, &policies, &authority, &mut truth)?;
    let crm = crm_rows(&policies, &authority, &mut random, &mut truth);
    write_billing(folder, &policies, &crm, &mut random, &mut truth)?;
    write_crm(folder, &crm)?;
    write_claims(folder, &policies, &authority, &mut random, &mut truth)?;
    write_text(folder, "truth.json", &truth.text())
}

/// SplitMix64, so that the bytes depend on nothing but this file.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("a remainder below a usize is a usize")
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

/// What was planted, per contract.
#[derive(Default)]
struct Truth(BTreeMap<&'static str, Planted>);

#[derive(Default)]
struct Planted {
    rows: [u64; 2],
    kinds: BTreeMap<&'static str, u64>,
    attributes: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
    settled: BTreeMap<&'static str, u64>,
}

impl Truth {
    fn of(&mut self, contract: &'static str) -> &mut Planted {
        self.0.entry(contract).or_default()
    }

    fn text(&self) -> String {
        let contracts: serde_json::Map<String, serde_json::Value> = self
            .0
            .iter()
            .map(|(name, planted)| {
                let value = json!({
                    "verdict": "drifted",
                    "rows": {"authority": planted.rows[0], "projection": planted.rows[1]},
                    "divergences": planted.kinds,
                    "attributes": planted.attributes,
                    "reasons": planted.reasons,
                    "settled_by_options": planted.settled,
                });
                ((*name).to_owned(), value)
            })
            .collect();
        let whole = json!({"seed": SEED, "contracts": contracts});
        format!("{whole:#}\n")
    }
}

impl Planted {
    fn kind(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// One pair that differs in these attributes.
    fn mismatch(&mut self, attributes: &[&'static str]) {
        self.kind("mismatch");
        for attribute in attributes {
            *self.attributes.entry(attribute).or_default() += 1;
        }
    }

    /// A difference that an option of the contract settles.
    fn settled(&mut self, option: &'static str) {
        *self.settled.entry(option).or_default() += 1;
    }
}

const CRM_POLICIES: &str = "crm-policy-view";
const CRM_RECEIVABLES: &str = "crm-receivables";
const CLAIMS: &str = "claims-coverage";

/// A policy as Policy Administration holds it.
#[derive(Clone)]
struct Policy {
    id: String,
    product: &'static str,
    status: &'static str,
    holder: Option<String>,
    premium_cents: i128,
    start_day: i32,
    changed_us: i64,
    street: String,
    city: &'static str,
    postcode: String,
    coverages: Vec<&'static str>,
    balance_cents: Option<i64>,
}

const PRODUCTS: [&str; 4] = ["motor", "home", "life", "liability"];
const STATUSES: [&str; 4] = ["BOUND", "LAPSED", "CANCELLED", "PENDING"];
const GIVEN: [&str; 12] =
    ["Anna", "Jürgen", "Zoë", "Luca", "Giulia", "Søren", "José", "Mária", "Paul", "Ingrid", "Émile", "Chloé"];
const FAMILY: [&str; 12] = [
    "Müller",
    "Rossi",
    "Groß",
    "Dupont",
    "Nuñez",
    "Jørgensen",
    "Smith",
    "Kovács",
    "De Vries",
    "O'Neil",
    "Bianchi",
    "Weiß",
];
const CITIES: [&str; 8] = ["Milano", "Köln", "Lyon", "Wien", "Graz", "Bern", "Torino", "Århus"];
const STREETS: [&str; 6] = ["Via Roma", "Hauptstraße", "Rue de la Paix", "Ringstraße", "Corso Como", "Vestergade"];
const COVERAGES: [&str; 6] = ["fire", "theft", "glass", "legal", "hail", "third party"];

impl Policy {
    fn make(number: usize, random: &mut Random) -> Self {
        let mut coverages = COVERAGES.to_vec();
        random.shuffle(&mut coverages);
        coverages.truncate(1 + random.below(4));
        let holder = format!("{} {}", random.pick(&GIVEN), random.pick(&FAMILY));
        Self {
            id: format!("P-{:06}", number + 1),
            product: random.pick(&PRODUCTS),
            status: random.pick(&STATUSES),
            holder: (random.below(40) != 0).then_some(holder),
            premium_cents: 12_000 + random.below(300_000) as i128,
            start_day: EPOCH_2024_DAYS + i32::try_from(random.below(700)).expect("below 700"),
            changed_us: EPOCH_2024_US + i64::try_from(random.below(60_000_000_000_000)).expect("fits"),
            street: format!("{} {}", random.pick(&STREETS), 1 + random.below(120)),
            city: random.pick(&CITIES),
            postcode: format!("{:05}", random.below(99_999)),
            coverages,
            balance_cents: (!number.is_multiple_of(4))
                .then(|| i64::try_from(random.below(90_000)).expect("fits") - 20_000),
        }
    }
}

/// Where Policy Administration itself is at fault.
struct AuthorityFaults {
    /// Policies that it holds twice.
    twice: Vec<usize>,
    /// The others, in the order in which the projections take their share of faults.
    rest: Vec<usize>,
}

const AUTHORITY_TWICE: usize = 3;
const AUTHORITY_WITHOUT_KEY: usize = 2;

impl AuthorityFaults {
    fn choose(random: &mut Random) -> Self {
        let mut rest: Vec<usize> = (0..POLICIES).collect();
        random.shuffle(&mut rest);
        Self { twice: rest.split_off(POLICIES - AUTHORITY_TWICE), rest }
    }
}

fn write_policy_admin(
    folder: &Path,
    policies: &[Policy],
    faults: &AuthorityFaults,
    truth: &mut Truth,
) -> io::Result<()> {
    let mut rows: Vec<(Option<&str>, Policy)> =
        policies.iter().map(|policy| (Some(policy.id.as_str()), policy.clone())).collect();
    for index in &faults.twice {
        let mut second = policies[*index].clone();
        second.changed_us += 86_400_000_000;
        second.status = "LAPSED";
        rows.push((Some(policies[*index].id.as_str()), second));
    }
    for index in &faults.rest[..AUTHORITY_WITHOUT_KEY] {
        rows.push((None, policies[*index].clone()));
    }
    for contract in [CRM_POLICIES, CLAIMS] {
        let planted = truth.of(contract);
        planted.rows[0] = rows.len() as u64;
        (0..AUTHORITY_TWICE).for_each(|_| planted.kind("duplicate_key"));
        (0..AUTHORITY_WITHOUT_KEY).for_each(|_| planted.kind("null_key"));
    }
    let share = rows.len().div_ceil(POLICY_FILES);
    for (number, part) in rows.chunks(share).enumerate() {
        let path = folder.join(format!("policy_admin/policies-{:02}.parquet", number + 1));
        write_policies(&path, part)?;
    }
    Ok(())
}

fn write_policies(path: &Path, rows: &[(Option<&str>, Policy)]) -> io::Result<()> {
    let texts = |value: fn(&Policy) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, policy)| value(policy)).collect::<StringArray>())
    };
    let premiums = Decimal128Array::from_iter_values(rows.iter().map(|(_, policy)| policy.premium_cents))
        .with_precision_and_scale(12, 2)
        .map_err(io::Error::other)?;
    let members = Fields::from(vec![
        Field::new("street", DataType::Utf8, true),
        Field::new("city", DataType::Utf8, true),
        Field::new("postcode", DataType::Utf8, true),
    ]);
    let address = StructArray::new(
        members,
        vec![
            texts(|policy| Some(&policy.street)),
            texts(|policy| Some(policy.city)),
            texts(|policy| Some(&policy.postcode)),
        ],
        None,
    );
    let mut coverages = ListBuilder::new(StringBuilder::new());
    for (_, policy) in rows {
        policy.coverages.iter().for_each(|coverage| coverages.values().append_value(coverage));
        coverages.append(true);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("policy_id", Arc::new(rows.iter().map(|(id, _)| *id).collect::<StringArray>())),
        ("product", texts(|policy| Some(policy.product))),
        ("status", texts(|policy| Some(policy.status))),
        ("holder_name", texts(|policy| policy.holder.as_deref())),
        ("premium", Arc::new(premiums)),
        ("start_date", Arc::new(Date32Array::from_iter_values(rows.iter().map(|(_, policy)| policy.start_day)))),
        (
            "changed_at",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, policy)| policy.changed_us))
                    .with_timezone("UTC"),
            ),
        ),
        ("address", Arc::new(address)),
        ("coverages", Arc::new(coverages.finish())),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    debug_assert_eq!(fields[6].data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect())
        .map_err(io::Error::other)?;
    let properties = WriterProperties::builder()
        .set_created_by("insurer_estate".to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(400))
        .build();
    let mut writer = ArrowWriter::try_new(create(path)?, schema, Some(properties)).map_err(io::Error::other)?;
    writer.write(&batch).map_err(io::Error::other)?;
    writer.close().map_err(io::Error::other)?;
    Ok(())
}

fn due_day(policy: &Policy) -> i32 {
    policy.start_day + 30
}

/// A row of CRM's view.
#[derive(Clone)]
struct CrmRow {
    id: Option<String>,
    policy: Policy,
    status: &'static str,
    holder: Option<String>,
    /// What Billing holds of it, if CRM shows a receivable.
    receivable: Option<i64>,
    due_day: i32,
}

fn crm_status(status: &str) -> &'static str {
    match status {
        "BOUND" => "Active",
        "PENDING" => "Pending",
        _ => "Inactive",
    }
}

/// What becomes of a policy on its way to CRM, and how many policies it happens to.
const CRM_FATES: [(&str, usize); 19] = [
    ("missing", 9),
    ("status", 11),
    ("premium", 13),
    ("holder", 4),
    ("holder lost", 2),
    ("city", 8),
    ("start", 4),
    ("changed", 5),
    ("coverages", 3),
    ("premium and status", 5),
    ("duplicate", 4),
    ("without key", 3),
    ("premium near", 25),
    ("padded", 40),
    ("upper case", 40),
    ("decomposed", 30),
    ("spaces", 20),
    ("placeholder", 15),
    ("orphan", 7),
];

fn crm_rows(policies: &[Policy], faults: &AuthorityFaults, random: &mut Random, truth: &mut Truth) -> Vec<CrmRow> {
    let mut fates = vec![""; POLICIES];
    let mut taken: Vec<usize> = faults.rest.clone();
    for (fate, count) in CRM_FATES {
        for _ in 0..count {
            let position = taken
                .iter()
                .position(|index| suits(fate, &policies[*index]))
                .expect("there are more policies than faults");
            fates[taken.remove(position)] = fate;
        }
    }
    let mut rows = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        let row = CrmRow {
            id: Some(policy.id.clone()),
            status: crm_status(policy.status),
            holder: policy.holder.clone(),
            receivable: policy.balance_cents,
            due_day: due_day(policy),
            policy: policy.clone(),
        };
        crm_fate(fates[index], row, &mut rows, truth);
    }
    random.shuffle(&mut rows);
    truth.of(CRM_POLICIES).rows[1] = rows.len() as u64;
    truth.of(CRM_POLICIES).kind("schema");
    rows
}

/// Whether the fault would be visible on this policy, and not reach into the contract of receivables by accident.
fn suits(fate: &str, policy: &Policy) -> bool {
    let holder = policy.holder.as_deref();
    match fate {
        "placeholder" => holder.is_none(),
        "holder" | "holder lost" | "padded" | "upper case" | "spaces" => holder.is_some(),
        "decomposed" => holder.is_some_and(|name| decomposed(name) != name),
        "without key" | "orphan" => policy.balance_cents.is_none(),
        "coverages" => policy.coverages.len() > 1,
        _ => true,
    }
}

fn crm_fate(fate: &str, mut row: CrmRow, rows: &mut Vec<CrmRow>, truth: &mut Truth) {
    let planted = truth.of(CRM_POLICIES);
    let other_status = if row.status == "Active" { "Inactive" } else { "Active" };
    match fate {
        "missing" => {
            planted.kind("missing");
            if row.receivable.is_some() {
                truth.of(CRM_RECEIVABLES).kind("missing");
            }
            return;
        }
        "status" => {
            row.status = other_status;
            planted.mismatch(&["policy_status"]);
        }
        "premium" => {
            row.policy.premium_cents += 1_500;
            planted.mismatch(&["premium"]);
        }
        "premium and status" => {
            row.policy.premium_cents -= 250;
            row.status = other_status;
            planted.mismatch(&["premium", "policy_status"]);
        }
        "holder" => {
            row.holder = Some("Max Mustermann".to_owned());
            planted.mismatch(&["holder_name"]);
        }
        "holder lost" => {
            row.holder = None;
            planted.mismatch(&["holder_name"]);
        }
        "city" => {
            row.policy.city = "Atlantis";
            planted.mismatch(&["address"]);
        }
        "start" => {
            row.policy.start_day += 1;
            planted.mismatch(&["start_date"]);
        }
        "changed" => {
            row.policy.changed_us += 1;
            planted.mismatch(&["changed_at"]);
        }
        "coverages" => {
            row.policy.coverages.truncate(1);
            planted.mismatch(&["coverages"]);
        }
        "duplicate" => {
            planted.kind("duplicate_key");
            if row.receivable.is_some() {
                truth.of(CRM_RECEIVABLES).kind("duplicate_key");
            }
            rows.push(row.clone());
        }
        "without key" => {
            planted.kind("null_key");
            rows.push(CrmRow { id: None, ..row.clone() });
        }
        "orphan" => {
            planted.kind("orphan");
            rows.push(CrmRow { id: row.id.as_deref().map(|id| id.replace("P-", "P-9")), ..row.clone() });
        }
        _ => crm_settled(fate, &mut row, planted),
    }
    rows.push(row);
}

/// A difference that the contract's options settle.
fn crm_settled(fate: &str, row: &mut CrmRow, planted: &mut Planted) {
    let rename = |row: &mut CrmRow, change: &dyn Fn(&str) -> String| row.holder = row.holder.as_deref().map(change);
    match fate {
        "premium near" => {
            row.policy.premium_cents += 1;
            planted.settled("tolerance");
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
        _ => {}
    }
}

/// The same name with its accents as combining marks.
fn decomposed(name: &str) -> String {
    [('ü', "u\u{308}"), ('ë', "e\u{308}"), ('é', "e\u{301}"), ('á', "a\u{301}"), ('ñ', "n\u{303}")]
        .iter()
        .fold(name.to_owned(), |name, (composed, marks)| name.replace(*composed, marks))
}

fn write_crm(folder: &Path, rows: &[CrmRow]) -> io::Result<()> {
    let mut text = String::new();
    for row in rows {
        let policy = &row.policy;
        let member = |value: &Option<String>| serde_json::Value::from(value.clone());
        let receivable = row.receivable.map_or_else(|| "null".to_owned(), |cents| amount(i128::from(cents), '.'));
        let quoted = |value: &str| serde_json::Value::from(value).to_string();
        let coverages: Vec<String> = policy.coverages.iter().map(|coverage| quoted(coverage)).collect();
        let due = row.receivable.map_or_else(|| "null".to_owned(), |_| quoted(&date(row.due_day)));
        let line = [
            format!("\"policyNo\":{}", member(&row.id)),
            format!("\"product\":{}", quoted(policy.product)),
            format!("\"policyStatus\":{}", quoted(row.status)),
            format!("\"holder\":{}", member(&row.holder)),
            format!("\"premium\":{}", amount(policy.premium_cents, '.')),
            format!("\"startDate\":{}", quoted(&date(policy.start_day))),
            format!("\"changedAt\":{}", quoted(&instant(policy.changed_us, 2))),
            format!(
                "\"address\":{{\"postcode\":{},\"city\":{},\"street\":{}}}",
                quoted(&policy.postcode),
                quoted(policy.city),
                quoted(&policy.street)
            ),
            format!("\"coverages\":[{}]", coverages.join(",")),
            format!("\"segment\":{}", quoted(if policy.premium_cents > 200_000 { "premium" } else { "standard" })),
            format!("\"receivable\":{receivable}"),
            format!("\"receivableDue\":{due}"),
            format!("\"receivableCurrency\":{}", if row.receivable.is_some() { "\"EUR\"" } else { "null" }),
        ];
        text.push_str(&format!("{{{}}}\n", line.join(",")));
    }
    write_text(folder, "crm/policy_view.ndjson", &text)
}

/// What becomes of a receivable between Billing and CRM.
const BILLING_FATES: [(&str, usize); 7] =
    [("lost", 5), ("balance", 9), ("due", 4), ("currency", 3), ("duplicate", 2), ("balance near", 30), ("case", 20)];

fn write_billing(
    folder: &Path,
    policies: &[Policy],
    crm: &[CrmRow],
    random: &mut Random,
    truth: &mut Truth,
) -> io::Result<()> {
    let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
    for id in crm.iter().filter(|row| row.receivable.is_some()).filter_map(|row| row.id.as_deref()) {
        *copies.entry(id).or_default() += 1;
    }
    let planted = truth.of(CRM_RECEIVABLES);
    planted.rows[1] = copies.values().map(|count| *count as u64).sum();
    // Only receivables that CRM holds exactly once take a further fault, so that each fault is one divergence.
    let mut candidates: Vec<&str> = copies.iter().filter(|(_, count)| **count == 1).map(|(id, _)| *id).collect();
    random.shuffle(&mut candidates);
    let mut fates: BTreeMap<&str, &str> = BTreeMap::new();
    for (fate, count) in BILLING_FATES {
        fates.extend(candidates.drain(..count).map(|id| (id, fate)));
    }
    let mut lines = Vec::new();
    for policy in policies {
        let Some(mut balance) = policy.balance_cents else { continue };
        let (mut currency, mut due_day) = ("EUR", due_day(policy));
        let fate = fates.get(policy.id.as_str()).copied().unwrap_or_default();
        match fate {
            "lost" => {
                planted.kind("orphan");
                continue;
            }
            "balance" => {
                balance -= 5_000;
                planted.mismatch(&["receivable"]);
            }
            "due" => {
                due_day += 14;
                planted.mismatch(&["due_date"]);
            }
            "currency" => {
                currency = "CHF";
                planted.mismatch(&["currency"]);
            }
            "duplicate" => planted.kind("duplicate_key"),
            "balance near" => {
                balance += 1;
                planted.settled("tolerance");
            }
            "case" => {
                currency = "eur";
                planted.settled("case");
            }
            _ => {}
        }
        let line = billing_line(&policy.id, balance, currency, due_day);
        if fate == "duplicate" {
            lines.push(line.clone());
        }
        lines.push(line);
    }
    for number in 0..6 {
        planted.kind("missing");
        lines.push(billing_line(&format!("P-8{number:05}"), 100, "EUR", EPOCH_2024_DAYS));
    }
    planted.kind("null_key");
    lines.push(billing_line("", 4_200, "EUR", EPOCH_2024_DAYS));
    random.shuffle(&mut lines);
    planted.rows[0] = lines.len() as u64;
    let text = format!("policy_id;balance;credits;currency;due_date\n{}\n", lines.join("\n"));
    write_text(folder, "billing/receivables.csv", &text)
}

fn billing_line(id: &str, balance_cents: i64, currency: &str, due_day: i32) -> String {
    let due = date(due_day);
    let (year, month, day) = (&due[..4], &due[5..7], &due[8..]);
    format!("{id};{};0,00;{currency};{day}.{month}.{year}", amount(i128::from(balance_cents), ','))
}

/// What becomes of a policy on its way to Claims.
const CLAIMS_FATES: [(&str, usize); 11] = [
    ("missing", 8),
    ("orphan", 5),
    ("product", 6),
    ("premium", 7),
    ("unparseable", 3),
    ("too fine", 2),
    ("valid from", 4),
    ("city", 5),
    ("duplicate", 2),
    ("without key", 2),
    ("padded", 25),
];

fn write_claims(
    folder: &Path,
    policies: &[Policy],
    faults: &AuthorityFaults,
    random: &mut Random,
    truth: &mut Truth,
) -> io::Result<()> {
    let planted = truth.of(CLAIMS);
    let mut order = faults.rest.clone();
    random.shuffle(&mut order);
    let mut fates = vec![""; POLICIES];
    let mut taken = order.into_iter();
    for (fate, count) in CLAIMS_FATES {
        taken.by_ref().take(count).for_each(|index| fates[index] = fate);
    }
    let mut lines = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        claims_fate(fates[index], policy, &mut lines, planted);
    }
    random.shuffle(&mut lines);
    planted.rows[1] = lines.len() as u64;
    let text = format!("policy_ref,coverage,premium,valid_from,risk_city,adjuster\n{}\n", lines.join("\n"));
    write_text(folder, "claims/coverage.csv", &text)
}

fn claims_fate(fate: &str, policy: &Policy, lines: &mut Vec<String>, planted: &mut Planted) {
    let mut row = policy.clone();
    let mut premium = amount(row.premium_cents, '.');
    let mut coverage = row.product.to_uppercase();
    match fate {
        "missing" => {
            planted.kind("missing");
            return;
        }
        "orphan" => {
            planted.kind("orphan");
            lines.push(claims_line(&row.id.replace("P-", "P-7"), &coverage, &premium, &row));
        }
        "product" => {
            coverage = String::from("PET");
            planted.mismatch(&["coverage"]);
        }
        "premium" => {
            premium = amount(row.premium_cents - 99, '.');
            planted.mismatch(&["premium"]);
        }
        "unparseable" => {
            premium = String::from("n/a");
            planted.mismatch(&["premium"]);
            *planted.reasons.entry("unparseable").or_default() += 1;
        }
        "too fine" => {
            premium.push('5');
            planted.mismatch(&["premium"]);
            *planted.reasons.entry("out_of_type").or_default() += 1;
        }
        "valid from" => {
            row.start_day -= 1;
            planted.mismatch(&["valid_from"]);
        }
        "city" => {
            row.city = "Genova";
            planted.mismatch(&["risk_city"]);
        }
        "duplicate" => {
            planted.kind("duplicate_key");
            lines.push(claims_line(&row.id, &coverage, &premium, &row));
        }
        "without key" => {
            planted.kind("null_key");
            lines.push(claims_line("", &coverage, &premium, &row));
        }
        "padded" => {
            coverage = format!("{coverage}  ");
            planted.settled("trim");
        }
        _ => {}
    }
    lines.push(claims_line(&row.id, &coverage, &premium, &row));
}

fn claims_line(id: &str, coverage: &str, premium: &str, row: &Policy) -> String {
    format!("{id},\"{coverage}\",{premium},{},{},team-{}", date(row.start_day), row.city, row.postcode.len())
}

fn amount(cents: i128, decimal: char) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let magnitude = cents.unsigned_abs();
    format!("{sign}{}{decimal}{:02}", magnitude / 100, magnitude % 100)
}

fn date(day: i32) -> String {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.saturating_add(jiff::Span::new().days(day)).to_string()
}

/// RFC 3339 with an offset of whole hours: the same moment as in UTC.
fn instant(microseconds: i64, offset_hours: i8) -> String {
    let moment = jiff::Timestamp::from_microsecond(microseconds).expect("a moment of this century");
    let local = moment.to_zoned(jiff::tz::Offset::constant(offset_hours).to_time_zone());
    local.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

fn write_text(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    io::Write::write_all(&mut create(&folder.join(name))?, text.as_bytes())
}

fn create(path: &Path) -> io::Result<fs::File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create(path)
}
