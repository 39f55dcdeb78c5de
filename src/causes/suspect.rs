//! Which causes the clues of an attribute allow, the most telling first. A row then belongs to the first that explains it
//! exactly. What explains few rows, or no more than chance would, stays unnamed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::normalise::Reading;
use crate::sides::{Side, Sides};

use super::class::Class;
use super::clues::{Clues, PairSeen, encode, is_boolean};
use super::number::{Factor, Mode};
use super::text::{Garbled, Spaces};

/// Fewer rows than these are told one by one.
pub(super) const LEAST: u64 = 5;
/// What chance could give must explain one in so many of the attribute's mismatches.
const ONE_IN: u64 = 20;

/// A cause that may explain mismatches of one attribute.
#[derive(Clone, Debug)]
pub(super) enum Suspect {
    NullSpelled {
        null: Side,
        value: Box<[u8]>,
        shown: Option<Box<str>>,
    },
    Null,
    Default {
        value: Box<[u8]>,
        shown: Option<Box<str>>,
    },
    Stuck {
        value: Box<[u8]>,
    },
    Case,
    Spaces {
        ends: bool,
        inner: bool,
    },
    Unicode {
        compatible: bool,
    },
    Garbled {
        side: Side,
        how: Garbled,
    },
    Zeros {
        side: Side,
    },
    Scientific,
    Spelled,
    Cut {
        side: Side,
        characters: u32,
    },
    Sign,
    Factor(Factor),
    Rounded {
        side: Side,
        mode: Mode,
        decimals: u8,
    },
    Offset(i128),
    /// Parted by what the zone is from UTC; this side's are the instants.
    Zone {
        name: &'static str,
        instants: Side,
        /// How many pairs agree because the zone is UTC itself at their instants, where that was counted.
        agreeing: u64,
    },
    Map {
        pairs: BTreeSet<Box<[u8]>>,
        told: Vec<PairSeen>,
        ordinal: bool,
    },
}

impl Suspect {
    /// Its name, as `explain` knows it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::NullSpelled { .. } => "null_spelled",
            Self::Null => "null_in_place",
            Self::Default { .. } => "default_in_place",
            Self::Stuck { .. } => "stuck_version",
            Self::Case => "letter_case",
            Self::Spaces { .. } => "white_space",
            Self::Unicode { .. } => "unicode_form",
            Self::Garbled { .. } => "mojibake",
            Self::Zeros { .. } => "leading_zeros",
            Self::Scientific => "scientific_notation",
            Self::Spelled => "number_spelling",
            Self::Cut { .. } => "text_cut",
            Self::Sign => "sign_flipped",
            Self::Factor(_) => "constant_factor",
            Self::Rounded { mode: Mode::Truncate, .. } => "truncated",
            Self::Rounded { .. } => "rounded",
            Self::Offset(_) | Self::Zone { .. } => "time_offset",
            Self::Map { ordinal: true, .. } => "enum_ordinal",
            Self::Map { .. } => "value_map",
        }
    }

    /// Whether it says something of a pair that lag explains.
    pub(super) fn holds_of_lag(&self) -> bool {
        matches!(self, Self::Stuck { .. })
    }

    /// Whether it explains the pairs that another one explains: whatever `explains` looks at is equal.
    pub(super) fn explains_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NullSpelled { null, value, .. }, Self::NullSpelled { null: side, value: other, .. }) => {
                null == side && value == other
            }
            (Self::Default { value, .. }, Self::Default { value: other, .. })
            | (Self::Stuck { value }, Self::Stuck { value: other }) => value == other,
            (Self::Unicode { compatible }, Self::Unicode { compatible: other }) => compatible == other,
            (Self::Garbled { side, how }, Self::Garbled { side: of, how: other }) => side == of && how == other,
            (Self::Zeros { side }, Self::Zeros { side: other }) => side == other,
            (Self::Cut { side, characters }, Self::Cut { side: of, characters: other }) => {
                side == of && characters == other
            }
            (Self::Factor(factor), Self::Factor(other)) => factor == other,
            (Self::Rounded { side, mode, decimals }, Self::Rounded { side: of, mode: by, decimals: to }) => {
                side == of && mode == by && decimals == to
            }
            (Self::Offset(offset), Self::Offset(other)) => offset == other,
            (Self::Map { pairs, .. }, Self::Map { pairs: other, .. }) => pairs == other,
            (Self::Null, Self::Null)
            | (Self::Case, Self::Case)
            | (Self::Spaces { .. }, Self::Spaces { .. })
            | (Self::Scientific, Self::Scientific)
            | (Self::Spelled, Self::Spelled)
            | (Self::Sign, Self::Sign)
            | (Self::Zone { .. }, Self::Zone { .. }) => true,
            _ => false,
        }
    }

    /// Whether it explains a pair of values, exactly. `pair` are both values as bytes, parted where the second begins.
    pub(super) fn explains(&self, class: Class, pair: (&[u8], usize)) -> bool {
        let (bytes, split) = pair;
        let holds = |side: Side, value: &[u8]| {
            let (authority, projection) = bytes.split_at(split);
            value == if side == Side::Authority { authority } else { projection }
        };
        match (self, class) {
            (Self::NullSpelled { null, value, .. }, Class::Null(side)) => *null == side && holds(side.other(), value),
            (Self::Null, Class::Null(Side::Projection))
            | (Self::Case, Class::Case)
            | (Self::Spaces { .. }, Class::Spaces(_))
            | (Self::Scientific, Class::Scientific { .. })
            | (Self::Spelled, Class::Spelled)
            // Every such pair went into the zone.
            | (Self::Zone { .. }, Class::Quarters(_))
            | (Self::Sign, Class::Sign) => true,
            (Self::Default { value, .. } | Self::Stuck { value }, class) => {
                !matches!(class, Class::Null(_)) && holds(Side::Projection, value)
            }
            (Self::Unicode { compatible }, Class::Unicode { compatible: found }) => *compatible || !found,
            (Self::Garbled { side, how }, Class::Garbled { side: of, how: found }) => (*side, *how) == (of, found),
            (Self::Zeros { side }, Class::Zeros { side: of }) => *side == of,
            (Self::Cut { side, characters }, Class::Cut { side: of, characters: found }) => {
                (*side, *characters) == (of, found)
            }
            (Self::Factor(factor), Class::Factor(found)) => *factor == found,
            (Self::Rounded { side, mode, decimals }, Class::Rounded { side: of, spans }) => {
                *side == of && spans.hold(*mode, *decimals)
            }
            (Self::Offset(offset), Class::Offset(found)) => *offset == found,
            (Self::Offset(offset), Class::Quarters(minutes)) => *offset == i128::from(minutes) * super::MINUTE,
            (Self::Map { pairs, .. }, _) => pairs.contains(bytes),
            _ => false,
        }
    }
}

/// The suspects of an attribute, in the order in which they explain.
pub(super) fn suspects(clues: &Clues) -> Vec<Suspect> {
    if clues.mismatches < LEAST {
        return Vec::new();
    }
    let mut by_class = nulls(clues);
    let plain = of_classes(clues);
    let constants = constants(clues, &plain);
    by_class.extend(plain);
    by_class.extend(constants);
    let Some(pairs) = clues.pairs.held() else { return by_class };
    let explained = |suspects: &[Suspect], pair: (&[u8], &PairSeen)| {
        suspects.iter().any(|suspect| suspect.explains(pair.1.class, (pair.0, pair.1.split)))
    };
    let rows_of = |suspects: &[Suspect]| -> u64 {
        pairs.iter().filter(|pair| explained(suspects, (pair.0, pair.1))).map(|pair| pair.1.rows).sum()
    };
    // A map that explains more than all that is more telling together is the better story.
    let whole = map(clues, pairs, |_| true);
    let others: Vec<Suspect> = by_class;
    if let Some(whole) = whole {
        let (with_map, without) = (rows_of(std::slice::from_ref(&whole)), rows_of(&others));
        if with_map > without {
            let mut all = vec![whole];
            all.extend(others);
            return all;
        }
    }
    let rest = map(clues, pairs, |pair| !explained(&others, pair));
    others.into_iter().chain(rest).collect()
}

/// Of pairs that lag explains: a value of the projection that never went on.
pub(super) fn standing_still(clues: &Clues) -> Vec<Suspect> {
    if clues.mismatches < LEAST {
        return Vec::new();
    }
    constants(clues, &of_classes(clues)).into_iter().filter(Suspect::holds_of_lag).collect()
}

/// NULL on one side: a placeholder that stands for it where the other side's values are all one.
fn nulls(clues: &Clues) -> Vec<Suspect> {
    let mut found = Vec::new();
    for side in Side::BOTH {
        let rows = clues.classes.get(&Class::Null(side)).copied().unwrap_or(0);
        if rows < LEAST {
            continue;
        }
        let only = clues.beside_null.get(side.other()).held().and_then(BTreeMap::first_key_value);
        match only {
            Some((value, constant)) => {
                found.push(Suspect::NullSpelled { null: side, value: value.clone(), shown: constant.shown.clone() });
            }
            None if side == Side::Projection => found.push(Suspect::Null),
            None => {}
        }
    }
    found
}

/// Causes that a pair shows by itself.
fn of_classes(clues: &Clues) -> Vec<Suspect> {
    let rows = |wanted: &dyn Fn(Class) -> bool| -> u64 {
        clues.classes.iter().filter(|(class, _)| wanted(**class)).map(|(_, rows)| rows).sum()
    };
    let many = |rows: u64| rows >= LEAST && rows * ONE_IN >= clues.mismatches;
    let mut found = Vec::new();
    let telling = |wanted: &dyn Fn(Class) -> bool| rows(wanted) >= LEAST;
    if telling(&|class| class == Class::Case) {
        found.push(Suspect::Case);
    }
    if telling(&|class| matches!(class, Class::Spaces(_))) {
        let has = |kinds: &[Spaces]| kinds.iter().any(|kind| clues.classes.contains_key(&Class::Spaces(*kind)));
        found.push(Suspect::Spaces {
            ends: has(&[Spaces::Ends, Spaces::EndsAndInner]),
            inner: has(&[Spaces::Inner, Spaces::EndsAndInner]),
        });
    }
    if telling(&|class| matches!(class, Class::Unicode { .. })) {
        found.push(Suspect::Unicode { compatible: clues.classes.contains_key(&Class::Unicode { compatible: true }) });
    }
    let garbled = clues.classes.iter().filter_map(|(class, rows)| match class {
        Class::Garbled { side, how } if *rows >= LEAST => Some(Suspect::Garbled { side: *side, how: *how }),
        Class::Zeros { side } if *rows >= LEAST => Some(Suspect::Zeros { side: *side }),
        _ => None,
    });
    found.extend(garbled);
    if telling(&|class| matches!(class, Class::Scientific { .. })) {
        found.push(Suspect::Scientific);
    }
    if telling(&|class| class == Class::Spelled) {
        found.push(Suspect::Spelled);
    }
    if many(rows(&|class| class == Class::Sign)) && met_many(clues, Class::Sign) {
        found.push(Suspect::Sign);
    }
    let factors = clues.classes.iter().filter_map(|(class, rows)| match class {
        Class::Factor(factor) if many(*rows) && met_many(clues, *class) => Some(Suspect::Factor(*factor)),
        _ => None,
    });
    found.extend(factors);
    for side in Side::BOTH {
        found.extend(rounded(clues, side));
        let cuts = rows(&|class| matches!(class, Class::Cut { side: of, .. } if of == side));
        // Texts that end anywhere were not cut at a length.
        found.extend(clues.classes.iter().filter_map(|(class, rows)| match class {
            Class::Cut { side: of, characters } if *of == side && many(*rows) && *rows * 2 >= cuts => {
                Some(Suspect::Cut { side, characters: *characters })
            }
            _ => None,
        }));
    }
    found.extend(offsets(clues));
    found
}

/// Whether at least three unlike pairs of values are of a class: one pair again and again is no arithmetic.
fn met_many(clues: &Clues, class: Class) -> bool {
    clues.pairs.held().is_none_or(|pairs| pairs.values().filter(|pair| pair.class == class).count() >= 3)
}

/// Distances of times: those that zones have, in one or two (summer and winter), or one that is most of all.
fn offsets(clues: &Clues) -> Vec<Suspect> {
    let of_zones = clues.classes.iter().filter_map(|(class, rows)| match class {
        Class::Quarters(minutes) => Some((i128::from(*minutes) * super::MINUTE, *rows)),
        _ => None,
    });
    let enough = |share: u64| move |rows: u64| rows >= LEAST && rows * share >= clues.mismatches;
    if let Some(zone) = zone(clues) {
        return vec![zone];
    }
    let zones: Vec<i128> = of_zones.filter(|(_, rows)| enough(5)(*rows)).map(|(offset, _)| offset).collect();
    let others = clues.classes.iter().filter_map(|(class, rows)| match class {
        Class::Offset(offset) if enough(2)(*rows) => Some(*offset),
        _ => None,
    });
    // Many distances, each by chance a few quarters of an hour, are no zone.
    let zones = if zones.len() <= 2 { zones } else { Vec::new() };
    zones.into_iter().chain(others).map(Suspect::Offset).collect()
}

/// A zone that explains all times that lie quarters of an hour apart: in two distances at least, each of some rows.
fn zone(clues: &Clues) -> Option<Suspect> {
    let distances = clues.classes.iter().filter(|(class, _)| matches!(class, Class::Quarters(_)));
    let (mut rows, mut often) = (0, 0);
    for (_, of_distance) in distances {
        rows += of_distance;
        often += usize::from(*of_distance >= LEAST);
    }
    if often < 2 || rows * 5 < clues.mismatches {
        return None;
    }
    let named = clues.zones.iter().find_map(|(instants, zones)| Some((zones.name()?, instants)));
    named.map(|(name, instants)| Suspect::Zone { name, instants, agreeing: 0 })
}

/// The fewest numbers of decimals that explain what was rounded on one side: the most decimals that are shown first. The
/// mode is the one that explains the most.
fn rounded(clues: &Clues, side: Side) -> Vec<Suspect> {
    let of_mode = |mode: Mode| {
        let mut rest: Vec<(super::number::Spans, u64)> = clues
            .classes
            .iter()
            .filter_map(|(class, rows)| match class {
                Class::Rounded { side: of, spans } if *of == side && spans.any(mode) => Some((*spans, *rows)),
                _ => None,
            })
            .collect();
        let (mut explained, mut named) = (0, Vec::new());
        let shown: BTreeSet<u8> = rest.iter().map(|(spans, _)| spans.shown).collect();
        for decimals in shown.into_iter().rev() {
            let sum = |rows: &[(super::number::Spans, u64)], keep: &dyn Fn(super::number::Spans) -> bool| -> u64 {
                rows.iter().filter(|(spans, _)| keep(*spans)).map(|(_, rows)| rows).sum()
            };
            let rows = sum(&rest, &|spans| spans.hold(mode, decimals));
            let whole = sum(&rest, &|spans| spans.hold(mode, decimals) && spans.shown == decimals);
            let unlike = clues.classes.get(&Class::Unrounded { side, shown: decimals }).copied().unwrap_or(0);
            let enough = rows >= LEAST && rows * ONE_IN >= clues.mismatches;
            // Of what is rounded to some decimals most shows them all, and of what shows so many most was rounded.
            if enough && whole * 5 >= rows && rows >= unlike {
                named.push(Suspect::Rounded { side, mode, decimals });
                explained += rows;
                rest.retain(|(spans, _)| !spans.hold(mode, decimals));
            }
        }
        (explained, named)
    };
    let mut best = (0, Vec::new());
    for mode in Mode::ALL {
        let found = of_mode(mode);
        if found.0 > best.0 {
            best = found;
        }
    }
    best.1
}

/// Values of the projection that stand beside three unlike ones and look like nothing else.
fn constants(clues: &Clues, others: &[Suspect]) -> Vec<Suspect> {
    let held = || clues.constants.held().into_iter().flatten();
    let mut found = Vec::new();
    for (value, constant) in held() {
        // Of few unlike values a zero is one like any other.
        let most = held().filter(|(other, _)| *other != value).map(|(_, other)| other.rows).max().unwrap_or(0);
        let placeholder = is_placeholder(constant.shown.as_deref()) && constant.rows >= 3 * most;
        let dominant = constant.rows * 2 >= clues.mismatches || placeholder;
        if constant.alone < LEAST || !constant.met_many() || !dominant {
            continue;
        }
        let only = constant.rows == clues.mismatches;
        if only && constant.behind && others.is_empty() && !is_placeholder(constant.shown.as_deref()) {
            found.push(Suspect::Stuck { value: value.clone() });
        } else {
            found.push(Suspect::Default { value: value.clone(), shown: constant.shown.clone() });
        }
    }
    found
}

/// Values that programs put where they have none.
fn is_placeholder(shown: Option<&str>) -> bool {
    const WORDS: [&str; 12] =
        ["", "-", "?", "n/a", "na", "none", "null", "nil", "unknown", "undefined", "default", "false"];
    let Some(text) = shown else { return false };
    let text = text.trim();
    let zero = crate::normalise::spelled_number(text).is_some_and(|number| number.coefficient == 0 || text == "-1");
    let nines = text.len() >= 3 && text.bytes().all(|byte| byte == b'9');
    let dates = ["0001-01-01", "1900-01-01", "1970-01-01", "9999-12-31"];
    zero || nines
        || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
        || dates.iter().any(|date| text.starts_with(date))
}

/// A map that gives each of the authority's values one value of the projection. Each of its pairs must have come twice at
/// least, and a value that came with two is not in it.
fn map(
    clues: &Clues,
    pairs: &BTreeMap<Box<[u8]>, PairSeen>,
    wanted: impl Fn((&[u8], &PairSeen)) -> bool,
) -> Option<Suspect> {
    let mut by_authority: BTreeMap<&[u8], Vec<(&Box<[u8]>, &PairSeen)>> = BTreeMap::new();
    for (key, pair) in pairs {
        by_authority.entry(&key[..pair.split]).or_default().push((key, pair));
    }
    let functional = by_authority.into_values().filter_map(|met| match met[..] {
        [(key, pair)] if pair.rows >= 2 && !matches!(pair.class, Class::Null(_)) => Some((key, pair)),
        _ => None,
    });
    let chosen: Vec<_> = functional.filter(|(key, pair)| wanted((key, pair))).collect();
    let rows: u64 = chosen.iter().map(|(_, pair)| pair.rows).sum();
    let all: u64 = pairs.values().map(|pair| pair.rows).sum();
    // On average five rows each, and one in twenty of all: else equal pairs may be chance.
    if rows < LEAST * chosen.len() as u64 || chosen.is_empty() || rows * ONE_IN < all {
        return None;
    }
    // Nobody looked at the values that agree. Where most do, one that became another here has likely stayed itself there.
    let parts: Vec<_> = chosen.iter().map(|(key, pair)| key.split_at(pair.split)).collect();
    if clues.equal > 0 && (rows < clues.equal || changes_places(&parts)) {
        return None;
    }
    let mut told: Vec<PairSeen> = chosen.iter().map(|(_, pair)| (*pair).clone()).collect();
    told.sort_by(|one, other| other.rows.cmp(&one.rows).then_with(|| one.shown.authority.cmp(&other.shown.authority)));
    let ordinal = is_ordinal(&told);
    Some(Suspect::Map { pairs: chosen.into_iter().map(|(key, _)| key.clone()).collect(), told, ordinal })
}

/// Whether one value is what another became, or there are but two: then those that differ say nothing of those that agree.
fn changes_places(pairs: &[(&[u8], &[u8])]) -> bool {
    let targets: BTreeSet<&[u8]> = pairs.iter().map(|(_, to)| *to).collect();
    pairs.iter().any(|(from, to)| targets.contains(from) || (is_boolean(from) && is_boolean(to)))
}

/// Whether labels stand on one side and their numbers, each one's own and from a run of small ones, on the other.
fn is_ordinal(told: &[PairSeen]) -> bool {
    let number = |text: &Option<Box<str>>| text.as_deref().and_then(|text| text.parse::<u16>().ok());
    let of = |numbers: Side| {
        let found: Option<BTreeSet<u16>> = told
            .iter()
            .map(|pair| number(pair.shown.get(numbers)).filter(|_| number(pair.shown.get(numbers.other())).is_none()))
            .collect();
        found.is_some_and(|found| {
            let (first, last) = (found.first().copied().unwrap_or(0), found.last().copied().unwrap_or(0));
            found.len() >= 2 && found.len() == told.len() && first <= 1 && usize::from(last - first) + 1 == found.len()
        })
    };
    of(Side::Projection) || of(Side::Authority)
}

/// Both values as bytes, and where the second begins.
pub(super) fn encode_pair(values: Sides<Reading<'_>>, out: &mut Vec<u8>) -> usize {
    out.clear();
    encode(values.authority, out);
    let split = out.len();
    encode(values.projection, out);
    split
}
