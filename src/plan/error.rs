//! Why there is no plan.

use uuid::Uuid;

use crate::decode::error::InputError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error(transparent)]
    Store(#[from] StoreError),

    #[error(transparent)]
    Input(#[from] InputError),

    #[error("no files of provider {provider} for any month of the range below {looked_in}; {hint}")]
    UnknownProvider { provider: Uuid, looked_in: String, hint: String },
}
