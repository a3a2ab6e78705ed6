//! One worker process: started, spoken to, watched, and seen to its end.

use std::io::{self, BufReader, BufWriter};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tracing::Span;

use super::answers::{Answer, AnswerReader, NoAnswer};
use super::ending::Ending;
use super::logs;
use super::orders::{self, Hello, Order};

/// The subcommand that a worker is started with.
pub const SUBCOMMAND: &str = "worker";

/// Whoever is asked to end and does not in so long is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How often one looks after a process that ends.
const LOOK: Duration = Duration::from_millis(5);

/// What one thread watches of a worker that another one talks to.
#[derive(Debug, Default)]
pub struct Slot {
    state: Mutex<SlotState>,
}

#[derive(Debug, Default)]
struct SlotState {
    /// Of a process that was not waited for yet, so that no other one can have it.
    pid: Option<Pid>,
    waiting_since: Option<Instant>,
    asked_to_end: Option<Instant>,
    /// Killed for its silence.
    silent: bool,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a worker that has been silent for longer than `timeout`, and any if `stopped`: asked
    /// first, then killed.
    pub fn look_after(&self, timeout: Duration, stopped: bool) {
        let mut state = self.state();
        let Some(pid) = state.pid else { return };
        if stopped {
            match state.asked_to_end {
                None => {
                    state.asked_to_end = Some(Instant::now());
                    let _ = kill_process(pid, Signal::TERM);
                }
                Some(asked) if asked.elapsed() > GRACE => {
                    let _ = kill_process(pid, Signal::KILL);
                }
                Some(_) => {}
            }
        } else if state.waiting_since.is_some_and(|since| since.elapsed() > timeout) {
            state.silent = true;
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn begin(&self, pid: Option<Pid>) {
        *self.state() = SlotState { pid, ..SlotState::default() };
    }

    fn wait_begins(&self) {
        self.state().waiting_since = Some(Instant::now());
    }

    fn wait_ends(&self) {
        self.state().waiting_since = None;
    }

    /// From now on the process is not to be touched; true if it was killed for its silence.
    fn release(&self) -> bool {
        let mut state = self.state();
        state.pid = None;
        state.silent
    }
}

/// A running worker. Its parent in the eyes of the kernel is the thread that started it, which must
/// not end before it.
pub struct Worker<'s> {
    child: Child,
    slot: &'s Slot,
    orders: Option<BufWriter<ChildStdin>>,
    answers: Result<AnswerReader<BufReader<ChildStdout>>, NoAnswer>,
    logs: Option<JoinHandle<()>>,
}

impl<'s> Worker<'s> {
    /// Starts this very program as a worker. A worker that dies at once is found out when it is
    /// spoken to.
    ///
    /// # Errors
    /// The system does not start it.
    pub fn start(hello: &Hello, slot: &'s Slot) -> io::Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg0("ocp-rollup")
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Who interrupts the run on a terminal means the coordinator, which sees to the rest.
            .process_group(0)
            .spawn()?;
        slot.begin(Pid::from_raw(child.id() as i32));
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdin, stdout, stderr) = pipes;
        let logs = stderr.map(|stderr| logs::forward(stderr, child.id(), Span::current()));
        let mut orders = stdin.map(BufWriter::new);
        slot.wait_begins();
        // Whether it takes this in, its answer says.
        if let Some(orders) = &mut orders {
            let _ = orders::send(orders, hello);
        }
        let answers = match stdout {
            Some(stdout) => AnswerReader::new(BufReader::with_capacity(64 * 1024, stdout)),
            None => Err(NoAnswer::End),
        };
        slot.wait_ends();
        Ok(Worker { child, slot, orders, answers, logs })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended although nothing was asked of it.
    pub fn is_gone(&self) -> bool {
        // It is left to be waited for, so that its id stays its own.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let Some(pid) = Pid::from_raw(self.child.id() as i32) else { return true };
        !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
    }

    /// Gives it a task.
    pub fn order(&mut self, order: &Order) {
        self.slot.wait_begins();
        // Whether it takes this in, its answer says.
        if let Some(orders) = &mut self.orders {
            let _ = orders::send(orders, order);
        }
        self.slot.wait_ends();
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// It will not give another one.
    pub fn answer(&mut self) -> Result<Answer, NoAnswer> {
        let answers = match &mut self.answers {
            Ok(answers) => answers,
            Err(none) => return Err(*none),
        };
        self.slot.wait_begins();
        let answer = answers.receive();
        self.slot.wait_ends();
        answer
    }

    /// Has it end, or sees that it has ended, and says how. `oom_kills`: whether the kernel has
    /// counted any, asked after its end.
    pub fn end(mut self, garbled: bool, timeout: Duration, oom_kills: &dyn Fn() -> bool) -> Ending {
        // Without orders to come it ends by itself.
        drop(self.orders.take());
        let silent = self.slot.release();
        let deadline = Instant::now() + GRACE;
        let mut by_itself = true;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
                _ => {
                    by_itself = false;
                    let _ = self.child.kill();
                    break self.child.wait().ok();
                }
            }
        };
        // What one that dies leaves in the pipe may make no sense; how it died says more.
        let died = by_itself && status.is_some_and(|status| !status.success());
        drop(self.answers);
        if let Some(logs) = self.logs.take() {
            let _ = logs.join();
        }
        match status {
            _ if silent => Ending::Silent(timeout),
            _ if garbled && !died => Ending::Garbled,
            Some(status) => Ending::of(status, oom_kills()),
            None => Ending::Code(0),
        }
    }
}
