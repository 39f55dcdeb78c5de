//! What `check` says of contracts that meet in one projection: columns that two of them give to two owners, columns that none
//! entitles it to, and owners that are others than at the last run. It warns; it never decides who is right.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::failure;
use crate::contract::{CapturedAt, Compare, Configuration, Contract, Location, Rows, Source};
use crate::history;
use crate::normalise::Binding;
use crate::sides::Side;

/// A contract, and its columns where its sources were opened.
pub(super) struct Examined<'a> {
    pub(super) contract: &'a Contract,
    pub(super) binding: Option<&'a Binding>,
}

/// Every warning, each with the contracts or the source that it is about.
pub(super) fn warnings(configuration: &Configuration, bindings: &BTreeMap<&str, &Binding>) -> Vec<(String, String)> {
    let now = configuration.at(Timestamp::now());
    let examined: Vec<Examined<'_>> = now
        .contracts
        .iter()
        .map(|contract| Examined { contract, binding: bindings.get(contract.name.as_str()).copied() })
        .collect();
    let mut warnings = two_owners(&examined);
    warnings.extend(not_entitled(&examined));
    warnings.extend(moved(&configuration.contracts, &now.contracts, &configuration.run.reports));
    warnings
}

/// A place that rows are read from, whatever it is called.
fn place(source: &Source) -> String {
    match &source.location {
        Location::Files { path, .. } => path.display().to_string(),
        Location::Database(database) => match &database.rows {
            Rows::Table(rows) | Rows::Query(rows) => format!("{} {rows}", database.shown),
        },
        Location::Remote { shown, .. } => shown.clone(),
    }
}

/// The attributes that a contract compares, but for its key: name and column of the projection.
fn compared(examined: &Examined<'_>) -> Vec<(String, Vec<String>)> {
    let contract = examined.contract;
    let declared = |name: &str| contract.attributes.iter().find(|attribute| attribute.name == name);
    match examined.binding {
        Some(binding) => {
            let attributes = binding.attributes[binding.key_count.min(binding.attributes.len())..].iter();
            attributes
                .map(|attribute| {
                    let name = &attribute.name;
                    let path = declared(name).map_or_else(|| vec![name.clone()], |own| own.projected_as.clone());
                    (name.clone(), path)
                })
                .collect()
        }
        None => contract
            .attributes
            .iter()
            .filter(|attribute| !contract.key.contains(&attribute.name))
            .map(|attribute| (attribute.name.clone(), attribute.projected_as.clone()))
            .collect(),
    }
}

/// Columns of one projection that two contracts give to two owners.
fn two_owners(examined: &[Examined<'_>]) -> Vec<(String, String)> {
    struct Claim<'a> {
        contract: &'a Contract,
        attribute: String,
        owner: Arc<Source>,
    }
    let mut claims: BTreeMap<(String, Vec<String>), Vec<Claim<'_>>> = BTreeMap::new();
    for one in examined {
        let projection = &one.contract.sources.projection;
        for (attribute, path) in compared(one) {
            let owner = Arc::clone(one.contract.owner_of(&attribute));
            let claim = Claim { contract: one.contract, attribute, owner };
            claims.entry((place(projection), path)).or_default().push(claim);
        }
    }
    let mut warnings = Vec::new();
    for ((_, path), claims) in claims {
        for (index, one) in claims.iter().enumerate() {
            // Each pair once, with the first contract that says otherwise.
            let other = claims[..index].iter().find(|other| {
                place(&other.owner) != place(&one.owner)
                    && !are_other_rows(&other.contract.sources.projection, &one.contract.sources.projection)
            });
            let Some(other) = other else { continue };
            let about = format!("contract \"{}\"", one.contract.name);
            let said = format!(
                "attribute \"{}\": its column \"{}\" of the projection belongs to \"{}\" here and to \"{}\" in contract \
                 \"{}\" (attribute \"{}\"); one of the two decides",
                one.attribute,
                path.join("."),
                one.owner.name,
                other.owner.name,
                other.contract.name,
                other.attribute
            );
            warnings.push((about, one.contract.secrets.redact(&said).into_owned()));
        }
    }
    warnings
}

/// Two parts of one table: each has a filter of its own.
fn are_other_rows(one: &Source, other: &Source) -> bool {
    one.filter.is_some() && other.filter.is_some() && one.filter != other.filter
}

/// Columns of a projection that a contract with `compare = "declared"` leaves out, and that no other contract names.
fn not_entitled(examined: &[Examined<'_>]) -> Vec<(String, String)> {
    let mut left_out: BTreeMap<(String, String), &Contract> = BTreeMap::new();
    for one in examined.iter().filter(|one| one.contract.compare == Compare::Declared) {
        for column in one.binding.iter().flat_map(|binding| &binding.left_out.projection) {
            left_out.entry((place(&one.contract.sources.projection), column.clone())).or_insert(one.contract);
        }
    }
    left_out.retain(|(place_of_column, column), _| {
        !examined.iter().any(|one| {
            let projection = &one.contract.sources.projection;
            place(projection) == *place_of_column && accounts_for(one, column)
        })
    });
    let mut by_contract: BTreeMap<&str, (&Contract, Vec<String>)> = BTreeMap::new();
    for ((_, column), contract) in left_out {
        by_contract.entry(&contract.name).or_insert_with(|| (contract, Vec::new())).1.push(column);
    }
    let warning = |(contract, columns): (&Contract, Vec<String>)| {
        let listed: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        let (noun, them) = if columns.len() == 1 { ("column", "it") } else { ("columns", "them") };
        let said = format!(
            "source \"{}\" holds {noun} {} that no contract entitles it to: declare {them}, or say `ignore`",
            contract.sources.projection.name,
            listed.join(", ")
        );
        (format!("contract \"{}\"", contract.name), contract.secrets.redact(&said).into_owned())
    };
    by_contract.into_values().map(warning).collect()
}

/// Whether a contract compares a column, says that it is left out, or reads it for another reason.
fn accounts_for(one: &Examined<'_>, column: &str) -> bool {
    let contract = one.contract;
    let source = &contract.sources.projection;
    let named =
        contract.attributes.iter().any(|attribute| attribute.projected_as.first().is_some_and(|top| top == column));
    let in_key = contract.key.iter().any(|key| key == column);
    let ignored = contract
        .ignore
        .iter()
        .any(|ignore| ignore.side.is_none_or(|side| side == Side::Projection) && ignore.glob.is_match(column));
    let marks = [source.version_column.as_deref(), source.updated_at.as_deref(), source.deleted.as_deref()];
    let captured = matches!(&source.captured_at, CapturedAt::Column(name) if name == column);
    // Under `compare = "all"` a column that nothing leaves out is compared, or reported as `schema`.
    let all = contract.compare == Compare::All && one.binding.is_some() && !ignored;
    named || in_key || ignored || captured || marks.contains(&Some(column)) || all
}

/// Attributes that another source owned when the contract ran last.
fn moved(written: &[Arc<Contract>], contracts: &[Arc<Contract>], reports: &Path) -> Vec<(String, String)> {
    if !reports.exists() {
        return Vec::new();
    }
    let names: Vec<&str> = contracts.iter().map(|contract| contract.name.as_str()).collect();
    let past = match history::last_owners(reports, &names) {
        Ok(past) => past,
        Err(error) => {
            let said = failure::path_message(reports, "who owned what at the last run cannot be read", &error);
            return vec![("reports".to_owned(), said)];
        }
    };
    let mut warnings = Vec::new();
    for (written, contract) in written.iter().zip(contracts) {
        let Some(past) = past.get(&contract.name) else { continue };
        let mut changes: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (attribute, owner) in &past.owners {
            let now = contract.owner_of(attribute).name.as_str();
            if now != owner {
                changes.entry((owner, now)).or_default().push(attribute);
            }
        }
        for ((before, now), attributes) in changes {
            let (noun, verb) = if attributes.len() == 1 { ("attribute", "belongs") } else { ("attributes", "belong") };
            let mut said = format!(
                "{noun} {} {verb} to \"{now}\" now, and to \"{before}\" in run {} (version {})",
                attributes.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", "),
                past.run_id,
                past.version
            );
            if attributes.iter().all(|attribute| written.hands_over(attribute, before, now)) {
                said.push_str(", as the contract says");
            } else if past.version.split('.').next() == contract.version.text.split('.').next() {
                said.push_str("; another owner is another meaning, so the version's first number must grow");
            }
            warnings.push((format!("contract \"{}\"", contract.name), contract.secrets.redact(&said).into_owned()));
        }
    }
    warnings
}
