//! A file without a name that holds batches.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::kernel::bytes::{from_bytes, put_batch};
use crate::kernel::column::Batch;
use crate::run_context::Spill;

/// What is written to it is gone when it is dropped, or when the process ends, however that comes.
pub struct Scratch {
    file: File,
    end: AtomicU64,
    spill: Spill,
    /// The bytes of the last batch: the next one's go to the same place in memory, which the system need not clear.
    buffer: Mutex<Vec<u8>>,
}

/// A larger buffer is not kept.
const MOST_KEPT: usize = 1 << 20;

/// Where a batch stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    start: u64,
    bytes: usize,
}

impl Place {
    pub fn bytes(self) -> usize {
        self.bytes
    }
}

impl Scratch {
    /// # Errors
    /// Where the scratch folder cannot be written.
    pub fn new(spill: &Spill) -> Fallible<Scratch> {
        let wrong = |error| failed(spill, &error);
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("timelab-").permissions(Permissions::from_mode(0o700));
        let folder = builder.tempdir_in(&spill.folder).map_err(wrong)?;
        let file = tempfile::tempfile_in(folder.path()).map_err(wrong)?;
        // The file lives on without its folder.
        folder.close().map_err(wrong)?;
        Ok(Scratch { file, end: AtomicU64::new(0), spill: spill.clone(), buffer: Mutex::default() })
    }

    pub fn spill(&self) -> &Spill {
        &self.spill
    }

    /// # Errors
    /// Where the disk is full.
    pub fn write(&self, batch: &Batch) -> Fallible<Place> {
        let mut bytes = self.take_buffer();
        put_batch(batch, &mut bytes);
        let place = Place { start: self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed), bytes: bytes.len() };
        let written = match self.spill.add_write(bytes.len() as u64) {
            true => self.file.write_all_at(&bytes, place.start),
            false => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        };
        written.map_err(|error| failed(&self.spill, &error))?;
        self.keep_buffer(bytes);
        Ok(place)
    }

    /// # Errors
    /// Those of the disk.
    pub fn read(&self, place: Place) -> Fallible<Batch> {
        let mut bytes = self.take_buffer();
        bytes.resize(place.bytes, 0);
        self.file.read_exact_at(&mut bytes, place.start).map_err(|error| failed(&self.spill, &error))?;
        let batch = from_bytes(&bytes).ok_or_else(|| {
            let folder = self.spill.folder.display();
            Diagnostic::new(Kind::System, format!("the scratch file in {folder} does not hold what was written to it"))
        })?;
        self.keep_buffer(bytes);
        Ok(batch)
    }

    fn take_buffer(&self) -> Vec<u8> {
        std::mem::take(&mut *self.buffer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep_buffer(&self, mut bytes: Vec<u8>) {
        if bytes.capacity() <= MOST_KEPT {
            bytes.clear();
            *self.buffer.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        }
    }
}

fn failed(spill: &Spill, error: &io::Error) -> Box<Diagnostic> {
    let folder = spill.folder.display();
    let message = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => {
            format!("the scratch folder {folder} is full; nothing is left in it of this run")
        }
        Some(libc::EFBIG) => {
            format!("a file in the scratch folder {folder} would be larger than `ulimit -f` lets a file be")
        }
        _ => format!("the scratch folder {folder} cannot be used: {error}"),
    };
    Diagnostic::new(Kind::System, message).hint("%set scratch FOLDER chooses another one, %set memory auto needs none")
}
