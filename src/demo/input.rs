//! Sums of the hourly pod files, taken without any of the aggregation's code.

use std::path::Path;

use super::columns::{self, number, text};
use super::{DemoError, Usage};

const COLUMNS: [&str; 7] = [
    "node",
    "pod_usage_cpu_core_seconds",
    "pod_request_cpu_core_seconds",
    "pod_effective_usage_cpu_core_seconds",
    "pod_usage_memory_byte_seconds",
    "pod_request_memory_byte_seconds",
    "pod_effective_usage_memory_byte_seconds",
];

/// What the pod rows that have a node add up to, in core-hours and GiB-hours.
///
/// # Errors
/// A file that cannot be read, or is not as the generator writes it.
pub fn sums<'p>(files: impl Iterator<Item = &'p Path>) -> Result<Usage, DemoError> {
    let mut sums = Usage::default();
    for file in files {
        columns::read(file, &COLUMNS, |rows| {
            let node = rows.texts(COLUMNS[0])?;
            let into = [
                &mut sums.used.cpu,
                &mut sums.requested.cpu,
                &mut sums.effective.cpu,
                &mut sums.used.memory,
                &mut sums.requested.memory,
                &mut sums.effective.memory,
            ];
            for (sum, column) in into.into_iter().zip(&COLUMNS[1..]) {
                let values = rows.numbers(column)?;
                for row in 0..rows.rows() {
                    if text(node, row).is_some_and(|node| !node.is_empty()) {
                        *sum += number(values, row);
                    }
                }
            }
            Ok(())
        })?;
    }
    for measure in [&mut sums.used, &mut sums.requested, &mut sums.effective] {
        measure.cpu /= 3600.0;
        measure.memory /= 3600.0 * (1u64 << 30) as f64;
    }
    Ok(sums)
}
