//! Line items as Koku writes them: the columns, the files and where they lie.

pub mod columns;
pub mod place;
pub mod table_file;
