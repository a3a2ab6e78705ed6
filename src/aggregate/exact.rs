//! Exact sums of doubles: integers at a fixed scale, so that adding is associative and the order
//! of rows, chunks, threads and processes cannot be seen in a total.
//!
//! The hot path is [`Sum`], two `i64`s. A value whose bits do not all lie inside its window goes
//! to a [`Wide`], which holds any finite double. [`Total`] is what a finished sum is made of, and
//! the only place where rounding happens: once, correctly, when it becomes a double.

use std::collections::BTreeMap;

/// Bits between the two halves of a [`Sum`].
const SPLIT: u32 = 56;
const TWO_POW_SPLIT: f64 = (1u64 << SPLIT) as f64;

/// The unit of a measure's sums, as an exponent of two.
///
/// A value is taken by the fast path when its highest bit is below `2^(high + 62)` and its lowest
/// at or above `2^(high - 56)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// The high half counts multiples of `2^high`.
    high: i32,
}

/// Core-seconds: every double in `[2^-20, 2^46)` is inside the window.
pub const CORE_SECONDS: Scale = Scale { high: -16 };
/// Byte-seconds: every double in `[2^-4, 2^62)` is inside the window.
pub const BYTE_SECONDS: Scale = Scale { high: 0 };

impl Scale {
    /// The exponent of the unit of a [`Total`] at this scale.
    const fn unit(self) -> i32 {
        self.high - SPLIT as i32
    }

    const fn factor(self) -> f64 {
        // 2^-high, as bits.
        f64::from_bits(((1023 - self.high) as u64) << 52)
    }

    /// Biased exponents of the doubles inside the window.
    const fn lowest_exponent(self) -> u64 {
        (1023 + self.unit() + 52) as u64
    }

    const fn exponents(self) -> u64 {
        (self.high + 62 - (self.unit() + 52)) as u64
    }
}

/// A running sum of the values inside a scale's window: `high * 2^scale.high + low * 2^unit`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    high: i64,
    low: i64,
}

impl Sum {
    /// Adds `value`, or returns false and leaves the sum as it is: then the value belongs in a
    /// [`Wide`] (or is NaN or infinite, which the caller has sorted out).
    #[inline]
    #[must_use]
    pub fn add(&mut self, value: f64, scale: Scale) -> bool {
        let exponent = (value.to_bits() >> 52) & 0x7ff;
        if exponent.wrapping_sub(scale.lowest_exponent()) >= scale.exponents() {
            return value == 0.0;
        }
        // Both products and the difference are exact inside the window.
        let scaled = value * scale.factor();
        let high = scaled as i64;
        let low = ((scaled - high as f64) * TWO_POW_SPLIT) as i64;
        self.add_parts(high, low)
    }

    #[inline]
    fn add_parts(&mut self, high: i64, low: i64) -> bool {
        let Some(new_high) = self.high.checked_add(high) else {
            return false;
        };
        match self.low.checked_add(low) {
            Some(new_low) => {
                self.high = new_high;
                self.low = new_low;
                true
            }
            None => self.carry_and_add(new_high, low),
        }
    }

    #[cold]
    fn carry_and_add(&mut self, new_high: i64, low: i64) -> bool {
        let Some(carried) = new_high.checked_add(self.low >> SPLIT) else {
            return false;
        };
        // What stays of the low half is small, but `low` may be a whole sum's.
        let Some(new_low) = (self.low & ((1 << SPLIT) - 1)).checked_add(low) else {
            return false;
        };
        self.high = carried;
        self.low = new_low;
        true
    }

    /// Adds another sum at the same scale, or returns false and leaves this one as it is.
    #[inline]
    #[must_use]
    pub fn merge(&mut self, other: Sum) -> bool {
        self.add_parts(other.high, other.low)
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

/// An exact sum of any finite doubles: signed limbs of 32 bits, each with room for 2^42 additions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wide {
    limbs: BTreeMap<i32, i128>,
}

const LIMB: i32 = 32;

impl Wide {
    /// Adds a finite double.
    pub fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let biased = ((bits >> 52) & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, exponent) =
            if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
        let signed = if bits >> 63 == 1 { -i128::from(mantissa) } else { i128::from(mantissa) };
        self.add_limb(exponent.div_euclid(LIMB), signed << exponent.rem_euclid(LIMB));
    }

    /// Adds `value * 2^exponent`.
    fn add_fixed(&mut self, value: i128, exponent: i32) {
        let negative = value < 0;
        let mut rest = value.unsigned_abs();
        let mut limb = exponent.div_euclid(LIMB);
        let shift = exponent.rem_euclid(LIMB);
        while rest != 0 {
            let piece = ((rest & 0xffff_ffff) as i128) << shift;
            self.add_limb(limb, if negative { -piece } else { piece });
            rest >>= LIMB;
            limb += 1;
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Wide) {
        for (&limb, &value) in &other.limbs {
            self.add_limb(limb, value);
        }
    }

    /// The limbs as (index, value), for storage outside of memory.
    pub fn limbs(&self) -> impl ExactSizeIterator<Item = (i32, i128)> + '_ {
        self.limbs.iter().map(|(&limb, &value)| (limb, value))
    }

    /// Adds a limb that [`Wide::limbs`] gave.
    pub fn add_limb(&mut self, limb: i32, value: i128) {
        *self.limbs.entry(limb).or_default() += value;
    }

    fn scaled(&self, factor: i128) -> Wide {
        let mut product = Wide::default();
        for (&limb, &value) in &self.carried().limbs {
            product.add_limb(limb, value * factor);
        }
        product.carried()
    }

    /// The same sum with every limb but the topmost in `0..2^32`.
    fn carried(&self) -> Wide {
        let mut limbs = BTreeMap::new();
        let mut carry = 0i128;
        let mut pending = self.limbs.iter().peekable();
        let Some(&(&first, _)) = pending.peek() else {
            return Wide::default();
        };
        let mut index = first;
        while pending.peek().is_some() || (carry != 0 && carry != -1) {
            let here = match pending.peek() {
                Some(&(&limb, &value)) if limb == index => {
                    pending.next();
                    value
                }
                _ => 0,
            };
            let total = here + carry;
            let low = total & 0xffff_ffff;
            carry = total >> LIMB;
            if low != 0 {
                limbs.insert(index, low);
            }
            index += 1;
        }
        if carry != 0 {
            limbs.insert(index, carry);
        }
        Wide { limbs }
    }
}

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
        let mut sum = Sum::default();
        if sum.add(value, scale) {
            self.add_fixed(sum.fixed());
        } else {
            self.wide_mut().add(value);
        }
    }

    /// Adds `times * other`; both at the same scale.
    pub fn add_times(&mut self, other: &Total, times: i64) {
        debug_assert_eq!(self.unit, other.unit);
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
    pub fn divided(&self, divisor: u64, shift: i32) -> f64 {
        match &self.wide {
            None => {
                let value = rounded(self.fixed.unsigned_abs(), self.unit + shift, false, divisor);
                if self.fixed < 0 { -value } else { value }
            }
            Some(wide) => {
                let mut all = (**wide).clone();
                all.add_fixed(self.fixed, self.unit);
                let (negative, top, exponent, more) = leading_bits(&all);
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

/// Sign, the leading bits of the magnitude, their exponent, and whether bits below them are set.
fn leading_bits(wide: &Wide) -> (bool, u128, i32, bool) {
    let mut carried = wide.carried();
    let negative = carried.limbs.last_key_value().is_some_and(|(_, &v)| v < 0);
    if negative {
        carried = carried.scaled(-1);
    }
    let Some((&last, _)) = carried.limbs.last_key_value() else {
        return (false, 0, 0, false);
    };
    // Four limbs hold 97 to 128 leading bits; the fifth fills them up to 128.
    let lowest = last - 3;
    let mut top = 0u128;
    let mut fifth = 0u32;
    let mut more = false;
    for (&limb, &value) in carried.limbs.iter().rev() {
        if limb >= lowest {
            top |= (value as u128) << ((limb - lowest) * LIMB);
        } else if limb == lowest - 1 {
            fifth = value as u32;
        } else {
            more |= value != 0;
        }
    }
    let shift = top.leading_zeros();
    if shift > 0 {
        top = (top << shift) | u128::from(fifth >> (32 - shift));
        fifth <<= shift;
    }
    more |= fifth != 0;
    (negative, top, lowest * LIMB - shift as i32, more)
}

/// `(top [+ something below its last bit]) * 2^exponent / divisor`, to the nearest double.
fn rounded(top: u128, exponent: i32, more: bool, divisor: u64) -> f64 {
    if top == 0 {
        return 0.0;
    }
    // Bits are missing below `top` only where it is already full.
    let shift = top.leading_zeros();
    let normal = top << shift;
    let divisor = u128::from(divisor);
    let quotient = normal / divisor;
    let sticky = more || !normal.is_multiple_of(divisor);
    // At least 64 bits of quotient, of which a double keeps 53.
    let length = 128 - quotient.leading_zeros() as i32;
    let mut exponent = exponent - shift as i32;
    let mut drop = length - 53;
    // A subnormal keeps fewer.
    let lowest = -1074;
    if exponent + drop < lowest {
        drop = lowest - exponent;
    }
    if drop > 127 {
        return 0.0;
    }
    let kept = quotient >> drop;
    let half = 1u128 << (drop - 1);
    let below = quotient & ((half << 1) - 1);
    let up = below > half || (below == half && (sticky || kept & 1 == 1));
    let mut mantissa = kept as u64 + u64::from(up);
    exponent += drop;
    // In two steps, since 2^exponent alone may be outside the range of a double.
    let mut value = {
        if mantissa == 1 << 53 {
            mantissa >>= 1;
            exponent += 1;
        }
        mantissa as f64
    };
    while exponent > 900 {
        value *= 2f64.powi(900);
        exponent -= 900;
    }
    while exponent < -900 && value != 0.0 {
        // Exact: the mantissa was cut to what a subnormal holds.
        let step = (-exponent).min(900);
        value /= 2f64.powi(step);
        exponent += step;
    }
    value * 2f64.powi(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(values: &[f64], scale: Scale) -> Total {
        let mut sum = Sum::default();
        let mut wide = Wide::default();
        for &v in values {
            if !sum.add(v, scale) {
                wide.add(v);
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
        let mut sum = Sum::default();
        for _ in 0..100_000 {
            assert!(sum.add(70_000_000.999_999_9, CORE_SECONDS));
        }
        let exact = 70_000_000.999_999_9 * 100_000.0;
        let got = Total::new(sum, None, CORE_SECONDS).divided(1, 0);
        assert!((got - exact).abs() <= exact * 1e-15, "{got} {exact}");
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
        let one = total(&[4e18], BYTE_SECONDS);
        for _ in 0..200 {
            t.add_times(&one, 1);
        }
        t.add_times(&one, i64::MAX);
        t.add_times(&one, -i64::MAX);
        assert_eq!(t.divided(1, 0), 8e20);
    }

    proptest! {
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
