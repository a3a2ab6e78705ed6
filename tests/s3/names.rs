//! Keys that an honest store would not have.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use crate::common::s3::BUCKET;
use crate::common::usage::{Program, Tree};

/// A store that answers whatever is asked by a list of one object, `key` below what was asked for.
fn lists(key: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(connection, key));
        }
    });
    url
}

fn answer(mut connection: TcpStream, key: &str) {
    let mut asked = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    while asked.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        let prefix = line.split(['?', '&', ' ']).find_map(|part| part.strip_prefix("prefix="));
        let prefix = prefix.unwrap_or_default().replace("%2F", "/").replace("%3D", "=");
        while line != "\r\n" {
            line.clear();
            if asked.read_line(&mut line).is_err() {
                return;
            }
        }
        let body = format!(
            "<ListBucketResult><Name>{BUCKET}</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>\
             <Contents><Key>{prefix}{key}</Key><LastModified>2025-10-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;x&quot;</ETag><Size>4</Size></Contents></ListBucketResult>"
        );
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        if connection.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

#[test]
fn a_key_that_leads_elsewhere_is_refused() {
    let tree = Tree::new(1);
    for key in ["../../../../etc/x.parquet", "./x.parquet", "a//x.parquet"] {
        let ended = Program::on_s3("run", &tree, &lists(key)).end();
        ended.refused("no key there");
        assert!(ended.stderr.contains("month=10"), "{}", ended.stderr);
    }
}
