//! What several test binaries share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod browser;
pub mod cgroup;
pub mod cut_proxy;
pub mod fault_proxy;
pub mod files;
pub mod golden;
pub mod held;
pub mod line_items;
pub mod multiset;
pub mod payload;
pub mod postgres;
pub mod program;
pub mod rows;
pub mod s3;
pub mod tree;
pub mod usage;
pub mod watcher;

/// How often a test that goes by chance does so: `few` in the suite, else as
/// `OCP_ROLLUP_TEST_ROUNDS` says.
pub fn rounds(few: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "how much to test is no setting of a run")]
    let given = std::env::var("OCP_ROLLUP_TEST_ROUNDS").ok();
    given.map_or(few, |rounds| rounds.parse().expect("a number of rounds"))
}
