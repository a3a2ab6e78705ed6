//! What the rows of each day were made of, kept beside them, so that a run can leave out what has
//! not changed.

mod error;
pub mod fingerprint;
pub mod recorder;
pub mod state;
pub mod table;

pub use error::LedgerError;
pub use fingerprint::Fingerprint;
pub use recorder::{Recorder, Rows};
pub use state::{Change, State};
pub use table::{Access, Entry, Ledger};
