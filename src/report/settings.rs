//! Settled settings by their keys in the config file, without secrets.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use crate::settings::keys::{self, Key};
use crate::settings::{
    Addressing, BulkMode, ChunkSize, FanOut, Layout, LookupsFrom, NullRules, PROGRESS_FORMS,
    PodSource, S3, Secret, Settings, SinkTo, SslMode,
};

/// Those that have a value, in one line for the log.
pub fn line(settings: &Settings) -> String {
    let all = shown(settings).into_iter();
    let given = all.filter(|(_, value)| !["", "none", "not given"].contains(&value.as_str()));
    given.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// Keys and values in the order of the config file; only those that count for this run.
pub fn shown(settings: &Settings) -> Vec<(&'static str, String)> {
    let mut shown = Vec::new();
    let mut add = |key: &Key, value: String| shown.push((key.path, value));
    let input = &settings.input;
    add(&keys::SOURCE, input.source.clone());
    add(&keys::LAYOUT, templates(&input.layout));
    add(&keys::STRICT_DUPLICATES, switch(input.strict_duplicates));
    add(&keys::ORG_ID, input.org_id.clone());
    let providers: Vec<String> = settings.provider_uuids.iter().map(ToString::to_string).collect();
    add(&keys::PROVIDER_UUID, providers.join(","));
    add(&keys::CLUSTER_ID, or(settings.cluster_id.as_ref(), "not given"));
    add(&keys::CLUSTER_ALIAS, or(settings.cluster_alias.as_ref(), "not given"));
    add(&keys::FROM, settings.from.to_string());
    add(&keys::TO, settings.to.to_string());
    add(&keys::REPORT_PERIOD_ID, or(settings.report_period_id.as_ref(), "not given"));
    if let Some(s3) = &input.s3 {
        add_s3(s3, &mut add);
    }
    add(
        &keys::LOOKUPS,
        match &settings.lookups {
            LookupsFrom::Postgres => "postgres".to_owned(),
            LookupsFrom::Directory(folder) => folder.display().to_string(),
        },
    );
    add(
        &keys::SINK,
        match &settings.sink {
            SinkTo::Postgres => "postgres".to_owned(),
            SinkTo::Csv(path) => format!("csv:{}", path.display()),
            SinkTo::Parquet(path) => format!("parquet:{}", path.display()),
        },
    );
    if settings.sink == SinkTo::Postgres || settings.lookups == LookupsFrom::Postgres {
        let postgres = &settings.postgres;
        add(&keys::DB_HOST, postgres.host.clone());
        add(&keys::DB_PORT, postgres.port.to_string());
        add(&keys::DB_NAME, postgres.database.clone());
        add(&keys::DB_USER, postgres.user.clone());
        add(&keys::DB_PASSWORD, secret(postgres.password.as_ref()));
        add(&keys::DB_SCHEMA, postgres.schema.clone());
        add(&keys::DB_SSLMODE, sslmode(postgres.sslmode).to_owned());
        add(&keys::DB_SSLROOTCERT, file(postgres.sslrootcert.as_deref()));
        let session = &postgres.session;
        add(&keys::DB_APPLICATION_NAME, session.application_name.clone());
        add(&keys::DB_STATEMENT_TIMEOUT, timeout(session.statement_timeout));
        add(&keys::DB_LOCK_TIMEOUT, timeout(session.lock_timeout));
        add(&keys::DB_LOCK_WAIT, timeout(Some(session.lock_wait)));
        add(&keys::DB_RETRY_FOR, timeout(Some(session.retry_for)));
        let loading = settings.loading;
        add(&keys::CONNECTIONS, or(loading.connections.as_ref(), "auto"));
        add(&keys::COPY_BUFFER, loading.copy_buffer.to_string());
        add(
            &keys::BULK,
            match loading.bulk {
                BulkMode::Auto => "auto".to_owned(),
                BulkMode::Off => "off".to_owned(),
                BulkMode::On => "on".to_owned(),
            },
        );
    }
    let aggregation = settings.aggregation;
    add(
        &keys::POD_SOURCE,
        match aggregation.pod_source {
            PodSource::Hourly => "hourly".to_owned(),
            PodSource::Daily => "daily".to_owned(),
        },
    );
    add(
        &keys::FAN_OUT,
        match aggregation.fan_out {
            FanOut::Koku => "koku".to_owned(),
            FanOut::Collapse => "collapse".to_owned(),
        },
    );
    add(
        &keys::NULL_RULES,
        match aggregation.null_rules {
            NullRules::SelfHosted => "self_hosted".to_owned(),
            NullRules::Trino => "trino".to_owned(),
        },
    );
    let performance = &settings.performance;
    add(&keys::USE_STREAMING, switch(performance.use_streaming));
    add(
        &keys::CHUNK_SIZE,
        match performance.chunk_size {
            ChunkSize::Auto => "auto".to_owned(),
            ChunkSize::Rows(rows) => rows.to_string(),
        },
    );
    add(&keys::USE_CATEGORICAL, switch(performance.use_categorical));
    add(&keys::COLUMN_FILTERING, switch(performance.column_filtering));
    add(&keys::MAX_WORKERS, or(performance.threads.as_ref(), "auto"));
    add(&keys::PROCESSES, or(performance.processes.as_ref(), "off"));
    if performance.processes.is_some() {
        add(&keys::WORKER_TIMEOUT, format!("{}s", performance.worker_timeout.as_secs_f64()));
    }
    add(&keys::MEMORY_LIMIT, or(performance.memory_limit.as_ref(), "auto"));
    add(&keys::SPILL_DIR, performance.spill_dir.display().to_string());
    add(&keys::ALLOW_EMPTY, switch(settings.allow_empty));
    if let Some(sharding) = &settings.sharding {
        add(&keys::SHARD_COUNT, sharding.count.to_string());
        add(&keys::SHARD_INDEX, or(sharding.index.as_ref(), "not given"));
        let weights = sharding.weights.as_deref().map(Path::display);
        add(&keys::SHARD_WEIGHTS, or(weights.as_ref(), "none"));
    }
    add(&keys::INCREMENTAL, switch(settings.incremental));
    add(&keys::LEDGER, switch(settings.ledger));
    let observe = &settings.observe;
    let form = PROGRESS_FORMS.iter().find(|(_, form)| *form == observe.progress);
    add(&keys::PROGRESS, form.map_or("auto", |(word, _)| word).to_owned());
    add(&keys::PROGRESS_INTERVAL, format!("{}s", observe.interval.as_secs_f64()));
    add(
        &keys::METRICS_FILE,
        or(observe.metrics_file.as_deref().map(Path::display).as_ref(), "none"),
    );
    add(&keys::METRICS_LISTEN, or(observe.metrics_listen.as_ref(), "none"));
    add(&keys::REPORT, or(observe.report.as_deref().map(Path::display).as_ref(), "none"));
    shown
}

fn add_s3(s3: &S3, add: &mut impl FnMut(&Key, String)) {
    let endpoint = s3.endpoint.as_deref().map(without_user);
    add(&keys::S3_ENDPOINT, or(endpoint.as_ref(), "AWS"));
    add(&keys::S3_ACCESS_KEY, secret(s3.access_key.as_ref()));
    add(&keys::S3_SECRET_KEY, secret(s3.secret_key.as_ref()));
    add(&keys::S3_SESSION_TOKEN, secret(s3.session_token.as_ref()));
    add(&keys::S3_REGION, s3.region.clone());
    add(&keys::S3_USE_SSL, switch(s3.use_ssl));
    add(&keys::S3_VERIFY_SSL, switch(s3.verify_ssl));
    add(&keys::S3_CA_BUNDLE, file(s3.ca_bundle.as_deref()));
    add(
        &keys::S3_ADDRESSING,
        match s3.addressing {
            Addressing::Path => "path".to_owned(),
            Addressing::Virtual => "virtual".to_owned(),
        },
    );
    add(&keys::S3_TIMEOUT, format!("{}s", s3.timeout.as_secs_f64()));
    add(&keys::S3_RETRY_FOR, format!("{}s", s3.retry_for.as_secs_f64()));
}

/// A URL without user and password, should someone have put them there.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        None => url.to_owned(),
        Some(at) if scheme.is_empty() => format!("***{}", &rest[at..]),
        Some(at) => format!("{scheme}://***{}", &rest[at..]),
    }
}

fn templates(layout: &Layout) -> String {
    match &layout.daily {
        Some(daily) => format!("{} and {}", layout.hourly.pod_usage, daily.pod_usage),
        None => layout.hourly.pod_usage.clone(),
    }
}

fn timeout(time: Option<Duration>) -> String {
    match time {
        None => "as the server says".to_owned(),
        Some(Duration::ZERO) => "off".to_owned(),
        Some(time) => format!("{}s", time.as_secs_f64()),
    }
}

fn switch(on: bool) -> String {
    if on { "on".to_owned() } else { "off".to_owned() }
}

fn or(value: Option<&impl Display>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), ToString::to_string)
}

fn file(path: Option<&Path>) -> String {
    or(path.map(Path::display).as_ref(), "of the system")
}

fn secret(secret: Option<&Secret>) -> String {
    if secret.is_some() { "***".to_owned() } else { "none".to_owned() }
}

fn sslmode(mode: SslMode) -> &'static str {
    match mode {
        SslMode::Disable => "disable",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_in_a_url_is_not_shown() {
        for (url, shown) in [
            ("https://minio:9000/x@y", "https://minio:9000/x@y"),
            ("https://key:secret@minio:9000/x", "https://***@minio:9000/x"),
            ("key:se@cret@minio", "***@minio"),
            ("minio:9000", "minio:9000"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }
}
