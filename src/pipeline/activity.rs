//! How much of a run's time several threads had something to do.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts the threads that work, and for how long at most one did.
#[derive(Debug)]
pub struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    working: usize,
    since: Instant,
    serial: Duration,
    started: Instant,
}

/// A thread that works, while this is there.
pub struct Working<'a>(&'a Activity);

impl Activity {
    pub fn start() -> Self {
        let now = Instant::now();
        let state = State { working: 0, since: now, serial: Duration::ZERO, started: now };
        Activity(Mutex::new(state))
    }

    pub fn working(&self) -> Working<'_> {
        self.change(|working| working + 1);
        Working(self)
    }

    fn change(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.working < 2 {
            let passed = now - state.since;
            state.serial += passed;
        }
        state.since = now;
        state.working = change(state.working);
    }

    /// How long at most one thread worked, and how long all of it took so far.
    pub fn serial(&self) -> (Duration, Duration) {
        self.change(|working| working);
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.serial, state.since - state.started)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.change(|working| working.saturating_sub(1));
    }
}
