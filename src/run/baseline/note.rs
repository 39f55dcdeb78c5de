//! Notes the differences of one copy as lines that can be held against those of another: keys and values as they were
//! compared, so that spelling is no difference, and what people see of them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::lines::{Digest, Line, Lines};
use crate::classify::{Bench, Divergence, Reason, judge_all, judge_schema};
use crate::contract::{Contract, Kind, Severity};
use crate::diff::Extent;
use crate::diff::resolve::{Difference, RowAt};
use crate::normalise::{Binding, CanonicalColumn, Comparison, canonical_number, canonical_text};
use crate::sides::{Side, Sides};

/// What values of a comparison are: those of one class are the same where they are written the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Null,
    Boolean,
    Number,
    Text,
    Binary,
    Date,
    Time,
    Timestamp,
    Instant,
    Duration,
    Interval,
    Uuid,
    Json,
}

impl Class {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Boolean => "booleans",
            Self::Number => "numbers",
            Self::Text => "texts",
            Self::Binary => "bytes",
            Self::Date => "dates",
            Self::Time => "times of day",
            Self::Timestamp => "local times",
            Self::Instant => "instants",
            Self::Duration => "lengths of time",
            Self::Interval => "intervals",
            Self::Uuid => "UUIDs",
            Self::Json => "JSON",
        }
    }
}

/// The class of a comparison.
pub(super) fn class(comparison: &Comparison) -> Class {
    match comparison {
        Comparison::Null => Class::Null,
        Comparison::Boolean => Class::Boolean,
        Comparison::Decimal { .. } | Comparison::Integer | Comparison::Float | Comparison::Number => Class::Number,
        Comparison::Text => Class::Text,
        Comparison::Binary => Class::Binary,
        Comparison::Date => Class::Date,
        Comparison::Time => Class::Time,
        Comparison::Timestamp => Class::Timestamp,
        Comparison::Instant => Class::Instant,
        Comparison::Duration => Class::Duration,
        Comparison::Interval => Class::Interval,
        Comparison::Uuid => Class::Uuid,
        Comparison::Json | Comparison::Nested(_) => Class::Json,
    }
}

/// What is noted of one comparison.
pub(in super::super) struct Notes {
    lines: Lines,
    /// Whether each attribute is compared in both comparisons as values of one class; not there: in this one only.
    shared: BTreeMap<String, bool>,
}

impl Notes {
    /// Nothing yet, of a comparison that is held against another one.
    pub(super) fn new(own: &Binding, other: &Binding, spill_folder: &Path) -> Self {
        let shared = own.attributes.iter().filter_map(|attribute| {
            let across = other.attributes.iter().find(|one| one.name == attribute.name)?;
            Some((attribute.name.clone(), class(&attribute.comparison) == class(&across.comparison)))
        });
        Self { shared: shared.collect(), lines: Lines::new(spill_folder) }
    }

    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Begins anew, with the columns that are not compared.
    pub(in super::super) fn begin(&self, contract: &Contract, binding: &Binding) -> io::Result<()> {
        self.lines.forget();
        let (mut lines, mut texts) = (Vec::new(), Vec::new());
        for difference in &binding.schema {
            let said = format!("{:?} {:?}", difference.reason, difference.types.projection);
            let key = digest(&[b"column", difference.attribute.as_bytes()]);
            let line = line(key, Line::ROW, digest(&[said.as_bytes()]));
            lines.push(written(line, &judge_schema(contract, difference), &mut texts));
        }
        self.lines.add(lines, &texts)
    }

    /// Bytes of text that are written at once.
    const AT_ONCE: usize = 1 << 20;

    /// Notes some differences.
    pub(super) fn note(&self, bench: Bench<'_>, differences: &[Difference]) -> io::Result<()> {
        let (mut lines, mut texts, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let mut ended = Ok(());
        judge_all(bench, differences, |difference, divergences| {
            let key = key(bench, difference, &mut bytes);
            for (place, divergence) in divergences.iter().enumerate() {
                let mut line = self.line(bench, key, difference, place, divergence, &mut bytes);
                line.in_flight = divergence.kind == Kind::InFlight;
                lines.push(written(line, divergence, &mut texts));
            }
            if texts.len() >= Self::AT_ONCE && ended.is_ok() {
                ended = self.lines.add(std::mem::take(&mut lines), &texts);
                texts.clear();
            }
        });
        ended.and_then(|()| self.lines.add(lines, &texts))
    }

    fn line(
        &self,
        bench: Bench<'_>,
        key: Digest,
        difference: &Difference,
        place: usize,
        divergence: &Divergence,
        bytes: &mut Vec<u8>,
    ) -> Line {
        let (rows, index) = match difference {
            Difference::Differ { rows, attributes } => (rows, attributes[place]),
            other => return line(key, Line::ROW, of_row(other)),
        };
        let attribute = &bench.binding.attributes[index];
        let shared = self.shared.get(&attribute.name);
        bytes.clear();
        if shared == Some(&false) {
            // Nothing but the text is common to them.
            bytes.push(u8::from(divergence.values.projection.is_some()));
            bytes.extend_from_slice(divergence.values.projection.as_deref().unwrap_or_default().as_bytes());
        } else {
            write_value(bench, Side::Projection, rows.projection, index, bytes);
        }
        let name = digest(&[b"attribute", attribute.name.as_bytes()]);
        Line { untold: shared.is_none(), ..line(key, name, digest(&[bytes])) }
    }
}

fn line(key: Digest, attribute: Digest, value: Digest) -> Line {
    let text = Extent { offset: 0, length: 0 };
    Line { key, attribute, value, in_flight: false, untold: false, text }
}

/// BLAKE3 over parts, each after its length, cut to half.
fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().as_bytes()[..16].try_into().expect("a digest has more bytes")
}

/// What identifies the row. Where no other row can be told to be the same, those that look alike are paired off.
fn key(bench: Bench<'_>, difference: &Difference, bytes: &mut Vec<u8>) -> Digest {
    let (sort, side, row): (&[u8], Side, RowAt) = match difference {
        Difference::Differ { rows, .. } | Difference::Tombstone { rows, .. } => {
            (b"row", Side::Authority, rows.authority)
        }
        Difference::Unpaired { side, row, fault: None } | Difference::DuplicateKey { side, row, .. } => {
            (b"row", *side, *row)
        }
        Difference::Unpaired { side, row, fault: Some(_) } => (b"unread", *side, *row),
        Difference::NullKey { side, row } => (b"null", *side, *row),
    };
    let of = if sort == b"row" { "" } else { side.name() };
    bytes.clear();
    for index in 0..bench.binding.key_count {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 8]);
        write_value(bench, side, row, index, bytes);
        let length = (bytes.len() - start - 8) as u64;
        bytes[start..start + 8].copy_from_slice(&length.to_le_bytes());
    }
    digest(&[sort, of.as_bytes(), bytes])
}

/// A value as it is compared, the same for all comparisons of its class.
fn write_value(bench: Bench<'_>, side: Side, at: RowAt, index: usize, bytes: &mut Vec<u8>) {
    let column: &CanonicalColumn = &bench.rows.get(side).canonical[at.batch].columns[index];
    let comparison = &bench.binding.attributes[index].comparison;
    if let Some(fault) = column.fault(at.row) {
        bytes.push(b'!');
        bytes.extend_from_slice(fault.shown.as_bytes());
    } else if let Some(number) = canonical_number(comparison, column, at.row) {
        bytes.push(b'#');
        number.write_canonical(bytes);
    } else if let Some(text) = canonical_text(comparison, column, at.row) {
        bytes.push(b'=');
        bytes.extend_from_slice(text.as_bytes());
    }
}

/// What the copy says of a row that differs as a whole. A row that is not there is not there, however late.
fn of_row(difference: &Difference) -> Digest {
    match difference {
        Difference::Unpaired { side: Side::Authority, .. } | Difference::Tombstone { side: Side::Projection, .. } => {
            digest(&[b"absent"])
        }
        Difference::Unpaired { side: Side::Projection, .. } => digest(&[b"surplus"]),
        Difference::Tombstone { side: Side::Authority, .. } => digest(&[b"resurrected"]),
        Difference::DuplicateKey { counts, .. } => digest(&[b"rows", &counts.projection.to_le_bytes()]),
        Difference::NullKey { .. } => digest(&[b"null"]),
        Difference::Differ { .. } => digest(&[b"differs"]),
    }
}

/// The line with what people see of it, which is written behind the others.
fn written(line: Line, divergence: &Divergence, texts: &mut Vec<u8>) -> Line {
    let offset = texts.len();
    let kind = Kind::ALL.iter().position(|kind| *kind == divergence.kind).unwrap_or_default();
    texts.extend_from_slice(&(kind as u64).to_le_bytes());
    let values = [divergence.values.authority.as_deref(), divergence.values.projection.as_deref()];
    for part in [divergence.key.as_deref(), divergence.attribute.as_deref()].into_iter().chain(values) {
        texts.extend_from_slice(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        texts.extend_from_slice(part.unwrap_or_default().as_bytes());
    }
    let text = Extent { offset: offset as u64, length: (texts.len() - offset) as u64 };
    Line { text, ..line }
}

/// What `written` wrote: kind, key, attribute and values; the rest says nothing.
pub(super) fn read(mut bytes: &[u8]) -> Divergence {
    let number = |bytes: &mut &[u8]| {
        let (first, rest) = bytes.split_first_chunk::<8>().expect("eight bytes are there");
        *bytes = rest;
        u64::from_le_bytes(*first)
    };
    let kind = usize::try_from(number(&mut bytes)).ok().and_then(|kind| Kind::ALL.get(kind).copied());
    let mut text = || {
        let length = number(&mut bytes);
        (length != u64::MAX).then(|| {
            let (part, rest) = bytes.split_at(usize::try_from(length).expect("it was in memory before"));
            bytes = rest;
            Box::<str>::from(String::from_utf8_lossy(part))
        })
    };
    let (key, attribute, authority, projection) = (text(), text(), text(), text());
    Divergence {
        kind: kind.unwrap_or(Kind::Mismatch),
        severity: Severity::Info,
        reason: Reason::Default,
        key,
        attribute: attribute.map(std::sync::Arc::from),
        values: Sides { authority, projection },
        authority_source: "".into(),
        cause: None,
        fingerprint: [0; 32],
        row_digest: None,
    }
}
