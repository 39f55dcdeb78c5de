//! Makes the contract that `reconcile diff` stands for: flags become the same raw values that a file holds, and meet the
//! same checks. Nothing is read from the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::raw;
use super::super::read::OneText;
use super::super::shape;
use super::super::tree::{Entry, Node, Place, Problems, Table, Text, Value};
use super::super::values;
use super::super::{CapturedAt, Contract, CsvOptions, Errors, Location, Rows, Source, Tolerance};
use super::agreement::{self, Setting};
use super::location;
use crate::sides::Side;

/// What `reconcile diff` was told, which stands for a contract named `diff`.
#[derive(Clone, Debug, Default)]
pub struct DiffRequest {
    /// Location as written on the command line (relative to the working directory).
    pub authority: String,
    /// Location as written on the command line.
    pub projection: String,
    /// Key attributes; empty with `--no-key`.
    pub key: Vec<String>,
    /// `--map attribute=projection_column`.
    pub map: Vec<(String, String)>,
    /// `--ignore`
    pub ignore: Vec<String>,
    /// `--only`
    pub only: Vec<String>,
    /// `--tolerance [COLUMN=]VALUE`
    pub tolerance: Vec<(Option<String>, String)>,
    /// `--type COLUMN=TYPE`
    pub types: Vec<(String, String)>,
    /// `--trim`
    pub trim: bool,
    /// `--ignore-case`
    pub ignore_case: bool,
    /// `--null-equals`
    pub null_equals: Vec<String>,
    /// `--where`
    pub row_filter: Option<String>,
}

/// Makes the contract that `reconcile diff` stands for, through the same checks.
///
/// # Errors
/// Every problem that was found; they name the flag.
pub fn for_diff(request: &DiffRequest) -> Result<Contract, Errors> {
    let (mut problems, mut warnings) = (Problems::default(), Problems::default());
    let table = raw_contract(request, &mut problems);
    shape::check_table(&table, &raw::CONTRACT, Some("contract \"diff\""), "", &mut problems);
    let mut sources = BTreeMap::new();
    let mut declared = Vec::new();
    for side in Side::BOTH {
        let (flag, written) = match side {
            Side::Authority => ("AUTHORITY", &request.authority),
            Side::Projection => ("PROJECTION", &request.projection),
        };
        declared.push(entry(side.name(), Node { at: Place::Flag(flag), value: Value::Table(Table::default()) }));
        match source(written) {
            Ok(source) => drop(sources.insert(side.name().to_owned(), Arc::new(source))),
            Err(message) => problems.add(&Place::Flag(flag), None, message, None),
        }
    }
    let nothing = OneText(std::path::Path::new(""), "");
    let setting = Setting { sources: &sources, declared: &declared, disk: &nothing };
    let own = entry("diff", Node { at: Place::Flag("diff"), value: Value::Table(table.clone()) });
    let draft = agreement::check_contract(&own, &table, &setting, &mut problems, &mut warnings);
    let numeric_tolerance = bare_tolerance(request, &mut problems);
    check_only(request, draft.as_ref().map(|draft| &draft.contract), &mut problems);
    match draft {
        Some(mut draft) if problems.is_empty() => {
            draft.contract.only.clone_from(&request.only);
            draft.contract.row_filter.clone_from(&request.row_filter);
            draft.contract.numeric_tolerance = numeric_tolerance;
            Ok(draft.seal())
        }
        _ => Err(Errors(problems.sorted(&[]))),
    }
}

fn entry(key: &str, node: Node) -> Entry {
    Entry { key: key.to_owned(), at: node.at.clone(), node }
}

fn source(written: &str) -> Result<Source, String> {
    // The shell has put variables in already, so there are none here.
    let location = location::parse(&Text { text: written.to_owned(), written: None }, |path| {
        PathBuf::from(path.strip_prefix("file://").unwrap_or(path))
    })?;
    if let Location::Database(database) = &location
        && database.rows == Rows::Table(String::new())
    {
        return Err(format!(
            "{} names no table, expected one behind `#`, as in {}#public.orders",
            database.shown, database.shown
        ));
    }
    let name = match &location {
        Location::Files { written, .. } => written.clone(),
        Location::Database(database) => match &database.rows {
            Rows::Table(rows) | Rows::Query(rows) => format!("{}#{rows}", database.shown),
        },
        Location::Remote { shown, .. } => shown.clone(),
    };
    Ok(Source {
        name,
        context: None,
        location,
        format: None,
        filter: None,
        version_column: None,
        updated_at: None,
        deleted: None,
        captured_at: CapturedAt::SourceTells,
        max_age: None,
        timezone: None,
        csv: CsvOptions::default(),
    })
}

/// The table that a file would hold.
fn raw_contract(request: &DiffRequest, problems: &mut Problems) -> Table {
    let mut table = Table::default();
    let own = Place::Flag("diff");
    table.set("version", Node::text_at(&own, "1.0.0"));
    table.set("authority", Node::text_at(&own, "authority"));
    table.set("projection", Node::text_at(&own, "projection"));
    table.set("key", Node::texts_at(&Place::Flag("--key"), &request.key));
    table.set("ignore", Node::texts_at(&Place::Flag("--ignore"), &request.ignore));
    table.set("null_equals", Node::texts_at(&Place::Flag("--null-equals"), &request.null_equals));
    if request.trim {
        table.set("trim", Node::text_at(&Place::Flag("--trim"), "both"));
    }
    if request.ignore_case {
        table.set("case", Node::text_at(&Place::Flag("--ignore-case"), "ignore"));
    }
    let mut attributes = Attributes(Vec::new());
    for (name, column) in &request.map {
        attributes.say(name, "projected_as", column, "--map", problems);
    }
    for (name, logical_type) in &request.types {
        attributes.say(name, "type", logical_type, "--type", problems);
    }
    for (name, tolerance) in &request.tolerance {
        if let Some(name) = name {
            attributes.say(name, "tolerance", tolerance, "--tolerance", problems);
        }
    }
    let attributes = attributes
        .0
        .into_iter()
        .map(|(name, flag, options)| entry(&name, Node { at: Place::Flag(flag), value: Value::Table(options) }));
    table.set("attribute", Node { at: own, value: Value::Table(Table(attributes.collect())) });
    table
}

/// Attributes in the order in which flags name them first, with that flag.
struct Attributes(Vec<(String, &'static str, Table)>);

impl Attributes {
    fn say(&mut self, name: &str, key: &str, value: &str, flag: &'static str, problems: &mut Problems) {
        let index = self.0.iter().position(|(held, ..)| held == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), flag, Table::default()));
            self.0.len() - 1
        });
        let (_, _, options) = &mut self.0[index];
        if options.node(key).is_some() {
            problems.add(&Place::Flag(flag), None, format!("\"{name}\" is named twice"), None);
        } else {
            options.set(key, Node::text_at(&Place::Flag(flag), value));
        }
    }
}

/// `--tolerance VALUE`, for every numeric attribute that no flag gives one of its own.
fn bare_tolerance(request: &DiffRequest, problems: &mut Problems) -> Option<Tolerance> {
    let at = Place::Flag("--tolerance");
    let mut bare = request.tolerance.iter().filter_map(|(name, value)| name.is_none().then_some(value));
    let value = bare.next()?;
    if bare.next().is_some() {
        problems.add(&at, None, "a value for all columns is given twice, expected one", None);
    }
    if request.key.is_empty() {
        let message = "tolerance without a key: rows of a multiset are equal or not";
        problems.add(&at, None, message, Some("name the key with --key".to_owned()));
    }
    let node = Node::text_at(&at, value);
    match values::tolerance(&node) {
        Ok(Tolerance::Time(_)) => {
            let hint = format!("name the column: --tolerance COLUMN={value}");
            let message = format!("a value for all columns is for numbers, and \"{value}\" is a time");
            problems.add(&at, None, message, Some(hint));
            None
        }
        Ok(tolerance) => Some(tolerance),
        Err(complaint) => {
            shape::complain(&node, "tolerance", &complaint, None, problems);
            None
        }
    }
}

/// `--only` and `--ignore` must not name the same column.
fn check_only(request: &DiffRequest, contract: Option<&Contract>, problems: &mut Problems) {
    let Some(contract) = contract else { return };
    for name in &request.only {
        let hit = contract.ignore.iter().find(|entry| entry.side.is_none() && entry.glob.is_match(name));
        if let Some(entry) = hit {
            let message = format!("\"{name}\" is compared only, and left out by --ignore \"{}\"", entry.written);
            problems.add(&Place::Flag("--only"), None, message, None);
        }
    }
}
