//! Snappy pages, unpacked into one buffer again and again.
//!
//! `parquet` unpacks each page into memory of its own, which the system has to clear first: for
//! pages of a megabyte that costs as much as a quarter of unpacking them. So it is told that the
//! chunk is not compressed, and hands out pages as they lie in the file.

use bytes::{Bytes, BytesMut};
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

use super::snappy::{self, Damage, SLACK};

/// Unpacks the pages of a column chunk.
#[derive(Debug)]
pub struct Unpacker {
    /// The page unpacked last: its memory serves again once no one reads it.
    last: Bytes,
}

/// From here on the allocator takes memory from the system for each piece anew.
const LARGE: usize = 1024 * 1024;

impl Unpacker {
    /// For a chunk that is compressed by snappy, with what `parquet` is to be told of it. `spare` is
    /// memory to unpack into.
    pub fn of(
        chunk: &ColumnChunkMetaData,
        spare: &mut BytesMut,
    ) -> Option<(Self, ColumnChunkMetaData)> {
        if chunk.compression() != Compression::SNAPPY {
            return None;
        }
        let raw = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build();
        let last = std::mem::take(spare).freeze();
        Some((Unpacker { last }, raw.ok()?))
    }

    /// Memory for the pages of the next chunk, if no one reads the last page of this one, and if it
    /// is so large that the system would have to be asked for it again.
    pub fn into_spare(self) -> BytesMut {
        self.last.try_into_mut().ok().filter(|spare| spare.len() >= LARGE).unwrap_or_default()
    }

    /// What `packed` holds; nothing if it is empty.
    ///
    /// # Errors
    /// A damaged stream.
    pub fn unpack(&mut self, packed: &[u8]) -> Result<Bytes, Damage> {
        if packed.is_empty() {
            return Ok(Bytes::new());
        }
        let (length, start) = snappy::header(packed)?;
        let mut buffer = std::mem::take(&mut self.last).try_into_mut().unwrap_or_default();
        if buffer.len() < length + SLACK {
            // The next page may be a little larger.
            buffer = BytesMut::zeroed(length + length / 8 + SLACK);
        }
        snappy::unpack(packed, start, length, &mut buffer)?;
        self.last = buffer.freeze();
        Ok(self.last.slice(..length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacker() -> Unpacker {
        Unpacker { last: Bytes::new() }
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(text).unwrap()
    }

    #[test]
    fn a_page_in_use_is_left_alone() {
        let mut unpacker = unpacker();
        let first = unpacker.unpack(&packed(b"the first page")).unwrap();
        let second = unpacker.unpack(&packed(b"another")).unwrap();
        assert_eq!(first, "the first page");
        assert_eq!(second, "another");
        drop(second);
        let third = unpacker.unpack(&packed(b"short")).unwrap();
        assert_eq!((first, third), ("the first page".into(), "short".into()));
    }

    #[test]
    fn memory_of_large_pages_serves_again() {
        let mut first = unpacker();
        first.unpack(&packed(&[1; 10])).unwrap();
        assert!(first.into_spare().is_empty());
        let mut second = unpacker();
        let page = second.unpack(&packed(&vec![1; LARGE])).unwrap();
        let memory = page.as_ptr();
        drop(page);
        let mut third = Unpacker { last: second.into_spare().freeze() };
        let page = third.unpack(&packed(&[2; 10])).unwrap();
        assert_eq!((&page[..], page.as_ptr()), (&[2; 10][..], memory));
        // Still read by someone.
        assert!(third.into_spare().is_empty());
        assert_eq!(page, [2; 10][..]);
    }

    #[test]
    fn promises_beyond_that_are_errors() {
        // Four bytes of length: 2^28 - 1.
        let error = unpacker().unpack(&[0xff, 0xff, 0xff, 0x7f, 0]).unwrap_err();
        assert!(error.to_string().contains("promises 268435455"), "{error}");
        assert!(unpacker().unpack(&[5, 0]).is_err());
    }
}
