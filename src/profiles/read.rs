//! Which format bytes are in, and their profile. Whatever the bytes are, the answer is a profile or an error with the
//! place of the damage; nesting and sizes are bounded.

use std::io::Read;

use crate::measure::end_if_stopped;

use super::{Profile, callgrind, cprofile, firefox, perf, pprof, speedscope, stacks};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    CProfile,
    Folded,
    Speedscope,
    Callgrind,
    Pprof,
    Perf,
    Firefox,
}

/// All formats, as `as` names them, with what writes them.
pub const FORMATS: [(&str, Format, &str); 7] = [
    ("cprofile", Format::CProfile, "python3 -m cProfile -o FILE"),
    ("folded", Format::Folded, "stackcollapse and others: a stack and a number on each line"),
    ("speedscope", Format::Speedscope, "speedscope's JSON, as py-spy and others write it"),
    ("callgrind", Format::Callgrind, "valgrind --tool=callgrind"),
    ("pprof", Format::Pprof, "Go, and other tools with a protobuf of pprof"),
    ("perf", Format::Perf, "perf script"),
    ("firefox", Format::Firefox, "samply's JSON for the Firefox profiler"),
];

/// The most bytes of a dump, after decompression.
pub const LARGEST: usize = 256 << 20;

/// Of all: what a clock may be off by.
const NOTHING: f64 = 0.001;

/// What is wrong with a dump.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadError {
    pub what: String,
    /// In the bytes after decompression.
    pub offset: Option<u64>,
}

impl ReadError {
    pub fn at(what: impl Into<String>, offset: usize) -> ReadError {
        ReadError { what: what.into(), offset: Some(offset as u64) }
    }

    pub fn new(what: impl Into<String>) -> ReadError {
        ReadError { what: what.into(), offset: None }
    }
}

/// The profile in some bytes, which may be compressed; their content decides on the format unless it is given.
pub fn read(bytes: &[u8], format: Option<Format>) -> Result<Profile, ReadError> {
    let plain = decompressed(bytes)?;
    let bytes = plain.as_deref().unwrap_or(bytes);
    // Some editors begin a text with the mark of its byte order.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(ReadError::new("it is empty"));
    }
    let format = format.or_else(|| detect(bytes)).ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().map(|(name, ..)| *name).collect();
        ReadError::new(format!("its content is none of {}", names.join(", ")))
    })?;
    let profile = match format {
        Format::CProfile => cprofile::read(bytes),
        Format::Folded => stacks::read(bytes),
        Format::Speedscope => speedscope::read(bytes),
        Format::Callgrind => callgrind::read(bytes),
        Format::Pprof => pprof::read(bytes),
        Format::Perf => perf::read(bytes),
        Format::Firefox => firefox::read(bytes),
    }?;
    if profile.functions.is_empty() {
        return Err(ReadError::new("it has no functions"));
    }
    if !(profile.total.is_finite() && profile.functions.iter().all(|f| f.own.is_finite() && f.cumulative.is_finite())) {
        return Err(ReadError::new("its figures are not finite"));
    }
    if profile.functions.iter().any(|function| function.own < -NOTHING * profile.total.abs()) {
        return Err(ReadError::new("it has functions with less than no time"));
    }
    Ok(profile)
}

fn decompressed(bytes: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(None);
    }
    let mut plain = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(LARGEST as u64 + 1);
    let mut part = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut part);
        match read.map_err(|error| ReadError::at(format!("the gzip data is damaged: {error}"), plain.len()))? {
            0 => break,
            length => plain.extend_from_slice(&part[..length]),
        }
        end_if_stopped();
    }
    if plain.len() > LARGEST {
        return Err(ReadError::new(format!("it has over {} MiB after decompression", LARGEST >> 20)));
    }
    Ok(Some(plain))
}

fn detect(bytes: &[u8]) -> Option<Format> {
    const HEAD: usize = 4096;
    let head = &bytes[..bytes.len().min(HEAD)];
    if cprofile::begins(bytes) {
        return Some(Format::CProfile);
    }
    if pprof::begins(bytes) {
        return Some(Format::Pprof);
    }
    let text = String::from_utf8_lossy(head);
    let start = text.trim_start();
    if start.starts_with('{') {
        // The keys may come in any order, however large the values are.
        let has = |word: &str| memchr::memmem::find(bytes, word.as_bytes()).is_some();
        if has("\"stackTable\"") || has("\"frameTable\"") {
            return Some(Format::Firefox);
        }
        return (has("speedscope") || has("\"profiles\"")).then_some(Format::Speedscope);
    }
    let is_callgrind = |line: &str| {
        line.starts_with("# callgrind format") || line.starts_with("events:") || line.starts_with("creator: callgrind")
    };
    if text.lines().any(is_callgrind) {
        return Some(Format::Callgrind);
    }
    if perf::begins(&text) {
        return Some(Format::Perf);
    }
    stacks::begins(bytes).then_some(Format::Folded)
}
