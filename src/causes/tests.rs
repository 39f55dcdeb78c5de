//! Every cause is found where it was planted, and its near misses stay unnamed.

use proptest::prelude::*;

use super::class::{Class, class_of};
use super::clues::Clues;
use super::number::{Mode, spans};
use super::suspect::{Suspect, encode_pair, suspects};
use super::*;
use crate::contract::ExactDecimal;
use crate::normalise::spelled_number;

fn reading(text: &str) -> Reading<'_> {
    match text {
        "NULL" => Reading::Null,
        text => text
            .strip_prefix("ns:")
            .map_or(Reading::Text(text), |time| Reading::Time(time.parse().expect("a number of nanoseconds"))),
    }
}

fn clues(pairs: &[(String, String)]) -> Clues {
    let mut clues = Clues::default();
    let mut scratch = Vec::new();
    for (authority, projection) in pairs {
        let values = Sides { authority: reading(authority), projection: reading(projection) };
        let class = class_of(values.authority, values.projection);
        let shown = Sides { authority, projection };
        let show = |side: Side| (*shown.get(side) != "NULL").then(|| shown.get(side).as_str().into());
        clues.note(values, class, (0, show), &mut scratch);
    }
    clues
}

/// The causes that are named, each with the rows that it explains.
fn named(pairs: &[(String, String)]) -> Vec<(&'static str, u64)> {
    let suspects = suspects(&clues(pairs));
    let mut rows: Vec<(&'static str, u64)> = suspects.iter().map(|suspect| (suspect.name(), 0)).collect();
    let mut scratch = Vec::new();
    for (authority, projection) in pairs {
        let values = Sides { authority: reading(authority), projection: reading(projection) };
        let class = class_of(values.authority, values.projection);
        let split = encode_pair(values, &mut scratch);
        if let Some(found) = suspects.iter().position(|suspect| suspect.explains(class, (&scratch, split))) {
            rows[found].1 += 1;
        }
    }
    rows.retain(|(_, rows)| *rows > 0);
    rows
}

fn of(make: impl Fn(usize) -> (String, String), rows: usize) -> Vec<(String, String)> {
    (0..rows).map(make).collect()
}

fn two(one: &str, two: &str) -> (String, String) {
    (one.to_owned(), two.to_owned())
}

/// Numbers that look like chance, the same in every run.
fn odd(number: usize) -> usize {
    (number + 1) * 7_919 % 99_991
}

type Pairs = Vec<(String, String)>;

/// Every cause, planted.
fn planted() -> Vec<(&'static str, Pairs)> {
    let names = ["José Müller", "Ægir Jónsson", "Žofie Nováková", "Ömer Çelik", "Łukasz Żak"];
    let garbled = |text: &str| text.bytes().map(char::from).collect::<String>();
    vec![
        ("rounded", of(|row| (format!("{}.12345678", odd(row)), format!("{}.123457", odd(row))), 20)),
        ("truncated", of(|row| (format!("{}.98765", odd(row)), format!("{}.98", odd(row))), 20)),
        ("truncated", of(|row| (format!("ns:{}123987654", odd(row)), format!("ns:{}123000000", odd(row))), 20)),
        ("constant_factor", of(|row| (format!("{}.25", odd(row)), format!("{}25", odd(row))), 20)),
        ("constant_factor", of(|row| (odd(row).to_string(), (odd(row) * 1024).to_string()), 20)),
        ("sign_flipped", of(|row| (format!("{}.5", odd(row)), format!("-{}.5", odd(row))), 20)),
        ("letter_case", of(|row| (format!("Straße {row}"), format!("STRASSE {row}")), 20)),
        ("white_space", of(|row| (format!("a {row}"), format!("a  {row} ")), 20)),
        ("unicode_form", of(|row| (format!("é{row}"), format!("e\u{301}{row}")), 20)),
        (
            "mojibake",
            of(|row| (names[row % 5].to_owned() + &row.to_string(), garbled(names[row % 5]) + &row.to_string()), 20),
        ),
        ("mojibake", of(|row| (format!("é{row}"), format!("?{row}")), 20)),
        ("leading_zeros", of(|row| (format!("00{}", odd(row)), odd(row).to_string()), 20)),
        ("scientific_notation", of(|row| (format!("{}000", odd(row)), format!("{}E+3", odd(row))), 20)),
        ("number_spelling", of(|row| (format!("{}.50", odd(row)), format!("{}.5", odd(row))), 20)),
        ("text_cut", of(|row| (format!("value number {row:04} and more"), format!("value number {row:04}")), 20)),
        (
            "time_offset",
            of(
                |row| {
                    (
                        format!("ns:{}", odd(row) * 1_000_000_007),
                        format!("ns:{}", odd(row) * 1_000_000_007 + 3_600_000_000_000),
                    )
                },
                20,
            ),
        ),
        (
            "time_offset",
            of(
                |row| {
                    (
                        format!("ns:{}", odd(row) * 1_000_000_007),
                        format!("ns:{}", odd(row) * 1_000_000_007 + 37_000_000_000),
                    )
                },
                20,
            ),
        ),
        ("null_in_place", of(|row| (format!("v{row}"), "NULL".to_owned()), 20)),
        ("null_spelled", of(|_| two("NULL", "N/A"), 20)),
        ("default_in_place", of(|row| (format!("v{row}"), "unknown".to_owned()), 20)),
        ("stuck_version", of(|row| ((row + 2).to_string(), "1".to_owned()), 20)),
        ("value_map", of(|row| if row % 2 == 0 { two("BOUND", "Active") } else { two("LAPSED", "Inactive") }, 20)),
        ("enum_ordinal", of(|row| [two("NEW", "0"), two("OPEN", "1"), two("DONE", "2")][row % 3].clone(), 30)),
    ]
}

#[test]
fn each_cause_is_found_where_it_was_planted() {
    for (name, pairs) in planted() {
        assert_eq!(named(&pairs), [(name, pairs.len() as u64)], "{name}: {:?}", &pairs[..2]);
    }
}

/// Those that are said to explain alike do so, of all that is planted anywhere; and what is not alike is not said to be.
#[test]
fn suspects_that_explain_as_others_explain_what_they_explain() {
    let planted = planted();
    let more = [
        of(|row| (format!("{}.12345678", odd(row)), format!("{}.12346", odd(row))), 20),
        of(|row| (format!("v{row}"), "other".to_owned()), 20),
        of(|_| two("NULL", "-"), 20),
        of(|row| if row % 2 == 0 { two("BOUND", "Active") } else { two("LAPSED", "Gone") }, 20),
        of(|row| (format!("{}.25", odd(row)), format!("{}250", odd(row))), 20),
        of(|row| (format!("value number {row:04} and more"), format!("value number {row:04} and")), 20),
    ];
    let all: Vec<&Pairs> = planted.iter().map(|(_, pairs)| pairs).chain(&more).collect();
    let found: Vec<Suspect> = all.iter().flat_map(|pairs| suspects(&clues(pairs))).collect();
    let mut scratch = Vec::new();
    let mut explained = |suspect: &Suspect| -> Vec<bool> {
        let each = all.iter().flat_map(|pairs| pairs.iter()).map(|(authority, projection)| {
            let values = Sides { authority: reading(authority), projection: reading(projection) };
            let split = encode_pair(values, &mut scratch);
            suspect.explains(class_of(values.authority, values.projection), (&scratch, split))
        });
        each.collect()
    };
    let by_suspect: Vec<Vec<bool>> = found.iter().map(&mut explained).collect();
    assert!(found.len() >= all.len());
    for (one, by_one) in found.iter().zip(&by_suspect) {
        assert!(one.explains_as(one), "{one:?}");
        for (other, by_other) in found.iter().zip(&by_suspect) {
            assert_eq!(one.explains_as(other), by_one == by_other, "{one:?} and {other:?}");
        }
    }
}

#[test]
fn near_misses_stay_unnamed() {
    let time = |row: usize| odd(row) * 1_000_000_007;
    let cases: Vec<(&str, Vec<(String, String)>)> = vec![
        (
            "no constant offset",
            of(
                |row| {
                    (format!("ns:{}", time(row)), format!("ns:{}", time(row) + 3_600_000_000_000 + odd(row + 5) * 11))
                },
                40,
            ),
        ),
        (
            "a factor that is not known",
            of(|row| (odd(row).to_string(), format!("{}.{}", odd(row) * 999 / 10, odd(row) * 999 % 10)), 40),
        ),
        (
            "no constant factor",
            of(|row| (odd(row).to_string(), (odd(row) * 100 + odd(row + 3) % 7 + 1).to_string()), 40),
        ),
        (
            "cut anywhere",
            of(
                |row| {
                    (
                        format!("value number {row:06} and more"),
                        format!("value number {row:06} and more")[..4 + row % 25].to_owned(),
                    )
                },
                75,
            ),
        ),
        ("rounded wrongly", of(|row| (format!("{}.12345678", odd(row)), format!("{}.123459", odd(row))), 40)),
        ("unlike texts", of(|row| (format!("a{}", odd(row)), format!("b{}", odd(row + 1))), 40)),
        ("garbled in another way", of(|row| (format!("é{row}"), format!("Ä{row}")), 40)),
        ("case and another letter", of(|row| (format!("Roma {row}"), format!("ROMB {row}")), 40)),
        ("four rows", of(|row| (format!("Roma {row}"), format!("ROMA {row}")), 4)),
        ("a map in which nothing comes twice", of(|row| (format!("x{row}"), format!("y{row}")), 40)),
        ("the other digits", of(|row| (format!("00{}", odd(row)), (odd(row) + 1).to_string()), 40)),
        ("cut off wrongly", of(|row| (format!("{}.98765", odd(row)), format!("{}.97", odd(row))), 40)),
        ("another sign and number", of(|row| (format!("{}.5", odd(row)), format!("-{}.5", odd(row) + 1)), 40)),
        ("white space and another letter", of(|row| (format!("a {row}"), format!("a  {}b ", odd(row))), 40)),
        ("another form and letter", of(|row| (format!("é{row}"), format!("e\u{301}x{}", odd(row))), 40)),
        ("another number by its exponent", of(|row| (format!("{}000", odd(row)), format!("{}E+3", odd(row) + 1)), 40)),
        ("another number of other digits", of(|row| (format!("{}.50", odd(row)), format!("{}.6", odd(row + 1))), 40)),
        ("NULL that became many values", of(|row| ("NULL".to_owned(), format!("v{}", odd(row))), 40)),
        ("many values, none for all", of(|row| (format!("v{row}"), format!("w{}", odd(row) % 37)), 37)),
        ("versions that lie ahead", of(|row| (row.to_string(), (row + 2 + odd(row)).to_string()), 40)),
    ];
    for (name, pairs) in cases {
        assert_eq!(named(&pairs), [], "{name}: {:?}", &pairs[..3]);
    }
}

#[test]
fn a_map_to_numbers_that_do_not_follow_one_another_is_no_ordinal() {
    let states = |row: usize| [two("NEW", "17"), two("OPEN", "3"), two("DONE", "90")][row % 3].clone();
    assert_eq!(named(&of(states, 30)), [("value_map", 30)]);
}

#[test]
fn a_value_of_a_map_with_one_exception_is_not_in_it() {
    let mut pairs = of(|row| if row % 2 == 0 { two("BOUND", "Active") } else { two("LAPSED", "Inactive") }, 40);
    pairs.push(two("BOUND", "Pending"));
    assert_eq!(named(&pairs), [("value_map", 20)]);
    let Some(Suspect::Map { told, .. }) = suspects(&clues(&pairs)).into_iter().next() else { panic!("no map") };
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].shown.authority.as_deref(), Some("LAPSED"));
}

#[test]
fn several_causes_share_an_attribute_and_no_row_is_counted_twice() {
    let mut pairs = of(|row| (format!("Roma {row}"), format!("ROMA {row}")), 10);
    pairs.extend(of(|row| (format!("Bari {row}"), format!("Bari {row} ")), 20));
    pairs.extend(of(|row| (format!("Pisa {}", odd(row)), format!("Siena {}", odd(row + 2))), 7));
    assert_eq!(named(&pairs), [("letter_case", 10), ("white_space", 20)]);
    let mut pairs = of(|row| (format!("{}.1234561", odd(row)), format!("{}.123456", odd(row))), 30);
    pairs.extend(of(|row| (format!("{}.1234512", odd(row)), format!("{}.12345", odd(row))), 20));
    assert_eq!(named(&pairs), [("rounded", 30), ("rounded", 20)]);
}

#[test]
fn a_tie_tells_half_to_even_from_half_away() {
    let of = |rounded: &str, whole: &str| {
        let number = |text| spelled_number(text).expect("a number");
        spans(number(rounded), number(whole)).map(|spans| Mode::ALL.map(|mode| spans.hold(mode, 1)))
    };
    assert_eq!(of("0.2", "0.25"), Some([false, true, true]));
    assert_eq!(of("0.3", "0.25"), Some([true, false, false]));
    assert_eq!(of("0.4", "0.35"), Some([true, true, false]));
    assert_eq!(of("-0.3", "-0.25"), Some([true, false, false]));
    assert_eq!(of("0.2", "0.26"), Some([false, false, true]));
    assert_eq!(of("0.1", "0.25"), None);
}

/// What `spans` says, in the plainest way: by the definition of rounding.
fn rounds(whole: i128, decimals: u32, mode: Mode) -> i128 {
    let unit = 10_i128.pow(6 - decimals);
    let (down, rest) = (whole.abs() / unit, whole.abs() % unit);
    let up = match mode {
        Mode::Away => rest * 2 >= unit,
        Mode::Even => rest * 2 > unit || (rest * 2 == unit && down % 2 == 1),
        Mode::Truncate => false,
    };
    (down + i128::from(up)) * unit * whole.signum()
}

proptest! {
    #[test]
    fn rounding_is_recognised_exactly_where_rounding_gives_it(whole in -99_999_999_i128..99_999_999, decimals in 0_u32..6, nudge in -2_i128..3) {
        let plain = |millionths: i128| {
            let mut number = ExactDecimal { coefficient: millionths, exponent: if millionths == 0 { 0 } else { -6 } };
            while number.coefficient != 0 && number.coefficient % 10 == 0 {
                number = ExactDecimal { coefficient: number.coefficient / 10, exponent: number.exponent + 1 };
            }
            number
        };
        let rounded = rounds(whole, decimals, Mode::Away) + nudge * 10_i128.pow(6 - decimals);
        let found = spans(plain(rounded), plain(whole));
        for mode in Mode::ALL {
            for kept in 0..6_u32 {
                let fewer = super::number::decimals(plain(whole)) > super::number::decimals(plain(rounded));
                let expected = fewer && kept < super::number::decimals(plain(whole)) && rounds(whole, kept, mode) == rounded;
                let held = found.is_some_and(|spans| spans.hold(mode, u8::try_from(kept).expect("small")));
                prop_assert_eq!(held, expected, "{} to {} of {} in {:?}", rounded, kept, whole, mode);
            }
        }
    }

    #[test]
    fn clues_say_the_same_however_rows_are_grouped(values in proptest::collection::vec((0_u32..40, 0_u32..300), 0..400), cut in 0_usize..400) {
        let pairs: Vec<(String, String)> = values.iter().map(|(one, two)| (format!("{one}.{two}"), format!("{two}"))).filter(|(one, two)| one != two).collect();
        let cut = cut.min(pairs.len());
        let (mut first, second) = (clues(&pairs[..cut]), clues(&pairs[cut..]));
        first.take(second);
        let whole = clues(&pairs);
        prop_assert_eq!(format!("{first:?}"), format!("{whole:?}"));
    }

    #[test]
    fn no_pair_makes_a_class_panic(one in ".{0,12}", two in ".{0,12}", times in any::<(i64, i64)>()) {
        if one != two {
            let class = class_of(Reading::Text(&one), Reading::Text(&two));
            prop_assert!(!matches!(class, Class::Null(_)));
        }
        class_of(Reading::Time(times.0.into()), Reading::Time(times.1.into()));
        let wild = |coefficient: i64, exponent: i32| Reading::Number(ExactDecimal { coefficient: coefficient.into(), exponent });
        class_of(wild(times.0, (times.1 % 10_000) as i32), wild(times.1, (times.0 % 10_000) as i32));
    }
}

#[test]
fn a_lost_range_is_whole_or_not_said() {
    let missing = |keys: &[String]| {
        let mut missing = Missing::of_text();
        keys.iter().for_each(|key| missing.note(Reading::Text(key)));
        missing.ranges().0
    };
    let keys: Vec<String> = (95..105).map(|number| format!("P-{number:06}")).collect();
    let ranges = missing(&keys);
    assert_eq!((ranges.len(), ranges[0].keys()), (1, 10));
    assert!(ranges[0].holds(Reading::Text("P-000100")) && !ranges[0].holds(Reading::Text("P-000105")));
    assert!(!ranges[0].holds(Reading::Text("P-100")), "another spelling is another key");
    let gaps: Vec<String> = (0..40).map(|number| (number * 2).to_string()).collect();
    assert!(missing(&gaps).is_empty());
    let few: Vec<String> = (0..4).map(|number| number.to_string()).collect();
    assert!(missing(&few).is_empty());
    let mut stray = keys.clone();
    stray.extend(["P-000500".to_owned(), "Q-7".to_owned()]);
    assert_eq!(missing(&stray).len(), 1, "a stray key besides does not hide it");
}
