#![no_main]
//! Needs a PostgreSQL, told of as any run is: `DATABASE_SERVICE_HOST`, `POSTGRES_SCHEMA=public` and so on.

#[path = "../bodies/copy_encoding.rs"]
mod body;

use std::sync::LazyLock;

use ocp_rollup::cli::NoFlags;
use ocp_rollup::settings::{Postgres, load, settle_database};

static SERVER: LazyLock<Postgres> = LazyLock::new(|| {
    let settled = settle_database(&NoFlags, &load::env, None);
    settled.unwrap_or_else(|error| panic!("{error}")).settings.0
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(&SERVER, data));
