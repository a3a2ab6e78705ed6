//! What went over the network, counted.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A failure that may pass, so that the request is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection, or one that broke.
    Connection,
    /// No answer in time.
    Timeout,
    /// An answer of the 500s but 503.
    Server,
    /// 503 or 429: asked to slow down.
    SlowDown,
    /// A body that broke off, was too short, or not what it should be.
    Broken,
    /// A body of which no more came in time.
    Stalled,
    /// The service that gives credentials failed.
    Credentials,
}

impl Fault {
    pub const ALL: [Fault; 7] = [
        Fault::Connection,
        Fault::Timeout,
        Fault::Server,
        Fault::SlowDown,
        Fault::Broken,
        Fault::Stalled,
        Fault::Credentials,
    ];
}

impl Fault {
    /// The kind in one word, for metrics.
    pub fn kind(self) -> &'static str {
        match self {
            Fault::Connection => "connection",
            Fault::Timeout => "timeout",
            Fault::Server => "server_error",
            Fault::SlowDown => "slow_down",
            Fault::Broken => "broken_body",
            Fault::Stalled => "stalled_body",
            Fault::Credentials => "credentials",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Connection => "failed connection",
            Fault::Timeout => "no answer in time",
            Fault::Server => "server error",
            Fault::SlowDown => "slow down",
            Fault::Broken => "broken body",
            Fault::Stalled => "stalled body",
            Fault::Credentials => "no credentials",
        })
    }
}

/// Counters that requests share.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    bytes: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
}

impl Traffic {
    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn count_fault(&self, fault: Fault) {
        self.faults[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests sent, those tried again included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Bytes of object bodies received, those of failed tries included.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Failed tries by kind in one word, also where there were none.
    pub fn retries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |fault| self.faults[fault as usize].load(Ordering::Relaxed);
        Fault::ALL.into_iter().map(move |fault| (fault.kind(), count(fault)))
    }

    /// Failed tries by kind; only those that happened.
    pub fn faults(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL
            .into_iter()
            .map(|fault| (fault, self.faults[fault as usize].load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }
}
