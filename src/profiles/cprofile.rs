//! Dumps of Python's cProfile: a dictionary in Python's marshal format, versions 0 to 4. A dump is data: what it says
//! is never run.

use std::collections::HashMap;
use std::rc::Rc;

use super::{Edge, Function, Graph, Profile, ReadError, Unit};

/// A dump begins with a dictionary whose first key is a tuple, or with an empty one.
pub fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..]
        if first & !FLAG == b'{' && matches!(second & !FLAG, b'(' | b')' | b'0'))
}

/// The object is one that later ones refer to.
const FLAG: u8 = 0x80;
/// A dump nests four levels deep.
const DEEPEST: usize = 16;

#[derive(Clone)]
enum Object {
    None,
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    Tuple(Rc<[Object]>),
    Dict(Rc<[(Object, Object)]>),
}

pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let mut reader = Reader { bytes, at: 0, known: Vec::new(), interned: Vec::new() };
    let Some(Object::Dict(entries)) = reader.object(0)? else {
        return Err(ReadError::at("a dump of cProfile is a dictionary, and this is something else", 0));
    };
    let mut graph = Graph { functions: Vec::new(), edges: Vec::new() };
    let mut numbers: HashMap<(Rc<str>, i64, Rc<str>), usize> = HashMap::new();
    let mut number = |graph: &mut Graph, key: (Rc<str>, i64, Rc<str>)| {
        *numbers.entry(key.clone()).or_insert_with(|| {
            graph.functions.push(function(&key));
            graph.functions.len() - 1
        })
    };
    for (key, value) in entries.iter() {
        let key = function_key(key).ok_or_else(|| wrong("a key is not (file, line, name)"))?;
        let Object::Tuple(parts) = value else { return Err(wrong("the figures of a function are not a tuple")) };
        let [primitive, calls, own, cumulative, callers] = &parts[..] else {
            return Err(wrong("a function has not five figures"));
        };
        let (primitive, calls) = count(primitive).zip(count(calls)).ok_or_else(|| wrong("a count is not a number"))?;
        let (own, cumulative) = time(own).zip(time(cumulative)).ok_or_else(|| wrong("a time is not a number"))?;
        let callee = number(&mut graph, key);
        let known = &mut graph.functions[callee];
        (known.calls, known.own, known.cumulative) = (Some((calls, primitive)), own, cumulative);
        let Object::Dict(callers) = callers else { return Err(wrong("the callers are not a dictionary")) };
        for (caller, figures) in callers.iter() {
            let caller = function_key(caller).ok_or_else(|| wrong("a caller is not (file, line, name)"))?;
            let (calls, cumulative) = match figures {
                Object::Tuple(parts) => match &parts[..] {
                    // Each is (total calls, primitive calls, own, cumulative): pstats documents the first two so.
                    [calls, _, _, cumulative] => count(calls).zip(time(cumulative)),
                    _ => None,
                },
                // Old profilers only count.
                only => count(only).map(|calls| (calls, 0.0)),
            }
            .ok_or_else(|| wrong("the figures of a caller are damaged"))?;
            let caller = number(&mut graph, caller);
            graph.edges.push(Edge { caller, callee, calls: Some(calls), cumulative });
        }
    }
    Ok(graph.profile("cProfile", Unit::Seconds))
}

fn wrong(what: &str) -> ReadError {
    ReadError::new(format!("not a dump of cProfile: {what}"))
}

fn function_key(object: &Object) -> Option<(Rc<str>, i64, Rc<str>)> {
    let Object::Tuple(parts) = object else { return None };
    match &parts[..] {
        [Object::Text(file), Object::Int(line), Object::Text(name)] => Some((file.clone(), *line, name.clone())),
        _ => None,
    }
}

fn function((file, line, name): &(Rc<str>, i64, Rc<str>)) -> Function {
    // Built-in functions have the file `~`.
    let is_built_in = &**file == "~";
    let module = match is_built_in {
        true => "built-in".to_string(),
        false => {
            std::path::Path::new(&**file).file_stem().map_or(file.to_string(), |stem| stem.to_string_lossy().into())
        }
    };
    Function {
        module,
        file: (!is_built_in).then(|| file.to_string()),
        line: u32::try_from(*line).ok().filter(|line| *line > 0),
        ..Function::named(name)
    }
}

fn count(object: &Object) -> Option<u64> {
    if let Object::Int(count) = object { u64::try_from(*count).ok() } else { None }
}

fn time(object: &Object) -> Option<f64> {
    match object {
        Object::Float(time) if time.is_finite() => Some(*time),
        Object::Int(time) => Some(*time as f64),
        _ => None,
    }
}

/// Python's marshal format, as far as such a dump needs it: Python/marshal.c.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Objects that later ones refer to; none while one is being read.
    known: Vec<Option<Object>>,
    /// The texts of version 1 that do the same.
    interned: Vec<Object>,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], ReadError> {
        let taken = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        let taken = taken.ok_or_else(|| ReadError::at("the dump ends too early", self.bytes.len()))?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, ReadError> {
        Ok(self.take(1)?[0])
    }

    fn long(&mut self) -> Result<i32, ReadError> {
        Ok(i32::from_le_bytes(self.take(4)?.try_into().expect("there are four")))
    }

    /// A number of things that follow, each of at least one byte.
    fn size(&mut self) -> Result<usize, ReadError> {
        let start = self.at;
        let size = self.long()?;
        let left = self.bytes.len() - self.at;
        usize::try_from(size)
            .ok()
            .filter(|size| *size <= left)
            .ok_or_else(|| ReadError::at(format!("{size} things are said to follow, but {left} bytes are left"), start))
    }

    /// None for the end of a dictionary.
    fn object(&mut self, depth: usize) -> Result<Option<Object>, ReadError> {
        let start = self.at;
        if depth > DEEPEST {
            return Err(ReadError::at(format!("it is nested over {DEEPEST} levels deep"), start));
        }
        let code = self.byte()?;
        let place = (code & FLAG != 0).then(|| {
            self.known.push(None);
            self.known.len() - 1
        });
        let object = match code & !FLAG {
            b'0' => return Ok(None),
            b'N' => Object::None,
            b'T' => Object::Int(1),
            b'F' => Object::Int(0),
            b'i' => Object::Int(i64::from(self.long()?)),
            b'I' => Object::Int(i64::from_le_bytes(self.take(8)?.try_into().expect("there are eight"))),
            b'l' => self.large_int(start)?,
            b'g' => Object::Float(f64::from_le_bytes(self.take(8)?.try_into().expect("there are eight"))),
            b'f' => {
                let length = usize::from(self.byte()?);
                let text = String::from_utf8_lossy(self.take(length)?).into_owned();
                Object::Float(text.parse().map_err(|_| ReadError::at(format!("`{text}` is not a float"), start))?)
            }
            kind @ (b's' | b't' | b'u' | b'a' | b'A') => {
                let length = self.size()?;
                let text = text(self.take(length)?);
                if kind == b't' {
                    self.interned.push(text.clone());
                }
                text
            }
            b'z' | b'Z' => {
                let length = usize::from(self.byte()?);
                text(self.take(length)?)
            }
            b'R' => {
                let place = self.long()?;
                let known = usize::try_from(place).ok().and_then(|place| self.interned.get(place)).cloned();
                known.ok_or_else(|| ReadError::at(format!("text {place} is used before it is defined"), start))?
            }
            b'r' => {
                let place = self.long()?;
                let known = usize::try_from(place).ok().and_then(|place| self.known.get(place).cloned());
                match known {
                    Some(Some(object)) => object,
                    Some(None) => return Err(ReadError::at("an object holds itself", start)),
                    None => return Err(ReadError::at(format!("there is no object number {place}"), start)),
                }
            }
            kind @ (b'(' | b')' | b'[') => {
                let size = if kind == b')' { usize::from(self.byte()?) } else { self.size()? };
                let mut parts = Vec::with_capacity(size.min(16));
                for _ in 0..size {
                    let part = self.object(depth + 1)?;
                    parts.push(part.ok_or_else(|| ReadError::at("a part of a tuple is missing", self.at))?);
                }
                Object::Tuple(parts.into())
            }
            b'{' => {
                let mut entries = Vec::new();
                while let Some(key) = self.object(depth + 1)? {
                    let value = self.object(depth + 1)?;
                    let value = value.ok_or_else(|| ReadError::at("a key of a dictionary has no value", self.at))?;
                    entries.push((key, value));
                }
                Object::Dict(entries.into())
            }
            other => {
                let shown = (other as char).escape_default();
                return Err(ReadError::at(format!("`{shown}` is not a kind of object that such a dump holds"), start));
            }
        };
        if let Some(place) = place {
            self.known[place] = Some(object.clone());
        }
        Ok(Some(object))
    }

    /// Digits of 15 bits, whose number is negative where the int is.
    fn large_int(&mut self, start: usize) -> Result<Object, ReadError> {
        let digits = self.long()?;
        let too_large = || ReadError::at("an int does not fit into 64 bits", start);
        let mut value: i64 = 0;
        for place in 0..digits.unsigned_abs() {
            let digit = i64::from(u16::from_le_bytes(self.take(2)?.try_into().expect("there are two")));
            let shifted = 15 * place;
            if shifted >= 60 && digit != 0 {
                return Err(too_large());
            }
            value = value.checked_add(digit.checked_shl(shifted).unwrap_or(0)).ok_or_else(too_large)?;
        }
        Ok(Object::Int(if digits < 0 { -value } else { value }))
    }
}

fn text(bytes: &[u8]) -> Object {
    Object::Text(String::from_utf8_lossy(bytes).into())
}
