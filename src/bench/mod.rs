//! The program against itself: its ways of saving time and memory on and off, threads, chunk sizes.
//!
//! Every variant is a process of its own, so that peaks of memory do not add up, and variants take
//! turns, so that what else the machine does hits all of them. A child measures itself as far as a
//! process can ([`measure`]); the parent takes the time and watches its memory ([`child`]).

pub mod chart;
pub mod child;
pub mod claims;
pub mod data;
pub mod error;
pub mod floor;
pub mod html;
pub mod json;
pub mod measure;
pub mod results;
pub mod svg;
pub mod table;
pub mod variants;

pub use error::BenchError;
