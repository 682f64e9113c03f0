//! The five sockets of a kernel, on a thread of their own: while a cell runs, an interrupt is answered here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zeromq::{
    PubSocket, RepSocket, RouterRecvHalf, RouterSendHalf, RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage,
};

use crate::descendants;
use crate::measure;
use crate::run_context::Stop;

use super::connection::{Channel, Connection};
use super::wire::{Request, frames, random_id};

/// What the thread of the cells has of the sockets.
pub struct Sockets {
    /// What came on the shell channel, in its order. It ends when the kernel shuts down.
    pub requests: Receiver<Request>,
    /// What came on the stdin channel: answers to questions.
    pub answers: Receiver<Request>,
    pub out: Outbox,
    /// Whether the kernel shuts down: what waits is not run.
    pub ending: Arc<AtomicBool>,
}

/// Sends messages; from any thread.
#[derive(Clone)]
pub struct Outbox {
    sender: UnboundedSender<Out>,
    connection: Arc<Connection>,
    session: Arc<str>,
}

enum Out {
    Message(Channel, Vec<Vec<u8>>),
    /// What was sent before it has left, and nothing comes after it.
    End(SyncSender<()>),
}

impl Outbox {
    fn send(&self, channel: Channel, to: &[Vec<u8>], kind: &str, parent: &Json, content: &Json) {
        let frames = frames(&self.connection.key, &self.session, to, kind, parent, content);
        // Where the sockets are gone there is nobody to tell.
        let _ = self.sender.send(Out::Message(channel, frames));
    }

    /// Tells all front ends.
    pub fn publish(&self, parent: &Json, kind: &str, content: &Json) {
        let topic = format!("kernel.{}.{kind}", self.session).into_bytes();
        self.send(Channel::Iopub, &[topic], kind, parent, content);
    }

    pub fn status(&self, parent: &Json, state: &str) {
        self.publish(parent, "status", &json!({ "execution_state": state }));
    }

    pub fn reply(&self, channel: Channel, request: &Request, content: &Json) {
        let kind = request.kind().replace("_request", "_reply");
        self.send(channel, &request.identities, &kind, &request.header, content);
    }

    /// Asks the front end that sent a request.
    pub fn ask(&self, request: &Request, prompt: &str) {
        let content = json!({ "prompt": prompt, "password": false });
        self.send(Channel::Stdin, &request.identities, "input_request", &request.header, &content);
    }

    /// Waits until all that was sent has left.
    pub fn end(&self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let (told, done) = sync_channel(1);
        if self.sender.send(Out::End(told)).is_ok() {
            let _ = done.recv_timeout(PATIENCE);
        }
    }
}

/// Opens the sockets of a connection; an interrupt raises the flag. `info` is the reply to a `kernel_info_request`.
///
/// # Errors
/// In words, where one of them cannot be bound.
pub fn open(connection: Connection, stop: &Stop, info: Json) -> Result<Sockets, String> {
    let (sender, outgoing) = unbounded_channel();
    let connection = Arc::new(connection);
    let out = Outbox { sender, connection: connection.clone(), session: Arc::from(random_id()) };
    let ((requests, taken), (answers, answered)) = (channel(), channel());
    let ending = Arc::new(AtomicBool::new(false));
    let desk = Desk { out: out.clone(), requests, answers, stop: stop.clone(), ending: ending.clone(), info };
    let (ready, opened) = sync_channel(1);
    let serve = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(serve(&connection, desk, outgoing, &ready)),
            Err(error) => drop(ready.send(Err(error.to_string()))),
        }
    };
    let thread = std::thread::Builder::new().name("jupyter".to_string()).spawn(serve);
    thread.map_err(|error| format!("no thread can be started: {error}"))?;
    opened.recv().map_err(|_| "the sockets' thread has ended".to_string())??;
    Ok(Sockets { requests: taken, answers: answered, out, ending })
}

/// What the tasks of the sockets share.
#[derive(Clone)]
struct Desk {
    out: Outbox,
    requests: Sender<Request>,
    answers: Sender<Request>,
    stop: Stop,
    ending: Arc<AtomicBool>,
    info: Json,
}

async fn serve(
    connection: &Connection,
    desk: Desk,
    outgoing: UnboundedReceiver<Out>,
    ready: &SyncSender<Result<(), String>>,
) {
    let bound = match Bound::at(connection).await {
        Ok(bound) => bound,
        Err(error) => return drop(ready.send(Err(error))),
    };
    if ready.send(Ok(())).is_err() {
        return;
    }
    let Bound { shell, control, iopub, stdin, heartbeat } = bound;
    let ((to_shell, from_shell), (to_control, from_control), (to_stdin, from_stdin)) =
        (shell.split(), control.split(), stdin.split());
    tokio::spawn(receive(from_shell, desk.clone(), Channel::Shell));
    tokio::spawn(receive(from_control, desk.clone(), Channel::Control));
    tokio::spawn(receive(from_stdin, desk.clone(), Channel::Stdin));
    tokio::spawn(echo(heartbeat));
    tokio::spawn(watch_parent(desk));
    let routers = [(Channel::Shell, to_shell), (Channel::Control, to_control), (Channel::Stdin, to_stdin)];
    let told = send(outgoing, iopub, routers).await;
    for file in connection.files() {
        // It was there a moment ago.
        let _ = std::fs::remove_file(file);
    }
    if let Some(told) = told {
        // It waits for a while only.
        let _ = told.send(());
    }
}

struct Bound {
    shell: RouterSocket,
    control: RouterSocket,
    iopub: PubSocket,
    stdin: RouterSocket,
    heartbeat: RepSocket,
}

impl Bound {
    async fn at(connection: &Connection) -> Result<Bound, String> {
        connection.files().iter().for_each(|file| remove_socket(file));
        // Nobody else may connect to the files of sockets. Nothing else runs yet.
        // SAFETY: a plain system call.
        let mask = unsafe { libc::umask(0o077) };
        let bound = Bound::bind(connection).await;
        // SAFETY: a plain system call.
        unsafe { libc::umask(mask) };
        bound
    }

    async fn bind(connection: &Connection) -> Result<Bound, String> {
        let mut bound = Bound {
            shell: RouterSocket::new(),
            control: RouterSocket::new(),
            iopub: PubSocket::new(),
            stdin: RouterSocket::new(),
            heartbeat: RepSocket::new(),
        };
        for channel in Channel::ALL {
            let endpoint = connection.endpoint(channel);
            let done = match channel {
                Channel::Shell => bound.shell.bind(&endpoint).await,
                Channel::Control => bound.control.bind(&endpoint).await,
                Channel::Iopub => bound.iopub.bind(&endpoint).await,
                Channel::Stdin => bound.stdin.bind(&endpoint).await,
                Channel::Heartbeat => bound.heartbeat.bind(&endpoint).await,
            };
            done.map_err(|error| format!("cannot listen at {endpoint}: {error}"))?;
        }
        Ok(bound)
    }
}

/// What a kernel that was killed has left. Nothing else of this name is removed.
fn remove_socket(path: &Path) {
    use std::os::unix::fs::FileTypeExt;
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket()) {
        let _ = std::fs::remove_file(path);
    }
}

/// Takes the messages of a channel; those that are not signed are dropped.
async fn receive(mut socket: RouterRecvHalf, desk: Desk, channel: Channel) {
    while let Ok(message) = socket.recv().await {
        let message = message.into_vec();
        let frames: Vec<&[u8]> = message.iter().map(|frame| &frame[..]).collect();
        let Some(request) = Request::read(&desk.out.connection.key, &frames) else { continue };
        desk.take(request, channel);
    }
}

impl Desk {
    fn take(&self, request: Request, channel: Channel) {
        match (channel, request.kind()) {
            (Channel::Stdin, _) => drop(self.answers.send(request)),
            (Channel::Shell | Channel::Control, "shutdown_request") => self.shut_down(&request, channel),
            (Channel::Control, kind) => {
                self.out.status(&request.header, "busy");
                match kind {
                    "interrupt_request" => {
                        self.interrupt();
                        self.out.reply(channel, &request, &json!({ "status": "ok" }));
                    }
                    "kernel_info_request" => self.out.reply(channel, &request, &self.info),
                    // What is not supported has no answer.
                    _ => {}
                }
                self.out.status(&request.header, "idle");
            }
            (Channel::Shell, _) => drop(self.requests.send(request)),
            (Channel::Iopub | Channel::Heartbeat, _) => {}
        }
    }

    fn interrupt(&self) {
        self.stop.raise();
        measure::stop_allocations();
    }

    fn shut_down(&self, request: &Request, channel: Channel) {
        /// How long the cell that runs has to end.
        const PATIENCE: Duration = Duration::from_secs(2);
        self.out.status(&request.header, "busy");
        let content = json!({ "status": "ok", "restart": request.flag("restart", false) });
        self.out.reply(channel, request, &content);
        self.out.publish(&request.header, "shutdown_reply", &content);
        self.out.status(&request.header, "idle");
        self.ending.store(true, Ordering::SeqCst);
        self.interrupt();
        // It wakes who waits for a request.
        let _ = self.requests.send(request.clone());
        let files = self.out.connection.files();
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            descendants::end(libc::SIGTERM);
            files.iter().for_each(|file| drop(std::fs::remove_file(file)));
            std::process::exit(0);
        });
    }
}

/// Answers those who ask whether the kernel is alive.
async fn echo(mut socket: RepSocket) {
    while let Ok(message) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Ends the kernel when the front end that started it is gone and cannot end it any more.
async fn watch_parent(desk: Desk) {
    const OFTEN: Duration = Duration::from_secs(1);
    let parent = || std::os::unix::process::parent_id();
    let Some(said) = std::env::var("JPY_PARENT_PID").ok().and_then(|id| id.parse::<u32>().ok()) else { return };
    if parent() != said {
        return;
    }
    while parent() == said {
        tokio::time::sleep(OFTEN).await;
    }
    let header = json!({ "msg_type": "shutdown_request" });
    let request = Request { identities: Vec::new(), header, content: json!({}), arrived: Instant::now() };
    desk.shut_down(&request, Channel::Control);
}

/// Sends what comes, until the end; who waits for it.
async fn send(
    mut outgoing: UnboundedReceiver<Out>,
    mut iopub: PubSocket,
    mut routers: [(Channel, RouterSendHalf); 3],
) -> Option<SyncSender<()>> {
    /// For one message: a front end that takes nothing must not hold up the others.
    const PATIENCE: Duration = Duration::from_secs(1);
    /// The sockets have tasks of their own that write.
    const LEAVING: Duration = Duration::from_millis(50);
    while let Some(out) = outgoing.recv().await {
        match out {
            Out::Message(channel, frames) => {
                let mut frames = frames.into_iter();
                let mut message = ZmqMessage::from(frames.next().unwrap_or_default());
                frames.for_each(|frame| message.push_back(frame.into()));
                // A front end may be gone.
                let _ = match routers.iter_mut().find(|(of, _)| *of == channel) {
                    Some((_, router)) => tokio::time::timeout(PATIENCE, router.send(message)).await,
                    None => tokio::time::timeout(PATIENCE, iopub.send(message)).await,
                };
            }
            Out::End(told) => {
                tokio::time::sleep(LEAVING).await;
                return Some(told);
            }
        }
    }
    None
}
