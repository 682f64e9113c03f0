//! What cells print, line by line. The runner ends what one run printed with a mark, so that the shell can wait for all of
//! it before it tells the result.

use std::io::BufRead;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the runner writes after a run. The line end before it closes a line that is still open.
pub const MARK: &str = "\n\u{1}end\n";

#[derive(Default)]
pub struct Printer {
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
    /// Prints all lines. An empty line before a mark is the mark's own.
    pub fn print(&self, lines: impl Iterator<Item = String>) {
        let mut held = false;
        for line in lines {
            if line == MARK.trim_matches('\n') {
                self.ended();
                held = false;
                continue;
            }
            if std::mem::replace(&mut held, line.is_empty()) {
                println!();
            }
            if !line.is_empty() {
                println!("{line}");
            }
        }
    }

    /// Prints what arrives on a connection, whose end is an end too.
    pub fn print_all(&self, from: impl std::io::Read) {
        self.print(std::io::BufReader::new(from).lines().map_while(Result::ok));
        self.ended();
    }

    fn ended(&self) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).met += 1;
        self.met.notify_all();
    }

    /// One more end will come.
    pub fn expect(&self) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).expected += 1;
    }

    /// Waits for all ends that are expected, but not for long: what was killed may leave none.
    pub fn wait(&self) {
        const PATIENCE: Duration = Duration::from_millis(200);
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.met.wait_timeout_while(marks, PATIENCE, |marks| marks.met < marks.expected);
        let (mut marks, _) = waited.unwrap_or_else(PoisonError::into_inner);
        marks.expected = marks.met.min(marks.expected);
    }
}
