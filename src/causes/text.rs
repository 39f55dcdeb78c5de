//! Whether one text is another but for case, white space, Unicode form, encoding or length. Exact, and by the very
//! functions that the contract's options use.

use encoding_rs::WINDOWS_1252;

use crate::contract::{Trim, UnicodeForm};
use crate::normalise::{collapsed, in_form, without_case, without_ends};

/// Which white space parts two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spaces {
    /// At the ends.
    Ends,
    /// Runs of it within.
    Inner,
    /// Both.
    EndsAndInner,
    /// One has none where the other has some.
    Removed,
}

/// How a text was garbled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Garbled {
    /// UTF-8 was read as ISO 8859-1.
    Latin1,
    /// UTF-8 was read as Windows-1252.
    Windows1252,
    /// What is not ASCII became a question mark or U+FFFD.
    Lost,
}

/// Whether two unlike texts are equal under `case = "ignore"`.
pub(super) fn same_but_case(one: &str, two: &str) -> bool {
    if one.is_ascii() && two.is_ascii() {
        return one.eq_ignore_ascii_case(two);
    }
    without_case(one) == without_case(two)
}

/// Which white space parts them, if that alone does.
pub(super) fn same_but_spaces(one: &str, two: &str) -> Option<Spaces> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if plain(one) && plain(two) {
        return None;
    }
    let solid = |text: &str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>();
    let ends = |text| without_ends(text, Trim::Both);
    if one.chars().find(|first| !first.is_whitespace()) != two.chars().find(|first| !first.is_whitespace()) {
        return None;
    }
    if ends(one) == ends(two) {
        return Some(Spaces::Ends);
    }
    let (inner_one, inner_two) = (collapsed(one), collapsed(two));
    if inner_one == inner_two {
        return Some(Spaces::Inner);
    }
    if ends(&inner_one) == ends(&inner_two) {
        return Some(Spaces::EndsAndInner);
    }
    (solid(one) == solid(two)).then_some(Spaces::Removed)
}

/// Whether they are equal in a normalization form: `Some(false)` in a canonical one, `Some(true)` only in a compatible one.
pub(super) fn same_but_unicode(one: &str, two: &str) -> Option<bool> {
    if one.is_ascii() && two.is_ascii() {
        return None;
    }
    if in_form(one, UnicodeForm::Nfc) == in_form(two, UnicodeForm::Nfc) {
        return Some(false);
    }
    (in_form(one, UnicodeForm::Nfkc) == in_form(two, UnicodeForm::Nfkc)).then_some(true)
}

/// How `changed` comes of `whole` by an encoding that was not the right one.
pub(super) fn garbled(whole: &str, changed: &str) -> Option<Garbled> {
    if whole.is_ascii() {
        return None;
    }
    let latin1 = |byte: u8| char::from(byte);
    if whole.bytes().map(latin1).eq(changed.chars()) {
        return Some(Garbled::Latin1);
    }
    if changed.len() > whole.len() && WINDOWS_1252.decode_without_bom_handling(whole.as_bytes()).0 == changed {
        return Some(Garbled::Windows1252);
    }
    let lost = |(from, to): (char, char)| from == to || (!from.is_ascii() && matches!(to, '?' | '\u{fffd}'));
    (whole.chars().count() == changed.chars().count() && whole.chars().zip(changed.chars()).all(lost))
        .then_some(Garbled::Lost)
}

/// Cuts that are shorter are codes, not texts that were cut; longer ones are not looked at.
const CUT: std::ops::RangeInclusive<u32> = 3..=512;

/// At how many characters `whole` was cut to give `short`.
pub(super) fn cut(whole: &str, short: &str) -> Option<u32> {
    if short.len() >= whole.len() || !whole.starts_with(short) {
        return None;
    }
    let characters = u32::try_from(short.chars().count()).ok()?;
    CUT.contains(&characters).then_some(characters)
}
