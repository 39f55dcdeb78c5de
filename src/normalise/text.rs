//! The options that act on text, in their fixed order: unicode, spaces, trim, case, `null_equals`, translate. Each does
//! exactly what it names; without options a text passes untouched. It never uses a locale and never guesses.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use unicode_casefold::{Locale, UnicodeCaseFold, Variant};
use unicode_normalization::{UnicodeNormalization, is_nfc_quick, is_nfd_quick, is_nfkc_quick, is_nfkd_quick};

use crate::contract::{CsvOptions, Options, Trim, UnicodeForm};

/// The text options of one side of an attribute, prepared.
#[derive(Clone, Debug, Default)]
pub(super) struct TextRules {
    unicode: Option<UnicodeForm>,
    collapse_spaces: bool,
    trim: Option<Trim>,
    ignore_case: bool,
    null_equals: BTreeSet<String>,
    translate: Option<BTreeMap<String, String>>,
}

impl TextRules {
    /// Prepares the options. What texts are compared with (`null_equals`, both ends of `translate`) is treated with the
    /// same options, or an option could never meet a text that another option has changed.
    #[must_use]
    pub(super) fn new(options: &Options, translates: bool) -> Self {
        let mut rules = Self {
            unicode: options.unicode,
            collapse_spaces: options.collapse_spaces,
            trim: options.trim,
            ignore_case: options.ignore_case,
            ..Self::default()
        };
        rules.null_equals = options.null_equals.iter().map(|text| rules.fold(text).into_owned()).collect();
        if let Some(map) = options.translate.as_deref().filter(|_| translates) {
            let pair = |(from, to): (&String, &String)| (rules.fold(from).into_owned(), rules.fold(to).into_owned());
            rules.translate = Some(map.iter().map(pair).collect());
        }
        rules
    }

    /// Two keys of `translate` that are alike under the other options but stand for different values.
    #[must_use]
    pub(super) fn contradiction<'o>(&self, options: &'o Options) -> Option<(&'o str, &'o str)> {
        let mut seen = std::collections::BTreeMap::new();
        for (from, to) in options.translate.as_deref()? {
            let (earlier, value) = *seen.entry(self.fold(from)).or_insert((from, to));
            if self.fold(value) != self.fold(to) {
                return Some((earlier, from));
            }
        }
        None
    }

    /// Only the translation of these rules, for texts that stand for values of another type.
    #[must_use]
    pub(super) fn only_translate(&self) -> Self {
        Self { translate: self.translate.clone(), ..Self::default() }
    }

    /// Whether every text passes untouched.
    #[must_use]
    pub(super) fn is_identity(&self) -> bool {
        self.changes_nothing() && self.null_equals.is_empty() && self.translate.is_none()
    }

    /// Whether some texts stand for NULL.
    #[must_use]
    pub(super) fn has_null_equals(&self) -> bool {
        !self.null_equals.is_empty()
    }

    /// Whether a value's written form stands for NULL.
    #[must_use]
    pub(super) fn stands_for_null(&self, written: &str) -> bool {
        self.null_equals.contains(self.fold(written).as_ref())
    }

    fn changes_nothing(&self) -> bool {
        self.unicode.is_none() && !self.collapse_spaces && self.trim.is_none() && !self.ignore_case
    }

    /// A text after all options; None: it stands for NULL.
    #[must_use]
    pub(super) fn apply<'a>(&'a self, text: &'a str) -> Option<Cow<'a, str>> {
        let folded = self.fold(text);
        if self.null_equals.contains(folded.as_ref()) {
            return None;
        }
        match self.translate.as_ref().and_then(|map| map.get(folded.as_ref())) {
            Some(translated) => Some(Cow::Borrowed(translated)),
            None => Some(folded),
        }
    }

    /// A text after unicode, spaces, trim and case.
    #[must_use]
    pub(super) fn fold<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.changes_nothing() {
            return Cow::Borrowed(text);
        }
        let mut text = match self.unicode {
            Some(form) => normal_form(text, form),
            None => Cow::Borrowed(text),
        };
        if self.collapse_spaces && needs_collapse(&text) {
            text = Cow::Owned(collapse(&text));
        }
        if let Some(trim) = self.trim {
            text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(trimmed(text, trim)),
                Cow::Owned(text) => Cow::Owned(trimmed(&text, trim).to_owned()),
            };
        }
        if self.ignore_case {
            text = fold_case(text);
        }
        text
    }

    /// A document after trim and `null_equals` alone: what JSON takes before it is read. Its strings take `fold`.
    #[must_use]
    pub(super) fn apply_to_document<'a>(&self, text: &'a str) -> Option<&'a str> {
        let text = self.trim.map_or(text, |trim| trimmed(text, trim));
        if self.null_equals.is_empty() || !self.null_equals.contains(self.fold(text).as_ref()) {
            Some(text)
        } else {
            None
        }
    }
}

/// A text without the white space at its ends.
pub(super) fn trimmed(text: &str, trim: Trim) -> &str {
    // `char::is_whitespace`, on which these stand, is Unicode White_Space.
    match trim {
        Trim::Left => text.trim_start(),
        Trim::Right => text.trim_end(),
        Trim::Both => text.trim(),
    }
}

/// A text in a normalization form.
pub(super) fn normal_form(text: &str, form: UnicodeForm) -> Cow<'_, str> {
    use unicode_normalization::IsNormalized::Yes;
    let already = text.is_ascii()
        || match form {
            UnicodeForm::Nfc => is_nfc_quick(text.chars()) == Yes,
            UnicodeForm::Nfd => is_nfd_quick(text.chars()) == Yes,
            UnicodeForm::Nfkc => is_nfkc_quick(text.chars()) == Yes,
            UnicodeForm::Nfkd => is_nfkd_quick(text.chars()) == Yes,
        };
    if already {
        return Cow::Borrowed(text);
    }
    Cow::Owned(match form {
        UnicodeForm::Nfc => text.nfc().collect(),
        UnicodeForm::Nfd => text.nfd().collect(),
        UnicodeForm::Nfkc => text.nfkc().collect(),
        UnicodeForm::Nfkd => text.nfkd().collect(),
    })
}

fn needs_collapse(text: &str) -> bool {
    let mut after_space = false;
    text.chars().any(|character| {
        let space = character.is_whitespace();
        let found = space && (after_space || character != ' ');
        after_space = space;
        found
    })
}

/// A text with one space for each run of white space.
pub(super) fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_space = false;
    for character in text.chars() {
        let space = character.is_whitespace();
        if !space {
            out.push(character);
        } else if !after_space {
            out.push(' ');
        }
        after_space = space;
    }
    out
}

/// A text under full default case folding.
pub(super) fn fold_case(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() {
        if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return text;
        }
        let mut owned = text.into_owned();
        owned.make_ascii_lowercase();
        return Cow::Owned(owned);
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let start = out.len();
        out.extend(character.case_fold_with(Variant::Full, Locale::NonTurkic));
        // The folding tables are of Unicode 9; letters that came later fold to their lower case. Cherokee folds to
        // upper case and was there already.
        let cherokee = ('\u{13a0}'..='\u{13fd}').contains(&character);
        if !cherokee && out[start..].chars().eq([character]) && character.is_uppercase() {
            out.truncate(start);
            out.extend(character.to_lowercase());
        }
    }
    Cow::Owned(out)
}

/// How the texts of one side stand for values of other types, from its source's `csv` options.
#[derive(Clone, Debug)]
pub(super) struct Spelling {
    /// The decimal separator.
    pub decimal: char,
    /// strptime pattern of dates.
    pub date_format: Option<String>,
    /// strptime pattern of timestamps.
    pub timestamp_format: Option<String>,
    true_texts: Vec<String>,
    false_texts: Vec<String>,
}

impl Default for Spelling {
    fn default() -> Self {
        Self { decimal: '.', date_format: None, timestamp_format: None, true_texts: vec![], false_texts: vec![] }
    }
}

impl Spelling {
    /// Takes over the `csv` options; its texts are treated with the text options, as the values are.
    #[must_use]
    pub(super) fn new(csv: &CsvOptions, rules: &TextRules) -> Self {
        let fold = |texts: &[String]| texts.iter().map(|text| rules.fold(text).into_owned()).collect();
        Self {
            decimal: csv.decimal,
            date_format: csv.date_format.clone(),
            timestamp_format: csv.timestamp_format.clone(),
            true_texts: fold(&csv.true_texts),
            false_texts: fold(&csv.false_texts),
        }
    }

    /// What a text says as a boolean: the texts of `csv.true` and `csv.false` where they are given, else `true` and
    /// `false` in any letter case.
    #[must_use]
    pub(super) fn boolean(&self, text: &str) -> Option<bool> {
        let means = |texts: &[String], word: &str| {
            if texts.is_empty() { text.eq_ignore_ascii_case(word) } else { texts.iter().any(|one| one == text) }
        };
        match (means(&self.true_texts, "true"), means(&self.false_texts, "false")) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str, set: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        set(&mut options);
        TextRules::new(&options, true).apply(text).map_or_else(|| "NULL".to_owned(), Cow::into_owned)
    }

    #[test]
    fn trim_and_collapse_act_on_unicode_white_space() {
        assert_eq!(folded("\u{a0}\u{2003} a b\u{3000}", |options| options.trim = Some(Trim::Both)), "a b");
        assert_eq!(folded(" a ", |options| options.trim = Some(Trim::Left)), "a ");
        assert_eq!(folded(" a ", |options| options.trim = Some(Trim::Right)), " a");
        assert_eq!(folded("a\u{a0}\t\u{2003}b\nc", |options| options.collapse_spaces = true), "a b c");
        assert_eq!(folded("a\u{200b}b", |options| options.collapse_spaces = true), "a\u{200b}b");
    }

    #[test]
    fn case_folds_fully_and_without_a_locale() {
        let ignore = |options: &mut Options| options.ignore_case = true;
        for (text, expected) in [
            ("STRASSE", "strasse"),
            ("Straße", "strasse"),
            ("ẞ", "ss"),
            ("ΣΑΣς", "σασσ"),
            ("İ", "i\u{307}"),
            ("I", "i"),
            ("ﬁ", "fi"),
            ("\u{ab70}", "\u{13a0}"),
            ("\u{13a0}", "\u{13a0}"),
            ("\u{1c90}", "\u{10d0}"),
        ] {
            assert_eq!(folded(text, ignore), expected, "{text}");
        }
    }

    #[test]
    fn options_act_in_their_order() {
        let all = |options: &mut Options| {
            options.unicode = Some(UnicodeForm::Nfc);
            options.trim = Some(Trim::Both);
            options.ignore_case = true;
            options.null_equals = vec!["N/A".to_owned()];
            let map = [("BOUND".to_owned(), "Active".to_owned())];
            options.translate = Some(std::sync::Arc::new(map.into()));
        };
        assert_eq!(folded(" n/a ", all), "NULL");
        assert_eq!(folded(" bound ", all), "active");
        assert_eq!(folded("e\u{301}", all), "é");
        assert_eq!(folded("other", all), "other");
    }

    #[test]
    fn booleans_are_read_as_the_source_writes_them() {
        let plain = Spelling::default();
        assert_eq!(plain.boolean("True"), Some(true));
        assert_eq!(plain.boolean("FALSE"), Some(false));
        assert_eq!(plain.boolean("1"), None);
        let csv =
            CsvOptions { true_texts: vec!["J".to_owned()], false_texts: vec!["N".to_owned()], ..CsvOptions::default() };
        let given = Spelling::new(&csv, &TextRules::default());
        assert_eq!(given.boolean("J"), Some(true));
        assert_eq!(given.boolean("true"), None);
    }
}
