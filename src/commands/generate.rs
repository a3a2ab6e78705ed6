//! `generate`.

use anyhow::Result;

use super::signals::Signals;
use super::{exit, output, target};
use crate::cli::generate::GenerateArgs;
use crate::generate::{self, GenerateError};
use crate::settings::load;
use crate::store::S3Store;

pub fn run(args: GenerateArgs) -> Result<u8> {
    let store = store(&args)?;
    if store.is_some() && args.lookups.is_none() {
        return Err(GenerateError::Option {
            option: "--lookups",
            value: "none".to_owned(),
            must_be: "a folder where --out is none: run reads lookups from one",
        }
        .into());
    }
    let plan = args.into();
    let summary = match &store {
        None => generate::run(&plan)?,
        Some(store) => generate::run_to_store(&plan, store)?,
    };
    output::print(format_args!("{summary}\n"))?;
    Ok(exit::DONE)
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
