//! Hourly OpenShift usage in Parquet to daily summary rows.

pub mod cli;
pub mod database;
pub mod generate;
pub mod lookups;
pub mod settings;
pub mod sink;
pub mod summary;
