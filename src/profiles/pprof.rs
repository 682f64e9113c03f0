//! The protobuf of pprof (profile.proto of github.com/google/pprof), read and written.

use std::collections::HashMap;

use super::{Function, Profile, ReadError, Stacks, Unit};

/// A profile begins with a sample type: field 1, a message of a few bytes.
pub fn begins(bytes: &[u8]) -> bool {
    let mut fields = Fields { bytes, at: 0, start: 0 };
    let Ok(Some((1, Wire::Bytes(first)))) = fields.next() else { return false };
    let mut inside = Fields { bytes: first.bytes, at: 0, start: 0 };
    let small = first.bytes.len() <= 32;
    small && std::iter::from_fn(|| inside.next().transpose()).all(|field| matches!(field, Ok((1 | 2, Wire::Int(_)))))
}

/// A message with its place in the file.
#[derive(Clone, Copy)]
struct Part<'a> {
    bytes: &'a [u8],
    start: usize,
}

enum Wire<'a> {
    Int(u64),
    Bytes(Part<'a>),
}

/// The fields of a message.
struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message lies in the file.
    start: usize,
}

impl<'a> Fields<'a> {
    fn of(part: Part<'a>) -> Fields<'a> {
        Fields { bytes: part.bytes, at: 0, start: part.start }
    }

    fn varint(&mut self) -> Result<u64, ReadError> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.cut())?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ReadError::at("a number has over ten bytes", self.start + start))
    }

    fn cut(&self) -> ReadError {
        ReadError::at("the protobuf ends too early", self.start + self.bytes.len())
    }

    fn take(&mut self, count: usize) -> Result<Part<'a>, ReadError> {
        let rest = &self.bytes[self.at..];
        let bytes = rest.get(..count).ok_or_else(|| self.cut())?;
        let part = Part { bytes, start: self.start + self.at };
        self.at += count;
        Ok(part)
    }

    fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>, ReadError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Wire::Int(self.varint()?),
            1 => Wire::Int(u64::from_le_bytes(self.take(8)?.bytes.try_into().expect("there are eight"))),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| self.cut())?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Int(u32::from_le_bytes(self.take(4)?.bytes.try_into().expect("there are four")).into()),
            other => return Err(ReadError::at(format!("there is no kind of field {other}"), self.start + start)),
        };
        Ok(Some((key >> 3, value)))
    }
}

/// Numbers that stand one by one, or packed.
fn numbers(wire: Wire, into: &mut Vec<u64>) -> Result<(), ReadError> {
    match wire {
        Wire::Int(number) => into.push(number),
        Wire::Bytes(part) => {
            let mut fields = Fields::of(part);
            while fields.at < part.bytes.len() {
                into.push(fields.varint()?);
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Location {
    mapping: u64,
    address: u64,
    /// Function and line, the innermost first.
    lines: Vec<(u64, u64)>,
}

#[derive(Default)]
struct Raw {
    types: Vec<(u64, u64)>,
    samples: Vec<(Vec<u64>, Vec<u64>)>,
    mappings: HashMap<u64, (u64, u64, u64)>,
    locations: HashMap<u64, Location>,
    functions: HashMap<u64, (u64, u64, u64)>,
    strings: Vec<String>,
    default_type: u64,
}

/// The ints of a message, by their fields.
fn ints(part: Part, wanted: &mut [(u64, &mut u64)]) -> Result<(), ReadError> {
    let mut fields = Fields::of(part);
    while let Some((field, wire)) = fields.next()? {
        if let (Wire::Int(value), Some((_, place))) = (wire, wanted.iter_mut().find(|(known, _)| *known == field)) {
            **place = value;
        }
    }
    Ok(())
}

fn raw(bytes: &[u8]) -> Result<Raw, ReadError> {
    let mut raw = Raw::default();
    let mut fields = Fields { bytes, at: 0, start: 0 };
    while let Some((field, wire)) = fields.next()? {
        match (field, wire) {
            (1, Wire::Bytes(part)) => {
                let (mut kind, mut unit) = (0, 0);
                ints(part, &mut [(1, &mut kind), (2, &mut unit)])?;
                raw.types.push((kind, unit));
            }
            (2, Wire::Bytes(part)) => {
                let (mut locations, mut values) = (Vec::new(), Vec::new());
                let mut inside = Fields::of(part);
                while let Some((field, wire)) = inside.next()? {
                    match field {
                        1 => numbers(wire, &mut locations)?,
                        2 => numbers(wire, &mut values)?,
                        _ => {}
                    }
                }
                raw.samples.push((locations, values));
            }
            (3, Wire::Bytes(part)) => {
                let (mut id, mut start, mut offset, mut name) = (0, 0, 0, 0);
                ints(part, &mut [(1, &mut id), (2, &mut start), (4, &mut offset), (5, &mut name)])?;
                raw.mappings.insert(id, (start, offset, name));
            }
            (4, Wire::Bytes(part)) => {
                let (mut id, mut location) = (0, Location::default());
                let mut inside = Fields::of(part);
                while let Some((field, wire)) = inside.next()? {
                    match (field, wire) {
                        (1, Wire::Int(value)) => id = value,
                        (2, Wire::Int(value)) => location.mapping = value,
                        (3, Wire::Int(value)) => location.address = value,
                        (4, Wire::Bytes(part)) => {
                            let (mut function, mut line) = (0, 0);
                            ints(part, &mut [(1, &mut function), (2, &mut line)])?;
                            location.lines.push((function, line));
                        }
                        _ => {}
                    }
                }
                raw.locations.insert(id, location);
            }
            (5, Wire::Bytes(part)) => {
                let (mut id, mut name, mut file, mut line) = (0, 0, 0, 0);
                ints(part, &mut [(1, &mut id), (2, &mut name), (4, &mut file), (5, &mut line)])?;
                raw.functions.insert(id, (name, file, line));
            }
            (6, Wire::Bytes(part)) => raw.strings.push(String::from_utf8_lossy(part.bytes).into_owned()),
            (14, Wire::Int(value)) => raw.default_type = value,
            _ => {}
        }
    }
    Ok(raw)
}

pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let raw = raw(bytes)?;
    let text = |at: u64| usize::try_from(at).ok().and_then(|at| raw.strings.get(at)).map_or("", String::as_str);
    // As the pprof tool chooses: the one that the profile names, else the last.
    let by_default = raw.types.iter().position(|(kind, _)| raw.default_type != 0 && *kind == raw.default_type);
    let chosen =
        by_default.or(raw.types.len().checked_sub(1)).ok_or_else(|| ReadError::new("it has no sample type"))?;
    let (kind, unit) = raw.types[chosen];
    let (unit, scale) = match text(unit) {
        "nanoseconds" => (Unit::Seconds, 1e-9),
        "microseconds" => (Unit::Seconds, 1e-6),
        "milliseconds" => (Unit::Seconds, 1e-3),
        "seconds" => (Unit::Seconds, 1.0),
        "bytes" => (Unit::Bytes, 1.0),
        _ if text(kind) == "samples" => (Unit::Samples, 1.0),
        _ => (Unit::Events(text(kind).to_string()), 1.0),
    };
    let mut stacks = Stacks::default();
    let mut known: HashMap<(u64, u64), usize> = HashMap::new();
    for (number, (locations, values)) in raw.samples.iter().enumerate() {
        let value = values.get(chosen).ok_or_else(|| ReadError::new(format!("sample {} has no value", number + 1)))?;
        // Values are signed.
        let weight = (*value as i64).max(0) as f64 * scale;
        let mut frames = Vec::new();
        for id in locations {
            let location = raw.locations.get(id);
            let location = location.ok_or_else(|| ReadError::new(format!("there is no location {id}")))?;
            if location.lines.is_empty() {
                let made = *known.entry((u64::MAX, *id)).or_insert_with(|| stacks.function(nameless(&raw, location)));
                frames.push(made);
            }
            for (function, _) in &location.lines {
                let Some((name, file, line)) = raw.functions.get(function) else {
                    return Err(ReadError::new(format!("there is no function {function}")));
                };
                let made = *known.entry((*function, 0)).or_insert_with(|| {
                    let file = Some(text(*file).to_string()).filter(|file| !file.is_empty());
                    let line = u32::try_from(*line).ok().filter(|line| *line > 0);
                    let module = raw.mappings.get(&location.mapping).map(|(_, _, name)| short(text(*name)));
                    let own = file.as_deref().map(short);
                    let module = module.filter(|module| !module.is_empty()).or(own).unwrap_or_default().to_string();
                    stacks.function(Function { module, file, line, ..Function::named(text(*name)) })
                });
                frames.push(made);
            }
        }
        stacks.add(frames.into_iter().rev(), weight);
    }
    let mut profile = stacks.profile("pprof", unit);
    if raw.types.len() > 1 {
        let types: Vec<&str> = raw.types.iter().map(|(kind, _)| text(*kind)).collect();
        profile.notes.push(format!("{} of its values: {}", text(kind), types.join(", ")));
    }
    Ok(profile)
}

/// Without a symbol, the library and the offset in it.
fn nameless(raw: &Raw, location: &Location) -> Function {
    let mapping = raw.mappings.get(&location.mapping);
    let name = mapping.and_then(|(_, _, name)| raw.strings.get(*name as usize)).map_or("", String::as_str);
    let (start, offset) = mapping.map_or((0, 0), |(start, offset, _)| (*start, *offset));
    let place = location.address.wrapping_sub(start).wrapping_add(offset);
    let module = short(name).to_string();
    let shown = if module.is_empty() { format!("0x{:x}", location.address) } else { format!("{module}+0x{place:x}") };
    Function { module, ..Function::named(&shown) }
}

fn short(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A profile as such a protobuf, without compression.
pub fn write(profile: &Profile) -> Vec<u8> {
    let mut strings: Vec<String> = vec![String::new()];
    let mut places: HashMap<String, u64> = HashMap::from([(String::new(), 0)]);
    let mut string = |text: &str| {
        *places.entry(text.to_string()).or_insert_with(|| {
            strings.push(text.to_string());
            strings.len() as u64 - 1
        })
    };
    let (kind, unit, scale) = match &profile.unit {
        Unit::Seconds => ("time".to_string(), "nanoseconds", 1e9),
        Unit::Samples => ("samples".to_string(), "count", 1.0),
        Unit::Bytes => ("space".to_string(), "bytes", 1.0),
        Unit::Events(name) => (name.clone(), "count", 1.0),
    };
    let mut out = Vec::new();
    let (kind, unit) = (string(&kind), string(unit));
    message(&mut out, 1, &[(1, kind), (2, unit)]);
    for node in profile.nodes.iter().skip(1).filter(|node| node.own > 0.0) {
        let (mut locations, mut values) = (Vec::new(), Vec::new());
        let mut at = node;
        loop {
            varint(&mut locations, at.function as u64 + 1);
            if at.parent == 0 {
                break;
            }
            at = &profile.nodes[at.parent];
        }
        varint(&mut values, (node.own * scale).round() as u64);
        let mut sample = Vec::new();
        bytes_field(&mut sample, 1, &locations);
        bytes_field(&mut sample, 2, &values);
        bytes_field(&mut out, 2, &sample);
    }
    for (at, function) in profile.functions.iter().enumerate() {
        let id = at as u64 + 1;
        let mut location = Vec::new();
        int_field(&mut location, 1, id);
        let mut line = Vec::new();
        int_field(&mut line, 1, id);
        int_field(&mut line, 2, function.line.unwrap_or(0).into());
        bytes_field(&mut location, 4, &line);
        bytes_field(&mut out, 4, &location);
        let (name, file) = (string(&function.name), string(function.file.as_deref().unwrap_or(&function.module)));
        message(&mut out, 5, &[(1, id), (2, name), (3, name), (4, file), (5, function.line.unwrap_or(0).into())]);
    }
    for text in &strings {
        bytes_field(&mut out, 6, text.as_bytes());
    }
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn int_field(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes_field(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn message(out: &mut Vec<u8>, field: u64, ints: &[(u64, u64)]) {
    let mut inside = Vec::new();
    ints.iter().for_each(|(field, value)| int_field(&mut inside, *field, *value));
    bytes_field(out, field, &inside);
}
