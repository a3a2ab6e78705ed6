//! Memory: how much there is, how it is shared out, and how much is used.

pub mod allocator;
pub mod controller;
pub mod decoding;
pub mod heap;
pub mod limit;
pub mod permits;
pub mod shares;
pub mod usage;
pub mod watch;
