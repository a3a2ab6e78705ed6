//! The subcommands: each settles its settings, does its work and says what came of it.

pub mod bench;
pub mod convert;
pub mod demo;
pub mod exit;
pub mod generate;
mod ledger;
pub mod logging;
pub mod output;
pub mod plan;
mod preparation;
mod processes;
pub mod run;
pub mod shell;
pub mod signals;
mod sinks;
pub mod status;
pub mod target;
pub mod verify;
pub mod worker;
