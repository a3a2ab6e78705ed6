//! What a run tells about itself.

pub mod plan;
pub mod settings;
pub mod status;
pub mod summary;
