//! `VERIFY.md` of an archive: the commands that verify this very run, with nothing but `b3sum`, `minisign` and a shell. It only
//! writes text.

use super::super::ledger::RunRecord;
use super::super::proof::Proof;

/// What the archive holds.
pub(super) struct Facts<'a> {
    pub(super) line: &'a RunRecord,
    pub(super) proof: &'a Proof,
    /// What was signed, and by which key.
    pub(super) signed: &'a [(String, String)],
    /// The files of the path, from the leaf up.
    pub(super) steps: &'a [String],
    /// Whether the contract's files are there.
    pub(super) contract: bool,
    /// What is not there.
    pub(super) notes: &'a [String],
}

/// The walk.
pub(super) fn text(facts: &Facts<'_>) -> String {
    let run = &facts.line.run_id;
    let mut text = format!(
        "# How to verify run {run}\n\n\
         Verdict `{}`, recorded at {}. Everything here is checked with `b3sum`, `minisign` and a shell, without network and \
         without `reconcile`. Run each block in this folder: every line of its output must say `OK` or `verified`.\n\n",
        facts.line.verdict, facts.line.recorded_at
    );
    if !facts.notes.is_empty() {
        text.push_str("Not in this archive:\n\n");
        text.extend(facts.notes.iter().map(|note| format!("- {note}\n")));
        text.push('\n');
    }
    section(&mut text, "Every file of the run is the one that the manifest names", None, &files("files.b3sum", run));
    if facts.contract {
        let says = "The contract's files, as the run read them.";
        section(&mut text, "The contract", Some(says), &files("contract.b3sum", run));
    }
    let line = format!(
        "grep --quiet \"\\\"manifest\\\":\\\"$(b3sum --no-names {run}/manifest.json)\\\"\" run-line.json && echo \"run-line.json: OK\"\n"
    );
    let says = format!("`run-line.json` is line {} of the ledger.", facts.line.sequence);
    section(&mut text, "The run's line in the ledger names this manifest", Some(&says), &line);
    signatures(&mut text, facts);
    let says = format!(
        "`root-line.json` is line {} of the ledger. Its Merkle root holds this manifest; the path to it are the files below \
         `path/` (32 bytes each). A root that was kept elsewhere, from that line, must be the one in `root-line.json`.",
        facts.proof.sequence
    );
    section(&mut text, "The ledger holds this run", Some(&says), &walk(facts));
    text
}

fn section(text: &mut String, title: &str, says: Option<&str>, commands: &str) {
    text.push_str(&format!("## {title}\n\n"));
    if let Some(says) = says {
        text.push_str(&format!("{says}\n\n"));
    }
    text.push_str(&format!("```sh\n{commands}```\n\n"));
}

/// The digests hold, and each is in the manifest.
fn files(sums: &str, run: &str) -> String {
    format!(
        "b3sum --check {sums}\n\
         while read -r digest name; do grep --quiet \"\\\"blake3\\\": \\\"$digest\\\"\" {run}/manifest.json && echo \"$name: OK, in the manifest\"; done < {sums}\n"
    )
}

fn signatures(text: &mut String, facts: &Facts<'_>) {
    const TITLE: &str = "Who signed it";
    if facts.signed.is_empty() {
        text.push_str(&format!("## {TITLE}\n\nNobody: neither the run nor its line is signed.\n\n"));
        return;
    }
    let says = "A key in this archive proves nothing by itself: hold it against the one that you were given on another way. \
                The last lines show that what was signed is the beginning of the ledger's lines.";
    let mut commands: String =
        facts.signed.iter().map(|(name, key)| format!("minisign -V -p {key}.pub -m {name}\n")).collect();
    for (name, _) in facts.signed.iter().filter(|(name, _)| name.ends_with(".signed")) {
        let line = name.trim_end_matches(".signed");
        commands.push_str(&format!(
            "case \"$(cat {line}.json)\" in \"$(cat {name})\"*) echo \"{line}.json: OK\" ;; esac\n"
        ));
    }
    section(text, TITLE, Some(says), &commands);
}

/// From the leaf to the root, one line a step; the last digest is compared as text.
fn walk(facts: &Facts<'_>) -> String {
    let run = &facts.line.run_id;
    let mut hashed = vec![format!("{{ printf '\\000'; b3sum --raw {run}/manifest.json; }}")];
    hashed.extend(facts.steps.iter().map(|name| {
        let pair = if name.ends_with("before") { format!("{name} node") } else { format!("node {name}") };
        format!("{{ printf '\\001'; cat {pair}; }}")
    }));
    let last = hashed.pop().unwrap_or_default();
    let mut commands: String =
        hashed.iter().map(|step| format!("{step} | b3sum --raw > next && mv next node\n")).collect();
    commands.push_str(&format!("root=$({last} | b3sum --no-names)\n"));
    commands
        .push_str("grep --quiet \"\\\"merkle_root\\\":\\\"$root\\\"\" root-line.json && echo \"root-line.json: OK\"\n");
    commands
}
