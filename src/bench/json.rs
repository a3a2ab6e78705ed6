//! Results for programs.

use serde_json::{Value, json};

use super::claims;
use super::results::{Measurement, Results};
use super::variants::Group;

/// One object: seconds and bytes; every run, and the medians of each variant.
pub fn document(results: &Results) -> Value {
    let measurements: Vec<Value> = results.measurements.iter().map(measurement).collect();
    let claims: Vec<Value> = claims::check(results)
        .iter()
        .map(|checked| {
            let saved = |saved: claims::Saved| {
                json!({ "memory": saved.memory, "cpu": saved.cpu, "wall": saved.wall })
            };
            json!({
                "saved_by": checked.claim.name,
                "claimed": checked.claim.claimed,
                "among_others": saved(checked.among_others),
                "alone": saved(checked.alone),
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "machine": { "processor": results.machine.processor, "threads": results.machine.threads },
        "input": results.input,
        "same_bytes": results.same_bytes,
        "claims": claims,
        "variants": measurements,
    })
}

fn measurement(measurement: &Measurement) -> Value {
    let variant = &measurement.variant;
    let medians = measurement.medians();
    let runs: Vec<Value> = measurement
        .runs
        .iter()
        .map(|run| {
            let memory: Vec<Value> =
                run.memory.iter().map(|s| json!([s.seconds, s.bytes])).collect();
            json!({ "wall": run.wall, "measured": run.measured, "memory": memory })
        })
        .collect();
    json!({
        "name": variant.name,
        "group": match variant.group {
            Group::Switches => "switches",
            Group::Threads => "threads",
            Group::Chunks => "chunks",
            Group::Floor => "floor",
        },
        "streaming": variant.switches.streaming,
        "column_filtering": variant.switches.columns,
        "categorical": variant.switches.categorical,
        "threads": variant.threads,
        "chunk_rows": variant.chunk_rows,
        "medians": {
            "wall": medians.wall,
            "cpu": medians.cpu,
            "peak": medians.peak,
            "rows_per_second": medians.rows_per_second,
            "plan": medians.plan,
            "read": medians.read,
            "aggregate": medians.aggregate,
            "finish": medians.finish,
            "write": medians.write,
        },
        "runs": runs,
    })
}
