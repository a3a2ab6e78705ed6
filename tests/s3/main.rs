//! Input from a real S3 server over the network.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

#[path = "../common/mod.rs"]
mod common;

mod credentials;
mod faults;
mod generations;
mod latency;
mod names;
mod runs;
mod store;
mod uploads;
