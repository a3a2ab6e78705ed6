//! Memory: what there is, and what is used.

pub mod usage;
