//! Rules and control totals beside the comparison: which line a rule matches, and what each side adds up to, are told again
//! in a few obvious lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use num_bigint::BigInt;
use reconcile::audit::{Figure, Figures};
use reconcile::classify::Divergence;
use reconcile::contract::Severity;
use reconcile::sides::{Side, Sides};

use super::case::Case;
use super::random::Random;
use super::value::{Family, Value};

/// A rule as SQL, and as what it says of a line.
struct Rule {
    name: String,
    when: String,
    severity: Severity,
    holds: Box<dyn Fn(&Divergence) -> bool>,
}

fn rules(case: &Case) -> Vec<Rule> {
    let mut random = Random::new(case.seed ^ 0xB0B);
    let count = random.below(4);
    (0..count)
        .map(|place| {
            let attribute = case.attributes[random.below(case.attributes.len())].name.clone();
            let (when, holds): (String, Box<dyn Fn(&Divergence) -> bool>) = match random.below(6) {
                0 => ("kind = 'missing'".to_owned(), Box::new(|line| line.kind.name() == "missing")),
                1 => (
                    format!("attribute = '{}'", attribute.replace('\'', "''")),
                    Box::new(move |line| line.attribute.as_deref() == Some(&*attribute)),
                ),
                2 => (
                    "authority_value is null and kind <> 'orphan'".to_owned(),
                    Box::new(|line| line.values.authority.is_none() && line.kind.name() != "orphan"),
                ),
                3 => (
                    "severity = 'high' and key is not null".to_owned(),
                    Box::new(|line| line.kind.default_severity() == Severity::High && line.key.is_some()),
                ),
                // NULL on either side is no match.
                4 => (
                    "authority_value > projection_value".to_owned(),
                    Box::new(|line| match (&line.values.authority, &line.values.projection) {
                        (Some(authority), Some(projection)) => authority > projection,
                        _ => false,
                    }),
                ),
                _ => (
                    "kind in ('orphan', 'schema') or key like '%1%'".to_owned(),
                    Box::new(|line| {
                        matches!(line.kind.name(), "orphan" | "schema")
                            || line.key.as_ref().is_some_and(|key| key.contains('1'))
                    }),
                ),
            };
            let severity = random.pick(&[Severity::Critical, Severity::High, Severity::Low]);
            Rule { name: format!("rule {place}"), when, severity, holds }
        })
        .collect()
}

/// The attributes by which and of which there is a total, if there is one.
fn total(case: &Case) -> Option<(Vec<usize>, Vec<usize>)> {
    let mut random = Random::new(case.seed ^ 0x70_7A1);
    let whole = [Family::Integer, Family::Bool, Family::Text, Family::Date, Family::Instant, Family::Uuid];
    let garbage = |place: usize| {
        let values = case.tables.iter().flat_map(|(_, rows)| rows).map(|row| &row[place]);
        values.filter(|value| case.attributes[place].rules.normal(value) == Value::Garbage).count() > 0
    };
    // What another owner has is not in the authority's table.
    let places = 0..case.attributes.len() - usize::from(case.owner.is_some());
    let mut by: Vec<usize> = places.clone().filter(|place| whole.contains(&case.attributes[*place].family)).collect();
    by.retain(|place| !garbage(*place) && random.percent(60));
    let sum: Vec<usize> = places.filter(|place| case.is_summed(*place)).collect();
    random.percent(70).then_some((by, sum))
}

/// What the contract file says of both.
pub(crate) fn contract(case: &Case) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = String::new();
    for rule in rules(case) {
        let (name, when, severity) = (quoted(&rule.name), quoted(&rule.when), rule.severity.name());
        writeln!(text, "[[contract.case.rule]]\nname = {name}\nwhen = {when}\nseverity = \"{severity}\"").unwrap();
    }
    if let Some((by, sum)) = total(case) {
        let names = |places: &[usize]| {
            let names: Vec<String> = places.iter().map(|place| quoted(&case.attributes[*place].name)).collect();
            names.join(", ")
        };
        writeln!(text, "[[contract.case.total]]\nname = \"all\"\nby = [{}]\nsum = [{}]", names(&by), names(&sum))
            .unwrap();
    }
    text
}

/// Each line has the severity and reason of the first rule that holds for it, and else those of its kind.
pub(crate) fn check_rules(case: &Case, lines: &[Divergence]) {
    let rules = rules(case);
    for line in lines {
        let (severity, reason) = (line.severity, line.reason.to_string());
        if let Some(rule) = rules.iter().find(|rule| (rule.holds)(line)) {
            assert_eq!((severity, reason), (rule.severity, format!("rule:{}", rule.name)), "{line:?}");
        } else {
            assert_eq!(severity, line.kind.default_severity(), "{line:?}");
            assert!(!reason.starts_with("rule:"), "{line:?}");
        }
    }
}

/// Rows, and of each sum: the sum at thirty places, NULLs, and what cannot be added.
type Counted = (u64, Vec<(BigInt, u64, u64)>);

/// Groups, what does not balance, and what all groups come to are as they are counted here.
pub(crate) fn check_totals(case: &Case, figures: &Figures) {
    let Some((by, sum)) = total(case) else { return assert!(figures.totals.is_empty()) };
    let mut groups: Sides<BTreeMap<Vec<Value>, Counted>> = Sides::default();
    let mut whole: Sides<Counted> = Sides::from_fn(|_| (0, vec![Default::default(); sum.len()]));
    for (side, rows) in case.tables.iter() {
        for row in rows {
            let normal = |place: usize| case.attributes[place].rules.normal(&row[place]);
            let name = by.iter().map(|place| normal(*place)).collect();
            let group = groups.get_mut(side).entry(name).or_insert((0, vec![Default::default(); sum.len()]));
            for counted in [group, whole.get_mut(side)] {
                counted.0 += 1;
                for (place, (total, nulls, unsummed)) in sum.iter().zip(&mut counted.1) {
                    match normal(*place) {
                        Value::Number { units, scale } => {
                            *total += BigInt::from(units) * BigInt::from(10).pow(30 - scale);
                        }
                        Value::Null => *nulls += 1,
                        _ => *unsummed += 1,
                    }
                }
            }
        }
    }
    let all: BTreeSet<&Vec<Value>> = groups.iter().flat_map(|(_, groups)| groups.keys()).collect();
    let off = all.iter().filter(|name| groups.authority.get(**name) != groups.projection.get(**name)).count();
    let found = &figures.totals[0];
    assert_eq!((found.groups, found.unbalanced), (all.len() as u64, off as u64), "{found:#?}\noracle: {groups:#?}");
    assert_eq!(found.worst.len(), off.min(10));
    for side in Side::BOTH {
        assert_eq!(counted(found.whole.get(side)), *whole.get(side), "{side}: {found:#?}");
    }
}

fn counted(figure: &Figure) -> Counted {
    let sum = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let units: BigInt = format!("{whole}{fraction}").parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        units * BigInt::from(10).pow(30 - u32::try_from(fraction.len()).unwrap())
    };
    (figure.rows, figure.sums.iter().map(|one| (sum(&one.sum), one.nulls, one.unsummed)).collect())
}
