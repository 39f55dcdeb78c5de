//! JSON documents: read strictly (RFC 8259, no member twice), compared with objects without order, arrays with order and
//! numbers at their exact value. It never takes a number through a float and never reads a document half.
//!
//! # Canonical bytes
//!
//! Two documents are equal exactly where these bytes are equal. Lengths and counts are `u64`, big endian.
//!
//! ```text
//! absent member   41 'A'       (no document at all: a member that its object lacks)
//! null            4e 'N'
//! false, true     46 'F', 54 'T'
//! number          30 '0' | length | canonical bytes of `number`
//! string          53 'S' | length | UTF-8
//! array           5b '[' | count  | elements in order
//! object          7b '{' | count  | members by name: length | name | value
//! ```

use super::number::Number;
use super::text::TextRules;

/// How deep a document may nest; beyond it, it does not parse.
const DEPTH_LIMIT: usize = 128;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// A member that its object lacks.
    Absent,
    /// `null`
    Null,
    /// `true`, `false`
    Boolean(bool),
    /// At its exact value.
    Number(Number),
    /// A string.
    Text(String),
    /// Elements in order.
    Array(Vec<Json>),
    /// Members sorted by name, each name once.
    Object(Vec<(String, Json)>),
}

/// Reads one document; None where it is not JSON, has a member twice, or nests deeper than 128 levels.
#[must_use]
pub(super) fn parse(text: &str) -> Option<Json> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes()).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        match self.peek()? {
            b'n' => self.word("null", Json::Null),
            b't' => self.word("true", Json::Boolean(true)),
            b'f' => self.word("false", Json::Boolean(false)),
            b'"' => self.string().map(Json::Text),
            b'[' => self.array(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut elements = Vec::new();
        self.space();
        if self.take(b']') {
            return Some(Json::Array(elements));
        }
        loop {
            self.space();
            elements.push(self.value(depth + 1)?);
            self.space();
            if self.take(b']') {
                return Some(Json::Array(elements));
            }
            self.take(b',').then_some(())?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.at += 1;
        let mut members = Vec::new();
        self.space();
        if self.take(b'}') {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = if self.peek() == Some(b'"') { self.string()? } else { return None };
            self.space();
            self.take(b':').then_some(())?;
            self.space();
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take(b'}') {
                return object(members);
            }
            self.take(b',').then_some(())?;
        }
    }

    fn number(&mut self) -> Option<Json> {
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'))
            .count();
        let text = &self.text[self.at..self.at + length];
        // JSON is stricter than the usual spellings: no leading plus or zero, digits on both sides of the point.
        let unsigned = text.strip_prefix('-').unwrap_or(text).as_bytes();
        let whole = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let point_without_digit =
            unsigned.get(whole) == Some(&b'.') && !unsigned.get(whole + 1).is_some_and(u8::is_ascii_digit);
        if whole == 0 || (whole > 1 && unsigned[0] == b'0') || point_without_digit {
            return None;
        }
        let number = Number::parse(text, '.')?;
        self.at += length;
        Some(Json::Number(number))
    }

    fn string(&mut self) -> Option<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let end = rest.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
            out.push_str(&rest[..end]);
            self.at += end + 1;
            match rest.as_bytes()[end] {
                b'"' => return Some(out),
                b'\\' => out.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                (self.take(b'\\') && self.take(b'u')).then_some(())?;
                let second = self.hex().filter(|second| (0xdc00..0xe000).contains(second))?;
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        let value = digits.iter().try_fold(0, |sum, byte| Some(sum * 16 + char::from(*byte).to_digit(16)?))?;
        self.at += 4;
        Some(value)
    }
}

/// An object of these members; None where a name occurs twice.
#[must_use]
pub(super) fn object(mut members: Vec<(String, Json)>) -> Option<Json> {
    members.sort_by(|one, two| one.0.cmp(&two.0));
    let twice = members.windows(2).any(|pair| pair[0].0 == pair[1].0);
    (!twice).then_some(Json::Object(members))
}

/// Treats every string with the text options; names of members stay.
pub(super) fn fold_strings(json: &mut Json, rules: &TextRules) {
    match json {
        Json::Text(text) => *text = rules.fold(text).into_owned(),
        Json::Array(elements) => elements.iter_mut().for_each(|element| fold_strings(element, rules)),
        Json::Object(members) => members.iter_mut().for_each(|(_, value)| fold_strings(value, rules)),
        Json::Absent | Json::Null | Json::Boolean(_) | Json::Number(_) => {}
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends the canonical bytes.
pub(super) fn write_canonical(json: &Json, out: &mut Vec<u8>) {
    match json {
        Json::Absent => out.push(b'A'),
        Json::Null => out.push(b'N'),
        Json::Boolean(value) => out.push(if *value { b'T' } else { b'F' }),
        Json::Number(number) => {
            let mut bytes = Vec::with_capacity(24);
            number.write_canonical(&mut bytes);
            out.push(b'0');
            write_bytes(&bytes, out);
        }
        Json::Text(text) => {
            out.push(b'S');
            write_bytes(text.as_bytes(), out);
        }
        Json::Array(elements) => {
            out.push(b'[');
            out.extend_from_slice(&(elements.len() as u64).to_be_bytes());
            for element in elements {
                write_canonical(element, out);
            }
        }
        Json::Object(members) => {
            out.push(b'{');
            out.extend_from_slice(&(members.len() as u64).to_be_bytes());
            for (name, value) in members {
                write_bytes(name.as_bytes(), out);
                write_canonical(value, out);
            }
        }
    }
}

fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    usize::try_from(u64::from_be_bytes(*length)).ok()
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_length(bytes)?;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(bytes)?.to_vec()).ok()
}

/// Reads canonical bytes back.
#[must_use]
pub(super) fn from_canonical(mut bytes: &[u8]) -> Option<Json> {
    take_canonical(&mut bytes)
}

fn take_canonical(bytes: &mut &[u8]) -> Option<Json> {
    let (tag, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match tag {
        b'A' => Json::Absent,
        b'N' => Json::Null,
        b'F' => Json::Boolean(false),
        b'T' => Json::Boolean(true),
        b'0' => Json::Number(Number::from_canonical(take_bytes(bytes)?)?),
        b'S' => Json::Text(take_text(bytes)?),
        b'[' => {
            let count = take_length(bytes)?;
            Json::Array((0..count).map(|_| take_canonical(bytes)).collect::<Option<_>>()?)
        }
        b'{' => {
            let count = take_length(bytes)?;
            let member = |_| Some((take_text(bytes)?, take_canonical(bytes)?));
            Json::Object((0..count).map(member).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// Appends a string as JSON writes it.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Appends the document as text without spaces; an absent member is the empty text.
pub(super) fn write_text(json: &Json, out: &mut String) {
    match json {
        Json::Absent => {}
        Json::Null => out.push_str("null"),
        Json::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) if number.is_finite() => out.push_str(&number.to_string()),
        Json::Number(number) => write_string(&number.to_string(), out),
        Json::Text(text) => write_string(text, out),
        Json::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(element, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(name, out);
                out.push(':');
                write_text(value, out);
            }
            out.push('}');
        }
    }
}

/// The document as text.
#[must_use]
pub(super) fn text(json: &Json) -> String {
    let mut out = String::new();
    write_text(json, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_canonical(&parse(text).unwrap_or_else(|| panic!("`{text}` is JSON")), &mut out);
        out
    }

    #[test]
    fn documents_compare_by_value() {
        for (one, two) in [
            (r#"{"a":1,"b":[1,2]}"#, r#" { "b" : [ 1.0 , 2e0 ] , "a" : 10e-1 } "#),
            (r#""A\u00e9\ud83d\ude00\/""#, "\"Aé😀/\""),
            ("-0", "0"),
            ("12345678901234567890123456789012345678901", "12345678901234567890123456789012345678901.0"),
        ] {
            assert_eq!(canonical(one), canonical(two), "{one} and {two}");
        }
        for (one, two) in [
            ("[1,2]", "[2,1]"),
            ("{}", r#"{"a":null}"#),
            ("null", r#""null""#),
            ("1", r#""1""#),
            ("[[],[]]", "[[[]]]"),
            ("9007199254740992", "9007199254740993"),
            (r#"{"a":"b"}"#, r#"["a","b"]"#),
        ] {
            assert_ne!(canonical(one), canonical(two), "{one} and {two}");
        }
    }

    #[test]
    fn what_is_not_json_does_not_parse() {
        for text in [
            "",
            " ",
            "nul",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "+1",
            ".5",
            "5.",
            "1e",
            "NaN",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\n\"",
            "1 2",
            "{\"a\":1,\"a\":1}",
            "-",
            "1.e5",
            "\u{a0}1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }

    #[test]
    fn canonical_bytes_read_back_as_text() {
        let text_of = |text: &str| super::text(&from_canonical(&canonical(text)).unwrap());
        assert_eq!(text_of(r#"{"b":[1.50,"x\ny",null],"a":{"c":true}}"#), r#"{"a":{"c":true},"b":[1.5,"x\ny",null]}"#);
    }
}
