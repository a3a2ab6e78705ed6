//! Why a day has no rows.

use crate::memory::shares::Shares;
use crate::sink::SinkError;
use crate::spill::SpillError;

#[derive(Debug)]
pub enum DayError {
    /// The run was stopped.
    Stopped,
    Spill(SpillError),
    /// It could not be encoded for the sink.
    Sink(SinkError),
    /// The label objects of nodes and namespaces, which must be held, do not fit.
    TooLarge {
        /// Bytes that must be held.
        held: u64,
        /// The memory limit that would do, in bytes.
        least: u64,
    },
}

impl From<SpillError> for DayError {
    fn from(error: SpillError) -> Self {
        DayError::Spill(error)
    }
}

impl From<SinkError> for DayError {
    fn from(error: SinkError) -> Self {
        DayError::Sink(error)
    }
}

/// What label objects of nodes and namespaces take while rows are finished, in terms of their own
/// bytes: they are there twice, and once more by owner.
pub const OWNERS_GROWTH: u64 = 3;

/// Holds what a complete day's label objects take against half of a heap of `limit` bytes.
pub fn check_owners(bytes: u64, limit: u64, shares: &Shares) -> Result<(), DayError> {
    let held = bytes * OWNERS_GROWTH;
    // How much room tables keep depends on the order in which threads met their rows.
    let most = held + held / 4;
    match held > limit / 2 {
        true => Err(DayError::TooLarge { held, least: shares.limit_for_heap(most * 2) }),
        false => Ok(()),
    }
}
