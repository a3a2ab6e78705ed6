//! `convert`.

use anyhow::Result;

use super::signals::Signals;
use super::{exit, logging, output};
use crate::cli::convert::ConvertCommand;
use crate::convert::{self, Fault};
use crate::settings::{self, load};

pub fn run(command: ConvertCommand) -> Result<u8> {
    let config = load::config(&command.config)?;
    let settled = settings::settle_logging(&command, &load::env, config.as_ref())?;
    logging::start(&settled.settings);
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let signals = Signals::listen()?;
    // The folder for what is not finished yet comes first.
    signals.begin_writing(None);
    match convert::run(&command.args.into(), signals.cancelled()) {
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
