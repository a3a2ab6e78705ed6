//! Bytes as permits: who wants to read waits until there is room.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// How often one who waits looks whether the run was stopped: a signal wakes no one.
pub const LOOK_UP: Duration = Duration::from_millis(100);

/// A count of bytes that may be held at once.
#[derive(Debug)]
pub struct Permits {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    total: u64,
    held: u64,
}

impl State {
    /// Nothing always has room, also beside a piece that is larger than all there is.
    fn has_room(&self, bytes: u64) -> bool {
        bytes == 0 || self.held == 0 || self.held + bytes <= self.total
    }
}

/// Bytes held until this is dropped.
#[derive(Debug)]
pub struct Permit {
    permits: Arc<Permits>,
    bytes: u64,
}

impl Permits {
    pub fn new(total: u64) -> Arc<Self> {
        let state = Mutex::new(State { total, held: 0 });
        Arc::new(Permits { state, changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits for `bytes`; `None` once `stopped`. More than there are in all are given to one who
    /// asks while nothing is held, so that large pieces go one by one instead of never.
    pub fn acquire(self: &Arc<Self>, bytes: u64, stopped: &dyn Fn() -> bool) -> Option<Permit> {
        let mut state = self.state();
        loop {
            if stopped() {
                return None;
            }
            if state.has_room(bytes) {
                state.held += bytes;
                return Some(Permit { permits: self.clone(), bytes });
            }
            let waited = self.changed.wait_timeout(state, LOOK_UP);
            state = waited.unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// As [`Permits::acquire`], but without waiting: `None` where there is no room now.
    pub fn try_acquire(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let mut state = self.state();
        state.has_room(bytes).then(|| {
            state.held += bytes;
            Permit { permits: self.clone(), bytes }
        })
    }

    /// Changes how many there are; what is held stays held.
    pub fn resize(&self, total: u64) {
        self.state().total = total;
        self.changed.notify_all();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.state().held -= self.bytes;
        self.permits.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn waits_for_room_and_lets_go_when_stopped() {
        let go_on = || false;
        let permits = Permits::new(10);
        let large = permits.acquire(100, &go_on).unwrap();
        let waiting = std::thread::spawn({
            let permits = permits.clone();
            move || permits.acquire(5, &|| false).map(|p| p.bytes)
        });
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        assert!(permits.try_acquire(5).is_none());
        assert!(permits.try_acquire(0).is_some());
        drop(large);
        assert_eq!(waiting.join().unwrap(), Some(5));
        let _held = permits.acquire(10, &go_on).unwrap();
        assert!(permits.acquire(5, &|| true).is_none());
        permits.resize(20);
        assert!(permits.acquire(5, &go_on).is_some());
    }
}
