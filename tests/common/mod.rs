//! What several test binaries share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod golden;
pub mod multiset;
pub mod postgres;
pub mod rows;
