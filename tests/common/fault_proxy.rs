//! Stands between the program and a plain S3 server and spoils some of the answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// What can happen to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    ServerError,
    SlowDown,
    ResetBefore,
    ResetInBody,
    /// The connection ends in good order before the body does.
    EndInBody,
    /// A shorter body with a length to match.
    ShortLength,
    /// Half a body, then silence.
    Stall,
    /// No answer at all, for long.
    Silence,
    /// A late answer, but a good one.
    Delay,
}

const HARMS: [Harm; 9] = [
    Harm::ServerError,
    Harm::SlowDown,
    Harm::ResetBefore,
    Harm::ResetInBody,
    Harm::EndInBody,
    Harm::ShortLength,
    Harm::Stall,
    Harm::Silence,
    Harm::Delay,
];

/// Longer than the time that tests let the program wait.
const LONG: Duration = Duration::from_secs(20);

/// Sees each request's head before it goes on, and may change the world meanwhile.
pub type Hook = Box<dyn Fn(&str) + Send + Sync>;

pub struct FaultProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    /// Ends the proxy when it is dropped.
    _runtime: Runtime,
}

struct Shared {
    server: SocketAddr,
    /// Of a thousand answers, how many are spoiled.
    per_mille: u64,
    /// Only these, or all kinds.
    only: Option<Harm>,
    state: AtomicU64,
    harmed: AtomicU64,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
    hook: Option<Hook>,
}

/// A request that is counted while it is answered.
struct UnderWay<'a>(&'a Shared);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl FaultProxy {
    /// Spoils `per_mille` of a thousand answers of `server`, by chance from `seed`.
    pub fn new(server: SocketAddr, seed: u64, per_mille: u64, only: Option<Harm>) -> Self {
        Self::start(server, seed, per_mille, only, None)
    }

    /// Spoils nothing, but shows each request to `hook`.
    pub fn watching(server: SocketAddr, hook: Hook) -> Self {
        Self::start(server, 0, 0, None, Some(hook))
    }

    fn start(
        server: SocketAddr,
        seed: u64,
        per_mille: u64,
        only: Option<Harm>,
        hook: Option<Hook>,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server,
            per_mille,
            only,
            state: AtomicU64::new(seed),
            harmed: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
            most_under_way: AtomicU64::new(0),
            hook,
        });
        let of_tasks = shared.clone();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = of_tasks.clone();
                // Clients break connections off; that is no concern of the next.
                tokio::spawn(async move { shared.pass(socket).await.ok() });
            }
        });
        FaultProxy { address, shared, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// The most requests that waited for an answer at a time.
    pub fn most_under_way(&self) -> u64 {
        self.shared.most_under_way.load(Ordering::Relaxed)
    }

    /// Answers that were spoiled so far, late ones included.
    pub fn harmed(&self) -> u64 {
        self.shared.harmed.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn under_way(&self) -> UnderWay<'_> {
        let now = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_under_way.fetch_max(now, Ordering::Relaxed);
        UnderWay(self)
    }

    /// SplitMix64.
    fn draw(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn harm(&self) -> Option<Harm> {
        if self.draw() % 1000 >= self.per_mille {
            return None;
        }
        self.harmed.fetch_add(1, Ordering::Relaxed);
        let any = HARMS[(self.draw() % HARMS.len() as u64) as usize];
        Some(self.only.unwrap_or(any))
    }

    /// One request a connection: the server is told to close, and so tells the client.
    async fn pass(self: Arc<Self>, mut client: TcpStream) -> std::io::Result<()> {
        let Some(head) = head(&mut client).await? else { return Ok(()) };
        let _under_way = self.under_way();
        if self.hook.is_some() {
            let (shared, head) = (self.clone(), head.clone());
            let seen = tokio::task::spawn_blocking(move || {
                if let Some(hook) = &shared.hook {
                    hook(&head);
                }
            });
            seen.await.map_err(std::io::Error::other)?;
        }
        let sent = body(&mut client, &head).await?;
        let harm = self.harm();
        match harm {
            Some(Harm::ServerError) => {
                return refuse(&mut client, "500 Internal Server Error", "InternalError").await;
            }
            Some(Harm::SlowDown) => {
                return refuse(&mut client, "503 Service Unavailable", "SlowDown").await;
            }
            Some(Harm::ResetBefore) => return client.set_zero_linger(),
            Some(Harm::Silence) => {
                tokio::time::sleep(LONG).await;
                return Ok(());
            }
            Some(Harm::Delay) => {
                tokio::time::sleep(Duration::from_millis(self.draw() % 150)).await;
            }
            _ => {}
        }
        let mut server = TcpStream::connect(self.server).await?;
        let asked = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        server.write_all(asked.as_bytes()).await?;
        server.write_all(&sent).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        let body = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
        let half = body + (answer.len() - body) / 2;
        match harm {
            Some(Harm::ResetInBody) => {
                client.write_all(&answer[..half]).await?;
                client.flush().await?;
                // Let it arrive: a reset throws away what is still on its way.
                tokio::time::sleep(Duration::from_millis(20)).await;
                client.set_zero_linger()
            }
            Some(Harm::EndInBody) => client.write_all(&answer[..half]).await,
            Some(Harm::ShortLength) => {
                let head = String::from_utf8_lossy(&answer[..body]);
                let whole = format!("content-length: {}", answer.len() - body);
                let short = format!("content-length: {}", half - body);
                client.write_all(head.replace(&whole, &short).as_bytes()).await?;
                client.write_all(&answer[body..half]).await
            }
            Some(Harm::Stall) => {
                client.write_all(&answer[..half]).await?;
                client.flush().await?;
                tokio::time::sleep(LONG).await;
                Ok(())
            }
            _ => client.write_all(&answer).await,
        }
    }
}

/// The head of a request; `None` where the connection ends before one.
async fn head(client: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match client.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return Ok(None),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

/// The body that the head of a request announces.
async fn body(client: &mut TcpStream, head: &str) -> std::io::Result<Vec<u8>> {
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    client.read_exact(&mut body).await?;
    Ok(body)
}

async fn refuse(client: &mut TcpStream, status: &str, code: &str) -> std::io::Result<()> {
    let body = format!("<Error><Code>{code}</Code><Message>by chance</Message></Error>");
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: application/xml\r\n\
         Connection: close\r\n\r\n{body}"
    );
    client.write_all(answer.as_bytes()).await
}
