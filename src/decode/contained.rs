//! Panics of the Parquet reader as errors of the file.

use parquet::errors::ParquetError;

/// Has the Parquet reader do something with the bytes of a file. What it used in doing so is not to be
/// used again after an error.
///
/// # Errors
/// Those of `read`; a panic is one too.
pub fn contained<T, E: From<ParquetError>>(read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    crate::contained::contained(read)
        .unwrap_or_else(|panicked| Err(ParquetError::General(panicked.to_string()).into()))
}
