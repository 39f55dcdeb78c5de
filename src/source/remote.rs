//! What a database offers besides its rows: answers to statements, and rows chosen by a condition, both in the snapshot that
//! its units are read in. It reads no row by itself and knows nothing of what is compared.

use crate::contract::System;
use crate::database::Native;

use super::{Error, Unit};

/// A table or query of a database, which can be asked.
pub trait Remote: Send + Sync {
    /// Whose dialect statements are written in.
    fn system(&self) -> System;
    /// What stands behind FROM.
    fn from(&self) -> String;
    /// The contract's filter, where it is not part of `from`.
    fn filter(&self) -> Option<String>;
    /// A column of the schema, as an expression and as what it is there; None where its values have no text that other systems
    /// write alike.
    fn column(&self, index: usize) -> Option<(String, Native)>;
    /// Whether no two rows have the same values in these columns, as far as the database vouches for it.
    ///
    /// # Errors
    /// What kept it from answering.
    fn is_unique(&self, columns: &[usize]) -> Result<bool, Error>;
    /// Whether ranges of a column are found without looking at all rows.
    ///
    /// # Errors
    /// What kept it from answering.
    fn is_ordered(&self, column: usize) -> Result<bool, Error>;
    /// Whether rows lie in the order of a column, about, so that a range of it lies in few places.
    ///
    /// # Errors
    /// What kept it from answering.
    fn is_clustered(&self, column: usize) -> Result<bool, Error> {
        let _ = column;
        Ok(true)
    }
    /// Asks for a few lines of numbers.
    ///
    /// # Errors
    /// What kept it from answering.
    fn ask(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error>;
    /// Waits as if so many rows had been read.
    ///
    /// # Errors
    /// That reading may take no longer.
    fn pace(&self, rows: u64) -> Result<(), Error>;
    /// The rows for which a condition holds, of which no other columns than these are asked for; None: than at first.
    fn pick(&self, condition: String, columns: Option<&[usize]>) -> Box<dyn Unit>;
    /// Whether the same question may be answered in another way the next time, because a view or query may make rows up anew.
    /// What it picks is kept, so that it is the same whenever it is read.
    fn is_fickle(&self) -> bool {
        false
    }
    /// Whether its rows were not read when it was opened: to read all of them it is opened again.
    fn is_deferred(&self) -> bool {
        false
    }
    /// Whether it lies on this machine, so that nothing is sent over a network.
    fn is_local(&self) -> bool {
        false
    }
}
