//! Takes objects apart that hold no nested value, no escape and no exponent, and only names of an earlier object in its
//! order: what most lines of most files are. All else is left to [`super::record::object`], its slow twin, which alone says
//! what is wrong with a record.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

/// A value without anything inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// null.
    Null,
    /// true or false.
    Boolean,
    /// The places of a text without its quotes.
    Text,
    /// A number of few digits.
    Number(Number),
}

/// A number without exponent, of at most 18 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Below zero, or a zero with a sign.
    pub(super) is_negative: bool,
    /// All digits as an integer.
    pub(super) digits: u64,
    /// Digits before the point; none where there is only a zero.
    pub(super) whole: u32,
    /// Digits after the point.
    pub(super) places: u32,
}

/// A member of a flat object.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Which of the known names it has.
    pub(super) name: usize,
    /// Where its value stands in the object, as it is written.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) value: Value,
}

/// The names of an object that was seen, by which others like it are taken apart.
#[derive(Debug)]
pub(super) struct Flat {
    names: Vec<Name>,
    members: Vec<Member>,
    /// How often objects may still be unlike before none is tried any more.
    patience: u32,
}

/// A name that is known.
#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// In its quotes and with a colon, as it is mostly written.
    written: Box<[u8]>,
    /// The first bytes of that, and which they are.
    head: [u64; 2],
    mask: [u64; 2],
}

/// Bytes of a name that are compared at once.
const HEAD: usize = 16;

impl Name {
    fn new(name: &str) -> Self {
        let written = format!("\"{name}\":").into_bytes().into_boxed_slice();
        let count = written.len().min(HEAD);
        let (mut head, mut mask) = ([0; HEAD], [0; HEAD]);
        head[..count].copy_from_slice(&written[..count]);
        mask[..count].fill(u8::MAX);
        Self { text: name.into(), written, head: words(head), mask: words(mask) }
    }

    /// Whether a text begins with it and a colon.
    fn begins(&self, text: &[u8]) -> bool {
        let Some(begin) = text.first_chunk::<HEAD>() else { return false };
        let [low, high] = words(*begin);
        low & self.mask[0] == self.head[0]
            && high & self.mask[1] == self.head[1]
            && (self.written.len() <= HEAD || text[HEAD..].starts_with(&self.written[HEAD..]))
    }

    /// In its quotes.
    fn quoted(&self) -> &[u8] {
        &self.written[..self.written.len() - 1]
    }
}

fn words(bytes: [u8; HEAD]) -> [u64; 2] {
    let both = u128::from_le_bytes(bytes);
    [both as u64, (both >> 64) as u64]
}

/// Patience at the start, and at most.
const PATIENCE: u32 = 256;

impl Flat {
    /// Knows no names yet.
    pub(super) fn new() -> Self {
        Self { names: Vec::new(), members: Vec::new(), patience: PATIENCE }
    }

    /// Learns the names of a sound object that was not taken apart here; whether they are other names than before.
    pub(super) fn learn(&mut self, members: &[(Cow<'_, str>, &RawValue)]) -> bool {
        self.patience = self.patience.saturating_sub(1);
        let is_known = self.names().eq(members.iter().map(|(name, _)| &**name));
        if is_known || self.patience == 0 {
            return false;
        }
        self.names = members.iter().map(|(name, _)| Name::new(name)).collect();
        // A name that is not written as it is can never be met.
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if !self.names().all(|name| name.bytes().all(is_plain)) {
            self.patience = 0;
        }
        true
    }

    /// The names that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &*name.text)
    }

    /// The members of an object; None where it is not as flat as that, or is no sound object at all.
    pub(super) fn members(&mut self, object: &str) -> Option<&[Member]> {
        if self.patience == 0 {
            return None;
        }
        self.take_apart(object.as_bytes())?;
        self.patience = (self.patience + 1).min(PATIENCE);
        Some(&self.members)
    }

    fn take_apart(&mut self, bytes: &[u8]) -> Option<()> {
        self.members.clear();
        let mut at = skip_space(bytes, 0);
        at = expect(bytes, at, b'{')?;
        let mut name = 0;
        loop {
            // Names only ever come later in the known order, so that none comes twice.
            let later = self.names.get(name..)?;
            match later.first() {
                Some(next) if next.begins(&bytes[at..]) => at += next.written.len(),
                _ => {
                    at = skip_space(bytes, at);
                    let rest = bytes.get(at..)?;
                    name += later.iter().position(|known| rest.starts_with(known.quoted()))?;
                    at = skip_space(bytes, at + self.names[name].quoted().len());
                    at = expect(bytes, at, b':')?;
                }
            }
            at = skip_space(bytes, at);
            let end = take_value(bytes, at, name, &mut self.members)?;
            name += 1;
            at = skip_space(bytes, end);
            match bytes.get(at)? {
                b',' => at += 1,
                b'}' if at + 1 == bytes.len() => return Some(()),
                _ => return None,
            }
        }
    }
}

#[inline]
fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

fn expect(bytes: &[u8], at: usize, wanted: u8) -> Option<usize> {
    (bytes.get(at) == Some(&wanted)).then_some(at + 1)
}

/// Takes the value at a place as a member; where it ends. It is written straight to where it stays: to hand it up through
/// the stack took longer than to find it.
#[inline]
fn take_value(bytes: &[u8], at: usize, name: usize, into: &mut Vec<Member>) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => {
            let end = text_end(bytes, at + 1)?;
            into.push(Member { name, range: at..end, value: Value::Text });
            Some(end)
        }
        b'-' | b'0'..=b'9' => take_number(bytes, at, name, into),
        _ => {
            let rest = &bytes[at..];
            let (value, length) = match rest {
                [b't', b'r', b'u', b'e', ..] => (Value::Boolean, 4),
                [b'f', b'a', b'l', b's', b'e', ..] => (Value::Boolean, 5),
                [b'n', b'u', b'l', b'l', ..] => (Value::Null, 4),
                _ => return None,
            };
            into.push(Member { name, range: at..at + length, value });
            Some(at + length)
        }
    }
}

/// After the quote that ends a text without escapes and control characters.
#[inline]
fn text_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // In each word the lowest mark is right; those above may be wrong, since a subtraction borrows upwards.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let found = quote | below(word ^ (ONES * u64::from(b'\\')), 1) | below(word, 0x20);
        if found != 0 {
            at += (found.trailing_zeros() / 8) as usize;
            return expect(bytes, at, b'"');
        }
        at += 8;
    }
    while *bytes.get(at)? >= b' ' && !matches!(bytes[at], b'"' | b'\\') {
        at += 1;
    }
    expect(bytes, at, b'"')
}

#[inline]
fn take_number(bytes: &[u8], start: usize, name: usize, into: &mut Vec<Member>) -> Option<usize> {
    const DIGITS_MAX: u32 = 18;
    let is_negative = bytes[start] == b'-';
    let whole_at = start + usize::from(is_negative);
    let (count, mut digits) = digits_at(&bytes[whole_at..]);
    if count == 0 || (count > 1 && bytes[whole_at] == b'0') {
        return None;
    }
    let whole = if digits == 0 { 0 } else { count };
    let mut at = whole_at + count as usize;
    let mut places = 0;
    if bytes.get(at) == Some(&b'.') {
        let (count, fraction) = digits_at(&bytes[at + 1..]);
        if count == 0 || count.saturating_add(whole) > DIGITS_MAX {
            return None;
        }
        places = count;
        at += 1 + count as usize;
        digits = digits * 10_u64.pow(places) + fraction;
    }
    let has_exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
    if has_exponent || count > DIGITS_MAX {
        return None;
    }
    let value = Value::Number(Number { is_negative, digits, whole, places });
    into.push(Member { name, range: start..at, value });
    Some(at)
}

/// How many digits a text begins with, and their number, where they are not more than 18.
#[inline]
fn digits_at(text: &[u8]) -> (u32, u64) {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let (mut count, mut number) = (0, 0_u64);
    if let Some(word) = text.first_chunk::<8>() {
        let word = u64::from_le_bytes(*word) ^ 0x3030_3030_3030_3030;
        // The lowest mark is right; those above may be wrong, since an addition carries upwards.
        let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & HIGH;
        count = others.trailing_zeros() / 8;
        if count == 0 {
            return (0, 0);
        }
        // The digits as the last of eight; then neighbours are put together, as tens, hundreds and ten thousands.
        let eight = word << (64 - 8 * count);
        let pairs = ((eight * 10) + (eight >> 8)) & 0x00FF_00FF_00FF_00FF;
        let fours = ((pairs * 100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
        number = ((fours * 10_000) + (fours >> 32)) & 0xFFFF_FFFF;
        if count < 8 {
            return (count, number);
        }
    }
    for digit in text[count as usize..].iter().take_while(|byte| byte.is_ascii_digit()) {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        count = count.saturating_add(1);
    }
    (count, number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::object;
    use super::*;

    proptest! {
        #[test]
        fn digits_are_read_as_the_standard_library_reads_them(digits in "[0-9]{0,18}", rest in "([./:a\u{80}é][0-9a]{0,9})?") {
            let text = format!("{digits}{rest}");
            let expected = (u32::try_from(digits.len()).unwrap(), digits.parse().unwrap_or(0));
            prop_assert_eq!(digits_at(text.as_bytes()), expected, "{}", text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn what_is_flat_is_what_the_parser_of_all_objects_sees(
            parts in prop::collection::vec(
                (
                    prop::sample::select(vec!["\"a\"", "\"b\"", "\"é\"", "\"c\" ", "\"a", "\"\\u0061\"", "\"aa\""]),
                    prop::sample::select(vec![
                        "null", "true", "false", " 1", "-0", "0.50", "-12.25 ", "01", "1.", "-", "1e3", "123456789012345678",
                        "1234567890123456789", "0.000000000000000001", "\"\"", "\"text\"", "\"a text of many bytes é\"", "\"\\n\"",
                        "\"\t\"", "\"12345678\u{7f}\"", "\"open", "{}", "[1]", "nul", "", "\"x\"1",
                    ]),
                ),
                0..5,
            ),
            end in prop::sample::select(vec!["}", "}", "}", " }", "", ",}", "}}"]),
        ) {
            let text = format!("{{{}{end}", parts.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(", "));
            let mut flat = Flat::new();
            let mut known = Vec::new();
            object(r#"{"a":1,"b":1,"aa":1,"é":1,"c":1}"#.as_bytes(), &mut known).unwrap();
            flat.learn(&known);
            let mut expected = Vec::new();
            let is_sound = object(text.as_bytes(), &mut expected);
            let names: Vec<String> = flat.names().map(str::to_owned).collect();
            if let Some(members) = flat.members(&text) {
                prop_assert_eq!(&is_sound, &Ok(()), "{}", text);
                prop_assert_eq!(members.len(), expected.len());
                for (member, (name, raw)) in members.iter().zip(&expected) {
                    prop_assert_eq!(&names[member.name], name);
                    prop_assert_eq!(&text[member.range.clone()], raw.get());
                }
            } else if is_sound.is_ok() {
                let is_hard = |(_, raw): &(_, &RawValue)| {
                    raw.get().starts_with(['{', '[']) || raw.get().contains(['\\', 'e', 'E']) || raw.get().len() > 18
                };
                let places: Vec<Option<usize>> =
                    expected.iter().map(|(name, _)| names.iter().position(|known| known == name)).collect();
                let is_other = !places.is_sorted() || text.contains("\\u0061");
                prop_assert!(expected.is_empty() || is_other || expected.iter().any(is_hard), "{}", text);
            }
        }
    }
}
