//! Finds the elements of a JSON array without parsing them, by strings and brackets alone.

use crate::source::text::Boundaries;

/// What stands between elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Another element follows.
    Comma,
    /// The array ends.
    Close,
}

/// A scan that starts inside the array, before an element.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elements {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Elements {
    /// The next mark of the array itself, from an offset.
    pub(super) fn next(&mut self, bytes: &[u8], from: usize) -> Option<(usize, Mark)> {
        let mut at = from;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            if self.in_string {
                at += memchr::memchr2(b'"', b'\\', &bytes[at..])?;
                if bytes[at] == b'"' {
                    self.in_string = false;
                } else {
                    self.escaped = true;
                }
                at += 1;
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b']' if self.depth == 0 => return Some((at, Mark::Close)),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b',' if self.depth == 0 => return Some((at, Mark::Comma)),
                _ => {}
            }
            at += 1;
        }
        None
    }
}

/// Tells where elements end and where the array is closed, over bytes that come in order after its `[`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ArrayScan {
    elements: Elements,
    seen: u64,
    closed_at: Option<u64>,
    has_more: bool,
    /// The last byte that is no white space was a comma between elements.
    after_comma: bool,
}

impl ArrayScan {
    /// The offset of the closing bracket.
    pub(super) fn closed_at(&self) -> Option<u64> {
        self.closed_at
    }

    /// Whether something follows the closing bracket.
    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Whether a comma stands before the closing bracket.
    pub(super) fn has_trailing_comma(&self) -> bool {
        self.after_comma
    }

    fn close(&mut self, bytes: &[u8], from: usize) {
        self.has_more |= bytes[from..].iter().any(|byte| !byte.is_ascii_whitespace());
    }
}

impl Boundaries for ArrayScan {
    fn last_boundary(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut boundary = None;
        let mut at = 0;
        if self.closed_at.is_some() {
            self.close(bytes, 0);
        }
        while self.closed_at.is_none() {
            let mark = self.elements.next(bytes, at);
            let stretch = &bytes[at..mark.map_or(bytes.len(), |(end, _)| end)];
            if stretch.iter().any(|byte| !byte.is_ascii_whitespace()) {
                self.after_comma = false;
            }
            match mark {
                Some((end, Mark::Comma)) => {
                    self.after_comma = true;
                    boundary = Some(end + 1);
                    at = end + 1;
                }
                Some((end, Mark::Close)) => {
                    self.closed_at = Some(self.seen + end as u64);
                    self.close(bytes, end + 1);
                }
                None => break,
            }
        }
        self.seen += bytes.len() as u64;
        boundary
    }
}
