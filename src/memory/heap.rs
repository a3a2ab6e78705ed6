//! The bytes of everything that grows with the groups of a day.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Counts bytes against a limit. Those who only grow are counted after the fact and spill when
/// there are too many; who is about to need much asks before.
#[derive(Debug)]
pub struct Heap {
    /// May change while the run goes on: others take memory and give it back.
    limit: AtomicU64,
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
        Heap { limit: AtomicU64::new(limit), state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets another limit; what is used stays used.
    pub fn set_limit(&self, limit: u64) {
        if self.limit.swap(limit, Ordering::Relaxed) != limit {
            self.changed.notify_all();
        }
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

    /// Counts `bytes` until they are dropped.
    pub fn hold(&self, bytes: u64) -> Held<'_> {
        self.change(0, bytes);
        Held { heap: self, bytes }
    }

    /// The same if there is room now.
    pub fn try_hold(&self, bytes: u64) -> Option<Held<'_>> {
        let mut state = self.state();
        (state.used + bytes <= self.limit()).then(|| {
            state.used += bytes;
            Held { heap: self, bytes }
        })
    }

    /// As [`Heap::reserve`], but for work that must be done: if there is no room even when no one
    /// else works, it is done all the same.
    pub fn reserve_or_go_on(&self, bytes: u64) -> Reserved<'_> {
        let mut state = self.state();
        while state.used + bytes > self.limit() && state.working > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.used += bytes;
        state.working += 1;
        Reserved { heap: self, bytes }
    }

    /// Asks for `bytes` to work with. Waits only while others work with theirs, who never wait for
    /// anyone; `None` if there is no room even so.
    pub fn reserve(&self, bytes: u64) -> Option<Reserved<'_>> {
        let mut state = self.state();
        loop {
            if state.used + bytes <= self.limit() {
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

/// Bytes that are counted while this is there.
#[derive(Debug)]
pub struct Held<'h> {
    heap: &'h Heap,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.heap.change(self.bytes, 0);
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
        assert!(heap.try_hold(50).is_none());
        let held = heap.try_hold(40).unwrap();
        heap.set_limit(10);
        // No one else works: what must be done is done.
        drop(heap.reserve_or_go_on(1000));
        drop(held);
        heap.change(60, 0);
        assert_eq!(heap.used(), 0);
    }
}
