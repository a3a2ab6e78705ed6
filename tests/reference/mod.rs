//! A second implementation of the rules, for tests: one thread, one day at a time, text keys,
//! exact sums. It shares no code with the program.

pub mod cases;
pub mod exact;
pub mod golden;
pub mod input;
pub mod json;
pub mod labels;
pub mod output;
pub mod rollup;
pub mod storage;
pub mod tree;
