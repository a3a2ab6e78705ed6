//! The bytes that whole runs take at most, not their time.
//!
//!     cargo bench --bench peak_bytes -- --save-baseline NAME
//!
//! Each case is the program itself, in a process of its own: the kernel says how much was resident
//! at most. Prints the median of five, and with a name keeps it below target/bench-peak/ for
//! scripts/bench_compare.py.
#![allow(clippy::expect_used, reason = "a bench that cannot work ends")]

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ocp_rollup::bench::child::{self, Task};
use ocp_rollup::bench::{data, results};
use ocp_rollup::generate;
use serde_json::{Map, Value, json};

const RUNS: usize = 5;

/// Flags beyond those of the input.
type Flags = [(&'static str, &'static str)];

/// What is run: name, days and nodes of the input, flags.
const CASES: [(&str, u32, usize, &Flags); 5] = [
    ("10 days, 1 thread", 10, 25, &[("threads", "1")]),
    ("10 days, 2 threads", 10, 25, &[("threads", "2")]),
    ("10 days, all at once", 10, 25, &[("threads", "2"), ("streaming", "off")]),
    ("1 day of 250 nodes", 1, 250, &[("threads", "2")]),
    ("1 day of 250 nodes in 64 MiB", 1, 250, &[("threads", "1"), ("memory-limit", "64MiB")]),
];

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut medians = Map::new();
    for (name, days, nodes, extra) in CASES {
        let tree = folder.path().join(format!("{days}-{nodes}"));
        let plan = data::plan(&tree, days, nodes);
        if !tree.exists() {
            generate::run(&plan).expect("rows are made");
        }
        let peaks = (0..RUNS).map(|_| peak(folder.path(), &plan, extra) as f64).collect();
        let median = results::median(peaks);
        println!("{name:<34}{median:>14.0} bytes {:>8.1} MiB", median / f64::from(1 << 20));
        medians.insert(name.to_owned(), json!(median));
    }
    if let Some(name) = baseline(std::env::args()) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench-peak");
        fs::create_dir_all(&kept).expect("a folder for baselines");
        fs::write(kept.join(format!("{name}.json")), format!("{:#}\n", Value::Object(medians)))
            .expect("the baseline can be kept");
    }
}

fn peak(folder: &Path, plan: &generate::Plan, extra: &[(&'static str, &str)]) -> u64 {
    let mut flags = data::flags(plan);
    flags.push(("sink", format!("parquet:{}", folder.join("rows.parquet").to_string_lossy())));
    flags.extend(extra.iter().map(|&(name, value)| (name, value.to_owned())));
    let task = Task {
        program: Path::new(env!("CARGO_BIN_EXE_ocp-rollup")),
        subcommand: "bench-run",
        variant: "peak",
        floor: false,
        flags: &flags,
        folder,
    };
    child::run(&task, &AtomicBool::new(false)).expect("the run succeeds").measured.peak
}

fn baseline(mut arguments: impl Iterator<Item = String>) -> Option<String> {
    arguments.find(|argument| argument == "--save-baseline")?;
    arguments.next()
}
