//! Logical values: what a cell *is*, apart from how either side writes it. Two cells are equal where these are equal,
//! so the oracle knows equality from how the case was made and needs nothing of the engine.

use std::collections::BTreeMap;

use super::random::Random;

/// What a cell is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// `units / 10^scale`, without trailing zeros.
    Number {
        units: i128,
        scale: u32,
    },
    /// `NaN`, `inf`, `-inf`.
    Special(&'static str),
    Text(String),
    Bytes(Vec<u8>),
    /// Nanoseconds since 1970, since midnight, or long.
    Moment(i128),
    List(Vec<Value>),
    Struct(BTreeMap<&'static str, Value>),
    /// Index into `JSON`: all its spellings are one value.
    Json(usize),
    /// A text that cannot be parsed: equal to nothing, itself included.
    Garbage,
}

/// JSON values by their spellings.
pub(crate) const JSON: [&[&str]; 8] = [
    &[r#"{"a":1,"b":2}"#, r#"{ "b": 2.0, "a": 1e0 }"#],
    &[r#"{"a":1}"#, r#"{"a":10e-1}"#],
    &[r#"{"a":1,"b":null}"#, r#"{"b":null,"a":1.0}"#],
    &["[1,2]", "[ 1.0, 2 ]"],
    &["[2,1]"],
    &["{}", "{ }"],
    &["9007199254740993"],
    &["9007199254740992", "9007199254740992.0"],
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Integer,
    Decimal,
    Float,
    Bool,
    Text,
    Binary,
    Date,
    Local,
    Instant,
    Time,
    Duration,
    Uuid,
    IntegerList,
    TextList,
    Struct,
    Json,
}

impl Family {
    pub(crate) const SCALARS: [Self; 12] = [
        Self::Integer,
        Self::Decimal,
        Self::Float,
        Self::Bool,
        Self::Text,
        Self::Binary,
        Self::Date,
        Self::Local,
        Self::Instant,
        Self::Time,
        Self::Duration,
        Self::Uuid,
    ];

    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Float)
    }

    /// Needs a column type: text formats have no notation of it.
    pub(crate) fn is_columnar_only(self) -> bool {
        matches!(self, Self::Binary | Self::Duration)
    }

    pub(crate) fn is_nested(self) -> bool {
        matches!(self, Self::IntegerList | Self::TextList | Self::Struct)
    }
}

pub(crate) fn number(mut units: i128, mut scale: u32) -> Value {
    while scale > 0 && units % 10 == 0 {
        units /= 10;
        scale -= 1;
    }
    Value::Number { units, scale }
}

/// A number at a fixed number of places.
pub(crate) fn at_scale(value: &Value, places: u32) -> Option<i128> {
    let Value::Number { units, scale } = value else { return None };
    (*scale <= places).then(|| units.checked_mul(10_i128.checked_pow(places - scale)?)).flatten()
}

pub(crate) const SECOND: i128 = 1_000_000_000;
pub(crate) const DAY: i128 = 86_400 * SECOND;

const TEXTS: [&str; 32] = [
    "",
    " ",
    "a",
    "A",
    " a",
    "a ",
    "  a",
    "a  b",
    "a b",
    "a\tb",
    "A B",
    "\u{a0}a",
    "ß",
    "SS",
    "ss",
    "é",
    "e\u{301}",
    "É",
    "N/A",
    "n/a",
    "null",
    "NULL",
    "0",
    "x\ny",
    "quote\"d",
    "comma,d",
    "日本",
    "'",
    "true",
    "-",
    "a\u{3000}b",
    "NaN",
];

/// Distinct values of a family. `resolution` is the finest step of times, in nanoseconds.
pub(crate) fn pool(family: Family, size: usize, resolution: i128, random: &mut Random) -> Vec<Value> {
    let wide = random.below(3);
    let mut values: Vec<Value> = (0..size).map(|_| one(family, wide, resolution, random)).collect();
    values.sort();
    values.dedup();
    values
}

fn one(family: Family, wide: usize, resolution: i128, random: &mut Random) -> Value {
    let small = i128::try_from(random.below(60)).unwrap();
    let moments = [0, -DAY * 400, DAY * 19_723, DAY * 19_782 + 7_200 * SECOND];
    match family {
        Family::Integer => number(
            match (wide, random.below(6)) {
                (0, _) => small - 5,
                (1, 0) => 9_007_199_254_740_992 + small % 3,
                (1, 1) => i128::from(i64::MIN) + small % 2,
                (2, 0) => i128::from(u64::MAX) - small % 2,
                (2, 1) => 10_i128.pow(30) + small % 3,
                _ => small * 1_000 - 7,
            },
            0,
        ),
        Family::Decimal => number(
            match (wide, random.below(6)) {
                (2, 0) => 10_i128.pow(28) + small % 3,
                (1 | 2, 1) => 123_456_789_012 + small % 3,
                _ => small * 25 - 300,
            },
            if wide == 0 { 2 } else { 4 },
        ),
        Family::Float => match random.below(12) {
            0 => Value::Special("NaN"),
            1 => Value::Special("inf"),
            2 => Value::Special("-inf"),
            3 => number(0, 0),
            _ => number((small - 20) * 25, 2),
        },
        Family::Bool => Value::Bool(small % 2 == 0),
        Family::Text if random.percent(75) => Value::Text(random.pick(&TEXTS).to_owned()),
        Family::Text => Value::Text(format!("text number {small}")),
        Family::Binary => Value::Bytes(vec![0, u8::try_from(small).unwrap(), 0xff, random.pick(&[0, 1])]),
        Family::Date => Value::Moment((random.pick(&[0, -400, 19_723, 20_000]) + small) * DAY),
        Family::Local | Family::Instant => Value::Moment(random.pick(&moments) + small * resolution),
        Family::Time => Value::Moment((small * 100 * resolution + small % 24 * 3_600 * SECOND) % DAY),
        Family::Duration => Value::Moment((small - 10) * resolution),
        Family::Uuid => {
            Value::Bytes((0..16).map(|place| u8::try_from((small * place * 37 + 171) % 256).unwrap()).collect())
        }
        Family::IntegerList | Family::TextList => {
            let inner = if family == Family::IntegerList { Family::Integer } else { Family::Text };
            let count = random.below(4);
            Value::List((0..count).map(|_| or_null(inner, random)).collect())
        }
        Family::Struct => Value::Struct(
            [("m", Family::Integer), ("n o", Family::Text), ("p", Family::Decimal)]
                .map(|(name, inner)| (name, or_null(inner, random)))
                .into(),
        ),
        Family::Json => Value::Json(random.below(JSON.len())),
    }
}

fn or_null(family: Family, random: &mut Random) -> Value {
    if random.percent(15) { Value::Null } else { one(family, 0, SECOND, random) }
}

/// What equal means beyond being the same, written by hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub(crate) nfc: bool,
    pub(crate) collapse: bool,
    pub(crate) trim: bool,
    pub(crate) ignore_case: bool,
    pub(crate) null_equals: Vec<&'static str>,
    /// Places after the point.
    pub(crate) round: Option<u32>,
    pub(crate) tolerance: Option<Near>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Near {
    /// In units of 10^-4.
    Absolute(i128),
    Percent(i128),
    Nanoseconds(i128),
}

impl Rules {
    /// The value as it is compared.
    pub(crate) fn normal(&self, value: &Value) -> Value {
        match value {
            Value::Text(text) => self.normal_text(text),
            Value::Number { .. } => self.round.map_or_else(|| value.clone(), |places| round(value, places)),
            other => other.clone(),
        }
    }

    fn normal_text(&self, text: &str) -> Value {
        let mut text = text.to_owned();
        if self.nfc {
            text = text.replace("e\u{301}", "é");
        }
        if self.collapse {
            text = collapse(&text);
        }
        if self.trim {
            text = String::from(text.trim());
        }
        if self.ignore_case {
            text = text.to_lowercase().replace('ß', "ss");
        }
        let is_null = self.null_equals.iter().any(|null| {
            let null = Self { null_equals: Vec::new(), ..self.clone() }.normal_text(null);
            null == Value::Text(text.clone())
        });
        if is_null { Value::Null } else { Value::Text(text) }
    }

    /// Whether two values, already normal, are equal.
    pub(crate) fn equal(&self, authority: &Value, projection: &Value) -> bool {
        if *authority == Value::Garbage || *projection == Value::Garbage {
            return false;
        }
        if authority == projection {
            return true;
        }
        match (self.tolerance, authority, projection) {
            (Some(Near::Nanoseconds(bound)), Value::Moment(one), Value::Moment(other)) => (one - other).abs() <= bound,
            (Some(near), Value::Number { .. }, Value::Number { .. }) => {
                let [Some(one), Some(other)] = [authority, projection].map(|value| at_scale(value, 4)) else {
                    return false;
                };
                match near {
                    Near::Absolute(bound) => (one - other).abs() <= bound,
                    Near::Percent(percent) => (one - other).abs() * 100 <= percent * one.abs().max(other.abs()),
                    Near::Nanoseconds(_) => false,
                }
            }
            _ => false,
        }
    }
}

fn collapse(text: &str) -> String {
    let mut collapsed = String::new();
    let mut in_space = false;
    for letter in text.chars() {
        if letter.is_whitespace() && in_space {
            continue;
        }
        in_space = letter.is_whitespace();
        collapsed.push(if in_space { ' ' } else { letter });
    }
    collapsed
}

/// Half away from zero.
fn round(value: &Value, places: u32) -> Value {
    let Value::Number { units, scale } = value else { return value.clone() };
    if *scale <= places {
        return value.clone();
    }
    let step = 10_i128.pow(scale - places);
    let away = if units.rem_euclid(step) == 0 { 0 } else { units.signum() };
    let twice = (units % step).abs() * 2;
    number(units / step + if twice >= step { away } else { 0 }, places)
}
