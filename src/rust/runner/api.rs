//! What a cell may ask of the worker that runs it, and how the worker answers the shell for the cell's subjects.

use std::cell::RefCell;
use std::ffi::{CStr, CString, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::commands::SAMPLES;
use crate::measure::{Clock, Clocks, Cost, Meter, Programs, Readings, ThreadCpu, Wall};
use crate::rust::frame::{self, Ending, Failure, SOCKET, Sample};
use crate::rust::heap;
use crate::rust::printer::MARK;
use crate::rust::shared_channel::{ROOM, SharedChannel};

use super::faults::{NUMBER, fail};

/// The declaration of [`API`] in the text that cells are linked with.
#[repr(C)]
pub struct Api {
    serve: extern "C" fn(*mut c_void, *const Answers),
    called: extern "C" fn(),
    reply: extern "C" fn(*const u8, usize),
    input: extern "C" fn(u32, *mut usize) -> *const u8,
    store: extern "C" fn() -> *mut *mut c_void,
    kept: extern "C" fn(*const u8, usize),
    failed: extern "C" fn(*const u8, usize, u32, u32),
    fatal: extern "C" fn(),
}

#[repr(C)]
struct Answers {
    run: extern "C" fn(*mut c_void, u32, u64),
    call: extern "C" fn(*mut c_void, u32),
    shape: extern "C" fn(*mut c_void, u32),
    apply: extern "C" fn(*mut c_void, u32, *const u8, usize),
    flush: extern "C" fn(),
}

pub static API: Api = Api { serve, called, reply, input, store, kept, failed, fatal };

/// What the worker knows of its run.
#[derive(Default)]
struct This {
    folder: PathBuf,
    inputs: Vec<String>,
    reply: Vec<u8>,
    kept: Vec<String>,
    /// The run that is going on, and what it cost once it is over.
    whole: Option<Measurement>,
    spent: Option<Ending>,
    /// Goes on from one question about what was spent to the next.
    since: Option<Measurement>,
    /// The same of a call in it.
    meter: Option<Measurement>,
    cost: Option<Ending>,
    failure: Option<Failure>,
}

/// What goes on in this process, and in programs that it starts meanwhile.
struct Measurement {
    here: Meter,
    programs: Programs,
}

impl Measurement {
    fn start() -> Measurement {
        Measurement { programs: Programs::start(), here: Meter::start() }
    }

    fn stop(self) -> Cost {
        let (here, programs) = (self.here.stop(), self.programs.stop());
        // One that started none is not left without what it waited for.
        if programs.cpu.is_zero() { here } else { here.beside(&programs) }
    }
}

thread_local! {
    static THIS: RefCell<This> = RefCell::default();
}

/// What the run that begins may ask for.
pub fn prepare(folder: &Path, inputs: &[String]) {
    THIS.replace(This { folder: folder.to_path_buf(), inputs: inputs.to_vec(), ..This::default() });
}

pub fn run_begins() {
    THIS.with_borrow_mut(|this| {
        this.since = Some(Measurement::start());
        this.whole = Some(Measurement::start());
    });
}

/// What this worker cost since its run began, or since this was last asked.
fn spent() -> Cost {
    THIS.with_borrow_mut(|this| {
        let cost = this.since.take().map(Measurement::stop).unwrap_or_default();
        this.since = Some(Measurement::start());
        cost
    })
}

/// How a run went that has come to its end.
pub fn ending() -> Ending {
    run_is_over();
    let (cost, kept) = THIS.with_borrow_mut(|this| (this.spent.take(), std::mem::take(&mut this.kept)));
    Ending { kept, ..cost.unwrap_or_default() }
}

impl Ending {
    fn of(meter: Measurement) -> Ending {
        Ending { cost: meter.stop(), ..Ending::default() }
    }
}

/// What a cell does costs until it has its result, not until the shell has been told that.
fn run_is_over() {
    let whole = THIS.with_borrow_mut(|this| this.whole.take());
    if let Some(cost) = whole.map(Ending::of) {
        THIS.with_borrow_mut(|this| this.spent = Some(cost));
    }
}

/// Answers the shell until it has enough.
extern "C" fn serve(subjects: *mut c_void, answers: *const Answers) {
    run_is_over();
    // SAFETY: the cell passes its own table, which lives until this returns.
    let answers = unsafe { &*answers };
    if let Err(error) = answered(subjects, answers) {
        fail(&format!("the shell does not listen any more: {error}"), None);
    }
}

fn answered(subjects: *mut c_void, answers: &Answers) -> std::io::Result<()> {
    let path = THIS.with_borrow(|this| this.folder.join(SOCKET));
    let mut shell = UnixStream::connect(path)?;
    frame::send(&mut shell, frame::WORKER, &NUMBER.load(Relaxed).to_le_bytes())?;
    let mut channel: Option<SharedChannel> = None;
    loop {
        if let Some(channel) = &mut channel
            && channel.is_asked()
        {
            applied_on(channel, subjects, answers, &mut shell)?;
            continue;
        }
        let (kind, bytes) = frame::receive(&mut shell)?;
        let subject = || bytes.get(..4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
        match kind {
            frame::SHAPE => {
                (answers.shape)(subjects, subject());
                send_reply(&mut shell)?;
            }
            frame::CALL => {
                THIS.with_borrow_mut(|this| this.meter = Some(Measurement::start()));
                (answers.call)(subjects, subject());
                let cost = THIS.with_borrow_mut(|this| this.cost.take()).unwrap_or_default();
                mark();
                frame::send_value(&mut shell, frame::COST, &cost)?;
                send_reply(&mut shell)?;
            }
            frame::SAMPLER => match load_sampler(&bytes) {
                Ok(()) => frame::send(&mut shell, frame::GOOD, b"")?,
                Err(why) => frame::send(&mut shell, frame::WRONG, why.as_bytes())?,
            },
            frame::SPENT => frame::send_value(&mut shell, frame::GOOD, &spent())?,
            frame::APPLY => {
                (answers.apply)(subjects, subject(), bytes[4..].as_ptr(), bytes.len() - 4);
                send_reply(&mut shell)?;
            }
            frame::CHANNEL => {
                channel = Some(SharedChannel::open(Path::new(&*String::from_utf8_lossy(&bytes)))?);
                frame::send(&mut shell, frame::GOOD, b"")?;
            }
            // What woke it is on the channel, unless it was awake already and has answered.
            frame::WAKE => {
                if let Some(channel) = channel.as_mut().filter(|channel| channel.has_call()) {
                    applied_on(channel, subjects, answers, &mut shell)?;
                }
            }
            frame::SAMPLE => {
                let sample: Sample = serde_json::from_slice(&bytes)?;
                let nanos = sampled(&sample, |calls| (answers.run)(subjects, sample.subject, calls));
                frame::send(&mut shell, frame::GOOD, &nanos.to_le_bytes())?;
            }
            frame::READINGS => {
                let sample: Sample = serde_json::from_slice(&bytes)?;
                let clocks = Clocks::default();
                heap::pause(true);
                let start = Readings::now(&clocks);
                (answers.run)(subjects, sample.subject, sample.calls);
                let readings = Readings::since(&clocks, &start);
                heap::pause(false);
                frame::send_value(&mut shell, frame::GOOD, &readings)?;
            }
            _ => {
                (answers.flush)();
                return Ok(());
            }
        }
    }
}

/// Loads a library that begins to sample this process at once. What counts allocations is no part of the cell.
fn load_sampler(bytes: &[u8]) -> Result<(), String> {
    heap::pause(true);
    let mut parts = bytes.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let (Some(file), Some(library)) = (parts.next(), parts.next()) else { return Err("a part is missing".to_string()) };
    let library = CString::new(library.as_bytes()).expect("it was split at zero bytes");
    // SAFETY: the cell waits, and has no threads that look at the environment; the library is ours.
    unsafe {
        std::env::set_var(SAMPLES, file);
        match libc::dlopen(library.as_ptr(), libc::RTLD_NOW).is_null() {
            true => Err(CStr::from_ptr(libc::dlerror()).to_string_lossy().into_owned()),
            false => Ok(()),
        }
    }
}

/// Calls a function with what is on the channel, and answers there, or over the socket where there is no room for it.
fn applied_on(
    channel: &mut SharedChannel,
    subjects: *mut c_void,
    answers: &Answers,
    shell: &mut UnixStream,
) -> std::io::Result<()> {
    let bytes = channel.bytes();
    let subject = bytes.get(..4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")));
    let arguments = bytes.get(4..).unwrap_or_default();
    (answers.apply)(subjects, subject, arguments.as_ptr(), arguments.len());
    let mut reply = THIS.with_borrow_mut(|this| std::mem::take(&mut this.reply));
    if reply.is_empty() {
        reply.push(frame::WRONG);
    }
    let fits = reply.len() <= ROOM;
    if channel.answer(if fits { &reply } else { &[] }) {
        frame::send(shell, frame::WAKE, b"")?;
    }
    match reply.split_first() {
        Some((kind, bytes)) if !fits => frame::send(shell, *kind, bytes),
        _ => Ok(()),
    }
}

/// Nanoseconds for so many calls. Allocations are not counted meanwhile: that takes time.
fn sampled(sample: &Sample, run: impl Fn(u64)) -> u64 {
    let clock: &dyn Clock = if sample.cpu { &ThreadCpu } else { &Wall };
    heap::pause(true);
    if sample.warm {
        run(1);
    }
    let start = clock.now();
    run(sample.calls);
    let nanos = clock.now() - start;
    heap::pause(false);
    nanos
}

/// Ends what was printed so far; the cell has handed it out.
pub fn mark() {
    for stream in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: the text is as long as is said.
        unsafe { libc::write(stream, MARK.as_ptr().cast(), MARK.len()) };
    }
}

fn send_reply(shell: &mut UnixStream) -> std::io::Result<()> {
    let reply = THIS.with_borrow_mut(|this| std::mem::take(&mut this.reply));
    let (kind, bytes) = reply.split_first().unwrap_or((&frame::WRONG, b""));
    frame::send(shell, *kind, bytes)
}

extern "C" fn called() {
    let meter = THIS.with_borrow_mut(|this| this.meter.take());
    let cost = meter.map(Ending::of);
    THIS.with_borrow_mut(|this| this.cost = cost);
}

extern "C" fn reply(bytes: *const u8, length: usize) {
    // SAFETY: the cell passes bytes of its own.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, length) };
    THIS.with_borrow_mut(|this| this.reply = bytes.to_vec());
}

/// The bytes of an input, for as long as this process lives.
extern "C" fn input(number: u32, length: *mut usize) -> *const u8 {
    let path = THIS.with_borrow(|this| this.inputs.get(number as usize).cloned());
    let bytes = path.map_or_else(Vec::new, |path| match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => fail(&format!("the input {path} cannot be read: {error}"), None),
    });
    let bytes: &'static mut [u8] = bytes.leak();
    // SAFETY: the cell passes the place of a number.
    unsafe { *length = bytes.len() };
    bytes.as_ptr()
}

/// The place of the variables, for the code that knows their form.
extern "C" fn store() -> *mut *mut c_void {
    static PLACE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    PLACE.as_ptr()
}

extern "C" fn kept(told: *const u8, length: usize) {
    // SAFETY: the cell passes a text of its own.
    let told = unsafe { std::slice::from_raw_parts(told, length) };
    let told = String::from_utf8_lossy(told).into_owned();
    THIS.with_borrow_mut(|this| this.kept.push(told));
}

extern "C" fn failed(message: *const u8, length: usize, line: u32, column: u32) {
    // SAFETY: the cell passes a text of its own.
    let message = unsafe { std::slice::from_raw_parts(message, length) };
    let message = String::from_utf8_lossy(message).into_owned();
    let place = (line > 0).then_some((line, column));
    THIS.with_borrow_mut(|this| this.failure = Some(Failure { message, place }));
}

/// What was noted last ends the cell.
extern "C" fn fatal() {
    let failure = THIS.with_borrow_mut(|this| this.failure.take());
    let failure = failure.unwrap_or(Failure { message: "a failure without a message".to_string(), place: None });
    fail(&failure.message, failure.place)
}
