//! What no reader can do without: read, decompress and walk the pages of the columns that count.
//!
//!     cargo bench --bench floor -- --source DIR --org-id ORG --provider-uuid UUID --from DAY --to DAY
//!
//! The flags are those of `run` that say what to read. Prints CPU seconds on one thread, to divide
//! the CPU seconds of a run by.
#![allow(clippy::expect_used, reason = "a bench that cannot work ends")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::Parser;
use ocp_rollup::bench::floor;
use ocp_rollup::cli::run::RunFlags;
use ocp_rollup::memory::usage::cpu_time;
use ocp_rollup::plan::discover::{self, MonthMeta};
use ocp_rollup::settings::{self, load};
use ocp_rollup::store::Store;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    run: RunFlags,
}

fn main() {
    // Cargo adds a flag of its own.
    let flags = Flags::parse_from(std::env::args().filter(|argument| argument != "--bench"));
    if flags.run.source.is_none() {
        println!("floor: nothing to read; give --source DIR and the other flags of run");
        return;
    }
    let config = load::config(&flags.run.config).expect("the config file is readable");
    let settled = settings::settle(&flags.run, &load::env, config.as_ref(), load::today())
        .expect("the flags say what to read");
    let never = Arc::new(AtomicBool::new(false));
    let store = Store::open(&settled.settings.input, &never).expect("the source is there");
    let plan = discover::plan(&settled.settings, &store, &|_, _| MonthMeta::default())
        .expect("the source can be planned");
    let cpu = || cpu_time().expect("the kernel says how much CPU time was used").as_secs_f64();
    for run in 1..=5 {
        let (before, started) = (cpu(), Instant::now());
        let walked = floor::walk(&plan, &store).expect("the files can be read");
        println!(
            "{run}: {:.2} CPU s, {:.2} s; {} rows, {} pages of {} column chunks, {} MiB, {} MiB decompressed",
            cpu() - before,
            started.elapsed().as_secs_f64(),
            walked.rows,
            walked.pages,
            walked.columns,
            walked.compressed >> 20,
            walked.bytes >> 20,
        );
    }
}
