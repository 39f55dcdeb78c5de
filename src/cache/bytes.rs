//! Numbers to bytes and back. Reading never trusts a length: what is not there is None.

/// Adds numbers to the bytes of an entry.
pub(super) fn put(into: &mut Vec<u8>, numbers: &[u64]) {
    for number in numbers {
        into.extend_from_slice(&number.to_le_bytes());
    }
}

/// Adds a list of small numbers, with their count before them.
pub(super) fn put_small(into: &mut Vec<u8>, numbers: &[u32]) {
    put(into, &[numbers.len() as u64]);
    for number in numbers {
        into.extend_from_slice(&number.to_le_bytes());
    }
}

/// What is still to be read of an entry.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    /// The next so many bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// How many elements of so many bytes follow; no more than there are bytes for.
    pub(super) fn count(&mut self, each: usize) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count.checked_mul(each)? <= self.0.len()).then_some(count)
    }

    /// A list of small numbers.
    pub(super) fn small(&mut self) -> Option<Vec<u32>> {
        let count = self.count(4)?;
        Some(self.take(count * 4)?.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
