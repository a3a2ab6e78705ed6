//! Input from a real S3 server over the network.

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod generations;
mod runs;
mod store;
