//! Label objects: read from either syntax, filtered to the enabled keys, kept as small integers.

pub mod keys;
pub mod known;
mod nested;
pub mod parse;
mod plain;
pub mod sets;
