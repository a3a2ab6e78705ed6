//! What several test binaries share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod browser;
pub mod cgroup;
pub mod fault_proxy;
pub mod golden;
pub mod line_items;
pub mod multiset;
pub mod payload;
pub mod postgres;
pub mod program;
pub mod rows;
pub mod s3;
pub mod tree;
pub mod usage;
