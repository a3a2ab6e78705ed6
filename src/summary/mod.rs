//! The daily summary: its rows, its columns, and how a day's partial state becomes rows.
//! Knows no file, socket, clock or thread.

pub mod categories;
pub mod columns;
pub mod finish;
pub mod order;
mod owners;
mod pods;
pub mod roles;
pub mod row;
pub mod storage;
pub mod unallocated;
