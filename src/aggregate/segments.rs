//! An array that grows without being moved.

use super::groups::vec_growth;

/// Elements of a segment.
const SEGMENT: usize = 512;

/// Elements in segments of [`SEGMENT`]: large states are neither copied when there are more of them,
/// nor is there room for as many again. The first segment grows as a vector does.
#[derive(Debug, Clone)]
pub struct Segments<T> {
    segments: Vec<Vec<T>>,
}

impl<T> Default for Segments<T> {
    fn default() -> Self {
        Segments { segments: Vec::new() }
    }
}

impl<T> Segments<T> {
    pub fn push(&mut self, value: T) {
        match self.segments.last_mut() {
            Some(last) if last.len() < SEGMENT => last.push(value),
            Some(_) => {
                let mut segment = Vec::with_capacity(SEGMENT);
                segment.push(value);
                self.segments.push(segment);
            }
            None => self.segments.push(vec![value]),
        }
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.segments.get(index / SEGMENT)?.get(index % SEGMENT)
    }

    /// Element `index`, which there is.
    #[inline]
    pub fn at(&self, index: usize) -> &T {
        &self.segments[index / SEGMENT][index % SEGMENT]
    }

    /// Element `index`, which there is.
    #[inline]
    pub fn get_mut(&mut self, index: usize) -> &mut T {
        &mut self.segments[index / SEGMENT][index % SEGMENT]
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flatten()
    }

    /// The elements, whose memory goes segment by segment.
    pub fn into_elements(self) -> impl Iterator<Item = T> {
        self.segments.into_iter().flatten()
    }

    /// Bytes that `more` elements may take at once.
    pub fn growth_bytes(&self, more: usize) -> usize {
        let left = self.segments.last().map_or(0, |last| SEGMENT - last.len());
        // The first one doubles.
        let first = match &self.segments[..] {
            [first] => vec_growth(first, more.min(left)),
            _ => 0,
        };
        let segments = more.saturating_sub(left).div_ceil(SEGMENT);
        first + segments * SEGMENT * size_of::<T>() + vec_growth(&self.segments, segments)
    }

    /// Bytes held, capacity included.
    pub fn heap_bytes(&self) -> usize {
        let first = self.segments.first().map_or(0, |first| first.capacity() * size_of::<T>());
        let others = self.segments.len().saturating_sub(1) * SEGMENT * size_of::<T>();
        first + others + self.segments.capacity() * size_of::<Vec<T>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_no_memory_counts_as_none() {
        let mut segments = Segments::default();
        (0..=SEGMENT).for_each(|_| segments.push(()));
        assert!(segments.heap_bytes() < 1000 && segments.growth_bytes(SEGMENT) < 1000);
    }

    #[test]
    fn elements_stay_in_order() {
        let mut segments = Segments::default();
        for value in 0..3 * SEGMENT + 7 {
            segments.push(value);
            assert_eq!(*segments.at(value), value);
            *segments.get_mut(value) += 1;
        }
        assert!(segments.iter().copied().eq(1..3 * SEGMENT + 8));
        assert_eq!(segments.get(3 * SEGMENT + 6), Some(&(3 * SEGMENT + 7)));
        assert_eq!(segments.get(3 * SEGMENT + 7), None);
        assert_eq!(segments.get(usize::MAX), None);
        assert!(segments.heap_bytes() >= 4 * SEGMENT * size_of::<usize>());
        assert!(segments.into_elements().eq(1..3 * SEGMENT + 8));
    }

    #[test]
    fn growth_is_foreseen() {
        for more in [1, 7, SEGMENT - 1, SEGMENT, 3 * SEGMENT + 1] {
            let mut segments: Segments<u64> = Segments::default();
            for _ in 0..2000 / more + 2 {
                let foreseen = segments.heap_bytes() + segments.growth_bytes(more);
                (0..more).for_each(|_| segments.push(0));
                // The least that a vector takes is not thought of.
                assert!(segments.heap_bytes() <= foreseen + 128, "{more}");
            }
        }
    }
}
