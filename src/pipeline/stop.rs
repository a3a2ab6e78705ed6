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

    /// Ends the run if the thread panics before this is dropped: the others would wait for what it
    /// does not do any more.
    pub fn on_panic(&self) -> OnPanic<'_> {
        OnPanic(self)
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

/// See [`Stop::on_panic`].
#[must_use]
pub struct OnPanic<'a>(&'a Stop<'a>);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_run_and_nothing_else_does() {
        let cancelled = AtomicBool::new(false);
        let stop = Stop::new(&cancelled);
        drop(stop.on_panic());
        assert!(!stop.is_set());
        let panics = || {
            let _ended = stop.on_panic();
            panic!("on purpose")
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        assert!(stop.is_set() && !stop.is_cancelled());
    }
}
