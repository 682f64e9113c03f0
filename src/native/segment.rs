//! One loop over rows as it is written: everything between a source and what needs all rows.

use std::collections::HashSet;

use super::code::{Hold, Piece};
use super::layout::{self, indented};
use super::names::{identifier, mentions, unique};
use super::shape::ValueLayout;

/// The lines of a loop, which is open at its innermost place.
#[derive(Default)]
pub struct Segment {
    /// What stands before the loop.
    pub before: Vec<String>,
    body: Vec<String>,
    /// The blocks that are open, outer ones first: the lines with which each will end.
    open: Vec<Vec<String>>,
    /// How many of them are loops.
    pub loops: usize,
    /// Whether some step leaves the loop early.
    leaves: bool,
    /// What flows here, and what it is called.
    pub columns: Vec<Piece>,
    pub names: Vec<String>,
    /// All variables of the loop.
    used: HashSet<String>,
    /// All rows at once, in Rust, as long as nothing was done with them.
    pub whole: Option<String>,
}

/// What a column of stored rows is.
pub type Stored = (ValueLayout, Hold);

impl Segment {
    pub fn new(names: &[String]) -> Segment {
        Segment { names: names.to_vec(), ..Segment::default() }
    }

    /// The same, whose rows are `whole`.
    pub fn being(self, whole: String) -> Segment {
        Segment { whole: Some(whole), ..self }
    }

    pub fn line(&mut self, text: impl AsRef<str>) {
        self.body.extend(layout::lines(1 + self.open.len(), text.as_ref()));
    }

    pub fn before(&mut self, text: impl AsRef<str>) {
        self.before.extend(layout::lines(1, text.as_ref()));
    }

    pub fn comment(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let short: String = text.chars().take(100).collect();
        let more = if short.len() < text.len() { " …" } else { "" };
        self.body.push(indented(1 + self.open.len(), &format!("// {short}{more}")));
    }

    /// Opens a loop or another block: `head` is what stands before its bracket.
    pub fn open(&mut self, head: &str) {
        self.line(format!("{head} {{"));
        self.open.push(Vec::new());
        self.loops += usize::from(head.starts_with("for ") || head.starts_with("while "));
    }

    /// A line at the end of the innermost open block.
    pub fn at_end(&mut self, line: &str) {
        self.open.last_mut().expect("a loop is open").push(line.to_string());
    }

    /// The words that leave all loops.
    pub fn leave(&mut self) -> &'static str {
        self.leaves = true;
        "break 'rows;"
    }

    /// Closes all blocks and gives all lines.
    pub fn close(mut self) -> Vec<String> {
        while let Some(lines) = self.open.pop() {
            let depth = 2 + self.open.len();
            self.body.extend(lines.iter().map(|line| indented(depth, line)));
            self.body.push(indented(depth - 1, "}"));
        }
        if self.leaves {
            let is_head = |line: &&mut String| line.starts_with("    for ") || line.starts_with("    while ");
            let head = self.body.iter_mut().find(is_head).expect("what is left is a loop");
            *head = format!("    'rows: {}", &head[4..]);
        }
        self.before.extend(self.body);
        self.before
    }

    /// A new variable for a column; what stands in `kept` is still wanted.
    pub fn variable(&mut self, name: &str, outer: &HashSet<String>, kept: &[Piece]) -> String {
        let wanted = |name: &str| kept.iter().any(|piece| mentions(&piece.text, name));
        let name = unique(&identifier(name), |name| !outer.contains(name) && !wanted(name));
        self.used.insert(name.clone());
        name
    }

    /// A name that nothing in the whole function has.
    pub fn fresh(&self, name: &str, outer: &mut HashSet<String>) -> String {
        let name = unique(name, |name| !outer.contains(name) && !self.used.contains(name));
        outer.insert(name.clone());
        name
    }

    /// The pieces as they are put into a table, and what they are there. Owned ones move where nothing needs them
    /// after; `others` are looked at after that. With `lasting` borrowed ones stay borrowed where they last.
    pub fn stored(&self, pieces: &[Piece], others: &[Piece], lasting: bool) -> (Vec<String>, Vec<Stored>) {
        let moves = |i: usize, name: &str, loops: usize| {
            let rest = pieces.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, piece)| piece).chain(others);
            let apart = |piece: &Piece| {
                let is_safe = piece.shape.is_copy() || piece.hold.lasts() || piece.owner.is_some();
                is_safe && !mentions(&piece.text, name)
            };
            loops == self.loops && rest.into_iter().all(apart)
        };
        let each = pieces.iter().enumerate().map(|(i, piece)| match &piece.owner {
            _ if piece.shape.is_copy() => (piece.text.clone(), (piece.shape.clone(), Hold::Own)),
            _ if lasting && piece.hold.lasts() => (piece.text.clone(), (piece.shape.clone(), piece.hold)),
            Some(owner) if moves(i, &owner.name, owner.loops) => (owner.name.clone(), (piece.shape.clone(), Hold::Own)),
            _ => (piece.owned().text, (piece.shape.clone(), Hold::Own)),
        });
        each.unzip()
    }
}

/// The type of a stored column.
pub fn stored_type((shape, hold): &Stored) -> String {
    if hold.lasts() { shape.borrowed() } else { shape.owned() }
}

pub fn row_type(columns: &[Stored]) -> String {
    tuple(columns.iter().map(stored_type))
}

/// A tuple, also of one or none.
pub fn tuple<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.as_ref().to_string()).collect();
    if items.len() == 1 { format!("({},)", items[0]) } else { format!("({})", items.join(", ")) }
}

/// One as it is, several as a tuple.
pub fn bundle<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.as_ref().to_string()).collect();
    if items.len() == 1 { items[0].clone() } else { format!("({})", items.join(", ")) }
}
