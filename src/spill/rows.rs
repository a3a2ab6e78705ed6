//! Sorted runs of finished rows, and their merge.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::sync::Arc;

use super::bytes::{Cursor, Malformed, put_text};
use super::spiller::Spiller;
use super::values::{put_row, take_row};
use super::{Block, SpillError, SpillFile};
use crate::aggregate::interner::Interner;
use crate::summary::order::{ORDERED_TEXTS, SortKey, of_ordered_texts, ordered_texts};
use crate::summary::row::{DayMeta, RowBatch, STREAMED_ROWS, SummaryRow, TextId};

/// Rows in the order of the day, on disk.
#[derive(Debug, Clone)]
pub struct Run {
    file: Arc<SpillFile>,
    blocks: Vec<Block>,
}

/// Bytes of a block before compression: what a merge holds of each run.
const BLOCK: usize = 16 * 1024;

/// What a merge holds besides its runs, about: a batch of rows with their texts.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;

/// What a merge holds of each run, compressed and not.
const RUN_BYTES: u64 = 2 * BLOCK as u64;

impl Run {
    /// Writes sorted rows.
    pub fn write(batch: &RowBatch, file: Arc<SpillFile>) -> Result<Self, SpillError> {
        let mut writer = RunWriter::new(file);
        writer.write(batch)?;
        writer.finish()
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// Writes a run batch by batch, in the order of the day.
pub struct RunWriter {
    run: Run,
    block: Vec<u8>,
}

impl RunWriter {
    pub fn new(file: Arc<SpillFile>) -> Self {
        RunWriter { run: Run { file, blocks: Vec::new() }, block: Vec::new() }
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, batch: &RowBatch) -> Result<(), SpillError> {
        for row in &batch.rows {
            encode(batch, row, &mut self.block);
            if self.block.len() >= BLOCK {
                self.run.blocks.push(self.run.file.write(&self.block)?);
                self.block.clear();
            }
        }
        Ok(())
    }

    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<Run, SpillError> {
        if !self.block.is_empty() {
            self.run.blocks.push(self.run.file.write(&self.block)?);
        }
        self.run.blocks.shrink_to_fit();
        Ok(self.run)
    }
}

fn encode(batch: &RowBatch, row: &SummaryRow, out: &mut Vec<u8>) {
    put_row(out, row);
    for id in ordered_texts(row) {
        put_text(out, batch.text(id));
    }
}

/// A row of a block, its texts as ranges of the block's bytes.
struct Row {
    /// Without texts.
    row: SummaryRow,
    texts: [Option<(usize, usize)>; ORDERED_TEXTS],
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
    fn open(run: Run) -> Result<Option<Self>, SpillError> {
        let Run { file, blocks } = run;
        let mut blocks = blocks.into_iter();
        let Some(first) = blocks.next() else { return Ok(None) };
        let block = file.read(first)?;
        let (row, next) = decode(&block, 0).map_err(|_| file.damaged())?;
        Ok(Some(RunReader { file, blocks, block, next, row }))
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
            kind: self.row.row.kind,
            texts: self.row.texts.map(|range| self.text(range)),
            cost_category_id: self.row.row.cost_category_id,
        }
    }
}

fn decode(block: &[u8], at: usize) -> Result<(Row, usize), Malformed> {
    let mut cursor = Cursor::new(block.get(at..).ok_or(Malformed)?);
    let row = take_row(&mut cursor)?;
    let mut texts = [None; ORDERED_TEXTS];
    for range in &mut texts {
        let text = cursor.text()?;
        let end = block.len() - cursor.left();
        *range = text.map(|text| (end - text.len(), end));
    }
    Ok((Row { row, texts }, block.len() - cursor.left()))
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

/// The finished rows of one day on disk, in sorted runs.
pub struct RunsOfDay {
    pub day: Arc<DayMeta>,
    pub runs: Vec<Run>,
    pub seed: u64,
}

impl RunsOfDay {
    /// How many runs can be merged at once in so much memory; at least two.
    pub fn at_once(bytes: u64) -> usize {
        (bytes.saturating_sub(BATCH_BYTES) / RUN_BYTES).max(2) as usize
    }

    /// Bytes held for knowing where the rows are.
    pub fn heap_bytes(&self) -> u64 {
        self.runs.iter().map(|run| (run.blocks.capacity() * size_of::<Block>()) as u64).sum()
    }

    /// Merges runs until at most `most` are left.
    ///
    /// # Errors
    /// The file fails, or `go_on` does.
    pub fn reduce<E: From<SpillError>>(
        &mut self,
        most: usize,
        spiller: &Spiller,
        go_on: impl Fn() -> Result<(), E>,
    ) -> Result<(), E> {
        let most = most.max(2);
        while self.runs.len() > most {
            // The shortest first: they are copied once more for it.
            self.runs.sort_unstable_by_key(|run| run.blocks.len());
            let count = most.min(self.runs.len() - most + 1);
            let runs = self.runs.drain(..count).collect();
            let mut merged = MergedRuns::open(self.day.clone(), runs, self.seed)?;
            let mut writer = RunWriter::new(spiller.file()?);
            while let Some(batch) = merged.next_batch()? {
                go_on()?;
                writer.write(&batch)?;
            }
            self.runs.push(writer.finish()?);
        }
        Ok(())
    }

    /// Opens all runs at their first rows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn merge(&self) -> Result<MergedRuns, SpillError> {
        MergedRuns::open(self.day.clone(), self.runs.clone(), self.seed)
    }
}

/// Runs of one day, merged into batches in the order of the day.
pub struct MergedRuns {
    day: Arc<DayMeta>,
    readers: BinaryHeap<Least>,
    seed: u64,
}

impl MergedRuns {
    fn open(day: Arc<DayMeta>, runs: Vec<Run>, seed: u64) -> Result<Self, SpillError> {
        let mut readers = BinaryHeap::new();
        for run in runs {
            readers.extend(RunReader::open(run)?.map(Least));
        }
        Ok(MergedRuns { day, readers, seed })
    }

    pub fn day(&self) -> &Arc<DayMeta> {
        &self.day
    }

    /// Bytes held, about.
    pub fn heap_bytes(&self) -> u64 {
        BATCH_BYTES + self.readers.len() as u64 * RUN_BYTES
    }

    /// The next rows; `None` after the last.
    pub fn next_batch(&mut self) -> Result<Option<RowBatch>, SpillError> {
        let mut texts = Interner::new(self.seed);
        let mut rows = Vec::with_capacity(STREAMED_ROWS);
        while rows.len() < STREAMED_ROWS {
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
    let intern = |range| reader.text(range).map_or(TextId::NULL, |text| texts.intern(text));
    of_ordered_texts(reader.row.row.clone(), reader.row.texts.map(intern))
}
