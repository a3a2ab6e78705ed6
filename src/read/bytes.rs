//! The compressed bytes of a row group, in memory or read as they are needed.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::paged::PagedFile;
use super::window::WindowedObject;
use crate::store::{Object, Store, StoreError};

/// Where the pages of a row group come from.
#[derive(Debug, Clone)]
pub enum ColumnBytes {
    /// Fetched ranges of the object, by offset, not overlapping.
    Fetched { size: u64, ranges: Arc<Vec<(u64, Bytes)>> },
    /// A local file, read page by page: for row groups too large to hold.
    Paged(PagedFile),
    /// The same in an object store, read a window at a time.
    Windowed(WindowedObject),
}

/// How much a page header is read with; headers are far smaller, statistics included.
const HEADER_READ: usize = 4096;

impl ColumnBytes {
    /// The pages of an object, read as they are needed. `columns` are where the column chunks lie
    /// that will be read: no window reaches beyond one.
    ///
    /// # Errors
    /// A file that cannot be opened or is not the one whose footer was read.
    pub fn paged(
        store: &Store,
        object: &Object,
        columns: Vec<Range<u64>>,
    ) -> Result<Self, StoreError> {
        Ok(match store {
            Store::Local(local) => {
                ColumnBytes::Paged(PagedFile::new(local.open(object)?, object.size))
            }
            Store::S3(_) => {
                ColumnBytes::Windowed(WindowedObject::new(store.clone(), object.clone(), columns))
            }
        })
    }

    /// What the store said when pages could not be read.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        match self {
            ColumnBytes::Windowed(object) => object.failure(),
            ColumnBytes::Fetched { .. } | ColumnBytes::Paged(_) => None,
        }
    }

    fn fetched(ranges: &[(u64, Bytes)], start: u64, length: Option<usize>) -> ParquetResult<Bytes> {
        let missing = || ParquetError::EOF(format!("offset {start} lies outside of the column"));
        let next = ranges.partition_point(|&(offset, _)| offset <= start);
        let (offset, bytes) =
            next.checked_sub(1).and_then(|i| ranges.get(i)).ok_or_else(missing)?;
        let from = (start - offset) as usize;
        let to = length.map_or(bytes.len(), |length| from.saturating_add(length));
        if from > bytes.len() || to > bytes.len() {
            return Err(missing());
        }
        Ok(bytes.slice(from..to))
    }
}

impl Length for ColumnBytes {
    fn len(&self) -> u64 {
        match self {
            ColumnBytes::Fetched { size, .. } => *size,
            ColumnBytes::Paged(file) => file.size(),
            ColumnBytes::Windowed(object) => object.size(),
        }
    }
}

impl ChunkReader for ColumnBytes {
    type T = BytesReader;

    fn get_read(&self, start: u64) -> ParquetResult<BytesReader> {
        Ok(match self {
            ColumnBytes::Fetched { ranges, .. } => {
                BytesReader::Memory(Self::fetched(ranges, start, None)?.reader())
            }
            ColumnBytes::Paged(file) => BytesReader::File {
                file: file.clone(),
                offset: start,
                buffer: Bytes::new().reader(),
            },
            ColumnBytes::Windowed(object) => BytesReader::Window {
                object: object.clone(),
                offset: start,
                buffer: Bytes::new().reader(),
            },
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        match self {
            ColumnBytes::Fetched { ranges, .. } => Self::fetched(ranges, start, Some(length)),
            ColumnBytes::Paged(file) => Ok(file.page(start, length)?),
            ColumnBytes::Windowed(object) => {
                let bytes = object.page(start, length)?;
                if bytes.len() < length {
                    return Err(ParquetError::EOF(format!("offset {start} is past the end")));
                }
                Ok(bytes)
            }
        }
    }
}

/// Reads on from an offset.
#[derive(Debug)]
pub enum BytesReader {
    Memory(bytes::buf::Reader<Bytes>),
    File { file: PagedFile, offset: u64, buffer: bytes::buf::Reader<Bytes> },
    Window { object: WindowedObject, offset: u64, buffer: bytes::buf::Reader<Bytes> },
}

impl Read for BytesReader {
    /// At the end of the bytes an error rather than nothing: what is read here is page headers, each of
    /// which lies within them, and who passes over parts of one does not look whether they are there.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.read_on(out)?;
        if read == 0 && !out.is_empty() {
            let why = "a page header goes beyond the end of its column";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        Ok(read)
    }
}

impl BytesReader {
    fn read_on(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            BytesReader::Memory(reader) => reader.read(out),
            BytesReader::File { file, offset, buffer } => {
                if !buffer.get_ref().has_remaining() {
                    let next = file.head(*offset, HEADER_READ)?;
                    *offset += next.len() as u64;
                    *buffer = next.reader();
                }
                buffer.read(out)
            }
            BytesReader::Window { object, offset, buffer } => {
                if !buffer.get_ref().has_remaining() {
                    let next = object.head(*offset)?;
                    *offset += next.len() as u64;
                    *buffer = next.reader();
                }
                buffer.read(out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_end_is_an_error_to_whoever_reads_on() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcdef").unwrap();
        let ranges = Arc::new(vec![(0, Bytes::from_static(b"abcdef"))]);
        for bytes in [
            ColumnBytes::Paged(PagedFile::new(file.try_clone().unwrap(), 6)),
            ColumnBytes::Fetched { size: 6, ranges },
        ] {
            let mut reader = bytes.get_read(2).unwrap();
            let mut four = [0; 4];
            reader.read_exact(&mut four).unwrap();
            assert_eq!(&four, b"cdef");
            assert_eq!(reader.read(&mut []).unwrap(), 0);
            // As the Parquet reader passes over what it does not know.
            let skipped = io::copy(&mut reader.by_ref().take(8), &mut io::sink());
            assert_eq!(skipped.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
