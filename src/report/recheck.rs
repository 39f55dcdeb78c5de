//! What a second look made of the differences: the sentence of text and Markdown, and the record of JSON and manifest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::escape::{count, counted};
use crate::audit::{ContractAudit, Look, SecondLook};
use crate::sides::Sides;

/// The sentence; None where no second look was asked for, or nothing differed.
pub(super) fn told(contract: &ContractAudit) -> Option<String> {
    let second = contract.second_look.as_ref()?;
    let because = second.because.as_ref().map(|because| format!("; {because}")).unwrap_or_default();
    if second.looks.is_empty() {
        return second.because.as_ref().map(|because| format!("none was taken: {because}"));
    }
    let instants: Vec<String> = second.looks.iter().filter_map(instant).map(|instant| instant.to_string()).collect();
    let at = if instants.is_empty() { String::new() } else { format!(" (read at {})", instants.join(", ")) };
    let left = match second.left {
        0 => String::new(),
        left => format!("; {} more were not looked at again and stand as they were first read", counted(left, "key")),
    };
    Some(format!(
        "{} at {} that differed{at}: {} agreed by then and are in flight, {} kept changing and are unstable, {} stand{left}{because}",
        counted(second.looks.len() as u64, "look"),
        counted(second.keys, "key"),
        count(second.settled),
        count(second.unstable),
        count(second.standing()),
    ))
}

/// When a look was taken: the later of both sides.
fn instant(look: &Look) -> Option<Timestamp> {
    look.read_at.authority.max(look.read_at.projection)
}

/// As JSON.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct SecondLookRecord {
    keys: u64,
    settled: u64,
    unstable: u64,
    standing: u64,
    not_looked_at: u64,
    looks: Vec<LookRecord>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    files_replaced: bool,
    because: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct LookRecord {
    authority_read_at: Option<String>,
    projection_read_at: Option<String>,
    keys: u64,
    settled: u64,
}

impl SecondLookRecord {
    pub(crate) fn of(second: &SecondLook) -> Self {
        let look = |look: &Look| LookRecord {
            authority_read_at: look.read_at.authority.map(|at| at.to_string()),
            projection_read_at: look.read_at.projection.map(|at| at.to_string()),
            keys: look.keys,
            settled: look.settled,
        };
        Self {
            keys: second.keys,
            settled: second.settled,
            unstable: second.unstable,
            standing: second.standing(),
            not_looked_at: second.left,
            looks: second.looks.iter().map(look).collect(),
            files_replaced: second.replaced,
            because: second.because.clone(),
        }
    }

    pub(crate) fn into_facts(self) -> Result<SecondLook, String> {
        let instant = |text: Option<String>| {
            let parsed = text.map(|text| text.parse::<Timestamp>().map_err(|_| format!("`{text}` is not an instant")));
            parsed.transpose()
        };
        let look = |look: LookRecord| {
            let read_at = Sides { authority: look.authority_read_at, projection: look.projection_read_at };
            let read_at = read_at.try_map(|_, text| instant(text))?;
            Ok::<_, String>(Look { read_at, keys: look.keys, settled: look.settled })
        };
        Ok(SecondLook {
            keys: self.keys,
            left: self.not_looked_at,
            settled: self.settled,
            unstable: self.unstable,
            looks: self.looks.into_iter().map(look).collect::<Result<_, _>>()?,
            replaced: self.files_replaced,
            because: self.because,
        })
    }
}
