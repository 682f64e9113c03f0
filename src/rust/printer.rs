//! What cells print, line by line. The runner ends what one run printed with a mark, so that the shell can wait for all of
//! it before it tells the result.

use std::io::BufRead;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the runner writes after a run. The line end before it closes a line that is still open.
pub const MARK: &str = "\n\u{1}end\n";

#[derive(Default)]
pub struct Printer {
    /// Marks that were met.
    ends: Mutex<u64>,
    met: Condvar,
}

impl Printer {
    /// Prints all lines. An empty line before a mark is the mark's own.
    pub fn print(&self, lines: impl Iterator<Item = String>) {
        let mut held = false;
        for line in lines {
            if line == MARK.trim_matches('\n') {
                *self.ends.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                self.met.notify_all();
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

    /// Prints what arrives until the end.
    pub fn print_all(&self, from: impl std::io::Read) {
        self.print(std::io::BufReader::new(from).lines().map_while(Result::ok));
    }

    pub fn ends(&self) -> u64 {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for more marks than `before`, but not for long: a run that was killed may leave none.
    pub fn wait(&self, before: u64) {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.met.wait_timeout_while(ends, Duration::from_millis(200), |ends| *ends <= before);
    }
}
