//! An action as a plan's line holds it, every digit kept. It reads JSON and decides nothing.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A value as a plan holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// NULL.
    Null,
    /// true or false.
    Bool(bool),
    /// A number with all its digits.
    Number(String),
    /// A text.
    Text(String),
    /// A digest of a value that the plan does not hold.
    Personal(String),
    /// A list or an object, of which no single value is made.
    Nested,
}

impl Given {
    /// As text, None for NULL and for what is not told.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null | Self::Personal(_) | Self::Nested => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Number(text) | Self::Text(text) => Some(text.clone()),
        }
    }

    pub(super) fn read(raw: &RawValue) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Digest {
            pii: String,
        }
        let text = raw.get().trim();
        let first = text.as_bytes().first().copied().unwrap_or(b' ');
        match first {
            b'n' => Ok(Self::Null),
            b't' | b'f' => Ok(Self::Bool(text == "true")),
            b'"' => serde_json::from_str(text).map(Self::Text).map_err(|error| error.to_string()),
            b'{' => Ok(serde_json::from_str::<Digest>(text).map_or(Self::Nested, |digest| Self::Personal(digest.pii))),
            b'[' => Ok(Self::Nested),
            _ => Ok(Self::Number(text.to_owned())),
        }
    }
}

/// Attributes with their values, in the order of the line.
pub type Members = Vec<(String, Given)>;

/// A repair action.
#[derive(Clone, Debug)]
pub struct Action {
    /// See `plan::Action`.
    pub id: String,
    /// The contract.
    pub contract: String,
    /// The kind's name.
    pub kind: String,
    /// `insert`, `update`, `delete`, `replay`, `review`.
    pub op: String,
    /// The key as JSON text.
    pub key_text: String,
    /// The key; what the guard says of its spelling is taken already.
    pub key: Members,
    /// What was seen.
    pub before: Option<Members>,
    /// What ought to be.
    pub after: Option<Members>,
    /// `safe`, `review`, `manual`.
    pub safety: String,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
struct Wire {
    action_id: String,
    contract: String,
    kind: String,
    op: String,
    key: Box<RawValue>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    guard: Option<WireGuard>,
    safety: String,
    reason: String,
}

#[derive(Deserialize)]
struct WireGuard {
    key: Option<Box<RawValue>>,
}

impl Action {
    /// Reads a line of `plan.ndjson`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, String> {
        let wire: Wire = serde_json::from_str(line).map_err(|error| format!("not an action: {error}"))?;
        let object = |raw: Option<Box<RawValue>>| raw.map(|raw| members(&raw)).transpose();
        let spelled = wire.guard.and_then(|guard| guard.key);
        Ok(Self {
            id: wire.action_id,
            contract: wire.contract,
            kind: wire.kind,
            op: wire.op,
            key_text: wire.key.get().to_owned(),
            key: members(spelled.as_deref().unwrap_or(&wire.key))?,
            before: object(wire.before)?,
            after: object(wire.after)?,
            safety: wire.safety,
            reason: wire.reason,
        })
    }

    /// The attributes that it writes or removes.
    pub fn attributes(&self) -> BTreeSet<&str> {
        self.before.iter().chain(&self.after).flatten().map(|(name, _)| name.as_str()).collect()
    }

    /// Whether the plan holds a digest in place of one of its values.
    #[must_use]
    pub fn is_personal(&self) -> bool {
        let all = self.key.iter().chain(self.before.iter().flatten()).chain(self.after.iter().flatten());
        all.into_iter().any(|(_, value)| matches!(value, Given::Personal(_)))
    }
}

fn members(raw: &RawValue) -> Result<Members, String> {
    struct Ordered(Vec<(String, Box<RawValue>)>);
    impl<'de> Deserialize<'de> for Ordered {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visit;
            impl<'de> serde::de::Visitor<'de> for Visit {
                type Value = Ordered;
                fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    formatter.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                    let mut members = Vec::new();
                    while let Some(member) = map.next_entry::<String, Box<RawValue>>()? {
                        members.push(member);
                    }
                    Ok(Ordered(members))
                }
            }
            deserializer.deserialize_map(Visit)
        }
    }
    let Ordered(all) = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    all.into_iter().map(|(name, value)| Ok((name, Given::read(&value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_every_digit_and_every_character() {
        let action = Action::parse(concat!(
            r#"{"action_id":"a","contract":"c","kind":"mismatch","op":"update","key":{"id":12345678901234567890123},"#,
            r#""before":{"x":"a\u0000\"'","y":null,"z":true},"after":{"x":{"pii":"00"},"y":-1,"z":false},"#,
            r#""guard":{"row":"present","key":{"id":"0012"},"values":{}},"safety":"safe","reason":"r"}"#
        ))
        .unwrap();
        assert_eq!(action.key, [("id".to_owned(), Given::Text("0012".to_owned()))]);
        assert_eq!(action.key_text, r#"{"id":12345678901234567890123}"#);
        assert_eq!(action.before.as_ref().unwrap()[0].1, Given::Text("a\0\"'".to_owned()));
        assert_eq!(action.after.as_ref().unwrap()[1].1, Given::Number("-1".to_owned()));
        assert!(action.is_personal());
        assert!(Action::parse("{}").is_err());
        let nested = Action::parse(concat!(
            r#"{"action_id":"a","contract":"c","kind":"missing","op":"insert","key":{"id":1},"before":null,"#,
            r#""after":{"l":[1,2],"o":{"a":1}},"guard":null,"safety":"safe","reason":"r"}"#
        ))
        .unwrap();
        let values: Vec<&Given> = nested.after.as_ref().unwrap().iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&Given::Nested, &Given::Nested], "one of them keeps no other action from being done");
    }
}
