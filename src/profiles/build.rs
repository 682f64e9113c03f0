//! From stacks, or from who called whom, to a profile.

use std::collections::HashMap;

use super::{Edge, Function, Node, Profile, ROOT, Unit};

/// Stacks with their weights, as samplers see them.
pub struct Stacks {
    functions: Vec<Function>,
    nodes: Vec<Node>,
    known: HashMap<(usize, usize), usize>,
}

impl Default for Stacks {
    fn default() -> Stacks {
        let root = Node { function: ROOT, parent: 0, own: 0.0, total: 0.0 };
        Stacks { functions: Vec::new(), nodes: vec![root], known: HashMap::new() }
    }
}

impl Stacks {
    /// Adds a function; its number.
    pub fn function(&mut self, function: Function) -> usize {
        self.functions.push(function);
        self.functions.len() - 1
    }

    /// How many functions there are.
    pub fn known(&self) -> usize {
        self.functions.len()
    }

    /// Adds a stack, from the outermost function to the innermost, which was found there with this weight.
    pub fn add(&mut self, stack: impl IntoIterator<Item = usize>, weight: f64) {
        let node = self.node(stack);
        self.nodes[node].own += weight;
    }

    /// The node of a stack.
    fn node(&mut self, stack: impl IntoIterator<Item = usize>) -> usize {
        let mut at = 0;
        for function in stack {
            let next = self.nodes.len();
            let node = *self.known.entry((at, function)).or_insert(next);
            if node == next {
                self.nodes.push(Node { function, parent: at, own: 0.0, total: 0.0 });
            }
            at = node;
        }
        at
    }

    pub fn profile(self, tool: &str, unit: Unit) -> Profile {
        let Stacks { mut functions, mut nodes, .. } = self;
        total_up(&mut nodes);
        let mut edges: HashMap<(usize, usize), f64> = HashMap::new();
        let mut order: Vec<(usize, usize)> = Vec::new();
        each_outermost(
            &nodes,
            functions.len(),
            |function| function,
            |node, is_outermost| {
                let Node { function, parent, own, total } = &nodes[node];
                functions[*function].own += own;
                if is_outermost {
                    functions[*function].cumulative += total;
                }
                let caller = nodes[*parent].function;
                if caller != ROOT {
                    let weight = edges.entry((caller, *function)).or_insert_with(|| {
                        order.push((caller, *function));
                        0.0
                    });
                    if is_outermost {
                        *weight += total;
                    }
                }
            },
        );
        let edge = |(caller, callee): &(usize, usize)| Edge {
            caller: *caller,
            callee: *callee,
            calls: None,
            cumulative: edges[&(*caller, *callee)],
        };
        let edges = order.iter().map(edge).collect();
        let total = nodes[0].total;
        Profile { tool: tool.to_string(), unit, functions, edges, nodes, total, notes: Vec::new() }
    }
}

/// Adds up what lies below each node: parents come before their children.
fn total_up(nodes: &mut [Node]) {
    nodes.iter_mut().for_each(|node| node.total = node.own);
    for at in (1..nodes.len()).rev() {
        let (parent, total) = (nodes[at].parent, nodes[at].total);
        nodes[parent].total += total;
    }
}

/// Each node but the root, with whether none above it has the same function, or one of the same of so many groups:
/// recursion counts once.
pub(super) fn each_outermost(
    nodes: &[Node],
    groups: usize,
    group: impl Fn(usize) -> usize,
    mut each: impl FnMut(usize, bool),
) {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (at, node) in nodes.iter().enumerate().skip(1) {
        children[node.parent].push(at);
    }
    let mut open = vec![0_u32; groups];
    // Nodes to enter, and those to leave.
    let mut work: Vec<(usize, bool)> = children[0].iter().map(|child| (*child, true)).collect();
    while let Some((node, enters)) = work.pop() {
        let group = group(nodes[node].function);
        if enters {
            each(node, open[group] == 0);
            open[group] += 1;
            work.push((node, false));
            work.extend(children[node].iter().map(|child| (*child, true)));
        } else {
            open[group] -= 1;
        }
    }
}

/// Functions with their figures, and who called whom, as tracing profilers count it.
pub struct Graph {
    pub functions: Vec<Function>,
    pub edges: Vec<Edge>,
}

/// The tree of a graph is made up to so many nodes, and parts below this share of all are left out.
const MOST_NODES: usize = 20_000;
const LEAST_SHARE: f64 = 1e-5;
/// No stack is followed deeper.
const DEEPEST: usize = 200;

impl Graph {
    pub fn profile(self, tool: &str, unit: Unit) -> Profile {
        let Graph { functions, edges } = self;
        let total: f64 = functions.iter().map(|function| function.own).sum();
        let nodes = tree(&functions, &edges, total);
        Profile { tool: tool.to_string(), unit, functions, edges, nodes, total, notes: Vec::new() }
    }
}

/// The tree that a graph allows: a callee's time is shared out over its callers as they were counted, and below these
/// as they were. What is not known is not made up: a function that calls itself is followed once, and what only calls
/// in a circle begins at the root. Each function has its own time in all of its nodes together.
fn tree(functions: &[Function], edges: &[Edge], total: f64) -> Vec<Node> {
    let mut tree = Tree::new(functions, edges, total);
    let mut called = vec![0.0_f64; functions.len()];
    edges.iter().filter(|edge| edge.caller != edge.callee).for_each(|edge| called[edge.callee] += edge.cumulative);
    for (function, known) in functions.iter().enumerate() {
        // What nobody who is known has called it for.
        let rest = known.cumulative - called[function];
        let is_root = called[function] <= 0.0;
        let weight = if is_root { known.cumulative } else { rest };
        if tree.is_enough(weight) && (is_root || rest > 0.01 * known.cumulative) {
            tree.plant(function, weight);
        }
    }
    // Where functions call each other in a circle, nobody may stand outside of it: the longest of them is the first.
    let mut left: Vec<usize> = (0..functions.len()).filter(|at| tree.is_enough(functions[*at].own)).collect();
    left.sort_by(|a, b| functions[*b].cumulative.total_cmp(&functions[*a].cumulative));
    for function in left {
        if !tree.has_node[function] {
            tree.plant(function, functions[function].cumulative);
        }
    }
    tree.settled()
}

/// A tree that grows.
struct Tree<'a> {
    functions: &'a [Function],
    edges: &'a [Edge],
    /// For each function its edges to others.
    out: Vec<Vec<usize>>,
    total: f64,
    nodes: Vec<Node>,
    /// For each function whether it has a node.
    has_node: Vec<bool>,
}

impl<'a> Tree<'a> {
    fn new(functions: &'a [Function], edges: &'a [Edge], total: f64) -> Tree<'a> {
        let mut out: Vec<Vec<usize>> = vec![Vec::new(); functions.len()];
        for (at, edge) in edges.iter().enumerate().filter(|(_, edge)| edge.caller != edge.callee) {
            out[edge.caller].push(at);
        }
        let nodes = vec![Node { function: ROOT, parent: 0, own: 0.0, total }];
        Tree { functions, edges, out, total, nodes, has_node: vec![false; functions.len()] }
    }

    fn is_enough(&self, weight: f64) -> bool {
        weight > 0.0 && weight >= LEAST_SHARE * self.total
    }

    fn add(&mut self, function: usize, parent: usize, weight: f64) -> usize {
        self.nodes.push(Node { function, parent, own: 0.0, total: weight });
        self.has_node[function] = true;
        self.nodes.len() - 1
    }

    /// Puts a function below the root, and below it what it calls, level by level.
    fn plant(&mut self, function: usize, weight: f64) {
        let share = |weight: f64, function: &Function| weight / function.cumulative.max(f64::MIN_POSITIVE);
        let root = self.add(function, 0, weight);
        // A node to be filled, with the share of its function's cumulative time that it has.
        let mut work = std::collections::VecDeque::from([(root, share(weight, &self.functions[function]))]);
        while let Some((at, part)) = work.pop_front() {
            let function = self.nodes[at].function;
            let room = (self.nodes[at].total - self.functions[function].own * part).max(0.0);
            let below: Vec<(usize, f64)> = self.out[function]
                .iter()
                .map(|edge| (self.edges[*edge].callee, self.edges[*edge].cumulative * part))
                .filter(|(callee, weight)| self.is_enough(*weight) && !self.is_above(at, *callee))
                .collect();
            let sum: f64 = below.iter().map(|(_, weight)| weight).sum();
            // Recursion may have counted more than there is.
            let scale = if sum > room { room / sum } else { 1.0 };
            let mut placed = 0.0;
            for (callee, weight) in below {
                if self.nodes.len() >= MOST_NODES {
                    break;
                }
                let weight = weight * scale;
                placed += weight;
                let node = self.add(callee, at, weight);
                work.push_back((node, share(weight, &self.functions[callee]).min(1.0)));
            }
            self.nodes[at].own = (self.nodes[at].total - placed).max(0.0);
        }
    }

    fn is_above(&self, at: usize, callee: usize) -> bool {
        let (mut up, mut depth) = (at, 0);
        loop {
            if self.nodes[up].function == callee || depth >= DEEPEST {
                return true;
            }
            if up == 0 {
                return false;
            }
            (up, depth) = (self.nodes[up].parent, depth + 1);
        }
    }

    /// The nodes, where each function has its own time in all of its nodes together. What has no node is the root's.
    fn settled(mut self) -> Vec<Node> {
        let mut found = vec![0.0_f64; self.functions.len()];
        let mut count = vec![0_u32; self.functions.len()];
        for node in &self.nodes[1..] {
            found[node.function] += node.own;
            count[node.function] += 1;
        }
        for node in &mut self.nodes[1..] {
            let function = node.function;
            let own = self.functions[function].own;
            node.own = match found[function] > 0.0 {
                true => node.own / found[function] * own,
                false => own / f64::from(count[function]),
            };
        }
        let placed: f64 = self.nodes[1..].iter().map(|node| node.own).sum();
        self.nodes[0].own = (self.total - placed).max(0.0);
        total_up(&mut self.nodes);
        self.nodes[0].total = self.total;
        self.nodes
    }
}
