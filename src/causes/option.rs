//! The option that would settle a cause, as TOML to paste.

use crate::contract::{Contract, Options, Tolerance};
use crate::normalise::{BoundAttribute, Comparison, is_local};
use crate::sides::{Side, Sides};

use super::clues::PairSeen;
use super::number::Mode;
use super::suspect::Suspect;
use super::text::Garbled;

/// More pairs than these are a file's business.
const TRANSLATED: usize = 64;

/// What the option is proposed for.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) contract: &'a Contract,
    pub(super) attribute: &'a BoundAttribute,
    /// All suspects of the attribute that explain anything.
    pub(super) suspects: &'a [&'a Suspect],
    /// In how many pairs the attribute agrees.
    pub(super) equal: u64,
    /// Whether the suspect explains all mismatches of the attribute.
    pub(super) whole: bool,
}

/// A text as TOML holds it between quotation marks.
fn quoted(text: &str) -> String {
    // What JSON escapes is escaped in TOML too; it forbids one character more.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A text as a value of the contract file, where `${` is the environment's.
fn value(text: &str) -> String {
    quoted(text).replace("${", "$${")
}

fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quoted(name) }
}

impl Ask<'_> {
    fn table(self, lines: &str) -> String {
        format!("[contract.{}.attribute.{}]\n{lines}", key(&self.contract.name), key(&self.attribute.name))
    }

    /// The option for one of the suspects.
    pub(super) fn option(self, suspect: &Suspect) -> Option<String> {
        let options = &self.attribute.options;
        match suspect {
            Suspect::NullSpelled { shown, .. } => {
                let mut texts = options.null_equals.clone();
                texts.push(shown.as_deref()?.to_owned());
                let texts: Vec<String> = texts.iter().map(|text| value(text)).collect();
                Some(self.table(&format!("null_equals = [{}]", texts.join(", "))))
            }
            Suspect::Case => Some(self.table("case = \"ignore\"")),
            Suspect::Spaces { ends, inner, .. } => {
                let lines: Vec<&str> = [(*ends, "trim = \"both\""), (*inner, "spaces = \"collapse\"")]
                    .into_iter()
                    .filter_map(|(wanted, line)| wanted.then_some(line))
                    .collect();
                (!lines.is_empty()).then(|| self.table(&lines.join("\n")))
            }
            Suspect::Unicode { compatible: true } => Some(self.table("unicode = \"nfkc\"")),
            Suspect::Unicode { .. } => Some(self.table("unicode = \"nfc\"")),
            Suspect::Zeros { .. } | Suspect::Scientific | Suspect::Spelled => {
                let text = matches!(self.attribute.comparison, Comparison::Text) && options.logical_type.is_none();
                text.then(|| self.table("type = \"decimal\""))
            }
            Suspect::Rounded { .. } => self.tolerance(),
            Suspect::Offset(nanoseconds) => self.offset(*nanoseconds),
            Suspect::Zone { name, instants, agreeing } if self.equal == 0 || *agreeing > 0 => {
                self.zone(Sides::from_fn(|side| (side == *instants).then(|| (*name).to_owned())))
            }
            Suspect::Sign | Suspect::Factor(_) => self.derive(suspect),
            Suspect::Garbled { side, how } => self.encoding(*side, *how),
            Suspect::Map { told, .. } => self.translate(told),
            _ => None,
        }
    }

    /// What the coarsest rounding of the attribute needs: a step of its last digit.
    fn tolerance(self) -> Option<String> {
        let decimals = self.suspects.iter().filter_map(|suspect| match suspect {
            Suspect::Rounded { decimals, .. } => Some(*decimals),
            _ => None,
        });
        let decimals = usize::from(decimals.min()?);
        let timed = matches!(self.attribute.comparison, Comparison::Time | Comparison::Timestamp | Comparison::Instant);
        if timed {
            let bound = match decimals {
                0 => "1s".to_owned(),
                1..=3 => format!("{}ms", 10_u32.pow(u32::try_from(3 - decimals).ok()?)),
                4..=6 => format!("{}us", 10_u32.pow(u32::try_from(6 - decimals).ok()?)),
                7..=9 => format!("{}ns", 10_u32.pow(u32::try_from(9 - decimals).ok()?)),
                _ => return None,
            };
            return Some(self.table(&format!("tolerance = \"{bound}\"")));
        }
        let wider = match &self.attribute.options.tolerance {
            Some(Tolerance::Time(_)) => return None,
            _ => decimals,
        };
        let bound = if wider == 0 { "1".to_owned() } else { format!("0.{}1", "0".repeat(wider - 1)) };
        Some(self.table(&format!("tolerance = \"{bound}\"")))
    }

    /// A map of the owner's values, where there is none yet.
    fn translate(self, told: &[PairSeen]) -> Option<String> {
        let options: &Options = &self.attribute.options;
        if options.translate.is_some() || told.len() > TRANSLATED || self.attribute.options.ignore_case {
            return None;
        }
        let mut entries: Vec<String> = Vec::new();
        for pair in told {
            let (from, to) = (pair.shown.authority.as_deref()?, pair.shown.projection.as_deref()?);
            entries.push(format!("{} = {}", key(from), value(to)));
        }
        entries.sort();
        // A map whose only key is `file` would name one.
        if let [only] = &entries[..]
            && only.starts_with("file =")
        {
            return None;
        }
        let mut lines = format!("translate = {{ {} }}", entries.join(", "));
        let numbers_at = |side: Side| told.iter().all(|pair| !pair.text.get(side));
        let labels = told.iter().any(|pair| pair.text.projection);
        if numbers_at(Side::Authority) && labels && self.attribute.comparison != Comparison::Text {
            // Labels have neither distance nor places.
            if options.tolerance.is_some() || options.round.is_some() {
                return None;
            }
            lines.push_str("\ntype = \"text\"");
        }
        Some(self.table(&lines))
    }

    /// A constant offset as a zone.
    fn offset(self, nanoseconds: i128) -> Option<String> {
        let offsets = self.suspects.iter().filter(|suspect| matches!(suspect, Suspect::Offset(_))).count();
        let minutes = i32::try_from(nanoseconds / super::MINUTE).ok()?;
        // Times that agree in the zone that holds now would not in another.
        if offsets != 1 || self.equal > 0 || i128::from(minutes) * super::MINUTE != nanoseconds || minutes % 15 != 0 {
            return None;
        }
        let (authority, projection) = (Some(zone_name(minutes)), Some(zone_name(-minutes)));
        self.zone(Sides { authority, projection })
    }

    /// The zone of the side whose times have none, where they are taken for UTC. `other` is the zone of the other side where
    /// a side's times are instants.
    fn zone(self, other: Sides<Option<String>>) -> Option<String> {
        let set = &self.attribute.options.timezone;
        let zones = Sides::from_fn(|side| set.as_ref().or(self.contract.sources.get(side).timezone.as_ref()));
        let utc = |side: Side| zones.get(side).is_none_or(|zone| zone.iana_name() == Some("UTC"));
        let local = Sides::from_fn(|side| is_local(self.attribute, side));
        match (&self.attribute.comparison, local.authority, local.projection) {
            (Comparison::Instant, false, true) if utc(Side::Projection) => {
                Some(self.table(&format!("timezone = \"{}\"", other.authority?)))
            }
            (Comparison::Instant, true, false) if utc(Side::Authority) => {
                Some(self.table(&format!("timezone = \"{}\"", other.projection?)))
            }
            (Comparison::Timestamp, true, true) if set.is_none() && utc(Side::Authority) && utc(Side::Projection) => {
                let source = |side: Side| key(&self.contract.sources.get(side).name);
                let (authority, projection) = (source(Side::Authority), source(Side::Projection));
                let zones = match (other.authority, other.projection) {
                    (Some(zone), _) => ["UTC".to_owned(), zone],
                    (None, zone) => [zone?, "UTC".to_owned()],
                };
                (authority != projection).then(|| {
                    let [one, two] = zones;
                    format!("[source.{authority}]\ntimezone = \"{one}\"\n\n[source.{projection}]\ntimezone = \"{two}\"")
                })
            }
            _ => None,
        }
    }

    /// The owner's column times what the projection is of it, where all that differs is explained so and nothing agrees.
    fn derive(self, suspect: &Suspect) -> Option<String> {
        if self.suspects.len() != 1 || !self.whole || self.equal > 0 {
            return None;
        }
        let name = &self.attribute.name;
        let mut declared = self.contract.attributes.iter().filter(|attribute| attribute.name == *name);
        // A column of another name, or a value that comes from elsewhere, is written in another way already.
        if declared.any(|attribute| attribute.origin.is_composed() || attribute.column != [name.as_str()]) {
            return None;
        }
        if self.attribute.options.translate.is_some() || self.contract.key.is_empty() {
            return None;
        }
        let column = format!("\"{}\"", name.replace('"', "\"\""));
        let plain = name.bytes().enumerate().all(|(index, byte)| match byte {
            b'a'..=b'z' | b'_' => true,
            b'0'..=b'9' => index > 0,
            _ => false,
        });
        let column = if plain { name.clone() } else { column };
        let derived = match suspect {
            Suspect::Factor(factor) => format!("{column} * {}", factor.exact()?),
            _ => format!("0 - {column}"),
        };
        Some(self.table(&format!("derive = {}", value(&derived))))
    }

    /// UTF-8, where the contract itself says that the file is in the encoding that garbles it.
    fn encoding(self, side: Side, how: Garbled) -> Option<String> {
        let source = self.contract.sources.get(side);
        let single = source.csv.encoding == encoding_rs::WINDOWS_1252;
        (single && self.whole && how != Garbled::Lost)
            .then(|| format!("[source.{}.csv]\nencoding = \"utf-8\"", key(&source.name)))
    }
}

/// An offset from UTC as people write it.
pub(super) fn zone_name(minutes: i32) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// The option that makes two columns change places.
pub(super) fn exchange(contract: &Contract, one: &BoundAttribute, two: &BoundAttribute, columns: [&str; 2]) -> String {
    let table = |attribute: &BoundAttribute, column: &str| {
        format!(
            "[contract.{}.attribute.{}]\nprojected_as = {}",
            key(&contract.name),
            key(&attribute.name),
            value(column)
        )
    };
    format!("{}\n\n{}", table(one, columns[1]), table(two, columns[0]))
}

/// What a rounding mode is called.
pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Away => "half away from zero",
        Mode::Even => "half to even",
        Mode::Truncate => "cut off",
    }
}
