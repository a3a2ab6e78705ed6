//! What a run tells about itself.

pub mod summary;
