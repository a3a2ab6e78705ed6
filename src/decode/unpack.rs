//! Snappy pages, unpacked into the same memory again and again.
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
    /// What holds pages: each serves again once no one reads it.
    memory: Vec<Bytes>,
}

/// Memory for the pages of another chunk.
pub type Spare = Vec<BytesMut>;

/// A dictionary, and the page at hand.
const PAGES: usize = 2;

/// From here on the allocator takes memory from the system for each piece anew.
const LARGE: usize = 1024 * 1024;

impl Unpacker {
    /// For a chunk that is compressed by snappy, with what `parquet` is to be told of it. `spare` is
    /// memory to unpack into.
    pub fn of(
        chunk: &ColumnChunkMetaData,
        spare: &mut Spare,
    ) -> Option<(Self, ColumnChunkMetaData)> {
        if chunk.compression() != Compression::SNAPPY {
            return None;
        }
        let raw = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build();
        let memory = spare.drain(..).map(BytesMut::freeze).collect();
        Some((Unpacker { memory }, raw.ok()?))
    }

    /// Memory for the pages of the next chunk: what no one reads any more and is so large that the
    /// system would have to be asked for it again.
    pub fn into_spare(self) -> Spare {
        let free = self.memory.into_iter().filter_map(|bytes| bytes.try_into_mut().ok());
        free.filter(|spare| spare.len() >= LARGE).collect()
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
        let mut buffer = self.free();
        if buffer.len() < length + SLACK {
            // The next page may be a little larger.
            buffer = BytesMut::zeroed(length + length / 8 + SLACK);
        }
        snappy::unpack(packed, start, length, &mut buffer)?;
        let page = buffer.freeze();
        self.memory.push(page.clone());
        Ok(page.slice(..length))
    }

    /// Memory that no one reads; none where there is none yet.
    fn free(&mut self) -> BytesMut {
        let free = self.memory.iter().position(Bytes::is_unique);
        if free.is_none() && self.memory.len() < PAGES {
            return BytesMut::new();
        }
        self.memory.swap_remove(free.unwrap_or(0)).try_into_mut().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacker() -> Unpacker {
        Unpacker { memory: Vec::new() }
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

    /// The memory of a dictionary, which is read as long as its column, and that of its pages.
    #[test]
    fn memory_of_large_pages_serves_again() {
        let mut first = unpacker();
        first.unpack(&packed(&[1; 10])).unwrap();
        assert!(first.into_spare().is_empty());
        let mut second = unpacker();
        let large = packed(&vec![1; LARGE]);
        let dictionary = second.unpack(&large).unwrap();
        let page = second.unpack(&large).unwrap();
        let mut memory = [dictionary.as_ptr(), page.as_ptr()];
        drop(page);
        assert_eq!(second.unpack(&packed(&[2; 10])).unwrap().as_ptr(), memory[1]);
        drop(dictionary);
        let spare = second.into_spare();
        let mut third = Unpacker { memory: spare.into_iter().map(BytesMut::freeze).collect() };
        let pages = [third.unpack(&large).unwrap(), third.unpack(&packed(&[2; 10])).unwrap()];
        let mut again = pages.each_ref().map(|page| page.as_ptr());
        memory.sort_unstable();
        again.sort_unstable();
        assert_eq!(again, memory);
        assert_eq!(pages[1], [2; 10][..]);
        // A third page while both are read.
        assert_eq!(third.unpack(&packed(&[3; 10])).unwrap(), [3; 10][..]);
        assert_eq!(pages[1], [2; 10][..]);
        // What is still read by someone is no one else's.
        assert!(third.into_spare().is_empty());
        assert_eq!(pages[1], [2; 10][..]);
    }

    #[test]
    fn promises_beyond_that_are_errors() {
        // Four bytes of length: 2^28 - 1.
        let error = unpacker().unpack(&[0xff, 0xff, 0xff, 0x7f, 0]).unwrap_err();
        assert!(error.to_string().contains("promises 268435455"), "{error}");
        assert!(unpacker().unpack(&[5, 0]).is_err());
    }
}
