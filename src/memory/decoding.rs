//! How much memory decoded rows take: first as footers promise, then as it turns out. Pure.
//!
//! The two differ where few texts stand for many rows: a footer counts the codes of a dictionary,
//! but columns that are read as texts hold each of them.

use super::controller::LEAST_ROWS;

/// What the values of a chunk may take: more than 200,000 rows as Koku writes them do.
const CHUNK_BYTES: f64 = 64.0 * 1024.0 * 1024.0;

/// How much of what is known a new chunk changes.
const WEIGHT: f64 = 0.5;

/// What it took to decode some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decoded {
    pub rows: u64,
    /// Bytes of their pages and arrays, in all.
    pub bytes: u64,
    /// The most of them that one task held at a time.
    pub most_held: u64,
}

impl Decoded {
    pub fn add(&mut self, other: Decoded) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.most_held = self.most_held.max(other.most_held);
    }
}

/// What it takes to decode a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoding {
    bytes_per_row: f64,
    most_held: u64,
}

impl Decoding {
    /// By the footers of `rows` rows whose columns have `bytes` bytes before compression.
    pub fn promised(rows: u64, bytes: u64) -> Self {
        Decoding { bytes_per_row: bytes as f64 / rows.max(1) as f64, most_held: 0 }
    }

    pub fn learn(&mut self, decoded: Decoded) {
        self.most_held = self.most_held.max(decoded.most_held);
        if decoded.rows > 0 {
            let bytes_per_row = decoded.bytes as f64 / decoded.rows as f64;
            self.bytes_per_row += (bytes_per_row - self.bytes_per_row) * WEIGHT;
        }
    }

    pub fn bytes_per_row(&self) -> u64 {
        self.bytes_per_row as u64
    }

    /// The most bytes that one task held at a time.
    pub fn most_held(&self) -> u64 {
        self.most_held
    }

    /// The most rows of a chunk.
    pub fn rows(&self) -> usize {
        // A row of no bytes makes infinitely many, which is the greatest integer.
        ((CHUNK_BYTES / self.bytes_per_row) as usize).max(LEAST_ROWS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(rows: u64, bytes_per_row: u64) -> Decoded {
        Decoded { rows, bytes: rows * bytes_per_row, most_held: 7 }
    }

    #[test]
    fn footers_are_believed_until_rows_are_there() {
        let mut rows = Decoding::promised(1000, 64 * 1000);
        assert_eq!((rows.bytes_per_row(), rows.rows()), (64, 1024 * 1024));
        rows.learn(decoded(0, 0));
        assert_eq!(rows.bytes_per_row(), 64);
        for _ in 0..50 {
            rows.learn(decoded(4096, 2048));
        }
        assert_eq!((rows.bytes_per_row(), rows.rows()), (2047, 32 * 1024));
        assert_eq!(rows.most_held(), 7);
        assert_eq!(Decoding::promised(0, 0).rows(), usize::MAX);
        assert_eq!(Decoding::promised(1, u64::MAX).rows(), LEAST_ROWS);
    }

    proptest! {
        #[test]
        fn what_is_learned_lies_between_what_was_seen(
            promised in 1u64..10_000, seen in prop::collection::vec(1u64..10_000, 0..50),
        ) {
            let mut rows = Decoding::promised(1, promised);
            for &bytes in &seen {
                rows.learn(decoded(100, bytes));
            }
            let all = || seen.iter().copied().chain([promised]);
            prop_assert!(rows.bytes_per_row() + 1 >= all().min().unwrap());
            prop_assert!(rows.bytes_per_row() <= all().max().unwrap());
        }
    }
}
