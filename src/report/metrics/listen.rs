//! Metrics over HTTP while the run lasts: one page, read only, one reader at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::MetricsError;

/// How often it looks for a reader.
const LOOK: Duration = Duration::from_millis(50);
/// A reader that takes longer is sent away, so that none keeps out the others.
const LONGEST: Duration = Duration::from_secs(2);
/// A request is a line and some headers.
const MOST_BYTES: usize = 8 * 1024;

/// What is served.
pub type Page = Box<dyn Fn() -> String + Send>;

/// Serves until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Serves `page` at `/metrics`.
    ///
    /// # Errors
    /// The address is not this machine's, or taken, or not for this user.
    pub fn start(address: SocketAddr, page: Page) -> Result<Self, MetricsError> {
        let failed = |source| MetricsError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("metrics".to_owned())
            .spawn({
                let stopped = stopped.clone();
                move || serve(&listener, &page, &stopped)
            })
            .map_err(MetricsError::Thread)?;
        Ok(Listener { address, stopped, thread: Some(thread) })
    }

    /// Where it listens, with the port that the system has chosen for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It does not panic; and if it did, the run would not be worse for it.
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, page: &Page, stopped: &AtomicBool) {
    while !stopped.load(Ordering::Relaxed) {
        match listener.accept() {
            // Whoever asked has gone or is too slow: their loss alone.
            Ok((stream, _)) => _ = answer(stream, page),
            Err(_) => std::thread::park_timeout(LOOK),
        }
    }
}

fn answer(mut stream: TcpStream, page: &Page) -> io::Result<()> {
    let deadline = Instant::now() + LONGEST;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(LONGEST))?;
    let head = read_head(&mut stream, deadline)?;
    let mut words = head.split_ascii_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => ("200 OK", page()),
        ("GET" | "HEAD", _) => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let content_type = match status {
        "200 OK" => "text/plain; version=0.0.4; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    if method != "HEAD" {
        response.push_str(&body);
    }
    stream.write_all(response.as_bytes())
}

/// Everything up to the empty line.
fn read_head(stream: &mut TcpStream, deadline: Instant) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() >= MOST_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
