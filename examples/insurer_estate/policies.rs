//! Policy Administration: what it holds of a policy, what becomes of each on its way, and its Parquet files.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::truth::Truth;
use super::{CLAIMS, CRM_POLICIES, Random, claims, create, crm, write_text};

pub(super) const POLICIES: usize = 1_200;
const POLICY_FILES: usize = 3;
const PARTIES: usize = 400;

/// 2024-01-01T00:00:00Z in microseconds.
const EPOCH_2024_US: i64 = 1_704_067_200_000_000;
/// 2024-01-01 in days.
pub(super) const EPOCH_2024_DAYS: i32 = 19_723;
/// When CRM was captured: 2025-12-01T02:00:00Z. Policy Administration was half an hour later.
const CRM_CAPTURED_US: i64 = 1_764_554_400_000_000;
pub(super) const MINUTE_US: i64 = 60_000_000;
pub(super) const DAY_US: i64 = 1_440 * MINUTE_US;

/// The policies of a batch that never came to Claims.
pub(super) const LOST_BATCH: Range<usize> = 699..719;

/// A policy as Policy Administration holds it.
#[derive(Clone)]
pub(super) struct Policy {
    pub(super) id: String,
    pub(super) product: &'static str,
    pub(super) status: &'static str,
    pub(super) holder: Option<String>,
    pub(super) holder_id: Option<String>,
    pub(super) premium_cents: i128,
    pub(super) start_day: i32,
    pub(super) changed_us: i64,
    pub(super) version: i64,
    pub(super) deleted: bool,
    pub(super) street: String,
    pub(super) city: &'static str,
    pub(super) postcode: String,
    pub(super) coverages: Vec<&'static str>,
    /// What is owed on it, less what was credited; nothing of a deleted policy.
    pub(super) receivable_cents: i64,
    pub(super) credits_cents: i64,
    pub(super) instalments: i64,
    /// What becomes of it between here, CRM and Billing.
    pub(super) fate: &'static str,
    /// What becomes of it between here and Claims.
    pub(super) claims_fate: &'static str,
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

/// Everybody who holds a policy, by number.
pub(super) fn parties(random: &mut Random) -> Vec<String> {
    (0..PARTIES).map(|_| format!("{} {}", random.pick(&GIVEN), random.pick(&FAMILY))).collect()
}

impl Policy {
    pub(super) fn make(number: usize, parties: &[String], random: &mut Random) -> Self {
        let mut coverages = COVERAGES.to_vec();
        random.shuffle(&mut coverages);
        coverages.truncate(1 + random.below(4));
        let holder = random.below(parties.len());
        let known = random.below(25) != 0;
        let whole = |value: usize| i64::try_from(value).expect("a small number");
        Self {
            id: format!("P-{:06}", number + 1),
            product: random.pick(&PRODUCTS),
            status: random.pick(&STATUSES),
            holder: known.then(|| parties[holder].clone()),
            holder_id: known.then(|| party_id(holder)),
            premium_cents: 12_000 + random.below(300_000) as i128,
            start_day: EPOCH_2024_DAYS + i32::try_from(random.below(700)).expect("below 700"),
            changed_us: EPOCH_2024_US + whole(random.below(60_000_000_000_000)),
            version: 3 + whole(random.below(9)),
            deleted: false,
            street: format!("{} {}", random.pick(&STREETS), 1 + random.below(120)),
            city: random.pick(&CITIES),
            postcode: format!("{:05}", random.below(99_999)),
            coverages,
            receivable_cents: whole(random.below(90_000)) - 20_000,
            credits_cents: if number.is_multiple_of(3) { whole(random.below(5_000)) } else { 0 },
            instalments: random.pick(&[1, 2, 4, 12]),
            fate: "",
            claims_fate: "",
        }
    }

    /// What its fate means at the authority itself.
    fn befall(&mut self, fate: &str, nth: i64) {
        match fate {
            "tombstone" | "resurrected" => self.deleted = true,
            "suspended" | "suspended otherwise" => self.status = "SUSPENDED",
            "no premium" => {
                self.status = "BOUND";
                self.premium_cents = 0;
            }
            // Later than anything that CRM has, and older than the window of an hour.
            "stale missing" => self.changed_us = CRM_CAPTURED_US - (120 + nth) * MINUTE_US,
            "in flight" | "in flight missing" => self.changed_us = CRM_CAPTURED_US + (5 * nth - 20) * MINUTE_US,
            "party unknown" => self.holder_id = Some(format!("H-9{nth:03}")),
            "party twice" => self.holder_id = Some(String::from(TWICE)),
            _ => {}
        }
    }
}

/// A party that the register holds twice.
const TWICE: &str = "H-8000";

fn party_id(number: usize) -> String {
    format!("H-{number:04}")
}

/// The register of parties, which owns their names.
pub(super) fn write_parties(folder: &Path, parties: &[String]) -> io::Result<()> {
    let lines = parties.iter().enumerate().map(|(number, name)| format!("{},{name}\n", party_id(number)));
    let twice = format!("{TWICE},Paula Weiß\n{TWICE},Paula Weiss\n");
    let text: String = std::iter::once("party_id,name\n".to_owned()).chain(lines).chain([twice]).collect();
    write_text(folder, "parties/parties.csv", &text)
}

/// Where Policy Administration itself is at fault.
pub(super) struct AuthorityFaults {
    /// Policies that it holds twice.
    twice: Vec<usize>,
    /// Policies that it holds once more without a key.
    nameless: Vec<usize>,
}

impl AuthorityFaults {
    /// How many keys cannot pair whatever a copy holds.
    pub(super) fn count(&self) -> u64 {
        (self.twice.len() + self.nameless.len()) as u64
    }
}

const AUTHORITY_TWICE: usize = 3;
const AUTHORITY_WITHOUT_KEY: usize = 2;

/// Gives every policy its fate, in each context at most one.
pub(super) fn choose_fates(policies: &mut [Policy], random: &mut Random) -> AuthorityFaults {
    let mut rest: Vec<usize> = (0..POLICIES).filter(|index| !LOST_BATCH.contains(index)).collect();
    random.shuffle(&mut rest);
    let mut own = |count: usize| -> Vec<usize> {
        let last = |rest: &mut Vec<usize>| {
            let place = rest.iter().rposition(|index| policies[*index].product == "motor").expect("there are many");
            rest.remove(place)
        };
        (0..count).map(|_| last(&mut rest)).collect()
    };
    let faults = AuthorityFaults { twice: own(AUTHORITY_TWICE), nameless: own(AUTHORITY_WITHOUT_KEY) };
    let mut again = rest.clone();
    random.shuffle(&mut again);
    take(policies, &crm::FATES, &mut rest, crm::suits, |policy, fate| policy.fate = fate);
    take(policies, &claims::FATES, &mut again, claims::suits, |policy, fate| policy.claims_fate = fate);
    faults
}

/// Gives each fate to the first policies that suit it.
fn take(
    policies: &mut [Policy],
    fates: &[(&'static str, usize)],
    pool: &mut Vec<usize>,
    suits: fn(&str, &Policy) -> bool,
    give: fn(&mut Policy, &'static str),
) {
    for (fate, count) in fates {
        for nth in 0..*count {
            let place = pool.iter().position(|index| suits(fate, &policies[*index]));
            let policy = &mut policies[pool.remove(place.expect("there are more policies than faults"))];
            give(policy, fate);
            policy.befall(fate, i64::try_from(nth).expect("few"));
        }
    }
}

pub(super) fn write(folder: &Path, policies: &[Policy], faults: &AuthorityFaults, truth: &mut Truth) -> io::Result<()> {
    let mut rows: Vec<(Option<&str>, Policy)> =
        policies.iter().map(|policy| (Some(policy.id.as_str()), policy.clone())).collect();
    for index in &faults.twice {
        let mut second = policies[*index].clone();
        second.changed_us += DAY_US;
        second.status = "LAPSED";
        rows.push((Some(policies[*index].id.as_str()), second));
    }
    for index in &faults.nameless {
        rows.push((None, policies[*index].clone()));
        truth.of(CRM_POLICIES).worth("null_key", policies[*index].premium_cents);
        truth.of(CLAIMS).kind("null_key");
    }
    truth.of(CRM_POLICIES).rows[0] = rows.len() as u64;
    truth.of(CLAIMS).rows[0] = rows.iter().filter(|(_, policy)| !policy.deleted).count() as u64;
    for _ in &faults.twice {
        truth.of(CRM_POLICIES).worth("duplicate_key", 0);
        truth.of(CLAIMS).kind("duplicate_key");
    }
    for (_, policy) in &rows {
        truth.of(CRM_POLICIES).counted(0, crm::status(policy.status), policy.premium_cents);
    }
    let share = rows.len().div_ceil(POLICY_FILES);
    for (number, part) in rows.chunks(share).enumerate() {
        let path = folder.join(format!("policy_admin/policies-{:02}.parquet", number + 1));
        write_part(&path, part)?;
    }
    Ok(())
}

type Row<'a> = (Option<&'a str>, Policy);

fn columns(rows: &[Row<'_>]) -> io::Result<Vec<(&'static str, ArrayRef)>> {
    let texts = |value: fn(&Policy) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, policy)| value(policy)).collect::<StringArray>())
    };
    let premiums = Decimal128Array::from_iter_values(rows.iter().map(|(_, policy)| policy.premium_cents))
        .with_precision_and_scale(12, 2)
        .map_err(io::Error::other)?;
    let members = ["street", "city", "postcode"].map(|name| Field::new(name, DataType::Utf8, true));
    let address = StructArray::new(
        Fields::from(members.to_vec()),
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
    let starts = Date32Array::from_iter_values(rows.iter().map(|(_, policy)| policy.start_day));
    let changes = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, policy)| policy.changed_us));
    let versions = Int64Array::from_iter_values(rows.iter().map(|(_, policy)| policy.version));
    let deleted: BooleanArray = rows.iter().map(|(_, policy)| Some(policy.deleted)).collect();
    Ok(vec![
        ("policy_id", Arc::new(rows.iter().map(|(id, _)| *id).collect::<StringArray>())),
        ("product", texts(|policy| Some(policy.product))),
        ("status", texts(|policy| Some(policy.status))),
        ("holder_name", texts(|policy| policy.holder.as_deref())),
        ("holder_id", texts(|policy| policy.holder_id.as_deref())),
        ("premium", Arc::new(premiums)),
        ("start_date", Arc::new(starts)),
        ("changed_at", Arc::new(changes.with_timezone("UTC"))),
        ("row_version", Arc::new(versions)),
        ("is_deleted", Arc::new(deleted)),
        ("address", Arc::new(address)),
        ("coverages", Arc::new(coverages.finish())),
    ])
}

fn write_part(path: &Path, rows: &[Row<'_>]) -> io::Result<()> {
    let columns = columns(rows)?;
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, column)| column).collect())
        .map_err(io::Error::other)?;
    let properties = WriterProperties::builder()
        .set_created_by("insurer_estate".to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(200))
        .build();
    let mut writer = ArrowWriter::try_new(create(path)?, schema, Some(properties)).map_err(io::Error::other)?;
    writer.write(&batch).map_err(io::Error::other)?;
    writer.close().map_err(io::Error::other)?;
    Ok(())
}
