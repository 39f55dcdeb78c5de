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
    /// Digits before the point.
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
    names: Vec<Box<str>>,
    /// The names in their quotes.
    quoted: Vec<Box<[u8]>>,
    members: Vec<Member>,
    /// How often objects may still be unlike before none is tried any more.
    patience: u32,
}

/// Patience at the start, and at most.
const PATIENCE: u32 = 256;

impl Flat {
    /// Knows no names yet.
    pub(super) fn new() -> Self {
        Self { names: Vec::new(), quoted: Vec::new(), members: Vec::new(), patience: PATIENCE }
    }

    /// Learns the names of a sound object that was not taken apart here; whether they are other names than before.
    pub(super) fn learn(&mut self, members: &[(Cow<'_, str>, &RawValue)]) -> bool {
        self.patience = self.patience.saturating_sub(1);
        let is_known = self.names.iter().map(|name| &**name).eq(members.iter().map(|(name, _)| &**name));
        if is_known || self.patience == 0 {
            return false;
        }
        self.names = members.iter().map(|(name, _)| Box::from(&**name)).collect();
        self.quoted = self.names.iter().map(|name| format!("\"{name}\"").into_bytes().into()).collect();
        // A name that is not written as it is can never be met.
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if !self.names.iter().all(|name| name.bytes().all(is_plain)) {
            self.patience = 0;
        }
        true
    }

    /// The names that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
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
            at = skip_space(bytes, at);
            let rest = bytes.get(at..)?;
            // Names only ever come later in the known order, so that none comes twice.
            name += self.quoted.get(name..)?.iter().position(|known| rest.starts_with(known))?;
            at = skip_space(bytes, at + self.quoted[name].len());
            at = skip_space(bytes, expect(bytes, at, b':')?);
            let (value, end) = value(bytes, at)?;
            self.members.push(Member { name, range: at..end, value });
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

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

fn expect(bytes: &[u8], at: usize, wanted: u8) -> Option<usize> {
    (bytes.get(at) == Some(&wanted)).then_some(at + 1)
}

/// The value at a place, and where it ends.
fn value(bytes: &[u8], at: usize) -> Option<(Value, usize)> {
    match bytes.get(at)? {
        b'"' => Some((Value::Text, text_end(bytes, at + 1)?)),
        b'-' | b'0'..=b'9' => number(bytes, at),
        _ => {
            let word = |word: &[u8], value| bytes[at..].starts_with(word).then_some((value, at + word.len()));
            word(b"true", Value::Boolean)
                .or_else(|| word(b"false", Value::Boolean))
                .or_else(|| word(b"null", Value::Null))
        }
    }
}

/// After the quote that ends a text without escapes and control characters.
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

fn number(bytes: &[u8], start: usize) -> Option<(Value, usize)> {
    const DIGITS_MAX: u32 = 18;
    let is_negative = bytes[start] == b'-';
    let whole_at = start + usize::from(is_negative);
    let (mut at, mut digits) = (whole_at, 0_u64);
    let take_digits = |at: &mut usize, digits: &mut u64| -> u32 {
        let first = *at;
        while let Some(digit) = bytes.get(*at).filter(|byte| byte.is_ascii_digit()) {
            // What wraps has more digits than are taken, and is given up below.
            *digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            *at += 1;
        }
        u32::try_from(*at - first).unwrap_or(u32::MAX)
    };
    let whole = take_digits(&mut at, &mut digits);
    if whole == 0 || (whole > 1 && bytes[whole_at] == b'0') {
        return None;
    }
    let mut places = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        places = take_digits(&mut at, &mut digits);
        if places == 0 {
            return None;
        }
    }
    let has_exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
    if has_exponent || whole.saturating_add(places) > DIGITS_MAX {
        return None;
    }
    Some((Value::Number(Number { is_negative, digits, whole, places }), at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::object;
    use super::*;

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
