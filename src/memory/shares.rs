//! The budget of a run, and how it is shared out.

use std::fmt;

use super::limit::{Limit, LimitSource};

const MIB: u64 = 1024 * 1024;

/// What the program needs before it does anything: code, stacks, allocator, kernel pages.
const BASE: u64 = 14 * MIB;

/// The memory that a run may use, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    pub limit: Limit,
    /// What may be allocated: the limit less headroom.
    pub bytes: u64,
}

/// A limit too small to work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{limit} is not enough memory ({source_name}): this input needs at least {least}; raise the \
     limit, or say --memory-limit if it is wrong",
    limit = mebibytes(*limit),
    least = mebibytes(*least)
)]
pub struct TooSmall {
    pub limit: u64,
    pub source_name: String,
    pub least: u64,
}

impl Budget {
    pub fn of(limit: Limit) -> Self {
        let bytes = (limit.bytes / 10 * 7).min(limit.bytes.saturating_sub(BASE));
        Budget { limit, bytes }
    }

    /// The shares of the parts of a run that asks for so much.
    ///
    /// # Errors
    /// A budget that is too small for it.
    pub fn shares(&self, demand: Demand) -> Result<Shares, TooSmall> {
        const LEAST_STATES: u64 = 4 * MIB;
        // What a day of a cluster of some hundred nodes takes: with less, more threads would only
        // spill more.
        const USUAL_STATES: u64 = 16 * MIB;
        const LEAST_REST: u64 = 8 * MIB;
        let needed = |threads: u64| demand.fixed + threads * demand.decode_bytes;
        let least = needed(1) + LEAST_STATES + LEAST_REST;
        if self.bytes < least {
            return Err(TooSmall {
                limit: self.limit.bytes,
                source_name: self.limit.source.to_string(),
                least: limit_for(least),
            });
        }
        // Fewer threads rather than no room for the groups.
        let threads = (1..=demand.threads)
            .rev()
            .find(|&t| needed(t) + USUAL_STATES * t + LEAST_REST <= self.bytes)
            .unwrap_or(1);
        let rest = self.bytes - needed(threads);
        let (part, most) = demand.input.in_flight();
        Ok(Shares {
            threads: threads as usize,
            in_flight: (rest / part).min(most),
            heap: rest - rest / part,
            demand,
            part: 1,
        })
    }
}

/// The least limit whose budget is `bytes`, in whole MiB: the inverse of [`Budget::of`].
fn limit_for(bytes: u64) -> u64 {
    let limit = (bytes + BASE).max(bytes.div_ceil(7) * 10);
    limit.div_ceil(MIB) * MIB
}

impl Shares {
    /// Of a process whose limit is one in `part` of the run's.
    pub fn of_part(self, part: u64) -> Self {
        Shares { part, ..self }
    }

    /// A limit of the run under which it would have so much heap: the least such, but for what more
    /// threads take, which more memory allows.
    pub fn limit_for_heap(&self, heap: u64) -> u64 {
        let Demand { decode_bytes, fixed, input, .. } = self.demand;
        let (part, _) = input.in_flight();
        let mut bytes = limit_for(fixed + decode_bytes + heap.div_ceil(part - 1) * part);
        loop {
            let budget = Budget::of(Limit { bytes, source: LimitSource::Setting });
            match budget.shares(self.demand) {
                Ok(shares) if shares.heap >= heap => return bytes * self.part,
                _ => bytes += MIB,
            }
        }
    }

    /// The heap that is left when `bytes` of the limit are taken by others, and when a task `held` so
    /// much to decode: at least a quarter of it, since with less nothing would go on.
    pub fn heap_without(&self, bytes: u64, held: u64) -> u64 {
        let more =
            held.saturating_sub(self.demand.decode_bytes).saturating_mul(self.threads as u64);
        self.heap.saturating_sub(bytes / 10 * 7).saturating_sub(more).max(self.heap / 4)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.bytes as f64 * 100.0 / self.limit.bytes.max(1) as f64).round();
        let (bytes, limit) = (mebibytes(self.bytes), mebibytes(self.limit.bytes));
        write!(f, "budget {bytes} = {percent} % of {} {limit}", self.limit.source)
    }
}

/// In MiB, or in GiB from 10 on.
pub fn mebibytes(bytes: u64) -> String {
    if bytes >= 10 * 1024 * MIB {
        format!("{:.1} GiB", bytes as f64 / (1024 * MIB) as f64)
    } else {
        format!("{} MiB", bytes / MIB)
    }
}

/// What the parts of a run may use, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Tasks at once; fewer than asked for where memory is short.
    pub threads: usize,
    /// Compressed bytes that were read and not yet decoded.
    pub in_flight: u64,
    /// Partial states of open days, days being finished, and rows that wait for the sink.
    pub heap: u64,
    /// What was to be shared among.
    demand: Demand,
    /// The limit is one in so many of the run's.
    part: u64,
}

/// What a process asks of its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Tasks at once.
    pub threads: u64,
    /// Bytes that a task decodes at a time.
    pub decode_bytes: u64,
    /// Bytes that are held from start to end.
    pub fixed: u64,
    pub input: Distance,
}

/// How far away the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    Disk,
    /// Each request takes its time, so that many must be under way.
    Network,
}

impl Distance {
    /// Bytes in flight: one in so many of those that are left, and the most that make anything
    /// faster.
    fn in_flight(self) -> (u64, u64) {
        match self {
            Distance::Disk => (8, 32 * MIB),
            Distance::Network => (4, 64 * MIB),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(mib: u64) -> Budget {
        Budget::of(Limit { bytes: mib * MIB, source: LimitSource::CgroupV1 })
    }

    fn demand(threads: u64, decode_bytes: u64, fixed: u64) -> Demand {
        Demand { threads, decode_bytes, fixed, input: Distance::Disk }
    }

    #[test]
    fn says_where_it_comes_from() {
        assert_eq!(budget(512).to_string(), "budget 358 MiB = 70 % of cgroup v1 limit 512 MiB");
    }

    #[test]
    fn the_least_that_would_do_does() {
        for decode in [MIB, 9 * MIB, 40 * MIB] {
            let error = budget(16).shares(demand(4, decode, 3 * MIB)).unwrap_err();
            let enough = Limit { bytes: error.least, source: LimitSource::Setting };
            assert!(Budget::of(enough).shares(demand(4, decode, 3 * MIB)).is_ok());
            let less = Limit { bytes: error.least - MIB, source: LimitSource::Setting };
            assert!(Budget::of(less).shares(demand(4, decode, 3 * MIB)).is_err());
        }
    }

    #[test]
    fn a_limit_for_a_heap_gives_it_whatever_the_threads() {
        for (mib, heap) in [(48, 100), (64, 33), (300, 301), (64, 2000)] {
            let shares = |limit| {
                let limit = Limit { bytes: limit, source: LimitSource::Setting };
                Budget::of(limit).shares(demand(8, 5 * MIB, MIB)).unwrap()
            };
            let limit = shares(mib * MIB).limit_for_heap(heap * MIB);
            assert!(shares(limit).heap >= heap * MIB, "{mib} {heap}");
        }
    }

    #[test]
    fn what_decoding_takes_beyond_its_share_is_taken_from_the_heap() {
        let shares = budget(300).shares(demand(2, 5 * MIB, MIB)).unwrap();
        assert_eq!(shares.heap_without(0, 5 * MIB), shares.heap);
        assert_eq!(shares.heap_without(0, 12 * MIB), shares.heap - 14 * MIB);
        assert_eq!(shares.heap_without(10 * MIB, 12 * MIB), shares.heap - 21 * MIB);
        assert_eq!(shares.heap_without(0, u64::MAX / 2), shares.heap / 4);
    }

    #[test]
    fn shares_fit() {
        for mib in 30..2000 {
            if let Ok(s) = budget(mib).shares(demand(8, 5 * MIB, MIB)) {
                let used = s.in_flight + s.heap + s.threads as u64 * 5 * MIB + MIB;
                assert!(used <= budget(mib).bytes, "{mib}");
            }
        }
    }
}
