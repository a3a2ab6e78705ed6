//! Definition levels of flat columns: which rows hold a value.

use bytes::Bytes;

use super::rle::{Ended, Rle};

/// The levels of one page; `None` for a required column.
#[derive(Debug)]
pub struct Levels {
    rle: Option<Rle>,
    scratch: Vec<u32>,
}

/// What the next rows of a page hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Presence<'a> {
    /// All of them a value.
    All,
    /// A value where the level is 1, of which there are `present`.
    Some { levels: &'a [u32], present: usize },
}

/// Why levels cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum LevelFault {
    Ended(Ended),
    /// A level that a flat column cannot have.
    TooHigh(u32),
}

impl From<Ended> for LevelFault {
    fn from(ended: Ended) -> Self {
        LevelFault::Ended(ended)
    }
}

impl Levels {
    pub fn required() -> Self {
        Levels { rle: None, scratch: Vec::new() }
    }

    /// Levels of an optional column, whose only values are 0 and 1.
    pub fn optional(data: Bytes) -> Self {
        Levels { rle: Rle::new(data, 1), scratch: Vec::new() }
    }

    pub fn read(&mut self, count: usize) -> Result<Presence<'_>, LevelFault> {
        let Some(rle) = &mut self.rle else {
            return Ok(Presence::All);
        };
        if rle.pass_run(count, 1)? {
            return Ok(Presence::All);
        }
        self.scratch.clear();
        rle.read(count, &mut self.scratch)?;
        let present = self.scratch.iter().filter(|&&level| level == 1).count();
        if let Some(&level) = self.scratch.iter().find(|&&level| level > 1) {
            return Err(LevelFault::TooHigh(level));
        }
        if present == count {
            return Ok(Presence::All);
        }
        Ok(Presence::Some { levels: &self.scratch, present })
    }
}
