//! `numeric(33,15)` from a double: the shortest decimal digits that stand for the double, rounded
//! half away from zero at the fifteenth decimal.

use std::fmt::{self, Write};

use bytes::{BufMut, BytesMut};

use super::Unstorable;

/// Decimals the column keeps.
const SCALE: i32 = 15;
/// 10^18: eighteen digits before the point are the most the column holds.
const LIMIT: f64 = 1e18;
/// PostgreSQL's numeric has digits of base 10000, aligned at the point.
const BASE: u64 = 10_000;
/// Base-10000 digits of an integer below 10^18, and of sixteen decimals.
const INTEGER_DIGITS: usize = 5;
const FRACTION_DIGITS: usize = 4;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// Appends `value` as a `numeric` field with fifteen decimals. Allocates nothing but in `out`.
///
/// # Errors
/// A value of 10^18 or more, infinity, or NaN. Nothing is appended then.
pub fn encode(out: &mut BytesMut, value: f64) -> Result<(), Unstorable> {
    let scaled = scale(value.abs())?;
    let one = 10u128.pow(SCALE as u32);
    // Both halves fit 64 bits: below 10^18, and below 10^16 with the sixteenth decimal, a zero,
    // that fills the last group.
    let (mut integer, mut fraction) = ((scaled / one) as u64, (scaled % one) as u64 * 10);
    let mut digits = [0i16; INTEGER_DIGITS + FRACTION_DIGITS];
    for digit in digits[INTEGER_DIGITS..].iter_mut().rev() {
        *digit = (fraction % BASE) as i16;
        fraction /= BASE;
    }
    for digit in digits[..INTEGER_DIGITS].iter_mut().rev() {
        *digit = (integer % BASE) as i16;
        integer /= BASE;
    }
    let first = digits.iter().position(|&digit| digit != 0);
    let last = digits.iter().rposition(|&digit| digit != 0);
    let (digits, weight) = match first.zip(last) {
        Some((first, last)) => (&digits[first..=last], INTEGER_DIGITS as i16 - 1 - first as i16),
        None => (&digits[..0], 0),
    };
    // A zero has no sign.
    let sign = if value < 0.0 && !digits.is_empty() { NEGATIVE } else { POSITIVE };
    out.put_i32(8 + 2 * digits.len() as i32);
    out.put_i16(digits.len() as i16);
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_i16(SCALE as i16);
    for &digit in digits {
        out.put_i16(digit);
    }
    Ok(())
}

/// `magnitude` · 10^15, rounded half up: exact in decimal, since the digits are.
fn scale(magnitude: f64) -> Result<u128, Unstorable> {
    if magnitude.is_nan() || magnitude >= LIMIT {
        return Err(Unstorable::TooManyDigits);
    }
    let Decimal { mantissa, exponent } = Decimal::shortest(magnitude);
    let shift = exponent + SCALE;
    if mantissa == 0 {
        return Ok(0);
    }
    if shift >= 0 {
        // At most 10^33, by the limit above.
        return Ok(u128::from(mantissa) * 10u128.pow(shift.unsigned_abs()));
    }
    let dropped = shift.unsigned_abs();
    // A mantissa has at most seventeen digits: less than half of 10^18.
    if dropped > 17 {
        return Ok(0);
    }
    let unit = 10u128.pow(dropped);
    Ok((u128::from(mantissa) + unit / 2) / unit)
}

/// `mantissa` · 10^`exponent`.
#[derive(Debug, PartialEq)]
struct Decimal {
    mantissa: u64,
    exponent: i32,
}

impl Decimal {
    /// The shortest decimal that reads back as the finite `magnitude`, which is not negative.
    fn shortest(magnitude: f64) -> Self {
        let mut sink = Digits { mantissa: 0, decimals: 0, exponent: 0, part: Part::Integer };
        // `{:e}` writes like `1.25e-7`; the sink takes every character, so it cannot fail.
        let _ = write!(sink, "{magnitude:e}");
        Decimal { mantissa: sink.mantissa, exponent: sink.exponent - sink.decimals }
    }
}

/// Reads what `{:e}` writes, as it is written.
struct Digits {
    mantissa: u64,
    decimals: i32,
    exponent: i32,
    part: Part,
}

enum Part {
    Integer,
    Decimals,
    Exponent { negative: bool },
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match (byte, &mut self.part) {
                (b'.', _) => self.part = Part::Decimals,
                (b'e', _) => self.part = Part::Exponent { negative: false },
                (b'-', Part::Exponent { negative }) => *negative = true,
                (b'0'..=b'9', part) => {
                    let digit = byte - b'0';
                    match part {
                        Part::Integer => self.mantissa = self.mantissa * 10 + u64::from(digit),
                        Part::Decimals => {
                            self.mantissa = self.mantissa * 10 + u64::from(digit);
                            self.decimals += 1;
                        }
                        Part::Exponent { negative } => {
                            let digit = i32::from(digit);
                            let signed = if *negative { -digit } else { digit };
                            self.exponent = self.exponent * 10 + signed;
                        }
                    }
                }
                _ => return Err(fmt::Error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_digits_are_found() {
        let shortest = |v| Decimal::shortest(v);
        assert_eq!(shortest(0.0), Decimal { mantissa: 0, exponent: 0 });
        assert_eq!(shortest(0.1), Decimal { mantissa: 1, exponent: -1 });
        assert_eq!(shortest(1234.5), Decimal { mantissa: 12345, exponent: -1 });
        assert_eq!(shortest(1e17), Decimal { mantissa: 1, exponent: 17 });
        assert_eq!(shortest(5e-324), Decimal { mantissa: 5, exponent: -324 });
        assert_eq!(
            shortest(13.617534999999998),
            Decimal { mantissa: 13617534999999998, exponent: -15 }
        );
    }

    #[test]
    fn rounding_is_half_away_from_zero_at_the_fifteenth_decimal() {
        assert_eq!(scale(5e-16), Ok(1));
        assert_eq!(scale(4.999e-16), Ok(0));
        assert_eq!(scale(1.5e-15), Ok(2));
        assert_eq!(scale(2.5e-15), Ok(3));
        assert_eq!(scale(9.999999999999999e-16), Ok(1));
        assert_eq!(scale(5e-324), Ok(0));
        assert_eq!(scale(0.30000000000000004), Ok(300_000_000_000_000));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for value in [1e18, -1e18, f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let mut out = BytesMut::new();
            assert_eq!(encode(&mut out, value), Err(Unstorable::TooManyDigits), "{value}");
            assert!(out.is_empty());
        }
        assert_eq!(encode(&mut BytesMut::new(), 999_999_999_999_999_900.0), Ok(()));
    }

    #[test]
    fn digits_are_aligned_at_the_point() {
        let mut out = BytesMut::new();
        encode(&mut out, -12345.678).unwrap();
        let fields: Vec<i16> =
            out[4..].chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect();
        assert_eq!(fields, [3, 1, 0x4000, 15, 1, 2345, 6780]);
    }

    #[test]
    fn a_zero_has_no_sign_and_no_digits() {
        for value in [0.0, -0.0, -1e-300] {
            let mut out = BytesMut::new();
            encode(&mut out, value).unwrap();
            assert_eq!(out[..], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 15], "{value}");
        }
    }
}
