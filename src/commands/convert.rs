//! `convert`.

use anyhow::Result;

use super::signals::Signals;
use super::{exit, logging, output, target};
use crate::cli::convert::ConvertCommand;
use crate::convert::{self, Fault, Plan};
use crate::settings::{self, load};

pub fn run(command: ConvertCommand) -> Result<u8> {
    let config = load::config(&command.config)?;
    let settled = settings::settle_logging(&command, &load::env, config.as_ref())?;
    logging::start(&settled.settings);
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let signals = Signals::listen()?;
    let out = command.args.out.to_string_lossy();
    let store = target::store(&out, &command, config.as_ref(), &signals)?;
    // The folder for what is not finished yet comes first.
    signals.begin_writing(None);
    let plan: Plan = command.args.into();
    let done = match &store {
        None => convert::run(&plan, signals.cancelled()),
        Some(store) => convert::run_to_store(&plan, store, signals.cancelled()),
    };
    match done {
        Ok(summary) => {
            output::print(summary)?;
            Ok(exit::DONE)
        }
        Err(error) => {
            let code = match error.fault() {
                Fault::Usage => exit::USAGE,
                Fault::Input => exit::INPUT,
                Fault::Output => exit::OUTPUT,
                Fault::Interrupted => exit::INTERRUPTED,
            };
            output::error(format_args!("{:#}", anyhow::Error::new(error)));
            Ok(code)
        }
    }
}
