//! The kernel of Jupyter: by a client of its own that speaks the protocol, and under the real front ends where they
//! are installed.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use zeromq::util::PeerIdentity;
use zeromq::{DealerSocket, ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, SubSocket, ZmqMessage};

use crate::command::{err, out, timelab};

const KEY: &str = "a key of tests";
/// For everything: a busy machine is slow, a kernel that is stuck is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kernel and a front end that is connected with it.
struct Client {
    runtime: tokio::runtime::Runtime,
    shell: DealerSocket,
    control: DealerSocket,
    stdin: DealerSocket,
    iopub: SubSocket,
    heartbeat: ReqSocket,
    kernel: Child,
    folder: tempfile::TempDir,
    sent: usize,
}

/// A message of the kernel.
#[derive(Debug, Clone)]
struct Message {
    kind: String,
    /// The request that it belongs to.
    parent: String,
    content: Json,
}

/// What came of a request.
#[derive(Debug)]
struct Done {
    reply: Json,
    /// What was published meanwhile.
    told: Vec<Message>,
}

impl Done {
    fn all(&self, kind: &str) -> Vec<&Json> {
        self.told.iter().filter(|message| message.kind == kind).map(|message| &message.content).collect()
    }

    /// All that is plain text, without the lines that say how long something took.
    fn text(&self) -> String {
        let shown = self.all("display_data").into_iter();
        let all: String = shown.filter_map(|content| content["data"]["text/plain"].as_str()).collect();
        let is_time = |line: &&str| [" ns", " µs", " ms", " s"].iter().any(|unit| line.ends_with(unit));
        all.lines().filter(|line| !is_time(line)).map(|line| format!("{line}\n")).collect()
    }
}

fn signed(parts: &[Vec<u8>]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key may have any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parsed(message: ZmqMessage) -> Message {
    let frames = message.into_vec();
    let at = frames.iter().position(|frame| &frame[..] == b"<IDS|MSG>").expect("a delimiter");
    let parts: Vec<Vec<u8>> = frames[at + 2..at + 6].iter().map(|frame| frame.to_vec()).collect();
    assert_eq!(signed(&parts).as_bytes(), &frames[at + 1][..], "the kernel signs");
    let json = |part: &[u8]| serde_json::from_slice::<Json>(part).expect("json");
    let (header, parent, content) = (json(&parts[0]), json(&parts[1]), json(&parts[3]));
    let text = |json: &Json| json.as_str().unwrap_or_default().to_string();
    assert!(header["version"].as_str().is_some_and(|version| version >= "5.3"), "{header}");
    Message { kind: text(&header["msg_type"]), parent: text(&parent["msg_id"]), content }
}

fn connection_file(folder: &Path, changes: Json) -> PathBuf {
    let mut connection = json!({
        "transport": "ipc",
        "ip": folder.join("k").to_string_lossy(),
        "shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5,
        "key": KEY,
        "signature_scheme": "hmac-sha256",
    });
    for (name, value) in changes.as_object().expect("an object") {
        connection[name] = value.clone();
    }
    let path = folder.join("connection.json");
    std::fs::write(&path, connection.to_string()).expect("the folder can be written");
    path
}

impl Client {
    fn start() -> Client {
        let folder = tempfile::tempdir().expect("a folder");
        let file = connection_file(folder.path(), json!({}));
        let place = format!("ipc://{}", folder.path().join("k").display());
        Client::start_at(folder, &file, |port| format!("{place}-{port}"))
    }

    fn start_at(folder: tempfile::TempDir, file: &Path, endpoint: impl Fn(u16) -> String) -> Client {
        let kernel = Command::new(env!("CARGO_BIN_EXE_timelab"))
            .args(["kernel", "run"])
            .arg(file)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            // Nothing of the person who runs the tests.
            .env("XDG_STATE_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("timelab starts");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let me: PeerIdentity = "front end".parse().expect("an identity");
        let options = || {
            let mut options = SocketOptions::default();
            options.peer_identity(me.clone());
            options
        };
        let (shell, control, stdin, iopub, heartbeat) = runtime.block_on(async {
            let mut shell = DealerSocket::with_options(options());
            let mut control = DealerSocket::with_options(options());
            let mut stdin = DealerSocket::with_options(options());
            let (mut iopub, mut heartbeat) = (SubSocket::new(), ReqSocket::new());
            connect(&mut iopub, &endpoint(2)).await;
            iopub.subscribe("").await.expect("it can subscribe");
            connect(&mut shell, &endpoint(1)).await;
            connect(&mut stdin, &endpoint(3)).await;
            connect(&mut control, &endpoint(4)).await;
            connect(&mut heartbeat, &endpoint(5)).await;
            (shell, control, stdin, iopub, heartbeat)
        });
        let mut client = Client { runtime, shell, control, stdin, iopub, heartbeat, kernel, folder, sent: 0 };
        client.wait_for_subscription();
        client
    }

    /// What is published before the kernel knows of the subscription is lost: it is asked until something comes.
    fn wait_for_subscription(&mut self) {
        const MOMENT: Duration = Duration::from_millis(200);
        let mut asked = 0;
        loop {
            self.send("kernel_info_request", json!({}));
            asked += 1;
            let next = self.runtime.block_on(async { tokio::time::timeout(MOMENT, self.iopub.recv()).await });
            if next.is_ok() {
                // From here on nothing is lost.
                let last = self.send("kernel_info_request", json!({}));
                while !self.published_end(&last) {}
                (0..=asked).for_each(|_| drop(self.replied()));
                return;
            }
        }
    }

    fn published_end(&mut self, id: &str) -> bool {
        let message = self.published();
        message.parent == id && message.kind == "status" && message.content["execution_state"] == "idle"
    }

    fn frames(&mut self, kind: &str, parent: &Json, content: &Json) -> (String, Vec<Vec<u8>>) {
        self.sent += 1;
        let id = format!("message {}", self.sent);
        let header = json!({
            "msg_id": id, "session": "s", "username": "u", "date": "2026-01-01T00:00:00Z", "msg_type": kind,
            "version": "5.3",
        });
        let parts = [&header, parent, &json!({}), content].map(|part| part.to_string().into_bytes());
        let signature = signed(&parts).into_bytes();
        (id, [vec![b"<IDS|MSG>".to_vec(), signature], parts.to_vec()].concat())
    }

    /// Sends on the shell channel; the id of the message.
    fn send(&mut self, kind: &str, content: Json) -> String {
        let (id, frames) = self.frames(kind, &json!({}), &content);
        self.runtime.block_on(self.shell.send(message(frames))).expect("it can be sent");
        id
    }

    fn published(&mut self) -> Message {
        parsed(within(&self.runtime, self.iopub.recv()).expect("it is published"))
    }

    fn replied(&mut self) -> Message {
        parsed(within(&self.runtime, self.shell.recv()).expect("it is replied"))
    }

    /// Sends on the shell channel and waits for the end.
    fn request(&mut self, kind: &str, content: Json) -> Done {
        let id = self.send(kind, content);
        self.done(&id)
    }

    fn done(&mut self, id: &str) -> Done {
        self.done_with(id, |_, _| {})
    }

    /// Waits for the end of a request; what is published is seen as it comes.
    fn done_with(&mut self, id: &str, mut seen: impl FnMut(&mut Client, &Message)) -> Done {
        let mut told = Vec::new();
        loop {
            let message = self.published();
            if message.parent != id {
                continue;
            }
            seen(self, &message);
            let is_end = message.kind == "status" && message.content["execution_state"] == "idle";
            told.push(message);
            if is_end {
                break;
            }
        }
        let reply = self.replied();
        assert_eq!(reply.parent, id);
        Done { reply: reply.content, told }
    }

    fn run(&mut self, code: &str) -> Done {
        self.request("execute_request", execution(code))
    }

    fn control(&mut self, kind: &str, content: Json) -> Json {
        let (id, frames) = self.frames(kind, &json!({}), &content);
        self.runtime.block_on(self.control.send(message(frames))).expect("it can be sent");
        let reply = parsed(within(&self.runtime, self.control.recv()).expect("it is replied"));
        assert_eq!(reply.parent, id);
        reply.content
    }

    /// The question that the kernel asks next.
    fn question(&mut self) -> Message {
        let question = parsed(within(&self.runtime, self.stdin.recv()).expect("it asks"));
        assert_eq!(question.kind, "input_request");
        question
    }

    fn answer(&mut self, line: &str) {
        let (_, frames) = self.frames("input_reply", &json!({}), &json!({ "value": line }));
        self.runtime.block_on(self.stdin.send(message(frames))).expect("it can be sent");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kernel.kill();
        let _ = self.kernel.wait();
    }
}

fn message(frames: Vec<Vec<u8>>) -> ZmqMessage {
    let mut frames = frames.into_iter();
    let mut message = ZmqMessage::from(frames.next().expect("there is one"));
    frames.for_each(|frame| message.push_back(frame.into()));
    message
}

/// The kernel may not have begun to listen.
async fn connect(socket: &mut impl Socket, endpoint: &str) {
    const MOMENT: Duration = Duration::from_millis(10);
    let connected = async {
        while socket.connect(endpoint).await.is_err() {
            tokio::time::sleep(MOMENT).await;
        }
    };
    tokio::time::timeout(PATIENCE, connected).await.expect("the kernel listens");
}

fn within<T>(runtime: &tokio::runtime::Runtime, work: impl Future<Output = T>) -> T {
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("it comes in time") })
}

fn execution(code: &str) -> Json {
    json!({
        "code": code, "silent": false, "store_history": true, "user_expressions": {}, "allow_stdin": true,
        "stop_on_error": true,
    })
}

#[test]
fn a_cell_is_run_and_shown_in_its_forms() {
    let mut client = Client::start();
    let done = client.run("1..4 | map it * it");
    assert_eq!((&done.reply["status"], &done.reply["execution_count"]), (&json!("ok"), &json!(1)), "{done:?}");
    let kinds: Vec<&str> = done.told.iter().map(|message| message.kind.as_str()).collect();
    assert_eq!(kinds, ["status", "execute_input", "display_data", "status"]);
    let [shown] = done.all("display_data")[..] else { panic!("{done:?}") };
    let data = &shown["data"];
    assert!(data["text/plain"].as_str().is_some_and(|text| text.contains("│  9 │") && text.contains("3 rows · ")));
    let html = data["text/html"].as_str().unwrap_or_default();
    assert!(
        html.contains("<th scope=\"col\" class=\"number\">it</th>") && html.contains("<td class=\"number\">4</td>"),
        "{html}"
    );
    let rows = &data["application/vnd.dataresource+json"];
    assert_eq!(rows["data"], json!([{ "it": 1 }, { "it": 4 }, { "it": 9 }]), "{rows}");
    assert_eq!(rows["schema"]["fields"], json!([{ "name": "it", "type": "integer" }]));
    // JupyterLab would prefer it to the table.
    assert!(data.get("application/json").is_none());
    // Cells share a session, and several stand in one cell of a front end.
    let done = client.run("let n = _ | sum\nn + 1\n_ + 1");
    assert_eq!(done.text(), "15\n16\n", "{done:?}");
    assert_eq!(done.reply["execution_count"], 4);
    assert_eq!(client.run("_4").text(), "16\n");
    // Nothing is nothing.
    let done = client.run("# a comment\n");
    assert_eq!((&done.reply["status"], done.text().as_str()), (&json!("ok"), ""));
}

#[test]
fn plots_are_drawings_and_do_not_stand_in_the_table() {
    let mut client = Client::start();
    let done = client.run("%bigo --for 500ms --steps n in 64..4k: letters n | join \"\"");
    assert_eq!(done.reply["status"], "ok", "{done:?}");
    let shown = done.told.iter().filter(|message| message.kind.ends_with("display_data"));
    let all: Vec<&Json> = shown.map(|message| &message.content["data"]).collect();
    assert!(all.iter().any(|data| data["image/svg+xml"].as_str().is_some_and(|svg| svg.starts_with("<svg"))));
    assert!(all.iter().any(|data| data["text/html"].as_str().is_some_and(|html| html.contains("<table>"))));
    assert!(!all.iter().any(|data| data["text/html"].as_str().is_some_and(|html| html.contains("<svg"))));
}

#[test]
fn an_error_is_shown_with_its_place_and_what_waits_is_aborted() {
    let mut client = Client::start();
    let told = client.run("1..3 | map it + \"a\"");
    assert_eq!(told.reply["status"], "error", "{told:?}");
    let [error] = told.all("error")[..] else { panic!("{told:?}") };
    assert_eq!((&error["ename"], &error["evalue"]), (&told.reply["ename"], &told.reply["evalue"]));
    let lines: Vec<&str> = error["traceback"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    assert!(error["ename"] == "Type" && lines.len() > 2 && lines.iter().any(|line| line.contains('^')), "{lines:?}");
    // What comes behind it is run; what waited is not.
    assert_eq!(client.run("1 + 1").text(), "2\n");
    let bad = client.send("execute_request", execution("1..100G | sum"));
    let waits = client.send("execute_request", execution("7"));
    let mut is_stopped = false;
    client.done_with(&bad, |client, message| {
        if message.kind == "display_data" && !is_stopped {
            is_stopped = true;
            client.control("interrupt_request", json!({}));
        }
    });
    let aborted = client.done(&waits);
    assert_eq!(aborted.reply["status"], "aborted", "{aborted:?}");
    assert_eq!(client.run("1 + 1").text(), "2\n");
    // Unless the front end wants to go on.
    let mut content = execution("n");
    content["stop_on_error"] = json!(false);
    let bad = client.send("execute_request", content);
    let good = client.send("execute_request", execution("8"));
    assert_eq!(client.done(&bad).reply["ename"], "Name");
    assert_eq!(client.done(&good).text(), "8\n");
}

#[test]
fn what_is_not_signed_is_dropped() {
    let mut client = Client::start();
    let (_, frames) = client.frames("execute_request", &json!({}), &execution("!touch /tmp/never"));
    let spoilt = |at: usize, with: &[u8]| {
        let mut frames = frames.clone();
        frames[at] = with.to_vec();
        frames
    };
    let other = execution("2").to_string().into_bytes();
    let bad = [
        spoilt(1, b""),
        spoilt(1, b"0"),
        spoilt(1, &[b'0'; 64]),
        spoilt(5, &other),
        frames[..3].to_vec(),
        vec![b"no delimiter".to_vec()],
    ];
    for frames in bad {
        client.runtime.block_on(client.shell.send(message(frames.clone()))).expect("it can be sent");
        client.runtime.block_on(client.control.send(message(frames))).expect("it can be sent");
    }
    // The next reply is that of the next request: nothing came of the others.
    let done = client.run("1 + 1");
    assert_eq!((done.text().as_str(), &done.reply["execution_count"]), ("2\n", &json!(1)));
}

/// Runs a cell that never ends by itself, stops it in this way as soon as it shows its progress, and sees that the
/// session goes on.
#[track_caller]
fn stops(code: &str, mut stop: impl FnMut(&mut Client)) {
    let mut client = Client::start();
    client.run("let kept = 41");
    let id = client.send("execute_request", execution(code));
    let mut is_stopped = false;
    let done = client.done_with(&id, |client, message| {
        if message.kind == "display_data" && !is_stopped {
            is_stopped = true;
            stop(client);
        }
    });
    assert_eq!((&done.reply["status"], &done.reply["ename"]), (&json!("error"), &json!("Stopped")), "{done:?}");
    assert_eq!(client.run("kept + 1").text(), "42\n");
}

#[test]
fn a_message_interrupts() {
    stops("1..100G | sum", |client| {
        assert_eq!(client.control("interrupt_request", json!({})), json!({ "status": "ok" }));
    });
}

#[test]
fn a_signal_interrupts() {
    stops("1..100G | sum | on rows", |client| {
        // SAFETY: a signal to our own child.
        unsafe { libc::kill(client.kernel.id() as i32, libc::SIGINT) };
    });
}

/// What keeps what it has measured is stopped all the same: that is shown, and what waits is not run.
#[test]
fn a_stopped_measurement_is_shown_and_ends_the_queue() {
    for code in ["%timeit --for 10min 1..10k | sum", "%bigo --for 10min n in 1k..64M: 1..n | sum"] {
        let mut client = Client::start();
        let id = client.send("execute_request", execution(code));
        let waits = client.send("execute_request", execution("7"));
        let mut is_stopped = false;
        let done = client.done_with(&id, |client, message| {
            if message.kind == "display_data" && !is_stopped {
                is_stopped = true;
                client.control("interrupt_request", json!({}));
            }
        });
        assert_eq!((&done.reply["status"], &done.reply["ename"]), (&json!("error"), &json!("Stopped")), "{done:?}");
        assert_eq!(client.done(&waits).reply["status"], "aborted");
        assert_eq!(client.run("1 + 1").text(), "2\n");
    }
}

#[test]
fn the_last_progress_of_a_stopped_cell_is_cleared() {
    let mut client = Client::start();
    let id = client.send("execute_request", execution("1..100G | sum"));
    let mut is_stopped = false;
    let done = client.done_with(&id, |client, message| {
        if message.kind == "display_data" && !is_stopped {
            is_stopped = true;
            client.control("interrupt_request", json!({}));
        }
    });
    let updates = done.all("update_display_data");
    assert_eq!(updates.last().map(|last| &last["data"]["text/plain"]), Some(&json!("")), "{done:?}");
}

#[test]
fn exit_says_how_to_end() {
    let mut client = Client::start();
    let done = client.run("exit");
    let said: String = done.all("stream").iter().filter_map(|stream| stream["text"].as_str()).collect();
    assert!(said.contains("shut it down"), "{done:?}");
}

#[test]
fn an_interrupt_while_nothing_runs_stops_nothing() {
    let mut client = Client::start();
    client.control("interrupt_request", json!({}));
    assert_eq!(client.run("1..1k | sum").reply["status"], "ok");
}

#[test]
fn progress_is_updated_and_gives_way_to_the_result() {
    let mut client = Client::start();
    let done = client.run("%compare --for 2s slow: 1..40M | map it % 7 | sum, fast: 1..40M | map it % 7 | sum");
    assert_eq!(done.reply["status"], "ok", "{done:?}");
    let [first, rest @ ..] = &done.all("display_data")[..] else { panic!("{done:?}") };
    let id = &first["transient"]["display_id"];
    assert!(id.is_string(), "{first}");
    let updates = done.all("update_display_data");
    assert!(!updates.is_empty() && updates.iter().all(|update| update["transient"]["display_id"] == *id), "{done:?}");
    let last = updates.last().expect("there is one")["data"]["text/html"].as_str().unwrap_or_default();
    assert!(last.contains("<table>") && last.contains("slow"), "{last}");
    assert!(rest.iter().all(|more| more["data"].get("text/html").is_none_or(|html| html.as_str() != Some(last))));
}

#[test]
fn what_cells_print_is_a_stream() {
    let mut client = Client::start();
    let done = client.run("!printf 'é1\\n'; printf 'oops\\n' >&2");
    let text = |name: &str| -> String {
        let all = done.all("stream").into_iter().filter(|content| content["name"] == name);
        all.filter_map(|content| content["text"].as_str()).collect()
    };
    assert_eq!((text("stdout").as_str(), text("stderr").as_str()), ("é1\n", "oops\n"), "{done:?}");
    // At most a mebibyte is sent.
    let done = client.run("!head -c 3000000 /dev/zero | tr '\\0' x");
    let sent: usize = done.all("stream").iter().filter_map(|content| content["text"].as_str()).map(str::len).sum();
    assert!((1 << 20..(1 << 20) + 200).contains(&sent), "{sent}");
    // A warning is printed, too.
    let done = client.run("fn sqrt(x) = x");
    assert!(done.all("stream").iter().any(|content| content["name"] == "stderr"), "{done:?}");
}

#[test]
fn silent_cells_show_nothing_and_have_no_number() {
    let mut client = Client::start();
    let mut content = execution("let quiet = 6; quiet + 1");
    content["silent"] = json!(true);
    let done = client.request("execute_request", content);
    assert_eq!(done.reply["status"], "ok");
    assert!(done.told.iter().all(|message| message.kind == "status"), "{done:?}");
    let done = client.run("quiet * 7");
    assert_eq!((done.text().as_str(), &done.reply["execution_count"]), ("42\n", &json!(1)));
}

#[test]
fn programs_ask_for_results_as_data() {
    let mut client = Client::start();
    let mut content = execution("1..4 | sum");
    content["user_expressions"] = json!({ "rows": "1..3 | map it * 2", "one": "1.5 + 1", "bad": "nothing" });
    let done = client.request("execute_request", content);
    let found = &done.reply["user_expressions"];
    assert_eq!(found["rows"]["data"]["application/json"], json!([{ "it": 2 }, { "it": 4 }]), "{found}");
    assert_eq!(found["one"]["data"]["application/json"], json!(2.5), "{found}");
    assert_eq!((&found["bad"]["status"], &found["bad"]["ename"]), (&json!("error"), &json!("Name")), "{found}");
    assert_eq!(client.run("_").reply["execution_count"], 2);
}

#[test]
fn completion_has_types_and_descriptions() {
    let mut client = Client::start();
    let mut complete =
        |code: &str, at: usize| client.request("complete_request", json!({ "code": code, "cursor_pos": at })).reply;
    let found = complete("1..4 | su", 9);
    assert_eq!((&found["cursor_start"], &found["cursor_end"]), (&json!(7), &json!(9)), "{found}");
    let typed = &found["metadata"]["_jupyter_types_experimental"][0];
    assert_eq!((&typed["text"], &typed["type"]), (&json!("sum"), &json!("stage")), "{found}");
    assert!(typed["signature"].as_str().is_some_and(|about| about.contains("sum")), "{found}");
    // Places are counted in characters, not in bytes.
    let found = complete("\"é×\" | upp", 10);
    assert_eq!(found["cursor_start"], 7, "{found}");
    let found = complete("%compar", 7);
    assert_eq!(found["metadata"]["_jupyter_types_experimental"][0]["type"], "magic", "{found}");
    let found = complete("1..4 | map sq", 13);
    assert_eq!(found["metadata"]["_jupyter_types_experimental"][0]["type"], "function", "{found}");
    // A place beyond the end is the end.
    assert_eq!(complete("%compar", 100)["matches"][0], "compare");
}

#[test]
fn names_are_explained() {
    let mut client = Client::start();
    client.run("let ages = 1..4");
    let mut about = |code: &str, at: usize, level: usize| {
        let content = json!({ "code": code, "cursor_pos": at, "detail_level": level });
        client.request("inspect_request", content).reply
    };
    let text = |reply: &Json| reply["data"]["text/plain"].as_str().unwrap_or_default().to_string();
    assert!(text(&about("1..4 | top 3", 8, 0)).contains("top"), "stages");
    assert!(text(&about("%compare", 3, 0)).contains("%compare"), "magics");
    assert!(text(&about("ages | sum", 2, 0)).contains("ages"), "names");
    assert!(text(&about("anagrams", 4, 1)).lines().count() > 20, "sources");
    assert_eq!(about("nothing_of_this_name", 3, 0)["found"], false);
    assert_eq!(about("1 + 2", 2, 0)["found"], false);
}

#[test]
fn open_cells_are_incomplete() {
    let mut client = Client::start();
    let mut status = |code: &str| {
        let reply = client.request("is_complete_request", json!({ "code": code })).reply;
        reply["status"].as_str().unwrap_or_default().to_string()
    };
    assert_eq!(status("1..4 | sum"), "complete");
    assert_eq!(status("1..4 |"), "incomplete");
    assert_eq!(status("(1 + 2"), "incomplete");
    assert_eq!(status("%%rust\nlet x = 1;"), "incomplete");
    assert_eq!(status("1 +"), "invalid");
    assert_eq!(status(""), "complete");
}

#[test]
fn earlier_cells_are_remembered() {
    let mut client = Client::start();
    client.run("1 + 1");
    client.run("2 + nothing");
    client.run("1..4 | sum");
    let mut ask = |content: Json| client.request("history_request", content).reply["history"].clone();
    let tail = ask(json!({ "hist_access_type": "tail", "n": 2, "output": false, "raw": true }));
    assert_eq!((&tail[0][2], &tail[1][2]), (&json!("2 + nothing"), &json!("1..4 | sum")), "{tail}");
    let range = json!({ "hist_access_type": "range", "session": 0, "start": 1, "stop": 2, "output": true });
    let found = ask(range);
    assert!(found[0][2][0] == "1 + 1" && found[0][2][1].as_str().is_some_and(|out| out.starts_with("2\n")), "{found}");
    let found = ask(json!({ "hist_access_type": "search", "pattern": "*sum*", "n": 5 }));
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn questions_go_to_the_front_end() {
    let mut client = Client::start();
    let script = client.folder.path().join("a.txt");
    std::fs::write(&script, "!echo it ran\n").expect("the folder can be written");
    let code = format!("%run \"{}\"", script.display());
    let id = client.send("execute_request", execution(&code));
    let question = client.question();
    assert!(question.parent == id && !question.content["prompt"].as_str().unwrap_or("\n").contains('\n'));
    client.answer("y");
    let done = client.done(&id);
    let streams = done.all("stream");
    assert!(streams.iter().any(|content| content["text"] == "it ran\n"), "{done:?}");
    // The cells that it is about were shown first.
    assert!(streams.iter().any(|content| content["name"] == "stderr"), "{done:?}");
    // Where questions are forbidden, the answer is no.
    std::fs::write(&script, "!echo it ran again\n").expect("the folder can be written");
    let mut content = execution(&code);
    content["allow_stdin"] = json!(false);
    let done = client.request("execute_request", content);
    assert_eq!(done.reply["status"], "error", "{done:?}");
    assert!(!done.all("stream").iter().any(|content| content["text"] == "it ran again\n"), "{done:?}");
    // Stop is an answer.
    let id = client.send("execute_request", execution(&code));
    client.question();
    client.control("interrupt_request", json!({}));
    assert_eq!(client.done(&id).reply["status"], "error");
}

#[test]
fn a_tutorial_waits_before_each_cell() {
    let mut client = Client::start();
    let id = client.send("execute_request", execution("%tour 1"));
    // Skips the first, types a cell of its own in the place of the second, and ends.
    for answer in ["s", "20 + 3", "q"] {
        let question = client.question();
        assert!(question.content["prompt"].as_str().is_some_and(|prompt| prompt.contains("q ends")), "{question:?}");
        client.answer(answer);
    }
    let done = client.done(&id);
    assert_eq!(done.reply["status"], "ok", "{done:?}");
    let text = done.text();
    assert!(text.contains("The stopwatch") && text.contains("23\n") && !text.contains("wall ·"), "{text}");
}

#[test]
fn a_kernel_tells_what_it_is_and_that_it_is_alive() {
    let mut client = Client::start();
    let info = client.request("kernel_info_request", json!({})).reply;
    assert_eq!((&info["implementation"], &info["language_info"]["name"]), (&json!("timelab"), &json!("timelab")));
    assert_eq!(client.control("kernel_info_request", json!({})), info);
    assert_eq!(client.request("comm_info_request", json!({})).reply["comms"], json!({}));
    let Client { runtime, heartbeat, .. } = &mut client;
    within(runtime, heartbeat.send(ZmqMessage::from("ping"))).expect("it can be sent");
    let beat = within(runtime, heartbeat.recv()).expect("it beats").into_vec();
    assert_eq!(&beat[0][..], b"ping");
}

#[test]
fn shutdown_ends_the_process_also_while_a_cell_runs() {
    for (code, restart) in [("1", true), ("1..100G | sum", false)] {
        let mut client = Client::start();
        client.send("execute_request", execution(code));
        // Its result, or its progress.
        while client.published().kind != "display_data" {}
        let reply = client.control("shutdown_request", json!({ "restart": restart }));
        assert_eq!(reply, json!({ "status": "ok", "restart": restart }));
        let status = client.kernel.wait().expect("it is our child");
        assert!(status.success(), "{status}");
        let left = std::fs::read_dir(client.folder.path()).expect("it is there");
        let left: Vec<String> = left.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
        assert!(!left.iter().any(|name| name.starts_with("k-")), "{left:?}");
    }
}

#[test]
fn loopback_works_and_other_networks_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    // The system knows which ports are free.
    let listeners: Vec<_> =
        (0..5).map(|_| std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free")).collect();
    let ports: Vec<u16> = listeners.iter().map(|it| it.local_addr().expect("it is bound").port()).collect();
    drop(listeners);
    let file = connection_file(
        folder.path(),
        json!({
            "transport": "tcp", "ip": "127.0.0.1", "shell_port": ports[0], "iopub_port": ports[1],
            "stdin_port": ports[2], "control_port": ports[3], "hb_port": ports[4],
        }),
    );
    let mut client =
        Client::start_at(folder, &file, |port| format!("tcp://127.0.0.1:{}", ports[usize::from(port) - 1]));
    assert_eq!(client.run("1 + 1").text(), "2\n");
    let refused = |changes: Json, why: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = connection_file(folder.path(), changes);
        let output = timelab(&["kernel", "run", &file.to_string_lossy()], "");
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains(why), "{}", err(&output));
    };
    refused(json!({ "transport": "tcp", "ip": "0.0.0.0" }), "loopback only");
    refused(json!({ "transport": "tcp", "ip": "192.168.0.7" }), "loopback only");
    refused(json!({ "key": "" }), "no key");
    refused(json!({ "signature_scheme": "none" }), "unknown signature scheme");
    refused(json!({ "transport": "pgm" }), "unknown transport");
    refused(json!({ "hb_port": "x" }), "not a connection file");
}

#[test]
fn jupyter_is_told_of_the_kernel() {
    let folder = tempfile::tempdir().expect("a folder");
    let prefix = folder.path().to_string_lossy();
    let output = timelab(&["kernel", "install", "--prefix", &prefix], "");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let spec = folder.path().join("share/jupyter/kernels/timelab/kernel.json");
    assert!(out(&output).contains("share/jupyter/kernels/timelab"));
    let text = std::fs::read_to_string(&spec).expect("it is there");
    let written: Json = serde_json::from_str(&text).expect("json");
    assert_eq!(written["argv"][3], "{connection_file}");
    assert_eq!(timelab(&["kernel", "uninstall", "--prefix", &prefix], "").status.code(), Some(0));
    assert!(!spec.exists());
    let output = timelab(&["kernel", "uninstall", "--prefix", &prefix], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("not installed"), "{}", err(&output));
}

/// Python with the packages of Jupyter: `$TIMELAB_JUPYTER`, else the one of the system.
fn python() -> Option<String> {
    let python = std::env::var("TIMELAB_JUPYTER").unwrap_or_else(|_| "python3".to_string());
    let has = Command::new(&python)
        .args(["-c", "import jupyter_client, nbclient, nbformat"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    has.then_some(python)
}

/// Runs a script of `tests/jupyter` with the kernel installed; the test is skipped where a package is missing.
fn front_end(script: &str) {
    let Some(python) = python() else {
        eprintln!("skipped {script}: no Python with jupyter_client, nbclient and nbformat; TIMELAB_JUPYTER names one");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let installed = timelab(&["kernel", "install", "--prefix", &folder.path().to_string_lossy()], "");
    assert_eq!(installed.status.code(), Some(0));
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jupyter").join(script))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("JUPYTER_PATH", folder.path().join("share/jupyter"))
        .env("TIMELAB", env!("CARGO_BIN_EXE_timelab"))
        .env("JUPYTER_RUNTIME_DIR", folder.path().join("runtime"))
        .env("XDG_STATE_HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .output()
        .expect("Python starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        eprintln!("skipped {script}: {said}");
        return;
    }
    assert!(output.status.success(), "{script}: {said}");
}

#[test]
fn real_clients_of_jupyter_run_cells() {
    front_end("client.py");
}

#[test]
fn jupyterlab_shows_tables_and_plots_and_stops() {
    front_end("lab.py");
}

#[test]
fn exported_pages_are_good_in_a_browser() {
    front_end("pages.py");
}

#[test]
fn exports_are_valid_and_run_again() {
    front_end("notebooks.py");
}
