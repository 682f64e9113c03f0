//! Text lines: the column `line`.

use crate::data::Value;
use crate::diagnostic::Fallible;

use super::Records;
use super::lines::{Lines, without_break};

pub struct Text {
    lines: Lines,
    lossy: bool,
    buffer: Vec<u8>,
}

impl Text {
    pub fn new(lines: Lines, lossy: bool) -> Text {
        Text { lines, lossy, buffer: Vec::new() }
    }
}

impl Records for Text {
    fn next(&mut self, row: &mut Vec<Value>) -> Fallible<bool> {
        self.buffer.clear();
        let Some(offset) = self.lines.next(&mut self.buffer)? else { return Ok(false) };
        let line = without_break(&self.buffer);
        let value = if self.lossy {
            Value::text(&String::from_utf8_lossy(line))
        } else {
            Value::text(self.lines.text(line, offset)?)
        };
        row.clear();
        row.push(value);
        Ok(true)
    }
}
