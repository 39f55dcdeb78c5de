//! The few lines that are held of the many in the file, and the marks on them. It never decides what is looked at.

use std::collections::BTreeSet;
use std::io;

use super::{App, Opened, RowsOf, View};
use crate::cli::browse::scan::BLOCK;
use crate::history::Finding;

/// Blocks of lines that are held.
const HELD: usize = 6;
/// Bytes of a value that a list holds; the line itself is read whole when it is opened.
const CUT: usize = 1024;
/// So many lines on either side of an opened one are looked at for the same key.
const AROUND: u64 = 50;
/// Bytes of a value that are held of an opened line.
const SHOWN: usize = 64 << 10;
/// So many lines can be marked.
const MOST_MARKS: usize = 100_000;

impl App<'_> {
    /// Some of the lines that are looked at, from the place `from` of the list.
    pub(in crate::cli::browse) fn window(&mut self, from: u64, most: usize) -> Vec<(u64, Finding)> {
        let mut shown = Vec::new();
        let (mut place, mut block) = (0, 0);
        loop {
            let lines = self.scan.found().blocks.get(block).copied();
            let Some(lines) = lines.map(u64::from) else { break };
            if lines > 0 && place + lines > from {
                let skip = usize::try_from(from.saturating_sub(place)).unwrap_or(0);
                match self.block(block as u64) {
                    Ok(held) => shown.extend(held.iter().skip(skip).take(most - shown.len()).cloned()),
                    Err(error) => {
                        self.said = Some(format!("error: {error}"));
                        break;
                    }
                }
                if shown.len() >= most {
                    break;
                }
            }
            (place, block) = (place + lines, block + 1);
        }
        shown
    }

    /// The lines of a block that will do, each value cut.
    fn block(&mut self, block: u64) -> io::Result<&[(u64, Finding)]> {
        if let Some(place) = self.blocks.iter().position(|(held, _)| *held == block) {
            return Ok(&self.blocks[place].1);
        }
        let range = block * BLOCK..(block + 1) * BLOCK;
        let mut numbers = Vec::new();
        self.pages.look(range.clone(), self.filter.text.is_some(), &mut |number, line| {
            if self.filter.takes(number, line) {
                numbers.push(number);
            }
            true
        })?;
        let mut lines = Vec::with_capacity(numbers.len());
        let mut wanted = numbers.into_iter().peekable();
        self.pages.each(range, CUT, &mut |number, finding| {
            if wanted.next_if_eq(&number).is_some() {
                lines.push((number, finding));
            }
        })?;
        self.blocks.push_back((block, lines));
        while self.blocks.len() > HELD {
            self.blocks.pop_front();
        }
        Ok(self.blocks.back().map(|(_, lines)| lines.as_slice()).unwrap_or_default())
    }

    pub(super) fn toggle_selected(&mut self) {
        let Some((line, _)) = self.window(self.selected, 1).pop() else { return };
        if !self.marks.remove(&line) {
            if self.marks.len() >= MOST_MARKS {
                self.said = Some(format!("{MOST_MARKS} lines are marked, which is the most: export them first"));
                return;
            }
            self.marks.insert(line);
        }
    }

    /// Marks all lines that are looked at, or none of them where all are marked.
    pub(super) fn mark_all(&mut self) {
        let lines = self.scan.found().lines;
        if !self.scan.found().done {
            self.said = Some("still counting: wait until all lines were looked at".to_owned());
            return;
        }
        let room = MOST_MARKS as u64;
        if lines > room {
            self.said = Some(format!(
                "{lines} lines are more than the {room} that can be marked: `reconcile review export` takes all"
            ));
            return;
        }
        let mut all = BTreeSet::new();
        let looked = self.pages.look(0..self.pages.lines(), self.filter.text.is_some(), &mut |number, line| {
            if self.filter.takes(number, line) {
                all.insert(number);
            }
            true
        });
        if let Err(error) = looked {
            self.said = Some(format!("error: {error}"));
        } else if all.is_subset(&self.marks) {
            self.marks.retain(|mark| !all.contains(mark));
        } else if self.marks.union(&all).count() > MOST_MARKS {
            self.said = Some(format!("with these more than {room} lines would be marked, which is the most"));
        } else {
            self.marks.append(&mut all);
        }
    }

    /// Opens the selected line.
    pub(super) fn open(&mut self) {
        let Some((line, finding)) = self.window(self.selected, 1).pop() else { return };
        let range = line.saturating_sub(AROUND)..line + AROUND + 1;
        let mut of_key = Vec::new();
        let read = self.pages.each(range, SHOWN, &mut |number, other| {
            if number == line
                || (finding.key.is_some() && (&other.contract, &other.key) == (&finding.contract, &finding.key))
            {
                of_key.push((number, other));
            }
        });
        match read {
            Ok(()) => {
                self.opened = Some(Opened { line, of_key, rows: RowsOf::Unasked });
                (self.view, self.scroll) = (View::Line, 0);
            }
            Err(error) => self.said = Some(format!("error: {error}")),
        }
    }
}
