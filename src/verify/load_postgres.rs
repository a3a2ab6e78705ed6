//! Reads a side from the summary table.

use std::fmt::Write as _;

use postgres::Transaction;

use super::csv_reader::buffered;
use super::load_csv;
use super::{Database, Filter, LoadError, Rows};

const TABLE: &str = "reporting_ocpusagelineitem_daily_summary";

/// Reads every column but `uuid`, in one statement, so the rows are of one moment.
///
/// PostgreSQL's CSV quotes a text that is `\N`, as the CSV sink does, so the reader is shared.
pub(super) fn load(database: Database<'_>, filter: &Filter) -> Result<Rows, LoadError> {
    let Database { client, schema } = database;
    let table = format!("{}.{TABLE}", quoted(schema));
    let name = table.clone();
    let fail = |source| LoadError::Database { table: name.clone(), source };
    let mut transaction = client.build_transaction().read_only(true).start().map_err(fail)?;
    // The server may be set to write dates in another order.
    transaction.batch_execute("SET LOCAL datestyle = 'ISO, YMD'").map_err(fail)?;
    let columns = columns(&mut transaction, schema).map_err(fail)?;
    if columns.is_empty() {
        return Err(LoadError::NoTable { table });
    }
    let list: Vec<String> = columns.iter().map(|c| quoted(c)).collect();
    let copy = format!(
        "COPY (SELECT {} FROM {table}{}) TO STDOUT WITH (FORMAT csv, HEADER, NULL '\\N', ENCODING \
         'UTF8')",
        list.join(", "),
        condition(filter)
    );
    let reader = transaction.copy_out(&copy).map_err(fail)?;
    load_csv::read(buffered(reader), format!("table {table} as CSV"), filter).map_err(|e| match e {
        LoadError::Read { source, .. } => LoadError::Interrupted { table, source },
        other => other,
    })
}

fn columns(
    transaction: &mut Transaction<'_>,
    schema: &str,
) -> Result<Vec<String>, postgres::Error> {
    let rows = transaction.query(
        "SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN \
         pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND \
         a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'uuid' ORDER BY a.attnum",
        &[&schema, &TABLE],
    )?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// COPY takes no parameters; dates and uuids print as nothing but themselves.
fn condition(filter: &Filter) -> String {
    let mut terms = Vec::new();
    if let Some(from) = filter.from {
        terms.push(format!("usage_start >= date '{from}'"));
    }
    if let Some(to) = filter.to {
        terms.push(format!("usage_start <= date '{to}'"));
    }
    if !filter.provider_uuids.is_empty() {
        let mut term = String::from("source_uuid IN (");
        for (i, uuid) in filter.provider_uuids.iter().enumerate() {
            let _ = write!(term, "{}'{uuid}'", if i > 0 { ", " } else { "" });
        }
        term.push(')');
        terms.push(term);
    }
    if terms.is_empty() { String::new() } else { format!(" WHERE {}", terms.join(" AND ")) }
}

/// An SQL identifier that means exactly `name`.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_conditions() {
        assert_eq!(quoted("org1\"; drop"), "\"org1\"\"; drop\"");
        assert_eq!(condition(&Filter::default()), "");
        let filter = Filter {
            from: "2025-10-01".parse().ok(),
            to: "2025-10-31".parse().ok(),
            provider_uuids: vec!["bc531e7b-f319-5bbf-b686-40d15291920d".parse().unwrap()],
        };
        assert_eq!(
            condition(&filter),
            " WHERE usage_start >= date '2025-10-01' AND usage_start <= date '2025-10-31' AND \
             source_uuid IN ('bc531e7b-f319-5bbf-b686-40d15291920d')"
        );
    }
}
