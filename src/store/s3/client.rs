//! The client of a bucket, from settled settings.

use std::fs;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{Certificate, ClientOptions, RetryConfig};

use super::answers::Connector;
use crate::settings::{Addressing, S3, load};
use crate::store::StoreError;
use crate::store::error::Cause;

/// Where credentials come from when no keys are given: names that other AWS programs read too.
const CHAIN: &[(&str, AmazonS3ConfigKey)] = &[
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
    ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
    ("AWS_IMDSV1_FALLBACK", AmazonS3ConfigKey::ImdsV1Fallback),
    ("AWS_SKIP_SIGNATURE", AmazonS3ConfigKey::SkipSignature),
];

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How messages name the store.
pub fn store_name(s3: &S3) -> String {
    url(s3).unwrap_or_else(|| format!("AWS, region {}", s3.region))
}

/// A client, and whether its requests are signed.
pub struct Client {
    pub s3: AmazonS3,
    pub signs: bool,
}

/// A client for `bucket`. It does not try a request again: that is done where faults are counted.
///
/// # Errors
/// A CA file that cannot be used, or a client that cannot be made.
pub fn client(bucket: &str, s3: &S3) -> Result<Client, StoreError> {
    // Several providers may be linked in; without a choice the TLS of the client would panic. It
    // fails only where one was chosen before, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (setting, value) in [
        ("s3.access_key", s3.access_key.as_ref().map(|secret| secret.0.as_str())),
        ("s3.secret_key", s3.secret_key.as_ref().map(|secret| secret.0.as_str())),
        ("AWS_SESSION_TOKEN", s3.session_token.as_ref().map(|secret| secret.0.as_str())),
        ("s3.region", Some(s3.region.as_str())),
    ] {
        if value.is_some_and(|value| !value.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(StoreError::Unsendable { setting });
        }
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&s3.region)
        .with_virtual_hosted_style_request(s3.addressing == Addressing::Virtual)
        .with_http_connector(Connector::default())
        // Not every store can remove several objects in one request.
        .with_disable_bulk_delete(true)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .with_client_options(options(s3)?);
    if let Some(endpoint) = endpoint(bucket, s3) {
        builder = builder.with_endpoint(endpoint);
    }
    builder = match (&s3.access_key, &s3.secret_key) {
        (Some(access), Some(secret)) => {
            let builder = builder.with_access_key_id(&access.0).with_secret_access_key(&secret.0);
            match &s3.session_token {
                Some(token) => builder.with_token(&token.0),
                None => builder,
            }
        }
        _ => CHAIN.iter().fold(builder, |builder, (name, key)| match load::env(name) {
            Some(value) if !value.is_empty() => builder.with_config(*key, value),
            _ => builder,
        }),
    };
    let skips = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature);
    let signs = skips.is_none_or(|skips| skips == "false");
    let s3 = builder
        .build()
        .map_err(|e| StoreError::Client { store: store_name(s3), source: Cause::of(&e) })?;
    Ok(Client { s3, signs })
}

/// What the client library takes as endpoint: with the bucket, where that stands in the host.
fn endpoint(bucket: &str, s3: &S3) -> Option<String> {
    let url = url(s3)?;
    Some(match (s3.addressing, url.split_once("://")) {
        (Addressing::Virtual, Some((scheme, host))) => format!("{scheme}://{bucket}.{host}"),
        _ => url,
    })
}

/// The endpoint with its scheme; `None` for AWS.
fn url(s3: &S3) -> Option<String> {
    let endpoint = s3.endpoint.as_ref()?;
    Some(match (endpoint.contains("://"), s3.use_ssl) {
        (true, _) => endpoint.clone(),
        (false, true) => format!("https://{endpoint}"),
        (false, false) => format!("http://{endpoint}"),
    })
}

fn options(s3: &S3) -> Result<ClientOptions, StoreError> {
    let plain = url(s3).is_some_and(|url| url.starts_with("http://"));
    // Bodies may take long as long as they flow: silence is timed where they are read.
    let mut options = ClientOptions::new()
        .with_allow_http(plain)
        .with_allow_invalid_certificates(!s3.verify_ssl)
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT.min(s3.timeout));
    if let Some(path) = &s3.ca_bundle {
        let pem =
            fs::read(path).map_err(|source| StoreError::CaBundle { path: path.clone(), source })?;
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            return Err(StoreError::NoCertificates { path: path.clone() });
        }
        options = options.with_no_system_certificates(true);
        for certificate in certificates {
            options = options.with_root_certificate(certificate);
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(endpoint: Option<&str>, use_ssl: bool, addressing: Addressing) -> S3 {
        S3 {
            endpoint: endpoint.map(str::to_owned),
            access_key: None,
            secret_key: None,
            session_token: None,
            region: "eu-west-1".to_owned(),
            use_ssl,
            verify_ssl: true,
            ca_bundle: None,
            addressing,
            timeout: Duration::from_secs(1),
            retry_for: Duration::from_secs(1),
        }
    }

    #[test]
    fn endpoints() {
        use Addressing::{Path, Virtual};
        for (given, use_ssl, addressing, expected) in [
            (None, true, Path, None),
            (None, false, Virtual, None),
            (Some("minio:9000"), true, Path, Some("https://minio:9000")),
            (Some("minio:9000"), false, Path, Some("http://minio:9000")),
            (Some("http://minio:9000"), true, Path, Some("http://minio:9000")),
            (Some("https://s3.example"), false, Virtual, Some("https://b.s3.example")),
            (Some("minio:9000"), false, Virtual, Some("http://b.minio:9000")),
        ] {
            let s3 = s3(given, use_ssl, addressing);
            assert_eq!(endpoint("b", &s3).as_deref(), expected, "{s3:?}");
        }
        assert_eq!(store_name(&s3(None, true, Path)), "AWS, region eu-west-1");
    }
}
