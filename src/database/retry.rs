//! Failures that may not come again, and pauses between tries.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Why a transaction failed that may well succeed when it is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Passing {
    Deadlock,
    SerializationFailure,
    LostConnection,
}

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Passing::Deadlock => "deadlock",
            Passing::SerializationFailure => "serialization failure",
            Passing::LostConnection => "lost connection",
        })
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How soon a sleeper notices that it is to wake up.
const LOOK: Duration = Duration::from_millis(50);

/// Pauses that double, with chance in them so that two writers do not meet again, until a time
/// since the first failure is up.
#[derive(Debug)]
pub struct Backoff {
    since: Instant,
    within: Duration,
    tries: u32,
}

impl Backoff {
    /// To be made at the first failure.
    pub fn new(within: Duration) -> Self {
        Backoff { since: Instant::now(), within, tries: 0 }
    }

    /// Sleeps before another try; false if the time is up or would be before that, or once
    /// `interrupted` is set.
    pub fn sleep(&mut self, interrupted: &AtomicBool) -> bool {
        let pause = half_to_full(doubled(self.tries), Uuid::new_v4().as_u128());
        if self.since.elapsed() + pause > self.within {
            return false;
        }
        self.tries += 1;
        let until = Instant::now() + pause;
        while !interrupted.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(LOOK));
        }
        false
    }

    /// How often it has slept.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Since the first failure.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

fn doubled(times: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times)).min(LONGEST_PAUSE)
}

fn half_to_full(pause: Duration, chance: u128) -> Duration {
    let half = pause / 2;
    half + half * (chance % 1000) as u32 / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(doubled(0), FIRST_PAUSE);
        assert_eq!(doubled(3), FIRST_PAUSE * 8);
        assert_eq!(doubled(u32::MAX), LONGEST_PAUSE);
        for chance in [0, 1, 999, 1000, u128::MAX] {
            let pause = half_to_full(FIRST_PAUSE, chance);
            assert!(pause >= FIRST_PAUSE / 2 && pause <= FIRST_PAUSE, "{pause:?}");
        }
    }

    #[test]
    fn no_time_is_no_second_try() {
        let mut none = Backoff::new(Duration::ZERO);
        assert!(!none.sleep(&AtomicBool::new(false)));
        assert_eq!(none.tries(), 0);
    }

    #[test]
    fn who_is_interrupted_does_not_sleep_on() {
        let mut backoff = Backoff::new(Duration::from_secs(3600));
        assert!(!backoff.sleep(&AtomicBool::new(true)));
        assert!(backoff.sleep(&AtomicBool::new(false)));
    }
}
