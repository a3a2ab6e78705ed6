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
        let mut buffer = self.buffer(length + SLACK);
        snappy::unpack(packed, start, length, &mut buffer)?;
        let page = buffer.freeze();
        self.memory.push(page.clone());
        Ok(page.slice(..length))
    }

    /// Bytes held, whether someone reads them or not.
    pub fn held(&self) -> u64 {
        self.memory.iter().map(|bytes| bytes.len() as u64).sum()
    }

    /// At least `needed` bytes that no one reads, from what there is or anew. A small page does not take
    /// the memory of a large one while there may be more of it.
    fn buffer(&mut self, needed: usize) -> BytesMut {
        let may_be_more = self.memory.len() < PAGES;
        let free = self.memory.iter().enumerate().filter(|(_, bytes)| bytes.is_unique());
        let fitting = free
            .filter(|(_, bytes)| bytes.len() >= needed)
            .filter(|(_, bytes)| !may_be_more || bytes.len() / 8 <= needed)
            .min_by_key(|(_, bytes)| bytes.len());
        if let Some((place, _)) = fitting
            && let Ok(buffer) = self.memory.swap_remove(place).try_into_mut()
        {
            return buffer;
        }
        if !may_be_more {
            // One that is too small goes. If all are read, whoever reads the first keeps it.
            let place = self.memory.iter().position(Bytes::is_unique).unwrap_or(0);
            self.memory.swap_remove(place);
        }
        // The next page may be a little larger.
        BytesMut::zeroed(needed + needed / 8)
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

    #[test]
    fn a_small_dictionary_leaves_the_memory_of_pages_alone() {
        let large = packed(&vec![1; LARGE]);
        let mut unpacker = unpacker();
        for _ in 0..3 {
            let dictionary = unpacker.unpack(&packed(&[2; 10])).unwrap();
            drop(unpacker.unpack(&large).unwrap());
            assert!(unpacker.held() < 2 * LARGE as u64, "{}", unpacker.held());
            drop(dictionary);
            let memory = unpacker.into_spare();
            unpacker = Unpacker { memory: memory.into_iter().map(BytesMut::freeze).collect() };
            assert!(unpacker.held() > LARGE as u64);
        }
    }

    #[test]
    fn after_a_damaged_page_the_next_is_right() {
        let mut unpacker = unpacker();
        let mut damaged = packed(b"a page of some length, of some length");
        damaged.pop();
        assert!(unpacker.unpack(&damaged).is_err());
        assert_eq!(unpacker.unpack(&packed(b"another")).unwrap(), "another");
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
