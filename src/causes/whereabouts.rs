//! Says where differences lie: the value or the file that all of a kind share, and the keys between which none is there.

use crate::contract::Contract;
use crate::normalise::Binding;
use crate::sides::Sides;

use super::place::{Group, Place, Places, What};
use super::tell::{grouped, is_personal, value};
use super::{Cause, Explained, Gap, GapShare, Suspects};

/// A key in evidence is at most so many characters long.
const KEY: usize = 80;

/// Missing keys that follow one another, range by range.
pub(super) fn gaps(suspects: &Suspects, explained: &Explained, contract: &Contract, binding: &Binding) -> Vec<Cause> {
    let key = &binding.attributes[..binding.key_count];
    let names: Vec<String> = key.iter().map(|attribute| format!("`{}`", attribute.name)).collect();
    let personal = key.iter().any(|attribute| is_personal(contract, attribute));
    let cause = |(gap, share): (&Gap, &GapShare)| {
        let ends = match (&share.first, &share.last) {
            (Some(first), Some(last)) if !personal => format!("from {} to {}", short(first), short(last)),
            _ => format!("{} is personal", names.join(", ")),
        };
        let said = format!(
            "all {} authority keys that lie between the first and the last of them, in the order of {}, are missing",
            grouped(gap.rows),
            names.join(", ")
        );
        let of = suspects.missing;
        Cause {
            cause: "key_range_missing".to_owned(),
            attribute: key.last().map(|attribute| attribute.name.clone()),
            keys: share.rows,
            of,
            evidence: format!("{said}: {} of {} missing keys, {ends}", grouped(share.rows), grouped(of)),
            option: None,
        }
    };
    suspects.gaps.iter().zip(&explained.gaps).map(cause).collect()
}

/// Each place, with all kinds that lie there.
pub(super) fn places(
    places: &Places,
    contract: &Contract,
    binding: &Binding,
    files: &Sides<Vec<String>>,
) -> Vec<Cause> {
    let all_keyed = !binding.attributes[..binding.key_count].iter().any(|attribute| is_personal(contract, attribute));
    let mut told: Vec<(Vec<(Group, &Place)>, &What)> = Vec::new();
    for (group, place) in places.told() {
        // Kinds that lie in one place are one story; a key is of one kind. Attributes are told one by one.
        let kinds = matches!(group, Group::Kind(_));
        let same = told.iter_mut().find(|(groups, what)| {
            kinds && **what == place.what && groups.iter().all(|(group, _)| matches!(group, Group::Kind(_)))
        });
        match same {
            Some((groups, _)) => groups.push((group, place)),
            None => told.push((vec![(group, place)], &place.what)),
        }
    }
    let one = |(groups, what): (Vec<(Group, &Place)>, &What)| {
        let rows = groups.iter().map(|(_, place)| place.rows).sum();
        let attribute = match groups[..] {
            [(Group::Attribute(attribute), _)] => Some(binding.attributes[attribute].name.clone()),
            _ => None,
        };
        let of_kinds: Vec<String> = groups.iter().map(|(group, place)| counted(*group, place.rows, binding)).collect();
        let last = groups[groups.len() - 1].1;
        let (together, elsewhere) = (last.together, last.elsewhere);
        let mut evidence = match what {
            What::Value { attribute, shown, .. } => {
                let attribute = &binding.attributes[*attribute];
                let shown = if is_personal(contract, attribute) {
                    "one value, which is personal".to_owned()
                } else {
                    value(shown.as_deref())
                };
                format!("rows whose `{}` is {shown}", attribute.name)
            }
            What::File { side, file } => {
                let name = files.get(*side).get(*file as usize).map_or("", String::as_str);
                format!("one file of the {side}, {}", value(Some(name)))
            }
        };
        evidence = format!(
            "all {} lie in {evidence} ({} rows{}), and none in the {} rows elsewhere",
            of_kinds.join(" and all "),
            grouped(together),
            if contract.row_filter.is_some() { " that `--where` keeps" } else { "" },
            grouped(elsewhere)
        );
        let keys: Vec<String> =
            groups.iter().flat_map(|(_, place)| place.keys.iter()).take(2).map(|key| short(key)).collect();
        if all_keyed && !keys.is_empty() {
            evidence.push_str(&format!(", for example {}", keys.join(" and ")));
        }
        Cause { cause: what.name().to_owned(), attribute, keys: rows, of: rows, evidence, option: None }
    };
    told.into_iter().map(one).collect()
}

fn counted(group: Group, rows: u64, binding: &Binding) -> String {
    match group {
        Group::Kind(kind) => format!("{} `{}` keys", grouped(rows), kind.name()),
        Group::Attribute(attribute) => {
            format!("{} mismatches of `{}`", grouped(rows), binding.attributes[attribute].name)
        }
    }
}

/// A key, cut where it is long.
fn short(key: &str) -> String {
    let cut: String = key.chars().take(KEY).collect();
    if cut.len() < key.len() { format!("{cut}…") } else { cut }
}
