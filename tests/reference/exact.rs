//! Sums of doubles without rounding: a fixed-point number wide enough for every finite double.

/// Bits below the binary point: the smallest double is 2^-1074.
const FRACTION: i32 = 1074;
/// 32 bits each: 2^-1074 to 2^1024, and room for a few billion terms.
const LIMBS: usize = 68;

/// An exact sum; the result is rounded once, half to even.
#[derive(Clone)]
pub struct ExactSum {
    limbs: [i64; LIMBS],
    terms: u64,
}

impl ExactSum {
    pub fn new() -> Self {
        ExactSum { limbs: [0; LIMBS], terms: 0 }
    }

    /// Adds `value` as often as `times` says. `value` is finite.
    pub fn add(&mut self, value: f64, times: u64) {
        assert!(value.is_finite() && times < 1 << 20);
        self.terms += times;
        let bits = value.to_bits();
        let exponent = (bits >> 52 & 0x7ff) as i32;
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, power) = match exponent {
            0 => (fraction, -1074),
            _ => (fraction | 1 << 52, exponent - 1075),
        };
        let shift = (power + FRACTION) as usize;
        let mut wide = u128::from(mantissa) << (shift % 32);
        let sign = if value.is_sign_negative() { -1 } else { 1 };
        for limb in &mut self.limbs[shift / 32..shift / 32 + 3] {
            *limb += sign * (wide as u32 as i64) * times as i64;
            wide >>= 32;
        }
        self.carry();
    }

    /// The sum; `None` if nothing was added.
    pub fn value(&self) -> Option<f64> {
        if self.terms == 0 {
            return None;
        }
        let mut positive = self.clone();
        let negative = self.limbs[LIMBS - 1] < 0;
        if negative {
            positive.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            positive.carry();
        }
        let magnitude = positive.round();
        Some(if negative { -magnitude } else { magnitude })
    }

    /// Brings every limb but the last into 0..2^32.
    fn carry(&mut self) {
        for i in 0..LIMBS - 1 {
            let over = self.limbs[i].div_euclid(1 << 32);
            self.limbs[i] -= over << 32;
            self.limbs[i + 1] += over;
        }
    }

    fn bit(&self, i: usize) -> bool {
        self.limbs[i / 32] >> (i % 32) & 1 == 1
    }

    fn round(&self) -> f64 {
        let Some(top) = (0..LIMBS * 32).rev().find(|&i| self.bit(i)) else { return 0.0 };
        let low = top.saturating_sub(52);
        let mut mantissa = (low..=top).rev().fold(0u64, |m, i| m << 1 | u64::from(self.bit(i)));
        if low > 0 && self.bit(low - 1) {
            let sticky = (0..low - 1).any(|i| self.bit(i));
            if sticky || mantissa & 1 == 1 {
                mantissa += 1;
            }
        }
        // In two steps: 2^-1074 times a power of two may not be a double, nor its inverse.
        let power = low as i32 - FRACTION;
        mantissa as f64 * 2f64.powi(power / 2) * 2f64.powi(power - power / 2)
    }
}

#[test]
fn sums_are_exact_and_rounded_once() {
    let sum = |values: &[f64]| {
        let mut sum = ExactSum::new();
        values.iter().for_each(|v| sum.add(*v, 1));
        sum.value().unwrap()
    };
    assert_eq!(sum(&[1e300, 1.0, -1e300]), 1.0);
    assert_eq!(sum(&[0.1; 10]), 1.0);
    assert_eq!(sum(&[-0.25, -0.5]), -0.75);
    assert_eq!(sum(&[1e-320, 1e-320]), 2e-320);
    assert_eq!(sum(&[9007199254740992.0, 1.0]), 9007199254740992.0);
    assert_eq!(sum(&[9007199254740992.0, 1.0, 1e-300]), 9007199254740994.0);
    assert_eq!(sum(&[1.0, -1.0]), 0.0);
    let mut thrice = ExactSum::new();
    thrice.add(-1.5, 3);
    assert_eq!(thrice.value(), Some(-4.5));
    assert_eq!(ExactSum::new().value(), None);
}
