//! `reconcile browse RUN`: a person looks through a run's divergences on the terminal, marks some, and takes them along as CSV.
//! It reads the run's files, the sources only where rows are asked for, and writes nothing but that CSV.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use ratatui::crossterm::event::{Event, KeyEventKind, poll, read};

use super::failure::{self, Failure};
use super::{Browse, ExitStatus, Format, Global, configuration, explain, review};
use crate::audit::Audit;
use crate::console::Console;
use crate::contract::Configuration;
use crate::history::{self, Pages};

mod draw;
mod filter;
mod line;
mod scan;
mod state;
mod terminal;

use state::{App, Asked, RowLines};
use terminal::{Screen, on_terminal};

/// How long nothing is pressed before what came in meanwhile is shown.
const PATIENCE: Duration = Duration::from_millis(100);

pub(super) fn run(options: &Browse, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(Failure::with_hint(
            "browse: needs a terminal, and stdin or stdout is none",
            "for a file or a program: `reconcile report RUN --format json`, `reconcile review export RUN --out FILE`",
        ));
    }
    if global.format != Format::Text {
        return Err(Failure::new("browse: is for people, so `--format` is of no use with it"));
    }
    let configuration = configuration::present(global, options.reports.reports.is_some())?;
    let reports = configuration::reports(&options.reports, global)?;
    let cannot =
        |error: &io::Error| Failure::of_run(&reports, &format!("run `{}` cannot be shown", options.run), error);
    let audit = history::load(&reports, &options.run).map_err(|error| cannot(&error))?;
    let folder = history::run_folder(&reports, &options.run).map_err(|error| cannot(&error))?;
    let pages = Pages::open(&folder).map_err(|error| cannot(&error))?;
    let room = explain::room(configuration.as_ref(), global);
    let export = |marks: &BTreeSet<u64>, out: &Path| {
        let lines = review::export_lines(&reports, &folder, marks, out);
        lines.map_err(|failure| failure.problems.iter().map(failure::line).collect::<Vec<_>>().join("; "))
    };
    let color = console.color();
    let (audit, configuration) = (Arc::new(audit), Arc::new(configuration));
    let rows = |contract: &str, key: &str| {
        let (told, coming) = channel();
        let (contract, key) = (contract.to_owned(), key.to_owned());
        let (audit, configuration) = (Arc::clone(&audit), Arc::clone(&configuration));
        // Nobody waits for it: whoever asked may leave, or look at something else by then.
        std::thread::spawn(move || {
            let _ = told.send(rows_of(&audit, configuration.as_ref().as_ref(), (&contract, &key), room));
        });
        coming
    };
    let asked = Asked { export: &export, rows: &rows };
    let ended = on_terminal(|screen, stopped| look(screen, App::new(&audit, pages, asked), stopped, color));
    ended.map_err(|error| Failure::new(format!("browse: the terminal cannot be used: {}", failure::plain(&error))))
}

/// Draws and listens until somebody leaves.
fn look(
    screen: &mut Screen,
    mut app: App<'_>,
    stopped: &dyn Fn() -> Option<i32>,
    color: bool,
) -> io::Result<ExitStatus> {
    let mut changed = true;
    loop {
        if changed {
            screen.draw(|frame| {
                let area = frame.area();
                frame.render_widget(draw::screen(&mut app, area.width, area.height, color), area);
            })?;
        }
        if let Some(signal) = stopped() {
            return Ok(ExitStatus::of_signal(signal));
        }
        changed = app.meanwhile();
        if !poll(PATIENCE)? {
            continue;
        }
        changed = true;
        if let Event::Key(key) = read()?
            && key.kind != KeyEventKind::Release
            && !app.key(key)
        {
            let interrupted = key.code == ratatui::crossterm::event::KeyCode::Char('c');
            return Ok(if interrupted { ExitStatus::Interrupted } else { ExitStatus::Agreed });
        }
    }
}

/// The rows of a key as they stand in the sources.
fn rows_of(
    audit: &Audit,
    configuration: Option<&Configuration>,
    (contract, key): (&str, &str),
    room: (usize, Option<u64>),
) -> Result<RowLines, String> {
    let contract =
        audit.contracts.iter().find(|known| known.name == contract).ok_or("the run does not know the contract")?;
    explain::rows(contract, audit, configuration, key, room)
}
