//! The bytes of everything that grows with the groups of a day.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Counts bytes against a limit. Those who only grow are counted after the fact and spill when
/// there are too many; who is about to need much asks before.
#[derive(Debug)]
pub struct Heap {
    limit: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// Reservations that will be given back without anyone's help.
    working: usize,
}

/// Bytes that were asked for.
#[derive(Debug)]
pub struct Reserved<'h> {
    heap: &'h Heap,
    bytes: u64,
}

impl Heap {
    pub fn new(limit: u64) -> Self {
        Heap { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    pub fn used(&self) -> u64 {
        self.state().used
    }

    /// Counts that what used `before` bytes now uses `after`.
    pub fn change(&self, before: u64, after: u64) {
        let mut state = self.state();
        state.used = (state.used + after).saturating_sub(before);
        if after < before {
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Asks for `bytes` to work with. Waits only while others work with theirs, who never wait for
    /// anyone; `None` if there is no room even so.
    pub fn reserve(&self, bytes: u64) -> Option<Reserved<'_>> {
        let mut state = self.state();
        loop {
            if state.used + bytes <= self.limit {
                state.used += bytes;
                state.working += 1;
                return Some(Reserved { heap: self, bytes });
            }
            if state.working == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut state = self.heap.state();
        state.used = state.used.saturating_sub(self.bytes);
        state.working -= 1;
        drop(state);
        self.heap.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_those_who_work_and_for_no_one_else() {
        let heap = Heap::new(100);
        heap.change(0, 60);
        assert!(heap.reserve(50).is_none());
        let first = heap.reserve(40).unwrap();
        std::thread::scope(|threads| {
            let second = threads.spawn(|| heap.reserve(30).is_some());
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!second.is_finished());
            drop(first);
            assert!(second.join().unwrap());
        });
        heap.change(60, 0);
        assert_eq!(heap.used(), 0);
    }
}
