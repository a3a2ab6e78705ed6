//! Stands between the program and PostgreSQL, and cuts some of the connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lives until the test binary ends.
pub struct CutProxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    /// Bytes that each of the first connections may still send.
    limits: Vec<u64>,
    connections: AtomicU64,
    sent: AtomicU64,
    cut: AtomicU64,
}

impl CutProxy {
    /// The n-th connection is cut once it has sent `limits[n]` bytes, one beyond them never.
    pub fn start(server_port: u16, limits: Vec<u64>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server: SocketAddr::from(([127, 0, 0, 1], server_port)),
            limits,
            connections: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            cut: AtomicU64::new(0),
        });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_thread);
                std::thread::spawn(move || shared.pass(client));
            }
        });
        CutProxy { port, shared }
    }

    /// Bytes that clients have sent.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Connections that were cut.
    pub fn cut(&self) -> u64 {
        self.shared.cut.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn pass(&self, mut client: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed) as usize;
        let mut left = self.limits.get(number).copied().unwrap_or(u64::MAX);
        let Ok(mut server) = TcpStream::connect(self.server) else { return };
        let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut answers, &mut back);
            let _ = back.shutdown(Shutdown::Both);
        });
        let mut buffer = [0; 8192];
        while let Ok(bytes @ 1..) = client.read(&mut buffer) {
            self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
            let passed = (bytes as u64).min(left) as usize;
            left -= passed as u64;
            if server.write_all(&buffer[..passed]).is_err() {
                break;
            }
            if left == 0 {
                self.cut.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }
}
