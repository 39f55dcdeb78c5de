//! Named zones whose offsets are, at each instant, exactly what parts two times: summer and winter time need no two causes.
//!
//! The rules are those that this program brings. Of zones with the same rules one stands for all: which of them is meant is
//! not in the data.

use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// One zone for each set of rules that is common today, the commonest first.
const NAMES: [&str; 40] = [
    "Europe/Berlin",
    "America/New_York",
    "Europe/London",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Denver",
    "Europe/Athens",
    "Europe/Lisbon",
    "Europe/Dublin",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Pacific/Auckland",
    "America/Halifax",
    "America/St_Johns",
    "America/Anchorage",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Asuncion",
    "America/Mexico_City",
    "America/Havana",
    "America/Nuuk",
    "Atlantic/Azores",
    "Europe/Chisinau",
    "Europe/Moscow",
    "Europe/Istanbul",
    "Europe/Kyiv",
    "Asia/Jerusalem",
    "Asia/Beirut",
    "Asia/Tehran",
    "Asia/Amman",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Norfolk",
    "Pacific/Easter",
    "America/Miquelon",
    "Pacific/Honolulu",
    "America/Phoenix",
    "Antarctica/Troll",
];

fn zones() -> &'static [Option<TimeZone>] {
    static ZONES: OnceLock<Vec<Option<TimeZone>>> = OnceLock::new();
    ZONES.get_or_init(|| {
        let bundled = TimeZoneDatabase::bundled();
        NAMES.iter().map(|name| bundled.get(name).ok()).collect()
    })
}

/// The zones that explain every distance that was seen, as a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Zones(u64);

impl Default for Zones {
    fn default() -> Self {
        Self((1 << NAMES.len()) - 1)
    }
}

impl Zones {
    /// Keeps those whose offset at the instant is so many seconds.
    pub(super) fn note(&mut self, instant: i128, seconds: i64) {
        if self.0 == 0 {
            return;
        }
        let Ok(at) = Timestamp::from_nanosecond(instant) else {
            self.0 = 0;
            return;
        };
        for (index, zone) in zones().iter().enumerate() {
            if (self.0 >> index) & 1 == 0 {
                continue;
            }
            let holds = zone.as_ref().is_some_and(|zone| i64::from(zone.to_offset(at).seconds()) == seconds);
            self.0 &= !(u64::from(!holds) << index);
        }
    }

    /// Keeps those that explain what was seen elsewhere too.
    pub(super) fn take(&mut self, other: Self) {
        self.0 &= other.0;
    }

    /// The commonest of those that are left.
    pub(super) fn name(self) -> Option<&'static str> {
        (self.0 != 0).then(|| NAMES[self.0.trailing_zeros() as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanoseconds(text: &str) -> i128 {
        text.parse::<Timestamp>().expect("an instant").as_nanosecond()
    }

    #[test]
    fn every_zone_is_known() {
        assert!(zones().iter().all(Option::is_some));
    }

    #[test]
    fn summer_and_winter_leave_the_zone_that_has_both() {
        let mut zones = Zones::default();
        zones.note(nanoseconds("2026-01-15T12:00:00Z"), 3600);
        zones.note(nanoseconds("2026-07-15T12:00:00Z"), 7200);
        zones.note(nanoseconds("2026-03-29T00:59:59Z"), 3600);
        zones.note(nanoseconds("2026-03-29T01:00:00Z"), 7200);
        assert_eq!(zones.name(), Some("Europe/Berlin"));
        let mut other = Zones::default();
        other.note(nanoseconds("2026-01-15T12:00:00Z"), 7200);
        zones.take(other);
        assert_eq!(zones.name(), None);
    }

    #[test]
    fn an_hour_at_the_wrong_time_of_the_year_is_no_zone() {
        let mut zones = Zones::default();
        zones.note(nanoseconds("2026-01-15T12:00:00Z"), 7200);
        zones.note(nanoseconds("2026-07-15T12:00:00Z"), 3600);
        assert_ne!(zones.name(), Some("Europe/Berlin"));
    }
}
