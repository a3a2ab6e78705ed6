//! Watches memory while a run goes on, and answers pressure from this process or from others that
//! share its limit.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Job;
use crate::memory::controller::{Changes, Controller};
use crate::memory::decoding::{Decoded, Decoding};
use crate::memory::heap::Heap;
use crate::memory::permits::Permits;
use crate::memory::shares::{Budget, Shares};
use crate::memory::watch::Watch;
use crate::plan::chunks;

/// Soon enough for a process that fills memory page by page, and no noticeable work.
const INTERVAL: Duration = Duration::from_millis(50);

/// While this is there memory is watched.
pub struct Watched<'p> {
    ended: &'p Mutex<bool>,
    changed: &'p Condvar,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

/// With so much heap chunks need not be smaller, whatever others take.
const PLENTY: u64 = 1024 * 1024 * 1024;

/// Holds the controller of chunks, and lets what it says be felt.
pub struct Pressure<'a> {
    watch: &'a Watch,
    budget: &'a Budget,
    shares: Shares,
    controller: Mutex<Controller>,
    decoding: Mutex<Decoding>,
    ended: Mutex<bool>,
    changed: Condvar,
}

impl<'a> Pressure<'a> {
    /// Of a job whose days are read side by side by as many threads as it has.
    pub fn of(job: &Job<'a>) -> Self {
        let controller = Controller::new(job.chunk_rows, job.shares.threads + 1);
        let promised = chunks::promised(&job.plan.groups);
        Pressure::new(job.watch, job.budget, job.shares, controller, promised)
    }

    pub fn new(
        watch: &'a Watch,
        budget: &'a Budget,
        shares: Shares,
        controller: Controller,
        promised: Decoding,
    ) -> Self {
        let (controller, ended) = (Mutex::new(controller), Mutex::new(false));
        let decoding = Mutex::new(promised);
        Pressure { watch, budget, shares, controller, decoding, ended, changed: Condvar::new() }
    }

    fn controller(&self) -> MutexGuard<'_, Controller> {
        self.controller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decoding(&self) -> MutexGuard<'_, Decoding> {
        self.decoding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what it took to decode a chunk: the next are as large as that allows.
    pub fn learn(&self, decoded: Decoded) {
        let mut decoding = self.decoding();
        decoding.learn(decoded);
        let (rows, bytes_per_row) = (decoding.rows(), decoding.bytes_per_row());
        drop(decoding);
        let mut controller = self.controller();
        if controller.learn(rows) {
            let rows = controller.rows();
            tracing::debug!(bytes_per_row, rows, "chunks follow the size of values");
        }
    }

    /// Rows of the next chunk, and how many chunks may wait.
    pub fn chunks(&self) -> (usize, usize) {
        let controller = self.controller();
        (controller.rows(), controller.waiting())
    }

    pub fn changes(&self) -> Changes {
        self.controller().changes()
    }

    /// Watches until what [`Pressure::ended_on_drop`] gave is dropped. `spill_early` is told whether states are to be spilled
    /// although they are within their share.
    pub fn follow(&self, heap: &Heap, permits: &Permits, spill_early: &dyn Fn(bool)) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        while !*ended {
            self.look(heap, permits, spill_early);
            let waited = self.changed.wait_timeout(ended, INTERVAL);
            ended = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends [`Pressure::follow`] when it is dropped, whatever the reason.
    pub fn ended_on_drop(&self) -> Watched<'_> {
        Watched { ended: &self.ended, changed: &self.changed }
    }

    fn look(&self, heap: &Heap, permits: &Permits, spill_early: &dyn Fn(bool)) {
        let in_use = self.watch.sample();
        let limit = self.budget.limit.bytes.min(in_use.left);
        let taken = self.budget.limit.bytes - limit;
        // Two figures of the kernel that were not taken at once differ by a little.
        let taken = if taken < self.budget.limit.bytes / 16 { 0 } else { taken };
        let left = self.shares.heap_without(taken, self.decoding().most_held());
        heap.set_limit(left);
        let mut controller = self.controller();
        let fitted = controller.fit(left, self.shares.heap.min(PLENTY));
        if controller.observe(in_use.own, limit) | fitted {
            permits.resize(self.shares.in_flight.min(limit / 10));
            spill_early(controller.is_spilling());
            tracing::debug!(
                used = in_use.own,
                limit,
                rows = controller.rows(),
                waiting = controller.waiting(),
                spilling = controller.is_spilling(),
                "chunks follow the memory there is"
            );
        }
    }
}
