//! Fetching ahead: chunks under way while earlier ones are worked on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reader::{FetchedChunk, PendingChunk, Reader};
use crate::memory::permits::Permits;
use crate::plan::chunks::Chunk;
use crate::plan::{Plan, PlanError};
use crate::store::Store;

/// How many chunks of an object store are under way beyond the one that is waited for: enough to
/// hide the way there. Their bytes are bounded by the permits.
const AHEAD: usize = 16;

/// Fetches chunks in order, as many ahead as is worth while and as the permits allow.
pub struct ReadAhead<'p> {
    reader: Reader<'p>,
    permits: Arc<Permits>,
    pending: VecDeque<PendingChunk>,
    most_pending: usize,
    /// For bytes to come.
    waited: Duration,
}

impl<'p> ReadAhead<'p> {
    /// `in_flight` is how many bytes the permits are for.
    pub fn new(
        plan: &'p Plan,
        store: &'p Store,
        all_columns: bool,
        permits: Arc<Permits>,
        in_flight: u64,
    ) -> Self {
        // Local disk reads ahead by itself. To read a row group of an object store page by page is
        // slow, so only those are that cannot be held at all.
        let (most_bytes, most_pending) = match store {
            Store::Local(_) => (in_flight / 4, 0),
            Store::S3(_) => (in_flight, AHEAD),
        };
        let reader = Reader::new(plan, store, all_columns, most_bytes);
        ReadAhead {
            reader,
            permits,
            pending: VecDeque::new(),
            most_pending,
            waited: Duration::ZERO,
        }
    }

    /// Starts to fetch `chunk` once there is room for it, and gives away the earlier ones that need
    /// not be waited for any longer. `false` once `stopped`.
    ///
    /// # Errors
    /// An object that cannot be read, or that is no longer what was planned.
    pub fn fetch(
        &mut self,
        chunk: Chunk,
        stopped: &dyn Fn() -> bool,
        give: &mut dyn FnMut(FetchedChunk),
    ) -> Result<bool, PlanError> {
        let mut permit = self.permits.try_acquire(self.reader.bytes_of(&chunk));
        if permit.is_none() {
            // Only tasks make room: let them have all that is held here.
            self.give_all(stopped, give)?;
            self.reader.let_go();
            permit = self.permits.acquire(self.reader.bytes_of(&chunk), stopped);
        }
        let Some(permit) = permit else {
            return Ok(false);
        };
        self.pending.push_back(self.reader.start(chunk, permit));
        if self.pending.len() > self.most_pending {
            self.give_next(give)?;
        }
        Ok(true)
    }

    /// How long it has waited for bytes, so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Waits for the first chunk under way and gives it away; `false` if none is.
    ///
    /// # Errors
    /// As for [`ReadAhead::fetch`].
    pub fn give_next(&mut self, give: &mut dyn FnMut(FetchedChunk)) -> Result<bool, PlanError> {
        let Some(pending) = self.pending.pop_front() else {
            return Ok(false);
        };
        let started = Instant::now();
        let chunk = self.reader.finish(pending);
        self.waited += started.elapsed();
        give(chunk?);
        Ok(true)
    }

    /// Gives away all that is under way, unless `stopped`.
    ///
    /// # Errors
    /// As for [`ReadAhead::fetch`].
    pub fn give_all(
        &mut self,
        stopped: &dyn Fn() -> bool,
        give: &mut dyn FnMut(FetchedChunk),
    ) -> Result<(), PlanError> {
        while !stopped() && self.give_next(give)? {}
        Ok(())
    }
}
