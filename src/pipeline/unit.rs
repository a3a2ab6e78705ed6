//! Days for someone else to write: a worker's part of a run.

use std::time::Instant;

use super::activity::Activity;
use super::finish::{DayCounts, DayRows, Finisher};
use super::pressure::Pressure;
use super::states::UnitState;
use super::stop::Stop;
use super::{Job, Outcome, RunError, Shared};
use crate::memory::heap::Heap;

/// What a unit came to.
pub enum Brought {
    Rows(DayRows, DayCounts),
    /// The states of its rows, of which others have more.
    States(Box<UnitState>),
}

/// Reads and aggregates the units of a job, and hands over each as soon as it has all of it: as rows
/// where `whole` says that no one else has line items of its units. [`super::run`] does the same before it
/// writes them.
///
/// # Errors
/// Those of reading, and of `hand_over`.
pub fn run_unit(
    job: &Job<'_>,
    whole: bool,
    hand_over: &(dyn Fn(usize, Brought) -> Result<(), RunError> + Sync),
) -> Result<Outcome, RunError> {
    let heap = Heap::new(job.shares.heap);
    let stop = Stop::new(job.cancelled);
    let activity = Activity::start();
    let pressure = Pressure::of(job);
    let shared = Shared::new(job, &heap, &stop, &activity, &pressure, None, 1);
    let finisher = Finisher::new(job, &heap, &stop);
    std::thread::scope(|threads| {
        threads.spawn(|| shared.follow_pressure());
        let _watched = pressure.ended_on_drop();
        shared.run_units(&|unit| {
            if shared.is_stopped() {
                return;
            }
            let started = Instant::now();
            let state = shared.states.take(unit);
            let (brought, bytes) = if whole {
                match finisher.finish(state, &job.plan.units[unit].meta) {
                    Ok((rows, counts)) => {
                        let bytes = rows.bytes();
                        shared.outcome(|outcome| outcome.finish_time += started.elapsed());
                        (Brought::Rows(rows, counts), bytes)
                    }
                    Err(error) => return shared.fail_day(unit, error),
                }
            } else {
                let bytes = state.idle_bytes() + state.heap_bytes();
                (Brought::States(Box::new(state)), bytes)
            };
            match hand_over(unit, brought) {
                Ok(()) => shared.progress.advance(),
                Err(error) => shared.fail(error),
            }
            heap.change(bytes, 0);
        });
    });
    shared.end()
}
