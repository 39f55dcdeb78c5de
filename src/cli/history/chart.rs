//! A contract's history as a small chart: a column a run, the newest at the right, 80 columns at most.

use super::last;
use crate::audit::Verdict;
use crate::contract::Kind;
use crate::history::{Point, Standing, Trend, Worth};
use crate::report::escape::visible;

/// How many runs are drawn.
const DRAWN: usize = 36;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BARS: [char; 8] = ['.', ':', '-', '=', '+', '*', '#', '@'];
const NONE: char = '_';
const UNVERIFIED: char = '?';
const NARROWED: char = '~';
const PRUNED: char = 'x';
const DAMAGED: char = '!';
const WHOLE: char = '.';

/// The chart of one contract.
pub(super) fn text(name: &str, trend: &Trend, standing: Option<&Standing>, ascii: bool) -> String {
    let mut text = format!("{}: {}\n", visible(name), visible(&last(trend, standing)));
    let anew = trend.anew();
    if let Some((first, before)) = anew {
        let version = trend.points[first].whole().map_or("", |found| &found.version);
        let (version, before) = (visible(version), visible(before));
        text.push_str(&format!(
            "  version {version} starts anew after {before}; `--format json` has the runs before\n"
        ));
    }
    let points = &trend.points[anew.map_or(0, |(first, _)| first)..];
    let points = &points[points.len().saturating_sub(DRAWN)..];
    if points.is_empty() {
        return text + "\n";
    }
    let mut line = |label: &str, chart: String, told: &str| {
        text.push_str(format!("  {label:<13} {chart}  {told}").trim_end());
        text.push('\n');
    };
    let runs = if points.len() == 1 { "1 run".to_owned() } else { format!("{} runs", points.len()) };
    let of = if points.len() < trend.runs { format!("{runs} of {}", trend.runs) } else { runs };
    line("verdict", points.iter().map(letter).collect(), &of);
    if points.iter().any(|point| point.worth() != Worth::Whole) {
        line("state", points.iter().map(|point| mark(point.worth())).collect(), "");
    }
    for kind in kinds(points) {
        let counts: Vec<Option<u64>> = points.iter().map(|point| count_of(point, kind)).collect();
        line(kind.name(), bars(points, &counts, ascii), &went(&counts, ascii));
    }
    let recurring: Vec<Option<u64>> =
        points.iter().map(|point| Some(point.whole()?.recurrence.as_ref()?.recurring)).collect();
    if recurring.iter().flatten().any(|count| *count > 0) {
        line("recurring", bars(points, &recurring, ascii), &went(&recurring, ascii));
    }
    let legend = legend(points);
    if !legend.is_empty() {
        line("", legend, "");
    }
    text + "\n"
}

/// What the marks that are drawn stand for.
fn legend(points: &[Point]) -> String {
    let of = |worth: Worth| points.iter().any(|point| point.worth() == worth);
    let unverified = points.iter().filter_map(Point::whole).any(|found| found.verdict == Verdict::Unverified);
    let known = [
        (of(Worth::Pruned), PRUNED, "pruned: the ledger's verdict alone is left"),
        (of(Worth::Damaged), DAMAGED, "missing or changed"),
        (of(Worth::Narrowed), NARROWED, "narrowed by --where"),
        (unverified, UNVERIFIED, "unverified"),
    ];
    let drawn = known.iter().filter(|(drawn, ..)| *drawn);
    drawn.map(|(_, mark, means)| format!("{mark} {means}")).collect::<Vec<_>>().join(", ")
}

fn mark(worth: Worth) -> char {
    match worth {
        Worth::Whole => WHOLE,
        Worth::Narrowed => NARROWED,
        Worth::Pruned => PRUNED,
        Worth::Damaged => DAMAGED,
    }
}

/// The kinds that any run found.
pub(super) fn kinds(points: &[Point]) -> Vec<Kind> {
    let found = |kind: &Kind| points.iter().any(|point| count_of(point, *kind).is_some_and(|keys| keys > 0));
    Kind::ALL.into_iter().filter(found).collect()
}

/// Keys of a kind, where the run compared the whole contract to its end.
pub(super) fn count_of(point: &Point, kind: Kind) -> Option<u64> {
    let found = point.whole().filter(|found| found.verdict != Verdict::Unverified)?;
    Some(found.keys.get(&kind).copied().unwrap_or(0))
}

/// `a`, `d`, `u`; of a run that was changed what the ledger says is no more than that.
fn letter(point: &Point) -> char {
    match point.worth() {
        Worth::Whole | Worth::Pruned => point.verdict.chars().next().unwrap_or(UNVERIFIED),
        worth => mark(worth),
    }
}

fn bars(points: &[Point], counts: &[Option<u64>], ascii: bool) -> String {
    let most = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let levels = if ascii { ASCII_BARS } else { BARS };
    let bar = |(point, count): (&Point, &Option<u64>)| match (count, point.worth()) {
        (None, Worth::Whole) => UNVERIFIED,
        (None, worth) => mark(worth),
        (Some(0), _) => NONE,
        (Some(count), _) => {
            levels[usize::try_from((u128::from(*count) * 8).div_ceil(u128::from(most)) - 1).unwrap_or(7)]
        }
    };
    points.iter().zip(counts).map(bar).collect()
}

/// `14 → 3, at most 20`.
fn went(counts: &[Option<u64>], ascii: bool) -> String {
    let known: Vec<u64> = counts.iter().flatten().copied().collect();
    let (Some(first), Some(last), Some(most)) = (known.first(), known.last(), known.iter().max()) else {
        return String::new();
    };
    let arrow = if ascii { "->" } else { "→" };
    if known.len() == 1 {
        return last.to_string();
    }
    let most = if most > first.max(last) { format!(", at most {most}") } else { String::new() };
    format!("{first} {arrow} {last}{most}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::State;

    #[test]
    fn a_bar_is_as_high_as_its_share_of_the_most() {
        let point =
            |_| Point { run_id: String::new(), recorded_at: None, verdict: "agreed".to_owned(), state: State::Pruned };
        let points: Vec<Point> = (0..6).map(point).collect();
        let counts = [Some(0), Some(1), Some(4), Some(8), None, Some(u64::MAX)];
        assert_eq!(bars(&points[..5], &counts[..5], false), "_▁▄█x");
        assert_eq!(bars(&points[..5], &counts[..5], true), "_.=@x");
        assert_eq!(bars(&points, &counts, true), "_...x@");
        assert_eq!(went(&counts[..5], false), "0 → 8");
        assert_eq!(went(&[Some(3), Some(9), Some(2)], true), "3 -> 2, at most 9");
    }
}
