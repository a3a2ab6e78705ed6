//! A temporary file of a run.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a spill failed.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    #[error(
        "cannot make a temporary file in {folder}: give another folder with --spill-dir, or more \
         memory"
    )]
    Create { folder: PathBuf, source: io::Error },

    #[error(
        "{folder} is full: the run needs it for groups that do not fit into memory; give a larger \
         folder with --spill-dir, or more memory"
    )]
    Full { folder: PathBuf, source: io::Error },

    #[error("cannot use the temporary file in {folder}")]
    Use { folder: PathBuf, source: io::Error },

    #[error("the temporary file in {folder} does not hold what was written to it")]
    Damaged { folder: PathBuf },
}

/// Compressed blocks in a file without a name: however the process ends, nothing is left of it.
#[derive(Debug)]
pub struct SpillFile {
    file: File,
    folder: PathBuf,
    end: AtomicU64,
    /// Compressed bytes written to all files of the run.
    total: Arc<AtomicU64>,
}

/// Where a block lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    offset: u64,
    length: u32,
    /// Before compression.
    pub raw: u32,
}

impl SpillFile {
    pub fn create(folder: &Path, total: Arc<AtomicU64>) -> Result<Self, SpillError> {
        let file = tempfile::tempfile_in(folder)
            .map_err(|source| SpillError::Create { folder: folder.to_owned(), source })?;
        Ok(SpillFile { file, folder: folder.to_owned(), end: AtomicU64::new(0), total })
    }

    /// Compressed bytes written to it so far.
    pub fn written(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    pub fn write(&self, raw: &[u8]) -> Result<Block, SpillError> {
        let packed = lz4_flex::block::compress(raw);
        let offset = self.end.fetch_add(packed.len() as u64, Ordering::Relaxed);
        self.total.fetch_add(packed.len() as u64, Ordering::Relaxed);
        self.file.write_all_at(&packed, offset).map_err(|source| {
            let folder = self.folder.clone();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    SpillError::Full { folder, source }
                }
                _ => SpillError::Use { folder, source },
            }
        })?;
        Ok(Block { offset, length: packed.len() as u32, raw: raw.len() as u32 })
    }

    pub fn read(&self, block: Block) -> Result<Vec<u8>, SpillError> {
        let mut packed = vec![0; block.length as usize];
        self.file
            .read_exact_at(&mut packed, block.offset)
            .map_err(|source| SpillError::Use { folder: self.folder.clone(), source })?;
        lz4_flex::block::decompress(&packed, block.raw as usize).map_err(|_| self.damaged())
    }

    pub fn damaged(&self) -> SpillError {
        SpillError::Damaged { folder: self.folder.clone() }
    }
}
