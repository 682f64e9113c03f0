//! Where time went: functions, who called them, and the tree of calls. Read from what other tools write, measured here,
//! and written for other tools. It knows no session and draws nothing.

mod build;
mod callgrind;
mod cprofile;
mod diff;
mod export;
mod firefox;
mod map;
mod perf;
mod pprof;
mod read;
mod speedscope;
mod stacks;
mod symbols;
mod unwind;

pub use build::{Graph, Stacks};
pub use diff::{Change, differences};
pub use export::{folded, pprof, speedscope};
pub use map::{MAX_TILES, Rect, Tile, flames, layout};
pub use read::{FORMATS, Format, LARGEST, ReadError, read};
pub use symbols::{Place, Symbols};
pub use unwind::{CallFrames, Caller, REGISTERS, Registers, STACK};

/// What the weights of a profile are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Samples,
    Bytes,
    /// Events of this name.
    Events(String),
}

/// A function, and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    pub name: String,
    /// Its file, library or module; empty where nobody knows.
    pub module: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    /// All calls, and those that are no recursion, where they were counted.
    pub calls: Option<(u64, u64)>,
    /// In the function itself, and with all that it called.
    pub own: f64,
    pub cumulative: f64,
}

/// A node of the tree of calls. The first is the root, which is no function; parents come before their children.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub function: usize,
    pub parent: usize,
    pub own: f64,
    /// With all below it.
    pub total: f64,
}

/// Who called whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    pub caller: usize,
    pub callee: usize,
    pub calls: Option<u64>,
    /// What the callee took when this caller called it, with all that it called.
    pub cumulative: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// What made it, in words.
    pub tool: String,
    pub unit: Unit,
    pub functions: Vec<Function>,
    pub edges: Vec<Edge>,
    pub nodes: Vec<Node>,
    pub total: f64,
    /// What is to be known about it.
    pub notes: Vec<String>,
}

/// The function of the root.
pub const ROOT: usize = usize::MAX;

impl Function {
    pub fn named(name: &str) -> Function {
        Function {
            name: name.to_string(),
            module: String::new(),
            file: None,
            line: None,
            calls: None,
            own: 0.0,
            cumulative: 0.0,
        }
    }

    /// `file:line`, as far as that is known.
    pub fn place(&self) -> String {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{file}:{line}"),
            (Some(file), None) => file.clone(),
            (None, _) => self.module.clone(),
        }
    }
}

impl Profile {
    /// The children of each node, the largest first.
    pub fn children(&self) -> Vec<Vec<usize>> {
        let mut children = vec![Vec::new(); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().skip(1) {
            children[node.parent].push(at);
        }
        for list in &mut children {
            list.sort_by(|a, b| self.nodes[*b].total.total_cmp(&self.nodes[*a].total).then(a.cmp(b)));
        }
        children
    }

    /// What groups of functions took with all that they called, by the tree. `groups` has the group of each function,
    /// of which there are so many; calls inside of a group count once.
    pub fn cumulative_of(&self, groups: &[usize], count: usize) -> Vec<f64> {
        let mut found = vec![0.0; count];
        build::each_outermost(
            &self.nodes,
            count,
            |function| groups[function],
            |node, is_outermost| {
                let Node { function, total, .. } = &self.nodes[node];
                if is_outermost {
                    found[groups[*function]] += total;
                }
            },
        );
        found
    }

    /// Whether a function took much more than the tree shows. Tools that count callers know no stacks: functions that
    /// call each other in a circle are followed once.
    pub fn is_tree_smaller(&self) -> bool {
        const SHARE: f64 = 0.02;
        // Of all: nobody sees less in a drawing.
        const LEAST: f64 = 0.001;
        let each: Vec<usize> = (0..self.functions.len()).collect();
        let shown = self.cumulative_of(&each, each.len());
        let is_smaller = |function: &Function, shown: f64| {
            function.cumulative - shown > (SHARE * function.cumulative).max(LEAST * self.total)
        };
        self.functions.iter().zip(shown).any(|(function, shown)| is_smaller(function, shown))
    }

    /// Its own share of all.
    pub fn share(&self, weight: f64) -> f64 {
        if self.total > 0.0 { weight / self.total } else { 0.0 }
    }
}
