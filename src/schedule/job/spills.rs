//! Files for what tasks hand over. Many pieces stand in one file, each with its place: to make a file costs more than
//! to write what a piece has.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::{Batch, from_bytes, put_batch};
use crate::run_context::Stop;

/// The files of a round in a folder, as one process writes and reads them.
pub struct Spills {
    folder: PathBuf,
    /// Those that nobody writes to now: each thread has one of its own, since writers of one file wait for each other.
    free: Mutex<Vec<Growing>>,
    /// Those that were read, also of other processes, by their names.
    read: Mutex<HashMap<String, Arc<File>>>,
}

struct Growing {
    file: File,
    name: String,
    end: u64,
    buffer: Vec<u8>,
}

/// Where a batch stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    file: String,
    start: u64,
    pub bytes: u64,
}

/// Small pieces are written together until they are as large.
const WRITTEN: usize = 1 << 18;

/// More files than these are not kept open: a job that loses many workers has one of each.
const MOST_OPEN: usize = 64;

impl Spills {
    pub fn new(folder: PathBuf) -> Spills {
        Spills { folder, free: Mutex::default(), read: Mutex::default() }
    }

    /// Writes batches one after the other.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(&self, batches: impl Iterator<Item = Batch>, stop: &Stop) -> Fallible<Vec<Place>> {
        let wrong = |error| Diagnostic::new(Kind::System, format!("cannot write what a task hands over: {error}"));
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut growing = match free {
            Some(growing) => growing,
            None => self.make().map_err(wrong)?,
        };
        let mut places = Vec::new();
        for batch in batches {
            stop.check()?;
            let before = growing.buffer.len();
            put_batch(&batch, &mut growing.buffer);
            let start = growing.end + before as u64;
            let bytes = (growing.buffer.len() - before) as u64;
            places.push(Place { file: growing.name.clone(), start, bytes });
            if growing.buffer.len() >= WRITTEN {
                growing.flush().map_err(wrong)?;
            }
        }
        growing.flush().map_err(wrong)?;
        // One that could not be written ends here, with its error.
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(growing);
        Ok(places)
    }

    fn make(&self) -> io::Result<Growing> {
        let (file, path) = tempfile::Builder::new().prefix("pairs-").tempfile_in(&self.folder)?.keep()?;
        let name = path.file_name().expect("it was made in a folder").to_string_lossy().into_owned();
        Ok(Growing { file, name, end: 0, buffer: Vec::new() })
    }

    /// # Errors
    /// Those of the disk.
    pub fn read(&self, place: &Place) -> Fallible<Batch> {
        let read = || {
            let mut bytes = vec![0; place.bytes as usize];
            self.opened(&place.file)?.read_exact_at(&mut bytes, place.start)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error: io::Error| {
            Diagnostic::new(Kind::System, format!("cannot read what a task handed over: {error}"))
        })?;
        from_bytes(&bytes).ok_or_else(broken)
    }

    fn opened(&self, name: &str) -> io::Result<Arc<File>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = read.get(name) {
            return Ok(file.clone());
        }
        if read.len() >= MOST_OPEN {
            read.clear();
        }
        let file = Arc::new(File::open(self.folder.join(name))?);
        read.insert(name.to_string(), file.clone());
        Ok(file)
    }
}

impl Growing {
    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.end)?;
        self.end += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

pub fn broken() -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, "what a task handed over is broken")
}
