//! A measure that may be null, in eight bytes.

use std::cmp::Ordering;

/// A double or null. Null is kept as a NaN of its own, apart from a NaN that a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Number(u64);

/// When two numbers count as equal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closeness {
    pub relative: f64,
    pub absolute: f64,
}

impl Number {
    pub const NULL: Number = Number(0x7ff8_6e75_6c6c_0001);

    pub fn new(value: f64) -> Self {
        // Any NaN becomes the common one, so that none is taken for null.
        Number(if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() })
    }

    pub fn get(self) -> Option<f64> {
        (self != Number::NULL).then(|| f64::from_bits(self.0))
    }

    /// Nulls first, NaN last.
    pub fn order(self, other: Number) -> Ordering {
        match (self.get(), other.get()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => a.total_cmp(&b),
        }
    }

    /// |a - b| over the larger of |a| and |b|; `None` where that means nothing.
    pub fn relative_difference(self, other: Number) -> Option<f64> {
        let (a, b) = (self.get()?, other.get()?);
        if a == b {
            return Some(0.0);
        }
        let relative = (a - b).abs() / a.abs().max(b.abs());
        relative.is_finite().then_some(relative)
    }
}

impl Closeness {
    pub fn close(self, a: Number, b: Number) -> bool {
        if a == b {
            return true;
        }
        match (a.get(), b.get()) {
            (Some(a), Some(b)) => {
                a == b || {
                    let difference = (a - b).abs();
                    difference.is_finite()
                        && (difference <= self.absolute
                            || difference <= self.relative * a.abs().max(b.abs()))
                }
            }
            _ => false,
        }
    }

    /// Whether a difference is too small to speak of whatever the numbers' size.
    pub fn negligible(self, a: Number, b: Number) -> bool {
        matches!((a.get(), b.get()), (Some(a), Some(b)) if (a - b).abs() <= self.absolute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Closeness = Closeness { relative: 1e-9, absolute: 1e-12 };

    #[test]
    fn null_and_nan_are_not_each_other() {
        let (null, nan) = (Number::NULL, Number::new(f64::NAN));
        assert!(TOLERANCE.close(null, null));
        assert!(TOLERANCE.close(nan, nan));
        assert!(!TOLERANCE.close(null, nan));
        assert!(!TOLERANCE.close(null, Number::new(0.0)));
        assert!(!TOLERANCE.close(nan, Number::new(0.0)));
    }

    #[test]
    fn tolerance_is_relative_and_absolute() {
        let close = |a, b| TOLERANCE.close(Number::new(a), Number::new(b));
        assert!(close(1e9, 1e9 + 0.5));
        assert!(!close(1e9, 1e9 + 2.0));
        assert!(close(0.0, 1e-13));
        assert!(!close(0.0, 1e-11));
        assert!(close(0.0, -0.0));
        assert!(close(f64::INFINITY, f64::INFINITY));
        assert!(!close(f64::INFINITY, f64::NEG_INFINITY));
        assert!(!close(f64::INFINITY, 1.0));
        assert!(!close(1e308, -1e308));
    }
}
