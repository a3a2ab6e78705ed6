//! The command line as typed; nothing here reads a file or the network.

pub mod verify;
