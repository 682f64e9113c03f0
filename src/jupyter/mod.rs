//! A kernel of Jupyter: front ends send cells in messages, and get what they show. Here is what each message does; the
//! cells run on the thread that takes them, and the sockets have one of their own.

mod connection;
mod install;
mod live;
mod sockets;
mod wire;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use crate::baselines::Baselines;
use crate::console::{Ask, Console, Reply, Stream};
use crate::diagnostic::{Diagnostic, Kind};
use crate::escape;
use crate::history::History;
use crate::lang::{Splitter, split};
use crate::magics::{self, Evaluation};
use crate::notebook::{self, Bundle, WIDTH, bundles};
use crate::player::Player;
use crate::run_context::Stop;
use crate::session::Session;
use crate::shell::{config, leave_the_terminal_as_it_was, stop_on_ctrl_c};
use crate::show::{self, Style};

use connection::{Channel, Connection};
use live::Live;
use sockets::{Outbox, Sockets};
use wire::{PROTOCOL, Request};

pub use install::{install, uninstall};

/// Runs the kernel of a connection file until a front end shuts it down.
///
/// # Errors
/// The file is not one, or its ports cannot be used.
pub fn run(path: &Path) -> Result<(), String> {
    let kernel = Kernel::open(path).map_err(|error| format!("\"{}\": {error}", escape::file_name(path)))?;
    kernel.serve();
    Ok(())
}

struct Kernel {
    player: Player,
    sockets: Sockets,
    out: Outbox,
    live: Live,
    /// Who is asked, where the front end of the request allows it.
    asked: Arc<Mutex<Option<Request>>>,
    history: History,
}

impl Kernel {
    fn open(path: &Path) -> Result<Kernel, String> {
        leave_the_terminal_as_it_was();
        let connection = Connection::read(path)?;
        let stop = Stop::default();
        stop_on_ctrl_c(stop.clone(), false);
        let mut sockets = sockets::open(connection, &stop, info())?;
        let (out, live) = (sockets.out.clone(), Live::new(sockets.out.clone()));
        let asked = Arc::new(Mutex::new(None));
        // The answers are of use to the console alone.
        let (_, none) = std::sync::mpsc::channel();
        let answers = std::mem::replace(&mut sockets.answers, none);
        let ask = asking(out.clone(), live.clone(), asked.clone(), answers);
        let mut session = Session::new(None, Console::new(live.sink(Stream::Out), live.sink(Stream::Err), ask));
        session.stop = stop;
        session.baselines = Baselines::own();
        session.history = History::own();
        session.survives = true;
        session.attended = true;
        configure(&mut session);
        let history = History::own();
        Ok(Kernel { player: Player { session }, sockets, out, live, asked, history })
    }

    fn serve(mut self) {
        self.out.status(&json!({}), "starting");
        while let Ok(request) = self.sockets.requests.recv() {
            if self.sockets.ending.load(Ordering::SeqCst) {
                break;
            }
            self.take(&request);
            // What woke this loop may have been taken since.
            if self.sockets.ending.load(Ordering::SeqCst) {
                break;
            }
        }
        let Kernel { player, out, .. } = self;
        // What cells have started ends with the session.
        drop(player);
        out.end();
    }

    fn take(&mut self, request: &Request) {
        if request.kind() == "execute_request" {
            // An interrupt that comes once the cell is known to run is for this cell.
            self.player.session.stop.clear();
        }
        self.out.status(&request.header, "busy");
        let content = match request.kind() {
            "execute_request" => Some(self.execute(request)),
            "complete_request" => Some(self.complete(request)),
            "inspect_request" => Some(self.inspect(request)),
            "is_complete_request" => Some(is_complete(request.text("code"))),
            "history_request" => Some(self.history(request)),
            "kernel_info_request" => Some(info()),
            "comm_info_request" => Some(json!({ "status": "ok", "comms": {} })),
            // Nobody here speaks with what a front end opens.
            "comm_open" => {
                let content = json!({ "comm_id": request.content["comm_id"], "data": {} });
                self.out.publish(&request.header, "comm_close", &content);
                None
            }
            _ => None,
        };
        let replied = Instant::now();
        if let Some(content) = &content {
            self.out.reply(Channel::Shell, request, content);
        }
        self.out.status(&request.header, "idle");
        let has_failed = content.as_ref().is_some_and(|content| content["status"] == "error");
        if has_failed && request.kind() == "execute_request" && request.flag("stop_on_error", true) {
            self.abort(replied);
        }
    }

    /// The cells that waited when one failed are not run; those that came later are.
    fn abort(&mut self, failed: Instant) {
        while let Ok(request) = self.sockets.requests.try_recv() {
            if self.sockets.ending.load(Ordering::SeqCst) {
                // The loop sees it as well.
                return;
            }
            if request.kind() != "execute_request" || request.arrived > failed {
                self.take(&request);
                continue;
            }
            self.out.status(&request.header, "busy");
            let content = json!({ "status": "aborted", "execution_count": self.player.session.next_cell() - 1 });
            self.out.reply(Channel::Shell, &request, &content);
            self.out.status(&request.header, "idle");
        }
    }

    fn execute(&mut self, request: &Request) -> Json {
        let code = request.text("code");
        let is_silent = request.flag("silent", false);
        let is_kept = !is_silent && request.flag("store_history", true);
        let cells = split(code);
        let first = self.player.session.next_cell();
        // The result of the last cell has this number.
        let number = (first + cells.len()).saturating_sub(1).max(1);
        self.live.begin(&request.header, is_silent);
        self.live.publish("execute_input", &json!({ "code": code, "execution_count": number }));
        let allowed = request.flag("allow_stdin", true).then(|| request.clone());
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = allowed;
        let mut failure = None;
        let mut payload = Vec::new();
        for cell in &cells {
            if is_kept {
                // A history that cannot be written is no reason not to run a cell.
                let _ = self.history.add(cell);
            }
            let (failed, leaves) = self.cell(cell);
            failure = failed;
            if failure.is_some() && is_kept {
                let _ = self.history.failed(cell);
            }
            if leaves {
                // A front end of a terminal leaves; others show that it goes on.
                payload.push(json!({ "source": "ask_exit", "keepkernel": false }));
                let text = "the kernel goes on: to end it, shut it down in the menu of the front end\n";
                self.live.publish("stream", &json!({ "name": "stderr", "text": text }));
            }
            if failure.is_some() || leaves {
                break;
            }
        }
        self.live.flush();
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if !is_kept {
            self.player.session.forget_cells_from(first);
        }
        let number = if failure.is_some() { self.player.session.next_cell() - 1 } else { number };
        match failure {
            Some(mut failure) => {
                self.live.publish("error", &failure);
                failure["status"] = json!("error");
                failure["execution_count"] = json!(number.max(1));
                failure
            }
            None => json!({
                "status": "ok",
                "execution_count": number,
                "payload": payload,
                "user_expressions": self.expressions(&request.content["user_expressions"]),
            }),
        }
    }

    /// Runs a cell and those that it brings along: the error that ended them, and whether it asks to leave.
    fn cell(&mut self, text: &str) -> (Option<Json>, bool) {
        let context = self.player.session.context();
        let watch = self.live.watch(&context.progress);
        let mut failure = None;
        let live = &self.live;
        let leaves = self.player.visit(text, &context, &mut |session, evaluation| {
            let Evaluation { report, warnings, error, .. } = evaluation;
            for warning in warnings {
                session.console.err.write(told(session, warning).as_bytes());
            }
            if error.is_none() {
                live.show(bundles(report));
            }
            failure = error.as_deref().map(|error| failed(session, error));
        });
        drop(watch);
        if failure.is_none() && self.player.session.stop.is_raised() {
            // What was measured until then is shown; the cells that wait are not wanted any more.
            let error = Diagnostic::new(Kind::Stopped, "stopped: the cells that wait are not run");
            failure = Some(failed(&self.player.session, &error));
        }
        (failure, leaves)
    }

    /// What a front end wants to know besides, each as data.
    fn expressions(&mut self, asked: &Json) -> Json {
        let mut all = Map::new();
        for (name, text) in asked.as_object().into_iter().flatten() {
            let context = self.player.session.context();
            let session = &mut self.player.session;
            let found = match magics::looked_up(session, text.as_str().unwrap_or_default(), &context) {
                Ok(report) => {
                    let Bundle { data, .. } = notebook::data_bundle(&report);
                    json!({ "status": "ok", "data": data, "metadata": {} })
                }
                Err(error) => {
                    let mut failure = failed(session, &error);
                    failure["status"] = json!("error");
                    failure
                }
            };
            all.insert(name.clone(), found);
        }
        Json::Object(all)
    }

    fn complete(&mut self, request: &Request) -> Json {
        let code = request.text("code");
        let at = byte_of(code, request.content["cursor_pos"].as_u64());
        let (start, found) = magics::complete(&mut self.player.session, code, at);
        let (from, to) = (characters(code, start), characters(code, at));
        let typed = found.iter().map(|candidate| {
            json!({
                "start": from,
                "end": to,
                "text": candidate.text,
                "type": candidate.kind,
                "signature": candidate.about,
            })
        });
        json!({
            "status": "ok",
            "matches": found.iter().map(|candidate| &candidate.text).collect::<Vec<_>>(),
            "cursor_start": from,
            "cursor_end": to,
            // The name that front ends know.
            "metadata": { "_jupyter_types_experimental": typed.collect::<Vec<_>>() },
        })
    }

    fn inspect(&mut self, request: &Request) -> Json {
        let code = request.text("code");
        let at = byte_of(code, request.content["cursor_pos"].as_u64());
        let word = word_at(code, at);
        let marks = if request.content["detail_level"].as_u64() == Some(1) { "??" } else { "?" };
        let context = self.player.session.context();
        let known = magics::looked_up(&mut self.player.session, &format!("{word}{marks}"), &context).ok();
        let known = known.filter(|_| word.contains(char::is_alphanumeric));
        let data = known
            .map_or(json!({}), |report| json!({ "text/plain": notebook::printed(&report, &notebook::style(WIDTH)) }));
        json!({ "status": "ok", "found": data != json!({}), "data": data, "metadata": {} })
    }

    fn history(&self, request: &Request) -> Json {
        let content = &request.content;
        let with_output = request.flag("output", false);
        let most = content["n"].as_u64().map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let here = self.player.session.entered();
        // Session 0 is this one, as front ends ask for it; earlier cells are of session 1, whoever ran them.
        let own = here.iter().enumerate().map(|(i, entered)| {
            let report = entered.report.as_ref();
            let output = report.map_or(String::new(), |report| notebook::printed(report, &notebook::style(WIDTH)));
            (0, i + 1, entered.text.clone(), output)
        });
        let earlier = || {
            let entries = self.history.entries().unwrap_or_default();
            let cells: Vec<_> = entries.into_iter().enumerate().map(|(i, entry)| (1, i + 1, entry.cell)).collect();
            cells.into_iter().map(|(session, line, cell)| (session, line, cell, String::new())).collect::<Vec<_>>()
        };
        let mut found: Vec<(i64, usize, String, String)> = match request.text("hist_access_type") {
            "range" => {
                let number = |name: &str| content[name].as_u64().and_then(|n| usize::try_from(n).ok());
                let (start, stop) = (number("start").unwrap_or(1).max(1), number("stop").unwrap_or(usize::MAX));
                let all = match content["session"].as_i64() {
                    None | Some(0) => own.collect(),
                    Some(_) => earlier(),
                };
                all.into_iter().filter(|(_, line, ..)| (start..stop).contains(line)).collect()
            }
            "search" => {
                let pattern = request.text("pattern");
                let mut all = earlier();
                all.retain(|(.., cell, _)| globs(pattern, cell));
                if request.flag("unique", false) {
                    let mut seen = std::collections::HashSet::new();
                    let mut kept: Vec<_> = all.into_iter().rev().filter(|entry| seen.insert(entry.2.clone())).collect();
                    kept.reverse();
                    all = kept;
                }
                all
            }
            // The last ones: those of this session are among them.
            _ => earlier(),
        };
        found.drain(..found.len().saturating_sub(most));
        let entry = |(session, line, cell, output): (i64, usize, String, String)| match with_output {
            true => json!([session, line, [cell, output]]),
            false => json!([session, line, cell]),
        };
        json!({ "status": "ok", "history": found.into_iter().map(entry).collect::<Vec<_>>() })
    }
}

/// Takes the settings of the person's file; a mistake in it stands in the log of the front end.
fn configure(session: &mut Session) {
    let Some((path, text)) = config::path().and_then(|path| Some((path.clone(), config::text(&path).ok()?))) else {
        return;
    };
    if let Err(error) = config::read(&text, &mut session.settings) {
        let told = show::diagnostic(&error, Some(&text), &notebook::style(WIDTH));
        let told = format!("in {}:\n{told}", escape::file_name(&path));
        // Without a log nobody is told.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), told.as_bytes());
    }
}

/// What kernel, language and protocol this is.
fn info() -> Json {
    json!({
        "status": "ok",
        "protocol_version": PROTOCOL,
        "implementation": "timelab",
        "implementation_version": env!("CARGO_PKG_VERSION"),
        "language_info": notebook::language_info(),
        "banner": format!("timelab {}: %help shows what there is", env!("CARGO_PKG_VERSION")),
        "debugger": false,
        "help_links": [],
    })
}

/// Asks the front end of the request that runs; where it allows no questions, nobody can answer.
fn asking(
    out: Outbox,
    live: Live,
    asked: Arc<Mutex<Option<Request>>>,
    answers: std::sync::mpsc::Receiver<Request>,
) -> Ask {
    const LOOK: Duration = Duration::from_millis(20);
    let answers = Mutex::new(answers);
    Arc::new(move |question, is_stopped| {
        let Some(request) = asked.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            return Reply::CannotAsk;
        };
        let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        // What came for an earlier question is not an answer to this one.
        while answers.try_recv().is_ok() {}
        let (shown, prompt) = question.rsplit_once('\n').map_or(("", question), |(shown, prompt)| (shown, prompt));
        if !shown.is_empty() {
            live.sink(Stream::Err).write_line(shown);
        }
        live.flush();
        out.ask(&request, prompt);
        loop {
            if is_stopped() {
                return Reply::Stopped;
            }
            match answers.recv_timeout(LOOK) {
                Ok(reply) if reply.kind() == "input_reply" => return Reply::Line(reply.text("value").to_string()),
                Ok(_) | Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Reply::End,
            }
        }
    })
}

/// A message with the words that it is about.
fn told(session: &Session, diagnostic: &Diagnostic) -> String {
    let text = diagnostic.span.and_then(|span| session.text(span.cell));
    show::diagnostic(diagnostic, text, &Style { color_err: true, ..notebook::style(WIDTH) })
}

/// An error as front ends show it.
fn failed(session: &Session, error: &Diagnostic) -> Json {
    let kind = format!("{:?}", error.kind);
    let lines: Vec<String> = match error.kind {
        Kind::Stopped => vec![error.message.clone()],
        _ => told(session, error).lines().map(str::to_string).collect(),
    };
    json!({ "ename": kind, "evalue": error.message, "traceback": lines })
}

/// Whether a text is a whole cell.
fn is_complete(code: &str) -> Json {
    let mut splitter = Splitter::default();
    code.split('\n').for_each(|line| drop(splitter.push(line)));
    // An empty line ends what nothing else ends.
    if splitter.wants_more() && !code.ends_with("\n\n") {
        return json!({ "status": "incomplete", "indent": "  " });
    }
    json!({ "status": if split(code).iter().all(|cell| magics::parses(cell)) { "complete" } else { "invalid" } })
}

/// The place in bytes of so many characters; without a number, the end.
fn byte_of(text: &str, characters: Option<u64>) -> usize {
    let at = characters.and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| text.char_indices().nth(at)).map_or(text.len(), |(at, _)| at)
}

fn characters(text: &str, byte: usize) -> usize {
    text[..byte].chars().count()
}

/// The name in or before which a place stands, with the sign of a magic.
fn word_at(text: &str, at: usize) -> &str {
    let is_inside = |c: char| c == '_' || c.is_alphanumeric();
    let start =
        text[..at].rfind(|c| !is_inside(c)).map_or(0, |i| i + text[i..].chars().next().map_or(1, char::len_utf8));
    let end = text[at..].find(|c| !is_inside(c)).map_or(text.len(), |length| at + length);
    let start = start - usize::from(text[..start].ends_with('%'));
    &text[start..end]
}

/// Whether a text is like a pattern with `*` and `?`.
fn globs(pattern: &str, text: &str) -> bool {
    glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches(text))
}
