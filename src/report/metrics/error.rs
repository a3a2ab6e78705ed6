//! Why metrics cannot be had.

use std::io;
use std::net::SocketAddr;

use crate::sink::file::FileError;

#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    #[error("cannot keep metrics: choose another --metrics-file, or leave it out")]
    File(#[source] FileError),

    #[error(
        "cannot serve metrics at {address}: give a free port of this machine with --metrics-listen, \
         or leave it out"
    )]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },

    #[error("cannot start the thread that serves metrics")]
    Thread(#[source] io::Error),
}
