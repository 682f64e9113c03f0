//! Names of functions by their addresses, from the symbol tables of programs and libraries (ELF, 64 bits).

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The functions of a file, by where they lie in it.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Start, end and name, sorted by the start; addresses as the file counts them.
    functions: Vec<(u64, u64, String)>,
    /// Parts that are loaded: place in the file, length, address.
    segments: Vec<(u64, u64, u64)>,
}

/// The most symbols that are read from a file, and the bytes of their names.
const MOST: usize = 2_000_000;
const MOST_NAMES: u64 = 256 << 20;

impl Symbols {
    /// Those of a file; none where it is not such a file or cannot be read.
    pub fn of_file(path: &Path) -> Option<Symbols> {
        let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
        let mut head = [0; 64];
        file.read_exact_at(&mut head, 0).ok()?;
        // ELF, 64 bits, little endian.
        if !head.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let (programs, sections) = (u64_at(&head, 32), u64_at(&head, 40));
        let (program_size, program_count) = (u16_at(&head, 54), u16_at(&head, 56));
        let (section_size, section_count) = (u16_at(&head, 58), u16_at(&head, 60));
        let mut symbols = Symbols::default();
        for part in table(&file, programs, program_size, program_count, 56)? {
            const LOAD: u32 = 1;
            if u32_at(&part, 0) == LOAD {
                symbols.segments.push((u64_at(&part, 8), u64_at(&part, 32), u64_at(&part, 16)));
            }
        }
        let sections = table(&file, sections, section_size, section_count, 64).unwrap_or_default();
        for section in &sections {
            const SYMBOLS: u32 = 2;
            const DYNAMIC_SYMBOLS: u32 = 11;
            if matches!(u32_at(section, 4), SYMBOLS | DYNAMIC_SYMBOLS) {
                let names = sections.get(u32_at(section, 40) as usize)?;
                symbols.read(&file, section, names);
            }
        }
        symbols.functions.sort_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
        symbols.functions.dedup_by_key(|function| function.0);
        Some(symbols)
    }

    fn read(&mut self, file: &File, section: &[u8], names: &[u8]) {
        const ENTRY: usize = 24;
        let (start, size) = (u64_at(section, 24), u64_at(section, 32));
        let count = (size as usize / ENTRY).min(MOST);
        let (names_start, names_size) = (u64_at(names, 24), u64_at(names, 32).min(MOST_NAMES));
        let length = file.metadata().map_or(0, |found| found.len());
        if start.saturating_add(size) > length || names_start.saturating_add(names_size) > length {
            return;
        }
        let (mut entries, mut texts) = (vec![0; count * ENTRY], vec![0; names_size as usize]);
        if file.read_exact_at(&mut entries, start).is_err() || file.read_exact_at(&mut texts, names_start).is_err() {
            return;
        }
        for entry in entries.chunks_exact(ENTRY) {
            const FUNCTION: u8 = 2;
            const INDIRECT: u8 = 10;
            let (name, value, size) = (u32_at(entry, 0) as usize, u64_at(entry, 8), u64_at(entry, 16));
            let defined = u16_at(entry, 6) != 0;
            if matches!(entry[4] & 0xf, FUNCTION | INDIRECT) && defined {
                let text = texts.get(name..).unwrap_or_default();
                let text = &text[..text.iter().position(|byte| *byte == 0).unwrap_or(0)];
                if !text.is_empty() {
                    let name = readable(&String::from_utf8_lossy(text));
                    self.functions.push((value, value.saturating_add(size), name));
                }
            }
        }
    }

    /// The function at a place in the file.
    pub fn at_offset(&self, offset: u64) -> Option<&str> {
        let inside = |(start, length, _): &&(u64, u64, u64)| offset >= *start && offset - start < *length;
        let (start, _, address) = self.segments.iter().find(inside)?;
        let address = address.wrapping_add(offset - start);
        let place = self.functions.partition_point(|(start, ..)| *start <= address).checked_sub(1)?;
        let (start, end, name) = &self.functions[place];
        // Symbols of assembler may have no size.
        (address < *end || start == end).then_some(name.as_str())
    }
}

/// Rows of a table in the file, each of at least so many bytes.
fn table(file: &File, start: u64, size: u16, count: u16, least: usize) -> Option<Vec<Vec<u8>>> {
    let size = usize::from(size);
    if size < least {
        return (count == 0).then(Vec::new);
    }
    let mut bytes = vec![0; size * usize::from(count)];
    file.read_exact_at(&mut bytes, start).ok()?;
    Some(bytes.chunks_exact(size).map(<[u8]>::to_vec).collect())
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("there are two"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("there are four"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("there are eight"))
}

/// Names of Rust and of simple C++ as they were written: `_ZN3std2io4read17h0123456789abcdefE` is `std::io::read`.
/// Others stay.
fn readable(name: &str) -> String {
    let inside = name.strip_prefix("_ZN").and_then(|rest| rest.strip_suffix('E'));
    let Some(mut rest) = inside else { return name.to_string() };
    let mut parts: Vec<&str> = Vec::new();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let length = rest[..digits].parse::<usize>().ok();
        let Some(part) = length.and_then(|length| rest[digits..].get(..length)) else { return name.to_string() };
        parts.push(part);
        rest = &rest[digits + part.len()..];
    }
    let is_hash =
        |part: &&str| part.len() == 17 && part.starts_with('h') && part[1..].chars().all(|c| c.is_ascii_hexdigit());
    if parts.last().is_some_and(is_hash) {
        parts.pop();
    }
    let escapes =
        HashMap::from([("$LT$", "<"), ("$GT$", ">"), ("$u20$", " "), ("$RF$", "&"), ("$C$", ","), ("..", "::")]);
    let plain = escapes.iter().fold(parts.join("::"), |text, (escape, plain)| text.replace(escape, plain));
    ["$LP$", "$RP$", "$BP$", "$u7b$", "$u7d$", "$u5b$", "$u5d$"]
        .iter()
        .zip(["(", ")", "*", "{", "}", "[", "]"])
        .fold(plain, |text, (escape, plain)| text.replace(escape, plain))
        .replace("_<", "<")
}
