//! `generate`.

use anyhow::Result;

use super::signals::Signals;
use super::{exit, output, target};
use crate::cli::generate::GenerateArgs;
use crate::generate::{self, GenerateError};
use crate::settings::load;
use crate::store::{S3Store, StoreError};

pub fn run(args: GenerateArgs) -> Result<u8> {
    let store = store(&args)?;
    if store.is_some() && args.lookups.is_none() {
        output::error("--lookups is needed where --out is no folder: run reads them from one");
        return Ok(exit::USAGE);
    }
    let plan = args.into();
    let done = match &store {
        None => generate::run(&plan),
        Some(store) => generate::run_to_store(&plan, store),
    };
    match done {
        Ok(summary) => {
            output::print(format_args!("{summary}\n"))?;
            Ok(exit::DONE)
        }
        Err(error) => {
            let code = match &error {
                GenerateError::Store(StoreError::Interrupted) => exit::INTERRUPTED,
                error if error.is_usage() => exit::USAGE,
                _ => exit::OUTPUT,
            };
            output::error(format_args!("{:#}", anyhow::Error::new(error)));
            Ok(code)
        }
    }
}

/// The object store that the tree goes to, if it goes to one. Signals are heeded then, so that no
/// file stays behind in the folder for temporary ones.
fn store(args: &GenerateArgs) -> Result<Option<S3Store>> {
    let out = args.out.to_string_lossy();
    if !target::is_store(&out) {
        return Ok(None);
    }
    let signals = Signals::listen()?;
    signals.begin_writing(None);
    target::store(&out, &args.s3, load::config(&args.config)?.as_ref(), &signals)
}
