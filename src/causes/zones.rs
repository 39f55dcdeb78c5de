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

/// Those that are UTC itself for a part of the year, by their places in `NAMES`. Times in them agree with UTC in that part.
const PARTLY: [usize; 6] = [2, 7, 8, 21, 31, 39];

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

    /// Those that are left and that are UTC itself for a part of the year, by their places in `Apart`.
    pub(super) fn partly(self) -> impl Iterator<Item = usize> {
        (0..PARTLY.len()).filter(move |place| (self.0 >> PARTLY[*place]) & 1 == 1)
    }

    /// The commonest of those that are left.
    pub(super) fn name(self) -> Option<&'static str> {
        (self.0 != 0).then(|| NAMES[self.0.trailing_zeros() as usize])
    }
}

/// 1900-01-01 and 2200-01-01, in seconds since 1970.
const FROM: i64 = -2_208_988_800;
const UNTIL: i64 = 7_258_118_400;

/// For each of `PARTLY` from when on it is UTC, or is not: many times are asked for, so the rules are walked once.
fn spans() -> &'static [Vec<(i64, bool)>] {
    static SPANS: OnceLock<Vec<Vec<(i64, bool)>>> = OnceLock::new();
    SPANS.get_or_init(|| {
        let of = |index: &usize| {
            let (Some(zone), Ok(from)) = (&zones()[*index], Timestamp::from_second(FROM)) else { return Vec::new() };
            let first = (FROM, zone.to_offset(from).is_zero());
            let later = zone.following(from).map(|change| (change.timestamp().as_second(), change.offset().is_zero()));
            let mut spans: Vec<(i64, bool)> =
                std::iter::once(first).chain(later.take_while(|(start, _)| *start < UNTIL)).collect();
            spans.dedup_by_key(|(_, is_utc)| *is_utc);
            spans
        };
        PARTLY.iter().map(of).collect()
    })
}

/// Times counted by whether a zone is UTC at them, for each zone that is so for a part of the year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Apart([Part; PARTLY.len()]);

/// Times of one such zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    /// At which the zone is UTC.
    pub(super) at_utc: u64,
    /// At which it is apart from it.
    pub(super) apart: u64,
}

impl Apart {
    /// Counts a time; one before 1900 or after 2200 is not counted, wherever it stands.
    pub(super) fn note(&mut self, instant: i128) {
        let Ok(second) = i64::try_from(instant.div_euclid(1_000_000_000)) else { return };
        if second >= UNTIL {
            return;
        }
        for (part, spans) in self.0.iter_mut().zip(spans()) {
            let Some(before) = spans.partition_point(|(start, _)| *start <= second).checked_sub(1) else { continue };
            *if spans[before].1 { &mut part.at_utc } else { &mut part.apart } += 1;
        }
    }

    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        for (here, there) in self.0.iter_mut().zip(&other.0) {
            here.at_utc += there.at_utc;
            here.apart += there.apart;
        }
    }

    /// What was counted of the zone at this place.
    pub(super) fn of(&self, place: usize) -> Part {
        self.0[place]
    }

    /// The zone at this place.
    pub(super) fn name(place: usize) -> &'static str {
        NAMES[PARTLY[place]]
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
    fn the_zones_that_are_utc_in_winter_or_in_summer_are_those() {
        let (winter, summer) = (nanoseconds("2026-01-15T12:00:00Z"), nanoseconds("2026-07-15T12:00:00Z"));
        for (index, name) in NAMES.iter().enumerate() {
            let offset = |at: i128| {
                let at = Timestamp::from_nanosecond(at).expect("an instant");
                zones()[index].as_ref().expect("known").to_offset(at).seconds()
            };
            let some_time = (0..365).map(|day| winter + i128::from(day) * 86_400_000_000_000).map(offset);
            let partly = some_time.clone().any(|seconds| seconds == 0) && some_time.clone().any(|seconds| seconds != 0);
            assert_eq!(PARTLY.contains(&index), partly, "{name}");
        }
        let mut apart = Apart::default();
        apart.note(winter);
        apart.note(summer);
        apart.note(summer);
        assert_eq!((Apart::name(0), apart.of(0)), ("Europe/London", Part { at_utc: 1, apart: 2 }));
        assert_eq!((Apart::name(3), apart.of(3)), ("Atlantic/Azores", Part { at_utc: 2, apart: 1 }));
        let mut left = Zones::default();
        left.note(summer, 3600);
        assert_eq!(left.partly().map(Apart::name).next(), Some("Europe/London"));
        left.note(winter, 3600);
        // Morocco leaves an hour for Ramadan only.
        assert_eq!(left.partly().map(Apart::name).collect::<Vec<_>>(), ["Africa/Casablanca"]);
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
