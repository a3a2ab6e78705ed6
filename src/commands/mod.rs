//! The subcommands: each settles its settings, does its work and says what came of it.

pub mod convert;
pub mod demo;
pub mod exit;
pub mod generate;
pub mod logging;
pub mod output;
pub mod plan;
pub mod run;
pub mod signals;
pub mod verify;
pub mod worker;
