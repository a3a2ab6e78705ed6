//! `convert`.

use anyhow::Result;

use super::{exit, logging};
use crate::cli::convert::ConvertCommand;
use crate::convert::{self, Fault};
use crate::settings::{self, load};

pub fn run(command: ConvertCommand) -> Result<u8> {
    let config = load::config(&command.config)?;
    let settled = settings::settle_logging(&command, &load::env, config.as_ref())?;
    logging::start(&settled.settings);
    settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let cancelled = super::signals::cancelled()?;
    match convert::run(&command.args.into(), &cancelled) {
        Ok(summary) => {
            print!("{summary}");
            Ok(exit::DONE)
        }
        Err(error) => {
            let code = match error.fault() {
                Fault::Usage => exit::USAGE,
                Fault::Input => exit::INPUT,
                Fault::Output => exit::OUTPUT,
                Fault::Interrupted => exit::INTERRUPTED,
            };
            eprintln!("error: {:#}", anyhow::Error::new(error));
            Ok(code)
        }
    }
}
