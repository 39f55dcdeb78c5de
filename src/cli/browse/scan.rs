//! Looks through a run's lines in a thread of its own: how many will do in each block of the file, and of which sorts they
//! are. It holds a number a block and never a line.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::filter::{Filter, Tally};
use crate::history::Pages;

/// Lines of a block.
pub(super) const BLOCK: u64 = 1024;
/// After so many blocks at most it is told what was found.
const MOST_BLOCKS: u64 = 64;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Lines that will do, by block.
    pub(super) blocks: Vec<u32>,
    /// Lines that will do.
    pub(super) lines: u64,
    /// Lines that were looked at.
    pub(super) looked: u64,
    /// Of which sorts they are.
    pub(super) tally: Tally,
    /// Everything was looked at, or nothing more can be.
    pub(super) done: bool,
    /// What ended it early.
    pub(super) error: Option<String>,
}

/// A look through the file. It ends when it is dropped.
pub(super) struct Scan {
    found: Arc<Mutex<Found>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scan {
    pub(super) fn start(pages: &Arc<Pages>, filter: Filter) -> Self {
        let (found, stop) = (Arc::new(Mutex::new(Found::default())), Arc::new(AtomicBool::new(false)));
        let (pages, told, asked) = (Arc::clone(pages), Arc::clone(&found), Arc::clone(&stop));
        let work = move || look_through(&pages, &filter, &told, &asked);
        let thread = std::thread::Builder::new().name("browse".to_owned()).spawn(work);
        if let Err(error) = &thread {
            let mut found = lock(&found);
            (found.done, found.error) = (true, Some(format!("no thread can be started: {error}")));
        }
        Self { found, stop, thread: thread.ok() }
    }

    /// What was found so far.
    pub(super) fn found(&self) -> MutexGuard<'_, Found> {
        let mut found = lock(&self.found);
        if !found.done && self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            (found.done, found.error) = (true, Some("the search ended before its end, which is a defect".to_owned()));
        }
        found
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_through(pages: &Pages, filter: &Filter, told: &Mutex<Found>, stop: &AtomicBool) {
    // The first lines are told at once, later ones less often.
    let (mut start, mut blocks) = (0, 1);
    while start < pages.lines() && !stop.load(Ordering::Relaxed) {
        let end = pages.lines().min(start + blocks * BLOCK);
        let mut part = Found { blocks: vec![0; usize::try_from(blocks).unwrap_or(0)], ..Found::default() };
        let looked = pages.look(start..end, filter.text.is_some(), &mut |number, line| {
            if filter.takes(number, line) {
                part.blocks[usize::try_from((number - start) / BLOCK).unwrap_or(0)] += 1;
                part.lines += 1;
                part.tally.add(line);
            }
            !stop.load(Ordering::Relaxed)
        });
        let mut found = lock(told);
        found.blocks.append(&mut part.blocks);
        found.lines += part.lines;
        found.looked = end;
        found.tally.merge(&part.tally);
        if let Err(error) = looked {
            (found.done, found.error) = (true, Some(error.to_string()));
            return;
        }
        drop(found);
        start = end;
        blocks = (blocks * 2).min(MOST_BLOCKS);
    }
    lock(told).done = true;
}
