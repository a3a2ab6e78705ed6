//! From objects to the bytes of column chunks.

pub mod ahead;
pub mod bytes;
pub mod paged;
pub mod reader;
pub mod window;
