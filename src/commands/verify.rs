//! `verify`.

use anyhow::Result;

use super::{exit, logging, output};
use crate::cli::verify::VerifyCommand;
use crate::settings::{self, load};
use crate::verify::{self, Database, LoadError, Rows, Table};

pub fn run(command: &VerifyCommand) -> Result<u8> {
    let args = &command.args;
    let filter = match args.filter() {
        Ok(filter) => filter,
        Err(message) => {
            output::error(message);
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
            output::error(format_args!("{:#}", anyhow::Error::new(error)));
            return Ok(code);
        }
    };
    let report = verify::compare(&left, &right, &args.options());
    let render = if args.json { verify::render::json } else { verify::render::text };
    output::write(|out| render(&report, out))?;
    Ok(if report.is_equal() { exit::DONE } else { exit::DIFFERENT })
}
