//! How to reach PostgreSQL. The password has no flag: every user of the machine can read flags.

use clap::Args;

use super::{Flags, text};

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "PostgreSQL (password: DATABASE_PASSWORD or config file)")]
pub struct PostgresFlags {
    /// Host name, address or socket folder [default: localhost]; also `DATABASE_SERVICE_HOST`.
    #[arg(long, value_name = "HOST", value_parser = text())]
    pub db_host: Option<String>,

    /// Port [default: 5432]; also `DATABASE_SERVICE_PORT`.
    #[arg(long, value_name = "PORT", value_parser = text())]
    pub db_port: Option<String>,

    /// Database [default: koku]; also `DATABASE_NAME`.
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub db_name: Option<String>,

    /// User [default: koku]; also `DATABASE_USER`.
    #[arg(long, value_name = "USER", value_parser = text())]
    pub db_user: Option<String>,

    /// Whether to encrypt, and what to check, as in libpq [default: prefer]; also `PGSSLMODE`.
    #[arg(long, value_name = "MODE",
          value_parser = ["disable", "prefer", "require", "verify-ca", "verify-full"])]
    pub db_sslmode: Option<String>,

    /// PEM file with the authorities that `verify-ca` and `verify-full` trust [default: those
    /// of the system]; also `PGSSLROOTCERT`.
    #[arg(long, value_name = "FILE", value_parser = text())]
    pub db_sslrootcert: Option<String>,

    /// The name that the server shows for the connections of this program [default: ocp-rollup];
    /// also `PGAPPNAME`.
    #[arg(long, value_name = "NAME", value_parser = text())]
    pub db_application_name: Option<String>,

    /// The most that one statement may take, or `off` [default: as the server says].
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub db_statement_timeout: Option<String>,

    /// The most that a statement may wait for a table or row, or `off` [default: as the server
    /// says].
    #[arg(long, value_name = "TIME", value_parser = text())]
    pub db_lock_timeout: Option<String>,

    /// Schema of the tenant, e.g. `org1234567` [default: the value of --org-id].
    #[arg(long, value_name = "SCHEMA", value_parser = text())]
    pub schema: Option<String>,
}

impl Flags for PostgresFlags {
    fn value(&self, name: &str) -> Option<String> {
        match name {
            "db-host" => self.db_host.clone(),
            "db-port" => self.db_port.clone(),
            "db-name" => self.db_name.clone(),
            "db-user" => self.db_user.clone(),
            "db-sslmode" => self.db_sslmode.clone(),
            "db-sslrootcert" => self.db_sslrootcert.clone(),
            "db-application-name" => self.db_application_name.clone(),
            "db-statement-timeout" => self.db_statement_timeout.clone(),
            "db-lock-timeout" => self.db_lock_timeout.clone(),
            "schema" => self.schema.clone(),
            _ => None,
        }
    }
}
