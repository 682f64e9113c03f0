//! Names and places in the source of addresses, from the symbol tables and the debugging information of programs and
//! libraries (ELF, 64 bits).

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use addr2line::gimli::{self, DwAt, EndianSlice, LittleEndian, UnitOffset, UnitRef};
use addr2line::{Context, Frame};
use flate2::read::ZlibDecoder;

/// The functions of a file, by where they lie in it.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Start, end and name, sorted by the start; addresses as the file counts them.
    functions: Vec<(u64, u64, String)>,
    /// Parts that are loaded: place in the file, length, address.
    segments: Vec<(u64, u64, u64)>,
    /// The sections that say which line an address comes from, by name.
    lines: HashMap<String, Vec<u8>>,
}

/// What an address belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub name: String,
    pub file: Option<String>,
    /// Where the function begins, as far as that is known.
    pub line: Option<u32>,
}

/// The most symbols that are read from a file, the bytes of their names, and those of all that is said about lines.
const MOST: usize = 2_000_000;
const MOST_NAMES: u64 = 256 << 20;
const MOST_LINES: u64 = 512 << 20;

/// Bytes as they are read here.
pub type Slice<'a> = EndianSlice<'a, LittleEndian>;

pub fn slice(bytes: &[u8]) -> Slice<'_> {
    EndianSlice::new(bytes, LittleEndian)
}

impl Symbols {
    /// Those of a file; none where it is not such a file or cannot be read.
    pub fn of_file(path: &Path) -> Option<Symbols> {
        let file = Elf::open(path)?;
        let mut symbols = Symbols { segments: file.segments()?, ..Symbols::default() };
        for section in &file.sections {
            const SYMBOLS: u32 = 2;
            const DYNAMIC_SYMBOLS: u32 = 11;
            if matches!(section.kind, SYMBOLS | DYNAMIC_SYMBOLS) {
                symbols.read(&file, section);
            }
        }
        symbols.lines = file.lines();
        // Distributions put both into a file of its own, which is found by what identifies the build.
        if let Some(apart) = file.debug_file().filter(|_| symbols.lines.is_empty()).and_then(|path| Elf::open(&path)) {
            symbols.lines = apart.lines();
            apart.sections.iter().filter(|section| section.kind == 2).for_each(|section| symbols.read(&apart, section));
        }
        symbols.functions.sort_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
        symbols.functions.dedup_by_key(|function| function.0);
        Some(symbols)
    }

    fn read(&mut self, file: &Elf, section: &Section) {
        const ENTRY: usize = 24;
        let Some(names) = file.sections.get(section.link as usize) else { return };
        let most = (MOST * ENTRY) as u64;
        let (Some(entries), Some(texts)) = (file.bytes(section, most), file.bytes(names, MOST_NAMES)) else { return };
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

    /// What each of these places in the file belongs to: the innermost function first, then those into which it was
    /// inlined. Nothing where nobody knows.
    pub fn places(&self, offsets: &[u64]) -> Vec<Vec<Place>> {
        let section = |name: &str| self.lines.get(name).map_or(&[][..], Vec::as_slice);
        let load = |id: gimli::SectionId| Ok::<_, gimli::Error>(slice(section(id.name())));
        let lines = gimli::Dwarf::load(load).and_then(Context::from_dwarf);
        let lines = lines.ok().filter(|_| !self.lines.is_empty());
        offsets.iter().map(|offset| self.place(*offset, lines.as_ref()).unwrap_or_default()).collect()
    }

    fn place(&self, offset: u64, lines: Option<&Context<Slice<'_>>>) -> Option<Vec<Place>> {
        let inside = |(start, length, _): &&(u64, u64, u64)| offset >= *start && offset - start < *length;
        let (start, _, address) = self.segments.iter().find(inside)?;
        let address = address.wrapping_add(offset - start);
        let symbol = self.functions.partition_point(|(start, ..)| *start <= address).checked_sub(1);
        let symbol = symbol.map(|place| &self.functions[place]);
        // Symbols of assembler may have no size.
        let symbol = symbol.filter(|(start, end, _)| address < *end || start == end);
        let mut places = lines.and_then(|lines| inlined(lines, address)).unwrap_or_default();
        if places.is_empty() {
            let (_, _, name) = symbol?;
            return Some(vec![Place { name: name.clone(), file: None, line: None }]);
        }
        // The function that is there as code begins where its first instruction comes from.
        if let (Some(lines), Some((start, _, name)), Some(last)) = (lines, symbol, places.last_mut()) {
            last.name.clone_from(name);
            let begins = lines.find_location(*start).ok().flatten();
            last.line = begins.and_then(|location| location.line).filter(|line| *line > 0).or(last.line);
        }
        Some(places)
    }
}

/// The functions at an address, the innermost first.
fn inlined(lines: &Context<Slice<'_>>, address: u64) -> Option<Vec<Place>> {
    let unit = lines.find_dwarf_and_unit(address).skip_all_loads();
    let mut frames = lines.find_frames(address).skip_all_loads().ok()?;
    let mut places = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let Frame { dw_die_offset, function, location, .. } = frame;
        let Some(function) = function else { break };
        let name = readable(&function.raw_name().ok()?);
        let declared = unit.zip(dw_die_offset).and_then(|(unit, offset)| declared(&unit, offset));
        let location = location.as_ref();
        let file = location.and_then(|location| location.file).map(short_path);
        places.push(Place { name, file, line: declared.or(location.and_then(|location| location.line)) });
    }
    Some(places)
}

/// The line in which a function is declared.
fn declared(unit: &UnitRef<'_, Slice<'_>>, mut offset: UnitOffset) -> Option<u32> {
    const DEEPEST: usize = 4;
    const LINE: DwAt = gimli::DW_AT_decl_line;
    for _ in 0..DEEPEST {
        let entry = unit.entry(offset).ok()?;
        if let Some(line) = entry.attr_value(LINE).and_then(|value| value.udata_value()) {
            return u32::try_from(line).ok();
        }
        let origin = [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification].into_iter();
        offset = origin.filter_map(|name| entry.attr_value(name)).find_map(|value| match value {
            gimli::AttributeValue::UnitRef(offset) => Some(offset),
            _ => None,
        })?;
    }
    None
}

/// A path of the compiler's own as it is in its sources: `/rustc/0a1b…/library/core/src/num.rs`, and the same in a
/// toolchain that has them.
fn short_path(path: &str) -> String {
    let of_build = path.strip_prefix("/rustc/").and_then(|rest| rest.split_once('/'));
    let sources = of_build.or_else(|| path.split_once("/lib/rustlib/src/rust/"));
    sources.map_or(path, |(_, rest)| rest).to_string()
}

/// A name as it was written, where the compiler has mangled it.
fn readable(name: &str) -> String {
    if let Ok(plain) = rustc_demangle::try_demangle(name) {
        return format!("{plain:#}");
    }
    let mut plain = Short(String::new());
    let symbol = cpp_demangle::Symbol::new(name).ok().filter(|_| name.starts_with("_Z"));
    match symbol.map(|symbol| symbol.structured_demangle(&mut plain, &cpp_demangle::DemangleOptions::default())) {
        Some(Ok(())) => plain.0,
        Some(Err(_)) | None => name.to_string(),
    }
}

/// A name that may refer to its own parts, and so could become very long.
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const LONGEST: usize = 4096;
        if self.0.len() + text.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// A file with its table of sections.
pub struct Elf {
    file: File,
    length: u64,
    head: [u8; 64],
    sections: Vec<Section>,
}

pub struct Section {
    name: String,
    kind: u32,
    flags: u64,
    pub address: u64,
    start: u64,
    size: u64,
    link: u32,
}

impl Elf {
    pub fn open(path: &Path) -> Option<Elf> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        let mut head = [0; 64];
        file.read_exact_at(&mut head, 0).ok()?;
        // ELF, 64 bits, little endian.
        if !head.starts_with(b"\x7fELF\x02\x01") {
            return None;
        }
        let (start, size, count) = (u64_at(&head, 40), u16_at(&head, 58), u16_at(&head, 60));
        let table = table(&file, start, size, count, 64).unwrap_or_default();
        let section = |row: &Vec<u8>| Section {
            name: String::new(),
            kind: u32_at(row, 4),
            flags: u64_at(row, 8),
            address: u64_at(row, 16),
            start: u64_at(row, 24),
            size: u64_at(row, 32),
            link: u32_at(row, 40),
        };
        let mut elf = Elf { file, length, head, sections: table.iter().map(section).collect() };
        let names = elf.sections.get(usize::from(u16_at(&head, 62))).and_then(|names| elf.bytes(names, MOST_NAMES));
        for (section, row) in elf.sections.iter_mut().zip(&table) {
            let name = names.as_ref().and_then(|names| names.get(u32_at(row, 0) as usize..)).unwrap_or_default();
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
            section.name = String::from_utf8_lossy(&name[..end]).into_owned();
        }
        Some(elf)
    }

    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Parts that are loaded: place in the file, length, address.
    pub fn segments(&self) -> Option<Vec<(u64, u64, u64)>> {
        const LOAD: u32 = 1;
        let (start, size, count) = (u64_at(&self.head, 32), u16_at(&self.head, 54), u16_at(&self.head, 56));
        let parts = table(&self.file, start, size, count, 56)?;
        let loaded = parts.iter().filter(|part| u32_at(part, 0) == LOAD);
        Some(loaded.map(|part| (u64_at(part, 8), u64_at(part, 32), u64_at(part, 16))).collect())
    }

    /// What is in a section, where it is in the file and not longer than that.
    pub fn bytes(&self, section: &Section, most: u64) -> Option<Vec<u8>> {
        const NOTHING: u32 = 8;
        let end = section.start.checked_add(section.size)?;
        if section.kind == NOTHING || section.size > most || end > self.length {
            return None;
        }
        let mut bytes = vec![0; section.size as usize];
        self.file.read_exact_at(&mut bytes, section.start).ok()?;
        Some(bytes)
    }

    /// The sections about lines, unpacked; none where they are too long.
    fn lines(&self) -> HashMap<String, Vec<u8>> {
        let mut left = MOST_LINES;
        let mut lines = HashMap::new();
        for section in self.sections.iter().filter(|section| section.name.starts_with(".debug_")) {
            let Some(bytes) = self.bytes(section, left).and_then(|bytes| unpacked(bytes, section, left)) else {
                return HashMap::new();
            };
            left -= (bytes.len() as u64).min(left);
            lines.insert(section.name.clone(), bytes);
        }
        // Without these nothing can be looked up.
        lines.retain(|_, bytes| !bytes.is_empty());
        if lines.contains_key(".debug_info") && lines.contains_key(".debug_line") { lines } else { HashMap::new() }
    }

    /// Where distributions put what is known about lines: `/usr/lib/debug/.build-id/ab/cdef….debug`.
    fn debug_file(&self) -> Option<PathBuf> {
        let note = self.section(".note.gnu.build-id")?;
        let note = self.bytes(note, 1 << 10)?;
        // The lengths of the name and of the rest, a kind, and the name.
        let id: String = note.get(16..)?.iter().map(|byte| format!("{byte:02x}")).collect();
        let (folder, file) = id.split_at_checked(2)?;
        Some(PathBuf::from(format!("/usr/lib/debug/.build-id/{folder}/{file}.debug")))
    }
}

/// What is in a section that may be compressed.
fn unpacked(bytes: Vec<u8>, section: &Section, most: u64) -> Option<Vec<u8>> {
    const COMPRESSED: u64 = 1 << 11;
    const HEAD: usize = 24;
    const ZLIB: u32 = 1;
    const ZSTD: u32 = 2;
    if section.flags & COMPRESSED == 0 {
        return Some(bytes);
    }
    let packed = bytes.get(HEAD..)?;
    let mut whole = Vec::new();
    let read = match u32_at(&bytes, 0) {
        ZLIB => ZlibDecoder::new(packed).take(most).read_to_end(&mut whole),
        ZSTD => zstd::Decoder::new(packed).and_then(|decoder| decoder.take(most).read_to_end(&mut whole)),
        _ => return None,
    };
    read.ok().map(|_| whole)
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
