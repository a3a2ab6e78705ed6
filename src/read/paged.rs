//! A local file read page by page: for row groups too large to hold.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// An open file. Clones share it, and the memory that its pages are read into.
#[derive(Debug, Clone)]
pub struct PagedFile {
    size: u64,
    file: Arc<File>,
    spare: Arc<Spare>,
}

/// Memory of pages that no one reads any longer. To clear new memory for each would cost as much as
/// to read it from the system's cache.
#[derive(Debug, Default)]
struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// A page in memory that serves again.
struct Lent {
    buffer: Vec<u8>,
    length: usize,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.spare.give(std::mem::take(&mut self.buffer));
    }
}

impl PagedFile {
    pub fn new(file: File, size: u64) -> Self {
        PagedFile { size, file: Arc::new(file), spare: Arc::default() }
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The `length` bytes of a page at `start`.
    ///
    /// # Errors
    /// The file cannot be read, or ends before the page does.
    pub fn page(&self, start: u64, length: usize) -> io::Result<Bytes> {
        if start.saturating_add(length as u64) > self.size {
            let problem = format!("a page at {start} ends after the file");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
        }
        let mut buffer = self.spare.take();
        if buffer.len() < length {
            // The next page may be a little larger.
            buffer = vec![0; length + length / 8];
        }
        let mut lent = Lent { buffer, length, spare: self.spare.clone() };
        self.file.read_exact_at(&mut lent.buffer[..length], start)?;
        Ok(Bytes::from_owner(lent))
    }

    /// Up to `length` bytes at `start`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let mut head = vec![0; length];
        let read = self.file.read_at(&mut head, start)?;
        head.truncate(read);
        Ok(head.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_page_in_use_keeps_its_memory() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"first second third").unwrap();
        let paged = PagedFile::new(file, 18);
        let first = paged.page(0, 5).unwrap();
        let second = paged.page(6, 6).unwrap();
        assert_eq!((&first[..], &second[..]), (&b"first"[..], &b"second"[..]));
        drop(second);
        let third = paged.page(13, 5).unwrap();
        assert_eq!((&first[..], &third[..]), (&b"first"[..], &b"third"[..]));
        drop((first, third));
        // Larger than any before.
        assert_eq!(&paged.page(0, 18).unwrap()[..], b"first second third");
        assert_eq!(&paged.page(0, 0).unwrap()[..], b"");
    }

    #[test]
    fn no_page_lies_beyond_the_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        let paged = PagedFile::new(file, 5);
        for (start, length) in [(0, 6), (6, 1), (u64::MAX, 2)] {
            assert!(paged.page(start, length).is_err(), "{start} {length}");
        }
        assert_eq!(&paged.head(3, 4096).unwrap()[..], b"rt");
    }
}
