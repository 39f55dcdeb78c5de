//! Makes a random case from a seed: a schema, two tables with edits between them, options, formats, the contract file.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use reconcile::sides::{Side, Sides};

use super::lag::Lag;
use super::random::Random;
use super::value::{Family, Near, Rules, SECOND, Value, at_scale, number, pool};
use super::write::{Column, Format, nanoseconds, plain, write};

/// What a test wants to see much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Types,
    TextOptions,
    Distances,
    Nested,
    Keyless,
    /// Like `Types`, with a second owner of the last attribute.
    Owners,
    Lag,
}

pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) family: Family,
    pub(crate) rules: Rules,
    projected_as: String,
    /// Lines of its table in the contract.
    options: Vec<String>,
    columns: Sides<(DataType, bool)>,
    pool: Vec<Value>,
    nullable: bool,
    /// The sides on which a text that cannot be parsed may stand.
    garbage: Sides<bool>,
}

pub(crate) type Row = Vec<Value>;

pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) attributes: Vec<Attribute>,
    /// How many of the attributes are the key.
    pub(crate) keys: usize,
    pub(crate) null_keys_match: bool,
    pub(crate) tables: Sides<Vec<Row>>,
    /// The rows of a second owner: key, and the value of the last attribute.
    pub(crate) owner: Option<Vec<Row>>,
    /// Columns that cannot be compared, each a `schema` divergence.
    pub(crate) schema: Vec<String>,
    extra: Sides<Vec<(String, DataType)>>,
    ignored: Vec<String>,
    formats: Sides<Format>,
    files: Sides<usize>,
    /// Markers and tombstones, where the theme has them.
    pub(crate) lag: Option<Lag>,
}

const NAMES: [&str; 14] = [
    "id",
    "name",
    "kind",
    "key",
    "a b",
    "dot.ted",
    "quo\"te",
    "Ünïcode",
    "select",
    "authority_value",
    "UPPER",
    "upper",
    "'single'",
    "comma,name",
];

impl Case {
    pub(crate) fn make(theme: Theme, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut formats = Sides::from_fn(|_| random.pick(&Format::ALL));
        if theme == Theme::Nested {
            formats = formats.map(|_, format| if format.is_csv() { Format::Parquet } else { format });
        }
        let keys = if theme == Theme::Keyless { 0 } else { random.pick(&[1, 1, 1, 2, 2, 3]) };
        let count = keys + 1 + random.below(4);
        let mut names = NAMES.to_vec();
        random.shuffle(&mut names);
        let attributes: Vec<Attribute> =
            (0..count).map(|place| attribute(names[place], theme, place < keys, formats, &mut random)).collect();
        let mut case = Self {
            seed,
            keys,
            null_keys_match: keys > 0 && random.percent(15),
            tables: Sides::default(),
            owner: None,
            schema: Vec::new(),
            extra: Sides::default(),
            ignored: Vec::new(),
            files: formats.map(|_, _| if random.percent(15) { 2 } else { 1 }),
            formats,
            attributes,
            lag: None,
        };
        case.tables = tables(&case, &mut random);
        if theme == Theme::Owners {
            case.owner = Some(owner(&case, &mut random));
        }
        case.add_extra_columns(&mut random);
        case.declare_what_json_cannot_tell();
        if theme == Theme::Lag {
            let place = case.attributes.len();
            case.lag = Some(Lag::make(&mut case.tables, place, &mut random));
        }
        case
    }

    /// Whether the values of an attribute are held exactly on both sides, so that their sum is known from how they were made.
    pub(crate) fn is_summed(&self, place: usize) -> bool {
        let attribute = &self.attributes[place];
        let float = |column: &(DataType, bool)| matches!(column.0, DataType::Float32 | DataType::Float64);
        attribute.family == Family::Integer
            || (attribute.family == Family::Decimal && !attribute.columns.iter().any(|(_, column)| float(column)))
    }

    fn add_extra_columns(&mut self, random: &mut Random) {
        if random.percent(12) {
            let side = random.pick(&Side::BOTH);
            self.extra.get_mut(side).push(("extra".to_owned(), DataType::Utf8));
            if random.percent(40) {
                self.ignored.push(format!("{side}:ex*"));
            } else {
                self.schema.push("extra".to_owned());
            }
        }
        if random.percent(8) && self.formats.iter().all(|(_, format)| format.is_columnar()) {
            let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
            self.extra.authority.push(("uncomparable".to_owned(), list));
            self.extra.projection.push(("uncomparable".to_owned(), DataType::Int64));
            self.schema.push("uncomparable".to_owned());
        }
    }

    /// A JSON column without any value has no type, so that the other side's text would be compared as text.
    fn declare_what_json_cannot_tell(&mut self) {
        let count = self.attributes.len();
        for (place, attribute) in self.attributes.iter_mut().enumerate() {
            let untold = self.formats.iter().any(|(side, format)| {
                format.is_json() && self.tables.get(side).iter().all(|row| row[place] == Value::Null)
            });
            let owner = self.owner.iter().flatten().filter_map(|row| owned(row, self.keys, place, count));
            let untold = untold
                || (self.formats.authority.is_json() && owner.clone().count() > 0)
                    && owner.clone().all(|value| *value == Value::Null);
            let declared = attribute.options.iter().any(|line| line.starts_with("type"));
            if untold
                && !declared
                && let Some(name) = type_name(attribute.family)
            {
                attribute.options.push(format!("type = \"{name}\""));
            }
        }
    }

    /// Writes both tables and the contract below `folder`. `order` decides the order of rows and columns
    /// and the cut into batches.
    pub(crate) fn write(&self, folder: &Path, order: u64) {
        let mut random = Random::new(order);
        for (side, format) in self.formats.iter() {
            random.style = self.seed ^ side as u64;
            let mut rows = self.tables.get(side).clone();
            random.shuffle(&mut rows);
            let share = rows.len().div_ceil(*self.files.get(side)).max(1);
            let mut parts: Vec<&[Row]> = rows.chunks(share).collect();
            if parts.is_empty() {
                parts.push(&[]);
            }
            for (number, part) in parts.iter().enumerate() {
                let mut columns = self.columns(side, part);
                if random.percent(50) {
                    random.shuffle(&mut columns);
                }
                let path = folder.join(format!("{side}-{number}.{}", format.extension()));
                write(&path, *format, &columns, &mut random);
            }
        }
        if let Some(rows) = &self.owner {
            random.style = self.seed ^ 7;
            let mut rows = rows.clone();
            random.shuffle(&mut rows);
            let format = self.formats.authority;
            let columns = self.owner_columns(&rows);
            write(&folder.join(format!("owner.{}", format.extension())), format, &columns, &mut random);
        }
        std::fs::write(folder.join("reconcile.toml"), self.contract()).unwrap();
    }

    /// The owner has the key's columns and its attribute, as the authority would have them.
    fn owner_columns(&self, rows: &[Row]) -> Vec<Column> {
        let last = self.attributes.len() - 1;
        let column = |(place, attribute): (usize, &Attribute)| {
            let values = rows.iter().filter_map(|row| owned(row, self.keys, place, last + 1).cloned()).collect();
            let (data_type, as_text) = attribute.columns.authority.clone();
            let uuid = attribute.family == Family::Uuid && data_type == DataType::FixedSizeBinary(16);
            Column { name: attribute.name.clone(), family: attribute.family, uuid, data_type, as_text, values }
        };
        let all = self.attributes.iter().enumerate();
        all.filter(|(place, _)| *place < self.keys || *place == last).map(column).collect()
    }

    fn columns(&self, side: Side, rows: &[Row]) -> Vec<Column> {
        let count = self.attributes.len() - usize::from(self.owner.is_some() && side == Side::Authority);
        let own = self.attributes.iter().take(count).enumerate().map(|(place, attribute)| {
            let (data_type, as_text) = attribute.columns.get(side).clone();
            Column {
                name: if side == Side::Authority { attribute.name.clone() } else { attribute.projected_as.clone() },
                family: attribute.family,
                uuid: attribute.family == Family::Uuid && data_type == DataType::FixedSizeBinary(16),
                data_type,
                as_text,
                values: rows.iter().map(|row| row[place].clone()).collect(),
            }
        });
        let extra = self.extra.get(side).iter().map(|(name, data_type)| {
            let (family, value) = match data_type {
                DataType::List(_) => (Family::IntegerList, Value::List(vec![number(1, 0)])),
                DataType::Int64 => (Family::Integer, number(1, 0)),
                _ => (Family::Text, Value::Text("x".to_owned())),
            };
            let values = vec![value; rows.len()];
            Column { name: name.clone(), family, uuid: false, data_type: data_type.clone(), as_text: false, values }
        });
        own.chain(extra).chain(self.lag.iter().flat_map(|lag| lag.columns(side, rows))).collect()
    }

    /// The contract file.
    pub(crate) fn contract(&self) -> String {
        let mut text = "version = 1\n".to_owned();
        for (side, format) in self.formats.iter() {
            write!(text, "[source.{side}]\nlocation = \"{side}-*.{}\"\n", format.extension()).unwrap();
            if *format == Format::ArrowStream {
                text.push_str("format = \"arrow\"\n");
            }
            text.extend(self.lag.iter().map(|lag| lag.source_lines(side)));
        }
        if self.owner.is_some() {
            let format = self.formats.authority;
            let told = if format == Format::ArrowStream { "format = \"arrow\"\n" } else { "" };
            write!(text, "[source.owner]\nlocation = \"owner.{}\"\n{told}", format.extension()).unwrap();
        }
        let quoted = |name: &str| serde_json::Value::from(name).to_string();
        let key: Vec<String> = self.attributes[..self.keys].iter().map(|attribute| quoted(&attribute.name)).collect();
        write!(
            text,
            "[contract.case]\nversion = \"1.0.0\"\nauthority = \"authority\"\nprojection = \"projection\"\nkey = [{}]\n",
            key.join(", ")
        )
        .unwrap();
        text.extend(self.lag.iter().map(Lag::contract_line));
        if self.null_keys_match {
            text.push_str("null_keys = \"match\"\n");
        }
        if !self.ignored.is_empty() {
            writeln!(text, "ignore = {:?}", self.ignored).unwrap();
        }
        for attribute in &self.attributes {
            let mut lines = attribute.options.clone();
            if self.owner.is_some() && attribute.name == self.attributes[self.attributes.len() - 1].name {
                lines.push("owner = \"owner\"".to_owned());
            }
            if attribute.projected_as != attribute.name {
                lines.push(format!("projected_as = {}", quoted(&attribute.projected_as)));
            }
            if !lines.is_empty() {
                write!(text, "[contract.case.attribute.{}]\n{}\n", quoted(&attribute.name), lines.join("\n")).unwrap();
            }
        }
        text.push_str(&super::controls::contract(self));
        text
    }
}

fn families(theme: Theme, is_key: bool, formats: Sides<Format>) -> Vec<Family> {
    let mut families = match theme {
        Theme::TextOptions => vec![Family::Text, Family::Text, Family::Text, Family::Integer],
        Theme::Distances => vec![
            Family::Integer,
            Family::Decimal,
            Family::Decimal,
            Family::Float,
            Family::Local,
            Family::Instant,
            Family::Text,
        ],
        Theme::Nested if !is_key => vec![Family::IntegerList, Family::TextList, Family::Struct, Family::Json],
        _ => Family::SCALARS.to_vec(),
    };
    if matches!(theme, Theme::Types | Theme::Owners) && !is_key {
        families.push(Family::Json);
    }
    families.retain(|family| {
        let columnar = formats.iter().all(|(_, format)| format.is_columnar());
        let named = !(is_key && *family == Family::Duration);
        named && (columnar || !family.is_columnar_only())
    });
    families
}

fn attribute(name: &str, theme: Theme, is_key: bool, formats: Sides<Format>, random: &mut Random) -> Attribute {
    let family = random.pick(&families(theme, is_key, formats));
    let resolution = random.pick(&[SECOND, 1_000_000, 1_000, 1]);
    let size = if is_key { 3 + random.below(40) } else { 2 + random.below(10) };
    let mut pool = pool(family, size, resolution, random);
    let any_json = formats.iter().any(|(_, format)| format.is_json());
    if family == Family::Float && any_json {
        pool.retain(|value| !matches!(value, Value::Special(_)));
        pool.push(number(75, 2));
    }
    let columns = columns(family, &pool, resolution, formats, is_key, random);
    let texts = columns.as_ref().map(|side, column| is_text(family, *formats.get(side), column));
    let both_text = texts.authority && texts.projection;
    let mut attribute = Attribute {
        name: name.to_owned(),
        projected_as: if random.percent(20) { format!("projected {name}") } else { name.to_owned() },
        family,
        rules: Rules::default(),
        options: Vec::new(),
        pool,
        nullable: !(family == Family::Json && any_json),
        garbage: texts.map(|_, text| text && !is_key && theme != Theme::Keyless && !no_garbage(family)),
        columns,
    };
    set_options(&mut attribute, theme, is_key, random);
    let held_as_number = attribute
        .columns
        .iter()
        .any(|(side, column)| family == Family::Bool && formats.get(side).is_columnar() && column.0.is_numeric());
    let implied = attribute.rules.tolerance.is_some() && family.is_number() && family != Family::Float;
    let needed = (both_text && !(implied && random.percent(50))) || held_as_number || family == Family::Json;
    if needed && let Some(type_name) = type_name(family) {
        attribute.options.push(format!("type = \"{type_name}\""));
    }
    attribute
}

fn no_garbage(family: Family) -> bool {
    matches!(family, Family::Text | Family::Json)
}

/// The type that a contract declares for it.
fn type_name(family: Family) -> Option<&'static str> {
    Some(match family {
        Family::Integer | Family::Decimal => "decimal",
        Family::Float => "float64",
        Family::Bool => "boolean",
        Family::Date => "date",
        Family::Local => "timestamp",
        Family::Instant => "timestamptz",
        Family::Time => "time",
        Family::Uuid => "uuid",
        Family::Json => "json",
        _ => return None,
    })
}

/// Whether the side's format says no more of the column than that it is text.
fn is_text(family: Family, format: Format, column: &(DataType, bool)) -> bool {
    match format {
        format if format.is_columnar() => column.0 == DataType::Utf8,
        format if format.is_json() => {
            column.1 || !(family.is_number() || family.is_nested() || matches!(family, Family::Bool | Family::Json))
        }
        _ => true,
    }
}

fn columns(
    family: Family,
    pool: &[Value],
    resolution: i128,
    formats: Sides<Format>,
    is_key: bool,
    random: &mut Random,
) -> Sides<(DataType, bool)> {
    let both_columnar = formats.iter().all(|(_, format)| format.is_columnar());
    let mut single = false;
    let mut columns = Sides::from_fn(|side| {
        let mut choices = data_types(family, pool, resolution, random);
        if !both_columnar && family == Family::Date {
            choices.retain(|choice| !matches!(choice, DataType::Timestamp(..)));
        }
        if formats.get(side).is_columnar() && random.percent(12) && !family.is_nested() && !family.is_columnar_only() {
            choices = vec![DataType::Utf8];
        }
        (random.pick(&choices), random.percent(15))
    });
    // A single's decimal is only near the number meant; the key of a report would show what the single holds.
    if is_key && family == Family::Decimal {
        columns = columns.map(|_, (data_type, as_text)| match data_type {
            DataType::Float32 => (DataType::Float64, as_text),
            other => (other, as_text),
        });
    }
    // Double and single stand for the same number only where both are widened exactly, or one of them is a decimal.
    let is =
        |columns: &Sides<(DataType, bool)>, wanted: &DataType| columns.iter().any(|(_, column)| column.0 == *wanted);
    if family == Family::Decimal && is(&columns, &DataType::Float64) && is(&columns, &DataType::Float32) {
        single = true;
    }
    // A text is read as the other side's type: as a timestamp it would have to be spelled in full.
    let date_as_text = family == Family::Date && is(&columns, &DataType::Utf8);
    for (side, format) in formats.iter() {
        let column = columns.get_mut(side);
        if single && column.0 == DataType::Float32 {
            column.0 = DataType::Float64;
        }
        if date_as_text && matches!(column.0, DataType::Timestamp(..)) {
            column.0 = DataType::Date32;
        }
        if !format.is_json() || !(family.is_number() || family == Family::Bool) {
            column.1 = false;
        }
    }
    columns
}

fn data_types(family: Family, pool: &[Value], resolution: i128, random: &mut Random) -> Vec<DataType> {
    let units = [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let units: Vec<TimeUnit> = units.into_iter().filter(|unit| nanoseconds(*unit) <= resolution).collect();
    let list = |inner: DataType| DataType::List(Arc::new(Field::new("item", inner, true)));
    let large_list = |inner: DataType| DataType::LargeList(Arc::new(Field::new("item", inner, true)));
    match family {
        Family::Integer | Family::Decimal => number_types(pool),
        Family::Float => vec![DataType::Float64, DataType::Float32],
        Family::Bool => vec![DataType::Boolean, DataType::Boolean, DataType::Int8, DataType::UInt32],
        Family::Text | Family::Json => vec![
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ],
        Family::Binary => {
            vec![DataType::Binary, DataType::LargeBinary, DataType::BinaryView, DataType::FixedSizeBinary(4)]
        }
        Family::Date => vec![DataType::Date32, DataType::Date64, DataType::Timestamp(TimeUnit::Microsecond, None)],
        Family::Local => units.into_iter().map(|unit| DataType::Timestamp(unit, None)).collect(),
        Family::Instant => units
            .into_iter()
            .map(|unit| {
                let zone = random.pick(&["UTC", "+00:00", "+02:00", "Europe/Rome"]);
                DataType::Timestamp(unit, Some(zone.into()))
            })
            .collect(),
        Family::Time => units
            .into_iter()
            .map(|unit| match unit {
                TimeUnit::Second | TimeUnit::Millisecond => DataType::Time32(unit),
                _ => DataType::Time64(unit),
            })
            .collect(),
        Family::Duration => units.into_iter().map(DataType::Duration).collect(),
        Family::Uuid => vec![DataType::FixedSizeBinary(16)],
        Family::IntegerList => vec![
            list(DataType::Int64),
            list(DataType::Int16),
            large_list(DataType::Int32),
            list(DataType::Decimal128(38, 2)),
            list(DataType::Float64),
        ],
        Family::TextList => vec![list(DataType::Utf8), large_list(DataType::Utf8View)],
        Family::Struct => {
            let mut members = vec![
                Field::new("m", random.pick(&[DataType::Int64, DataType::Int32]), true),
                Field::new("n o", random.pick(&[DataType::Utf8, DataType::LargeUtf8]), true),
                Field::new("p", random.pick(&[DataType::Decimal128(10, 2), DataType::Float64]), true),
            ];
            random.shuffle(&mut members);
            vec![DataType::Struct(Fields::from(members))]
        }
    }
}

/// Every column type that holds all of these numbers exactly.
fn number_types(pool: &[Value]) -> Vec<DataType> {
    let within = |low: i128, high: i128, scale: u32| {
        pool.iter().all(|value| at_scale(value, scale).is_some_and(|units| (low..=high).contains(&units)))
    };
    let mut types = vec![DataType::Decimal256(60, 6), DataType::Decimal128(38, 5)];
    let exact = [
        (DataType::Int8, i128::from(i8::MIN), i128::from(i8::MAX), 0),
        (DataType::Int16, i128::from(i16::MIN), i128::from(i16::MAX), 0),
        (DataType::Int32, i128::from(i32::MIN), i128::from(i32::MAX), 0),
        (DataType::Int64, i128::from(i64::MIN), i128::from(i64::MAX), 0),
        (DataType::UInt8, 0, i128::from(u8::MAX), 0),
        (DataType::UInt16, 0, i128::from(u16::MAX), 0),
        (DataType::UInt32, 0, i128::from(u32::MAX), 0),
        (DataType::UInt64, 0, i128::from(u64::MAX), 0),
        (DataType::Decimal32(9, 2), -999_999_999, 999_999_999, 2),
        (DataType::Decimal64(18, 4), -(10_i128.pow(18) - 1), 10_i128.pow(18) - 1, 4),
        (DataType::Decimal128(38, 0), -(10_i128.pow(37)), 10_i128.pow(37), 0),
        (DataType::Float64, -(1 << 53), 1 << 53, 0),
        (DataType::Float64, -(10_i128.pow(15)), 10_i128.pow(15), 4),
        (DataType::Float32, -(1 << 24), 1 << 24, 0),
        (DataType::Float32, -999_999, 999_999, 4),
    ];
    types.extend(exact.into_iter().filter(|(_, low, high, scale)| within(*low, *high, *scale)).map(|found| found.0));
    types
}

fn set_options(attribute: &mut Attribute, theme: Theme, is_key: bool, random: &mut Random) {
    let often = if theme == Theme::TextOptions { 30 } else { 4 };
    if attribute.family == Family::Text {
        let rules = &mut attribute.rules;
        let mut say = |line: &str| attribute.options.push(line.to_owned());
        if random.percent(often) {
            rules.nfc = true;
            say("unicode = \"nfc\"");
        }
        if random.percent(often) {
            rules.collapse = true;
            say("spaces = \"collapse\"");
        }
        if random.percent(often) {
            rules.trim = true;
            say("trim = \"both\"");
        }
        if random.percent(often) {
            rules.ignore_case = true;
            say("case = \"ignore\"");
        }
        if random.percent(often) {
            rules.null_equals = vec!["", "N/A"];
            say("null_equals = [\"\", \"N/A\"]");
        }
        return;
    }
    if is_key || theme != Theme::Distances {
        return;
    }
    let exact = matches!(attribute.family, Family::Integer | Family::Decimal);
    if exact && random.percent(25) {
        let places = random.pick(&[0, 1, 2]);
        attribute.rules.round = Some(places);
        attribute.options.push(format!("round = {places}"));
    }
    if !random.percent(60) {
        return;
    }
    let near = match attribute.family {
        Family::Local | Family::Instant => Near::Nanoseconds(random.pick(&[1, 1_000, 500_000_000, 3_600 * SECOND])),
        _ if random.percent(25) => Near::Percent(random.pick(&[1, 10])),
        _ => Near::Absolute(random.pick(&[0, 1, 2_500, 10_000, 250_000])),
    };
    attribute.rules.tolerance = Some(near);
    let shown = match near {
        Near::Absolute(units) => plain(&number(units, 4)),
        Near::Percent(percent) => format!("{percent}%"),
        Near::Nanoseconds(count) => format!("{count}ns"),
    };
    attribute.options.push(format!("tolerance = \"{shown}\""));
}

fn tables(case: &Case, random: &mut Random) -> Sides<Vec<Row>> {
    let count = random.pick(&[0, 1, 2, 5, 10, 20, 40]);
    let unique = random.percent(70);
    let mut seen = BTreeSet::new();
    let mut authority: Vec<Row> = (0..count).map(|_| row(case, random)).collect();
    if unique {
        authority.retain(|row| seen.insert(super::key(case, row)));
    }
    let mut projection = Vec::new();
    let edits = !random.percent(15);
    for row in &authority {
        if edits && random.percent(8) {
            continue;
        }
        let mut row = row.clone();
        if edits && random.percent(20) {
            change(case, &mut row, random);
        }
        if edits && random.percent(4) {
            projection.push(row.clone());
        }
        projection.push(row);
    }
    for _ in 0..random.below(3) {
        if edits {
            projection.push(self::row(case, random));
        }
    }
    let mut tables = Sides { authority, projection };
    for (side, rows) in [(Side::Authority, &mut tables.authority), (Side::Projection, &mut tables.projection)] {
        // A JSON file without rows has no columns at all.
        if rows.is_empty() && case.formats.get(side).is_json() {
            rows.push(row(case, random));
        }
        for (place, attribute) in case.attributes.iter().enumerate() {
            for row in rows.iter_mut().filter(|_| *attribute.garbage.get(side)) {
                if random.percent(2) {
                    row[place] = Value::Garbage;
                }
            }
        }
    }
    tables
}

/// The rows of a second owner: most keys of the authority once, some not, some twice, and some that only it knows.
fn owner(case: &Case, random: &mut Random) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let last = case.attributes.len() - 1;
    let mut seen = BTreeSet::new();
    for row in &case.tables.authority {
        if !seen.insert(super::key(case, row)) {
            continue;
        }
        let times = random.pick(&[1, 1, 1, 1, 1, 1, 1, 1, 0, 2]);
        let mut own: Row = row[..case.keys].to_vec();
        own.push(row[last].clone());
        rows.extend(std::iter::repeat_n(own, times));
    }
    for _ in 0..random.below(4).max(1) {
        let mut own = row(case, random);
        own.drain(case.keys..last);
        rows.push(own);
    }
    rows
}

/// The value of an attribute in a row of the owner.
fn owned(row: &Row, keys: usize, place: usize, count: usize) -> Option<&Value> {
    if place < keys {
        return row.get(place);
    }
    if place + 1 == count { row.get(keys) } else { None }
}

fn row(case: &Case, random: &mut Random) -> Row {
    let cell = |(place, attribute): (usize, &Attribute)| {
        let nulls = if place < case.keys { 4 } else { 12 };
        if attribute.nullable && random.percent(nulls) { Value::Null } else { random.pick(&attribute.pool) }
    };
    case.attributes.iter().enumerate().map(cell).collect()
}

fn change(case: &Case, row: &mut Row, random: &mut Random) {
    let first = if random.percent(80) { case.keys } else { 0 };
    let place = first + random.below(case.attributes.len() - first);
    let attribute = &case.attributes[place];
    row[place] = if attribute.nullable && random.percent(15) { Value::Null } else { random.pick(&attribute.pool) };
}
