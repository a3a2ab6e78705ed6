//! How memory and threads are divided among the coordinator and its workers.

use crate::memory::limit::{Limit, LimitSource};
use crate::memory::shares::{Budget, Demand, Distance, Shares, TooSmall};

/// What each process may use. All limits together are the limit of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// As many as asked for, or as there is memory for.
    pub workers: usize,
    /// The limit of one worker, in bytes, and that of the run in terms of it.
    pub worker_memory: u64,
    pub worker_part: u64,
    pub worker_threads: usize,
    /// Of the coordinator, which writes days, and finishes those that come in parts.
    pub budget: Budget,
    pub shares: Shares,
}

/// The coordinator's part of the memory is one in so many.
const COORDINATOR: u64 = 4;

/// Of so many threads one is the coordinator's: taking rows in and writing them takes less than a fifth of
/// the work.
const COORDINATOR_THREADS: usize = 5;

/// Divides a budget among `processes` workers, or fewer if it is too small for all of them. Every
/// process has at least one thread, even if those are more than `threads` in all.
///
/// # Errors
/// A budget that is too small for the coordinator and one worker.
pub fn divide(
    budget: &Budget,
    processes: usize,
    threads: usize,
    decode_bytes: u64,
    sink_bytes: u64,
) -> Result<Division, TooSmall> {
    let limit = budget.limit.bytes;
    let own_threads = (threads / COORDINATOR_THREADS).max(1);
    // It reads nothing.
    let own_demand = Demand {
        threads: own_threads as u64,
        decode_bytes: 0,
        fixed: sink_bytes,
        input: Distance::Disk,
    };
    let least_worker = least(Demand { threads: 1, decode_bytes, fixed: 0, ..own_demand });
    let least_own = least(own_demand);
    let own = (limit / COORDINATOR).max(least_own);
    let room = (limit.saturating_sub(own) / least_worker.max(1)) as usize;
    let workers = processes.min(room);
    if workers == 0 {
        let least =
            (least_worker + least_own).max(least_worker.div_ceil(COORDINATOR - 1) * COORDINATOR);
        return Err(TooSmall { limit, source_name: budget.limit.source.to_string(), least });
    }
    let worker_threads = (threads.saturating_sub(threads / COORDINATOR_THREADS) / workers).max(1);
    let own_budget = Budget::of(Limit { bytes: own, source: budget.limit.source });
    let shares = own_budget.shares(own_demand)?.of_part(COORDINATOR);
    let worker_memory = (limit - own) / workers as u64;
    let worker_part = limit.div_ceil(worker_memory.max(1));
    let budget = own_budget;
    Ok(Division { workers, worker_memory, worker_part, worker_threads, budget, shares })
}

/// The least limit for one process.
fn least(demand: Demand) -> u64 {
    let none = Budget::of(Limit { bytes: 0, source: LimitSource::Setting });
    none.shares(demand).map_or_else(|error| error.least, |_| 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn budget(mib: u64) -> Budget {
        Budget::of(Limit { bytes: mib * MIB, source: LimitSource::CgroupV2 })
    }

    #[test]
    fn no_more_than_there_is_and_every_process_can_work() {
        for mib in 20..3000 {
            for processes in [1, 2, 3, 16] {
                for decode in [MIB, 20 * MIB] {
                    let Ok(d) = divide(&budget(mib), processes, 4, decode, MIB) else { continue };
                    let all = d.budget.limit.bytes + d.workers as u64 * d.worker_memory;
                    assert!(all <= mib * MIB, "{mib} {processes}");
                    assert!((1..=processes).contains(&d.workers));
                    let limit = Limit { bytes: d.worker_memory, source: LimitSource::Setting };
                    let (threads, input) = (d.worker_threads as u64, Distance::Network);
                    let demand = Demand { threads, decode_bytes: decode, fixed: 0, input };
                    assert!(Budget::of(limit).shares(demand).is_ok(), "{mib} {d:?}");
                }
            }
        }
    }

    #[test]
    fn the_least_that_would_do_does() {
        for decode in [MIB, 9 * MIB, 40 * MIB] {
            let least = divide(&budget(8), 3, 2, decode, 3 * MIB).unwrap_err().least;
            assert_eq!(divide(&budget(least / MIB), 3, 2, decode, 3 * MIB).unwrap().workers, 1);
            assert!(divide(&budget(least / MIB - 1), 3, 2, decode, 3 * MIB).is_err());
        }
    }

    #[test]
    fn what_the_coordinator_lacks_is_named_by_the_limit_of_the_run() {
        let heap_of = |mib| divide(&budget(mib), 2, 2, MIB, MIB).unwrap().shares;
        for heap in [30 * MIB, 200 * MIB] {
            let limit = heap_of(200).limit_for_heap(heap);
            assert!(heap_of(limit / MIB).heap >= heap);
        }
    }

    #[test]
    fn threads_are_divided_too() {
        let threads = |processes, threads| {
            let d = divide(&budget(100_000), processes, threads, MIB, MIB).unwrap();
            (d.worker_threads, d.shares.threads)
        };
        assert_eq!(threads(2, 2), (1, 1));
        assert_eq!(threads(4, 16), (3, 3));
        assert_eq!(threads(16, 64), (3, 12));
        assert_eq!(threads(3, 1), (1, 1));
    }
}
