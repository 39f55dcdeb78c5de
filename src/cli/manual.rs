//! The manual pages: what is derived from the declarations, and after it examples, exit statuses, environment and files, which
//! every page has. What help says is not said again here; this file only lays it out for `man`.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Arguments;

mod surroundings;

use surroundings::{ENVIRONMENT, FILES, Surrounding};

/// What every status means where help of a command says nothing else.
const USUAL: &str = "Exit status: 0 done, 2 bad usage, or it could not be done: stderr says why.";

/// The page of `reconcile` itself.
///
/// # Errors
/// A defect.
pub(super) fn page() -> io::Result<Vec<u8>> {
    text(&whole(), None)
}

/// Writes the page of each command to a folder.
///
/// # Errors
/// What kept a page from being written.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    for (name, text) in pages()? {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// Every page with its name.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    fn walk(command: &Command, parent: Option<&Command>, found: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
        found.push((format!("{}.1", title(command)), text(command, parent)?));
        command.get_subcommands().try_for_each(|inner| walk(inner, Some(command), found))
    }
    let mut found = Vec::new();
    walk(&whole(), None, &mut found)?;
    Ok(found)
}

/// The declaration, with all names of commands filled in.
fn whole() -> Command {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    command
}

/// The name of a command's page: `reconcile-audit-verify`.
fn title(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn text(command: &Command, parent: Option<&Command>) -> io::Result<Vec<u8>> {
    let source = concat!("reconcile ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).source(source).manual("reconcile");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut more = Roff::new();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (statuses, examples) = parts(&help);
    section("EXAMPLES", &examples, &mut more);
    section("EXIT STATUS", &statuses, &mut more);
    let name = title(command);
    surroundings("ENVIRONMENT", &ENVIRONMENT, &name, &mut more);
    surroundings("FILES", &FILES, &name, &mut more);
    see_also(command, parent, &mut more);
    more.to_writer(&mut page)?;
    Ok(page)
}

/// What help says after the options, parted into what it says of exit statuses and all else.
fn parts(help: &str) -> (String, String) {
    let about_status = |part: &&str| part.starts_with("Exit status") || part.starts_with("The exit status");
    let (mut statuses, examples): (Vec<&str>, Vec<&str>) =
        help.trim_end().split("\n\n").filter(|part| !part.is_empty()).partition(about_status);
    if statuses.is_empty() {
        statuses.push(USUAL);
    }
    (statuses.join("\n\n"), examples.join("\n\n"))
}

/// A section out of paragraphs of help: what is indented stands as it is, but for a status, which is a term.
fn section(heading: &str, help: &str, page: &mut Roff) {
    page.control("SH", [heading]);
    for paragraph in help.split("\n\n") {
        page.control("PP", []);
        let mut lines = paragraph.lines().peekable();
        while let Some(line) = lines.next() {
            // The heading says it already.
            let line = line.trim_end().strip_prefix("Examples:").unwrap_or(line);
            let line = line.strip_prefix("Exit status:").map_or(line, str::trim_start);
            if let Some((number, sentence)) = status(line) {
                page.control("TP", []);
                page.text([bold(number)]);
                page.text([roman(sentence)]);
            } else if let Some(example) = line.strip_prefix("  ") {
                page.control("EX", []);
                page.text([roman(example)]);
                while let Some(example) = lines.next_if(|line| line.starts_with("  ")) {
                    page.text([roman(example.trim_start())]);
                }
                page.control("EE", []);
            } else if !line.is_empty() {
                page.text([roman(line)]);
            }
        }
    }
}

/// A status at the beginning of an indented line, and what it means.
fn status(line: &str) -> Option<(&str, &str)> {
    let (number, sentence) = line.strip_prefix("  ")?.trim_start().split_once("  ")?;
    number.parse::<u8>().is_ok().then_some((number, sentence))
}

fn surroundings(heading: &str, all: &[Surrounding], page_name: &str, page: &mut Roff) {
    page.control("SH", [heading]);
    // Long names cannot be spread over a line, from here to the end.
    page.control("ad", ["l"]);
    for surrounding in all.iter().filter(|surrounding| surrounding.is_of(page_name)) {
        page.control("TP", []);
        page.text([bold(surrounding.name)]);
        page.text([roman(surrounding.says)]);
    }
}

fn see_also(command: &Command, parent: Option<&Command>, page: &mut Roff) {
    let inner = command.get_subcommands().map(title);
    let beside = parent.into_iter().flat_map(Command::get_subcommands).map(title);
    let mut names: Vec<String> = parent.map(title).into_iter().chain(inner).chain(beside).collect();
    names.retain(|name| *name != title(command));
    page.control("SH", ["SEE ALSO"]);
    for (index, name) in names.iter().enumerate() {
        let end = if index + 1 == names.len() { "" } else { "," };
        page.text([bold(name.as_str()), roman(format!("(1){end}"))]);
    }
}

#[cfg(test)]
mod tests {
    use super::surroundings::Pages;
    use super::*;

    #[test]
    fn every_page_has_every_section_and_no_empty_one() {
        let pages = pages().expect("pages");
        assert!(pages.len() > 20, "{} pages", pages.len());
        for (name, text) in pages {
            let text = String::from_utf8(text).expect("text");
            for heading in
                ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"]
            {
                let heading = if heading.contains(' ') { format!("\"{heading}\"") } else { heading.to_owned() };
                let (_, after) =
                    text.split_once(&format!("\n.SH {heading}\n")).unwrap_or_else(|| panic!("{name}: no {heading}"));
                let section = after.split("\n.SH").next().unwrap_or_default();
                assert!(section.len() > 10, "{name}: {heading} is empty");
            }
            assert!(!text.contains("EXTRA"), "{name}");
            assert!(text.contains("\n.EX\nreconcile "), "{name}: no example\n{text}");
        }
    }

    #[test]
    fn examples_keep_their_lines_and_statuses_are_terms() {
        let (statuses, examples) =
            parts("Examples:\n  reconcile a\n  reconcile b\n\nA word.\n\nExit status:\n    0  fine\n  130  stopped\n");
        let mut page = Roff::new();
        section("EXAMPLES", &examples, &mut page);
        section("EXIT STATUS", &statuses, &mut page);
        let text = page.to_roff();
        assert!(text.contains(".EX\nreconcile a\nreconcile b\n.EE\n.PP\nA word.\n"), "{text}");
        assert!(text.contains(".TP\n\\fB0\\fR\nfine\n.TP\n\\fB130\\fR\nstopped\n"), "{text}");
        assert_eq!(parts("Examples:\n  reconcile a\n").0, USUAL);
        assert!(parts("Exit status: 0 no problem, 2 at least one.\n").0.contains("no problem"));
    }

    #[test]
    fn every_surrounding_is_of_a_page_that_there_is() {
        let names: Vec<String> = pages().expect("pages").into_iter().map(|(name, _)| name).collect();
        for surrounding in ENVIRONMENT.iter().chain(&FILES) {
            let (Pages::Only(pages) | Pages::AllBut(pages)) = surrounding.pages;
            for page in pages {
                assert!(names.contains(&format!("{page}.1")), "{}: no page {page}", surrounding.name);
            }
        }
    }
}
