//! Credentials that are not given but asked for: of the host's and the pod's services.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::s3::{ACCESS, BUCKET, S3Server, SECRET, server_config};
use crate::common::usage::{Program, Tree, local_rows};

/// A service that answers each request by its method and path, or with 404. `tls`: over TLS, with
/// the authority to trust.
fn service(
    answers: &'static [(&'static str, &'static str)],
    tls: Option<Arc<ServerConfig>>,
) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process.
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let socket = socket.unwrap();
            match &tls {
                None => answer(socket, answers),
                Some(config) => {
                    let connection = ServerConnection::new(config.clone()).unwrap();
                    answer(StreamOwned::new(connection, socket), answers);
                }
            }
        }
    });
    address
}

/// Reads one request and answers it; a client that does not trust this side goes away before.
fn answer(socket: impl Read + Write, answers: &[(&str, &str)]) {
    let mut socket = BufReader::new(socket);
    let mut lines = Vec::new();
    let mut line = String::new();
    while socket.read_line(&mut line).is_ok_and(|length| length > 2) {
        lines.push(std::mem::take(&mut line));
    }
    let asked = lines.first().map_or("", |line| line.trim_end_matches(" HTTP/1.1\r\n"));
    let answer = answers.iter().find(|(path, _)| *path == asked);
    let (status, body) = answer.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", body));
    let body = body.replace("ACCESS", ACCESS).replace("SECRET", SECRET);
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = socket.get_mut().write_all((head + &body).as_bytes());
    let _ = socket.get_mut().flush();
}

const KEYS: &str = r#"{"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2025-10-01T00:00:00Z",
    "AccessKeyId": "ACCESS", "SecretAccessKey": "SECRET", "Token": "some-token",
    "Expiration": "2099-01-01T00:00:00Z"}"#;

#[test]
fn of_the_instance() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let metadata = service(
        &[
            ("PUT /latest/api/token", "a-token"),
            ("GET /latest/meta-data/iam/security-credentials/", "role"),
            ("GET /latest/meta-data/iam/security-credentials/role", KEYS),
        ],
        None,
    );
    let rows = Program::run(&tree, &format!("s3://{BUCKET}"))
        .env("S3_ENDPOINT", &server.url())
        .env("AWS_METADATA_ENDPOINT", &format!("http://{metadata}"))
        .end()
        .rows();
    assert!(rows == local_rows(&tree, &tree.path()));
}

#[test]
fn of_the_pod() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let agent = service(&[("GET /v1/credentials", KEYS)], None);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token").unwrap();
    let rows = Program::run(&tree, &format!("s3://{BUCKET}"))
        .env("S3_ENDPOINT", &server.url())
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{agent}/v1/credentials"))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token.to_str().unwrap())
        .end()
        .rows();
    assert!(rows == local_rows(&tree, &tree.path()));
}

#[test]
fn with_none_the_ways_to_give_them_are_named() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    let metadata = service(&[], None);
    let program = Program::run(&tree, &format!("s3://{BUCKET}"))
        .env("S3_ENDPOINT", &server.url())
        .env("AWS_METADATA_ENDPOINT", &format!("http://{metadata}"));
    program.end().refused("give S3_ACCESS_KEY and S3_SECRET");
}

const ASSUMED: &str = "<AssumeRoleWithWebIdentityResponse \
    xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
    <Credentials><AccessKeyId>ACCESS</AccessKeyId><SecretAccessKey>SECRET</SecretAccessKey>\
    <SessionToken>some-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
    </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

/// The service account's token of OpenShift and EKS, for which a token service gives keys.
#[test]
fn of_a_web_identity() {
    let tree = Tree::new(1);
    let server = S3Server::tls();
    server.fill(&tree.path(), "");
    let (config, authority) = server_config();
    let sts = service(
        &[(
            "POST /?Action=AssumeRoleWithWebIdentity&DurationSeconds=3600\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Freader&RoleSessionName=rollup\
             &Version=2011-06-15&WebIdentityToken=account-token",
            ASSUMED,
        )],
        Some(config),
    );
    let folder = tempfile::tempdir().unwrap();
    let (token, bundle) = (folder.path().join("token"), folder.path().join("ca.pem"));
    std::fs::write(&token, "account-token").unwrap();
    let of_server = std::fs::read_to_string(server.ca.as_ref().unwrap()).unwrap();
    std::fs::write(&bundle, of_server + &authority).unwrap();
    let program = |role: &str| {
        Program::run(&tree, &format!("s3://{BUCKET}"))
            .env("S3_ENDPOINT", &server.url())
            .env("AWS_CA_BUNDLE", bundle.to_str().unwrap())
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap())
            .env("AWS_ROLE_ARN", role)
            .env("AWS_ROLE_SESSION_NAME", "rollup")
            .env("AWS_ENDPOINT_URL_STS", &format!("https://localhost:{}", sts.port()))
    };
    let rows = program("arn:aws:iam::1:role/reader").end().rows();
    assert!(rows == local_rows(&tree, &tree.path()));

    let refused = program("arn:aws:iam::1:role/other").end();
    refused.refused(
        "check the role of the pod or host (AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN)",
    );
    assert!(!refused.stderr.contains("account-token"), "{}", refused.stderr);
    std::fs::remove_file(&token).unwrap();
    program("arn:aws:iam::1:role/reader").end().refused("Failed to read token file");
}

/// The bucket in the name of the host, which only a proxy knows here.
#[test]
fn the_bucket_may_stand_in_the_hosts_name() {
    let tree = Tree::new(1);
    let server = S3Server::virtual_hosts("s3.test");
    server.fill(&tree.path(), "");
    let rows = Program::on_s3("run", &tree, "http://s3.test")
        .env("HTTP_PROXY", &format!("http://{}", server.address))
        .flag("--s3-addressing", "virtual")
        .end()
        .rows();
    assert!(rows == local_rows(&tree, &tree.path()));
}

#[test]
fn what_a_request_cannot_carry_is_a_fault_of_the_settings() {
    let (tree, server) = (Tree::new(1), S3Server::plain());
    let run = || Program::on_s3("run", &tree, &server.url());
    let unreachable = "check s3.endpoint, the bucket in --source";
    for (run, said) in [
        (run().env("S3_ACCESS_KEY", "key\n"), "s3.access_key holds a line break"),
        (run().env("S3_SECRET", "key\n"), "s3.secret_key holds a line break"),
        (run().env("S3_REGION", "eu west"), "s3.region holds a line break, or another"),
        (run().env("S3_ENDPOINT", "http://127.0.0.1:99999"), unreachable),
        (
            run().env("S3_ENDPOINT", "http://127.0.0.1:9").flag("--s3-addressing", "virtual"),
            unreachable,
        ),
    ] {
        let ended = run.end();
        assert_eq!(ended.code, Some(2), "{said}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "no {said:?} in {}", ended.stderr);
        assert!(!ended.stderr.contains("panicked at"), "{}", ended.stderr);
    }
}
