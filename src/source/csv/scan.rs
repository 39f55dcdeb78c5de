//! Finds the line ends that end records, at memory speed. Never looks at fields.

use crate::source::text::{Boundaries, LineBoundaries};

/// Tells line ends inside quotes from those between records, over blocks that come in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuoteScan {
    delimiter: u8,
    state: State,
    /// The byte before the next one; a line feed at the start, because a record starts there.
    previous: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between quotes, or where quotes are ordinary.
    Outside,
    /// In a quoted field.
    Quoted,
    /// In a quoted field, after a quote that closes it unless another follows.
    QuoteSeen,
}

impl QuoteScan {
    /// A scan from a record's start.
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::Outside, previous: b'\n' }
    }
}

impl Boundaries for QuoteScan {
    fn last_boundary(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut boundary = None;
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Outside => {
                    let quote = memchr::memchr(b'"', &bytes[at..]).map(|found| at + found);
                    let stretch = &bytes[at..quote.unwrap_or(bytes.len())];
                    if let Some(found) = memchr::memrchr(b'\n', stretch) {
                        boundary = Some(at + found + 1);
                    }
                    let Some(quote) = quote else { break };
                    let before = if quote == 0 { self.previous } else { bytes[quote - 1] };
                    if before == self.delimiter || before == b'\n' {
                        self.state = State::Quoted;
                    }
                    at = quote + 1;
                }
                State::Quoted => {
                    let Some(found) = memchr::memchr(b'"', &bytes[at..]) else { break };
                    self.state = State::QuoteSeen;
                    at += found + 1;
                }
                State::QuoteSeen => {
                    if bytes[at] == b'"' {
                        self.state = State::Quoted;
                        at += 1;
                    } else {
                        self.state = State::Outside;
                    }
                }
            }
        }
        self.previous = bytes.last().copied().unwrap_or(self.previous);
        boundary
    }
}

impl LineBoundaries for QuoteScan {
    fn is_at_boundary(&self) -> bool {
        self.state == State::Outside && self.previous == b'\n'
    }
}
