//! Hourly OpenShift usage in Parquet to daily summary rows.

pub mod database;
pub mod failpoint;
pub mod lookups;
pub mod settings;
pub mod sink;
pub mod summary;
