//! Sorted runs of finished rows, and their merge.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use super::bytes::{Cursor, Malformed, put_text, put_varint};
use super::{Block, SpillError, SpillFile};
use crate::aggregate::interner::Interner;
use crate::summary::order::{ORDERED_TEXTS, SortKey, ordered_texts};
use crate::summary::row::{DayMeta, Measures, RowBatch, RowKind, SummaryRow, TextId};

/// Rows in the order of the day, on disk.
#[derive(Debug, Clone, Default)]
pub struct Run {
    blocks: Vec<Block>,
}

/// Bytes of a block before compression: what a merge holds of each run.
const BLOCK: usize = 16 * 1024;

/// Rows of a batch that a merge gives.
const BATCH: usize = 8192;

impl Run {
    /// Writes sorted rows.
    pub fn write(batch: &RowBatch, file: &SpillFile) -> Result<Self, SpillError> {
        let mut run = Run::default();
        let mut block = Vec::with_capacity(BLOCK + 1024);
        for row in &batch.rows {
            encode(batch, row, &mut block);
            if block.len() >= BLOCK {
                run.blocks.push(file.write(&block)?);
                block.clear();
            }
        }
        if !block.is_empty() {
            run.blocks.push(file.write(&block)?);
        }
        Ok(run)
    }
}

fn encode(batch: &RowBatch, row: &SummaryRow, out: &mut Vec<u8>) {
    out.push(match row.kind {
        RowKind::Pod => 0,
        RowKind::Storage => 1,
        RowKind::Unallocated => 2,
    });
    for id in ordered_texts(row) {
        put_text(out, batch.text(id));
    }
    match row.cost_category_id {
        None => put_varint(out, 0),
        Some(id) => put_varint(out, u64::from(id as u32) + 1),
    }
    let measures: &[f64] = match &row.measures {
        Measures::Pod(values) => values,
        Measures::Storage(values) => values,
    };
    measures.iter().for_each(|value| out.extend(value.to_le_bytes()));
}

/// A row of a block: texts as ranges of its bytes.
#[derive(Debug, Clone, Copy)]
struct Row {
    kind: RowKind,
    texts: [Option<(usize, usize)>; ORDERED_TEXTS],
    cost_category_id: Option<i32>,
    measures: Measures,
}

/// Reads one run.
struct RunReader {
    file: Arc<SpillFile>,
    blocks: std::vec::IntoIter<Block>,
    block: Vec<u8>,
    next: usize,
    row: Row,
}

impl RunReader {
    /// At its first row; `None` if there is none.
    fn open(file: Arc<SpillFile>, run: Run) -> Result<Option<Self>, SpillError> {
        let row = Row {
            kind: RowKind::Pod,
            texts: [None; ORDERED_TEXTS],
            cost_category_id: None,
            measures: Measures::Storage([0.0; 4]),
        };
        let blocks = run.blocks.into_iter();
        let mut reader = RunReader { file, blocks, block: Vec::new(), next: 0, row };
        Ok(reader.advance()?.then_some(reader))
    }

    /// Goes to the next row; false at the end.
    fn advance(&mut self) -> Result<bool, SpillError> {
        if self.next == self.block.len() {
            let Some(block) = self.blocks.next() else {
                return Ok(false);
            };
            self.block = self.file.read(block)?;
            self.next = 0;
        }
        match decode(&self.block, self.next) {
            Ok((row, next)) => {
                (self.row, self.next) = (row, next);
                Ok(true)
            }
            Err(Malformed) => Err(self.file.damaged()),
        }
    }

    fn text(&self, range: Option<(usize, usize)>) -> Option<&str> {
        let (start, end) = range?;
        // Checked when it was decoded.
        std::str::from_utf8(&self.block[start..end]).ok()
    }

    fn key(&self) -> SortKey<'_> {
        SortKey {
            kind: self.row.kind,
            texts: self.row.texts.map(|range| self.text(range)),
            cost_category_id: self.row.cost_category_id,
        }
    }
}

fn decode(block: &[u8], at: usize) -> Result<(Row, usize), Malformed> {
    let mut cursor = Cursor::new(block.get(at..).ok_or(Malformed)?);
    let kind = match cursor.array()? {
        [0] => RowKind::Pod,
        [1] => RowKind::Storage,
        [2] => RowKind::Unallocated,
        _ => return Err(Malformed),
    };
    let mut texts = [None; ORDERED_TEXTS];
    for range in &mut texts {
        let text = cursor.text()?;
        let end = block.len() - cursor.left();
        *range = text.map(|text| (end - text.len(), end));
    }
    let cost_category_id = match cursor.varint()? {
        0 => None,
        id => Some((id - 1) as u32 as i32),
    };
    let measures = if kind == RowKind::Storage {
        let mut values = [0.0; 4];
        for value in &mut values {
            *value = cursor.f64()?;
        }
        Measures::Storage(values)
    } else {
        let mut values = [0.0; 14];
        for value in &mut values {
            *value = cursor.f64()?;
        }
        Measures::Pod(values)
    };
    let row = Row { kind, texts, cost_category_id, measures };
    Ok((row, block.len() - cursor.left()))
}

/// Orders readers by their row, the least first out of a max-heap.
struct Least(RunReader);

impl Ord for Least {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.key().cmp(&self.0.key())
    }
}

impl PartialOrd for Least {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Least {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Least {}

/// Runs of one day, merged into batches in the order of the day.
pub struct MergedRuns {
    day: Arc<DayMeta>,
    file: Arc<SpillFile>,
    runs: Vec<Run>,
    readers: BinaryHeap<Least>,
    seed: u64,
}

impl MergedRuns {
    pub fn new(
        day: Arc<DayMeta>,
        file: &Arc<SpillFile>,
        runs: Vec<Run>,
        seed: u64,
    ) -> Result<Self, SpillError> {
        let mut merged =
            MergedRuns { day, file: file.clone(), runs, readers: BinaryHeap::new(), seed };
        merged.rewind()?;
        Ok(merged)
    }

    /// Goes back to the first row.
    pub fn rewind(&mut self) -> Result<(), SpillError> {
        self.readers.clear();
        for run in &self.runs {
            self.readers.extend(RunReader::open(self.file.clone(), run.clone())?.map(Least));
        }
        Ok(())
    }

    pub fn day(&self) -> &Arc<DayMeta> {
        &self.day
    }

    /// The next rows; `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<RowBatch>, SpillError> {
        let mut texts = Interner::new(self.seed);
        let mut rows = Vec::with_capacity(BATCH);
        while rows.len() < BATCH {
            let Some(mut top) = self.readers.peek_mut() else {
                break;
            };
            rows.push(summary_row(&top.0, &mut texts));
            if !top.0.advance()? {
                PeekMut::pop(top);
            }
        }
        let batch = RowBatch { day: self.day.clone(), texts: texts.into_texts(), rows };
        Ok((!batch.rows.is_empty()).then_some(batch))
    }
}

fn summary_row(reader: &RunReader, texts: &mut Interner) -> SummaryRow {
    let row = reader.row;
    let ids = row.texts.map(|range| reader.text(range).map_or(TextId::NULL, |t| texts.intern(t)));
    let [
        namespace,
        node,
        persistentvolumeclaim,
        persistentvolume,
        storageclass,
        csi_volume_handle,
        resource_id,
        pod_labels,
        volume_labels,
    ] = ids;
    SummaryRow {
        kind: row.kind,
        cost_category_id: row.cost_category_id,
        namespace,
        node,
        resource_id,
        pod_labels,
        persistentvolumeclaim,
        persistentvolume,
        storageclass,
        csi_volume_handle,
        volume_labels,
        measures: row.measures,
    }
}
