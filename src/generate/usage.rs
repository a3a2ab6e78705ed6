//! What a pod uses, asks for and may use in an hour, and what a node has.

use super::calendar::{DAY, Day, HOUR};
use super::cluster::Node;
use super::pods::Pod;
use super::random::Stream;
use super::workloads::Workload;

/// Load over the day, by hour, of something that people use.
const CURVE: [f64; 24] = [
    0.35, 0.30, 0.28, 0.27, 0.28, 0.33, 0.45, 0.65, 0.95, 1.25, 1.45, 1.50, 1.40, 1.42, 1.50, 1.48,
    1.38, 1.25, 1.12, 1.05, 0.98, 0.85, 0.65, 0.48,
];

/// Share of rows of pods that no node has been found for.
const PENDING: f64 = 0.002;
/// Share of rows in which one measure could not be scraped.
const UNSCRAPED: f64 = 0.0005;
/// Share of the hours of a node in which it was not up all the time.
const REBOOTED: f64 = 0.003;

/// The measures of a pod-hour, in core seconds and byte seconds. `None` is null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Without a node.
    pub pending: bool,
    pub cpu_usage: Option<f64>,
    pub cpu_request: Option<f64>,
    pub cpu_limit: Option<f64>,
    pub cpu_effective: Option<f64>,
    pub memory_usage: Option<f64>,
    pub memory_request: Option<f64>,
    pub memory_limit: Option<f64>,
    pub memory_effective: Option<f64>,
}

/// The measures of a pod that lives `seconds` of an hour.
pub fn of(workload: &Workload, pod: &Pod, day: &Day, hour: u32, seconds: i32) -> Usage {
    let mut random =
        Stream::of(pod.id, &[30, u64::from(day.number().cast_unsigned()), u64::from(hour)]);
    let sizing = &workload.sizing;
    let seconds = f64::from(seconds);
    let load = workload.phase.map_or(1.0, |phase| {
        let weekend = if day.is_weekend() { 0.55 } else { 1.0 };
        CURVE[(hour + phase) as usize % CURVE.len()] * weekend
    });
    // Skewed to small values with a long tail; the mean is about 1.
    let (a, b) = (random.unit(), random.unit());
    let noise = 0.6 + 0.4 * a + 0.6 * b * b * b * b / (1.05 - b);
    let cpu_usage = sizing.cpu_usage * load * noise * seconds;
    let memory_usage =
        sizing.memory_usage * (0.8 + 0.2 * load.min(1.5)) * random.between(0.95, 1.05) * seconds;
    let cpu_request = sizing.cpu_request * seconds;
    let memory_request = sizing.memory_request * seconds;

    let pending = random.chance(PENDING);
    let unscraped = if random.chance(UNSCRAPED) { 1 + random.below(3) } else { 0 };
    let cpu_usage = (unscraped != 1).then_some(cpu_usage);
    let memory_usage = (unscraped != 2).then_some(memory_usage);
    let limits = unscraped != 3;
    Usage {
        pending,
        cpu_usage,
        cpu_request: Some(cpu_request),
        cpu_limit: limits.then_some(sizing.cpu_limit * seconds),
        cpu_effective: Some(cpu_usage.map_or(cpu_request, |usage| usage.max(cpu_request))),
        memory_usage,
        memory_request: Some(memory_request),
        memory_limit: limits.then_some(sizing.memory_limit * seconds),
        memory_effective: Some(
            memory_usage.map_or(memory_request, |usage| usage.max(memory_request)),
        ),
    }
}

/// Seconds of an hour in which a node was up.
pub fn seconds_up(seed: u64, node: usize, day: &Day, hour: u32) -> f64 {
    let slot = i64::from(day.number()) * i64::from(DAY / HOUR) + i64::from(hour);
    let mut random = Stream::of(seed, &[31, node as u64, slot.cast_unsigned()]);
    match random.chance(REBOOTED) {
        true => 60.0 * (10 + random.below(50)) as f64,
        false => f64::from(HOUR),
    }
}

/// Capacity of a node that was up for `seconds`: cores, core seconds, bytes, byte seconds.
pub fn capacity(node: &Node, seconds: f64) -> [f64; 4] {
    [node.cores, node.cores * seconds, node.memory_bytes, node.memory_bytes * seconds]
}
