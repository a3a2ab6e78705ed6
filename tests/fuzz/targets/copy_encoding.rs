#![no_main]
//! Needs a PostgreSQL at 127.0.0.1, port `PGPORT`, that lets `postgres` in without a password.

#[path = "../bodies/copy_encoding.rs"]
mod body;

use std::sync::LazyLock;

use ocp_rollup::settings::{Postgres, SslMode};

static SERVER: LazyLock<Postgres> = LazyLock::new(|| Postgres {
    host: "127.0.0.1".to_owned(),
    port: std::env::var("PGPORT").ok().and_then(|port| port.parse().ok()).unwrap_or(5432),
    database: "postgres".to_owned(),
    user: "postgres".to_owned(),
    password: None,
    schema: "public".to_owned(),
    sslmode: SslMode::Disable,
    sslrootcert: None,
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(&SERVER, data));
