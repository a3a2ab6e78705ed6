//! Layouts and the object store.

use super::*;

#[test]
fn layouts() {
    let base = Case::minimal;
    assert_eq!(base().flags(&["--layout=poc"]).ok().input.layout, layout::poc());
    let hand = base().flags(&["--layout=/d/{type}/{uuid}/{day}/"]).ok().input.layout;
    assert_eq!(hand.hourly.node_labels, "d/node_labels/{uuid}/{day}/");
    assert_eq!(hand.daily, None);
    let daily = "input: {layout_daily: 'e/{type}/{uuid}/*.parquet'}";
    let both = base().flags(&["--layout=d/{type}/{uuid}/", "--pod-source=daily"]).file(daily).ok();
    assert_eq!(both.input.layout.daily.unwrap().pod_usage, "e/pod_usage/{uuid}/*.parquet");

    base().flags(&["--layout=d/{type}/{uuid}/", "--pod-source=daily"]).refused(
        "`--pod-source` is `daily`, but `--layout` says only where the hourly files lie; give \
         `OCP_ROLLUP_LAYOUT_DAILY` in the environment or `input.layout_daily` in the config file, \
         or use `hourly`",
    );
    let refused = |template: &str, fault: &str| {
        let flag: &'static str = format!("--layout={template}").leak();
        base().flags(&[flag]).refused(&format!("`--layout` is `{template}`{fault}"));
    };
    refused("kouk", ", but must be `koku`, `poc`, or a path template with `{type}` and `{uuid}`");
    refused("d/{uuid}/", ": it must hold `{type}`, the report type, like `pod_usage`");
    refused("d/{type}/", ": it must hold `{uuid}`, or other sources would be counted too");
    refused(
        "d/{type}/{uuid}/{yaer}/",
        ": `{yaer}` is unknown; known are {type}, {account}, {org}, {uuid}, {year}, {month}, {day}",
    );
    refused("d/{type}/{uuid}/{year/", ": a `}` is missing");
    refused(
        "d/{type}/{uuid}",
        ": it must end in `/` (every Parquet file below) or `.parquet` (files), like `…/*.parquet`",
    );
    for odd in ["d//{type}/{uuid}/", "d/../{type}/{uuid}/", "d/{type}/{uuid}//"] {
        refused(odd, ": it holds `//`, `/./` or `/../`; write the path without it");
    }
}

#[test]
fn object_store() {
    let case = || {
        Case::minimal().without("--source").env(&[
            ("S3_BUCKET", "bucket"),
            ("S3_ENDPOINT", "http://minio:9000/"),
            ("S3_ACCESS_KEY", "access"),
            ("S3_SECRET", "secret"),
        ])
    };
    let input = case().ok().input;
    assert_eq!(input.source, "s3://bucket");
    assert_eq!(
        input.s3,
        Some(S3 {
            endpoint: Some("http://minio:9000".to_owned()),
            access_key: Some(Secret("access".to_owned())),
            secret_key: Some(Secret("secret".to_owned())),
            session_token: None,
            region: "us-east-1".to_owned(),
            use_ssl: true,
            verify_ssl: true,
            ca_bundle: None,
            addressing: Addressing::Path,
            timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(180),
        })
    );
    let flags = ["--s3-ca=/own.pem", "--s3-addressing=virtual", "--s3-timeout=5s"];
    let s3 = case().env(&[("AWS_CA_BUNDLE", "/ca.pem")]).flags(&flags).ok().input.s3.unwrap();
    assert_eq!((s3.ca_bundle, s3.addressing), (Some("/own.pem".into()), Addressing::Virtual));
    assert_eq!(s3.timeout, Duration::from_secs(5));
    let s3 = case().file("s3: {retry_for: 1min}").ok().input.s3.unwrap();
    assert_eq!(s3.retry_for, Duration::from_secs(60));
    // A folder needs no keys, and a named source beats a bucket.
    assert_eq!(case().flags(&["--source=/in"]).ok().input.s3, None);
    assert_eq!(case().flags(&["--source=s3://b/p/"]).ok().input.source, "s3://b/p");

    let aws = [
        ("AWS_ACCESS_KEY_ID", "aws"),
        ("AWS_SECRET_ACCESS_KEY", "aws-secret"),
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_CA_BUNDLE", "/ca.pem"),
    ];
    let s3 = Case::minimal().flags(&["--source=s3://b"]).without("--source=/in").env(&aws);
    let s3 = s3.ok().input.s3.unwrap();
    assert_eq!(s3.session_token, Some(Secret("token".to_owned())));
    assert_eq!((s3.region.as_str(), s3.ca_bundle), ("eu-west-1", Some("/ca.pem".into())));
    // The token was not issued with the stronger keys.
    let s3 = case().env(&aws).ok().input.s3.unwrap();
    assert_eq!((s3.access_key, s3.session_token), (Some(Secret("access".to_owned())), None));

    let half = |env| Case::minimal().without("--source").flags(&["--source=s3://b"]).env(env);
    half(&[("S3_ACCESS_KEY", "a")]).refused(
        "the environment variable S3_ACCESS_KEY is set but no secret key: give `S3_SECRET` in the \
         environment or `s3.secret_key` in the config file too, or remove it",
    );
    half(&[("S3_SECRET_KEY", "a")]).refused(
        "the environment variable S3_SECRET_KEY is set but no access key: give `S3_ACCESS_KEY` in \
         the environment or `s3.access_key` in the config file too, or remove it",
    );
    half(&[("S3_ENDPOINT", "http://user:hunter2@x")]).refused(
        "the environment variable S3_ENDPOINT is `…@…`, but must be without user and password; \
         they are `s3.access_key` and `s3.secret_key`",
    );
    half(&[("S3_ENDPOINT", "ftp://x")]).refused(
        "the environment variable S3_ENDPOINT is `ftp://x`, but must be `http://host[:port]`, \
         `https://host[:port]` or `host[:port]`",
    );
    Case::minimal().without("--source").env(&[("S3_BUCKET_NAME", "s3://b")]).refused(
        "the environment variable S3_BUCKET_NAME is `s3://b`, but must be the name of a bucket, \
         without `s3://` and prefix",
    );
}
