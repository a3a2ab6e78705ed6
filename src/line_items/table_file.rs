//! One Parquet file, written as Koku's are and kept only when it is complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use super::columns::{Columns, Kind};

/// Limit of a dictionary page, beyond which a column goes on in plain encoding.
const DICTIONARY_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 1 << 20;
/// Rows handed to the encoder at once.
const BATCH_ROWS: usize = 16_384;

/// Why a file could not be written. The message says which; the cause is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    #[error("cannot create the folder {}", path.display())]
    CreateFolder { path: PathBuf, source: std::io::Error },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot write {} as Parquet", path.display())]
    Parquet { path: PathBuf, source: parquet::errors::ParquetError },
    #[error("cannot put rows for {} together", path.display())]
    Batch { path: PathBuf, source: arrow::error::ArrowError },
}

/// Rows and bytes of a finished file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    pub bytes: u64,
}

/// A Parquet file in the making. Dropped before [`TableFile::finish`] it leaves nothing behind.
pub struct TableFile {
    path: PathBuf,
    partial: PathBuf,
    columns: Columns,
    writer: Option<ArrowWriter<File>>,
    rows_per_group: usize,
    rows: u64,
}

impl TableFile {
    /// A file at `path` with `columns` by name and kind, which comes into being with the first
    /// rows.
    pub fn new(path: PathBuf, columns: &[(&'static str, Kind)], rows_per_group: usize) -> Self {
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        Self {
            path,
            partial: partial.into(),
            columns: Columns::new(columns),
            writer: None,
            rows_per_group,
            rows: 0,
        }
    }

    /// Appends a row, see [`Columns::push`].
    ///
    /// # Errors
    /// If rows that are due cannot be written.
    pub fn push(
        &mut self,
        times: &[i64],
        texts: &[Option<&str>],
        numbers: &[Option<f64>],
    ) -> Result<(), TableError> {
        self.columns.push(times, texts, numbers);
        if self.columns.rows() < BATCH_ROWS { Ok(()) } else { self.flush() }
    }

    /// Rows appended so far.
    pub fn rows(&self) -> u64 {
        self.rows + self.columns.rows() as u64
    }

    /// About the bytes held in memory.
    pub fn memory(&self) -> usize {
        self.columns.bytes() + self.writer.as_ref().map_or(0, ArrowWriter::memory_size)
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.rows += self.columns.rows() as u64;
        let batch = self
            .columns
            .batch()
            .map_err(|source| TableError::Batch { path: self.path.clone(), source })?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let writer = open(&self.partial, &self.columns, self.rows_per_group)?;
                self.writer.insert(writer)
            }
        };
        writer
            .write(&batch)
            .map_err(|source| TableError::Parquet { path: self.path.clone(), source })
    }

    /// Completes the file and gives it its name. `None`, and no file, if it has no rows.
    ///
    /// # Errors
    /// If the file cannot be written or renamed.
    pub fn finish(mut self) -> Result<Option<Written>, TableError> {
        if self.columns.rows() > 0 {
            self.flush()?;
        }
        let Some(writer) = self.writer.take() else {
            return Ok(None);
        };
        let failed = |source| TableError::Write { path: self.path.clone(), source };
        let result = writer
            .into_inner()
            .map_err(|source| TableError::Parquet { path: self.path.clone(), source })
            .and_then(|file| file.metadata().map_err(failed))
            .and_then(|metadata| {
                fs::rename(&self.partial, &self.path).map_err(failed)?;
                Ok(Some(Written { rows: self.rows, bytes: metadata.len() }))
            });
        if result.is_err() {
            discard(&self.partial);
        }
        result
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            discard(&self.partial);
        }
    }
}

/// Removes a partial file after a failure, which is what will be reported.
fn discard(partial: &Path) {
    let _ = fs::remove_file(partial);
}

fn open(
    path: &Path,
    columns: &Columns,
    rows_per_group: usize,
) -> Result<ArrowWriter<File>, TableError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .map_err(|source| TableError::CreateFolder { path: folder.to_owned(), source })?;
    }
    let file =
        File::create(path).map_err(|source| TableError::Write { path: path.to_owned(), source })?;
    // Data page version 1, because its fallback from a dictionary is PLAIN. No page indexes and
    // full-length statistics, as pyarrow has them.
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(true)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_max_row_group_row_count(Some(rows_per_group))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(None)
        .set_offset_index_disabled(true)
        .build();
    ArrowWriter::try_new(file, columns.schema(), Some(properties))
        .map_err(|source| TableError::Parquet { path: path.to_owned(), source })
}
