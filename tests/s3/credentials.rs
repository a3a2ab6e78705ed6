//! Credentials that are not given but asked for: of the host's and the pod's services.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};

use crate::common::s3::{ACCESS, BUCKET, S3Server, SECRET};
use crate::common::usage::{Program, Tree, local_rows};

/// A service that answers each request by its method and path, or with 404.
fn service(answers: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process.
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = BufReader::new(socket.unwrap());
            let mut lines = Vec::new();
            let mut line = String::new();
            while socket.read_line(&mut line).unwrap() > 2 {
                lines.push(std::mem::take(&mut line));
            }
            let asked = lines.first().map_or("", |line| line.trim_end_matches(" HTTP/1.1\r\n"));
            let answer = answers.iter().find(|(path, _)| *path == asked);
            let (status, body) = answer.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", body));
            let body = body.replace("ACCESS", ACCESS).replace("SECRET", SECRET);
            write!(
                socket.get_mut(),
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
    });
    address
}

const KEYS: &str = r#"{"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2025-10-01T00:00:00Z",
    "AccessKeyId": "ACCESS", "SecretAccessKey": "SECRET", "Token": "some-token",
    "Expiration": "2099-01-01T00:00:00Z"}"#;

#[test]
fn of_the_instance() {
    let tree = Tree::new(1);
    let server = S3Server::plain();
    server.fill(&tree.path(), "");
    let metadata = service(&[
        ("PUT /latest/api/token", "a-token"),
        ("GET /latest/meta-data/iam/security-credentials/", "role"),
        ("GET /latest/meta-data/iam/security-credentials/role", KEYS),
    ]);
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
    let agent = service(&[("GET /v1/credentials", KEYS)]);
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
    let metadata = service(&[]);
    let program = Program::run(&tree, &format!("s3://{BUCKET}"))
        .env("S3_ENDPOINT", &server.url())
        .env("AWS_METADATA_ENDPOINT", &format!("http://{metadata}"));
    program.end().refused("give S3_ACCESS_KEY and S3_SECRET");
}
