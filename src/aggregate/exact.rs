//! Exact sums of doubles: integers at a fixed scale, so that adding is associative and the order
//! of rows, chunks, threads and processes cannot be seen in a total.
//!
//! The hot path is [`Sum`], two `i64`s. A value whose bits do not all lie inside its window goes
//! to a [`Wide`], which holds any finite double. [`Total`] is what a finished sum is made of, and
//! the only place where rounding happens: once, correctly, when it becomes a double.

use super::round::rounded;
use super::wide::Wide;

/// Bits between the two halves of a [`Sum`].
const SPLIT: u32 = 52;
const TWO_POW_SPLIT: f64 = (1u64 << SPLIT) as f64;

/// The unit of a measure's sums, as an exponent of two.
///
/// A value is taken by the fast path when it is below `2^(high + 51)` and its lowest bit is at or
/// above `2^(high - 52)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// The high half counts multiples of `2^high`.
    high: i32,
}

/// Core-seconds: every double in `[2^-20, 2^31)` is inside the window.
pub const CORE_SECONDS: Scale = Scale { high: -20 };
/// Byte-seconds: every double in `[2^8, 2^59)` is inside the window.
pub const BYTE_SECONDS: Scale = Scale { high: 8 };

impl Scale {
    /// The exponent of the unit of a [`Total`] at this scale.
    const fn unit(self) -> i32 {
        self.high - SPLIT as i32
    }

    const fn factor(self) -> f64 {
        // 2^-high, as bits.
        f64::from_bits(((1023 - self.high) as u64) << 52)
    }
}

/// A running sum of the values inside a scale's window: `high * 2^scale.high + low * 2^unit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    high: i64,
    low: i64,
}

/// A double below `MOST` in magnitude, added to this, leaves the integer nearest to it in the last
/// bits: two's complement, counted from the bits of this.
const TO_INTEGER: f64 = 1.5 * TWO_POW_SPLIT;
const MOST: f64 = TWO_POW_SPLIT / 2.0;

/// How often [`Sum::add_small`] may be called before [`Sum::settle`].
pub const UNSETTLED: u32 = 1024;

/// What a high half may be for that.
const SETTLED: u64 = 1 << 60;

impl Sum {
    /// What `value` adds, and whether it lies inside the window. If not (also for NaN), the parts
    /// mean nothing and the value belongs in a [`Wide`].
    ///
    /// There are no branches, and nothing that two or more values could not do at once.
    #[inline(always)]
    pub fn of(value: f64, scale: Scale) -> (Sum, bool) {
        // Exact but for values so small that bits are lost; those are found to be outside.
        let scaled = value * scale.factor();
        let shifted = scaled + TO_INTEGER;
        let rest = (scaled - (shifted - TO_INTEGER)) * TWO_POW_SPLIT;
        let shifted_rest = rest + TO_INTEGER;
        let fits = (scaled.abs() < MOST)
            & (shifted_rest - TO_INTEGER == rest)
            // Only a value made smaller can vanish altogether.
            & ((scale.high <= 0) | (scaled != 0.0) | (value == 0.0));
        let integer = |shifted: f64| (shifted.to_bits() as i64).wrapping_sub(INTEGER_BITS);
        (Sum { high: integer(shifted), low: integer(shifted_rest) }, fits)
    }

    /// Adds what [`Sum::of`] made of a value that fits. After [`UNSETTLED`] of these the sum must be
    /// settled: until then neither half can overflow.
    #[inline(always)]
    pub fn add_small(&mut self, parts: Sum) {
        self.high = self.high.wrapping_add(parts.high);
        self.low = self.low.wrapping_add(parts.low);
    }

    /// Carries what the low half holds beyond its bits. False if the sum is so large that it
    /// belongs in a [`Wide`]: see [`Sum::move_to`].
    #[must_use]
    pub fn settle(&mut self) -> bool {
        let carry = self.low >> SPLIT;
        let Some(high) = self.high.checked_add(carry) else {
            return false;
        };
        self.high = high;
        self.low &= (1 << SPLIT) - 1;
        high.unsigned_abs() <= SETTLED
    }

    /// Adds another sum at the same scale, or returns false and leaves this one as it is.
    #[inline]
    #[must_use]
    pub fn merge(&mut self, other: Sum) -> bool {
        let sum = self.fixed() + other.fixed();
        let Ok(high) = i64::try_from(sum >> SPLIT) else {
            return false;
        };
        *self = Sum { high, low: (sum & ((1 << SPLIT) - 1)) as i64 };
        true
    }

    /// Empties this sum into `wide`.
    pub fn move_to(&mut self, wide: &mut Wide, scale: Scale) {
        wide.add_fixed(self.fixed(), scale.unit());
        *self = Sum::default();
    }

    /// The two halves, for storage outside of memory.
    pub fn parts(self) -> (i64, i64) {
        (self.high, self.low)
    }

    /// The inverse of [`Sum::parts`].
    pub fn from_parts(high: i64, low: i64) -> Self {
        Sum { high, low }
    }

    /// The sum in units of `2^scale.unit()`; always fits.
    fn fixed(self) -> i128 {
        (i128::from(self.high) << SPLIT) + i128::from(self.low)
    }
}

/// The bits of `TO_INTEGER`.
const INTEGER_BITS: i64 = TO_INTEGER.to_bits() as i64;

/// A finished sum: exact, until [`Total::divided`] makes a double of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    fixed: i128,
    unit: i32,
    wide: Option<Box<Wide>>,
}

impl Total {
    pub fn zero(scale: Scale) -> Self {
        Total { fixed: 0, unit: scale.unit(), wide: None }
    }

    /// Zero at this total's scale.
    pub fn zeroed(&self) -> Self {
        Total { fixed: 0, unit: self.unit, wide: None }
    }

    pub fn new(sum: Sum, wide: Option<&Wide>, scale: Scale) -> Self {
        let wide = wide.map(|w| Box::new(w.clone()));
        Total { fixed: sum.fixed(), unit: scale.unit(), wide }
    }

    /// Adds one double.
    pub fn add_value(&mut self, value: f64, scale: Scale) {
        let (parts, fits) = Sum::of(value, scale);
        if fits {
            self.add_fixed(parts.fixed());
        } else {
            self.wide_mut().add(value);
        }
    }

    /// Adds `times * other`; both at the same scale.
    #[inline]
    pub fn add_times(&mut self, other: &Total, times: i64) {
        debug_assert_eq!(self.unit, other.unit);
        if times == 1 && other.wide.is_none() {
            return self.add_fixed(other.fixed);
        }
        match other.fixed.checked_mul(i128::from(times)) {
            Some(product) => self.add_fixed(product),
            None => {
                let mut wide = Wide::default();
                wide.add_fixed(other.fixed, other.unit);
                self.wide_mut().merge(&wide.scaled(i128::from(times)));
            }
        }
        if let Some(wide) = &other.wide {
            self.wide_mut().merge(&wide.scaled(i128::from(times)));
        }
    }

    fn add_fixed(&mut self, value: i128) {
        match self.fixed.checked_add(value) {
            Some(sum) => self.fixed = sum,
            None => {
                let unit = self.unit;
                self.wide_mut().add_fixed(value, unit);
            }
        }
    }

    fn wide_mut(&mut self) -> &mut Wide {
        self.wide.get_or_insert_default()
    }

    /// The total times `2^shift / divisor`, rounded once to the nearest double, ties to even.
    /// `divisor` is not zero.
    #[inline]
    pub fn divided(&self, divisor: u64, shift: i32) -> f64 {
        match &self.wide {
            None => {
                let value = rounded(self.fixed.unsigned_abs(), self.unit + shift, false, divisor);
                if self.fixed < 0 { -value } else { value }
            }
            Some(wide) => {
                let mut all = (**wide).clone();
                all.add_fixed(self.fixed, self.unit);
                let (negative, top, exponent, more) = all.leading_bits();
                let value = rounded(top, exponent + shift, more, divisor);
                if negative { -value } else { value }
            }
        }
    }
}

/// `N` finished sums in little memory, of which some may be null.
#[derive(Debug, Clone)]
pub struct Totals<const N: usize> {
    fixed: [i128; N],
    present: u16,
    /// Only where a sum needs it.
    wide: Option<Box<[Option<Box<Wide>>; N]>>,
}

impl<const N: usize> Default for Totals<N> {
    fn default() -> Self {
        Totals { fixed: [0; N], present: 0, wide: None }
    }
}

impl<const N: usize> Totals<N> {
    pub fn add_times(&mut self, index: usize, other: &Total, times: i64) {
        self.present |= 1 << index;
        if times == 1 && other.wide.is_none() {
            // Nearly always.
            if let Some(sum) = self.fixed[index].checked_add(other.fixed) {
                self.fixed[index] = sum;
                return;
            }
        }
        let wide = self.wide.as_mut().and_then(|wide| wide[index].take());
        let mut sum = Total { fixed: self.fixed[index], unit: other.unit, wide };
        sum.add_times(other, times);
        self.fixed[index] = sum.fixed;
        if sum.wide.is_some() {
            self.wide.get_or_insert_with(|| Box::new([const { None }; N]))[index] = sum.wide;
        }
    }

    /// Sum `index`, all of whose parts were at `scale`; `None` if it has none.
    pub fn get(&self, index: usize, scale: Scale) -> Option<Total> {
        let wide = self.wide.as_ref().and_then(|wide| wide[index].clone());
        let total = Total { fixed: self.fixed[index], unit: scale.unit(), wide };
        (self.present >> index & 1 == 1).then_some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(values: &[f64], scale: Scale) -> Total {
        let mut sum = Sum::default();
        let mut wide = Wide::default();
        for (i, &v) in (1u32..).zip(values) {
            match Sum::of(v, scale) {
                (parts, true) => sum.add_small(parts),
                (_, false) => wide.add(v),
            }
            if i.is_multiple_of(UNSETTLED) && !sum.settle() {
                sum.move_to(&mut wide, scale);
            }
        }
        Total::new(sum, Some(&wide), scale)
    }

    #[test]
    fn cancels_exactly() {
        let t = total(&[1e18, 1.0, -1e18, 0.1, -0.1], CORE_SECONDS);
        assert_eq!(t.divided(1, 0), 1.0);
    }

    #[test]
    fn holds_extremes() {
        for v in [f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e-310, -2.5e300, 123.456] {
            assert_eq!(total(&[v], CORE_SECONDS).divided(1, 0), v);
            assert_eq!(total(&[v, v, -v], BYTE_SECONDS).divided(1, 0), v);
        }
        assert_eq!(total(&[], CORE_SECONDS).divided(3600, 0), 0.0);
    }

    #[test]
    fn many_additions_carry() {
        // As large as the window lets them be, with low halves that all have one sign.
        for (value, scale) in
            [(2147483647.499_999_5, CORE_SECONDS), (-5.764607523034235e17 + 64.0, BYTE_SECONDS)]
        {
            assert!(Sum::of(value, scale).1);
            let sum = total(&vec![value; 100_000], scale);
            let mut product = Total::zero(scale);
            product.add_times(&total(&[value], scale), 100_000);
            assert_eq!(sum.divided(1, 0).to_bits(), product.divided(1, 0).to_bits());
        }
    }

    #[test]
    fn the_window_ends_where_it_says() {
        for scale in [CORE_SECONDS, BYTE_SECONDS] {
            let one = 2f64.powi(scale.high);
            let inside =
                [MOST.next_down() * one, one.next_up(), -one, 0.0, -0.0, one / TWO_POW_SPLIT];
            for value in inside {
                assert!(Sum::of(value, scale).1, "{value:e}");
            }
            let lost = one / TWO_POW_SPLIT;
            let outside =
                [MOST * one, lost / 2.0, one.next_up() - one + lost / 2.0, 5e-324, f64::NAN];
            for value in outside.into_iter().chain([f64::INFINITY, f64::MAX, 3e-320]) {
                assert!(!Sum::of(value, scale).1, "{value:e}");
            }
        }
    }

    #[test]
    fn merged_sums_that_overflow_are_told() {
        let mut sum = Sum::from_parts(i64::MAX, 1 << 51);
        assert!(!sum.merge(Sum::from_parts(0, 1 << 51)));
        assert_eq!(sum.parts(), (i64::MAX, 1 << 51));
        assert!(sum.merge(Sum::from_parts(-1, 1 << 51)));
        assert_eq!(sum.parts(), (i64::MAX, 0));
        assert!(!sum.settle());
    }

    #[test]
    fn quotients_are_correctly_rounded() {
        // 1/3, 2/3 and a tie that the remainder breaks.
        assert_eq!(total(&[1.0], CORE_SECONDS).divided(3, 0), 1.0 / 3.0);
        assert_eq!(total(&[2.0], CORE_SECONDS).divided(3, 0), 2.0 / 3.0);
        assert_eq!(total(&[7200.0], CORE_SECONDS).divided(3600, 0), 2.0);
        assert_eq!(total(&[3600.0 * 1.5], BYTE_SECONDS).divided(3600, -30), 1.5 / 1073741824.0);
    }

    #[test]
    fn overflow_of_the_fixed_part_is_kept() {
        let mut t = Total::zero(BYTE_SECONDS);
        let one = total(&[5e17], BYTE_SECONDS);
        for _ in 0..200 {
            t.add_times(&one, 1);
        }
        t.add_times(&one, i64::MAX);
        t.add_times(&one, -i64::MAX);
        assert_eq!(t.divided(1, 0), 1e20);
    }

    proptest! {
        #[test]
        fn parts_are_the_value(bits: u64) {
            let value = f64::from_bits(bits);
            for scale in [CORE_SECONDS, BYTE_SECONDS] {
                let (parts, fits) = Sum::of(value, scale);
                if fits {
                    prop_assert_eq!(Total::new(parts, None, scale).divided(1, 0), value);
                }
            }
        }

        #[test]
        fn parts_of_usual_values_are_the_value(v in 1e-3f64..1e17) {
            let (parts, _) = Sum::of(v, BYTE_SECONDS);
            if v >= 256.0 {
                prop_assert_eq!(Total::new(parts, None, BYTE_SECONDS).divided(1, 0), v);
            }
            let (parts, fits) = Sum::of(v, CORE_SECONDS);
            prop_assert_eq!(fits, v < 2147483648.0);
            if fits {
                prop_assert_eq!(Total::new(parts, None, CORE_SECONDS).divided(1, 0), v);
            }
        }

        #[test]
        fn division_matches_hardware(v in 1e-6f64..1e15, d in 1u64..1_000_000) {
            // One correctly rounded division of one double is what the hardware does.
            prop_assert_eq!(total(&[v], CORE_SECONDS).divided(d, 0), v / d as f64);
        }

        #[test]
        fn order_is_invisible(mut values in prop::collection::vec(
            prop_oneof![any::<i32>().prop_map(f64::from), -1e20f64..1e20, -1.0f64..1.0, -1e-12f64..1e-12], 1..60),
            cut in 0usize..60) {
            let forward = total(&values, CORE_SECONDS);
            let cut = cut.min(values.len());
            let mut parts = total(&values[..cut], CORE_SECONDS);
            parts.add_times(&total(&values[cut..], CORE_SECONDS), 1);
            prop_assert_eq!(forward.divided(3600, 0).to_bits(), parts.divided(3600, 0).to_bits());
            values.reverse();
            prop_assert_eq!(forward.divided(3600, 0).to_bits(), total(&values, CORE_SECONDS).divided(3600, 0).to_bits());
        }
    }
}
