//! Trying again: with growing, jittered pauses, for a settled time.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::faults::{Asked, Verdict};
use crate::store::StoreError;
use crate::store::error::Cause;
use crate::store::traffic::{Fault, Traffic};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Where no credentials were ever had there most likely are none: no use to ask for minutes.
const FIRST_CREDENTIALS: u32 = 3;

/// Why one try failed.
#[derive(Debug)]
pub enum Failure {
    Library(object_store::Error),
    Credentials(object_store::Error),
    /// Found while timing and counting.
    Fault(Fault, String),
    /// Not worth another try.
    Final(StoreError),
}

/// How requests are tried again.
#[derive(Debug)]
pub struct Retries<'a> {
    pub retry_for: Duration,
    pub traffic: &'a Traffic,
    pub cancelled: &'a AtomicBool,
    pub had_credentials: &'a AtomicBool,
}

impl Retries<'_> {
    /// Calls `attempt` until it succeeds, fails for good, or `retry_for` has passed since the
    /// first call; no try begins after that, but one that brings bytes is not cut off.
    pub async fn run<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        asked: Asked<'_>,
        attempt: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let started = Instant::now();
        let mut tries = 0;
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(StoreError::Interrupted);
            }
            let failure = match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            tries += 1;
            let (fault, cause, last) = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Fault(fault, text) => (fault, Cause::text(text), None),
                Failure::Library(error) => match asked.judge(&error) {
                    Verdict::Fail(error) => return Err(error),
                    Verdict::Again(fault, cause) => (fault, cause, None),
                },
                Failure::Credentials(error) => {
                    let cause = Cause::of(&error);
                    (Fault::Credentials, cause, Some(asked.no_credentials(&error)))
                }
            };
            self.traffic.count_fault(fault);
            let pause = pause(tries);
            let never_had = last.is_some() && !self.had_credentials.load(Ordering::Relaxed);
            let elapsed = started.elapsed();
            if elapsed + pause >= self.retry_for || (never_had && tries >= FIRST_CREDENTIALS) {
                return Err(last.unwrap_or(StoreError::GaveUp {
                    action: asked.action.to_owned(),
                    fault,
                    tries,
                    time: elapsed,
                    source: cause,
                }));
            }
            tracing::debug!(
                tries,
                pause_ms = pause.as_millis(),
                "cannot {} yet: {fault}: {cause}",
                asked.action
            );
            tokio::time::sleep(pause).await;
        }
    }
}

/// The pause after the given number of failures: doubling, and so spread that many requests that
/// failed together do not come back together.
fn pause(failures: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let spread = (Uuid::new_v4().as_u64_pair().1 & 0xffff) as f64 / f64::from(0x1_0000);
    whole.min(LONGEST_PAUSE).mul_f64(0.5 + spread / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds() {
        for (failures, most) in [(1, 100), (2, 200), (5, 1600), (8, 10_000), (u32::MAX, 10_000)] {
            let most = Duration::from_millis(most);
            let pause = pause(failures);
            assert!(pause >= most / 2 && pause < most, "{failures}: {pause:?}");
        }
    }
}
