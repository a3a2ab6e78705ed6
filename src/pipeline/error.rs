//! Why a run failed.

use crate::decode::error::InputError;
use crate::plan::PlanError;
use crate::sink::SinkError;
use crate::spill::SpillError;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Read(#[from] PlanError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Spill(#[from] SpillError),
    #[error("interrupted: the day in progress was rolled back, finished days stay")]
    Interrupted,
}
