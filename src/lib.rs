//! Hourly OpenShift usage in Parquet to daily summary rows.

pub mod aggregate;
pub mod database;
pub mod labels;
pub mod lookups;
pub mod settings;
pub mod sink;
pub mod summary;
