//! A job that is kept in a folder: what finished tasks gave, so that a later run does not do them again.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::history;
use crate::kernel::{self, Batch, Cut};
use crate::plan::Prepared;
use crate::run_context::Counts128;

use super::JobOptions;
use super::log::StepKind;
use super::work::Given;

/// Round, step and task.
pub type Place = (usize, StepKind, usize);

/// What a job is, so that it can go on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedJob {
    /// The pipeline as it was written.
    pub pipeline: String,
    pub options: JobOptions,
    pub workers: usize,
    /// Of the plan and what it reads.
    pub mark: u64,
}

/// The folder of a job, which no other process uses meanwhile.
#[derive(Debug)]
pub struct JobFolder {
    path: PathBuf,
    _lock: File,
}

const JOB: &str = "job.json";

/// What tells a plan and its input from others: the steps, the sizes and times of files, and the rows of tables.
pub fn mark(plan: &Prepared) -> Fallible<u64> {
    // A plan may be nested as deep as the language allows.
    stacker::grow(DEEP_STACK, || mark_of(plan))
}

const DEEP_STACK: usize = 64 << 20;

fn mark_of(plan: &Prepared) -> Fallible<u64> {
    let mut json = serde_json::to_value(plan)
        .map_err(|error| Diagnostic::at(Kind::System, plan.span(), format!("this plan cannot be kept: {error}")))?;
    forget_places(&mut json);
    let mut hasher = DefaultHasher::new();
    json.to_string().hash(&mut hasher);
    // By the order in which they were made: their numbers differ between sessions.
    let mut tables: Vec<_> = plan.beside().tables.into_iter().collect();
    tables.sort_by_key(|(id, _)| *id);
    for (_, table) in tables {
        let types = table.schema().columns.iter().map(|column| column.ty.clone());
        let all = Cut::new(table.frame(), types).next(usize::MAX).unwrap_or(Batch { rows: 0, columns: Vec::new() });
        kernel::to_bytes(&all).hash(&mut hasher);
    }
    Ok(hasher.finish())
}

/// Takes out what differs between sessions: places in the text, numbers of tables, and where Rust was compiled.
fn forget_places(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(fields) => {
            for place in ["span", "id"] {
                fields.remove(place);
            }
            if fields.get("library").is_some_and(|library| *library != "") {
                fields.retain(|name, _| !matches!(name.as_str(), "library" | "symbol"));
            }
            fields.values_mut().for_each(forget_places);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(forget_places),
        _ => {}
    }
}

/// Where jobs are kept.
fn folder_of(name: &str) -> Fallible<PathBuf> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        let message = format!("the name of a job has letters, digits, - and _, got `{name}`");
        return Err(Diagnostic::new(Kind::Name, message).hint("--job nightly"));
    }
    let state = history::own_folder()
        .ok_or_else(|| Diagnostic::new(Kind::File, "there is no folder to keep a job in: HOME is not set"))?;
    Ok(state.join("jobs").join(name))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Box<Diagnostic> {
    Diagnostic::new(Kind::File, format!("cannot {what} the job in {}: {error}", path.display()))
}

impl JobFolder {
    /// The folder of a job of this name, new or not.
    ///
    /// # Errors
    /// It cannot be made, or another process uses it.
    pub fn open(name: &str) -> Fallible<JobFolder> {
        let path = folder_of(name)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| cannot("keep", &path, &error))?;
        let lock = File::create(path.join("lock")).map_err(|error| cannot("keep", &path, &error))?;
        if lock.try_lock().is_err() {
            let message = format!("another timelab works on the job `{name}`");
            return Err(Diagnostic::new(Kind::File, message).hint("wait until it is done, or choose another name"));
        }
        Ok(JobFolder { path, _lock: lock })
    }

    /// The names of jobs that are not done.
    pub fn names() -> Vec<String> {
        let folder = history::own_folder().map(|state| state.join("jobs"));
        let entries = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .filter(|entry| entry.path().join(JOB).exists())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the job is; none where it is new.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn job(&self) -> Fallible<Option<SavedJob>> {
        let path = self.path.join(JOB);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot("read", &path, &error)),
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                let message = format!("{} is damaged: {error}", path.display());
                Diagnostic::new(Kind::File, message).hint("remove its folder")
            }),
        }
    }

    /// # Errors
    /// It cannot be written.
    pub fn begin(&self, job: &SavedJob) -> Fallible<()> {
        self.write(JOB, &serde_json::to_vec(job).expect("it is plain data"))
    }

    /// What a task gave in an earlier run.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn done(&self, place: Place) -> Fallible<Option<(Given, Counts128, Vec<u8>)>> {
        let path = self.path.join(file_name(place));
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| cannot("read", &path, &error))?,
        };
        // A file is renamed into its place once it is whole: any other file is not ours.
        let head = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length) as usize);
        let parts = head.and_then(|head| bytes[8..].split_at_checked(head));
        let found = parts.and_then(|(head, rest)| {
            let (given, counted) = serde_json::from_slice(head).ok()?;
            Some((given, counted, rest.to_vec()))
        });
        Ok(found)
    }

    /// Keeps what a task gave, and what it has counted.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, place: Place, given: &Given, counted: &Counts128, bytes: &[u8]) -> Fallible<()> {
        let head = serde_json::to_vec(&(given, counted)).expect("it is plain data");
        let all = [&(head.len() as u64).to_le_bytes()[..], &head, bytes].concat();
        self.write(&file_name(place), &all)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Fallible<()> {
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        fs::write(&new, bytes).and_then(|()| fs::rename(&new, &path)).map_err(|error| cannot("keep", &path, &error))
    }

    /// The job is done: nothing of it stays.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn file_name((round, kind, task): Place) -> String {
    format!("done-{round}-{}-{task}", kind.name())
}
