//! How far a projection lies behind, on the wire: in `summary.json` and in the manifest.

use serde::{Deserialize, Serialize};

use crate::audit::lag::{Counted, Lag, Oldest, Spread};

/// What the markers of a contract tell, on the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct LagRecord {
    /// In nanoseconds, as text: the number may pass what JSON readers hold.
    window_ns: Option<String>,
    within_window: u64,
    beyond_window: u64,
    versions: Option<SpreadRecord>,
    seconds: Option<SpreadRecord>,
    seconds_counted: String,
    oldest: Option<OldestRecord>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct SpreadRecord {
    keys: u64,
    min: u64,
    median: u64,
    p95: u64,
    p99: u64,
    max: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct OldestRecord {
    key: String,
    since: String,
}

impl LagRecord {
    pub(crate) fn of(lag: &Lag) -> Self {
        let spread = |spread: Spread| {
            let Spread { keys, min, median, p95, p99, max } = spread;
            SpreadRecord { keys, min, median, p95, p99, max }
        };
        Self {
            window_ns: lag.window.map(|window| window.to_string()),
            within_window: lag.within,
            beyond_window: lag.beyond,
            versions: lag.versions.map(spread),
            seconds: lag.seconds.map(spread),
            seconds_counted: lag.counted.name().to_owned(),
            oldest: lag
                .oldest
                .as_ref()
                .map(|oldest| OldestRecord { key: oldest.key.clone(), since: oldest.since.to_string() }),
        }
    }

    /// The facts; the problem is a sentence part.
    pub(crate) fn into_facts(self) -> Result<Lag, String> {
        let spread = |record: SpreadRecord| {
            let SpreadRecord { keys, min, median, p95, p99, max } = record;
            Spread { keys, min, median, p95, p99, max }
        };
        let counted = [Counted::ToTheSnapshot, Counted::BetweenMarkers];
        let counted = counted.into_iter().find(|counted| counted.name() == self.seconds_counted);
        let oldest = self.oldest.map(|oldest| {
            let since = oldest.since.parse().map_err(|_| format!("`{}` is not an instant", oldest.since))?;
            Ok::<_, String>(Oldest { key: oldest.key, since })
        });
        let window = self.window_ns.map(|window| window.parse().map_err(|_| format!("`{window}` is no window")));
        Ok(Lag {
            window: window.transpose()?,
            within: self.within_window,
            beyond: self.beyond_window,
            versions: self.versions.map(spread),
            seconds: self.seconds.map(spread),
            counted: counted.ok_or_else(|| format!("`{}` is no way to count seconds", self.seconds_counted))?,
            oldest: oldest.transpose()?,
            ..Lag::default()
        })
    }
}
