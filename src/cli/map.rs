//! `contracts --map`: the contexts, what they own, and which way data flows between them, as Mermaid or DOT.
//!
//! Names are shown as they are; nothing in them can end a label or begin a command of either language.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::MapFormat;
use crate::contract::{Configuration, Contract, Source};
use crate::sides::Side;

/// A drawing without layout.
pub(super) struct ContextMap<'a> {
    /// Sources by context, both sorted; sources without one come under None.
    contexts: BTreeMap<Option<&'a str>, Vec<&'a Source>>,
    flows: Vec<Flow<'a>>,
}

/// What one contract brings from one source to its projection.
struct Flow<'a> {
    contract: &'a Contract,
    owner: &'a str,
    /// What it owns there; empty: everything that no other source owns.
    attributes: Vec<&'a str>,
}

impl<'a> ContextMap<'a> {
    pub(super) fn of(configuration: &'a Configuration) -> Self {
        let mut contexts: BTreeMap<Option<&str>, Vec<&Source>> = BTreeMap::new();
        for source in configuration.sources.values() {
            contexts.entry(source.context.as_deref()).or_default().push(source);
        }
        let flows = configuration.contracts.iter().flat_map(|contract| flows(contract)).collect();
        Self { contexts, flows }
    }

    pub(super) fn text(&self, format: MapFormat) -> String {
        match format {
            MapFormat::Mermaid => self.mermaid(),
            MapFormat::Dot => self.dot(),
        }
    }

    /// The number of each source, by its name.
    fn numbers(&self) -> BTreeMap<&str, usize> {
        let names = self.contexts.values().flatten().map(|source| source.name.as_str());
        names.enumerate().map(|(number, name)| (name, number)).collect()
    }

    fn mermaid(&self) -> String {
        let numbers = self.numbers();
        let mut text = "flowchart LR\n".to_owned();
        for (index, (context, sources)) in self.contexts.iter().enumerate() {
            if let Some(context) = context {
                text.push_str(&format!("  subgraph c{index}[\"{}\"]\n", of_mermaid(context)));
            }
            for source in sources {
                let name = source.name.as_str();
                text.push_str(&format!("    s{}[\"{}\"]\n", numbers[name], of_mermaid(name)));
            }
            if context.is_some() {
                text.push_str("  end\n");
            }
        }
        for flow in &self.flows {
            let (from, to) = (numbers.get(flow.owner), numbers.get(flow.projection()));
            if let (Some(from), Some(to)) = (from, to) {
                let label: Vec<String> = flow.lines().iter().map(|line| of_mermaid(line)).collect();
                text.push_str(&format!("  s{from} -->|\"{}\"| s{to}\n", label.join("<br>")));
            }
        }
        text
    }

    fn dot(&self) -> String {
        let numbers = self.numbers();
        let mut text = "digraph contracts {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
        for (index, (context, sources)) in self.contexts.iter().enumerate() {
            if let Some(context) = context {
                text.push_str(&format!("  subgraph cluster_{index} {{\n    label=\"{}\";\n", of_dot(context)));
            }
            for source in sources {
                let name = source.name.as_str();
                text.push_str(&format!("    s{} [label=\"{}\"];\n", numbers[name], of_dot(name)));
            }
            if context.is_some() {
                text.push_str("  }\n");
            }
        }
        for flow in &self.flows {
            let (from, to) = (numbers.get(flow.owner), numbers.get(flow.projection()));
            if let (Some(from), Some(to)) = (from, to) {
                let label: Vec<String> = flow.lines().iter().map(|line| of_dot(line)).collect();
                text.push_str(&format!("  s{from} -> s{to} [label=\"{}\"];\n", label.join("\\n")));
            }
        }
        text.push_str("}\n");
        text
    }

    pub(super) fn document(&self) -> Value {
        let contexts = self.contexts.iter().map(|(context, sources)| {
            json!({"context": context, "sources": sources.iter().map(|source| &source.name).collect::<Vec<_>>()})
        });
        let flows = self.flows.iter().map(|flow| {
            json!({
                "contract": flow.contract.name,
                "version": flow.contract.version.text,
                "team": flow.contract.team.as_deref().map(|team| flow.contract.secrets.redact(team)),
                "owner": flow.owner,
                "projection": flow.projection(),
                "attributes": flow.attributes,
            })
        });
        json!({"format_version": 1, "contexts": contexts.collect::<Vec<_>>(), "flows": flows.collect::<Vec<_>>()})
    }
}

impl Flow<'_> {
    fn projection(&self) -> &str {
        &self.contract.sources.projection.name
    }

    /// What stands at the arrow.
    fn lines(&self) -> Vec<String> {
        let contract = self.contract;
        let mut lines = vec![format!("{} {}", contract.name, contract.version.text)];
        if !self.attributes.is_empty() {
            lines.push(self.attributes.join(", "));
        }
        lines.extend(contract.team.iter().map(|team| format!("team {}", contract.secrets.redact(team))));
        lines
    }
}

/// One flow for the authority, and one for each other source that owns an attribute.
fn flows(contract: &Contract) -> Vec<Flow<'_>> {
    let authority = contract.sources.get(Side::Authority).name.as_str();
    let mut others: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for attribute in &contract.attributes {
        let owner = contract.owner_of(&attribute.name).name.as_str();
        if owner != authority {
            others.entry(owner).or_default().push(&attribute.name);
        }
    }
    let own = Flow { contract, owner: authority, attributes: Vec::new() };
    std::iter::once(own)
        .chain(others.into_iter().map(|(owner, attributes)| Flow { contract, owner, attributes }))
        .collect()
}

/// In a quoted label of Mermaid every sign but letters, digits and a few is written by its number.
fn of_mermaid(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if letter.is_alphanumeric() || " _-.,:/()".contains(letter) {
            escaped.push(letter);
        } else {
            escaped.push_str(&format!("#{};", u32::from(letter)));
        }
    }
    escaped
}

/// In a quoted string of DOT.
fn of_dot(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => escaped.extend(['\\', letter]),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn configuration() -> Configuration {
        let text = r#"
            version = 1
            [source.policy_admin]
            context = "Policy \"Admin\"] --> x"
            location = "a.csv"
            [source."crm \\ view"]
            location = "b.csv"
            [contract.crm]
            version = "2.1.0"
            team = "crm | sales\n"
            authority = "policy_admin"
            projection = "crm \\ view"
            key = ["id"]
        "#;
        contract::load_text(std::path::Path::new("reconcile.toml"), text).unwrap()
    }

    #[test]
    fn mermaid_shows_names_and_obeys_none() {
        let configuration = configuration();
        let expected = "flowchart LR\n    s0[\"crm #92; view\"]\n  subgraph c1[\"Policy #34;Admin#34;#93; --#62; x\"]\n    \
                        s1[\"policy_admin\"]\n  end\n  s1 -->|\"crm 2.1.0<br>team crm #124; sales#10;\"| s0\n";
        assert_eq!(ContextMap::of(&configuration).text(MapFormat::Mermaid), expected);
    }

    #[test]
    fn dot_shows_names_and_obeys_none() {
        let configuration = configuration();
        let expected = "digraph contracts {\n  rankdir=LR;\n  node [shape=box];\n    s0 [label=\"crm \\\\ view\"];\n  subgraph \
                        cluster_1 {\n    label=\"Policy \\\"Admin\\\"] --> x\";\n    s1 [label=\"policy_admin\"];\n  }\n  s1 -> \
                        s0 [label=\"crm 2.1.0\\nteam crm | sales \"];\n}\n";
        assert_eq!(ContextMap::of(&configuration).text(MapFormat::Dot), expected);
    }
}
