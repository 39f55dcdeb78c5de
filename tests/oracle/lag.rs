//! Random markers, tombstones and windows, and what kind a pair or a row that stands alone is by them, in plain words.

use std::fmt::Write;

use arrow::datatypes::{DataType, TimeUnit};
use reconcile::sides::{Side, Sides};

use super::case::Row;
use super::random::Random;
use super::value::{Family, SECOND, Value, number};
use super::write::Column;

/// Minutes from the epoch, at which the run begins, to the first change.
const FIRST: i128 = -600;

/// What the two sources say of their rows besides attributes. The values stand at the end of each row.
pub(crate) struct Lag {
    version: Sides<bool>,
    updated: Sides<bool>,
    deleted: Sides<bool>,
    version_type: Sides<DataType>,
    updated_type: Sides<DataType>,
    /// In minutes.
    window: Option<i128>,
    /// Of the projection, in minutes.
    captured: Option<i128>,
    /// Where the first marker stands in a row.
    place: usize,
}

impl Lag {
    /// Draws the options, and adds three values to each row: version, change, tombstone.
    pub(crate) fn make(tables: &mut Sides<Vec<Row>>, place: usize, random: &mut Random) -> Self {
        let mut given = |percent: usize| Sides::from_fn(|_| random.percent(percent));
        let (version, updated, deleted) = (given(85), given(85), given(60));
        let number_types = [DataType::Int64, DataType::Int32, DataType::Utf8, DataType::Float64, DataType::UInt8];
        let time_types = [DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), DataType::Utf8];
        let lag = Self {
            version,
            updated,
            deleted,
            version_type: Sides::from_fn(|_| random.pick(&number_types)),
            updated_type: Sides::from_fn(|_| random.pick(&time_types)),
            window: random.pick(&[None, Some(15), Some(120), Some(1)]),
            captured: random.pick(&[None, Some(FIRST + 300), Some(FIRST + 300), Some(FIRST - 1), Some(100)]),
            place,
        };
        for (side, rows) in [(Side::Authority, &mut tables.authority), (Side::Projection, &mut tables.projection)] {
            let reach = if side == Side::Authority { 680 } else { 320 };
            for row in rows {
                assert_eq!(row.len(), place);
                let version = number(random.pick(&[8, 9, 10, 11]), 0);
                let minute = FIRST + i128::try_from(random.below(reach)).unwrap();
                let maybe = |value: Value, random: &mut Random| if random.percent(12) { Value::Null } else { value };
                row.push(maybe(version, random));
                row.push(maybe(Value::Moment(minute * 60 * SECOND), random));
                let deleted = random.percent(25);
                row.push(maybe(Value::Bool(deleted), random));
            }
        }
        lag
    }

    /// The columns of one side that hold them, of these rows.
    pub(crate) fn columns(&self, side: Side, rows: &[Row]) -> Vec<Column> {
        let column = |name: &str, family: Family, data_type: &DataType, place: usize| Column {
            name: format!("{side} {name}"),
            family,
            uuid: false,
            as_text: false,
            data_type: data_type.clone(),
            values: rows.iter().map(|row| row[place].clone()).collect(),
        };
        let mut columns = Vec::new();
        if *self.version.get(side) {
            columns.push(column("version", Family::Integer, self.version_type.get(side), self.place));
        }
        if *self.updated.get(side) {
            columns.push(column("updated", Family::Instant, self.updated_type.get(side), self.place + 1));
        }
        if *self.deleted.get(side) {
            columns.push(column("deleted", Family::Bool, &DataType::Boolean, self.place + 2));
        }
        columns
    }

    /// The lines of one source.
    pub(crate) fn source_lines(&self, side: Side) -> String {
        let mut text = String::new();
        let options = [
            ("version_column", "version", &self.version),
            ("updated_at", "updated", &self.updated),
            ("deleted", "deleted", &self.deleted),
        ];
        for (option, name, given) in options {
            if *given.get(side) {
                writeln!(text, "{option} = \"{side} {name}\"").unwrap();
            }
        }
        if let Some(captured) = self.captured.filter(|_| side == Side::Projection) {
            let seconds = i64::try_from(captured * 60).unwrap();
            writeln!(text, "captured_at = \"{}\"", jiff::Timestamp::from_second(seconds).unwrap()).unwrap();
        }
        text
    }

    /// The line of the contract.
    pub(crate) fn contract_line(&self) -> String {
        self.window.map_or_else(String::new, |window| format!("window = \"{window}m\"\n"))
    }

    pub(crate) fn is_deleted(&self, side: Side, row: &Row) -> bool {
        *self.deleted.get(side) && row[self.place + 2] == Value::Bool(true)
    }

    fn version<'r>(&self, side: Side, row: &'r Row) -> Option<&'r Value> {
        Some(&row[self.place]).filter(|value| *self.version.get(side) && **value != Value::Null)
    }

    fn updated(&self, side: Side, row: &Row) -> Option<i128> {
        match row[self.place + 1] {
            Value::Moment(at) if *self.updated.get(side) => Some(at),
            _ => None,
        }
    }

    /// Younger than the window, counted back from the projection's snapshot, and not dated after the run began.
    fn young(&self, row: &Row) -> bool {
        let (Some(window), Some(captured), Some(at)) = (self.window, self.captured, self.updated(Side::Authority, row))
        else {
            return false;
        };
        at > (captured - window) * 60 * SECOND && at <= 0
    }

    /// A row of the authority whose key is not in the projection, which has these rows.
    pub(crate) fn missing(&self, row: &Row, projection: &[Row]) -> &'static str {
        let latest = projection.iter().filter_map(|row| self.updated(Side::Projection, row)).max();
        let highest = projection.iter().filter_map(|row| self.version(Side::Projection, row)).max();
        let by_time = self.updated(Side::Authority, row).zip(latest).map(|(at, latest)| at > latest);
        let by_version = self.version(Side::Authority, row).zip(highest).map(|(version, highest)| version > highest);
        if self.young(row) {
            "in_flight"
        } else if by_time.or(by_version) == Some(true) {
            "stale"
        } else {
            "missing"
        }
    }

    /// Two rows of one key of which something differs.
    pub(crate) fn pair(&self, authority: &Row, projection: &Row) -> &'static str {
        let deleted = |side, row| self.is_deleted(side, row);
        if deleted(Side::Authority, authority) {
            return "resurrected";
        }
        let versions = self.version(Side::Authority, authority).zip(self.version(Side::Projection, projection));
        let times = self.updated(Side::Authority, authority).zip(self.updated(Side::Projection, projection));
        if versions.is_some_and(|(authority, projection)| projection > authority) {
            "ahead"
        } else if self.young(authority) {
            "in_flight"
        } else if versions.is_some_and(|(authority, projection)| projection < authority)
            || times.is_some_and(|(authority, projection)| projection < authority)
        {
            "stale"
        } else if deleted(Side::Projection, projection) {
            "missing"
        } else {
            "mismatch"
        }
    }
}
