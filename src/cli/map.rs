//! `contracts --map`: the contexts, what they own, and which way data flows between them, as Mermaid or DOT.
//!
//! Names are shown as they are; nothing in them can end a label or begin a command of either language.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::MapFormat;
use crate::contract::{Configuration, Contract, Secrets, Source};
use crate::sides::Side;

/// A drawing without layout.
pub(super) struct ContextMap<'a> {
    /// Sources by context, both sorted; sources without one come under None.
    contexts: BTreeMap<Option<&'a str>, Vec<&'a Source>>,
    flows: Vec<Flow<'a>>,
    /// What no text repeats, as a name may do.
    secrets: &'a Secrets,
}

/// What one contract brings from one source to its projection.
struct Flow<'a> {
    contract: &'a Contract,
    owner: &'a str,
    /// Where it goes.
    to: &'a str,
    /// What it owns there; empty: everything that no other source owns.
    attributes: Vec<&'a str>,
}

impl Flow<'_> {
    /// Whether it goes to the old copy that the projection replaces.
    fn is_baseline(&self) -> bool {
        self.to != self.contract.sources.projection.name
    }
}

impl<'a> ContextMap<'a> {
    pub(super) fn of(configuration: &'a Configuration) -> Self {
        let mut contexts: BTreeMap<Option<&str>, Vec<&Source>> = BTreeMap::new();
        for source in configuration.sources.values() {
            contexts.entry(source.context.as_deref()).or_default().push(source);
        }
        let flows = configuration.contracts.iter().flat_map(|contract| flows(contract)).collect();
        Self { contexts, flows, secrets: &configuration.secrets }
    }

    /// The drawing, without what came from the environment.
    pub(super) fn text(&self, format: MapFormat) -> String {
        self.drawn(match format {
            MapFormat::Mermaid => &MERMAID,
            MapFormat::Dot => &DOT,
        })
    }

    /// The number of each source, by its name.
    fn numbers(&self) -> BTreeMap<&str, usize> {
        let names = self.contexts.values().flatten().map(|source| source.name.as_str());
        names.enumerate().map(|(number, name)| (name, number)).collect()
    }

    /// Writes the drawing in one of the languages.
    fn drawn(&self, language: &Language) -> String {
        let numbers = self.numbers();
        let mut text = language.begin.to_owned();
        for (index, (context, sources)) in self.contexts.iter().enumerate() {
            if let Some(context) = context {
                text.push_str(&(language.group)(index, &(language.escaped)(&self.secrets.redact(context))));
            }
            for source in sources {
                let name = source.name.as_str();
                text.push_str(&(language.node)(numbers[name], &(language.escaped)(name)));
            }
            if context.is_some() {
                text.push_str(language.end_of_group);
            }
        }
        for flow in &self.flows {
            if let (Some(from), Some(to)) = (numbers.get(flow.owner), numbers.get(flow.to)) {
                let label: Vec<String> = flow.lines().iter().map(|line| (language.escaped)(line)).collect();
                let label = label.join(language.line_break);
                text.push_str(&(language.arrow)([*from, *to], &label, flow.is_baseline()));
            }
        }
        text.push_str(language.end);
        text
    }

    pub(super) fn document(&self) -> Value {
        let contexts = self.contexts.iter().map(|(context, sources)| {
            let context = context.map(|context| self.secrets.redact(context));
            json!({"context": context, "sources": sources.iter().map(|source| &source.name).collect::<Vec<_>>()})
        });
        let baselines = self.flows.iter().filter(|flow| flow.is_baseline()).map(|flow| {
            json!({
                "contract": flow.contract.name,
                "version": flow.contract.version.text,
                "owner": flow.owner,
                "projection": flow.contract.sources.projection.name,
                "baseline": flow.to,
            })
        });
        let flows = self.flows.iter().filter(|flow| !flow.is_baseline()).map(|flow| {
            json!({
                "contract": flow.contract.name,
                "version": flow.contract.version.text,
                "team": flow.contract.team.as_deref().map(|team| flow.contract.secrets.redact(team)),
                "owner": flow.owner,
                "projection": flow.to,
                "attributes": flow.attributes,
            })
        });
        json!({
            "format_version": 1,
            "contexts": contexts.collect::<Vec<_>>(),
            "flows": flows.collect::<Vec<_>>(),
            "baselines": baselines.collect::<Vec<_>>(),
        })
    }
}

/// How a language writes a drawing. Labels come to it escaped.
struct Language {
    begin: &'static str,
    end: &'static str,
    group: fn(usize, &str) -> String,
    end_of_group: &'static str,
    node: fn(usize, &str) -> String,
    /// From one node to another; with another line to an old copy.
    arrow: fn([usize; 2], &str, bool) -> String,
    escaped: fn(&str) -> String,
    line_break: &'static str,
}

const MERMAID: Language = Language {
    begin: "flowchart LR\n",
    end: "",
    group: |index, label| format!("  subgraph c{index}[\"{label}\"]\n"),
    end_of_group: "  end\n",
    node: |number, label| format!("    s{number}[\"{label}\"]\n"),
    arrow: |[from, to], label, old| {
        let arrow = if old { "-.->" } else { "-->" };
        format!("  s{from} {arrow}|\"{label}\"| s{to}\n")
    },
    escaped: of_mermaid,
    line_break: "<br>",
};

const DOT: Language = Language {
    begin: "digraph contracts {\n  rankdir=LR;\n  node [shape=box];\n",
    end: "}\n",
    group: |index, label| format!("  subgraph cluster_{index} {{\n    label=\"{label}\";\n"),
    end_of_group: "  }\n",
    node: |number, label| format!("    s{number} [label=\"{label}\"];\n"),
    arrow: |[from, to], label, old| {
        let style = if old { ", style=dashed" } else { "" };
        format!("  s{from} -> s{to} [label=\"{label}\"{style}];\n")
    },
    escaped: of_dot,
    line_break: "\\n",
};

impl Flow<'_> {
    /// What stands at the arrow.
    fn lines(&self) -> Vec<String> {
        let contract = self.contract;
        let mut lines = vec![format!("{} {}", contract.name, contract.version.text)];
        if self.is_baseline() {
            lines.push(format!("old copy of {}", contract.sources.projection.name));
        }
        if !self.attributes.is_empty() {
            lines.push(self.attributes.join(", "));
        }
        lines.extend(contract.team.iter().map(|team| format!("team {}", contract.secrets.redact(team))));
        lines
    }
}

/// One flow for the authority, one for each other source that owns an attribute, and one to the old copy.
fn flows(contract: &Contract) -> Vec<Flow<'_>> {
    let authority = contract.sources.get(Side::Authority).name.as_str();
    let others = contract.other_owners();
    let to = contract.sources.projection.name.as_str();
    let own = Flow { contract, owner: authority, to, attributes: Vec::new() };
    let old = contract.baseline.as_ref().map(|old| old.source.name.as_str()).filter(|old| *old != to);
    std::iter::once(own)
        .chain(others.into_iter().map(|(owner, attributes)| Flow { contract, owner, to, attributes }))
        .chain(old.map(|to| Flow { contract, owner: authority, to, attributes: Vec::new() }))
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
    fn the_old_copy_is_drawn_with_another_line() {
        let text = r#"
            version = 1
            [source.core]
            location = "a.csv"
            [source.new]
            location = "b.csv"
            [source.old]
            location = "c.csv"
            [contract.crm]
            version = "1.0.0"
            authority = "core"
            projection = "new"
            baseline = "old"
            key = ["id"]
        "#;
        let configuration = contract::load_text(std::path::Path::new("reconcile.toml"), text).unwrap();
        let map = ContextMap::of(&configuration);
        let mermaid = map.text(MapFormat::Mermaid);
        assert!(mermaid.contains("  s0 -->|\"crm 1.0.0\"| s1\n"), "{mermaid}");
        assert!(mermaid.contains("  s0 -.->|\"crm 1.0.0<br>old copy of new\"| s2\n"), "{mermaid}");
        let dot = map.text(MapFormat::Dot);
        assert!(dot.contains("  s0 -> s2 [label=\"crm 1.0.0\\nold copy of new\", style=dashed];\n"), "{dot}");
        let document = map.document();
        assert_eq!(document["flows"].as_array().map(Vec::len), Some(1));
        assert_eq!(document["baselines"][0]["baseline"], "old");
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
