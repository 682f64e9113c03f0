//! Joins: the right rows in a hash table, the left ones pass by.

use std::collections::{HashMap, VecDeque};

use crate::data::{Key, Value};
use crate::diagnostic::Fallible;
use crate::plan::{Expr, JoinKind};
use crate::rowwise::{Compiled, Frame};

use super::flow::{Flow, Input, Next, at_row, key, more};

/// The right rows of a join by their keys. Null never matches.
pub struct RightSide {
    rows: Vec<Vec<Value>>,
    by_key: HashMap<Key, Vec<usize>>,
    width: usize,
}

impl RightSide {
    /// All rows of `flow`, which runs in `frame`.
    pub fn new(mut flow: Input, frame: &mut Frame, on: &[(Expr, Expr)], wanted: &[usize]) -> Fallible<RightSide> {
        let codes: Vec<Compiled> = on.iter().map(|(_, right)| Compiled::new(right)).collect();
        let mut side = RightSide { rows: Vec::new(), by_key: HashMap::new(), width: wanted.len() };
        let mut rows = 0;
        while more(flow.next(frame))? {
            rows += 1;
            // The row, and its place in the hash table.
            frame.steps += 2;
            let key = key(&codes, frame).map_err(at_row(rows))?;
            if key.iter().any(Value::is_null) {
                continue;
            }
            side.by_key.entry(key).or_default().push(side.rows.len());
            side.rows.push(wanted.iter().map(|index| frame.row[*index].clone()).collect());
        }
        Ok(side)
    }
}

pub struct Join<'a> {
    pub input: Input<'a>,
    pub kind: JoinKind,
    pub keys: Vec<Compiled>,
    pub right: RightSide,
    /// Steps and bytes of the right side that the frame has not counted yet.
    pub spent: (u64, u64),
    /// The left row whose matches are given out.
    pub left: Vec<Value>,
    pub matches: VecDeque<usize>,
    pub rows: u64,
}

impl Flow for Join<'_> {
    fn next(&mut self, frame: &mut Frame) -> Next {
        loop {
            if let Some(index) = self.matches.pop_front() {
                frame.steps += 1;
                frame.row.clear();
                frame.row.extend_from_slice(&self.left);
                frame.row.extend_from_slice(&self.right.rows[index]);
                return Ok(());
            }
            let (steps, bytes) = std::mem::take(&mut self.spent);
            frame.steps += steps;
            frame.bytes += bytes;
            self.input.next(frame)?;
            self.rows += 1;
            // The row, and a probe of the hash table.
            frame.steps += 2;
            let key = key(&self.keys, frame).map_err(at_row(self.rows))?;
            let found = if key.iter().any(Value::is_null) { None } else { self.right.by_key.get(&key) };
            match (self.kind, found) {
                (JoinKind::Semi, Some(_)) | (JoinKind::Anti, None) => return Ok(()),
                (JoinKind::Semi, None) | (JoinKind::Anti, Some(_)) | (JoinKind::Inner, None) => {}
                (JoinKind::Left, None) => {
                    frame.row.resize(frame.row.len() + self.right.width, Value::Null);
                    return Ok(());
                }
                (JoinKind::Inner | JoinKind::Left, Some(matches)) => {
                    self.matches.extend(matches);
                    self.left.clone_from(&frame.row);
                }
            }
        }
    }
}
