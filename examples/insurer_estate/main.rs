//! Writes the insurer's estate of `fixtures/insurer`: systems whose copies have come apart, and the truth of it.
//!
//! `cargo run --example insurer_estate` rewrites the folder; the same seed gives the same bytes, which a test holds it
//! to. The truth is what was planted, written down while it was planted: it is never found by comparing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

mod billing;
mod claims;
mod crm;
mod ledger;
mod policies;
mod reinsurance;
mod truth;

use policies::{POLICIES, Policy};
use truth::Truth;

/// The seed of the committed fixtures.
pub const SEED: u64 = 20_260_905;

const CRM_POLICIES: &str = "crm-policy-view";
const CRM_RECEIVABLES: &str = "crm-receivables";
const CLAIMS: &str = "claims-coverage";
const CESSIONS: &str = "reinsurance-cessions";

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
    let parties = policies::parties(&mut random);
    let mut policies: Vec<Policy> = (0..POLICIES).map(|number| Policy::make(number, &parties, &mut random)).collect();
    let faults = policies::choose_fates(&mut policies, &mut random);
    policies::write_parties(folder, &parties)?;
    policies::write(folder, &policies, &faults, &mut truth)?;
    crm::write(folder, &policies, &mut random, &mut truth)?;
    claims::write(folder, &policies, &mut random, &mut truth)?;
    ledger::write(folder, &policies, faults.count(), &mut truth)?;
    reinsurance::write(folder, &policies, &mut random, &mut truth)?;
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
