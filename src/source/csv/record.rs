//! Takes a block apart into records and fields, without copying and without an allocation per record. Never decides
//! what a field means.

use std::ops::Range;

/// What a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its fields are known.
    Fields,
    /// A line without anything; its one field is empty.
    Blank,
    /// Its quoting is broken.
    Bad(String),
}

/// One field of the current record.
#[derive(Clone, Debug)]
struct Span {
    /// Without the quotes around it.
    range: Range<usize>,
    quoting: Quoting,
}

/// How a field was quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Not at all.
    Plain,
    /// In quotes.
    Quoted,
    /// In quotes, with doubled quotes inside.
    Escaped,
}

/// Walks through the records of a block.
#[derive(Debug)]
pub(super) struct Parser {
    delimiter: u8,
    bytes: Vec<u8>,
    has_quotes: bool,
    is_utf8: bool,
    position: usize,
    line: u64,
    record: Range<usize>,
    record_line: u64,
    spans: Vec<Span>,
}

impl Parser {
    /// A parser without a block.
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            bytes: Vec::new(),
            has_quotes: false,
            is_utf8: true,
            position: 0,
            line: 1,
            record: 0..0,
            record_line: 1,
            spans: Vec::new(),
        }
    }

    /// Begins a block that starts and ends at record boundaries.
    pub(super) fn begin(&mut self, bytes: Vec<u8>, first_line: u64) {
        self.spans.clear();
        self.has_quotes = memchr::memchr(b'"', &bytes).is_some();
        self.is_utf8 = std::str::from_utf8(&bytes).is_ok();
        self.bytes = bytes;
        self.position = 0;
        self.line = first_line;
    }

    /// Takes the memory of the block, which has no records left.
    pub(super) fn take_spent(&mut self) -> Vec<u8> {
        self.spans.clear();
        self.record = 0..0;
        self.position = 0;
        std::mem::take(&mut self.bytes)
    }

    /// The whole block.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the block is UTF-8 as a whole.
    pub(super) fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    /// Whether there is a quote in the block.
    pub(super) fn has_quotes(&self) -> bool {
        self.has_quotes
    }

    /// Leaves out the rest of the block, of which another took all records.
    pub(super) fn skip_all(&mut self) {
        self.position = self.bytes.len();
    }

    /// Takes the next record; None at the block's end.
    pub(super) fn next_record(&mut self) -> Option<Outcome> {
        if self.position == self.bytes.len() {
            return None;
        }
        self.spans.clear();
        self.record_line = self.line;
        let start = self.position;
        let rest = &self.bytes[start..];
        let found = memchr::memchr(b'\n', rest);
        let line = &rest[..found.unwrap_or(rest.len())];
        if self.has_quotes && memchr::memchr(b'"', line).is_some() {
            return Some(self.quoted_record(start));
        }
        let consumed = found.map_or(rest.len(), |at| at + 1);
        let length = line.strip_suffix(b"\r").unwrap_or(line).len();
        let mut field = start;
        for at in memchr::memchr_iter(self.delimiter, &line[..length]) {
            self.spans.push(Span { range: field..start + at, quoting: Quoting::Plain });
            field = start + at + 1;
        }
        self.spans.push(Span { range: field..start + length, quoting: Quoting::Plain });
        self.record = start..start + length;
        self.position = start + consumed;
        self.line += u64::from(found.is_some());
        Some(if length == 0 { Outcome::Blank } else { Outcome::Fields })
    }

    /// The record in which there is a quote somewhere.
    fn quoted_record(&mut self, start: usize) -> Outcome {
        let mut problem: Option<String> = None;
        let mut at = start;
        loop {
            let number = self.spans.len() + 1;
            let (end, fault) =
                if self.bytes.get(at) == Some(&b'"') { self.quoted_field(at) } else { self.plain_field(at) };
            if let (None, Some(fault)) = (&problem, fault) {
                problem = Some(format!("field {number}: {fault}"));
            }
            at = end;
            if self.bytes.get(at) == Some(&self.delimiter) {
                at += 1;
                continue;
            }
            break;
        }
        self.record = start..at;
        self.position = (at + 1).min(self.bytes.len());
        self.line += memchr::memchr_iter(b'\n', &self.bytes[start..self.position]).count() as u64;
        problem.map_or(Outcome::Fields, Outcome::Bad)
    }

    /// Takes a field that begins with a quote; where it ends (at a delimiter, a line feed or the end), and its fault.
    fn quoted_field(&mut self, start: usize) -> (usize, Option<&'static str>) {
        let mut quoting = Quoting::Quoted;
        let mut at = start + 1;
        let close = loop {
            let Some(found) = memchr::memchr(b'"', &self.bytes[at..]) else {
                self.spans.push(Span { range: start + 1..self.bytes.len(), quoting });
                return (self.bytes.len(), Some("a quote is opened and never closed until the end of the file"));
            };
            at += found + 1;
            if self.bytes.get(at) != Some(&b'"') {
                break at - 1;
            }
            quoting = Quoting::Escaped;
            at += 1;
        };
        self.spans.push(Span { range: start + 1..close, quoting });
        let end = self.field_end(at);
        let is_line_end = end == self.bytes.len() || self.bytes[end] == b'\n';
        let after = &self.bytes[at..end];
        let is_clean = after.is_empty() || (is_line_end && after == b"\r");
        (end, (!is_clean).then_some("has text after its closing quote, expected a delimiter or the line's end"))
    }

    /// Takes a field that begins without a quote.
    fn plain_field(&mut self, start: usize) -> (usize, Option<&'static str>) {
        let end = self.field_end(start);
        let is_line_end = end == self.bytes.len() || self.bytes[end] == b'\n';
        let text = &self.bytes[start..end];
        let text = if is_line_end { text.strip_suffix(b"\r").unwrap_or(text) } else { text };
        let fault = memchr::memchr(b'"', text)
            .map(|_| "has a quote inside, expected the whole field in quotes and its quotes doubled");
        self.spans.push(Span { range: start..start + text.len(), quoting: Quoting::Plain });
        (end, fault)
    }

    fn field_end(&self, from: usize) -> usize {
        memchr::memchr2(self.delimiter, b'\n', &self.bytes[from..]).map_or(self.bytes.len(), |found| from + found)
    }

    /// Fields of the current record.
    pub(super) fn field_count(&self) -> usize {
        self.spans.len()
    }

    /// A field's bytes between its quotes, as they are written, and how it is quoted.
    pub(super) fn raw_field(&self, index: usize) -> (&[u8], Quoting) {
        let span = &self.spans[index];
        (&self.bytes[span.range.clone()], span.quoting)
    }

    /// A field's value.
    pub(super) fn field(&self, index: usize) -> Vec<u8> {
        let (bytes, quoting) = self.raw_field(index);
        let mut value = Vec::with_capacity(bytes.len());
        append_value(&mut value, bytes, quoting);
        value
    }

    /// The field in which the current record is not UTF-8, and the 1-based byte within the record.
    pub(super) fn undecoded(&self) -> Option<(usize, usize)> {
        if self.is_utf8 {
            return None;
        }
        let valid = std::str::from_utf8(&self.bytes[self.record.clone()]).err()?.valid_up_to();
        let at = self.record.start + valid;
        let field = self.spans.iter().rposition(|span| span.range.start <= at).unwrap_or(0);
        Some((field, valid + 1))
    }

    /// Where the current record starts in the block.
    pub(super) fn record_start(&self) -> usize {
        self.record.start
    }

    /// The physical line at which the current record starts.
    pub(super) fn record_line(&self) -> u64 {
        self.record_line
    }

    /// The physical line at which the next record starts.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Where the next record starts in the block.
    pub(super) fn position(&self) -> usize {
        self.position
    }
}

/// Appends a field's value, its doubled quotes made single.
pub(super) fn append_value(value: &mut Vec<u8>, bytes: &[u8], quoting: Quoting) {
    if quoting != Quoting::Escaped {
        value.extend_from_slice(bytes);
        return;
    }
    let mut rest = bytes;
    while let Some(found) = memchr::memchr(b'"', rest) {
        value.extend_from_slice(&rest[..=found]);
        rest = rest.get(found + 2..).unwrap_or_default();
    }
    value.extend_from_slice(rest);
}
