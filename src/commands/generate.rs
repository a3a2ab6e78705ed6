//! `generate`.

use anyhow::Result;

use super::exit;
use crate::cli::generate::GenerateArgs;
use crate::generate;

pub fn run(args: GenerateArgs) -> Result<u8> {
    match generate::run(&args.into()) {
        Ok(summary) => {
            println!("{summary}");
            Ok(exit::DONE)
        }
        Err(error) => {
            let code = if error.is_usage() { exit::USAGE } else { exit::OUTPUT };
            eprintln!("error: {:#}", anyhow::Error::new(error));
            Ok(code)
        }
    }
}
