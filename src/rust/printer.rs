//! What cells print, on its way to the console. The runner ends what one run printed with a mark, so that the shell can
//! wait for all of it before it tells the result.

use std::io::{ErrorKind, Read};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::console::{Console, Sink};

/// What the runner writes after a run, to standard output and to standard error. The line end before it closes a line
/// that is still open.
pub const MARK: &str = "\n\u{1}end\n";

/// Both standard streams of the runner.
pub struct Printers {
    pub out: Printer,
    pub err: Printer,
}

impl Printers {
    pub fn new(console: &Console) -> Printers {
        Printers { out: Printer::new(console.out.clone()), err: Printer::new(console.err.clone()) }
    }

    /// One more end will come on each.
    pub fn expect(&self) {
        self.out.expect();
        self.err.expect();
    }

    /// Waits for all ends that are expected, but not for long: what was killed may leave none.
    pub fn wait(&self) {
        self.out.wait();
        self.err.wait();
    }
}

pub struct Printer {
    sink: Sink,
    marks: Mutex<Marks>,
    met: Condvar,
}

/// Ends of runs: marks, and connections that were closed.
#[derive(Default)]
struct Marks {
    met: u64,
    expected: u64,
}

impl Printer {
    fn new(sink: Sink) -> Printer {
        Printer { sink, marks: Mutex::default(), met: Condvar::new() }
    }

    /// Prints lines that come without their ends.
    pub fn print_lines(&self, lines: impl Iterator<Item = String>) {
        let mut text = Unmarked { printer: self, start: Vec::new(), holds_empty: false, is_open: false };
        lines.for_each(|line| text.add(format!("{line}\n").as_bytes()));
    }

    /// Prints what arrives on a connection, whose end is an end too.
    pub fn print_all(&self, mut from: impl Read) {
        let mut text = Unmarked { printer: self, start: Vec::new(), holds_empty: false, is_open: false };
        let mut buffer = vec![0; 64 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(read) if read > 0 => text.add(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        text.end();
        self.ended();
    }

    fn ended(&self) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).met += 1;
        self.met.notify_all();
    }

    fn expect(&self) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).expected += 1;
    }

    fn wait(&self) {
        const PATIENCE: Duration = Duration::from_millis(200);
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.met.wait_timeout_while(marks, PATIENCE, |marks| marks.met < marks.expected);
        let (mut marks, _) = waited.unwrap_or_else(PoisonError::into_inner);
        marks.expected = marks.met.min(marks.expected);
    }
}

/// What one process prints: passed on as it comes, without the marks.
struct Unmarked<'a> {
    printer: &'a Printer,
    /// The start of a line that may become a mark.
    start: Vec<u8>,
    /// Whether an empty line waits: before a mark it is the mark's own.
    holds_empty: bool,
    /// Whether the last line that was passed on has no end yet.
    is_open: bool,
}

impl Unmarked<'_> {
    fn add(&mut self, bytes: &[u8]) {
        let mark = MARK.trim_start_matches('\n').as_bytes();
        let mut passed = Vec::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_open {
                self.start.extend_from_slice(line);
                if self.start == mark {
                    // Who waits for the mark finds all that stood before it in the sink.
                    self.printer.sink.write(&std::mem::take(&mut passed));
                    self.printer.ended();
                    self.start.clear();
                    self.holds_empty = false;
                    continue;
                }
                if mark.starts_with(&self.start) {
                    continue;
                }
            }
            let start = std::mem::take(&mut self.start);
            self.pass(if self.is_open { line } else { &start }, &mut passed);
        }
        if !passed.is_empty() {
            self.printer.sink.write(&passed);
        }
    }

    fn pass(&mut self, line: &[u8], passed: &mut Vec<u8>) {
        if std::mem::take(&mut self.holds_empty) {
            passed.push(b'\n');
        }
        if !self.is_open && line == b"\n" {
            self.holds_empty = true;
            return;
        }
        self.is_open = !line.ends_with(b"\n");
        passed.extend_from_slice(line);
    }

    /// Passes on what waited for more, and ends the last line.
    fn end(&mut self) {
        let mut passed = Vec::new();
        let start = std::mem::take(&mut self.start);
        if !start.is_empty() {
            self.pass(&start, &mut passed);
        }
        if self.is_open || self.holds_empty {
            passed.push(b'\n');
        }
        if !passed.is_empty() {
            self.printer.sink.write(&passed);
        }
    }
}
