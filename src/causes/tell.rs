//! Says a cause: its evidence in one line with counts and two examples, and the option that would settle it.

use crate::contract::Contract;
use crate::normalise::{Binding, BoundAttribute, is_local};
use crate::sides::{Side, Sides};

use super::clues::Shown;
use super::number::Mode;
use super::option::{Ask, exchange, mode, zone_name};
use super::rank::Firsts;
use super::suspect::Suspect;
use super::text::Garbled;
use super::whereabouts::{gaps, places};
use super::{Cause, Explained, Share, Suspects};

/// A value in evidence is at most so many characters long.
const VALUE: usize = 40;
/// Examples of a map's entries in evidence.
const ENTRIES: usize = 4;

/// The causes that explain anything, those that explain the most first.
pub(super) fn tell(
    suspects: &Suspects,
    explained: &Explained,
    (contract, binding): (&Contract, &Binding),
    files: &Sides<Vec<String>>,
) -> Vec<Cause> {
    let mut causes = swapped(suspects, explained, contract, binding);
    for (index, (of_attribute, shares)) in suspects.attributes.iter().zip(&explained.attributes).enumerate() {
        let attribute = &binding.attributes[index];
        let found: Vec<(&Suspect, &Share)> =
            of_attribute.iter().zip(shares).filter(|(_, share)| share.rows > 0).collect();
        let all: Vec<&Suspect> = found.iter().map(|(suspect, _)| *suspect).collect();
        let equal = suspects.equal[index];
        for (suspect, share) in found {
            let of = suspects.mismatches[index];
            let personal = is_personal(contract, attribute);
            let said = if personal { without_values(suspect) } else { said(suspect) };
            let together = together(suspects, explained, binding, suspect);
            causes.push(Cause {
                cause: suspect.name().to_owned(),
                attribute: Some(attribute.name.clone()),
                keys: share.rows,
                of,
                evidence: evidence(
                    &said,
                    "mismatches",
                    (share.rows, of),
                    &if personal { Vec::new() } else { examples(suspect, share) },
                ) + &together,
                option: Ask { contract, attribute, suspects: &all, equal, whole: share.rows == of }
                    .option(suspect)
                    .filter(|_| !personal || !holds_values(suspect))
                    .filter(|_| {
                        !matches!(suspect, Suspect::Offset(_) | Suspect::Zone { .. })
                            || !name_their_zone(attribute, share)
                    }),
            });
        }
    }
    for (range, share) in suspects.ranges.iter().zip(&explained.ranges).filter(|(_, share)| share.rows > 0) {
        let key = &binding.attributes[0];
        let said = format!("every authority key of the range of {} that follow one another is missing", range.keys());
        let name = contract.key.first().map_or("", String::as_str);
        let shown = if is_personal(contract, key) { format!("`{name}` is personal") } else { range.ends(name) };
        causes.push(Cause {
            cause: "key_range_missing".to_owned(),
            attribute: Some(key.name.clone()),
            keys: share.rows,
            of: suspects.missing,
            evidence: format!(
                "{} in {} of {} missing keys: {shown}",
                said,
                grouped(share.rows),
                grouped(suspects.missing)
            ),
            option: None,
        });
    }
    causes.extend(gaps(suspects, explained, contract, binding));
    causes.extend(places(&suspects.places, contract, binding, files));
    // The sort is stable, so equal counts stay in the contract's order.
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.keys));
    causes
}

/// What was rounded alike in several attributes was likely rounded at once, so it is counted together too.
fn together(suspects: &Suspects, explained: &Explained, binding: &Binding, one: &Suspect) -> String {
    let Suspect::Rounded { side, mode, decimals } = one else { return String::new() };
    let alike = |other: &Suspect| matches!(other, Suspect::Rounded { side: of, mode: by, decimals: to } if (side, mode, decimals) == (of, by, to));
    let (mut names, mut rows) = (Vec::new(), 0);
    for (index, (of_attribute, shares)) in suspects.attributes.iter().zip(&explained.attributes).enumerate() {
        for (_, share) in of_attribute.iter().zip(shares).filter(|(other, share)| alike(other) && share.rows > 0) {
            names.push(format!("`{}`", binding.attributes[index].name));
            rows += share.rows;
        }
    }
    let Some((last, first)) = names.split_last().filter(|(_, first)| !first.is_empty()) else { return String::new() };
    format!("; {} values in {} and {last} together", grouped(rows), first.join(", "))
}

/// Whether texts that might be local times say their own zone, so that no option can say another.
fn name_their_zone(attribute: &BoundAttribute, share: &Share) -> bool {
    let zoned = |text: &str| {
        let clock = text.split_once(['T', ' ']).map_or("", |(_, clock)| clock);
        clock.contains(['Z', 'z', '+', '-'])
    };
    share.examples.iter().any(|shown| {
        let said = |side: Side| is_local(attribute, side) && shown.get(side).as_deref().is_some_and(zoned);
        said(Side::Authority) || said(Side::Projection)
    })
}

/// Whether values of an attribute may not be written.
pub(super) fn is_personal(contract: &Contract, attribute: &BoundAttribute) -> bool {
    contract.attributes.iter().any(|declared| declared.name == attribute.name && declared.pii.is_some())
}

/// Whether what is said of it, or its option, repeats values.
fn holds_values(suspect: &Suspect) -> bool {
    matches!(suspect, Suspect::NullSpelled { .. } | Suspect::Default { .. } | Suspect::Map { .. })
}

/// What happened, without a value.
fn without_values(suspect: &Suspect) -> String {
    match suspect {
        Suspect::NullSpelled { null, .. } => format!("the {} has NULL where the other has one value", null.name()),
        Suspect::Default { .. } => "the projection has one value whatever the authority has".to_owned(),
        other => said(other),
    }
}

fn swapped(suspects: &Suspects, explained: &Explained, contract: &Contract, binding: &Binding) -> Vec<Cause> {
    let told = suspects.swaps.iter().zip(&explained.swaps).filter(|(_, share)| share.rows > 0);
    told.map(|(&(one, two), share)| {
        let of = suspects.mismatches[one];
        let (first, second) = (&binding.attributes[one], &binding.attributes[two]);
        let said = format!("the values of `{}` and `{}` stand in each other's place", first.name, second.name);
        let hidden = is_personal(contract, first) || is_personal(contract, second);
        // Where the columns stand in their own place they must stay there.
        let all = share.rows == of && suspects.mismatches[two] == of && suspects.equal[one] + suspects.equal[two] == 0;
        Cause {
            cause: "columns_swapped".to_owned(),
            attribute: Some(first.name.clone()),
            keys: share.rows,
            of,
            evidence: evidence(
                &said,
                "mismatches",
                (share.rows, of),
                &if hidden { Vec::new() } else { pairs(&share.examples) },
            ),
            option: all.then(|| columns(contract, first, second)).flatten(),
        }
    })
    .collect()
}

/// Only columns that are no members of structs change places by name alone.
fn columns(contract: &Contract, one: &BoundAttribute, two: &BoundAttribute) -> Option<String> {
    let column = |attribute: &BoundAttribute| -> Option<String> {
        match contract.attributes.iter().find(|declared| declared.name == attribute.name) {
            None => Some(attribute.name.clone()),
            Some(declared) => match &declared.projected_as[..] {
                [only] => Some(only.clone()),
                _ => None,
            },
        }
    };
    let (first, second) = (column(one)?, column(two)?);
    Some(exchange(contract, one, two, [&first, &second]))
}

/// The one place where values become a part of evidence: what they show is all that it takes.
fn evidence(said: &str, noun: &str, (rows, of): (u64, u64), examples: &[String]) -> String {
    let numbers = format!("{said} in {} of {} {noun}", grouped(rows), grouped(of));
    if examples.is_empty() { numbers } else { format!("{numbers}, for example {}", examples.join(" and ")) }
}

fn examples(suspect: &Suspect, share: &Share) -> Vec<String> {
    match suspect {
        Suspect::Map { told, .. } => {
            let entry =
                |pair: &super::clues::PairSeen| format!("{} {} times", pair_of(&pair.shown), grouped(pair.rows));
            told.iter().take(ENTRIES.min(if told.len() > 2 { 2 } else { ENTRIES })).map(entry).collect()
        }
        _ => pairs(&share.examples),
    }
}

fn pairs(examples: &Firsts<Shown>) -> Vec<String> {
    examples.iter().map(pair_of).collect()
}

fn pair_of(shown: &Shown) -> String {
    format!("{} → {}", value(shown.authority.as_deref()), value(shown.projection.as_deref()))
}

pub(super) fn value(shown: Option<&str>) -> String {
    let Some(text) = shown else { return "NULL".to_owned() };
    let cut: String = text.chars().take(VALUE).collect();
    if cut.len() < text.len() { format!("\"{cut}…\"") } else { format!("\"{text}\"") }
}

/// What happened, as a sentence part.
fn said(suspect: &Suspect) -> String {
    let at = |side: &Side| side.name();
    match suspect {
        Suspect::NullSpelled { null, shown, .. } => {
            format!("the {} has NULL where the {} has {}", at(null), at(&null.other()), value(shown.as_deref()))
        }
        Suspect::Null => "the projection has NULL in place of a value".to_owned(),
        Suspect::Default { shown, .. } => {
            format!("the projection has {} whatever the authority has", value(shown.as_deref()))
        }
        Suspect::Stuck { .. } => "the projection stays at one value while the authority went on".to_owned(),
        Suspect::Case => "the letters differ only in case".to_owned(),
        Suspect::Spaces { .. } => "the texts differ only in white space".to_owned(),
        Suspect::Unicode { .. } => "the texts are the same characters in another Unicode form".to_owned(),
        Suspect::Garbled { side, how: Garbled::Lost } => {
            format!("characters beyond ASCII are lost in the {}", at(side))
        }
        Suspect::Garbled { side, how } => {
            let encoding = if *how == Garbled::Latin1 { "ISO 8859-1" } else { "Windows-1252" };
            format!("the {} has UTF-8 that was read as {encoding}", at(side))
        }
        Suspect::Zeros { side } => format!("the {} has lost leading zeros", at(side)),
        Suspect::Scientific => "one side writes the same number with an exponent".to_owned(),
        Suspect::Spelled => "the sides spell the same number in two ways".to_owned(),
        Suspect::Cut { side, characters } => format!("the {} is cut at {characters} characters", at(side)),
        Suspect::Sign => "the projection has the other sign".to_owned(),
        Suspect::Factor(factor) => format!("the projection is the authority times {factor}"),
        Suspect::Rounded { side, mode: Mode::Truncate, decimals } => {
            format!("the {} is the {} cut off after {}", at(side), at(&side.other()), digits(*decimals))
        }
        Suspect::Rounded { side, mode: how, decimals } => {
            format!("the {} is the {} rounded to {} ({})", at(side), at(&side.other()), digits(*decimals), mode(*how))
        }
        Suspect::Offset(nanoseconds) => offset(*nanoseconds),
        Suspect::Zone { name, instants, agreeing } => {
            let also = match agreeing {
                0 => String::new(),
                agreeing => format!(" also of the {} that agree,", grouped(*agreeing)),
            };
            format!(
                "the {} lies as far from the {} as {name}, or a zone with its rules, from UTC at each instant,{also}",
                at(&instants.other()),
                at(instants)
            )
        }
        Suspect::Map { told, ordinal: true, .. } => {
            format!("{} labels stand for their ordinals, each for one", told.len())
        }
        Suspect::Map { told, .. } if told.len() == 1 => "one value always becomes the same other one".to_owned(),
        Suspect::Map { told, .. } => format!("{} values each always become the same other one", told.len()),
    }
}

fn digits(decimals: u8) -> String {
    if decimals == 1 { "1 decimal".to_owned() } else { format!("{decimals} decimals") }
}

fn offset(nanoseconds: i128) -> String {
    let direction = if nanoseconds < 0 { "before" } else { "after" };
    let length = length(nanoseconds.unsigned_abs());
    let quarter = 15 * super::MINUTE;
    let zone = i32::try_from(nanoseconds / super::MINUTE)
        .ok()
        .filter(|_| nanoseconds % quarter == 0 && nanoseconds.abs() <= 14 * 60 * super::MINUTE);
    let zone = zone.map(|minutes| format!(", as if of the zone {}", zone_name(minutes))).unwrap_or_default();
    format!("the projection lies {length} {direction} the authority{zone},")
}

fn length(nanoseconds: u128) -> String {
    let units: [(u128, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let (mut rest, mut text) = (nanoseconds, String::new());
    for (size, name) in units {
        if rest >= size {
            text.push_str(&format!("{}{name}", rest / size));
            rest %= size;
        }
    }
    text
}

/// A number with its thousands parted.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
