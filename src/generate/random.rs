//! Random numbers that depend on nothing but what they are asked for.
//!
//! Every decision about a pod, a node or an hour is drawn from a [`Stream`] seeded with the names of
//! the things it concerns, so that the order in which files are written does not matter. Only
//! integer and basic floating-point arithmetic is used: the numbers are the same on every machine.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The SplitMix64 finaliser: a bijection of the 64-bit integers that looks random.
pub fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A new seed out of `seed` and the parts that tell one use of it from another.
pub fn derive(seed: u64, parts: &[u64]) -> u64 {
    parts.iter().fold(mix(seed.wrapping_add(GOLDEN)), |state, part| {
        mix(state.rotate_left(23) ^ mix(part.wrapping_add(GOLDEN))).wrapping_add(GOLDEN)
    })
}

/// A stream of random numbers; two of the same seed are equal.
#[derive(Debug, Clone)]
pub struct Stream(u64);

impl Stream {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of `derive(seed, parts)`.
    pub fn of(seed: u64, parts: &[u64]) -> Self {
        Self(derive(seed, parts))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`, with all 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..count`; 0 if `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `items`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_seeds_depend_on_every_part_and_its_place() {
        let seeds =
            [derive(1, &[2, 3]), derive(1, &[3, 2]), derive(2, &[2, 3]), derive(1, &[2, 3, 0])];
        for (i, a) in seeds.iter().enumerate() {
            assert!(seeds[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn unit_is_uniform_enough_and_never_one() {
        let mut stream = Stream::new(7);
        let values: Vec<f64> = (0..20_000).map(|_| stream.unit()).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }

    #[test]
    fn below_reaches_every_value_and_shuffle_loses_none() {
        let mut stream = Stream::new(3);
        let mut seen = [false; 5];
        (0..200).for_each(|_| seen[stream.below(5)] = true);
        assert_eq!(seen, [true; 5]);
        assert_eq!(stream.below(0), 0);

        let mut items: Vec<u32> = (0..100).collect();
        stream.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
