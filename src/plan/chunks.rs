//! Row groups to chunks: what one task aggregates.

use std::ops::Range;

use super::PlannedGroup;

/// Rows of one planned row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Index into [`super::Plan::groups`].
    pub group: usize,
    pub rows: Range<usize>,
}

/// What one task aggregates: rows of one or more row groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub cuts: Vec<Cut>,
    /// First and last unit whose rows it can hold.
    pub units: (usize, usize),
}

/// Cuts row groups larger than `most_rows` and puts smaller ones of the same days together.
pub fn cut(groups: &[PlannedGroup], most_rows: usize) -> Vec<Chunk> {
    let most_rows = most_rows.max(1);
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut open_rows = 0;
    for (index, group) in groups.iter().enumerate() {
        if let Some(open) = chunks.last_mut()
            && open.units == group.units
            && open_rows + group.rows <= most_rows
        {
            open.cuts.push(Cut { group: index, rows: 0..group.rows });
            open_rows += group.rows;
            continue;
        }
        // Of equal size, so that no small rest is left.
        let pieces = group.rows.div_ceil(most_rows).max(1);
        let size = group.rows.div_ceil(pieces).max(1);
        for start in (0..group.rows).step_by(size) {
            let rows = start..group.rows.min(start + size);
            open_rows = rows.len();
            chunks.push(Chunk { cuts: vec![Cut { group: index, rows }], units: group.units });
        }
    }
    chunks
}

/// How many rows a chunk holds when no one says: whole row groups as Koku writes them, but
/// smaller where there are too few to keep `threads` busy.
pub fn usual_rows(groups: &[PlannedGroup], threads: usize) -> usize {
    const MOST: usize = 200_000;
    const LEAST: usize = 16_384;
    let rows: usize = groups.iter().map(|g| g.rows).sum();
    (rows / (4 * threads.max(1))).clamp(LEAST, MOST)
}
