//! What a run says of itself: while it lasts, and at its end.

mod bars;
pub mod ending;
pub mod identity;
pub mod metrics;
pub mod monitor;
pub mod plan;
mod progress;
pub mod run;
pub mod settings;
pub mod status;
pub mod summary;
pub mod svg;
pub mod terminal;
pub mod timeline;
