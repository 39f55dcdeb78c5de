//! What is young, what is later than all, and what leads, over all that may be absent.

use proptest::prelude::*;

use super::*;

const MINUTE: i128 = 60 * Clock::UNIT;

fn instant(minutes: i128) -> Mark {
    Mark { clock: Clock::Instant, at: minutes * MINUTE }
}

fn number(version: i128) -> Mark {
    Mark { clock: Clock::Number, at: version * Clock::UNIT }
}

fn pace(window: Option<i128>, captured_at: Option<i128>) -> Pace {
    let minutes = |minutes: i128| minutes * MINUTE;
    Pace {
        window: window.map(minutes),
        captured_at: captured_at.map(minutes),
        began: minutes(1_000),
        ..Pace::default()
    }
}

#[test]
fn a_change_is_young_only_where_all_is_known_and_it_is_younger_than_the_window() {
    let known = pace(Some(15), Some(100));
    for (updated, young) in [
        (Some(instant(86)), true),
        (Some(instant(85)), false),
        (Some(instant(100)), true),
        (Some(instant(500)), true),
        (Some(instant(1_000)), true),
        (Some(instant(1_001)), false),
        (Some(Mark { clock: Clock::Local, ..instant(99) }), false),
        (Some(number(99)), false),
        (None, false),
    ] {
        assert_eq!(known.is_young(updated), young, "{updated:?}");
    }
    assert!(!pace(None, Some(100)).is_young(Some(instant(99))), "without a window");
    assert!(!pace(Some(15), None).is_young(Some(instant(99))), "without a snapshot's instant");
}

#[test]
fn a_missing_row_is_later_than_all_by_its_time_and_else_by_its_version() {
    let mut pace = pace(None, None);
    pace.updated.add(instant(50));
    pace.version.add(number(7));
    for (version, updated, later) in [
        (None, Some(instant(51)), true),
        (None, Some(instant(50)), false),
        (Some(number(9)), Some(instant(49)), false),
        (Some(number(1)), Some(instant(51)), true),
        (Some(number(8)), None, true),
        (Some(number(7)), None, false),
        (Some(number(8)), Some(Mark { clock: Clock::Local, ..instant(1) }), true),
        (Some(instant(8)), None, false),
        (None, None, false),
    ] {
        assert_eq!(pace.is_later_than_all(version, updated), later, "{version:?} {updated:?}");
    }
    assert!(
        !Pace::default().is_later_than_all(Some(number(1)), Some(instant(1))),
        "an empty projection has no latest row"
    );
}

proptest! {
    #[test]
    fn only_what_is_known_on_both_sides_leads(one in any::<i64>(), other in any::<i64>()) {
        let (one, other) = (number(one.into()), number(other.into()));
        let lead = |authority, projection| super::lead(Sides { authority, projection });
        prop_assert_eq!(lead(Some(one), Some(other)), Some(one.at - other.at));
        prop_assert_eq!(lead(Some(one), None), None);
        prop_assert_eq!(lead(None, Some(other)), None);
        prop_assert_eq!(lead(Some(one), Some(Mark { clock: Clock::Local, ..other })), None);
    }
}
