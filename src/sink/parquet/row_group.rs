//! Row groups: rows to encoded column chunks, on whichever thread.

use parquet::errors::Result;
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::SchemaDescPtr;
use zstd::bulk::Compressor;

use super::column::{Chunk, ColumnBuilder};
use crate::summary::columns::{COLUMNS, DayTexts};
use crate::summary::row::{RowBatch, SummaryRow};

/// Rows of a row group at most.
pub const ROW_GROUP_ROWS: usize = 32_768;

/// Bytes of a row group's values at which it is ended, for rows with uncommonly long texts.
const FULL: usize = 8 * 1024 * 1024;

/// Rows turned into columns at a time: they stay in the cache for all of them.
const BLOCK: usize = 512;

/// An encoded row group.
pub struct RowGroup {
    columns: Vec<Chunk>,
}

impl RowGroup {
    /// Bytes held.
    pub fn heap_bytes(&self) -> usize {
        let columns = self.columns.iter();
        columns.map(|(bytes, close)| bytes.len() + size_of_val(close)).sum()
    }

    /// Writes it as the row group of `writer`.
    ///
    /// # Errors
    /// What the file says.
    pub fn append_to<W: std::io::Write + Send>(
        &self,
        mut writer: SerializedRowGroupWriter<'_, W>,
    ) -> Result<()> {
        for (bytes, close) in &self.columns {
            writer.append_column(bytes, close.clone())?;
        }
        writer.close().map(|_| ())
    }
}

/// The row group that grows.
pub struct RowGroupBuilder {
    schema: SchemaDescPtr,
    columns: Vec<ColumnBuilder>,
    rows: usize,
}

impl RowGroupBuilder {
    pub fn new(schema: SchemaDescPtr) -> Self {
        RowGroupBuilder {
            schema,
            columns: COLUMNS.iter().map(ColumnBuilder::new).collect(),
            rows: 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends `batch`, and gives each row group that is full to `full`.
    ///
    /// # Errors
    /// Those of [`RowGroupBuilder::finish`] and `full`.
    pub fn append<E: From<parquet::errors::ParquetError>>(
        &mut self,
        batch: &RowBatch,
        mut full: impl FnMut(RowGroup) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let day = DayTexts::new(&batch.day);
        let (texts, rows) =
            (batch.texts.len(), batch.rows.len().min(ROW_GROUP_ROWS.saturating_sub(self.rows)));
        self.columns.iter_mut().for_each(|column| column.begin_batch(texts, rows));
        let mut rest = &batch.rows[..];
        while !rest.is_empty() {
            // Blocks end at the same rows of a group however its rows are cut into batches.
            let room = (BLOCK - self.rows % BLOCK).min(rest.len());
            let (block, after) = rest.split_at(room);
            self.append_block(batch, &day, block);
            rest = after;
            if self.is_full() {
                full(self.finish()?)?;
            }
        }
        Ok(())
    }

    fn append_block(&mut self, batch: &RowBatch, day: &DayTexts, rows: &[SummaryRow]) {
        for column in &mut self.columns {
            column.append(batch, day, rows);
        }
        self.rows += rows.len();
    }

    fn is_full(&self) -> bool {
        let bytes = || self.columns.iter().map(ColumnBuilder::bytes).sum::<usize>();
        self.rows >= ROW_GROUP_ROWS || (self.rows.is_multiple_of(BLOCK) && bytes() >= FULL)
    }

    /// Encodes the rows so far, and begins anew.
    ///
    /// # Errors
    /// A column with more bytes than a page can have.
    pub fn finish(&mut self) -> Result<RowGroup> {
        let mut zstd = Compressor::new(1)?;
        let rows = std::mem::take(&mut self.rows);
        let columns = self.columns.iter_mut().zip(self.schema.columns());
        let columns = columns.map(|(c, descriptor)| c.finish(descriptor.clone(), rows, &mut zstd));
        Ok(RowGroup { columns: columns.collect::<Result<_>>()? })
    }
}
