//! How large chunks are and how many wait, as memory gets short and free again. Pure.

/// Under pressure chunks shrink first, then fewer wait, then states are spilled; the way back is
/// the same, slower.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    /// Rows of a chunk while all the memory is there, and the most that they may become.
    planned_rows: usize,
    first_rows: usize,
    /// The part of the memory that others leave.
    left: f64,
    most_rows: usize,
    rows: usize,
    most_waiting: usize,
    waiting: usize,
    spilling: bool,
    /// Calm samples since the last change.
    calm: u32,
    changes: Changes,
}

/// How often it changed what, for the summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    pub shrunk: u32,
    pub grown: u32,
    pub least_rows: usize,
}

/// Chunks are never smaller: less would cost more than it saves.
pub const LEAST_ROWS: usize = 2048;

/// Above this share of the limit there is pressure: what is counted was planned to take less.
/// Below [`CALM`] there is none.
const PRESSURE: f64 = 0.85;
const CALM: f64 = 0.75;
/// Samples of calm before a step back.
const PATIENCE: u32 = 8;

impl Controller {
    pub fn new(most_rows: usize, most_waiting: usize) -> Self {
        let (most_rows, most_waiting) = (most_rows.max(1), most_waiting.max(1));
        Controller {
            planned_rows: most_rows,
            first_rows: most_rows,
            left: 1.0,
            most_rows,
            rows: most_rows,
            most_waiting,
            waiting: most_waiting,
            spilling: false,
            calm: 0,
            changes: Changes { least_rows: most_rows, ..Changes::default() },
        }
    }

    /// Rows of the next chunk.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Chunks that may wait to be decoded.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether states are to be spilled although they are within their share.
    pub fn is_spilling(&self) -> bool {
        self.spilling
    }

    pub fn changes(&self) -> Changes {
        self.changes
    }

    /// Takes in that `left` bytes of `all` that were planned with are left by others: chunks are at
    /// most as much smaller. True if that changed anything.
    pub fn fit(&mut self, left: u64, all: u64) -> bool {
        self.left = left.min(all) as f64 / all.max(1) as f64;
        self.settle()
    }

    /// Takes in that a chunk had better not have more than `rows` rows: values turned out to be so
    /// large. True if that changed anything.
    pub fn learn(&mut self, rows: usize) -> bool {
        let rows = rows.clamp(LEAST_ROWS.min(self.first_rows), self.first_rows);
        // Little changes are not worth any.
        if rows.abs_diff(self.planned_rows) <= self.planned_rows / 8 && rows != self.first_rows {
            return false;
        }
        self.planned_rows = rows;
        self.settle()
    }

    fn settle(&mut self) -> bool {
        let rows = (self.planned_rows as f64 * self.left) as usize;
        self.most_rows = rows.max(LEAST_ROWS.min(self.planned_rows));
        if self.rows <= self.most_rows {
            return false;
        }
        self.rows = self.most_rows;
        self.changes.least_rows = self.changes.least_rows.min(self.rows);
        self.changes.shrunk += 1;
        true
    }

    /// Takes in how much of `limit` is `used`; true if that changed anything.
    pub fn observe(&mut self, used: u64, limit: u64) -> bool {
        let share = used as f64 / limit.max(1) as f64;
        if share > PRESSURE {
            self.calm = 0;
            return self.tighten();
        }
        if share >= CALM {
            self.calm = 0;
            return false;
        }
        self.calm += 1;
        if self.calm < PATIENCE {
            return false;
        }
        self.calm = 0;
        self.relax()
    }

    fn tighten(&mut self) -> bool {
        let least_rows = LEAST_ROWS.min(self.most_rows);
        if self.rows > least_rows {
            self.rows = (self.rows / 2).max(least_rows);
            self.changes.least_rows = self.changes.least_rows.min(self.rows);
        } else if self.waiting > 1 {
            self.waiting /= 2;
        } else if !self.spilling {
            self.spilling = true;
        } else {
            return false;
        }
        self.changes.shrunk += 1;
        true
    }

    fn relax(&mut self) -> bool {
        if self.spilling {
            self.spilling = false;
        } else if self.waiting < self.most_waiting {
            self.waiting += 1;
        } else if self.rows < self.most_rows {
            self.rows = (self.rows + self.rows / 2).min(self.most_rows);
        } else {
            return false;
        }
        self.changes.grown += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_in_order() {
        let mut c = Controller::new(8192, 4);
        let mut seen = Vec::new();
        while c.observe(100, 100) {
            seen.push((c.rows(), c.waiting(), c.is_spilling()));
        }
        let expected = [
            (4096, 4, false),
            (2048, 4, false),
            (2048, 2, false),
            (2048, 1, false),
            (2048, 1, true),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn chunks_fit_what_others_leave() {
        let mut c = Controller::new(100_000, 4);
        assert!(c.fit(50, 100) && !c.fit(50, 100));
        assert_eq!((c.rows(), c.changes().shrunk, c.changes().least_rows), (50_000, 1, 50_000));
        assert!(c.fit(0, 100));
        assert_eq!(c.rows(), LEAST_ROWS);
        assert!(!c.fit(100, 100));
        for _ in 0..1000 {
            c.observe(10, 100);
        }
        assert_eq!(c.rows(), 100_000);
    }

    #[test]
    fn chunks_are_as_small_as_values_are_large() {
        let mut c = Controller::new(100_000, 4);
        assert!(!c.learn(100_000) && !c.learn(95_000) && c.learn(40_000) && !c.learn(38_000));
        assert_eq!((c.rows(), c.changes().shrunk), (40_000, 1));
        assert!(c.fit(50, 100));
        assert_eq!(c.rows(), 20_000);
        assert!(!c.learn(1_000_000) && !c.fit(100, 100));
        for _ in 0..1000 {
            c.observe(10, 100);
        }
        assert_eq!(c.rows(), 100_000);
        assert!(c.learn(1));
        assert_eq!(c.rows(), LEAST_ROWS);
    }

    proptest! {
        #[test]
        fn stays_in_bounds_and_recovers(samples in prop::collection::vec((0u64..130, 1usize..1_000_000), 0..200),
                                        rows in 1usize..1_000_000, waiting in 0usize..20) {
            let mut c = Controller::new(rows, waiting);
            for (used, learned) in samples {
                c.learn(learned);
                c.observe(used, 100);
                prop_assert!(c.rows() >= 1 && c.rows() <= rows);
                prop_assert!(c.rows() >= LEAST_ROWS.min(rows));
                prop_assert!(c.waiting() >= 1 && c.waiting() <= waiting.max(1));
            }
            c.learn(usize::MAX);
            for _ in 0..1000 {
                c.observe(10, 100);
            }
            prop_assert_eq!((c.rows(), c.waiting(), c.is_spilling()), (rows, waiting.max(1), false));
        }

        #[test]
        fn a_steady_load_settles(used in 0u64..130, rows in 1usize..1_000_000) {
            let mut c = Controller::new(rows, 8);
            for _ in 0..1000 {
                c.observe(used, 100);
            }
            let settled = c.clone();
            for _ in 0..1000 {
                prop_assert!(!c.observe(used, 100));
            }
            prop_assert_eq!(settled.rows(), c.rows());
        }
    }
}
