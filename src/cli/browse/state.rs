//! What is looked at, and what a key does to it. It draws nothing and waits for nobody.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::filter::{ATTRIBUTE, CAUSE, CONTRACT, Filter, Group, KIND};
use super::scan::Scan;
use crate::audit::Audit;
use crate::history::{Finding, Pages};
use crate::sides::Sides;

mod held;

/// What fills the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// How many lines there are of each contract, cause, kind or attribute.
    Groups,
    /// Lines.
    Lines,
    /// One line, with what else is known of its key.
    Line,
    /// What each key does.
    Help,
}

/// By what lines are grouped.
pub(super) const TABS: [(&str, &[usize]); 4] = [
    ("contracts", &[CONTRACT]),
    ("causes", &[CAUSE, ATTRIBUTE, CONTRACT]),
    ("kinds", &[KIND]),
    ("attributes", &[ATTRIBUTE, CONTRACT]),
];

/// A line that a text is typed into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Prompt {
    /// What to search for.
    Search(String),
    /// Where the marked lines go.
    Export(String),
}

/// The rows of a key as they stand in the sources: name, both values, whether they are written alike.
pub(super) type RowLines = Vec<(String, Sides<String>, bool)>;

/// What the surroundings do when they are asked.
pub(super) struct Asked<'a> {
    /// Writes the marked lines to a file.
    pub(super) export: &'a dyn Fn(&BTreeSet<u64>, &Path) -> Result<u64, String>,
    /// Begins to read the rows of a contract's key.
    pub(super) rows: &'a dyn Fn(&str, &str) -> Receiver<Result<RowLines, String>>,
}

/// The rows of an opened line.
#[derive(Default)]
pub(super) enum RowsOf {
    /// Nobody asked.
    #[default]
    Unasked,
    /// They are being read.
    Coming(Receiver<Result<RowLines, String>>),
    /// As they stand, or why they cannot be told.
    There(Result<RowLines, String>),
}

/// A line that is looked at.
pub(super) struct Opened {
    /// Its number in the file.
    pub(super) line: u64,
    /// It and its neighbours of the same key.
    pub(super) of_key: Vec<(u64, Finding)>,
    pub(super) rows: RowsOf,
}

/// Everything that the screen shows.
pub(super) struct App<'a> {
    pub(super) audit: &'a Audit,
    pub(super) pages: Arc<Pages>,
    asked: Asked<'a>,
    pub(super) view: View,
    back: View,
    pub(super) tab: usize,
    /// The place in each tab's list.
    pub(super) at: [usize; TABS.len()],
    pub(super) filter: Filter,
    /// What was looked at before, from where Escape leads back.
    before: Vec<Filter>,
    pub(super) scan: Scan,
    blocks: VecDeque<(u64, Vec<(u64, Finding)>)>,
    /// The place in the list of lines, and the first that is shown.
    pub(super) selected: u64,
    pub(super) top: u64,
    pub(super) opened: Option<Opened>,
    pub(super) scroll: usize,
    /// Lines of the body when it was drawn last.
    pub(super) height: usize,
    pub(super) marks: BTreeSet<u64>,
    saved: BTreeSet<u64>,
    pub(super) prompt: Option<Prompt>,
    pub(super) said: Option<String>,
    leaving: bool,
    /// How far the search was when it was looked at last.
    seen: (u64, bool),
}

impl<'a> App<'a> {
    pub(super) fn new(audit: &'a Audit, pages: Pages, asked: Asked<'a>) -> Self {
        let pages = Arc::new(pages);
        let scan = Scan::start(&pages, Filter::default());
        Self {
            audit,
            pages,
            asked,
            view: View::Groups,
            back: View::Groups,
            tab: 0,
            at: [0; TABS.len()],
            filter: Filter::default(),
            before: Vec::new(),
            scan,
            blocks: VecDeque::new(),
            selected: 0,
            top: 0,
            opened: None,
            scroll: 0,
            height: 10,
            marks: BTreeSet::new(),
            saved: BTreeSet::new(),
            prompt: None,
            said: None,
            leaving: false,
            seen: (0, false),
        }
    }

    /// What a key does; whether it goes on.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return false;
        }
        self.said = None;
        if let Some(prompt) = self.prompt.take() {
            self.typed(&prompt, key.code);
            return true;
        }
        if key.code == KeyCode::Char('q') {
            if self.marks.is_subset(&self.saved) || self.leaving {
                return false;
            }
            self.leaving = true;
            let marks = self.marks.len();
            self.said = Some(format!("{marks} marked, not exported: e exports, q again leaves"));
            return true;
        }
        self.leaving = false;
        match (self.view, key.code) {
            (View::Help, _) => self.view = self.back,
            (_, KeyCode::Char('?')) => (self.back, self.view) = (self.view, View::Help),
            (_, KeyCode::Char('/')) => self.prompt = Some(Prompt::Search(String::new())),
            (_, KeyCode::Char('e')) => self.ask_for_file(),
            (_, KeyCode::Char('m')) => self.marked_only(),
            (View::Groups, code) => self.in_groups(code),
            (View::Lines, code) => self.in_lines(code),
            (View::Line, code) => self.in_line(code),
        }
        true
    }

    fn typed(&mut self, prompt: &Prompt, code: KeyCode) {
        let (Prompt::Search(mut text) | Prompt::Export(mut text)) = prompt.clone();
        match code {
            KeyCode::Esc => return,
            KeyCode::Enter => {
                match prompt {
                    Prompt::Search(_) if text.is_empty() => {}
                    Prompt::Search(_) => {
                        self.narrow(Filter { text: Some(text.to_lowercase()), ..self.filter.clone() });
                    }
                    Prompt::Export(_) => self.export(&text),
                }
                return;
            }
            KeyCode::Backspace => _ = text.pop(),
            KeyCode::Char(character) => text.push(character),
            _ => {}
        }
        self.prompt = Some(match prompt {
            Prompt::Search(_) => Prompt::Search(text),
            Prompt::Export(_) => Prompt::Export(text),
        });
    }

    fn ask_for_file(&mut self) {
        if self.marks.is_empty() {
            self.said = Some("nothing is marked: Space marks a line".to_owned());
        } else {
            self.prompt = Some(Prompt::Export(format!("review-{}.csv", self.audit.run_id)));
        }
    }

    fn export(&mut self, file: &str) {
        let path = PathBuf::from(file);
        self.said = Some(match (self.asked.export)(&self.marks, &path) {
            Ok(lines) => {
                self.saved.clone_from(&self.marks);
                format!("{lines} written to {file}: fill in `decision`, then `reconcile review import`")
            }
            Err(problem) => format!("error: {problem}"),
        });
    }

    fn marked_only(&mut self) {
        if self.marks.is_empty() {
            self.said = Some("nothing is marked: Space marks a line".to_owned());
        } else {
            let marked = Some(Arc::new(self.marks.clone()));
            self.narrow(Filter { marked, ..self.filter.clone() });
        }
    }

    fn in_groups(&mut self, code: KeyCode) {
        let groups = self.groups().len();
        let at = &mut self.at[self.tab];
        *at = moved(*at as u64, groups as u64, self.height, code).unwrap_or(*at as u64) as usize;
        match code {
            KeyCode::Tab | KeyCode::Right => self.tab = (self.tab + 1) % TABS.len(),
            KeyCode::BackTab | KeyCode::Left => self.tab = (self.tab + TABS.len() - 1) % TABS.len(),
            KeyCode::Char(digit @ '1'..='4') => self.tab = usize::from(digit as u8 - b'1'),
            KeyCode::Enter => {
                if let Some(group) = self.groups().get(self.at[self.tab]) {
                    let mut filter = self.filter.clone();
                    for (column, value) in &group.values {
                        filter.columns[*column] = value.clone().into();
                    }
                    self.narrow(filter);
                }
            }
            KeyCode::Esc => self.widen(),
            _ => {}
        }
    }

    fn in_lines(&mut self, code: KeyCode) {
        let lines = self.scan.found().lines;
        if let Some(selected) = moved(self.selected, lines, self.height, code) {
            self.selected = selected;
        }
        match code {
            KeyCode::Char(' ') => {
                self.toggle_selected();
                self.selected = (self.selected + 1).min(lines.saturating_sub(1));
            }
            KeyCode::Char('a') => self.mark_all(),
            KeyCode::Enter => self.open(),
            KeyCode::Tab => self.view = View::Groups,
            KeyCode::Esc => {
                self.widen();
                self.view = View::Groups;
            }
            _ => {}
        }
    }

    fn in_line(&mut self, code: KeyCode) {
        match code {
            KeyCode::Esc | KeyCode::Backspace => self.view = View::Lines,
            KeyCode::Char(' ') => self.toggle_selected(),
            KeyCode::Right | KeyCode::Char('n') => self.step(1),
            KeyCode::Left | KeyCode::Char('p') => self.step(-1),
            KeyCode::Char('r') => self.ask_for_rows(),
            code => {
                // The end is where the drawing finds it.
                let scroll = moved(self.scroll as u64, u64::from(u32::MAX), self.height, code);
                self.scroll = scroll.map_or(self.scroll, |scroll| scroll as usize);
            }
        }
    }

    fn step(&mut self, by: i64) {
        let lines = self.scan.found().lines;
        self.selected = self.selected.saturating_add_signed(by).min(lines.saturating_sub(1));
        self.open();
    }

    /// Looks at fewer lines.
    fn narrow(&mut self, filter: Filter) {
        if filter != self.filter {
            self.before.push(std::mem::replace(&mut self.filter, filter));
            self.look_again();
        }
        self.view = View::Lines;
    }

    /// Looks at what was looked at before.
    fn widen(&mut self) {
        if let Some(before) = self.before.pop() {
            self.filter = before;
            self.look_again();
        }
    }

    fn look_again(&mut self) {
        self.scan = Scan::start(&self.pages, self.filter.clone());
        // The one before may have ended with as many lines.
        self.seen = (0, false);
        self.blocks.clear();
        (self.selected, self.top) = (0, 0);
        self.opened = None;
    }

    /// The groups of the tab that is shown. Contracts without a line are there too, as long as nothing is left out.
    pub(super) fn groups(&self) -> Vec<Group> {
        let (name, columns) = TABS[self.tab];
        let mut groups = self.scan.found().tally.groups(columns);
        if name == "contracts" && self.filter.is_empty() {
            for contract in &self.audit.contracts {
                if !groups.iter().any(|group| group.value(0) == Some(&contract.name)) {
                    let values = vec![(CONTRACT, Some(contract.name.clone()))];
                    groups.push(Group { values, lines: 0, severities: [0; 5] });
                }
            }
        }
        groups
    }

    fn ask_for_rows(&mut self) {
        let Some(opened) = &mut self.opened else { return };
        let Some((_, finding)) = opened.of_key.iter().find(|(number, _)| *number == opened.line) else { return };
        match &finding.key {
            Some(key) => opened.rows = RowsOf::Coming((self.asked.rows)(&finding.contract, key)),
            None => self.said = Some("this divergence is of no key".to_owned()),
        }
    }

    /// Takes what has come in meanwhile; whether anything may look different now.
    pub(super) fn meanwhile(&mut self) -> bool {
        if let Some(Opened { rows, .. }) = &mut self.opened
            && let RowsOf::Coming(coming) = rows
        {
            match coming.try_recv() {
                Ok(there) => *rows = RowsOf::There(there),
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    *rows = RowsOf::There(Err("the reading ended before its end, which is a defect".to_owned()));
                }
            }
            return true;
        }
        let mut found = self.scan.found();
        if let Some(error) = found.error.take() {
            drop(found);
            self.said = Some(format!("error: {error}"));
            return true;
        }
        let seen = (found.looked, found.done);
        drop(found);
        std::mem::replace(&mut self.seen, seen) != seen
    }
}

/// Where a key leads to in a list; None where it is none that moves.
fn moved(at: u64, length: u64, height: usize, code: KeyCode) -> Option<u64> {
    let last = length.saturating_sub(1);
    let page = (height as u64).saturating_sub(1).max(1);
    Some(match code {
        KeyCode::Up | KeyCode::Char('k') => at.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => (at + 1).min(last),
        KeyCode::PageUp => at.saturating_sub(page),
        KeyCode::PageDown => (at + page).min(last),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        _ => return None,
    })
}
