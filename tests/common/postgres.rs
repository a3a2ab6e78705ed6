//! A real PostgreSQL server of the test binary's own, and a fresh database for each test.
//!
//! Needs the `postgres` and `initdb` programs of a Debian-like `/usr/lib/postgresql/*/bin`. When
//! root, the server runs as the user `postgres`.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ocp_rollup::database;
use ocp_rollup::settings::{Postgres, Secret, Session, SslMode};
use postgres::Client;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

const USER: &str = "ocp";
const PASSWORD: &str = "not-a-real-secret";
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs with the directory, the port, and the programs' folder. A server that dies is started
/// again. It outlives a killed test binary just long enough to stop the server and to remove its
/// directory: its standard input ends when the binary does, however it does.
const WATCHDOG: &str = r#"
dir=$1; port=$2; bin=$3; shift 3
cd "$dir" || exit 1
"$bin/initdb" -D "$dir/data" -U ocp -A scram-sha-256 --pwfile="$dir/password" \
    -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1 &&
while [ ! -e "$dir/stop" ]; do
    "$bin/postgres" -D "$dir/data" -p "$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
        -c shared_buffers=32MB -c max_connections=200 -c max_wal_size=256MB "$@"
    sleep 0.2
done >"$dir/postgres.log" 2>&1 </dev/null &
job=$!
cat >/dev/null
touch "$dir/stop"
kill -INT $(cat "$dir/data/postmaster.pid" 2>/dev/null | head -n 1) 2>/dev/null
wait $job
rm -rf "$dir"
"#;

/// A running server. Dropping it stops it and removes its directory.
pub struct Server {
    watchdog: Child,
    port: u16,
    dir: PathBuf,
    /// The certificate of the authority that signed the server's, where it has TLS.
    pub authority: Option<PathBuf>,
}

/// Whether a server offers TLS, with a certificate for `localhost` alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    Off,
    On,
}

/// The server without TLS that the tests of one binary share.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(Tls::Off))
}

/// The server with TLS that the tests of one binary share.
pub fn tls_server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(Tls::On))
}

/// A fresh, empty database on [`server`].
pub fn database() -> Database {
    server().database()
}

impl Server {
    pub fn start(tls: Tls) -> Server {
        let dir = tempfile::Builder::new().prefix("ocp-rollup-pg").tempdir().unwrap().keep();
        std::fs::write(dir.join("password"), PASSWORD).unwrap();
        let mut options = Vec::new();
        let mut authority = None;
        if tls == Tls::On {
            write_certificates(&dir);
            authority = Some(dir.join("authority.pem"));
            options.extend(["-c".to_owned(), "ssl=on".to_owned()]);
            for (name, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
                options.push("-c".to_owned());
                options.push(format!("{name}={}", dir.join(file).display()));
            }
        }
        let port = free_port();
        let mut watchdog = as_server_user(&dir);
        let child = watchdog
            .args(["sh", "-c", WATCHDOG, "watchdog"])
            .arg(&dir)
            .arg(port.to_string())
            .arg(newest_programs())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("the server's watchdog starts");
        let server = Server { watchdog: child, port, dir, authority };
        server.wait_until_ready();
        server
    }

    /// How to connect to `database`, at 127.0.0.1 and without TLS; change what a test needs.
    pub fn settings(&self, database: &str) -> Postgres {
        settings_of(self.port, database)
    }

    pub fn database(&self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut client = database::connect(&self.settings("postgres")).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Database { settings: self.settings(&name) }
    }

    /// Sends the server itself the signal `name`: KILL, or QUIT to shut down at once. It is
    /// started again.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        assert!(Command::new("kill").args(["-s", name, pid]).status().unwrap().success());
    }

    pub fn wait_until_ready(&self) {
        let deadline = Instant::now() + START_TIMEOUT;
        while let Err(error) = database::connect(&self.settings("postgres")) {
            if Instant::now() > deadline {
                let log = |name| std::fs::read_to_string(self.dir.join(name)).unwrap_or_default();
                panic!(
                    "PostgreSQL does not start: {error}\n{}\n{}",
                    log("initdb.log"),
                    log("postgres.log")
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// One test's database.
pub struct Database {
    settings: Postgres,
}

/// What manages a tenant's partitions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Partitions {
    /// Nothing: plain DDL.
    Plain,
    /// `partitioned_tables` with a trigger like Koku's.
    Registry,
}

impl Database {
    /// Makes a tenant schema and returns how to connect to it.
    pub fn tenant(&self, schema: &str, partitions: Partitions) -> Postgres {
        let mut client = self.client();
        let quoted = database::quote_identifier(schema);
        client
            .batch_execute(&format!("CREATE SCHEMA {quoted}; SET search_path = {quoted}"))
            .unwrap();
        client.batch_execute(include_str!("summary.sql")).unwrap();
        if partitions == Partitions::Registry {
            client.batch_execute(include_str!("partitioned_tables.sql")).unwrap();
        }
        Postgres { schema: schema.to_owned(), ..self.settings.clone() }
    }

    /// A connection with the search path unset.
    pub fn client(&self) -> Client {
        database::connect(&self.settings).unwrap()
    }

    pub fn settings(&self) -> &Postgres {
        &self.settings
    }
}

/// How to connect to `database` of the server at `port`, which another process may have started.
pub fn settings_of(port: u16, database: &str) -> Postgres {
    Postgres {
        host: "127.0.0.1".to_owned(),
        port,
        database: database.to_owned(),
        user: USER.to_owned(),
        password: Some(Secret(PASSWORD.to_owned())),
        schema: "public".to_owned(),
        sslmode: SslMode::Disable,
        sslrootcert: None,
        session: Session::default(),
    }
}

/// A connection whose search path is the tenant's schema, for looking at tables.
pub fn client_of(tenant: &Postgres) -> Client {
    let mut client = database::connect(tenant).unwrap();
    let schema = database::quote_identifier(&tenant.schema);
    client.batch_execute(&format!("SET search_path = {schema}")).unwrap();
    client
}

/// An authority no server of the tests is signed by, as a PEM file.
pub fn other_authority() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let (certificate, _) = authority();
    file.write_all(certificate.as_bytes()).unwrap();
    file
}

fn authority() -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "test authority");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    (certificate, Issuer::new(params, key))
}

fn write_certificates(dir: &Path) {
    let (certificate, issuer) = authority();
    std::fs::write(dir.join("authority.pem"), certificate).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("server.pem"), params.signed_by(&key, &issuer).unwrap().pem()).unwrap();
    std::fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(dir.join("server.key"), mode).unwrap();
}

/// The start of a command line that drops root, to which `dir` is given.
fn as_server_user(dir: &Path) -> Command {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).output().expect("id runs");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    if id(&["-u"]) != "0" {
        return Command::new("env");
    }
    let (uid, gid) = (id(&["-u", "postgres"]), id(&["-g", "postgres"]));
    let owner = format!("{uid}:{gid}");
    let status = Command::new("chown").args(["-R", &owner]).arg(dir).status().unwrap();
    assert!(status.success(), "the directory can be given to the server's user");
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--init-groups".to_owned()]);
    command
}

fn newest_programs() -> PathBuf {
    let version = |path: &Path| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed below /usr/lib/postgresql")
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| version(path))
        .expect("a version of PostgreSQL is installed")
        .join("bin")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
