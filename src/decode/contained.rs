//! Keeps a panic of the Parquet reader to the file whose bytes brought it about: it trusts some of
//! what a file says of itself.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use parquet::errors::ParquetError;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Has the Parquet reader do something with the bytes of a file. What it used in doing so is not to be
/// used again after an error.
///
/// # Errors
/// Those of `read`; a panic is one too, and says nothing on standard error.
pub fn contained<T, E: From<ParquetError>>(read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !CONTAINED.get() {
                usual(panic);
            }
        }));
    });
    let outer = CONTAINED.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(read));
    CONTAINED.set(outer);
    done.unwrap_or_else(|panic| {
        let said = said(&*panic);
        Err(ParquetError::General(format!("the reader cannot go on: {said}")).into())
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref().copied()).unwrap_or("it does not say why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words_and_results_pass() {
        let failed = |done: Result<(), ParquetError>| done.unwrap_err().to_string();
        let words = failed(contained(|| panic!("out of {}", "bounds")));
        assert!(words.contains("out of bounds"), "{words}");
        assert!(failed(contained(|| panic!("plainly"))).contains("plainly"));
        assert!(failed(contained(|| panic::panic_any(7))).contains("does not say why"));
        assert!(failed(contained(|| Err(ParquetError::EOF("end".into())))).contains("end"));
        assert_eq!(contained(|| contained(|| Ok::<_, ParquetError>(7))).unwrap(), 7);
        assert!(!CONTAINED.get());
    }
}
