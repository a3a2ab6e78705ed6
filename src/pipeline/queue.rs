//! Chunks that were read and wait for a task.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::memory::permits::LOOK_UP;
use crate::read::reader::FetchedChunk;

/// A bounded queue that prefers a chunk whose day no task works on: a second task would make a
/// second state of the day.
#[derive(Default)]
pub struct ReadyQueue {
    state: Mutex<State>,
    taken: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<FetchedChunk>,
    /// First units of the chunks that tasks work on.
    busy: Vec<usize>,
}

impl ReadyQueue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits until fewer than `most` chunks wait, then adds one; false if `stopped` before.
    pub fn push(&self, chunk: FetchedChunk, most: usize, stopped: &dyn Fn() -> bool) -> bool {
        let mut state = self.state();
        while state.waiting.len() >= most.max(1) {
            if stopped() {
                return false;
            }
            let waited = self.taken.wait_timeout(state, LOOK_UP);
            state = waited.unwrap_or_else(|e| e.into_inner()).0;
        }
        state.waiting.push_back(chunk);
        true
    }

    /// Takes a chunk; say [`ReadyQueue::done`] when it is aggregated.
    pub fn pop(&self) -> Option<FetchedChunk> {
        let mut state = self.state();
        let State { waiting, busy } = &mut *state;
        let free = waiting.iter().position(|chunk| !busy.contains(&chunk.units.0));
        let chunk = waiting.remove(free.unwrap_or(0))?;
        busy.push(chunk.units.0);
        drop(state);
        self.taken.notify_all();
        Some(chunk)
    }

    pub fn done(&self, unit: usize) {
        let mut state = self.state();
        if let Some(at) = state.busy.iter().position(|&busy| busy == unit) {
            state.busy.swap_remove(at);
        }
    }
}
