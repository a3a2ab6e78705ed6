//! Worker processes: the same bytes as without them, whatever becomes of one.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

#[path = "../common/mod.rs"]
mod common;
mod deaths;
mod errors;
mod golden;
mod workers;
