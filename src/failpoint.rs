//! Named points at which a test makes the program stop, fail or die.
//!
//! Only a build with the feature `failpoints` looks at the environment; in any other, [`hit`] does
//! nothing. `OCP_ROLLUP_FAILPOINT=NAME=ACTION` arms one point:
//!
//! - `wait:FILE`: create `FILE.reached`, then wait until `FILE` exists;
//! - `abort`: die at once, without unwinding or closing anything;
//! - `error`: make [`hit`] fail;
//! - `panic`: panic;
//! - `hoard`: take memory until the kernel ends the process, or there are 2 GiB; `hoard:FILE`: only if
//!   `FILE` does not exist, which is created.

/// An armed failpoint was told to fail.
#[derive(Debug, thiserror::Error)]
#[error("failpoint {0} was told to fail")]
pub struct FailpointError(String);

/// Does what the environment asks for at the point `name`.
///
/// # Errors
/// With the action `error`, or when the file of `wait` cannot be made.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn hit(_name: &str) -> Result<(), FailpointError> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use armed::hit;

#[cfg(feature = "failpoints")]
#[expect(
    clippy::disallowed_methods,
    clippy::panic,
    reason = "a test dies, waits and is armed by variable"
)]
mod armed {
    use std::fs::File;
    use std::path::{Path, PathBuf};
    use std::sync::OnceLock;
    use std::time::Duration;

    use super::FailpointError;

    const VARIABLE: &str = "OCP_ROLLUP_FAILPOINT";

    enum Action {
        Wait(PathBuf),
        Abort,
        Error,
        Panic,
        /// Only once, if there is a file.
        Hoard(Option<PathBuf>),
    }

    /// Does what the environment asks for at the point `name`.
    ///
    /// # Errors
    /// With the action `error`, or when the file of `wait` cannot be made.
    pub fn hit(name: &str) -> Result<(), FailpointError> {
        static ARMED: OnceLock<Option<(String, Action)>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| std::env::var(VARIABLE).ok().and_then(|s| parse(&s)));
        match armed {
            Some((point, action)) if point == name => action.run(name),
            _ => Ok(()),
        }
    }

    fn parse(setting: &str) -> Option<(String, Action)> {
        let (name, action) = setting.split_once('=')?;
        let action = match action.split_once(':') {
            Some(("wait", file)) => Action::Wait(PathBuf::from(file)),
            Some(("hoard", file)) => Action::Hoard(Some(PathBuf::from(file))),
            None if action == "hoard" => Action::Hoard(None),
            None if action == "abort" => Action::Abort,
            None if action == "error" => Action::Error,
            None if action == "panic" => Action::Panic,
            _ => {
                tracing::warn!(
                    setting,
                    "{VARIABLE} is not NAME=wait:FILE, NAME=abort, NAME=error, NAME=panic or NAME=hoard"
                );
                return None;
            }
        };
        Some((name.to_owned(), action))
    }

    impl Action {
        fn run(&self, name: &str) -> Result<(), FailpointError> {
            match self {
                Action::Wait(file) => wait(name, file),
                Action::Abort => std::process::abort(),
                Action::Error => Err(FailpointError(name.to_owned())),
                Action::Panic => panic!("failpoint {name} was told to panic"),
                Action::Hoard(once) => {
                    let first = once.as_ref().is_none_or(|file| File::create_new(file).is_ok());
                    if first {
                        hoard();
                    }
                    Ok(())
                }
            }
        }
    }

    fn hoard() {
        const PIECE: usize = 1 << 20;
        // Not zeros: those would be the one page that all share.
        let held: Vec<Vec<u8>> = (0..2048).map(|_| vec![1; PIECE]).collect();
        std::hint::black_box(held);
    }

    fn wait(name: &str, file: &Path) -> Result<(), FailpointError> {
        let mut reached = file.as_os_str().to_owned();
        reached.push(".reached");
        std::fs::write(PathBuf::from(reached), b"").map_err(|_| FailpointError(name.to_owned()))?;
        while !file.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}
