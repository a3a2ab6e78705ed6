//! `generate`.

use anyhow::Result;

use super::{exit, output};
use crate::cli::generate::GenerateArgs;
use crate::generate;

pub fn run(args: GenerateArgs) -> Result<u8> {
    let summary = generate::run(&args.into())?;
    output::print(format_args!("{summary}\n"))?;
    Ok(exit::DONE)
}
