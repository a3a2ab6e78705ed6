//! Whether a run goes on.

use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, by a failure or from outside; seen by all threads of a run.
#[derive(Debug)]
pub struct Stop<'a> {
    cancelled: &'a AtomicBool,
    failed: AtomicBool,
}

impl<'a> Stop<'a> {
    /// `cancelled` is set from outside.
    pub fn new(cancelled: &'a AtomicBool) -> Self {
        Stop { cancelled, failed: AtomicBool::new(false) }
    }

    /// Ends the run after a failure.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether the run was ended from outside.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether nothing more is to be done.
    pub fn is_set(&self) -> bool {
        self.is_cancelled() || self.failed.load(Ordering::Relaxed)
    }
}
