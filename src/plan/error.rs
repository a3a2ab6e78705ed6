//! Why there is no plan.

use std::sync::Arc;

use uuid::Uuid;

use super::OddMark;
use crate::decode::error::InputError;
use crate::settings::Month;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Store(#[from] StoreError),

    #[error(transparent)]
    Input(#[from] InputError),

    #[error(
        "{files} files are of uploads that a later one of the same day supersedes, such as {example} \
         of manifest {manifest} with {hours} hours where manifest {by} has {by_hours}; remove them, \
         or run without --strict-duplicates to leave them out"
    )]
    Duplicates {
        files: usize,
        example: Arc<str>,
        manifest: Arc<str>,
        hours: u32,
        by: Arc<str>,
        by_hours: u32,
    },

    #[error(
        "{path}: what its metadata says of its upload cannot be understood: {mark}; repair or remove \
         it, or run without --strict-duplicates to count the file in any case"
    )]
    OddMark { path: Arc<str>, mark: OddMark },

    #[error("no files of provider {provider} for any month of the range below {looked_in}; {hint}")]
    UnknownProvider { provider: Uuid, looked_in: String, hint: String },

    #[error(
        "provider {provider} has daily pod files for {month} but no hourly ones, which capacity \
         comes from, so nodes would have none: check that the hourly files are complete and where \
         --layout looks for them"
    )]
    NoCapacity { provider: Uuid, month: Month },
}
