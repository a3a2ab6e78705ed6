//! Exact sums of doubles of any size.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// An exact sum of any finite doubles: signed limbs of 32 bits, each with room for 2^42 additions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wide {
    limbs: BTreeMap<i32, i128>,
}

const LIMB: i32 = 32;

/// From the last bit of the least double to far beyond as many of the greatest as can be added.
const LIMBS: RangeInclusive<i32> = -34..=40;

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
    pub fn add_fixed(&mut self, value: i128, exponent: i32) {
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

    /// The limbs as (index, value), carried, for storage outside of memory.
    pub fn limbs(&self) -> impl ExactSizeIterator<Item = (i32, i128)> {
        self.carried().limbs.into_iter()
    }

    /// Adds a limb that [`Wide::limbs`] gave; false for one that it cannot have given.
    #[must_use]
    pub fn take_limb(&mut self, limb: i32, value: i128) -> bool {
        let possible = LIMBS.contains(&limb) && (-1..1 << LIMB).contains(&value);
        if possible {
            self.add_limb(limb, value);
        }
        possible
    }

    fn add_limb(&mut self, limb: i32, value: i128) {
        *self.limbs.entry(limb).or_default() += value;
    }

    /// The sum times `factor`, which is small beside 2^64.
    pub fn scaled(&self, factor: i128) -> Wide {
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

    /// Sign, the leading bits of the magnitude, their exponent, and whether bits below them are set.
    pub fn leading_bits(&self) -> (bool, u128, i32, bool) {
        let mut carried = self.carried();
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
}
