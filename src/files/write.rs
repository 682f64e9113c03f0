//! Tables as files. A file is there whole or not at all: it is written under no name and then takes the place of the
//! old one; whatever ends the writing before that leaves the old file as it was.

use std::cell::RefCell;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::data::{Schema, Table, Type, Value, encode};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::escape::file_name;
use crate::plan::{CsvOptions, Format, Write};
use crate::run_context::{RunContext, Stop, TableSink};

use super::csv::{self, SEPARATOR_RECORDS};
use super::field::Fitting;
use super::groups::{self, RowGroups};
use super::home::expanded;
use super::lines;
use super::parts::{self, Parts};
use super::{Packing, SAMPLE_BYTES, extension, name_as_written, open};

/// Rows that are written between two looks at the stop flag.
const CHUNK_ROWS: usize = 4096;
/// About so many bytes of values are taken out of a table at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What is being written; nothing of it is seen before [`Writer::finish`].
pub struct Writer<'a>(Writing<'a>);

enum Writing<'a> {
    File { draft: Draft<'a>, target: PathBuf },
    Parts(Parts<'a>),
}

/// What was written.
pub struct Written {
    pub files: Vec<WrittenFile>,
    /// What does not read back as it is.
    pub notes: Vec<String>,
}

pub struct WrittenFile {
    /// Its path, as the user has named it or its folder.
    pub shown: String,
    pub rows: u64,
    pub bytes: u64,
}

impl<'a> Writer<'a> {
    pub fn new(write: &'a Write, schema: &'a Schema, context: &'a RunContext) -> Fallible<Writer<'a>> {
        let target = Writer::target(write, context)?;
        Ok(Writer(match write.parts {
            Some(count) => Writing::Parts(Parts::new(write, count, target, schema, context)),
            None => {
                let draft = Draft::new(write.clone(), schema, beside(&target), context)?;
                Writing::File { draft, target }
            }
        }))
    }

    /// The place of what is written.
    ///
    /// # Errors
    /// Where it must not be written.
    pub fn target(write: &Write, context: &RunContext) -> Fallible<PathBuf> {
        match write.parts {
            Some(_) => parts::target(write, context.confined),
            None => target(&write.path, &write.shown, context.confined),
        }
    }

    /// Puts it in its place.
    pub fn finish(self) -> Fallible<Written> {
        match self.0 {
            Writing::Parts(parts) => parts.finish(),
            Writing::File { draft, target } => {
                let (shown, context) = (draft.write.shown.clone(), draft.context);
                let complete = draft.complete()?;
                context.stop.check()?;
                let (file, notes) = complete.place(&target, &shown).map_err(|error| failed(&shown, error))?;
                Ok(Written { files: vec![file], notes })
            }
        }
    }
}

impl TableSink for Writer<'_> {
    fn take(&mut self, rows: &Table) -> Fallible<bool> {
        match &mut self.0 {
            Writing::File { draft, .. } => draft.take(rows),
            Writing::Parts(parts) => parts.take(rows),
        }
    }
}

/// The folder that a path stands in.
pub fn beside(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that grows and has no place yet.
pub struct Draft<'a> {
    write: Write,
    context: &'a RunContext,
    unfinished: Unfinished,
    content: Content,
    out: Out,
    rows: u64,
}

/// What a format needs to know of the rows before.
enum Content {
    Text,
    Csv { separator: char, again: Box<ReadAgain> },
    Json { names: Vec<String> },
    Groups(RowGroups),
}

impl<'a> Draft<'a> {
    pub fn new(write: Write, schema: &Schema, folder: &Path, context: &'a RunContext) -> Fallible<Draft<'a>> {
        let failed = |error| failed(&write.shown, error);
        let unfinished = Unfinished::new(folder).map_err(failed)?;
        let file = unfinished.file().try_clone().map_err(failed)?;
        let packed = match extension(&write.path).1 {
            None => Packed::Plain(file),
            Some(Packing::Gzip) => Packed::Gzip(flate2::write::GzEncoder::new(file, flate2::Compression::default())),
            Some(Packing::Zstd) => Packed::Zstd(zstd::stream::write::Encoder::new(file, 0).map_err(failed)?),
        };
        let out = Out(Rc::new(RefCell::new(BufWriter::with_capacity(128 << 10, packed))));
        let content = match &write.format {
            Format::Text { .. } => Content::Text,
            Format::Csv(options) => {
                let separator = char::from(options.separator);
                let mut line = String::new();
                encode::csv_header(&mut line, schema.names(), separator);
                line.push('\n');
                out.clone().write_all(line.as_bytes()).map_err(failed)?;
                let mut again = Box::new(ReadAgain::new(schema, &write, options));
                again.add(line.trim_end_matches('\n'), &[]);
                Content::Csv { separator, again }
            }
            Format::Json { .. } => Content::Json { names: schema.names().map(encode::json_text).collect() },
            Format::Parquet | Format::Arrow => {
                let groups = RowGroups::new(schema, &write.format, out.clone(), groups::most_bytes(context));
                Content::Groups(groups.map_err(|error| failed(io::Error::other(error.to_string())))?)
            }
        };
        Ok(Draft { write, context, unfinished, content, out, rows: 0 })
    }

    /// Writes what is left to write.
    pub fn complete(self) -> Fallible<Complete> {
        let failed = |error| failed(&self.write.shown, error);
        let notes = match self.content {
            Content::Text | Content::Json { .. } => Vec::new(),
            Content::Csv { again, .. } => again.notes(),
            Content::Groups(groups) => {
                groups.finish().map_err(|error| failed(io::Error::other(error.to_string())))?;
                Vec::new()
            }
        };
        let out = Rc::into_inner(self.out.0).expect("the content is done with it").into_inner();
        match out.into_inner().map_err(|error| failed(error.into_error()))? {
            Packed::Plain(_) => {}
            Packed::Gzip(packed) => drop(packed.finish().map_err(failed)?),
            Packed::Zstd(packed) => drop(packed.finish().map_err(failed)?),
        }
        Ok(Complete { unfinished: self.unfinished, rows: self.rows, notes })
    }
}

/// A whole file that has no place yet.
pub struct Complete {
    unfinished: Unfinished,
    rows: u64,
    notes: Vec<String>,
}

impl Complete {
    /// To read it again.
    pub fn file(&self) -> io::Result<File> {
        self.unfinished.file().try_clone()
    }

    /// Gives it its place, and tells what does not read back as it is.
    pub fn place(self, target: &Path, shown: &str) -> io::Result<(WrittenFile, Vec<String>)> {
        let file = self.unfinished.file();
        file.sync_all()?;
        let bytes = file.metadata()?.len();
        self.unfinished.finish(target)?;
        Ok((WrittenFile { shown: shown.to_string(), rows: self.rows, bytes }, self.notes))
    }
}

impl TableSink for Draft<'_> {
    fn take(&mut self, rows: &Table) -> Fallible<bool> {
        let (write, before) = (&self.write, self.rows);
        let failed = |error| failed(&write.shown, error);
        let mut lines = Lines { text: String::new(), out: self.out.clone(), write };
        match &mut self.content {
            Content::Text => each_row(rows, self.context, |row_number, row| {
                match &row[0] {
                    Value::Text(text) if !text.contains('\n') && !text.ends_with('\r') => lines.text.push_str(text),
                    other => {
                        let what = if other.is_null() { "null" } else { "a text with a line break" };
                        return Err(no_place(write, before + row_number, what));
                    }
                }
                lines.end()
            })?,
            Content::Csv { separator, again } => each_row(rows, self.context, |_, row| {
                let start = lines.text.len();
                encode::csv_row(&mut lines.text, row, *separator);
                again.add(&lines.text[start..], row);
                lines.end()
            })?,
            Content::Json { names } => each_row(rows, self.context, |row_number, row| {
                if row.iter().any(holds_no_number) {
                    return Err(no_place(write, before + row_number, "a float that is NaN or infinite"));
                }
                encode::json_row(&mut lines.text, names, row);
                lines.end()
            })?,
            Content::Groups(groups) => {
                groups.add(rows, self.context)?.map_err(|error| failed(io::Error::other(error.to_string())))?;
            }
        }
        lines.write()?;
        self.rows += rows.height() as u64;
        Ok(true)
    }
}

/// Lines that are written some at a time.
struct Lines<'a> {
    text: String,
    out: Out,
    write: &'a Write,
}

impl Lines<'_> {
    fn end(&mut self) -> Fallible<()> {
        const MANY_BYTES: usize = 64 << 10;
        self.text.push('\n');
        if self.text.len() < MANY_BYTES { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Fallible<()> {
        let written = self.out.write_all(self.text.as_bytes());
        self.text.clear();
        written.map_err(|error| failed(&self.write.shown, error))
    }
}

/// Why a path cannot be written.
pub fn failed(shown: &str, error: io::Error) -> Box<Diagnostic> {
    let why = match error.kind() {
        io::ErrorKind::DirectoryNotEmpty => "the folder is not empty".to_string(),
        io::ErrorKind::NotFound => "its folder does not exist".to_string(),
        io::ErrorKind::PermissionDenied => "that is not permitted".to_string(),
        io::ErrorKind::FileTooLarge => "it would be larger than `ulimit -f` lets a file be".to_string(),
        io::ErrorKind::StorageFull => "the disk is full".to_string(),
        _ => error.to_string(),
    };
    Diagnostic::new(Kind::File, format!("\"{shown}\" cannot be written: {why}"))
}

/// The bytes of a file on their way through what packs them. Shared by the writer and polars'.
#[derive(Clone)]
struct Out(Rc<RefCell<BufWriter<Packed>>>);

enum Packed {
    Plain(File),
    Gzip(flate2::write::GzEncoder<File>),
    Zstd(zstd::stream::write::Encoder<'static, File>),
}

impl io::Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

impl io::Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Packed::Plain(file) => file.write(bytes),
            Packed::Gzip(packed) => packed.write(bytes),
            Packed::Zstd(packed) => packed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Packed::Plain(file) => file.flush(),
            Packed::Gzip(packed) => packed.flush(),
            Packed::Zstd(packed) => packed.flush(),
        }
    }
}

/// Writes what is not a table into a file, whole or not at all.
pub fn write_bytes(shown: &str, bytes: &[u8], confined: bool) -> Fallible<()> {
    let target = target(&expanded(shown), shown, confined)?;
    replace(&target, bytes).map_err(|error| failed(shown, error))
}

/// Makes this the content of a file in one step: a kill leaves the old one or the new one, and nothing else. What is
/// not a file, as `/dev/null`, is written to, and a link stays one, also where what it points to is not there yet. A
/// read-only file is not replaced, whoever asks for it.
pub fn replace(target: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::metadata(target).is_ok_and(|metadata| !metadata.is_file()) {
        return OpenOptions::new().write(true).open(target)?.write_all(bytes);
    }
    is_writable(target)?;
    let target = &same_place(target);
    let file = Unfinished::new(folder_of(target)?)?;
    file.file().write_all(bytes)?;
    file.finish(target)
}

/// A file that grows, and is whole at each moment: two files with the same beginning take turns under its name, so that
/// only what is new is written. A kill leaves the other one beside it, which the next that grows there takes.
pub struct Growing {
    target: PathBuf,
    beside: PathBuf,
    /// The one that is written next.
    next: File,
    /// The one that has the name.
    shown: File,
    /// So many bytes of both are the same.
    same: usize,
}

impl Growing {
    /// Takes over a file whose content is this.
    ///
    /// # Errors
    /// Also where the file system cannot exchange two names in one step.
    pub fn new(target: &Path, bytes: &[u8]) -> io::Result<Growing> {
        let target = same_place(target);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let beside = target.with_file_name(format!(".timelab-{name}"));
        let next = OpenOptions::new().write(true).create(true).truncate(true).open(&beside)?;
        let ready = || {
            next.set_permissions(fs::metadata(&target)?.permissions())?;
            next.write_all_at(bytes, 0)?;
            exchange(&beside, &target)?;
            OpenOptions::new().write(true).open(&beside)
        };
        let other = ready().inspect_err(|_| drop(fs::remove_file(&beside)))?;
        Ok(Growing { target, beside, shown: next, next: other, same: bytes.len() })
    }

    /// Makes this the content, whose first bytes, so many, are those of the content before.
    ///
    /// # Errors
    /// Also where somebody else has written the file meanwhile.
    pub fn write(&mut self, bytes: &[u8], same: usize) -> io::Result<()> {
        // The other file lacks what was new the last time.
        let from = same.min(self.same);
        self.next.write_all_at(&bytes[from..], from as u64)?;
        self.next.set_len(bytes.len() as u64)?;
        if fs::metadata(&self.target)?.ino() != self.shown.metadata()?.ino() {
            return Err(io::Error::other("another program has written it"));
        }
        exchange(&self.beside, &self.target)?;
        std::mem::swap(&mut self.next, &mut self.shown);
        self.same = same;
        Ok(())
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.beside);
    }
}

/// Gives two files each other's names in one step.
fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let (one, other) = (CString::new(one.as_os_str().as_bytes())?, CString::new(other.as_os_str().as_bytes())?);
    let here = libc::AT_FDCWD;
    // SAFETY: both texts end with a zero byte and live until the call returns.
    let result = unsafe { libc::renameat2(here, one.as_ptr(), here, other.as_ptr(), libc::RENAME_EXCHANGE) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a file is there that may not be replaced.
///
/// # Errors
/// It is read-only. The system lets root write to it all the same.
pub fn is_writable(target: &Path) -> io::Result<()> {
    match fs::metadata(target) {
        Ok(metadata) if metadata.is_file() && is_read_only(&metadata) => {
            Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only, so it is not replaced"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_read_only(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o222 == 0
}

/// The folder in which a file is written.
///
/// # Errors
/// There is none; the error has its name.
pub fn folder_of(target: &Path) -> io::Result<&Path> {
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(folder),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is not a folder", file_name(folder)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(io::Error::new(error.kind(), format!("there is no folder \"{}\"", file_name(folder))))
        }
        Err(error) => Err(error),
    }
}

/// The file that is replaced: behind a link, the file that it points to. Who may write in the current folder alone is
/// refused where links lead out of it now, whatever they did when the cell was looked at.
pub fn target(path: &Path, shown: &str, confined: bool) -> Fallible<PathBuf> {
    if confined && open::leads_outside(shown) {
        let message = format!("\"{shown}\" leads out of the current folder, or to a hidden file in it");
        return Err(Diagnostic::new(Kind::File, message).hint("--trust lets a file of cells write there"));
    }
    let Ok(metadata) = fs::metadata(path) else {
        // What a link without a file points to, a file can be made of.
        return Ok(fs::read_link(path).map_or(path.to_path_buf(), |to| path.with_file_name(to)));
    };
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "a directory" } else { "not a regular file" };
        let error = Diagnostic::new(Kind::File, format!("\"{shown}\" is {what}: it cannot be replaced by a table"));
        let hint = "`parts 8` writes a folder of 8 files";
        return Err(if metadata.is_dir() { error.hint(hint) } else { error });
    }
    if is_read_only(&metadata) {
        return Err(Diagnostic::new(Kind::File, format!("\"{shown}\" is read-only, so it is not replaced"))
            .hint(format!("!chmod u+w \"{shown}\"")));
    }
    Ok(fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()))
}

/// A path in one form: two of the same file are equal, also where it is not there yet.
pub fn same_place(path: &Path) -> PathBuf {
    let path = fs::read_link(path).map_or(path.to_path_buf(), |to| path.with_file_name(to));
    if let Ok(found) = fs::canonicalize(&path) {
        return found;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path,
    }
}

/// What a csv file will be when it is read, as far as its start tells.
struct ReadAgain {
    schema: Schema,
    shown: String,
    options: CsvOptions,
    /// The types that fit the columns of text.
    fitting: Vec<Option<Fitting>>,
    bytes: u64,
    /// The first lines of a table with one column, whose separator would be found anew.
    start: Vec<u8>,
    lines: usize,
}

impl ReadAgain {
    fn new(schema: &Schema, write: &Write, options: &CsvOptions) -> ReadAgain {
        let is_text = |ty: &Type| matches!(ty, Type::Text | Type::Open);
        let fitting = schema.columns.iter().map(|column| is_text(&column.ty).then(Fitting::default)).collect();
        let (schema, shown, options) = (schema.clone(), write.shown.clone(), options.clone());
        ReadAgain { schema, shown, options, fitting, bytes: 0, start: Vec::new(), lines: 0 }
    }

    /// Takes a line into account, without its end, and the row that stands on it.
    fn add(&mut self, line: &str, row: &[Value]) {
        if self.bytes >= SAMPLE_BYTES {
            return;
        }
        self.bytes += line.len() as u64 + 1;
        for (fitting, value) in self.fitting.iter_mut().zip(row) {
            if let (Some(fitting), Value::Text(text)) = (fitting, value) {
                fitting.add(text, None);
            }
        }
        if self.schema.columns.len() == 1 && self.lines < SEPARATOR_RECORDS {
            self.lines += 1;
            self.start.extend_from_slice(line.as_bytes());
            self.start.push(b'\n');
        }
    }

    fn notes(self) -> Vec<String> {
        let mut notes = Vec::new();
        let shown = &self.shown;
        for (column, fitting) in self.schema.columns.iter().zip(&self.fitting) {
            let ty = fitting.as_ref().map_or(Type::Text, Fitting::ty);
            if !matches!(ty, Type::Text | Type::Open) {
                let name = name_as_written(&column.name);
                notes.push(format!(
                    "{name} will read back as {ty}: read it with `types {name}: text`, or write parquet, which keeps \
                     types"
                ));
            }
        }
        let open = |_| -> Fallible<lines::Lines> {
            let bytes = open::buffered(Box::new(io::Cursor::new(self.start.clone())));
            Ok(lines::Lines::new(bytes, shown, Stop::default()))
        };
        let is_found_anew = self.options.is_detected && self.schema.columns.len() == 1;
        if let Some(found) = is_found_anew.then(|| csv::separator(&open, &self.options).ok().flatten()).flatten()
            && found != self.options.separator
        {
            let name = name_as_written(&self.schema.columns[0].name);
            let separator = char::from(found).escape_default();
            let own = char::from(self.options.separator);
            notes.push(format!(
                "{name} will read back as several columns, separated by `{separator}`: read it with `sep \"{own}\"`"
            ));
        }
        notes
    }
}

fn no_place(write: &Write, row: u64, what: &str) -> Box<Diagnostic> {
    let message = format!("\"{}\" cannot hold {what}", write.shown);
    let mut error = Diagnostic::new(Kind::File, message).hint("parquet and arrow files hold every value");
    error.row = Some(row);
    error
}

fn holds_no_number(value: &Value) -> bool {
    match value {
        Value::Float(x) => !x.is_finite(),
        Value::List(items) => items.iter().any(holds_no_number),
        Value::Null | Value::Int(_) | Value::Bool(_) | Value::Text(_) => false,
    }
}

/// Whether a format can hold the columns of a table; else why not.
pub fn fits(format: &Format, table: &crate::data::Schema) -> Result<(), String> {
    let list = table.columns.iter().find(|column| matches!(column.ty, Type::List(_)));
    match (format, list) {
        (Format::Text { .. }, _) => match &table.columns[..] {
            [column] if matches!(column.ty, Type::Text | Type::Open) => Ok(()),
            _ => Err(format!("a text file holds one text column, but the input has: {table}")),
        },
        (Format::Csv(_), Some(column)) => {
            Err(format!("a csv file cannot hold lists, but `{}` is {}", column.name, column.ty))
        }
        _ => Ok(()),
    }
}

fn each_row(table: &Table, context: &RunContext, mut row: impl FnMut(u64, &[Value]) -> Fallible<()>) -> Fallible<()> {
    let width = table.schema().columns.len();
    let mut values = Vec::with_capacity(width);
    // Rows may be wide, and a value takes more than what stands in the table.
    let each = table.data_bytes() / table.height().max(1) + width * size_of::<Value>();
    let rows = (CHUNK_BYTES / each.max(1)).clamp(1, CHUNK_ROWS);
    for start in (0..table.height()).step_by(rows) {
        context.check()?;
        let columns: Vec<Vec<Value>> = (0..width).map(|i| table.values(i, start, rows)).collect();
        for i in 0..columns.first().map_or(0, Vec::len) {
            values.clear();
            values.extend(columns.iter().map(|column| column[i].clone()));
            row((start + i) as u64, &values)?;
        }
    }
    Ok(())
}

/// A file that is being written. It has no name where the system can do that, so that even a kill leaves nothing
/// behind.
enum Unfinished {
    Nameless(File),
    Named(tempfile::NamedTempFile),
}

impl Unfinished {
    fn new(folder: &Path) -> io::Result<Unfinished> {
        let nameless =
            || OpenOptions::new().read(true).write(true).mode(0o666).custom_flags(libc::O_TMPFILE).open(folder);
        let named = || tempfile::Builder::new().prefix(".timelab-").tempfile_in(folder).map(Unfinished::Named);
        // It gets its name by its entry there.
        if !Path::new("/proc/self/fd").exists() {
            return named();
        }
        match nameless() {
            Ok(file) => Ok(Unfinished::Nameless(file)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
                named()
            }
            Err(error) => Err(error),
        }
    }

    fn file(&self) -> &File {
        match self {
            Unfinished::Nameless(file) => file,
            Unfinished::Named(file) => file.as_file(),
        }
    }

    /// Takes the place of `target`, whose permissions are kept.
    fn finish(self, target: &Path) -> io::Result<()> {
        if let Ok(old) = fs::metadata(target) {
            self.file().set_permissions(old.permissions())?;
        }
        match self {
            Unfinished::Named(file) => file.persist(target).map(drop).map_err(|error| error.error),
            Unfinished::Nameless(file) => {
                // A name beside the target first: only a rename replaces a file in one step.
                let mut number = 0;
                let beside = loop {
                    let beside = target.with_file_name(format!(".timelab-{}-{number}", std::process::id()));
                    match link(&file, &beside) {
                        Ok(()) => break beside,
                        // A kill in this very moment, before, has left it.
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 100 => number += 1,
                        Err(error) => return Err(error),
                    }
                };
                fs::rename(&beside, target).inspect_err(|_| drop(fs::remove_file(&beside)))
            }
        }
    }
}

/// Gives a nameless file a name.
fn link(file: &File, name: &Path) -> io::Result<()> {
    let from = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let to = CString::new(name.as_os_str().as_bytes())?;
    // SAFETY: both texts end with a zero byte and live until the call returns.
    let result =
        unsafe { libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
