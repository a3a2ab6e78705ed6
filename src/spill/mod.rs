//! States of days and their finished rows on disk, for days that are larger than the memory there
//! is.

pub mod bytes;
pub mod capacity;
pub mod claims;
pub mod file;
pub mod groups;
pub mod rows;
pub mod sorted;
pub mod spiller;
mod values;

pub use file::{Block, SpillError, SpillFile};
