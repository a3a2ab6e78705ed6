//! From decoded rows to a day's partial state. Knows no file, socket, clock or thread.

pub mod capacity;
pub mod exact;
pub mod groups;
pub mod interner;
pub mod last_rows;
pub mod owners;
pub mod partial;
pub mod places;
pub mod pods;
mod round;
pub mod rows;
mod segments;
pub mod storage;
pub mod sums;
pub mod translation;
pub mod wide;
