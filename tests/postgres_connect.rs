//! Connecting: every sslmode, and what is said when it does not work.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail so")]

mod common;

use std::error::Error;
use std::path::PathBuf;

use common::postgres::{other_authority, server, tls_server};
use ocp_rollup::database::{DatabaseError, connect};
use ocp_rollup::settings::{Postgres, Secret, SslMode};

fn plain() -> Postgres {
    server().settings("postgres")
}

fn tls(host: &str, sslmode: SslMode, sslrootcert: Option<PathBuf>) -> Postgres {
    let settings = tls_server().settings("postgres");
    Postgres { host: host.to_owned(), sslmode, sslrootcert, ..settings }
}

fn encrypted(settings: &Postgres) -> bool {
    let mut client = connect(settings).unwrap();
    client
        .query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
        .unwrap()
        .get(0)
}

/// The error; none may hold the password, in any form it is printed.
fn refused(settings: &Postgres) -> DatabaseError {
    let Err(error) = connect(settings) else { panic!("the connection was made") };
    let secret = settings.password.as_ref().map_or("\0", |password| &password.0);
    let mut text = format!("{error:?} {settings:?}");
    let mut next: Option<&dyn Error> = Some(&error);
    while let Some(error) = next {
        text.push_str(&error.to_string());
        next = error.source();
    }
    assert!(!text.contains(secret), "{text}");
    error
}

#[test]
fn every_sslmode_encrypts_as_it_says() {
    use SslMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
    let right = || tls_server().authority.clone();
    let host = "127.0.0.1";
    assert!(!encrypted(&tls(host, Disable, None)));
    assert!(encrypted(&tls(host, Prefer, None)));
    assert!(encrypted(&tls(host, Require, None)));
    assert!(encrypted(&tls(host, Require, right())));
    assert!(encrypted(&tls(host, VerifyCa, right())));
    assert!(encrypted(&tls("localhost", VerifyFull, right())));
    assert!(!encrypted(&Postgres { sslmode: Prefer, ..plain() }));
}

#[test]
fn a_wrong_authority_is_refused_where_it_is_checked() {
    let other = other_authority();
    let path = Some(other.path().to_owned());
    for sslmode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let error = refused(&tls("localhost", sslmode, path.clone()));
        assert!(matches!(error, DatabaseError::Untrusted { .. }), "{sslmode:?}: {error:?}");
    }
    assert!(encrypted(&tls("localhost", SslMode::Prefer, path)));
    // The roots of this system, if any, have not signed it either.
    let error = refused(&tls("localhost", SslMode::VerifyFull, None));
    let unknown = matches!(error, DatabaseError::Untrusted { .. } | DatabaseError::NoNativeRoots);
    assert!(unknown, "{error:?}");
}

#[test]
fn a_wrong_host_name_is_refused_by_verify_full_alone() {
    let right = tls_server().authority.clone();
    let error = refused(&tls("127.0.0.1", SslMode::VerifyFull, right));
    assert!(matches!(error, DatabaseError::WrongHostName { .. }), "{error:?}");
    assert!(error.to_string().contains("verify-ca"));
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let error = refused(&Postgres { sslmode: SslMode::Require, ..plain() });
    assert!(matches!(error, DatabaseError::TlsNotOffered { .. }), "{error:?}");
}

#[test]
fn unusable_root_certificates_are_named() {
    let error = refused(&tls("localhost", SslMode::VerifyCa, Some("/nowhere/ca.pem".into())));
    assert!(matches!(error, DatabaseError::RootCertificate { .. }), "{error:?}");
    assert!(error.to_string().contains("/nowhere/ca.pem"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    let error = refused(&tls("localhost", SslMode::VerifyCa, Some(empty.path().to_owned())));
    assert!(matches!(error, DatabaseError::NoRootCertificate { .. }), "{error:?}");
}

#[test]
fn a_refused_login_says_what_to_check() {
    let wrong = Postgres { password: Some(Secret("surely-wrong".to_owned())), ..plain() };
    let error = refused(&wrong);
    assert!(matches!(error, DatabaseError::WrongPassword { .. }), "{error:?}");
    assert!(error.to_string().contains("DATABASE_PASSWORD"));
    let error = refused(&Postgres { password: None, ..plain() });
    assert!(matches!(error, DatabaseError::PasswordMissing { .. }), "{error:?}");
    let error = refused(&Postgres { database: "nowhere".to_owned(), ..plain() });
    assert!(matches!(error, DatabaseError::NoSuchDatabase { .. }), "{error:?}");
    let error = refused(&Postgres { schema: "Public".to_owned(), ..plain() });
    assert!(matches!(error, DatabaseError::NoSuchSchema { .. }), "{error:?}");
}

#[test]
fn an_unreachable_server_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = refused(&Postgres { port, ..plain() });
    assert!(matches!(error, DatabaseError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")));
    let error = refused(&Postgres { host: "no-such-host.invalid".to_owned(), ..plain() });
    assert!(matches!(error, DatabaseError::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = refused(&Postgres { port, ..plain() });
    assert!(matches!(error, DatabaseError::Connect { .. }), "{error:?}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("no answer"), "{cause}");
}

#[test]
fn the_connection_names_the_program() {
    let mut client = connect(&plain()).unwrap();
    let name: String = client.query_one("SHOW application_name", &[]).unwrap().get(0);
    assert_eq!(name, "ocp-rollup");
}
