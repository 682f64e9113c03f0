//! Samples of a program by perf_event_open(2): the software clock of each of its threads, and of all that it starts, in
//! user space only. That needs neither root nor another program.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::profiles::{Function, Profile, Stacks, Symbols, Unit};

use super::perf_event::{Event, OF_PROGRAM};

/// Nanoseconds of CPU time between two samples.
const PERIOD: u64 = 1_000_000;
/// Pages of each buffer, besides the first: with those of all processors within what every user may lock.
const PAGES: usize = 64;

/// The samplers of all processors: an event that follows children can only be read so.
pub struct Sampler {
    buffers: Vec<Buffer>,
    taken: Taken,
}

/// What was sampled so far.
#[derive(Default)]
struct Taken {
    stacks: Stacks,
    /// Loaded files of each process: start, end, place in the file, path.
    mappings: HashMap<u32, Vec<Mapping>>,
    symbols: HashMap<String, Option<Symbols>>,
    known: HashMap<(String, String), usize>,
    unknown_caller: Option<usize>,
    samples: u64,
    /// Those whose callers are not known.
    torn: u64,
    lost: u64,
}

#[derive(Clone)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    path: String,
}

/// The ring that the kernel writes into.
struct Buffer {
    event: OwnedFd,
    memory: *mut u8,
    size: usize,
    page: usize,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and nobody else has it.
        unsafe { libc::munmap(self.memory.cast(), self.size) };
    }
}

const SOFTWARE: u32 = 1;
const CPU_CLOCK: u64 = 0;
/// In each sample: the instruction, the process, and the stack.
const INSTRUCTION: u64 = 1;
const PROCESS: u64 = 1 << 1;
const STACK: u64 = 1 << 5;
const MAPPINGS: u64 = 1 << 8;
const FORKS: u64 = 1 << 13;
const EXCLUDE_KERNEL_STACK: u64 = 1 << 21;

/// Kinds of records.
const MAPPING: u32 = 1;
const LOST: u32 = 2;
const FORK: u32 = 7;
const SAMPLE: u32 = 9;

impl Sampler {
    /// Watches a process that is about to become a program.
    ///
    /// # Errors
    /// What the system says where it refuses.
    pub fn watch(process: i32) -> io::Result<Sampler> {
        // SAFETY: plain questions.
        let (processors, page) =
            unsafe { (libc::sysconf(libc::_SC_NPROCESSORS_CONF), libc::sysconf(libc::_SC_PAGESIZE)) };
        let page = usize::try_from(page).map_err(|_| io::Error::last_os_error())?;
        let mut buffers = Vec::new();
        let mut refused = None;
        for processor in 0..processors.max(1) as i32 {
            match Buffer::open(process, processor, page) {
                Ok(buffer) => buffers.push(buffer),
                // A processor may be switched off.
                Err(error) => refused = Some(error),
            }
        }
        match (buffers.is_empty(), refused) {
            (true, Some(error)) => Err(error),
            _ => Ok(Sampler { buffers, taken: Taken::default() }),
        }
    }

    /// Takes what the kernel has written by now.
    pub fn take(&mut self) {
        let Sampler { buffers, taken } = self;
        // What is loaded may stand in another buffer than the samples of it.
        let mut samples: Vec<Vec<u8>> = Vec::new();
        for buffer in buffers.iter() {
            buffer.drain(|kind, record| match kind {
                SAMPLE => samples.push(record.to_vec()),
                _ => taken.record(kind, record),
            });
        }
        samples.iter().for_each(|record| taken.record(SAMPLE, record));
    }

    /// The profile, and what is to be known about it.
    pub fn profile(mut self) -> Profile {
        self.take();
        let samples = self.taken.samples;
        let mut profile = self.taken.profile("perf_event_open");
        let plural = if samples == 1 { "sample" } else { "samples" };
        let note =
            format!("{samples} {plural} by perf_event_open: the software clock, every ms of CPU time, in user space");
        profile.notes.insert(0, note);
        profile
    }
}

/// What the library of `preload.rs.txt` has written, of a program that took so many seconds of CPU time; none where it
/// took no sample.
pub fn preloaded(bytes: &[u8], seconds: f64) -> Option<Profile> {
    /// Before what is loaded, where else a process stands.
    const MAPS: u64 = u64::MAX;
    const DEEPEST: u64 = 1024;
    let mut taken = Taken::default();
    let mut all: Vec<(u32, Vec<u64>)> = Vec::new();
    let mut at = 0;
    while let (Some(first), Some(second)) = (u64_at(bytes, at), u64_at(bytes, at + 8)) {
        if first == MAPS {
            let length = usize::try_from(u64_at(bytes, at + 16)?).ok()?;
            let Some(text) = bytes.get(at + 24..).and_then(|rest| rest.get(..length)) else { break };
            taken.maps(second as u32, &String::from_utf8_lossy(text));
            at += 24 + length;
            continue;
        }
        if second > DEEPEST {
            break;
        }
        let frames: Option<Vec<u64>> = (0..second as usize).map(|place| u64_at(bytes, at + 16 + 8 * place)).collect();
        let Some(frames) = frames else { break };
        all.push((first as u32, frames));
        at += 16 + 8 * second as usize;
    }
    // What is loaded at the end counts for all: libraries come late.
    let each = seconds / all.len().max(1) as f64;
    all.iter().filter(|(_, frames)| !frames.is_empty()).for_each(|(process, frames)| taken.add(*process, frames, each));
    (taken.samples > 0).then(|| {
        let samples = taken.samples;
        let mut profile = taken.profile("a preloaded sampler");
        let note = format!(
            "{samples} samples by a library that was loaded into the program (LD_PRELOAD, profiling timer); together \
             they count for its CPU time"
        );
        profile.notes.insert(0, note);
        profile
    })
}

impl Buffer {
    fn open(process: i32, processor: i32, page: usize) -> io::Result<Buffer> {
        let event = Event {
            kind: SOFTWARE,
            config: CPU_CLOCK,
            period: PERIOD,
            samples: INSTRUCTION | PROCESS | STACK,
            flags: OF_PROGRAM | MAPPINGS | FORKS | EXCLUDE_KERNEL_STACK,
            wakeup: 1,
            ..Event::default()
        };
        let event = event.open(process, processor)?;
        let size = page * (PAGES + 1);
        // SAFETY: the memory is mapped anew.
        unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let memory = libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_SHARED, event.as_raw_fd(), 0);
            if memory == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            Ok(Buffer { event, memory: memory.cast(), size, page })
        }
    }

    /// Hands out each record, and gives the room back to the kernel.
    fn drain(&self, mut each: impl FnMut(u32, &[u8])) {
        // Where head and tail lie in the first page.
        const HEAD: usize = 1024;
        const TAIL: usize = 1032;
        let _ = &self.event;
        let (data, length) = (self.page, self.page * PAGES);
        // SAFETY: the first page is there and aligned; the kernel writes the head, and only this writes the tail.
        let (head, tail) =
            unsafe { (&*self.memory.add(HEAD).cast::<AtomicU64>(), &*self.memory.add(TAIL).cast::<AtomicU64>()) };
        let end = head.load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        let mut record = Vec::new();
        let copy = |from: u64, count: usize, into: &mut Vec<u8>| {
            into.clear();
            for i in 0..count {
                let place = (from as usize).wrapping_add(i) % length;
                // SAFETY: the place lies in the pages behind the first.
                into.push(unsafe { self.memory.add(data + place).read_volatile() });
            }
        };
        while end.wrapping_sub(at) >= 8 {
            copy(at, 8, &mut record);
            let kind = u32::from_le_bytes(record[..4].try_into().expect("there are four"));
            let size = u16::from_le_bytes(record[6..8].try_into().expect("there are two")) as usize;
            if size < 8 || size as u64 > end.wrapping_sub(at) {
                break;
            }
            copy(at.wrapping_add(8), size - 8, &mut record);
            each(kind, &record);
            at = at.wrapping_add(size as u64);
        }
        tail.store(at, Ordering::Release);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl Taken {
    fn record(&mut self, kind: u32, record: &[u8]) {
        // What is cut says nothing.
        let _ = match kind {
            MAPPING => self.mapping(record),
            FORK => self.fork(record),
            SAMPLE => self.sample(record),
            LOST => u64_at(record, 8).map(|lost| self.lost += lost),
            _ => None,
        };
    }

    fn mapping(&mut self, record: &[u8]) -> Option<()> {
        let (process, start, length, offset) =
            (u32_at(record, 0)?, u64_at(record, 8)?, u64_at(record, 16)?, u64_at(record, 24)?);
        let name = record.get(32..)?;
        let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
        let (end, path) = (start.checked_add(length)?, String::from_utf8_lossy(name).into_owned());
        let mappings = self.mappings.entry(process).or_default();
        // A new program has a new space, and a new mapping lies over older ones.
        mappings.retain(|known| known.end <= start || known.start >= end);
        mappings.push(Mapping { start, end, offset, path });
        Some(())
    }

    /// A child has what its parent had.
    fn fork(&mut self, record: &[u8]) -> Option<()> {
        let (process, parent) = (u32_at(record, 0)?, u32_at(record, 4)?);
        if process != parent {
            let known = self.mappings.get(&parent).cloned().unwrap_or_default();
            self.mappings.insert(process, known);
        }
        Some(())
    }

    fn sample(&mut self, record: &[u8]) -> Option<()> {
        // Markers between parts of a stack are negative.
        const MARKERS: u64 = u64::MAX - 4096;
        const SECONDS: f64 = PERIOD as f64 / 1e9;
        let (instruction, process, count) = (u64_at(record, 0)?, u32_at(record, 8)?, u64_at(record, 16)?);
        let mut frames: Vec<u64> = Vec::new();
        for place in 0..usize::try_from(count).ok()? {
            let address = u64_at(record, 24 + 8 * place)?;
            if address < MARKERS {
                frames.push(address);
            }
        }
        if frames.is_empty() {
            frames.push(instruction);
        }
        self.add(process, &frames, SECONDS);
        Some(())
    }

    /// Adds a stack of addresses, the innermost first.
    fn add(&mut self, process: u32, frames: &[u64], seconds: f64) {
        let mut stack = Vec::new();
        let mut outermost = (String::new(), String::new());
        for (place, address) in frames.iter().enumerate() {
            // A return address is behind the call.
            let address = if place == 0 { *address } else { address.saturating_sub(1) };
            let (number, library, name) = self.function(process, address);
            stack.push(number);
            outermost = (library, name);
        }
        self.samples += 1;
        if !is_entry(&outermost.0, &outermost.1, stack.len()) {
            self.torn += 1;
            let unknown = self.unknown_caller;
            let unknown = unknown.unwrap_or_else(|| self.stacks.function(Function::named("unknown caller")));
            self.unknown_caller = Some(unknown);
            // Only the function itself is certain.
            stack.truncate(1);
            stack.push(unknown);
        }
        self.stacks.add(stack.into_iter().rev(), seconds);
    }

    /// What is loaded, as /proc/PID/maps tells it: `start-end r-xp offset device inode path`.
    fn maps(&mut self, process: u32, text: &str) {
        let mappings = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let hex = |text: &str| u64::from_str_radix(text, 16).ok();
            let runs = words.next()?.contains('x');
            let (start, end, offset) = (hex(start)?, hex(end)?, hex(words.next()?)?);
            let path = words.nth(2).unwrap_or("[anonymous]").to_string();
            runs.then_some(Mapping { start, end, offset, path })
        });
        self.mappings.insert(process, mappings.collect());
    }

    fn profile(self, how: &str) -> Profile {
        let Taken { stacks, samples, torn, lost, .. } = self;
        let mut profile = stacks.profile(how, Unit::Seconds);
        if torn > 0 {
            profile.notes.push(format!(
                "the callers of {:.1} % of the samples are not known: their code keeps no frame pointers (compile with \
                 -fno-omit-frame-pointer)",
                100.0 * torn as f64 / samples.max(1) as f64
            ));
        }
        if lost > 0 {
            profile.notes.push(format!("{lost} samples were lost: the buffer was full"));
        }
        profile
    }

    /// The function at an address of a process, with its library and its name.
    fn function(&mut self, process: u32, address: u64) -> (usize, String, String) {
        let mappings = self.mappings.get(&process).map_or(&[][..], Vec::as_slice);
        let mapping = mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&address));
        let (library, name) = match mapping {
            Some(Mapping { start, offset, path, .. }) => {
                let place = address - start + offset;
                let symbols = self.symbols.entry(path.clone()).or_insert_with(|| Symbols::of_file(Path::new(path)));
                let library = path.rsplit('/').next().unwrap_or_default().to_string();
                let known = symbols.as_ref().and_then(|symbols| symbols.at_offset(place));
                let name = known.map_or_else(|| format!("{library}+0x{place:x}"), str::to_string);
                (library, name)
            }
            None => ("unknown".to_string(), format!("0x{address:x}")),
        };
        let key = (library, name);
        if let Some(number) = self.known.get(&key) {
            return (*number, key.0, key.1);
        }
        let number = self.stacks.function(Function { module: key.0.clone(), ..Function::named(&key.1) });
        self.known.insert(key.clone(), number);
        (number, key.0, key.1)
    }
}

/// Whether a program or a thread begins with this function, which has so many frames with those that it called: in the
/// system's library, whose own names are often not there.
fn is_entry(library: &str, name: &str, depth: usize) -> bool {
    let begins = ["_start", "__libc_start", "start_thread", "clone", "__clone", "_dl_", "dl_main", "thread_start"];
    let of_system = ["libc.so", "libc-", "ld-linux", "ld-musl", "libpthread"];
    let is_late = depth > 1 && of_system.iter().any(|begin| library.starts_with(begin));
    is_late || name == "main" || begins.iter().any(|begin| name.starts_with(begin))
}
