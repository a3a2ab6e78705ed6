//! Pod groups and sorted rows on disk, for days that are larger than the memory there is.

pub mod bytes;
pub mod file;
pub mod groups;
pub mod rows;
pub mod spiller;

pub use file::{Block, SpillError, SpillFile};
