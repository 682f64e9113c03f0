//! What a cell shows while it runs: what it prints, and how far it has come. A front end would be flooded by a message
//! for every write, so that they are collected for a moment.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::console::{MOST_PRINTED, Sink, Stream};
use crate::notebook::{Bundle, text_bundle};
use crate::run_context::Progress;
use crate::show::{bytes_text, duration_text, grouped, percent};

use super::sockets::Outbox;
use super::wire::random_id;

/// What was printed is sent so often.
const OFTEN: Duration = Duration::from_millis(50);
/// Shorter work shows no progress.
const PATIENCE: Duration = Duration::from_millis(500);
/// Progress is drawn anew so often.
const REDRAW: Duration = Duration::from_millis(250);

/// What the cell shows that runs.
#[derive(Clone)]
pub struct Live {
    out: Outbox,
    shown: Arc<Mutex<Shown>>,
}

#[derive(Default)]
struct Shown {
    /// The header of the request that is worked on.
    parent: Json,
    /// Whether nothing of it is to be seen.
    is_silent: bool,
    pieces: Vec<(Stream, Vec<u8>)>,
    /// What was printed, in bytes, and what had no room.
    printed: usize,
    left_out: u64,
    /// The display that shows the progress, and what it shows.
    display: Option<(String, String)>,
}

impl Live {
    pub fn new(out: Outbox) -> Live {
        Live { out, shown: Arc::default() }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream of the cells.
    pub fn sink(&self, stream: Stream) -> Sink {
        let live = self.clone();
        Sink::new(move |bytes| live.shown().add(stream, bytes))
    }

    /// What follows belongs to this request.
    pub fn begin(&self, parent: &Json, is_silent: bool) {
        *self.shown() = Shown { parent: parent.clone(), is_silent, ..Shown::default() };
    }

    /// Sends all that was printed.
    pub fn flush(&self) {
        self.shown().flush(&self.out, true);
    }

    /// Shows the outputs of a cell; the first takes the place of its progress.
    pub fn show(&self, bundles: Vec<Bundle>) {
        let mut shown = self.shown();
        shown.flush(&self.out, true);
        for Bundle { data, .. } in bundles {
            match shown.display.take() {
                Some((id, _)) => shown.display(&self.out, "update_display_data", &data, Some(&id)),
                None => shown.display(&self.out, "display_data", &data, None),
            }
        }
    }

    /// Sends a message about the cell, behind all that it has printed.
    pub fn publish(&self, kind: &str, content: &Json) {
        let mut shown = self.shown();
        shown.flush(&self.out, true);
        // What it came to takes the place of how far it was.
        if let Some((id, _)) = shown.display.take() {
            shown.display(&self.out, "update_display_data", &json!({ "text/plain": "" }), Some(&id));
        }
        if !shown.is_silent {
            self.out.publish(&shown.parent, kind, content);
        }
    }

    /// Shows what is printed and how far the work is, until the end.
    pub fn watch(&self, progress: &Progress) -> Watch {
        let (live, progress) = (self.clone(), progress.clone());
        let (end, ended) = channel();
        let thread = std::thread::Builder::new().name("live".to_string()).spawn(move || live.go_on(&progress, &ended));
        // Where no thread can be started, all is shown in the end.
        Watch(thread.ok().map(|thread| (end, thread)))
    }

    fn go_on(&self, progress: &Progress, ended: &Receiver<()>) {
        let start = Instant::now();
        let mut drawn = start;
        while ended.recv_timeout(OFTEN) == Err(RecvTimeoutError::Timeout) {
            let mut shown = self.shown();
            shown.flush(&self.out, false);
            if start.elapsed() >= PATIENCE && drawn.elapsed() >= REDRAW {
                drawn = Instant::now();
                shown.draw(&self.out, &progress_text(progress, start.elapsed()));
            }
        }
    }
}

impl Shown {
    fn add(&mut self, stream: Stream, bytes: &[u8]) {
        let room = MOST_PRINTED.saturating_sub(self.printed).min(bytes.len());
        self.left_out += (bytes.len() - room) as u64;
        self.printed += room;
        match self.pieces.last_mut() {
            _ if room == 0 => {}
            Some((last, piece)) if *last == stream => piece.extend_from_slice(&bytes[..room]),
            _ => self.pieces.push((stream, bytes[..room].to_vec())),
        }
    }

    /// Sends what was printed; the beginning of a character waits for its rest, but not at the end.
    fn flush(&mut self, out: &Outbox, is_end: bool) {
        let mut pieces = std::mem::take(&mut self.pieces);
        let rest = pieces.last_mut().filter(|_| !is_end).and_then(|(stream, bytes)| {
            let rest = bytes.split_off(whole_characters(bytes));
            (!rest.is_empty()).then_some((*stream, rest))
        });
        self.pieces.extend(rest);
        if is_end && self.left_out > 0 {
            let (bytes, most) = (bytes_text(self.left_out as f64), bytes_text(MOST_PRINTED as f64));
            let note = format!("{bytes} more were printed but not kept: at most {most} per cell are kept\n");
            pieces.push((Stream::Err, note.into_bytes()));
            self.left_out = 0;
        }
        if self.is_silent {
            return;
        }
        for (stream, bytes) in pieces.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let name = match stream {
                Stream::Out => "stdout",
                Stream::Err => "stderr",
            };
            let text = String::from_utf8_lossy(&bytes);
            out.publish(&self.parent, "stream", &json!({ "name": name, "text": text }));
        }
    }

    fn display(&self, out: &Outbox, kind: &str, data: &Json, id: Option<&str>) {
        if self.is_silent {
            return;
        }
        let transient = id.map_or(json!({}), |id| json!({ "display_id": id }));
        out.publish(&self.parent, kind, &json!({ "data": data, "metadata": {}, "transient": transient }));
    }

    fn draw(&mut self, out: &Outbox, text: &str) {
        let (id, kind) = match &self.display {
            Some((_, before)) if before == text => return,
            Some((id, _)) => (id.clone(), "update_display_data"),
            None => (random_id(), "display_data"),
        };
        self.display(out, kind, &text_bundle(text).data, Some(&id));
        self.display = Some((id, text.to_string()));
    }
}

/// How many bytes are whole characters; bytes that are none at all count too.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

fn progress_text(progress: &Progress, passed: Duration) -> String {
    let told = progress.told();
    let (done, all) = progress.bytes();
    let known = match progress.rows() {
        _ if !told.is_empty() => return told,
        _ if all > 0 && done > 0 => {
            let share = percent(done.min(all) as f64 / all as f64);
            format!("{share} of {}", bytes_text(all as f64))
        }
        0 => "working".to_string(),
        rows => format!("{} rows", grouped(rows)),
    };
    format!("{known} · {}", duration_text(passed.as_secs_f64().floor()))
}

/// Shows it until it is dropped.
pub struct Watch(Option<(Sender<()>, JoinHandle<()>)>);

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            // Showing that failed must not fail the work.
            let _ = thread.join();
        }
    }
}
