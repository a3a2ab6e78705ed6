//! Why there is no plan.

use uuid::Uuid;

use crate::decode::error::InputError;
use crate::settings::Month;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Store(#[from] StoreError),

    #[error(transparent)]
    Input(#[from] InputError),

    #[error("no files of provider {provider} for any month of the range below {looked_in}; {hint}")]
    UnknownProvider { provider: Uuid, looked_in: String, hint: String },

    #[error(
        "provider {provider} has daily pod files for {month} but no hourly ones, which capacity \
         comes from, so nodes would have none: check that the hourly files are complete and where \
         --layout looks for them"
    )]
    NoCapacity { provider: Uuid, month: Month },
}
