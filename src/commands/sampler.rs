//! Samples of a program by perf_event_open(2): the software clock of each of its threads, and of all that it starts, in
//! user space only. That needs neither root nor another program.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::profiles::{
    CallFrames, Caller, Function, Place, Profile, REGISTERS, Registers, STACK, Stacks, Symbols, Unit,
};

use super::perf_event::{Event, OF_PROCESS, OF_PROGRAM};

/// Nanoseconds of CPU time between two samples.
const PERIOD: u64 = 1_000_000;
/// Pages of each buffer, besides the first, and fewer where these are refused: every user may lock half a MiB for each
/// processor.
const PAGES: [usize; 3] = [128, 64, 16];
/// So many bytes of the stack come with each sample, from which callers are found without frame pointers.
const STACK_BYTES: u32 = 16 << 10;
/// No stack is followed further.
const DEEPEST: usize = 256;

/// The samplers of all processors: an event that follows children can only be read so.
pub struct Sampler {
    buffers: Vec<Buffer>,
    taken: Taken,
}

/// What was sampled so far.
#[derive(Default)]
struct Taken {
    /// Loaded files of each process: start, end, place in the file, path.
    mappings: HashMap<u32, Vec<Mapping>>,
    files: Vec<String>,
    numbers: HashMap<String, u32>,
    /// How callers are found in each file.
    frames: HashMap<u32, Option<CallFrames>>,
    /// Each stack that was seen, the innermost place first, with its seconds and how often that was.
    stacks: HashMap<(Vec<Spot>, Reach), (f64, u64)>,
    samples: u64,
    lost: u64,
}

/// A place in a loaded file by its number, or an address that belongs to none.
type Spot = (u32, u64);

/// How far a stack can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Reach {
    /// To where a program or a thread begins.
    Whole,
    /// What is there is right, but its callers are not.
    Part,
    /// Frame pointers were followed, which code may use for something else.
    Unsure,
}

const NOWHERE: u32 = u32::MAX;

/// Where a stack may end, so that all of its callers are known.
#[derive(Clone, Copy)]
pub enum Outermost {
    /// Where a program or a thread begins.
    Program,
    /// There too, or at the last function of this name, which is left out with all that called it.
    Function(fn(&str) -> bool),
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
const CALLERS: u64 = 1 << 5;
const REGISTERS_OF_USER: u64 = 1 << 12;
const STACK_OF_USER: u64 = 1 << 13;
const MAPPINGS: u64 = 1 << 8;
const FORKS: u64 = 1 << 13;
const EXCLUDE_KERNEL_STACK: u64 = 1 << 21;

/// The registers that come with each sample: in the kernel's order the numbers that DWARF gives them; the last one is
/// the instruction.
struct SampledRegisters(&'static [(u32, usize)]);

/// Of the kernel: ax bx cx dx si di bp sp ip, …, r8 to r15. Of DWARF: ax dx cx bx si di bp sp, r8 to r15, ip.
#[cfg(target_arch = "x86_64")]
const SAMPLED: SampledRegisters = SampledRegisters(&[
    (0, 0),
    (1, 3),
    (2, 2),
    (3, 1),
    (4, 4),
    (5, 5),
    (6, 6),
    (7, 7),
    (8, INSTRUCTION_NUMBER),
    (16, 8),
    (17, 9),
    (18, 10),
    (19, 11),
    (20, 12),
    (21, 13),
    (22, 14),
    (23, 15),
]);
/// Of both: x0 to x30, sp; of the kernel: pc.
#[cfg(target_arch = "aarch64")]
const SAMPLED: SampledRegisters = SampledRegisters(&[
    (19, 19),
    (20, 20),
    (21, 21),
    (22, 22),
    (23, 23),
    (24, 24),
    (25, 25),
    (26, 26),
    (27, 27),
    (28, 28),
    (29, 29),
    (30, 30),
    (31, 31),
    (32, INSTRUCTION_NUMBER),
]);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const SAMPLED: SampledRegisters = SampledRegisters(&[]);
const INSTRUCTION_NUMBER: usize = usize::MAX;

impl SampledRegisters {
    fn mask(&self) -> u64 {
        self.0.iter().fold(0, |mask, (bit, _)| mask | 1 << bit)
    }

    /// From their values in the kernel's order.
    fn read(&self, values: &[u8]) -> Option<Registers> {
        let mut registers = Registers { each: [None; REGISTERS], instruction: 0 };
        for (place, (_, number)) in self.0.iter().enumerate() {
            let value = u64_at(values, 8 * place)?;
            match registers.each.get_mut(*number) {
                Some(register) => *register = Some(value),
                None => registers.instruction = value,
            }
        }
        registers.each[STACK].map(|_| registers)
    }
}

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
        Sampler::open(process, OF_PROGRAM)
    }

    /// Watches a process that runs, from now on.
    ///
    /// # Errors
    /// What the system says where it refuses.
    pub fn attach(process: i32) -> io::Result<Sampler> {
        let mut sampler = Sampler::open(process, OF_PROCESS)?;
        // The kernel tells what is loaded from now on.
        let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
        sampler.taken.maps(process as u32, &maps);
        Ok(sampler)
    }

    fn open(process: i32, flags: u64) -> io::Result<Sampler> {
        // SAFETY: plain questions.
        let (processors, page) =
            unsafe { (libc::sysconf(libc::_SC_NPROCESSORS_CONF), libc::sysconf(libc::_SC_PAGESIZE)) };
        let page = usize::try_from(page).map_err(|_| io::Error::last_os_error())?;
        let mut buffers = Vec::new();
        let mut refused = None;
        for processor in 0..processors.max(1) as i32 {
            match Buffer::open(process, processor, page, flags) {
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
    pub fn profile(mut self, outermost: Outermost) -> Profile {
        self.take();
        let why = format!(
            "their code has neither unwind tables nor frame pointers (compile with -fno-omit-frame-pointer), or their \
             stack is deeper than {} KiB",
            STACK_BYTES >> 10
        );
        let (mut profile, samples) = self.taken.profile("perf_event_open", &why, outermost);
        let plural = if samples == 1 { "sample" } else { "samples" };
        let note =
            format!("{samples} {plural} by perf_event_open: the software clock, every ms of CPU time, in user space");
        profile.notes.insert(0, note);
        profile
    }
}

/// What the library of `preload.rs.txt` has written, of a program that took so many seconds of CPU time; none where it
/// took no sample.
pub fn preloaded(bytes: &[u8], seconds: f64, outermost: Outermost) -> Option<Profile> {
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
        let why = "this sampler follows frame pointers only (compile with -fno-omit-frame-pointer)";
        let (mut profile, samples) = taken.profile("a preloaded sampler", why, outermost);
        let note = format!(
            "{samples} samples by a library that was loaded into the program (LD_PRELOAD, profiling timer); together \
             they count for its CPU time"
        );
        profile.notes.insert(0, note);
        profile
    })
}

impl Buffer {
    fn open(process: i32, processor: i32, page: usize, flags: u64) -> io::Result<Buffer> {
        let event = |samples, stack, registers| Event {
            kind: SOFTWARE,
            config: CPU_CLOCK,
            period: PERIOD,
            samples: INSTRUCTION | PROCESS | CALLERS | samples,
            flags: flags | MAPPINGS | FORKS | EXCLUDE_KERNEL_STACK,
            wakeup: 1,
            stack,
            registers,
            ..Event::default()
        };
        // Some systems give no copy of the stack.
        let event = event(REGISTERS_OF_USER | STACK_OF_USER, STACK_BYTES, SAMPLED.mask())
            .open(process, processor)
            .or_else(|_| event(0, 0, 0).open(process, processor))?;
        let mut refused = io::Error::from_raw_os_error(libc::EINVAL);
        for pages in PAGES {
            let size = page * (pages + 1);
            // SAFETY: the memory is mapped anew.
            let memory = unsafe {
                let protection = libc::PROT_READ | libc::PROT_WRITE;
                libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_SHARED, event.as_raw_fd(), 0)
            };
            if memory != libc::MAP_FAILED {
                return Ok(Buffer { event, memory: memory.cast(), size, page });
            }
            refused = io::Error::last_os_error();
        }
        Err(refused)
    }

    /// Hands out each record, and gives the room back to the kernel.
    fn drain(&self, mut each: impl FnMut(u32, &[u8])) {
        // Where head and tail lie in the first page.
        const HEAD: usize = 1024;
        const TAIL: usize = 1032;
        let _ = &self.event;
        let (data, length) = (self.page, self.size - self.page);
        // SAFETY: the first page is there and aligned; the kernel writes the head, and only this writes the tail.
        let (head, tail) =
            unsafe { (&*self.memory.add(HEAD).cast::<AtomicU64>(), &*self.memory.add(TAIL).cast::<AtomicU64>()) };
        let end = head.load(Ordering::Acquire);
        let mut at = tail.load(Ordering::Relaxed);
        let mut record = Vec::new();
        let copy = |from: u64, count: usize, into: &mut Vec<u8>| {
            into.clear();
            let start = from as usize % length;
            let first = count.min(length - start);
            for (start, count) in [(start, first), (0, count - first)] {
                // SAFETY: the bytes lie in the pages behind the first, and the kernel writes over none of them before
                // the tail has passed them.
                into.extend_from_slice(unsafe { std::slice::from_raw_parts(self.memory.add(data + start), count) });
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

    /// A child has what its parent had. What it has loaded itself may be known before, from another processor's buffer.
    fn fork(&mut self, record: &[u8]) -> Option<()> {
        let (process, parent) = (u32_at(record, 0)?, u32_at(record, 4)?);
        if process != parent {
            let known = self.mappings.get(&parent).cloned().unwrap_or_default();
            let own = self.mappings.entry(process).or_default();
            let free = |new: &Mapping| own.iter().all(|own| own.end <= new.start || own.start >= new.end);
            let more: Vec<Mapping> = known.into_iter().filter(free).collect();
            own.extend(more);
        }
        Some(())
    }

    fn sample(&mut self, record: &[u8]) -> Option<()> {
        // Markers between parts of a stack are negative.
        const MARKERS: u64 = u64::MAX - 4096;
        const SECONDS: f64 = PERIOD as f64 / 1e9;
        let (instruction, process, count) = (u64_at(record, 0)?, u32_at(record, 8)?, u64_at(record, 16)?);
        let count = usize::try_from(count).ok()?;
        if let Some((stack, is_whole)) = record.get(24 + 8 * count..).and_then(|rest| self.unwound(process, rest))
            && (is_whole || stack.len() > 1)
        {
            self.note(stack, if is_whole { Reach::Whole } else { Reach::Part }, SECONDS);
            return Some(());
        }
        let mut frames: Vec<u64> = Vec::new();
        for place in 0..count {
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

    /// The stack by the registers and the copy of the stack that come with a sample, and whether it is there to its
    /// end.
    fn unwound(&mut self, process: u32, rest: &[u8]) -> Option<(Vec<Spot>, bool)> {
        // How wide the registers are; none for a thread of the kernel.
        const WIDE: u64 = 2;
        if u64_at(rest, 0)? != WIDE {
            return None;
        }
        let registers = 8 * SAMPLED.0.len();
        let mut now = SAMPLED.read(rest.get(8..8 + registers)?)?;
        let rest = &rest[8 + registers..];
        let size = usize::try_from(u64_at(rest, 0)?).ok()?;
        let copied = usize::try_from(u64_at(rest, 8 + size)?).ok()?.min(size);
        let memory = rest.get(8..8 + copied)?;
        let bottom = now.each[STACK]?;
        let read = |address: u64| u64_at(memory, usize::try_from(address.checked_sub(bottom)?).ok()?);
        let mut stack: Vec<Spot> = Vec::new();
        while stack.len() < DEEPEST {
            // A return address is behind the call.
            let spot = self.spot(process, now.instruction.saturating_sub(u64::from(!stack.is_empty())));
            stack.push(spot);
            let (number, offset) = spot;
            let path = self.files.get(number as usize);
            let frames = self.frames.entry(number);
            let frames = frames.or_insert_with(|| path.and_then(|path| CallFrames::of_file(Path::new(path))));
            match frames.as_mut().map_or(Caller::Unknown, |frames| frames.caller(offset, &now, &read)) {
                Caller::Known(next) => now = next,
                Caller::None => return Some((stack, true)),
                Caller::Unknown => break,
            }
        }
        Some((stack, false))
    }

    /// Adds a stack of addresses, the innermost first, that frame pointers have led to.
    fn add(&mut self, process: u32, frames: &[u64], seconds: f64) {
        let stack = frames.iter().enumerate().map(|(place, address)| {
            // A return address is behind the call.
            self.spot(process, if place == 0 { *address } else { address.saturating_sub(1) })
        });
        let stack = stack.collect();
        self.note(stack, Reach::Unsure, seconds);
    }

    fn note(&mut self, stack: Vec<Spot>, reach: Reach, seconds: f64) {
        let known = self.stacks.entry((stack, reach)).or_default();
        *known = (known.0 + seconds, known.1 + 1);
        self.samples += 1;
    }

    /// Where an address lies. What is loaded later may lie elsewhere.
    fn spot(&mut self, process: u32, address: u64) -> Spot {
        let mappings = self.mappings.get(&process).map_or(&[][..], Vec::as_slice);
        let mapping = mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&address));
        let Some(Mapping { start, offset, path, .. }) = mapping else { return (NOWHERE, address) };
        let number = self.numbers.get(path).copied().unwrap_or_else(|| {
            let number = self.files.len() as u32;
            self.files.push(path.clone());
            self.numbers.insert(path.clone(), number);
            number
        });
        (number, address - start + offset)
    }

    /// What is loaded, as /proc/PID/maps tells it: `start-end r-xp offset device inode path`.
    fn maps(&mut self, process: u32, text: &str) {
        let mappings = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let hex = |text: &str| u64::from_str_radix(text, 16).ok();
            let runs = words.next()?.contains('x');
            let (start, end, offset) = (hex(start)?, hex(end)?, hex(words.next()?)?);
            let path = words.nth(2).unwrap_or(ANONYMOUS).to_string();
            runs.then_some(Mapping { start, end, offset, path })
        });
        self.mappings.insert(process, mappings.collect());
    }

    /// The profile, and of how many samples it is. `why` says why some callers are not known.
    fn profile(self, how: &str, why: &str, outermost: Outermost) -> (Profile, u64) {
        let Taken { stacks: seen, files, mut samples, lost, .. } = self;
        let mut seen = Vec::from_iter(seen);
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        let mut functions = Functions::default();
        let spots = functions.all(&files, seen.iter().flat_map(|((stack, _), _)| stack.iter().copied()));
        let mut unknown = None;
        let mut torn = 0;
        for ((stack, reach), (seconds, count)) in &seen {
            let innermost = spots[&stack[0]].len();
            let mut stack: Vec<usize> = stack.iter().flat_map(|spot| &spots[spot]).copied().collect();
            if functions.cut(&mut stack, *reach, outermost) {
                // Where the caller itself ran nothing is left.
                match stack.is_empty() {
                    true => samples -= count,
                    false => functions.add(None, &stack, *seconds),
                }
                continue;
            }
            torn += count;
            let unknown = *unknown.get_or_insert_with(|| functions.stacks.function(Function::named("unknown caller")));
            if *reach == Reach::Unsure {
                // Only where the program was is certain.
                stack.truncate(innermost);
            }
            functions.add(Some(unknown), &stack, *seconds);
        }
        let mut profile = functions.stacks.profile(how, Unit::Seconds);
        if torn > 0 {
            profile.notes.push(format!(
                "the callers of {:.1} % of the samples are not known: {why}",
                100.0 * torn as f64 / samples.max(1) as f64,
            ));
        }
        if lost > 0 {
            profile.notes.push(format!("{lost} samples were lost: the buffer was full"));
        }
        (profile, samples)
    }
}

/// Memory that runs and belongs to no file.
const ANONYMOUS: &str = "[anonymous]";

/// Functions that were seen.
#[derive(Default)]
struct Functions {
    stacks: Stacks,
    known: HashMap<(String, Place), usize>,
    /// Each with its library, and its number in the stacks once it stands in one.
    each: Vec<(String, Place, Option<usize>)>,
}

impl Functions {
    /// The functions of all these spots, the innermost first.
    fn all(&mut self, files: &[String], spots: impl Iterator<Item = Spot>) -> HashMap<Spot, Vec<usize>> {
        let mut spots: Vec<Spot> = spots.collect();
        spots.sort_unstable();
        spots.dedup();
        let mut found = HashMap::new();
        for part in spots.chunk_by(|a, b| a.0 == b.0) {
            let path = files.get(part[0].0 as usize).map_or("", String::as_str);
            // What a compiler makes while the program runs lies in no file.
            let is_outside = path.is_empty() || path == ANONYMOUS || path.starts_with("//anon");
            let library = if is_outside { ANONYMOUS } else { path.rsplit('/').next().unwrap_or(path) };
            let offsets: Vec<u64> = part.iter().map(|(_, offset)| *offset).collect();
            let places = Symbols::of_file(Path::new(path)).map(|symbols| symbols.places(&offsets));
            let mut places = places.unwrap_or_else(|| vec![Vec::new(); offsets.len()]);
            let mut frames = None;
            for (spot, places) in part.iter().zip(&mut places).filter(|(_, places)| places.is_empty()) {
                let frames = frames.get_or_insert_with(|| CallFrames::of_file(Path::new(path)));
                let begins = frames.as_ref().and_then(|frames| frames.begins(spot.1)).unwrap_or(spot.1);
                let name = match is_outside {
                    true => "code outside all files (JIT)".to_string(),
                    false => format!("{library}+0x{begins:x}"),
                };
                places.push(Place { name, file: None, line: None });
            }
            // Where nobody says in which line a function is declared, it is the first one that was seen.
            let mut lines: HashMap<(String, Option<String>), Option<u32>> = HashMap::new();
            for Place { name, file, line } in places.iter().flatten() {
                let known = lines.entry((name.clone(), file.clone())).or_insert(*line);
                *known = known.iter().chain(line).min().copied();
            }
            for place in places.iter_mut().flatten() {
                place.line = lines[&(place.name.clone(), place.file.clone())];
            }
            for (spot, places) in part.iter().zip(&mut places) {
                let numbers = places.drain(..).map(|place| self.number(library, place)).collect();
                found.insert(*spot, numbers);
            }
        }
        found
    }

    fn number(&mut self, library: &str, place: Place) -> usize {
        let next = self.each.len();
        let number = *self.known.entry((library.to_string(), place.clone())).or_insert(next);
        if number == next {
            self.each.push((library.to_string(), place, None));
        }
        number
    }

    /// Adds a stack, the innermost function first, below a caller.
    fn add(&mut self, caller: Option<usize>, stack: &[usize], seconds: f64) {
        let Functions { stacks, each, .. } = self;
        let numbers = stack.iter().rev().map(|place| {
            let (library, Place { name, file, line }, number) = &mut each[*place];
            *number.get_or_insert_with(|| {
                let module = crate_of(name).map_or_else(|| library.clone(), str::to_string);
                stacks.function(Function { module, file: file.clone(), line: *line, ..Function::named(name) })
            })
        });
        let numbers: Vec<usize> = caller.into_iter().chain(numbers).collect();
        stacks.add(numbers, seconds);
    }

    /// Leaves out what is above the outermost function; false where that is not there.
    fn cut(&self, stack: &mut Vec<usize>, reach: Reach, outermost: Outermost) -> bool {
        if let Outermost::Function(is_it) = outermost
            && let Some(place) = stack.iter().rposition(|number| is_it(&self.each[*number].1.name))
        {
            stack.truncate(place);
            return true;
        }
        let (library, place, _) = &self.each[*stack.last().expect("a sample has an address")];
        reach == Reach::Whole || is_entry(library, &place.name, stack.len())
    }
}

/// The crate of a function of Rust: `core` of `<core::ops::Range<u64> as …>::next`.
fn crate_of(name: &str) -> Option<&str> {
    let path = name.trim_start_matches(|c: char| !c.is_alphabetic() && c != '_');
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    path[end..].starts_with("::").then(|| &path[..end])
}

/// Whether a program or a thread begins with this function, which has so many frames with those that it called: in the
/// system's library, whose own names are often not there.
fn is_entry(library: &str, name: &str, depth: usize) -> bool {
    let begins = ["_start", "__libc_start", "start_thread", "clone", "__clone", "_dl_", "dl_main", "thread_start"];
    let of_system = ["libc.so", "libc-", "ld-linux", "ld-musl", "libpthread"];
    let is_late = depth > 1 && of_system.iter().any(|begin| library.starts_with(begin));
    is_late || name == "main" || begins.iter().any(|begin| name.starts_with(begin))
}
