//! Repairs targets: brings a plan's actions into the dialect of the database that holds the projection, writes them there
//! under their guards with a journal, and undoes them. Nothing is written unless it is asked for, and a row that has moved
//! since the plan is never overwritten. It compares no tables and decides no action.

mod alive;
mod backwards;
pub mod copy;
pub mod deed;
mod doubt;
pub mod engine;
pub mod given;
pub mod journal;
pub mod link;
mod list;
pub mod literal;
pub mod order;
pub mod statement;
pub mod table;
pub mod work;

pub use engine::{Item, Outcome, Quietly, Steps};
