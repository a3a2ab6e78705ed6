//! COPY's binary form, as PostgreSQL itself reads it: eight bytes of a number, then a text.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use bytes::{BufMut, BytesMut};
use ocp_rollup::database;
use ocp_rollup::settings::Postgres;
use ocp_rollup::sink::postgres::encode::{self, Unstorable};
use postgres::Client;

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const LIMIT: usize = 20;

/// Never dropped: at the end of a thread there is no runtime any more that could close it.
static CLIENT: Mutex<Option<Client>> = Mutex::new(None);

pub fn run(server: &Postgres, data: &[u8]) {
    let mut client = CLIENT.lock().unwrap_or_else(PoisonError::into_inner);
    let client = client.get_or_insert_with(|| {
        let mut client = database::connect(server).unwrap_or_else(|e| panic!("{e}"));
        let table =
            format!("CREATE TEMPORARY TABLE t (n numeric(33,15), t varchar({LIMIT}), j jsonb)");
        client.batch_execute(&table).unwrap_or_else(|e| panic!("{e}"));
        client
    });
    check(client, data);
}

fn check(client: &mut Client, data: &[u8]) {
    let Some((number, text)) = data.split_first_chunk() else { return };
    let number = f64::from_le_bytes(*number);
    let text = String::from_utf8_lossy(text);
    let json = serde_json::json!({ &*text: text }).to_string();

    let mut row = BytesMut::new();
    row.put_slice(HEADER);
    row.put_i16(3);
    let number_stored = encode::numeric::encode(&mut row, number);
    assert_eq!(number_stored.is_ok(), fits(client, number), "{number:e}");
    if number_stored.is_err() {
        encode::null(&mut row);
    }
    let text_stored = encode::text::encode(&mut row, &text, Some(LIMIT));
    match text_stored {
        Ok(()) => assert!(text.chars().count() <= LIMIT && !text.contains('\0'), "{text:?}"),
        Err(Unstorable::Nul) => assert!(text.contains('\0')),
        Err(_) => assert!(text.chars().count() > LIMIT),
    }
    if text_stored.is_err() {
        encode::null(&mut row);
    }
    let json_stored = encode::jsonb::encode(&mut row, &json);
    assert_eq!(json_stored.is_err(), text.contains('\0'), "{json}");
    if json_stored.is_err() {
        encode::null(&mut row);
    }
    row.put_i16(-1);

    let row_name = format!("{number:e} {text:?}");
    expect(client.batch_execute("TRUNCATE t"), &row_name);
    let mut copy = expect(client.copy_in("COPY t FROM STDIN (FORMAT binary)"), &row_name);
    copy.write_all(&row).unwrap_or_else(|error| panic!("{error}"));
    expect(copy.finish(), &row_name);
    let shortest = format!("{number:e}");
    let query = "SELECT n IS NOT DISTINCT FROM (CASE WHEN $1 THEN $2::text::numeric(33,15) END), t, j ->> $3 FROM t";
    let key = if json_stored.is_ok() { &*text } else { "" };
    let read =
        expect(client.query_one(query, &[&number_stored.is_ok(), &shortest, &key]), &row_name);
    assert!(read.get::<_, bool>(0), "{number:e} is not what PostgreSQL makes of its digits");
    assert_eq!(read.get::<_, Option<&str>>(1), text_stored.is_ok().then_some(&*text));
    assert_eq!(read.get::<_, Option<&str>>(2), json_stored.is_ok().then_some(&*text));
}

fn expect<T>(result: Result<T, postgres::Error>, row: &str) -> T {
    result.unwrap_or_else(|error| panic!("{row}: {error}"))
}

/// Whether PostgreSQL takes the digits of `number` for the column.
fn fits(client: &mut Client, number: f64) -> bool {
    if !number.is_finite() {
        return false;
    }
    client.query_one("SELECT $1::text::numeric(33,15)::text", &[&format!("{number:e}")]).is_ok()
}
