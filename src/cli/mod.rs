//! Flags as typed; no input or output.

pub mod generate;
