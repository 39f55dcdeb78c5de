//! A view or query may make its rows up anew each time it is asked: by the clock, by chance, by an order that nobody gave, or
//! over tables that have no snapshots. So it is summed by one statement, what is picked of it is kept, and that is held to
//! what was summed: where it is not the same, nothing was proved, and all rows are read.

use super::super::Halt;
use super::super::input::Inputs;
use super::search::Found;
use super::{Picks, remote};
use crate::normalise::normalise;
use crate::segment::{Kernel, Sums};
use crate::sides::{Side, Sides};
use crate::source::{Piece, Remote};

/// Why what was found does not hold; None: it does.
pub(super) fn changed(inputs: &Inputs, found: &Found, picks: &Sides<Picks>) -> Result<Option<&'static str>, Halt> {
    for side in Side::BOTH {
        let is_fickle = remote(&inputs.sides.get(side).opened).is_some_and(Remote::is_fickle);
        let (true, Some(picks)) = (is_fickle, picks.get(side)) else { continue };
        let Some(told) = found.told.get(side).as_ref().filter(|told| told.unsure == 0) else {
            return Ok(Some(
                "some values of a view or query have no sums, so that nothing tells whether it stays the same",
            ));
        };
        let mut given = Sums::default();
        for unit in picks {
            let failed = |error| Halt::Source { side, error };
            for piece in unit.read(&inputs.sides.get(side).columns).map_err(failed)? {
                match piece.map_err(failed)? {
                    Piece::Rows(rows) => add(inputs, side, &rows, &mut given),
                    Piece::Unreadable(_) => return Ok(Some("a row of a view or query cannot be read")),
                }
            }
        }
        if (given.rows, given.lanes, given.unsure) != (told.rows, told.lanes, 0) {
            return Ok(Some("a view or query gave other rows when it was asked again"));
        }
    }
    Ok(None)
}

/// Adds what rows sum up to.
fn add(inputs: &Inputs, side: Side, rows: &arrow::array::RecordBatch, sums: &mut Sums) {
    let compared = rows.project(&inputs.sides.get(side).compared).expect("the columns were read");
    let canonical = normalise(&inputs.binding, side, &compared);
    let kernel = Kernel::new(&inputs.binding).expect("it was summed");
    let mut texts = kernel.texts(&canonical, false);
    (0..canonical.rows).for_each(|row| sums.add(texts.lanes(row)));
}
