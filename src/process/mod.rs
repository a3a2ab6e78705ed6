//! Worker processes: a coordinator that hands out work, and the same program as a worker.
//!
//! The coordinator plans, hands out tasks (a day of a source, or a slice of one) as JSON lines, takes in
//! what became of them as an Arrow IPC stream, and alone writes to the sink. Workers read,
//! aggregate and finish days as the tasks of an undivided run do: [`crate::pipeline::run_unit`]. Where
//! other tasks have line items of its days too, it sends partial states, and the coordinator finishes them.

pub mod answers;
mod child;
mod coordinator;
mod ending;
mod error;
mod logs;
pub mod orders;
pub mod rows;
pub mod shares;
mod staged;
pub mod states;
mod tasks;
pub mod worker;

pub use coordinator::{Setup, WorkerFigures, run};
pub use ending::Ending;
pub use error::WorkerError;
