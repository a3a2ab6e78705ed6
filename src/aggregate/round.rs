//! An exact quotient to the nearest double.

/// `(top [+ something below its last bit]) * 2^exponent / divisor`, to the nearest double, ties to
/// even. Where something is below, `top` is full: its first bit is set.
#[inline]
pub fn rounded(top: u128, exponent: i32, more: bool, divisor: u64) -> f64 {
    if top == 0 {
        return 0.0;
    }
    let shift = top.leading_zeros();
    let (quotient, remainder) = divide(top << shift, divisor);
    let sticky = more || remainder != 0;
    // At least 64 bits of quotient, of which a double keeps 53.
    let length = 128 - quotient.leading_zeros() as i32;
    let exponent = exponent - shift as i32;
    let drop = length - 53;
    if exponent + drop < LOWEST_NORMAL || exponent + drop > HIGHEST {
        return extreme(quotient, exponent, sticky, drop);
    }
    let mantissa = kept(quotient, drop, sticky);
    // Rounding up to 2^53 carries into the exponent, as it should.
    let biased = (exponent + drop + 52 + 1023) as u64;
    f64::from_bits(((biased - 1) << 52) + mantissa)
}

/// Exponents of the last bit of a double that is neither subnormal nor about to be infinite.
const LOWEST_NORMAL: i32 = -1074;
const HIGHEST: i32 = 970;

/// Quotient and remainder. `divisor` is mostly a small constant: then no division is left of it.
#[inline]
fn divide(value: u128, divisor: u64) -> (u128, u64) {
    let Ok(small) = u32::try_from(divisor) else {
        let divisor = u128::from(divisor);
        return (value / divisor, (value % divisor) as u64);
    };
    let divisor = u64::from(small);
    let (high, low) = ((value >> 64) as u64, value as u64);
    let middle = ((high % divisor) << 32) | (low >> 32);
    let last = ((middle % divisor) << 32) | (low & 0xffff_ffff);
    let low = ((middle / divisor) << 32) | (last / divisor);
    ((u128::from(high / divisor) << 64) | u128::from(low), last % divisor)
}

/// `quotient` without its last `drop` bits (1 to 127), rounded.
#[inline]
fn kept(quotient: u128, drop: i32, sticky: bool) -> u64 {
    let kept = (quotient >> drop) as u64;
    let half = 1u128 << (drop - 1);
    let below = quotient & ((half << 1) - 1);
    let up = below > half || (below == half && (sticky || kept & 1 == 1));
    kept + u64::from(up)
}

/// Subnormal or huge: a subnormal keeps fewer bits.
#[cold]
fn extreme(quotient: u128, exponent: i32, sticky: bool, drop: i32) -> f64 {
    let drop = drop.max(LOWEST_NORMAL - exponent);
    // With all of its bits dropped, what lies above half of the least double still rounds up to it.
    if drop > 127 {
        let half = 1 << 127;
        let up = drop == 128 && (quotient > half || (quotient == half && sticky));
        return f64::from_bits(u64::from(up));
    }
    let mut value = kept(quotient, drop, sticky) as f64;
    let mut exponent = exponent + drop;
    // In steps, since 2^exponent alone may be outside the range of a double.
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn long_division(value: u128, divisor in prop_oneof![1u64..5000, any::<u64>()]) {
            let divisor = divisor.max(1);
            let wide = u128::from(divisor);
            prop_assert_eq!(divide(value, divisor), (value / wide, (value % wide) as u64));
        }

        #[test]
        fn doubles_of_any_size_stay_what_they_are(bits: u64) {
            let value = f64::from_bits(bits & !(1 << 63));
            if value.is_finite() && value != 0.0 {
                let biased = (bits >> 52 & 0x7ff) as i32;
                let fraction = u128::from(bits & ((1 << 52) - 1));
                let (top, exponent) =
                    if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) };
                prop_assert_eq!(rounded(top, exponent, false, 1), value);
                prop_assert_eq!(rounded(top * 3, exponent, false, 3), value);
            }
        }
    }

    #[test]
    fn carries_and_ties() {
        // 2^54 - 1 rounds up to 2^54, 2^53 + 1 is a tie and goes to the even 2^53.
        assert_eq!(rounded((1 << 54) - 1, 0, false, 1), 2f64.powi(54));
        assert_eq!(rounded((1 << 53) + 1, 0, false, 1), 2f64.powi(53));
        assert_eq!(rounded((1 << 53) + 3, 0, false, 1), 2f64.powi(53) + 4.0);
        // What lies below decides the tie.
        let full = 1u128 << 127 | 1 << 74;
        assert_eq!(rounded(full, -127, false, 1), 1.0);
        assert_eq!(rounded(full, -127, true, 1), 1.0 + f64::EPSILON);
        assert_eq!(rounded(1, 1024, false, 1), f64::INFINITY);
        assert_eq!(rounded(1, -1075, false, 1), 0.0);
        assert_eq!(rounded(3, -1076, false, 1), 5e-324);
        assert_eq!(rounded(1 << 127, -1202, true, 1), 5e-324);
        assert_eq!(rounded(3, -1077, false, 1), 0.0);
    }
}
