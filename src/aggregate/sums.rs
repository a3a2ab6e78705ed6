//! Rows of exact sums with a bit each for "a value was present".

use rustc_hash::FxHashMap;

use super::exact::{Scale, Sum, Total, UNSETTLED};
use super::wide::Wide;

/// `N` sums of one group, and how many rows it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums<const N: usize> {
    sums: [Sum; N],
    rows: u32,
    present: u16,
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Sums { sums: [Sum::default(); N], rows: 0, present: 0 }
    }
}

/// The values of all groups that lie outside the window of a [`Sum`], by (group, measure).
#[derive(Debug, Clone, Default)]
pub struct Outliers {
    sums: FxHashMap<(u32, u8), Wide>,
}

impl Outliers {
    /// Adds a value to a group's.
    #[cold]
    pub fn add(&mut self, group: usize, measure: usize, value: f64) {
        self.entry(group, measure).add(value);
    }

    fn entry(&mut self, group: usize, measure: usize) -> &mut Wide {
        self.sums.entry((group as u32, measure as u8)).or_default()
    }

    fn get(&self, group: usize, measure: usize) -> Option<&Wide> {
        if self.sums.is_empty() {
            return None;
        }
        self.sums.get(&(group as u32, measure as u8))
    }

    /// The outliers of one group, by measure.
    pub fn of_group(&self, group: usize, measures: usize) -> impl Iterator<Item = (usize, &Wide)> {
        (0..measures).filter_map(move |m| self.get(group, m).map(|wide| (m, wide)))
    }

    /// Adds an outlier sum to a group's.
    pub fn merge_one(&mut self, group: usize, measure: usize, wide: &Wide) {
        self.entry(group, measure).merge(wide);
    }

    /// Takes over the outliers of another table whose group `g` is this one's `group_of(g)`.
    pub fn merge(&mut self, other: &Outliers, group_of: impl Fn(usize) -> usize) {
        for (&(group, measure), wide) in &other.sums {
            self.merge_one(group_of(group as usize), measure as usize, wide);
        }
    }

    /// An estimate of the bytes held.
    pub fn heap_bytes(&self) -> usize {
        self.sums.capacity() * 48 + self.sums.len() * 256
    }
}

/// What up to [`ROWS`] rows add to the sums of their groups.
#[derive(Debug)]
pub struct Addends<const N: usize> {
    high: [[i64; ROWS]; N],
    low: [[i64; ROWS]; N],
    /// Which measures each row has a value of.
    present: [u16; ROWS],
}

/// Rows whose values are split at once.
pub const ROWS: usize = 16;

/// The [`ROWS`] values of each of some columns of equal length from `start` on. Where fewer are left,
/// `padded` takes them, and NaN after them.
#[inline(always)]
pub fn blocks<'c, const N: usize>(
    columns: [&'c [f64]; N],
    start: usize,
    padded: &'c mut [[f64; ROWS]; N],
) -> [&'c [f64; ROWS]; N] {
    for (column, padded) in columns.iter().zip(padded.iter_mut()) {
        let rest = &column[start..];
        if rest.len() < ROWS {
            padded.fill(f64::NAN);
            padded[..rest.len()].copy_from_slice(rest);
        }
    }
    let padded = &*padded;
    let mut blocks = padded.each_ref();
    for (block, column) in blocks.iter_mut().zip(columns) {
        *block = column[start..].first_chunk().unwrap_or(*block);
    }
    blocks
}

impl<const N: usize> Default for Addends<N> {
    fn default() -> Self {
        Addends { high: [[0; ROWS]; N], low: [[0; ROWS]; N], present: [0; ROWS] }
    }
}

impl<const N: usize> Addends<N> {
    /// Splits a row's values for each measure; NaN means absent. A value outside of the window goes
    /// to `outlier`, with its row and measure.
    #[inline(always)]
    pub fn split(
        &mut self,
        values: [&[f64; ROWS]; N],
        scales: &[Scale; N],
        mut outlier: impl FnMut(usize, usize, f64),
    ) {
        self.present = [0; ROWS];
        for (measure, values) in values.into_iter().enumerate() {
            let (high, low) = (&mut self.high[measure], &mut self.low[measure]);
            let mut all_fit = true;
            for ((high, low), &value) in high.iter_mut().zip(low.iter_mut()).zip(values) {
                let (parts, fits) = Sum::of(value, scales[measure]);
                (*high, *low) = parts.parts();
                all_fit &= fits;
            }
            if all_fit {
                self.present.iter_mut().for_each(|present| *present |= 1 << measure);
                continue;
            }
            for (row, &value) in values.iter().enumerate() {
                self.present[row] |= u16::from(!value.is_nan()) << measure;
                if !Sum::of(value, scales[measure]).1 {
                    (high[row], low[row]) = (0, 0);
                    if !value.is_nan() {
                        outlier(row, measure, value);
                    }
                }
            }
        }
    }
}

impl<const N: usize> Sums<N> {
    /// Adds row `row` of `addends`.
    #[inline(always)]
    pub fn add(
        &mut self,
        group: usize,
        addends: &Addends<N>,
        row: usize,
        scales: &[Scale; N],
        outliers: &mut Outliers,
    ) {
        for (measure, sum) in self.sums.iter_mut().enumerate() {
            let parts = (addends.high[measure][row], addends.low[measure][row]);
            sum.add_small(Sum::from_parts(parts.0, parts.1));
        }
        self.present |= addends.present[row];
        self.rows = self.rows.saturating_add(1);
        if self.rows.is_multiple_of(UNSETTLED) || self.rows == u32::MAX {
            self.settle(group, scales, outliers);
        }
    }

    #[cold]
    fn settle(&mut self, group: usize, scales: &[Scale; N], outliers: &mut Outliers) {
        for (measure, sum) in self.sums.iter_mut().enumerate() {
            if !sum.settle() {
                sum.move_to(outliers.entry(group, measure), scales[measure]);
            }
        }
    }

    /// A word that depends on each cache line.
    #[inline(always)]
    pub fn lines(&self) -> u64 {
        let (words, _) = self.sums.as_chunks::<4>();
        words.iter().fold(0, |word, sums| word ^ sums[0].parts().0 as u64)
    }

    /// Line items in the group: as many as 32 bits can say, at most.
    pub fn rows(&self) -> u64 {
        u64::from(self.rows)
    }

    /// Adds another group's sums; outliers are merged apart.
    pub fn merge(&mut self, group: usize, other: &Self, scales: &[Scale; N], into: &mut Outliers) {
        self.present |= other.present;
        self.rows = self.rows.saturating_add(other.rows);
        for (measure, &scale) in scales.iter().enumerate() {
            if !self.sums[measure].merge(other.sums[measure]) {
                let wide = into.entry(group, measure);
                self.sums[measure].move_to(wide, scale);
                let mut theirs = other.sums[measure];
                theirs.move_to(wide, scale);
            }
        }
        self.settle(group, scales, into);
    }

    /// The sums, the rows and the presence bits, for storage outside of memory.
    pub fn parts(&self) -> (&[Sum; N], u32, u16) {
        (&self.sums, self.rows, self.present)
    }

    /// The inverse of [`Sums::parts`].
    pub fn from_parts(sums: [Sum; N], rows: u32, present: u16) -> Self {
        Sums { sums, rows, present }
    }

    /// The sum of `measure`, or `None` if no value was present.
    pub fn total(
        &self,
        group: usize,
        measure: usize,
        scale: Scale,
        outliers: &Outliers,
    ) -> Option<Total> {
        let present = self.present >> measure & 1 == 1;
        present.then(|| Total::new(self.sums[measure], outliers.get(group, measure), scale))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::exact::{BYTE_SECONDS, CORE_SECONDS};

    const SCALES: [Scale; 2] = [CORE_SECONDS, BYTE_SECONDS];

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => 0.0..1e9f64,
            2 => -1e15..1e18f64,
            1 => Just(f64::NAN),
            1 => Just(-0.0),
            1 => prop_oneof![Just(1e300), Just(1e-300), Just(-5e-324), Just(2e18)],
        ]
    }

    proptest! {
        /// Sums of rows in blocks, and of two halves merged, are the sums of the values.
        #[test]
        fn rows_add_up(rows in prop::collection::vec((value(), value()), 0..60), cut in 0usize..60) {
            let sums = |rows: &[(f64, f64)], outliers: &mut Outliers| {
                let mut sums = Sums::<2>::default();
                let mut addends = Addends::default();
                for rows in rows.chunks(ROWS) {
                    let mut values = [[f64::NAN; ROWS]; 2];
                    for (row, &(a, b)) in rows.iter().enumerate() {
                        (values[0][row], values[1][row]) = (a, b);
                    }
                    addends.split(values.each_ref(), &SCALES, |_, m, v| outliers.add(7, m, v));
                    for row in 0..rows.len() {
                        sums.add(7, &addends, row, &SCALES, outliers);
                    }
                }
                sums
            };
            let mut outliers = Outliers::default();
            let whole = sums(&rows, &mut outliers);
            let (first, second) = rows.split_at(cut.min(rows.len()));
            let mut of_parts = Outliers::default();
            let mut merged = sums(first, &mut of_parts);
            let other = sums(second, &mut of_parts);
            merged.merge(7, &other, &SCALES, &mut of_parts);
            prop_assert_eq!(whole.rows(), rows.len() as u64);
            prop_assert_eq!(merged.rows(), rows.len() as u64);
            for (measure, &scale) in SCALES.iter().enumerate() {
                let values = rows.iter().map(|row| [row.0, row.1][measure]);
                let mut expected = None;
                for value in values.filter(|v| !v.is_nan()) {
                    expected.get_or_insert_with(|| Total::zero(scale)).add_value(value, scale);
                }
                let bits = |t: Option<Total>| t.map(|t| t.divided(3600, 0).to_bits());
                let expected = bits(expected);
                prop_assert_eq!(bits(whole.total(7, measure, scale, &outliers)), expected);
                prop_assert_eq!(bits(merged.total(7, measure, scale, &of_parts)), expected);
            }
        }
    }

    #[test]
    fn rows_after_the_last_are_absent() {
        let column: Vec<f64> = (0..ROWS as u32 + 2).map(f64::from).collect();
        let mut padded = [[7.0; ROWS]; 2];
        let [first, same] = blocks([&column, &column], 0, &mut padded);
        assert_eq!((&first[..], first), (&column[..ROWS], same));
        let [last, _] = blocks([&column, &column], ROWS, &mut padded);
        assert_eq!(last[..2], column[ROWS..]);
        assert!(last[2..].iter().all(|value| value.is_nan()));
    }

    #[test]
    fn a_sum_that_outgrows_its_halves_is_kept() {
        let mut outliers = Outliers::default();
        let mut sums = Sums::<2>::default();
        let mut addends = Addends::default();
        let most = 5.764607523034234e17;
        addends.split([&[1.0; ROWS], &[most; ROWS]], &SCALES, |_, _, _| panic!("an outlier"));
        for _ in 0..300_000 {
            sums.add(0, &addends, 3, &SCALES, &mut outliers);
        }
        assert!(!outliers.sums.is_empty());
        let total = sums.total(0, 1, BYTE_SECONDS, &outliers).unwrap();
        assert_eq!(total.divided(300_000, 0), most);
        let total = sums.total(0, 0, CORE_SECONDS, &outliers).unwrap();
        assert_eq!(total.divided(1, 0), 300_000.0);
    }
}
