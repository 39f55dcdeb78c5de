//! Takes one JSON object apart into its members, checked to the last byte: syntax, UTF-8, duplicate names, depth.
//!
//! The checks go through nested values also where nobody asks for them, so that a row is readable or not whatever
//! columns are asked for.

use std::borrow::Cow;
use std::fmt;

use rustc_hash::FxHashSet;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Nesting beyond this is unreadable; a hostile document must not exhaust the stack.
const DEPTH_MAX: usize = 128;

/// Why a record is no sound object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The 1-based byte of the record.
    pub(super) byte: usize,
    /// What was seen and what was expected.
    pub(super) problem: String,
}

/// The members of an object, in order.
pub(super) type MembersOf<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Takes a record apart, with all checks.
///
/// # Errors
/// Where and why it is no sound object.
pub(super) fn object<'a>(bytes: &'a [u8], into: &mut MembersOf<'a>) -> Result<(), Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem { byte: error.valid_up_to() + 1, problem: "is not UTF-8".to_owned() })?;
    match text.bytes().next() {
        Some(b'{') => {}
        None => return Err(Problem { byte: 1, problem: "is empty, expected an object".to_owned() }),
        Some(_) => {
            let first = text.chars().next().unwrap_or_default().escape_default();
            let what = match serde_json::from_str::<&RawValue>(text) {
                Ok(value) => format!("is {}, expected an object", called(value.get())),
                Err(_) => format!("is no JSON: begins with `{first}`, expected `{{`"),
            };
            return Err(Problem { byte: 1, problem: what });
        }
    }
    members(text, into)?;
    check_members(text, into, 1)
}

/// What kind of value a text is, for messages.
fn called(raw: &str) -> &'static str {
    match raw.bytes().next() {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The members of an object as they stand, without a look into them.
///
/// # Errors
/// Where its syntax breaks.
pub(super) fn members<'a>(text: &'a str, into: &mut MembersOf<'a>) -> Result<(), Problem> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.deserialize_map(MemberVisitor { into }).and_then(|()| parser.end()).map_err(|error| syntax(text, &error))
}

/// The elements of an array as they stand.
///
/// # Errors
/// Where its syntax breaks.
pub(super) fn elements<'a>(text: &'a str, into: &mut Vec<&'a RawValue>) -> Result<(), Problem> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.deserialize_seq(ElementVisitor { into }).and_then(|()| parser.end()).map_err(|error| syntax(text, &error))
}

/// A text's value.
///
/// # Errors
/// Where an escape stands for no character.
pub(super) fn string(raw: &str) -> Result<Cow<'_, str>, Problem> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).map(Cow::Owned).map_err(|error| syntax(raw, &error))
}

fn syntax(text: &str, error: &serde_json::Error) -> Problem {
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    Problem {
        byte: (before + error.column()).max(1),
        problem: format!("is broken JSON: {}", said.replace("EOF", "it ends")),
    }
}

fn check_members(text: &str, members: &MembersOf<'_>, depth: usize) -> Result<(), Problem> {
    if let Some(twice) = duplicate(members) {
        let (name, value) = &members[twice];
        return Err(Problem {
            byte: offset(text, value.get()) + 1,
            problem: format!("has two members named `{name}`, expected each name once"),
        });
    }
    members.iter().try_for_each(|(_, value)| check_within(text, value, depth))
}

fn check_within(text: &str, value: &RawValue, depth: usize) -> Result<(), Problem> {
    check(value.get(), depth)
        .map_err(|problem| Problem { byte: offset(text, value.get()) + problem.byte, problem: problem.problem })
}

/// Checks what the syntax alone does not: escapes that stand for no character, duplicate names, depth.
fn check(raw: &str, depth: usize) -> Result<(), Problem> {
    match raw.bytes().next() {
        Some(b'"') => string(raw).map(drop),
        Some(b'{' | b'[') if depth >= DEPTH_MAX => {
            Err(Problem { byte: 1, problem: format!("is nested deeper than {DEPTH_MAX} levels, expected less") })
        }
        Some(b'{') => {
            let mut inner = Vec::new();
            members(raw, &mut inner)?;
            check_members(raw, &inner, depth + 1)
        }
        Some(b'[') => {
            let mut inner = Vec::new();
            elements(raw, &mut inner)?;
            inner.iter().try_for_each(|value| check_within(raw, value, depth + 1))
        }
        _ => Ok(()),
    }
}

/// Where a part of a text begins in it.
fn offset(text: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize)
}

/// The index of the first member whose name came before.
fn duplicate(members: &MembersOf<'_>) -> Option<usize> {
    const FEW: usize = 12;
    if members.len() <= FEW {
        return (1..members.len()).find(|index| members[..*index].iter().any(|(name, _)| *name == members[*index].0));
    }
    let mut seen = FxHashSet::with_capacity_and_hasher(members.len(), rustc_hash::FxBuildHasher);
    members.iter().position(|(name, _)| !seen.insert(&**name))
}

struct MemberVisitor<'m, 'a> {
    into: &'m mut MembersOf<'a>,
}

impl<'a> Visitor<'a> for MemberVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            self.into.push((name, map.next_value::<&'a RawValue>()?));
        }
        Ok(())
    }
}

/// A name, borrowed where it has no escapes.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

struct ElementVisitor<'m, 'a> {
    into: &'m mut Vec<&'a RawValue>,
}

impl<'a> Visitor<'a> for ElementVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(value) = sequence.next_element::<&'a RawValue>()? {
            self.into.push(value);
        }
        Ok(())
    }
}
