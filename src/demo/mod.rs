//! What `demo` shows of a summary file: its sums, the checks they have to pass, and the tables.
//!
//! Both sides are read back from their files with plain Arrow arrays, so that nothing of the
//! aggregation is taken at its word.

pub mod checks;
pub mod cluster;
mod columns;
mod error;
pub mod input;
pub mod output;
pub mod shell;
pub mod tables;

pub use error::DemoError;

/// A measure of CPU (core-hours) and of memory (GiB-hours).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pair {
    pub cpu: f64,
    pub memory: f64,
}

impl Pair {
    pub fn add(&mut self, other: Pair) {
        self.cpu += other.cpu;
        self.memory += other.memory;
    }
}

/// What pods used, requested, and are charged for.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    pub used: Pair,
    pub requested: Pair,
    pub effective: Pair,
}

impl Usage {
    pub fn add(&mut self, other: Usage) {
        self.used.add(other.used);
        self.requested.add(other.requested);
        self.effective.add(other.effective);
    }
}
