//! What no reader of these files can do without: fetch the bytes of the columns that count,
//! decompress them and walk their pages. On one thread, so that its CPU time is what it takes.

use std::sync::Arc;

use parquet::column::page::PageReader;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::decode::contained::contained;
use crate::decode::error::Place;
use crate::pipeline::RunError;
use crate::plan::{Plan, PlannedGroup, footers};
use crate::read::bytes::ColumnBytes;
use crate::store::Store;

/// What was walked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    pub rows: u64,
    pub columns: u64,
    pub pages: u64,
    /// Of the columns as they are stored.
    pub compressed: u64,
    /// Of the pages as they are decoded.
    pub bytes: u64,
}

/// Walks all that a run of this plan reads.
///
/// # Errors
/// An object that cannot be read, or a page that cannot be decompressed.
pub fn walk(plan: &Plan, store: &Store) -> Result<Walked, RunError> {
    let mut walked = Walked::default();
    for group in &plan.groups {
        walk_group(group, store, &mut walked)?;
    }
    Ok(walked)
}

fn walk_group(group: &PlannedGroup, store: &Store, walked: &mut Walked) -> Result<(), RunError> {
    let file = &group.file;
    let read =
        |ranges| store.fetch(&file.stored, ranges).wait().map_err(crate::plan::PlanError::from);
    let footer = read(vec![file.footer()])?.pop().unwrap_or_default();
    let metadata = footers::parse(file, &footer)?;
    let starts = group.ranges.iter().map(|range| range.start);
    let ranges = starts.zip(read(group.ranges.to_vec())?).collect();
    let bytes = Arc::new(ColumnBytes::Fetched { size: file.stored.size, ranges: Arc::new(ranges) });
    let row_group = metadata.row_group(group.row_group);
    walked.rows += group.group.rows as u64;
    walked.compressed += group.group.bytes;
    for found in file.columns.iter() {
        let Some(leaf) = found.leaf else { continue };
        let place = Place {
            object: file.object.clone(),
            row_group: group.row_group,
            column: found.wanted.name,
        };
        let chunk = row_group.column(leaf);
        let (bytes, rows) = (bytes.clone(), group.group.rows);
        let mut pages = contained(|| SerializedPageReader::new(bytes, chunk, rows, None))
            .map_err(|error| place.damaged(error))?;
        walked.columns += 1;
        let mut next = || contained(|| pages.get_next_page()).map_err(|error| place.damaged(error));
        while let Some(page) = next()? {
            walked.pages += 1;
            walked.bytes += page.buffer().len() as u64;
        }
    }
    Ok(())
}
