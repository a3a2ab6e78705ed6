//! What a worker has sent of a task that is not done yet: it counts for nothing until it is.

use crate::memory::heap::Heap;
use crate::spill::spiller::Spiller;
use crate::spill::{Block, SpillError};

/// Pieces of states in the order in which they came.
pub struct Staged<'a> {
    heap: &'a Heap,
    spiller: &'a Spiller,
    pieces: Vec<(usize, Piece)>,
    /// Bytes held in memory.
    bytes: u64,
}

enum Piece {
    Held(Vec<u8>),
    OnDisk(Block),
}

impl<'a> Staged<'a> {
    pub fn new(heap: &'a Heap, spiller: &'a Spiller) -> Self {
        Staged { heap, spiller, pieces: Vec::new(), bytes: 0 }
    }

    /// Keeps a piece of the state of `unit`: in memory while there is room, else on disk.
    ///
    /// # Errors
    /// The temporary file cannot be made or written.
    pub fn push(&mut self, unit: usize, piece: Vec<u8>) -> Result<(), SpillError> {
        let bytes = piece.len() as u64;
        // The same bytes are needed again as a state, and more for rows.
        let is_full = self.heap.used() + bytes > self.heap.limit() / 2;
        let piece = if is_full || self.spiller.is_forced(usize::MAX) {
            Piece::OnDisk(self.spiller.file()?.write(&piece)?)
        } else {
            self.heap.change(0, bytes);
            self.bytes += bytes;
            Piece::Held(piece)
        };
        self.pieces.push((unit, piece));
        Ok(())
    }

    /// Hands the pieces over, one by one.
    ///
    /// # Errors
    /// Those of `take`, or a temporary file that cannot be read.
    pub fn take_in<E: From<SpillError>>(
        mut self,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for (unit, piece) in std::mem::take(&mut self.pieces) {
            match piece {
                Piece::Held(bytes) => {
                    take(unit, &bytes)?;
                    let length = bytes.len() as u64;
                    drop(bytes);
                    self.heap.change(length, 0);
                    self.bytes -= length;
                }
                Piece::OnDisk(block) => take(unit, &self.spiller.file()?.read(block)?)?,
            }
        }
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        self.heap.change(self.bytes, 0);
    }
}
