//! The daily summary: its rows, its columns, and how a finished day is made.

pub mod columns;
pub mod row;
