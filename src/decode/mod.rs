//! Column chunks to rows of ids and doubles.
//!
//! What Koku and most writers produce is read from the raw pages: dictionary codes are mapped
//! once a dictionary, label texts are hashed where they lie. Any other type or encoding goes
//! through Arrow arrays to the same columns.

pub mod arrays;
pub mod column;
pub mod contained;
pub mod dictionary;
pub mod error;
pub mod levels;
pub mod pages;
pub mod resolve;
pub mod rle;
pub mod row_group;
pub mod schema;
pub mod snappy;
pub mod times;
pub mod unpack;
