//! `reconcile check`: every problem of the contract file at once, and with `--sources` of what it names. It compares nothing.

use std::sync::Arc;

use serde_json::{Value, json};

use super::failure::{self, Failure};
use super::{Check, ExitStatus, Format, Global, configuration, interrupt, ownership};
use crate::console::Console;
use crate::contract::{Configuration, Contract};
use crate::normalise::{Binding, SchemaDifference, SchemaReason};
use crate::run;
use crate::sides::Side;

pub(super) fn run(options: &Check, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let configuration = configuration::load(global)?;
    configuration::say_warnings(&configuration, console);
    let opened: Vec<OpenedContract> = if options.sources { opened(&configuration, console)? } else { Vec::new() };
    for contract in &opened {
        for warning in &contract.warnings {
            console.warning(&format!("contract \"{}\": {warning}", contract.name), None);
        }
        for problem in &contract.problems {
            console.error(&format!("contract \"{}\": {problem}", contract.name), None);
        }
    }
    let bindings = opened.iter().filter_map(|contract| Some((contract.name.as_str(), contract.binding.as_ref()?)));
    let owners = ownership::warnings(&configuration, &bindings.collect());
    for (about, said) in &owners {
        console.warning(&format!("{about}: {said}"), None);
    }
    let problems = opened.iter().map(|contract| contract.problems.len()).sum::<usize>();
    let document = document(&configuration, &opened, &owners);
    let written = match global.format {
        Format::Json => writeln!(console.out(), "{document:#}"),
        Format::Ndjson => writeln!(console.out(), "{document}"),
        Format::Text | Format::Markdown => {
            let mut text: String = opened
                .iter()
                .filter_map(|contract| contract.sentence.as_ref())
                .map(|line| format!("{line}\n"))
                .collect();
            text.push_str(&sum(&configuration, problems));
            writeln!(console.out(), "{text}")
        }
    };
    written.map_err(|error| Failure::stdout(&error))?;
    Ok(if problems == 0 { ExitStatus::Agreed } else { ExitStatus::Unverified })
}

/// Opens the sources of every contract; a file whose types are nowhere said is read whole for it.
fn opened(configuration: &Configuration, console: &Console) -> Result<Vec<OpenedContract>, Failure> {
    let bars = interrupt::told(console)?;
    bars.expect_contracts(configuration.contracts.len(), Arc::default());
    let each = configuration.contracts.iter().map(|contract| {
        bars.begin(&contract.name, "opening", 0);
        let opened = open(contract);
        bars.leave();
        opened
    });
    Ok(each.collect())
}

/// What opening the sources of one contract said.
struct OpenedContract {
    name: String,
    sentence: Option<String>,
    warnings: Vec<String>,
    problems: Vec<String>,
    binding: Option<Binding>,
}

fn open(contract: &Contract) -> OpenedContract {
    let name = contract.name.clone();
    match run::check_sources(contract) {
        Ok((binding, mut warnings)) => {
            warnings.extend(binding.schema.iter().map(schema_warning));
            for warning in &mut warnings {
                contract.secrets.redact_in(warning);
            }
            let sentence = sentence(&binding);
            let sentence = Some(format!("contract \"{name}\": {}", contract.secrets.redact(&sentence)));
            OpenedContract { name, sentence, warnings, problems: Vec::new(), binding: Some(binding) }
        }
        Err(problems) => OpenedContract { name, sentence: None, warnings: Vec::new(), problems, binding: None },
    }
}

fn sentence(binding: &Binding) -> String {
    let (key, compared) = binding.attributes.split_at(binding.key_count.min(binding.attributes.len()));
    let attributes = count(compared.len(), "attribute");
    if key.is_empty() {
        return format!("rows as a multiset, {attributes} compared");
    }
    let key: Vec<&str> = key.iter().map(|attribute| attribute.name.as_str()).collect();
    format!("key {}, {attributes} compared", key.join(", "))
}

/// A column that a run would report as a `schema` divergence.
fn schema_warning(difference: &SchemaDifference) -> String {
    let attribute = &difference.attribute;
    match difference.reason {
        SchemaReason::MissingColumn => {
            let lacking = if difference.types.authority.is_none() { Side::Authority } else { Side::Projection };
            format!("attribute \"{attribute}\": the {lacking} has no such column; a run reports `schema`")
        }
        SchemaReason::Incomparable | SchemaReason::ZoneUnknown => {
            let of = |side: Side| difference.types.get(side).as_deref().unwrap_or("nothing");
            let why = if difference.reason == SchemaReason::ZoneUnknown {
                "and no `timezone` says which zone"
            } else {
                "which have no common ground"
            };
            format!(
                "attribute \"{attribute}\": authority has {}, projection has {}, {why}; a run reports `schema`",
                of(Side::Authority),
                of(Side::Projection)
            )
        }
    }
}

fn sum(configuration: &Configuration, problems: usize) -> String {
    let found = if problems == 0 { "no problems".to_owned() } else { count(problems, "problem") };
    format!(
        "{}: {}, {}: {found}",
        failure::shown(&configuration.file),
        count(configuration.contracts.len(), "contract"),
        count(configuration.sources.len(), "source"),
    )
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn document(configuration: &Configuration, opened: &[OpenedContract], owners: &[(String, String)]) -> Value {
    let of_contract = |lines: fn(&OpenedContract) -> &Vec<String>| -> Vec<Value> {
        opened
            .iter()
            .flat_map(|contract| {
                lines(contract)
                    .iter()
                    .map(|line| json!({"about": format!("contract \"{}\"", contract.name), "message": line}))
            })
            .collect()
    };
    let mut warnings: Vec<Value> = configuration.warnings.iter().map(failure::as_json).collect();
    warnings.extend(of_contract(|contract| &contract.warnings));
    warnings.extend(owners.iter().map(|(about, said)| json!({"about": about, "message": said})));
    json!({
        "format_version": 1,
        "file": failure::shown(&configuration.file),
        "contracts": configuration.contracts.iter().map(|contract| &contract.name).collect::<Vec<_>>(),
        "sources": configuration.sources.keys().collect::<Vec<_>>(),
        "problems": of_contract(|contract| &contract.problems),
        "warnings": warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::contracts::tests::{configuration, contract};
    use crate::sides::Sides;

    #[test]
    fn the_sum_says_what_was_checked() {
        let configuration = configuration(vec![contract("orders"), contract("stock")]);
        assert_eq!(sum(&configuration, 0), "reconcile.toml: 2 contracts, 0 sources: no problems");
        assert_eq!(sum(&configuration, 1), "reconcile.toml: 2 contracts, 0 sources: 1 problem");
    }

    #[test]
    fn a_column_on_one_side_names_the_side_that_lacks_it() {
        let difference = SchemaDifference {
            attribute: "premium".to_owned(),
            types: Sides { authority: Some("Int64".to_owned()), projection: None },
            reason: SchemaReason::MissingColumn,
        };
        assert_eq!(
            schema_warning(&difference),
            "attribute \"premium\": the projection has no such column; a run reports `schema`"
        );
    }
}
