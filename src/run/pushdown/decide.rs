//! Whether checksums in a database cost less than reading its rows. It decides by figures that it is given.

use std::time::Duration;

use crate::source::{Error, Remote};

/// Bytes that are asked for to learn how fast a link is.
const PROBE_BYTES: u64 = 256 << 10;
/// Tables that are read so soon that nothing is measured.
const SMALL_BYTES: u64 = 8 << 20;
/// What a row costs where it is summed, in nanoseconds: text, MD5, four numbers of it.
const SUM_NANOSECONDS: f64 = 4000.0;
/// What a row costs where it is read and decoded.
const READ_NANOSECONDS: f64 = 700.0;
/// What share of the rows is read all the same, where few differ.
const READ_SHARE: f64 = 0.02;
/// How much sooner it must be done, so that a guess does not decide.
const MARGIN: f64 = 1.5;

/// A link to a database, as it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Link {
    /// From a question to its answer.
    pub(super) round_trip: Duration,
    /// How much it carries.
    pub(super) bytes_per_second: f64,
}

/// One side that a database serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Statements that summing takes.
    pub(super) statements: u64,
    /// None: it lies on this machine.
    pub(super) link: Option<Link>,
}

impl Cost {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn reading(&self) -> f64 {
        let carried = self.link.map_or(0.0, |link| self.bytes as f64 / link.bytes_per_second.max(1.0));
        carried.max(self.rows as f64 * READ_NANOSECONDS / 1e9)
    }

    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn summing(&self) -> f64 {
        let waits = self.link.map_or(0.0, |link| link.round_trip.as_secs_f64() * self.statements as f64);
        waits + self.rows as f64 * SUM_NANOSECONDS / 1e9 + self.reading() * READ_SHARE
    }
}

/// Why rows are read, or None: summing them is done sooner. Both sides work at the same time.
pub(super) fn reads(costs: &[Cost]) -> Option<&'static str> {
    let slowest = |of: fn(&Cost) -> f64| costs.iter().map(of).fold(0.0, f64::max);
    if costs.iter().all(|cost| cost.link.is_none()) {
        return Some("the database lies on this machine");
    }
    if costs.iter().all(|cost| cost.bytes < SMALL_BYTES) {
        return Some("the tables are small");
    }
    (slowest(Cost::reading) < slowest(Cost::summing) * MARGIN)
        .then_some("the link is fast enough to read all rows sooner")
}

/// Measures the link to a database; None where there is none.
pub(super) fn measure(remote: &dyn Remote) -> Result<Option<Link>, Error> {
    if remote.is_local() {
        return Ok(None);
    }
    let timed = |sql: &str| {
        let begun = std::time::Instant::now();
        remote.ask(sql).map(|_| begun.elapsed())
    };
    // The first may open a connection.
    timed("SELECT 1")?;
    let round_trip = timed("SELECT 1")?.min(timed("SELECT 1")?);
    let carried = timed(&format!("SELECT repeat('x', {PROBE_BYTES})"))?.saturating_sub(round_trip);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let bytes_per_second = PROBE_BYTES as f64 / carried.as_secs_f64().max(1e-6);
    Ok(Some(Link { round_trip, bytes_per_second }))
}

/// Whether measuring could change anything.
pub(super) fn is_small(bytes: u64) -> bool {
    bytes < SMALL_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(rows: u64, link: Option<(u64, f64)>) -> Cost {
        let link = link.map(|(milliseconds, megabytes)| Link {
            round_trip: Duration::from_millis(milliseconds),
            bytes_per_second: megabytes * 1e6,
        });
        Cost { rows, bytes: rows * 100, statements: 50, link }
    }

    #[test]
    fn a_fast_link_reads_and_a_slow_one_sums() {
        let fast = Some("the link is fast enough to read all rows sooner");
        let cases = [
            ("one machine", cost(5_000_000, Some((0, 900.0))), fast),
            ("a local network", cost(5_000_000, Some((1, 110.0))), fast),
            ("a line of 100 Mbit/s", cost(5_000_000, Some((10, 12.0))), None),
            ("a slow line", cost(5_000_000, Some((40, 2.0))), None),
            ("a line whose every answer takes long", cost(200_000, Some((900, 12.0))), fast),
            ("a small table far away", cost(10_000, Some((200, 0.1))), Some("the tables are small")),
            ("a file", cost(5_000_000, None), Some("the database lies on this machine")),
        ];
        for (name, one, expected) in cases {
            assert_eq!(reads(&[one]), expected, "{name}");
        }
    }

    #[test]
    fn the_slower_side_decides() {
        let (near, far) = (cost(5_000_000, None), cost(5_000_000, Some((40, 2.0))));
        assert_eq!(reads(&[near, far]), None);
        assert_eq!(reads(&[far, near]), None);
    }
}
