//! The text of callgrind (and of xdebug and others): own costs by function, and calls with their costs. The format is
//! in valgrind's manual, "Callgrind Format Specification".

use std::collections::HashMap;

use super::{Edge, Function, Graph, Profile, ReadError, Unit};

pub fn read(bytes: &[u8]) -> Result<Profile, ReadError> {
    let mut reader = Reader::default();
    let mut offset = 0;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let start = offset;
        offset += line.len() + 1;
        let line = String::from_utf8_lossy(line);
        let read = reader.line(line.trim_end());
        read.map_err(|what| ReadError::at(format!("line {}: {what}", number + 1), start))?;
    }
    reader.profile()
}

#[derive(Default)]
struct Reader {
    /// Names by their numbers: of files, functions and objects.
    names: [HashMap<u64, String>; 3],
    functions: Vec<Function>,
    numbers: HashMap<(String, String), usize>,
    edges: HashMap<(usize, usize), (u64, f64)>,
    order: Vec<(usize, usize)>,
    /// The kind of positions, and of costs.
    positions: usize,
    events: Vec<String>,
    object: String,
    file: String,
    called_object: Option<String>,
    called_file: Option<String>,
    called: Option<usize>,
    /// The function whose costs follow.
    function: Option<usize>,
    /// The calls whose cost is on the next line.
    calls: Option<u64>,
    creator: Option<String>,
    /// The last positions, to which later ones may refer.
    last_line: i64,
}

const FILES: usize = 0;
const FUNCTIONS: usize = 1;
const OBJECTS: usize = 2;

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '*')) {
            return self.costs(line);
        }
        if let Some((key, value)) = line.split_once('=')
            && key.chars().all(|c| c.is_ascii_lowercase())
        {
            return self.position(key, value.trim());
        }
        let Some((key, value)) = line.split_once(':') else {
            return Err(format!("`{}` is not of callgrind", cut(line)));
        };
        match key.trim() {
            "events" => self.events = value.split_whitespace().map(str::to_string).collect(),
            "positions" => self.positions = value.split_whitespace().count(),
            "creator" => self.creator = Some(value.trim().to_string()),
            // version, pid, cmd, part, desc, totals, summary and others say nothing of a function.
            _ => {}
        }
        Ok(())
    }

    fn position(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "fl" | "fi" | "fe" => {
                self.file = self.name(FILES, value)?;
                Ok(())
            }
            "ob" => {
                self.object = self.name(OBJECTS, value)?;
                Ok(())
            }
            "fn" => {
                let name = self.name(FUNCTIONS, value)?;
                self.function = Some(self.number(name, self.file.clone(), self.object.clone()));
                (self.called_file, self.called_object) = (None, None);
                Ok(())
            }
            "cfi" | "cfl" => {
                self.called_file = Some(self.name(FILES, value)?);
                Ok(())
            }
            "cob" => {
                self.called_object = Some(self.name(OBJECTS, value)?);
                Ok(())
            }
            "cfn" => {
                let name = self.name(FUNCTIONS, value)?;
                let file = self.called_file.take().unwrap_or_else(|| self.file.clone());
                let object = self.called_object.take().unwrap_or_else(|| self.object.clone());
                self.called = Some(self.number(name, file, object));
                Ok(())
            }
            "calls" => {
                let count = value.split_whitespace().next().and_then(number);
                self.calls = Some(count.ok_or_else(|| format!("`{}` is not a number of calls", cut(value)))?);
                Ok(())
            }
            // Jumps and others cost nothing of their own.
            _ => Ok(()),
        }
    }

    /// `(3) name` says that 3 stands for the name from here on.
    fn name(&mut self, kind: usize, value: &str) -> Result<String, String> {
        let Some((id, name)) = value.strip_prefix('(').and_then(|rest| rest.split_once(')')) else {
            return Ok(value.to_string());
        };
        let Ok(id) = id.parse::<u64>() else { return Ok(value.to_string()) };
        let name = name.trim();
        if name.is_empty() {
            let known = self.names[kind].get(&id).cloned();
            return known.ok_or_else(|| format!("the name ({id}) is used before it is defined"));
        }
        self.names[kind].insert(id, name.to_string());
        Ok(name.to_string())
    }

    fn number(&mut self, name: String, file: String, object: String) -> usize {
        let place = if file.is_empty() || file == "???" { object.clone() } else { file.clone() };
        let next = self.functions.len();
        let number = *self.numbers.entry((name.clone(), place)).or_insert(next);
        if number == next {
            let file = Some(file).filter(|file| !file.is_empty() && file != "???");
            let short = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
            let module = if object.is_empty() { file.as_deref().map(short) } else { Some(short(&object)) };
            self.functions.push(Function { module: module.unwrap_or_default(), file, ..Function::named(&name) });
        }
        number
    }

    fn costs(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let mut at_line = None;
        for place in 0..self.positions.max(1) {
            let word = words.next().ok_or("a position is missing")?;
            // The line is the last of several.
            if place + 1 == self.positions.max(1) {
                at_line = Some(self.sub_position(word)?);
            }
        }
        let cost = match words.next() {
            Some(word) => number(word).ok_or_else(|| format!("`{}` is not a cost", cut(word)))?,
            // Costs of 0 at the end of a line are left out.
            None => 0,
        } as f64;
        let function = self.function.ok_or("costs before any function")?;
        match self.calls.take() {
            Some(calls) => {
                let called = self.called.take().ok_or("calls of no function")?;
                let key = (function, called);
                let edge = self.edges.entry(key).or_insert_with(|| {
                    self.order.push(key);
                    (0, 0.0)
                });
                edge.0 = edge.0.saturating_add(calls);
                edge.1 += cost;
            }
            None => {
                let known = &mut self.functions[function];
                known.own += cost;
                known.line = known.line.or(at_line.and_then(|line| u32::try_from(line).ok()).filter(|line| *line > 0));
            }
        }
        Ok(())
    }

    fn sub_position(&mut self, word: &str) -> Result<i64, String> {
        let wrong = || format!("`{}` is not a position", cut(word));
        let signed = |text: &str| number(text).and_then(|number| i64::try_from(number).ok());
        let value = match word.as_bytes() {
            b"*" => Some(self.last_line),
            [b'+', ..] => signed(&word[1..]).and_then(|more| self.last_line.checked_add(more)),
            [b'-', ..] => signed(&word[1..]).and_then(|less| self.last_line.checked_sub(less)),
            _ => signed(word),
        };
        self.last_line = value.ok_or_else(wrong)?;
        Ok(self.last_line)
    }

    fn profile(self) -> Result<Profile, ReadError> {
        let Reader { mut functions, edges, order, events, creator, .. } = self;
        let mut called = vec![(0_u64, 0_u64); functions.len()];
        for ((caller, callee), (calls, _)) in &edges {
            called[*callee].0 = called[*callee].0.saturating_add(*calls);
            if caller != callee {
                called[*callee].1 = called[*callee].1.saturating_add(*calls);
            }
        }
        for (function, known) in functions.iter_mut().enumerate() {
            known.calls = Some(called[function]).filter(|(calls, _)| *calls > 0);
            known.cumulative = known.own;
        }
        for ((caller, callee), (_, cost)) in &edges {
            if caller != callee {
                functions[*caller].cumulative += cost;
            }
        }
        let edge = |(caller, callee): &(usize, usize)| {
            let (calls, cumulative) = edges[&(*caller, *callee)];
            Edge { caller: *caller, callee: *callee, calls: Some(calls), cumulative }
        };
        let edges = order.iter().map(edge).collect();
        let event = events.first().cloned().unwrap_or_else(|| "events".to_string());
        let tool = creator.unwrap_or_else(|| "callgrind".to_string());
        let mut profile = Graph { functions, edges }.profile(&tool, Unit::Events(event));
        if events.len() > 1 {
            profile.notes.push(format!("the first of its events: {}", events.join(", ")));
        }
        Ok(profile)
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
