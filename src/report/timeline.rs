//! Samples of a run over time, bounded: the longer it takes, the further they are apart.

use serde::Serialize;

use crate::telemetry::{Figure, Snapshot};

/// Most samples that are kept.
const MOST: usize = 480;

/// The figures that change, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sample {
    /// Since the start of the run.
    pub seconds: f64,
    pub memory: u64,
    pub chunk_rows: u64,
    pub rows: u64,
    pub days: u64,
    pub spilled: u64,
}

/// Samples at equal distances.
#[derive(Debug, Clone)]
pub struct Timeline {
    samples: Vec<Sample>,
    /// One of so many moments is kept.
    stride: usize,
    moments: usize,
    peak: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline { samples: Vec::new(), stride: 1, moments: 0, peak: 0 }
    }
}

impl Timeline {
    /// To be called at equal distances in time.
    pub fn push(&mut self, snapshot: &Snapshot) {
        self.peak = self.peak.max(snapshot.get(Figure::MemoryUsed));
        if self.moments.is_multiple_of(self.stride) {
            if self.samples.len() == MOST {
                let mut kept = 0..;
                self.samples.retain(|_| kept.next().is_none_or(|at: usize| at.is_multiple_of(2)));
                self.stride *= 2;
            }
            self.add(snapshot);
        }
        self.moments += 1;
    }

    /// The last moment, which is kept whatever the distance.
    pub fn end(&mut self, snapshot: &Snapshot) {
        self.peak = self.peak.max(snapshot.get(Figure::MemoryUsed));
        self.add(snapshot);
    }

    fn add(&mut self, snapshot: &Snapshot) {
        self.samples.push(Sample {
            seconds: snapshot.time.as_secs_f64(),
            memory: snapshot.get(Figure::MemoryUsed),
            chunk_rows: snapshot.get(Figure::ChunkRows),
            rows: snapshot.get(Figure::RowsRead),
            days: snapshot.get(Figure::DaysTaken),
            spilled: snapshot.get(Figure::SpilledBytes),
        });
    }

    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The most memory at any moment that was looked at, kept or not.
    pub fn peak(&self) -> u64 {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn a_long_run_keeps_samples_of_all_of_it_at_equal_distances() {
        let telemetry = Telemetry::default();
        let mut timeline = Timeline::default();
        for second in 0..10_000 {
            telemetry.set(Figure::MemoryUsed, if second == 7001 { 99 } else { 1 });
            let mut snapshot = telemetry.snapshot();
            snapshot.time = Duration::from_secs(second);
            timeline.push(&snapshot);
        }
        let samples = timeline.samples();
        assert!(samples.len() <= MOST && samples.len() > MOST / 2, "{}", samples.len());
        let apart: Vec<f64> =
            samples.windows(2).map(|two| two[1].seconds - two[0].seconds).collect();
        assert!(apart.iter().all(|distance| *distance == apart[0]), "{apart:?}");
        assert!(samples[0].seconds == 0.0 && samples[samples.len() - 1].seconds > 9900.0);
        assert_eq!(timeline.peak(), 99);
    }
}
