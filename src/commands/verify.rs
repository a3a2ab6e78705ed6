//! `verify`.

use std::io::{BufWriter, Write};

use anyhow::{Context, Result};

use super::{exit, logging};
use crate::cli::verify::VerifyCommand;
use crate::settings::{self, load};
use crate::verify::{self, Database, LoadError, Rows, Table};

pub fn run(command: &VerifyCommand) -> Result<u8> {
    let args = &command.args;
    let filter = match args.filter() {
        Ok(filter) => filter,
        Err(message) => {
            eprintln!("error: {message}");
            return Ok(exit::USAGE);
        }
    };
    let config = load::config(&command.config)?;
    let mut connection = if args.needs_database() {
        let settled = settings::settle_database(command, &load::env, config.as_ref())?;
        let (postgres, log) = settled.settings;
        logging::start(&log);
        settled.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let client = crate::database::connect(&postgres)?;
        Some((client, postgres.schema))
    } else {
        let settled = settings::settle_logging(command, &load::env, config.as_ref())?;
        logging::start(&settled.settings);
        None
    };
    let mut rows = |table: &Table| -> Result<Rows, LoadError> {
        let database =
            connection.as_mut().map(|(client, schema)| Database { client, schema: &*schema });
        verify::load(table, &filter, database)
    };
    let (left, right) = match (rows(&args.left), rows(&args.right)) {
        (Ok(left), Ok(right)) => (left, right),
        (Err(error), _) | (_, Err(error)) => {
            let code = if error.is_database() { exit::OUTPUT } else { exit::INPUT };
            eprintln!("error: {:#}", anyhow::Error::new(error));
            return Ok(code);
        }
    };
    let report = verify::compare(&left, &right, &args.options());
    let mut out = BufWriter::new(std::io::stdout().lock());
    let render = if args.json { verify::render::json } else { verify::render::text };
    render(&report, &mut out)
        .and_then(|()| out.flush())
        .context("cannot write the report to standard output")?;
    Ok(if report.is_equal() { exit::DONE } else { exit::DIFFERENT })
}
