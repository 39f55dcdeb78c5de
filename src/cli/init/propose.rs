//! From two tables to the draft of a contract, step by step, with the evidence of each.

use super::align::{self, Aligned};
use super::draft::{Draft, DraftPair, LeftOut};
use super::keys::{self, Counted, Counts};
use super::names::is_of_load;
use super::options::Bench;
use super::pairs::{self, Pair, Why};
use super::profile::{Profile, profile};
use super::table::{HEAD_ROWS, Table};
use super::unwritten;
use super::{SQLITE, counted, grouped};
use crate::cli::Init;
use crate::cli::failure::Failure;
use crate::console::Bars;
use crate::sides::{Side, Sides};

/// Reads both tables and proposes.
pub(super) fn propose(options: &Init, memory: u64, bars: &Bars) -> Result<Draft, Failure> {
    let tables = open(options, bars)?;
    let profiles = Sides {
        authority: profile(&tables.authority, Side::Authority, bars)?,
        projection: profile(&tables.projection, Side::Projection, bars)?,
    };
    let rows = (profiles.authority.rows + profiles.projection.rows) as u64;
    let candidates = keys::candidates(&tables, &profiles);
    bars.begin_counting("counting keys", "row", rows);
    let found = keys::count(&tables, candidates, memory / 4, align::ROWS_MAX)?;
    let key = keys::best(&found).map(|best| &found[best]);
    let bytes = usize::try_from(memory / 16).unwrap_or(usize::MAX).min(64 << 20);
    bars.begin_counting("bringing rows of one key together", "row", rows);
    let aligned = key.map(|key| align::align(&tables, key, bytes)).transpose()?;
    // Without rows side by side nothing but the columns themselves can be looked at.
    let aligned = aligned.filter(|aligned| aligned.rows > 0);
    let mut draft = frame(options, &tables, &profiles);
    let key_columns = key.map(|key| key.candidate.columns.clone()).unwrap_or_default();
    match key {
        Some(key) => say_key(&mut draft, key, &tables),
        None => say_no_key(&mut draft, &found, &tables),
    }
    let mut names = Names::default();
    bars.begin_counting("trying options", "column", 0);
    for columns in &key_columns {
        bars.advance(1, 0);
        let pair = names.pair(&tables, *columns);
        draft.pairs.push(fitted(&draft, &tables, &profiles, aligned.as_ref(), pair, *columns, true));
    }
    draft.key_count = key_columns.len();
    let mut paired = pairs::find(&tables, &profiles, aligned.as_ref(), &key_columns);
    let load = split_load(&mut paired, &tables, &profiles);
    paired.sort_by_key(|pair| pair.columns.authority);
    bars.expect_rows((key_columns.len() + paired.len()) as u64);
    for pair in &paired {
        bars.advance(1, 0);
        let mut drafted = names.pair(&tables, pair.columns);
        drafted.evidence.extend(why(pair, &tables));
        let fitted = fitted(&draft, &tables, &profiles, aligned.as_ref(), drafted, pair.columns, false);
        draft.pairs.push(fitted);
    }
    if draft.pairs.is_empty() {
        return Err(nothing_in_common(&tables));
    }
    leave_out(&mut draft, &tables, &profiles, &load);
    Ok(draft)
}

fn open(options: &Init, bars: &Bars) -> Result<Sides<Table>, Failure> {
    let mut names = Sides { authority: name(&options.authority), projection: name(&options.projection) };
    if names.authority == names.projection {
        names = names.map(|side, name| format!("{name}_{side}"));
    }
    let locations = Sides { authority: &options.authority, projection: &options.projection };
    let mut problems = Vec::new();
    let tables = locations.map(|side, location| {
        bars.begin("", &format!("opening the {side}"), 0);
        Table::open(location, names.get(side), bars.counter()).map_err(|failure| problems.extend(failure.problems)).ok()
    });
    match (tables.authority, tables.projection) {
        (Some(authority), Some(projection)) => Ok(Sides { authority, projection }),
        _ => Err(Failure { problems }),
    }
}

/// A source's name from its location: the file without its ending, or the folder where the file is one of several.
fn name(location: &str) -> String {
    // Of a URL neither the user nor the password, and the host only where nothing else is left.
    let place = match location.split_once("://") {
        Some((scheme, rest)) if !scheme.eq_ignore_ascii_case("file") => {
            let rest = &rest[unwritten::host(rest)..];
            let rest = rest.split(['?', '#']).next().unwrap_or(rest).trim_end_matches('/');
            rest.split_once('/').map_or_else(|| rest.split(':').next().unwrap_or(rest), |(_, path)| path)
        }
        _ => location
            .get(..SQLITE.len())
            .filter(|scheme| scheme.eq_ignore_ascii_case(SQLITE))
            .map_or(location, |_| &location[SQLITE.len()..]),
    };
    let path = place.split(['?', '#']).next().unwrap_or(place).trim_end_matches('/');
    let parts: Vec<&str> =
        path.split(['/', '\\']).filter(|part| !part.is_empty() && *part != "." && *part != "..").collect();
    let plain = parts.iter().rev().find(|part| !part.contains(['*', '[', '{']) && **part != "file:");
    let stem = plain.map_or("table", |part| part.split('.').find(|piece| !piece.is_empty()).unwrap_or("table"));
    let plain: String =
        stem.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' }).collect();
    let plain = plain.trim_matches('_');
    if plain.is_empty() { "table".to_owned() } else { plain.to_owned() }
}

fn frame(options: &Init, tables: &Sides<Table>, profiles: &Sides<Profile>) -> Draft {
    let sources = tables.as_ref().map(|_, table| table.draft.clone());
    let name = options.name.clone().unwrap_or_else(|| {
        let (authority, projection) = (&sources.authority.name, &sources.projection.name);
        if projection.contains(authority.as_str()) { projection.clone() } else { format!("{authority}-{projection}") }
    });
    let source_evidence = tables.as_ref().map(|side, table| {
        let profile = profiles.get(side);
        let mut lines = vec![format!(
            "{}, {}, read whole",
            counted(profile.rows, "row"),
            counted(table.opened.schema.fields().len(), "column")
        )];
        if profile.unreadable > 0 {
            let unreadable = counted(usize::try_from(profile.unreadable).unwrap_or(usize::MAX), "row");
            lines.push(format!("{unreadable} could not be read; a run says where"));
        }
        if !table.draft.csv.is_empty() {
            let scope =
                if table.whole { "all rows".to_owned() } else { format!("the first {} rows", grouped(HEAD_ROWS)) };
            lines.push(format!("how its text is written was seen in {scope}"));
        }
        lines
    });
    let head = vec![
        "Written by `reconcile init` from two tables: a proposal, with what was seen in comments.".to_owned(),
        "The authority is right by definition; if it is the other way round, swap the two tables.".to_owned(),
        "Then: reconcile check --sources, reconcile run.".to_owned(),
    ];
    Draft { head, sources, source_evidence, name, ..Draft::default() }
}

fn fitted(
    frame: &Draft,
    tables: &Sides<Table>,
    profiles: &Sides<Profile>,
    aligned: Option<&Aligned>,
    pair: DraftPair,
    columns: Sides<usize>,
    in_key: bool,
) -> DraftPair {
    match aligned {
        Some(aligned) => Bench { tables, profiles, aligned, frame }.fit(pair, columns, in_key),
        None => pair,
    }
}

fn say_key(draft: &mut Draft, key: &Counted, tables: &Sides<Table>) {
    let scope = if key.one_in == 1 {
        "in all rows".to_owned()
    } else {
        format!(
            "in a sample of one key in {}, as not all fit into memory",
            grouped(usize::try_from(key.one_in).unwrap_or(usize::MAX))
        )
    };
    for (side, counts) in key.sides.iter() {
        let columns: Vec<String> =
            key.candidate.columns.iter().map(|pair| tables.get(side).columns[*pair.get(side)].shown()).collect();
        draft.key_evidence.push(format!("{side}, {}: {}, {scope}", columns.join(" + "), of_counts(*counts)));
    }
    let few = key.sides.authority.keys.min(key.sides.projection.keys);
    draft.key_evidence.push(format!("{} on both sides", counted(key.common, "key")));
    if key.common == 0 {
        let doubt = "no key is on both sides: whether these columns identify the same things is not known";
        draft.key_evidence.push(doubt.to_owned());
        draft.doubts.push(doubt.to_owned());
    } else if key.common * 2 < few {
        draft.doubts.push(format!("only {} of {} keys are on both sides", grouped(key.common), grouped(few)));
    }
}

fn of_counts(counts: Counts) -> String {
    let mut said = format!("{} in {}", counted(counts.keys, "key"), counted(counts.rows, "row"));
    if counts.repeated > 0 {
        said.push_str(&format!(", {} more than once", grouped(counts.repeated)));
    }
    match counts.null {
        0 => said.push_str(", never NULL"),
        null => said.push_str(&format!(", {} NULL", grouped(null))),
    }
    said
}

/// Without a key the rows are a multiset; the nearest candidates are named.
fn say_no_key(draft: &mut Draft, found: &[Counted], tables: &Sides<Table>) {
    let doubt = "no columns were found that identify a row on both sides, so rows are compared as a multiset";
    draft.doubts.push(doubt.to_owned());
    draft.key_evidence.push(doubt.to_owned());
    for counted in found {
        for (side, counts) in counted.sides.iter() {
            let columns: Vec<String> = counted
                .candidate
                .columns
                .iter()
                .map(|pair| tables.get(side).columns[*pair.get(side)].shown())
                .collect();
            draft.key_evidence.push(format!("not {side}, {}: {}", columns.join(" + "), of_counts(*counts)));
        }
    }
}

/// Names of attributes, each used once.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn pair(&mut self, tables: &Sides<Table>, columns: Sides<usize>) -> DraftPair {
        let paths = Sides::from_fn(|side| tables.get(side).columns[*columns.get(side)].path.clone());
        let mut name = match &paths.authority[..] {
            [only] => only.clone(),
            members => match &paths.projection[..] {
                [only] => only.clone(),
                _ => members.join("_"),
            },
        };
        // An attribute that has another column's name would stand for that column.
        let is_free = |name: &String, names: &Self| {
            let is_another = |side: Side| {
                paths.get(side) != std::slice::from_ref(name) && tables.get(side).opened.schema.index_of(name).is_ok()
            };
            !names.0.contains(name) && (paths.authority == std::slice::from_ref(name) || !is_another(Side::Authority))
        };
        while !is_free(&name, self) {
            name.push('_');
        }
        self.0.push(name.clone());
        DraftPair { name, paths, ..DraftPair::default() }
    }
}

fn why(pair: &Pair, tables: &Sides<Table>) -> Option<String> {
    let names = Sides::from_fn(|side| tables.get(side).columns[*pair.columns.get(side)].shown());
    let by_name = names.authority == names.projection;
    let said = match pair.why {
        Why::Values if by_name => return None,
        Why::Values => "paired by values: ",
        Why::Map => "paired as each value stands for one of the other side: ",
        Why::Near => "paired as numbers are near each other: ",
        Why::Name if by_name && pair.rows > 0 && pair.alike == 0 => "paired by name only, no values are alike: ",
        Why::Name if by_name => return None,
        Why::Name => "paired by name: ",
    };
    let Sides { authority, projection } = names;
    let seen = if pair.rows == 0 {
        String::new()
    } else {
        format!(", {} of {} alike", grouped(pair.alike), counted(pair.rows, "value"))
    };
    Some(format!("{said}{authority} -> {projection}{seen}"))
}

/// Takes out the pairs that a load job wrote: by name, or one time for each part; and whose values do not agree.
fn split_load(paired: &mut Vec<Pair>, tables: &Sides<Table>, profiles: &Sides<Profile>) -> Vec<Sides<usize>> {
    let is_load = |pair: &Pair| {
        let of = |side: Side| {
            let column = *pair.columns.get(side);
            is_of_load(&tables.get(side).columns[column].shown()) || profiles.get(side).columns[column].is_load_time()
        };
        Side::BOTH.into_iter().any(of) && pair.alike * 2 < pair.rows
    };
    let load = paired.iter().filter(|pair| is_load(pair)).map(|pair| pair.columns).collect();
    paired.retain(|pair| !is_load(pair));
    load
}

/// Says of every column without a partner that it is left out, and why.
fn leave_out(draft: &mut Draft, tables: &Sides<Table>, profiles: &Sides<Profile>, load: &[Sides<usize>]) {
    let mut halved = Vec::new();
    for side in Side::BOTH {
        let table = tables.get(side);
        for field in table.opened.schema.fields() {
            let name = field.name();
            let pairs = || draft.pairs.iter().map(|pair| pair.paths.get(side));
            if pairs().any(|path| path.len() == 1 && path[0] == *name) {
                continue;
            }
            if pairs().any(|path| path[0] == *name) {
                halved.push(name.clone());
                continue;
            }
            let number = table.columns.iter().position(|column| column.path == [name.clone()]);
            let of_load = number.is_some_and(|number| {
                load.iter().any(|pair| *pair.get(side) == number)
                    || is_of_load(name)
                    || profiles.get(side).columns[number].is_load_time()
            });
            let why = match number {
                None => "a type that is not compared",
                Some(_) if of_load => "written by the load, it seems",
                Some(_) => "no column of the other side was found for it",
            };
            draft.left_out.push(LeftOut { side, column: name.clone(), why: why.to_owned() });
        }
    }
    if !halved.is_empty() {
        draft.declared = Some(format!(
            "only what is named is compared: of {} only members have a partner; not compared are:",
            halved.join(", ")
        ));
    }
}

fn nothing_in_common(tables: &Sides<Table>) -> Failure {
    let names = tables.as_ref().map(|_, table| {
        table.opened.schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ")
    });
    Failure::with_hint(
        format!(
            "no column of one table belongs to a column of the other, neither by name nor by values (authority has: {}; \
             projection has: {}); nothing is written",
            names.authority, names.projection
        ),
        "if you know which belong together: `reconcile diff AUTHORITY PROJECTION --key K --map attribute=column`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_for_its_place() {
        let cases = [
            ("fixtures/insurer/policy_admin/*.parquet", "policy_admin"),
            ("crm/policy_view.ndjson", "policy_view"),
            ("./a b.csv.gz", "a_b"),
            ("/data/x/", "x"),
            ("file:///data/y.csv", "y"),
            ("**/*.csv", "table"),
            ("../…", "table"),
            ("postgres://amy:secret@db.example.org:5432", "db"),
            ("postgres://amy:secret@db:5432/?sslmode=require", "db"),
            ("postgres://amy:sec/ret@db/shop#public.orders", "shop"),
            ("mysql://amy:secret@db/shop?x=y", "shop"),
            ("sqlite:a.db", "a"),
            ("sqlite:///data/shop.sqlite?mode=ro#orders", "shop"),
            ("SQLite:crm/view.db", "view"),
        ];
        for (location, expected) in cases {
            assert_eq!(name(location), expected, "{location}");
        }
    }
}
