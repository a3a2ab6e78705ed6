//! Runs of variants, and their medians.

use super::child::{Run, Sample};
use super::variants::{Group, Switches, Variant};

/// A variant with all its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    pub variant: Variant,
    /// At least one.
    pub runs: Vec<Run>,
}

/// What was compared, on what.
#[derive(Debug, Clone, PartialEq)]
pub struct Results {
    pub machine: Machine,
    /// For people: what the rows are and where they lie.
    pub input: String,
    /// In the order of [`super::variants::all`].
    pub measurements: Vec<Measurement>,
    /// Whether all variants wrote the same bytes; `None` where that could not be looked at.
    pub same_bytes: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    pub processor: String,
    /// That this process may use.
    pub threads: usize,
}

impl Machine {
    /// This one.
    pub fn of_this(threads: usize) -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpuinfo
            .lines()
            .filter_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map(|(_, name)| name.trim().to_owned())
            .next();
        Machine { processor: name.unwrap_or_else(|| std::env::consts::ARCH.to_owned()), threads }
    }
}

/// Medians of one variant. Seconds and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Medians {
    pub wall: f64,
    pub cpu: f64,
    pub peak: f64,
    pub plan: f64,
    pub read: f64,
    pub aggregate: f64,
    pub finish: f64,
    pub write: f64,
    /// Rows read in a second of wall time.
    pub rows_per_second: f64,
}

impl Measurement {
    pub fn medians(&self) -> Medians {
        let of = |value: fn(&Run) -> f64| median(self.runs.iter().map(value).collect());
        let wall = of(|run| run.wall);
        Medians {
            wall,
            cpu: of(|run| run.measured.cpu),
            peak: of(|run| run.measured.peak as f64),
            plan: of(|run| run.measured.plan),
            read: of(|run| run.measured.read),
            aggregate: of(|run| run.measured.aggregate),
            finish: of(|run| run.measured.finish),
            write: of(|run| run.measured.write),
            rows_per_second: of(|run| run.measured.rows_read as f64) / wall.max(f64::MIN_POSITIVE),
        }
    }

    /// Memory over time of the run with the median peak.
    pub fn memory(&self) -> &[Sample] {
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.measured.peak);
        runs.get(runs.len() / 2).map_or(&[], |run| &run.memory)
    }
}

impl Results {
    /// All on, all threads.
    pub fn whole(&self) -> Option<&Measurement> {
        self.with(Switches::ALL)
    }

    /// The measurement of these switches, all threads.
    pub fn with(&self, switches: Switches) -> Option<&Measurement> {
        self.measurements
            .iter()
            .find(|m| m.variant.group == Group::Switches && m.variant.switches == switches)
    }

    pub fn group(&self, group: Group) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(move |m| m.variant.group == group)
    }

    /// Fewer threads to all of them.
    pub fn scaling(&self) -> Vec<&Measurement> {
        self.group(Group::Threads).chain(self.whole()).collect()
    }
}

/// The middle of some values; of an even number, the mean of the two. None: 0.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len().is_multiple_of(2)) {
        (None, _) => 0.0,
        (Some(upper), true) => (values[middle - 1] + upper) / 2.0,
        (Some(value), false) => *value,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::measure::Measured;
    use super::*;

    /// A run that took `wall` seconds and `peak` MiB.
    pub fn run(wall: f64, peak: u64) -> Run {
        let peak = peak * 1024 * 1024;
        let sample = |seconds, bytes| Sample { seconds, bytes };
        Run {
            wall,
            measured: Measured {
                cpu: wall * 2.0,
                peak,
                rows_read: 1_000_000,
                rows_written: 60_000,
                aggregate: wall,
                ..Measured::default()
            },
            memory: vec![sample(0.0, 0), sample(wall / 2.0, peak), sample(wall, peak / 2)],
        }
    }

    /// Each variant of two threads, peaks 100 MiB, 200 MiB and so on in their order.
    pub fn results() -> Results {
        let measurements = super::super::variants::all(2, &[1000])
            .into_iter()
            .zip(1u32..)
            .map(|(variant, at)| Measurement {
                variant,
                runs: vec![run(f64::from(at), u64::from(at) * 100)],
            })
            .collect();
        Results {
            machine: Machine { processor: "a <processor>".to_owned(), threads: 2 },
            input: "some rows".to_owned(),
            measurements,
            same_bytes: Some(true),
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 100.0]), 3.0);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn one_slow_run_does_not_count() {
        let mut measurement = results().measurements.remove(0);
        measurement.runs = vec![run(1.0, 100), run(90.0, 900), run(2.0, 200)];
        let medians = measurement.medians();
        assert_eq!((medians.wall, medians.cpu), (2.0, 4.0));
        assert_eq!(medians.peak, 200.0 * 1024.0 * 1024.0);
        assert_eq!(medians.rows_per_second, 500_000.0);
        assert_eq!(measurement.memory()[1].bytes, 200 * 1024 * 1024);
    }

    #[test]
    fn scaling_ends_with_all_threads() {
        let results = results();
        let threads: Vec<usize> = results.scaling().iter().map(|m| m.variant.threads).collect();
        assert_eq!(threads, [1, 2]);
    }
}
