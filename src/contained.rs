//! Keeps a panic of code that others wrote to the bytes or settings that brought it about: some trust what
//! a file or a stream says of itself.

use std::any::Any;
use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::task::Poll;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What a panic said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a library cannot go on: {0}")]
pub struct Panicked(String);

/// Has a reader do something with bytes. What it used in doing so is not to be used again after an
/// error.
///
/// # Errors
/// A panic of `read`, which says nothing on standard error.
pub fn contained<T>(read: impl FnOnce() -> T) -> Result<T, Panicked> {
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
    done.map_err(|panic| Panicked(said(&*panic).to_owned()))
}

/// The same for work that waits in between.
///
/// # Errors
/// A panic of `work`.
pub async fn contained_async<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = Box::pin(work);
    poll_fn(move |context| match contained(|| work.as_mut().poll(context)) {
        Ok(poll) => poll.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
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
        let said = |done: Result<(), Panicked>| done.unwrap_err().to_string();
        let words = said(contained(|| panic!("out of {}", "bounds")));
        assert!(words.contains("out of bounds"), "{words}");
        assert!(said(contained(|| panic!("plainly"))).contains("plainly"));
        assert!(said(contained(|| panic::panic_any(7))).contains("does not say why"));
        assert_eq!(contained(|| contained(|| 7)), Ok(Ok(7)));
        assert!(!CONTAINED.get());
    }
}
