//! How a contract stands to the run that it goes on from, or to the one that may go on from it: the sentences of text and
//! Markdown, and the records of JSON and manifest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::escape::{count, counted};
use super::json::SidesRecord;
use crate::audit::{Audit, ContractAudit, Reading, Resumed, Segments};
use crate::sides::{Side, Sides};

/// The sentence of a contract; None where nothing is kept of it.
pub(super) fn told(contract: &ContractAudit) -> Option<String> {
    let Segments { resumed, whole, readings, kept } = contract.segments.as_ref()?;
    if let (true, Some(run)) = (whole, resumed) {
        let readings: Vec<String> = readings.iter().map(instants).collect();
        return Some(format!(
            "as run {run} found it, nothing of it was read now: the {} speaks for {}",
            if readings.len() == 1 { "reading" } else { "sum of readings" },
            readings.join("; ")
        ));
    }
    let readings = readings.iter().map(|reading| format!("{}, {}", rows(reading), instants(reading)));
    let readings = readings.collect::<Vec<_>>().join("; ");
    Some(match (kept, resumed) {
        (Some(kept), _) => match kept.ranges.len() {
            1 => format!("1 range of keys agrees and need not be read again: {readings}"),
            ranges => format!("{} ranges of keys agree and need not be read again: {readings}", count(ranges as u64)),
        },
        (None, Some(run)) => format!("goes on from run {run}, and its coverage is the sum of these: {readings}"),
        (None, None) => readings,
    })
}

/// Whether something is kept of a contract that was cut off, so that another run has less to read.
pub(super) fn is_open(audit: &Audit) -> bool {
    let kept = |contract: &ContractAudit| contract.segments.as_ref().is_some_and(|segments| segments.kept.is_some());
    audit.command == "run" && audit.contracts.iter().any(kept)
}

/// The sentence of a run that goes on from another.
pub(super) fn of_run(audit: &Audit) -> Option<String> {
    let Resumed { run_id, .. } = audit.resumed.as_ref()?;
    let whole = audit.contracts.iter().filter(|contract| contract.segments.as_ref().is_some_and(|of| of.whole)).count();
    let parts =
        audit.contracts.iter().filter(|contract| contract.segments.as_ref().is_some_and(|of| of.is_sum() && !of.whole));
    Some(format!(
        "goes on from run {run_id}: {} taken over as it found them, {} in part, {} read now; what is kept speaks for the instants at which it was read",
        counted(whole as u64, "contract"),
        count(parts.clone().count() as u64),
        count((audit.contracts.len() - whole - parts.count()) as u64),
    ))
}

/// `3,584 rows of each side`, or of either where they are not as many.
fn rows(reading: &Reading) -> String {
    let Sides { authority, projection } = reading.rows;
    if authority == projection {
        return format!("{} of each side", counted(authority, "row"));
    }
    format!("{} of the authority and {} of the projection", counted(authority, "row"), count(projection))
}

/// When each side was read, and by which run.
fn instants(reading: &Reading) -> String {
    let at = |side: Side| match reading.read_at.get(side) {
        Some(at) => format!("the {side} at {at}"),
        None => format!("the {side} at no told instant"),
    };
    format!("{}, {} (run {})", at(Side::Authority), at(Side::Projection), reading.run_id)
}

/// A run that another one goes on from, as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ResumedRecord {
    pub(crate) run_id: String,
    pub(crate) manifest: String,
}

impl ResumedRecord {
    pub(crate) fn of(resumed: &Resumed) -> Self {
        Self { run_id: resumed.run_id.clone(), manifest: resumed.manifest.clone() }
    }

    pub(crate) fn into_facts(self) -> Resumed {
        Resumed { run_id: self.run_id, manifest: self.manifest }
    }
}

/// What is said of a contract, as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct SegmentsRecord {
    resumed: Option<String>,
    whole: bool,
    readings: Vec<ReadingRecord>,
}

/// One reading, as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ReadingRecord {
    run_id: String,
    read_at: SidesRecord<Option<String>>,
    snapshot: SidesRecord<Option<String>>,
    rows: SidesRecord<u64>,
}

impl SegmentsRecord {
    pub(crate) fn of(segments: &Segments) -> Self {
        Self {
            resumed: segments.resumed.clone(),
            whole: segments.whole,
            readings: segments.readings.iter().map(ReadingRecord::of).collect(),
        }
    }

    /// Without what is kept, which lies in a file of its own.
    pub(crate) fn into_facts(self) -> Result<Segments, String> {
        let readings = self.readings.into_iter().map(ReadingRecord::into_facts).collect::<Result<_, _>>()?;
        Ok(Segments { resumed: self.resumed, whole: self.whole, readings, kept: None })
    }
}

impl ReadingRecord {
    pub(crate) fn of(reading: &Reading) -> Self {
        Self {
            run_id: reading.run_id.clone(),
            read_at: SidesRecord::of(&reading.read_at, |at| at.map(|at| at.to_string())),
            snapshot: SidesRecord::of(&reading.snapshot, Clone::clone),
            rows: SidesRecord::of(&reading.rows, |rows| *rows),
        }
    }

    pub(crate) fn into_facts(self) -> Result<Reading, String> {
        let instant = |text: String| text.parse::<Timestamp>().map_err(|_| format!("`{text}` is not an instant"));
        Ok(Reading {
            run_id: self.run_id,
            read_at: self.read_at.into_sides().try_map(|_, at| at.map(instant).transpose())?,
            snapshot: self.snapshot.into_sides(),
            rows: self.rows.into_sides(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Kept, Range};
    use crate::report::sample;

    fn reading(run_id: &str, rows: (u64, u64), second: i64) -> Reading {
        Reading {
            run_id: run_id.to_owned(),
            read_at: Sides { authority: Timestamp::from_second(second).ok(), projection: None },
            rows: Sides { authority: rows.0, projection: rows.1 },
            ..Reading::default()
        }
    }

    #[test]
    fn a_reader_learns_what_was_kept_and_of_which_instant_it_speaks() {
        let mut audit = sample::audit();
        let said = |audit: &Audit| told(&audit.contracts[0]).unwrap_or_default();
        assert_eq!((said(&audit), of_run(&audit)), (String::new(), None));
        let range = Range { low: 1, high: 9, rows: 3, sum: None, reading: 0 };
        let kept = Kept { readings: vec![reading("a", (3, 3), 0)], ranges: vec![range], ..Kept::default() };
        let mut segments = Segments { readings: kept.readings.clone(), kept: Some(kept), ..Segments::default() };
        audit.contracts[0].segments = Some(segments.clone());
        let expected = "1 range of keys agrees and need not be read again: 3 rows of each side, the authority at \
            1970-01-01T00:00:00Z, the projection at no told instant (run a)";
        assert_eq!(said(&audit), expected);
        segments.kept = None;
        segments.resumed = Some("a".to_owned());
        segments.readings.push(reading("b", (1, 2), 60));
        audit.contracts[0].segments = Some(segments.clone());
        audit.resumed = Some(Resumed { run_id: "a".to_owned(), manifest: "0".repeat(64) });
        assert!(
            said(&audit).starts_with("goes on from run a, and its coverage is the sum of these: 3 rows of each side")
        );
        assert!(said(&audit).ends_with("; 1 row of the authority and 2 of the projection, the authority at 1970-01-01T00:01:00Z, the projection at no told instant (run b)"), "{}", said(&audit));
        let run = of_run(&audit).unwrap_or_default();
        assert!(
            run.starts_with("goes on from run a: 0 contracts taken over as it found them, 1 in part, 2 read now"),
            "{run}"
        );
        segments.whole = true;
        audit.contracts[0].segments = Some(segments);
        assert!(said(&audit).starts_with("as run a found it, nothing of it was read now"), "{}", said(&audit));
    }

    #[test]
    fn what_is_told_comes_back_from_its_record() {
        let segments = Segments {
            resumed: Some("a".to_owned()),
            whole: true,
            readings: vec![
                reading("a", (3, 4), 0),
                Reading {
                    snapshot: Sides { authority: Some("x".to_owned()), projection: None },
                    ..reading("b", (0, 0), 9)
                },
            ],
            kept: None,
        };
        let text = serde_json::to_string(&SegmentsRecord::of(&segments)).unwrap();
        let read: SegmentsRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read.into_facts().unwrap(), segments);
    }
}
