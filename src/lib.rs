//! Hourly OpenShift usage in Parquet to daily summary rows.

// Output goes through commands::output, which a closed pipe does not end.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod aggregate;
pub mod bench;
pub mod cli;
pub mod commands;
mod contained;
pub mod convert;
pub mod database;
pub mod decode;
pub mod demo;
pub mod failpoint;
pub mod generate;
pub mod labels;
pub mod ledger;
pub mod line_items;
pub mod lookups;
pub mod memory;
pub mod pipeline;
pub mod plan;
pub mod process;
pub mod read;
pub mod report;
pub mod settings;
pub mod sink;
pub mod spill;
pub mod store;
pub mod summary;
pub mod telemetry;
pub mod verify;
