//! Rows of exact sums with a bit each for "a value was present".

use rustc_hash::FxHashMap;

use super::exact::{Scale, Sum, Total, Wide};

/// `N` sums of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums<const N: usize> {
    sums: [Sum; N],
    present: u16,
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Sums { sums: [Sum::default(); N], present: 0 }
    }
}

/// The values of all groups that lie outside the window of a [`Sum`], by (group, measure).
#[derive(Debug, Clone, Default)]
pub struct Outliers {
    sums: FxHashMap<(u32, u8), Wide>,
}

impl Outliers {
    #[cold]
    fn add(&mut self, group: usize, measure: usize, value: f64) {
        self.sums.entry((group as u32, measure as u8)).or_default().add(value);
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
        self.sums.entry((group as u32, measure as u8)).or_default().merge(wide);
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

impl<const N: usize> Sums<N> {
    /// Adds `value` to sum `measure` unless it is NaN, which means absent.
    #[inline(always)]
    pub fn add(
        &mut self,
        group: usize,
        measure: usize,
        value: f64,
        scale: Scale,
        outliers: &mut Outliers,
    ) {
        self.present |= u16::from(!value.is_nan()) << measure;
        if !self.sums[measure].add(value, scale) && !value.is_nan() {
            outliers.add(group, measure, value);
        }
    }

    /// Adds another group's sums; outliers are merged apart.
    pub fn merge(&mut self, group: usize, other: &Self, scales: &[Scale; N], into: &mut Outliers) {
        self.present |= other.present;
        for (measure, &scale) in scales.iter().enumerate() {
            if !self.sums[measure].merge(other.sums[measure]) {
                let key = (group as u32, measure as u8);
                let wide = into.sums.entry(key).or_default();
                self.sums[measure].move_to(wide, scale);
                // Both are at most half of the range now.
                let merged = self.sums[measure].merge(other.sums[measure]);
                debug_assert!(merged);
            }
        }
    }

    /// The sums and their presence bits, for storage outside of memory.
    pub fn parts(&self) -> (&[Sum; N], u16) {
        (&self.sums, self.present)
    }

    /// The inverse of [`Sums::parts`].
    pub fn from_parts(sums: [Sum; N], present: u16) -> Self {
        Sums { sums, present }
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
