//! Tells people how far the reading of earlier runs is. It draws nothing itself.

use crate::console::Bars;
use crate::history::Watch;

impl Watch for Bars {
    fn reads(&self, phase: &str, bytes: u64) {
        self.begin("", phase, bytes);
    }

    fn goes_through(&self, phase: &str, one: &'static str, expected: u64) {
        self.begin_counting(phase, one, expected);
    }

    fn did(&self, things: u64, bytes: u64) {
        self.advance(things, bytes);
    }
}
