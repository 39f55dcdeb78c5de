//! Files of a run that are made of its plan, once the last action was told. It never changes the plan.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::RunFolder;
use crate::history::place::{at, invalid, record};

impl RunFolder {
    /// Lets files be written beside the finished plan: `write` is given the folder and gives the names of what it wrote there.
    ///
    /// # Errors
    /// What kept the plan from being finished or a file from being kept.
    pub fn of_plan(&mut self, write: &mut dyn FnMut(&Path) -> io::Result<Vec<String>>) -> io::Result<()> {
        self.writers()?.1.flush()?;
        let folder = self.staging.folder.clone();
        for name in write(&folder)? {
            let path = folder.join(&name);
            self.unsynced.add(path.clone(), File::open(&path).map_err(at(&path))?);
            self.made_of_plan.push(record(&folder, &name)?.ok_or_else(|| invalid(&path, "is missing"))?);
        }
        Ok(())
    }
}
