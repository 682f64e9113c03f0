//! A process of the program: cells go to its standard input one by one, what it finds comes back as json.

use std::fmt;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A comparison of the slowest kernels, and all that is compiled for it, is over long before.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Shell {
    child: Child,
    input: ChildStdin,
    found: Receiver<Value>,
    /// What it wrote to standard error.
    errors: Arc<Mutex<String>>,
    compared: usize,
    /// Its own, so that no setting and no history of the user's counts.
    _folder: tempfile::TempDir,
}

/// What became of a comparison.
#[derive(Debug)]
pub enum Outcome {
    Compared(Finding),
    /// It has no verdict and no figures: what was said.
    Failed(String),
    /// The process is gone, or does not answer.
    Lost(String),
}

/// What `%compare` tells of the second variant.
#[derive(Debug)]
pub struct Finding {
    pub verdict: String,
    /// How many times as fast as the first one it is, and where that lies.
    pub speedup: Option<f64>,
    pub interval: Option<(f64, f64)>,
}

impl Shell {
    pub fn start(program: &Path) -> Shell {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let mut child = Command::new(program)
            .args(["--format", "json", "--keep-going", "--color", "never"])
            .env("XDG_CONFIG_HOME", folder.path())
            .env("XDG_STATE_HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = (input.expect("it is a pipe"), output.expect("it is a pipe"));
        let mut said = child.stderr.take().expect("it is a pipe");
        let (sender, found) = channel();
        std::thread::spawn(move || {
            let values = serde_json::Deserializer::from_reader(BufReader::new(output)).into_iter::<Value>();
            values.map_while(Result::ok).try_for_each(|value| sender.send(value))
        });
        let errors: Arc<Mutex<String>> = Arc::default();
        let theirs = errors.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = said.read(&mut bytes) {
                theirs.lock().expect("nobody panics with it").push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        Shell { child, input, found, errors, compared: 0, _folder: folder }
    }

    /// Runs cells, the last of which compares two variants.
    pub fn compare(&mut self, cells: &[String]) -> Outcome {
        self.compared += 1;
        self.errors.lock().expect("nobody panics with it").clear();
        let done = format!("compared {}", self.compared);
        // A cell runs when the next one begins.
        let text = format!("{}\n\"{done}\"\n0\n", cells.join("\n"));
        if let Err(error) = self.input.write_all(text.as_bytes()).and_then(|()| self.input.flush()) {
            return Outcome::Lost(self.said(&error.to_string()));
        }
        let mut finding = None;
        loop {
            match self.found.recv_timeout(PATIENCE) {
                Ok(Value::String(text)) if text == done => break,
                Ok(Value::Array(variants)) => finding = variants.get(1).and_then(Finding::read).or(finding),
                Ok(_) => {}
                Err(error) => return Outcome::Lost(self.said(&error.to_string())),
            }
        }
        match finding {
            Some(Finding { verdict, .. }) if ["failed", "different result", "cannot tell"].contains(&&*verdict) => {
                Outcome::Failed(self.said(&verdict))
            }
            Some(finding) => Outcome::Compared(finding),
            None => Outcome::Failed(self.said("nothing was compared")),
        }
    }

    /// Why something failed: the end of what it said, in one line.
    fn said(&self, otherwise: &str) -> String {
        let errors = self.errors.lock().expect("nobody panics with it");
        let lines: Vec<&str> = errors.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(4)..].join(" / ");
        if last.is_empty() { otherwise.to_string() } else { format!("{otherwise}: {last}") }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finding {
    /// From the row of a variant.
    fn read(row: &Value) -> Option<Finding> {
        let number = |name: &str| row.get(name).and_then(Value::as_f64);
        Some(Finding {
            verdict: row.get("verdict")?.as_str()?.to_string(),
            speedup: number("speedup"),
            interval: number("low").zip(number("high")),
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        if let Some(speedup) = self.speedup {
            write!(f, ", {speedup:.4}×")?;
        }
        if let Some((low, high)) = self.interval {
            write!(f, " [{low:.4} {high:.4}]")?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Compared(finding) => write!(f, "{finding}"),
            Outcome::Failed(why) | Outcome::Lost(why) => f.write_str(why),
        }
    }
}
