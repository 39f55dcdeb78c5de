//! Takes a block apart into records, lines or elements of an array, and knows where each lies. Never parses them.

use crate::contract::Format;
use crate::source::text::{Block, count_lines};

use super::elements::{Elements, Mark};

/// Walks through the records of a block: lines, or the elements of an array.
pub(super) struct Records {
    format: Format,
    bytes: Content,
    position: usize,
    line: u64,
    /// Bytes of the current line that lie before `position`.
    line_start: usize,
}

/// A block's bytes, and whether they are text as a whole.
enum Content {
    Text(String),
    Broken(Vec<u8>),
}

impl std::ops::Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Broken(bytes) => bytes,
        }
    }
}

/// Where a record lies in its block.
pub(super) struct Record {
    range: std::ops::Range<usize>,
    /// The physical line at which it starts, from 1.
    pub(super) line: u64,
    /// Bytes before it in its line, as far as the block knows.
    indent: usize,
}

impl Record {
    /// Where it starts in its block.
    pub(super) fn start(&self) -> usize {
        self.range.start
    }

    /// The physical line and column of the 1-based byte of the record.
    pub(super) fn locate(&self, bytes: &[u8], byte: usize) -> (u64, usize) {
        let before = &bytes[..byte.saturating_sub(1).min(bytes.len())];
        match memchr::memrchr(b'\n', before) {
            Some(at) => (self.line + count_lines(before), before.len() - at),
            None => (self.line, self.indent + before.len() + 1),
        }
    }
}

impl Records {
    /// Records without a block.
    pub(super) fn new(format: Format) -> Self {
        Self { format, bytes: Content::Text(String::new()), position: 0, line: 1, line_start: 0 }
    }

    /// Begins a block that starts and ends at record boundaries.
    pub(super) fn begin(&mut self, block: Block) {
        self.bytes = match String::from_utf8(block.bytes) {
            Ok(text) => Content::Text(text),
            Err(error) => Content::Broken(error.into_bytes()),
        };
        self.line = block.first_line;
        self.position = 0;
        self.line_start = 0;
    }

    /// Takes the memory of the block, which has no records left.
    pub(super) fn take_spent(&mut self) -> Vec<u8> {
        self.position = 0;
        match std::mem::replace(&mut self.bytes, Content::Text(String::new())) {
            Content::Text(text) => text.into_bytes(),
            Content::Broken(bytes) => bytes,
        }
    }

    /// What a record is written as.
    pub(super) fn bytes(&self, record: &Record) -> &[u8] {
        &self.bytes[record.range.clone()]
    }

    /// What a record is written as, where its whole block is text.
    pub(super) fn text(&self, record: &Record) -> Option<&str> {
        match &self.bytes {
            Content::Text(text) => text.get(record.range.clone()),
            Content::Broken(_) => None,
        }
    }

    /// Takes the next record; None at the block's end.
    pub(super) fn next_record(&mut self) -> Option<Record> {
        if self.format == Format::Json { self.next_element() } else { self.next_line() }
    }

    /// The next line that is not blank.
    fn next_line(&mut self) -> Option<Record> {
        while self.position < self.bytes.len() {
            let start = self.position;
            let found = memchr::memchr(b'\n', &self.bytes[start..]).map(|at| start + at);
            let end = found.unwrap_or(self.bytes.len());
            let line = self.line;
            self.position = found.map_or(end, |at| at + 1);
            self.line += u64::from(found.is_some());
            let text = self.bytes[start..end].trim_ascii();
            if !text.is_empty() {
                let text_start =
                    start + (self.bytes[start..end].len() - self.bytes[start..end].trim_ascii_start().len());
                let range = text_start..text_start + text.len();
                return Some(Record { range, line, indent: text_start - start });
            }
        }
        None
    }

    /// The next element; only white space after the last comma is none.
    fn next_element(&mut self) -> Option<Record> {
        let start = self.position;
        let mark = Elements::default().next(&self.bytes[start..], 0);
        let end = match mark {
            Some((at, Mark::Comma | Mark::Close)) => start + at,
            None => self.bytes.len(),
        };
        let whole = &self.bytes[start..end];
        let text = whole.trim_ascii();
        if text.is_empty() && mark.is_none() {
            self.position = end;
            return None;
        }
        let text_start = end - whole.trim_ascii_start().len();
        let range = text_start..text_start + text.len();
        self.advance_lines(start, text_start);
        let record = Record { range, line: self.line, indent: text_start - self.line_start };
        self.position = (end + usize::from(mark.is_some())).min(self.bytes.len());
        self.advance_lines(text_start, self.position);
        Some(record)
    }

    fn advance_lines(&mut self, from: usize, to: usize) {
        let stretch = &self.bytes[from..to];
        if let Some(last) = memchr::memrchr(b'\n', stretch) {
            self.line_start = from + last + 1;
            self.line += count_lines(stretch);
        }
    }
}
