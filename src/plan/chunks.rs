//! Row groups to chunks: what one task aggregates, in the order in which it is read.

use std::collections::VecDeque;
use std::ops::Range;

use super::PlannedGroup;
use crate::memory::decoding::Decoding;

/// Rows of one planned row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Index into [`super::Plan::groups`].
    pub group: usize,
    pub rows: Range<usize>,
}

/// What one task aggregates: rows of one or more row groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub cuts: Vec<Cut>,
    /// First and last unit whose rows it can hold.
    pub units: (usize, usize),
}

impl Chunk {
    pub fn rows(&self) -> usize {
        self.cuts.iter().map(|cut| cut.rows.len()).sum()
    }

    /// Compressed bytes of the row groups that it is the last chunk of.
    pub fn completed_bytes(&self, groups: &[PlannedGroup]) -> u64 {
        let last = |cut: &&Cut| cut.rows.end >= groups[cut.group].group.rows;
        self.cuts.iter().filter(last).map(|cut| groups[cut.group].group.bytes).sum()
    }
}

/// What to read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Chunk(Chunk),
    /// Nothing until an earlier day has left memory.
    Blocked,
    Done,
}

/// Cuts chunks one by one, so that their size can change on the way.
///
/// Several days are read side by side, each by one task at a time: then a day has one partial
/// state instead of one a thread, and nothing to merge.
#[derive(Debug)]
pub struct Schedule<'p> {
    groups: &'p [PlannedGroup],
    /// Groups of the same units, in the order of the plan.
    sets: VecDeque<Range<usize>>,
    lanes: Vec<Lane>,
    most_lanes: usize,
    turn: usize,
}

#[derive(Debug)]
struct Lane {
    groups: Range<usize>,
    /// Rows of the first group that were cut already.
    rows_cut: usize,
}

impl<'p> Schedule<'p> {
    /// `groups` are sorted by their units.
    pub fn new(groups: &'p [PlannedGroup], lanes: usize) -> Self {
        let mut sets = VecDeque::new();
        let mut start = 0;
        for set in groups.chunk_by(|a, b| a.units == b.units) {
            sets.push_back(start..start + set.len());
            start += set.len();
        }
        Schedule { groups, sets, lanes: Vec::new(), most_lanes: lanes.max(1), turn: 0 }
    }

    /// The next chunk of at most `rows` rows. A day whose first unit is `open_until` or later is
    /// not begun.
    pub fn next(&mut self, rows: usize, open_until: usize) -> Next {
        while self.lanes.len() < self.most_lanes {
            match self.sets.front() {
                Some(set) if self.groups[set.start].units.0 < open_until => {
                    let groups = set.clone();
                    self.lanes.push(Lane { groups, rows_cut: 0 });
                    self.sets.pop_front();
                }
                _ => break,
            }
        }
        if self.lanes.is_empty() {
            return if self.sets.is_empty() { Next::Done } else { Next::Blocked };
        }
        self.turn %= self.lanes.len();
        let lane = &mut self.lanes[self.turn];
        let chunk = lane.cut(self.groups, rows.max(1));
        if lane.groups.is_empty() {
            self.lanes.remove(self.turn);
        } else {
            self.turn += 1;
        }
        Next::Chunk(chunk)
    }
}

impl Lane {
    /// Takes what is left of one group, or a part of it, and more groups while they fit whole.
    fn cut(&mut self, groups: &[PlannedGroup], most_rows: usize) -> Chunk {
        let mut chunk = Chunk { cuts: Vec::new(), units: groups[self.groups.start].units };
        let mut rows = 0;
        while let Some(group) = self.groups.clone().next() {
            let left = groups[group].group.rows - self.rows_cut;
            let room = most_rows - rows;
            if left <= room {
                chunk.cuts.push(Cut { group, rows: self.rows_cut..groups[group].group.rows });
                self.groups.start += 1;
                self.rows_cut = 0;
                rows += left;
            } else if rows == 0 {
                // Of equal size, so that no small rest is left.
                let size = left.div_ceil(left.div_ceil(most_rows));
                chunk.cuts.push(Cut { group, rows: self.rows_cut..self.rows_cut + size });
                self.rows_cut += size;
                break;
            } else {
                break;
            }
        }
        chunk
    }
}

/// How many rows a chunk holds when no one says: whole row groups as Koku writes them, but
/// smaller where there are too few to keep `threads` busy, or where their values are large.
pub fn usual_rows(groups: &[PlannedGroup], threads: usize) -> usize {
    const MOST: usize = 200_000;
    const LEAST: usize = 16_384;
    let rows: usize = groups.iter().map(|g| g.group.rows).sum();
    let by_threads = (rows / (4 * threads.max(1))).clamp(LEAST, MOST);
    by_threads.min(promised(groups).rows())
}

/// What the footers promise of decoding.
pub fn promised(groups: &[PlannedGroup]) -> Decoding {
    let sum = |of: fn(&PlannedGroup) -> u64| groups.iter().map(of).sum();
    Decoding::promised(sum(|g| g.group.rows as u64), sum(|g| g.group.unpacked_bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Row groups by unit and rows, in the order of their units.
    fn groups(mut of: Vec<(usize, usize)>) -> Vec<PlannedGroup> {
        of.sort_by_key(|&(unit, _)| unit);
        of.into_iter().map(|(unit, rows)| PlannedGroup::made_up((unit, unit), rows)).collect()
    }

    fn chunks(groups: &[PlannedGroup], lanes: usize, rows: usize) -> Vec<Chunk> {
        let mut schedule = Schedule::new(groups, lanes);
        let next = || match schedule.next(rows, usize::MAX) {
            Next::Chunk(chunk) => Some(chunk),
            _ => None,
        };
        std::iter::from_fn(next).collect()
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_chunk_of_its_day(
            of in prop::collection::vec((0usize..6, 1usize..90), 0..40),
            lanes in 1usize..4,
            most in 1usize..200,
        ) {
            let groups = groups(of);
            let mut next = vec![0; groups.len()];
            for chunk in chunks(&groups, lanes, most) {
                prop_assert!((1..=most).contains(&chunk.rows()), "{chunk:?}");
                for Cut { group, rows } in chunk.cuts {
                    prop_assert_eq!(groups[group].units, chunk.units);
                    prop_assert_eq!(rows.start, next[group]);
                    next[group] = rows.end;
                }
            }
            let all: Vec<usize> = groups.iter().map(|group| group.group.rows).collect();
            prop_assert_eq!(next, all);
        }
    }

    #[test]
    fn days_are_read_side_by_side_in_whole_groups_while_they_fit() {
        let groups = groups((0..2).flat_map(|day| [(day, 40); 3]).chain([(2, 250)]).collect());
        let of = |lanes| -> Vec<(usize, usize)> {
            chunks(&groups, lanes, 100).iter().map(|c| (c.units.0, c.rows())).collect()
        };
        assert_eq!(of(1), [(0, 80), (0, 40), (1, 80), (1, 40), (2, 84), (2, 83), (2, 83)]);
        assert_eq!(of(2), [(0, 80), (1, 80), (0, 40), (1, 40), (2, 84), (2, 83), (2, 83)]);
    }
}
