//! All schedules of a program under a memory model: what can come out, in how many ways, and how it goes wrong.
//!
//! States are found breadth first and kept once each; a schedule is a path from the first state to one where nothing
//! can happen. Counts are sums over paths of the acyclic graph; a graph with cycles has infinitely many schedules.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use super::machine::{Choice, Machine, Model, NextAccess, Silent, Story};
use super::program::{Ending, Fault, Program};

/// Words of all states together, a little over 500 MB: a second limit beside the number of states.
const MOST_WORDS: usize = 64 << 20;

#[derive(Debug, Clone)]
pub struct Exploration {
    pub model: Model,
    pub states: usize,
    /// Steps between them.
    pub edges: usize,
    pub outcomes: Vec<Outcome>,
    /// How many schedules there are; an exploration that was cut short does not know.
    pub schedules: Option<Count>,
    pub limit: Option<Limit>,
    pub data_races: Vec<DataRace>,
    pub livelock: Option<Livelock>,
    /// The schedule to a failing outcome with the fewest switches between threads, then the fewest steps.
    pub failing: Option<Failing>,
}

/// Why a part was not explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    States(usize),
    Memory,
    /// A thread had more stores on their way than its buffer holds.
    Buffer,
    /// The caller stopped it.
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Count {
    Exact(u128),
    /// More than 128 bits hold, about that many.
    About(f64),
    Infinite,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub ending: Ending,
    pub verdict: Verdict,
    pub schedules: Option<Count>,
    /// Of all schedules, where that is known.
    pub share: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All checks hold, or there is none.
    Passes,
    /// The number of the first check that does not hold.
    FailsCheck(usize),
    /// The check itself went wrong.
    FaultyCheck(Fault),
    /// A deadlock, or something wrong inside a thread.
    Broken,
}

/// Two accesses to one variable that can come next together, at least one a write and one plain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRace {
    pub location: usize,
    /// Threads and the ops.
    pub first: (usize, usize),
    pub second: (usize, usize),
}

/// Schedules that never end although every thread that can go on does.
#[derive(Debug, Clone, PartialEq)]
pub struct Livelock {
    /// Sets of states that a fair schedule can stay in.
    pub cycles: usize,
    /// Whether no end can be reached from there.
    pub inescapable: bool,
    /// The threads that take steps in the smallest of them.
    pub threads: Vec<usize>,
    /// Choices that lead into it.
    pub schedule: Vec<Choice>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Failing {
    /// The number of the outcome.
    pub outcome: usize,
    pub switches: usize,
    pub choices: Vec<Choice>,
    /// Not known where a part was not explored.
    pub is_smallest: bool,
}

/// Explores up to `most` states.
pub fn explore(program: &Program, model: Model, most: usize, stopped: &dyn Fn() -> bool) -> Exploration {
    let machine = Machine::new(program, model);
    let mut graph = Graph::default();
    let mut search =
        Search { machine: &machine, endings: HashMap::new(), outcomes: Vec::new(), races: BTreeMap::new() };
    let limit = search.all_states(&mut graph, most, stopped);
    // States far from the first one, where schedules end, are not reached by a search that is cut short.
    let walked = match limit {
        Some(Limit::States(_) | Limit::Memory | Limit::Buffer) => search.walk(stopped),
        Some(Limit::Stopped) | None => None,
    };
    let races = search.races;
    let mut outcomes = search.outcomes;
    let paths = limit.is_none().then(|| graph.count_paths());
    let schedules = paths.as_ref().map(|paths| {
        let Some(paths) = paths else { return Count::Infinite };
        let mut all = Paths::NONE;
        for (node, outcome) in graph.ends.iter().enumerate() {
            if *outcome != NONE {
                all = all.plus(paths[node]);
            }
        }
        for (number, outcome) in outcomes.iter_mut().enumerate() {
            let ways = graph.ends.iter().zip(paths).filter(|(end, _)| **end == number as u32);
            let ways = ways.fold(Paths::NONE, |sum, (_, ways)| sum.plus(*ways));
            outcome.schedules = Some(ways.count());
            outcome.share = (all.about.is_finite() && all.about > 0.0).then(|| ways.about / all.about);
        }
        all.count()
    });
    if schedules == Some(Count::Infinite) {
        outcomes.iter_mut().for_each(|outcome| outcome.schedules = Some(Count::Infinite));
    }
    let fails: Vec<bool> = outcomes.iter().map(|outcome| outcome.verdict != Verdict::Passes).collect();
    let threads = program.threads.len();
    let failing = if fails.contains(&true) {
        let is_target = |node: usize| graph.ends[node] != NONE && fails[graph.ends[node] as usize];
        graph.smallest_schedule(threads, is_target).map(|(node, switches, choices)| {
            let outcome = graph.ends[node] as usize;
            Failing { outcome, switches, choices, is_smallest: limit.is_none() }
        })
    } else {
        None
    };
    let failing = failing.or(walked);
    let livelock = match paths {
        Some(None) => livelock(&machine, &graph),
        Some(Some(_)) | None => None,
    };
    Exploration {
        model,
        states: graph.len(),
        edges: graph.edges.len(),
        outcomes,
        schedules,
        limit,
        data_races: races.into_values().collect(),
        livelock,
        failing,
    }
}

/// One step of a schedule that is gone through again.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub choice: Choice,
    /// What it does, in words.
    pub words: Vec<String>,
    /// What goes wrong in it; the schedule ends there.
    pub fault: Option<Fault>,
}

/// What each step of a schedule does.
pub fn replay(machine: &Machine, choices: &[Choice]) -> Vec<Told> {
    let Ok(mut state) = machine.start() else { return Vec::new() };
    let mut told = Vec::new();
    for choice in choices {
        let mut story = Story::default();
        let fault = machine.apply(&mut state, *choice, &mut story).err();
        told.push(Told { choice: *choice, words: story.0, fault });
    }
    told
}

const NONE: u32 = u32::MAX;

/// States and the steps between them. The edges of a state stand together, in the order of the states.
#[derive(Default)]
struct Graph {
    words: Vec<i64>,
    /// Where the words of each state begin.
    starts: Vec<usize>,
    /// The outcome of a state where a schedule ends.
    ends: Vec<u32>,
    /// Where the edges of each state begin.
    first_edges: Vec<usize>,
    edges: Vec<(u32, Choice)>,
    table: Table,
}

/// Open addressing; the hash is beside the number, so that few states are compared.
#[derive(Default)]
struct Table {
    slots: Vec<(u32, u32)>,
    used: usize,
}

impl Graph {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn state(&self, node: usize) -> &[i64] {
        let end = self.starts.get(node + 1).copied().unwrap_or(self.words.len());
        &self.words[self.starts[node]..end]
    }

    fn edges_of(&self, node: usize) -> &[(u32, Choice)] {
        let Some(start) = self.first_edges.get(node) else { return &[] };
        let end = self.first_edges.get(node + 1).copied().unwrap_or(self.edges.len());
        &self.edges[*start..end]
    }

    fn push(&mut self, words: &[i64], end: u32) -> u32 {
        self.starts.push(self.words.len());
        self.words.extend_from_slice(words);
        self.ends.push(end);
        (self.starts.len() - 1) as u32
    }

    /// The number of a state, and whether it is new. A new one is only added if `may_grow`.
    fn intern(&mut self, words: &[i64], may_grow: bool) -> Option<(u32, bool)> {
        if self.table.used * 2 >= self.table.slots.len() {
            self.grow();
        }
        let hash = hash(words);
        let mask = self.table.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (known, node) = self.table.slots[at];
            if node == NONE {
                break;
            }
            if known == hash && self.state(node as usize) == words {
                return Some((node, false));
            }
            at = (at + 1) & mask;
        }
        if !may_grow {
            return None;
        }
        let node = self.push(words, NONE);
        self.table.slots[at] = (hash, node);
        self.table.used += 1;
        Some((node, true))
    }

    fn grow(&mut self) {
        let size = (self.table.slots.len() * 2).max(256);
        let old = std::mem::replace(&mut self.table.slots, vec![(0, NONE); size]);
        for (hash, node) in old.into_iter().filter(|(_, node)| *node != NONE) {
            let mut at = hash as usize & (size - 1);
            while self.table.slots[at].1 != NONE {
                at = (at + 1) & (size - 1);
            }
            self.table.slots[at] = (hash, node);
        }
    }

    /// How many paths lead from the first state to each, unless there is a cycle.
    fn count_paths(&self) -> Option<Vec<Paths>> {
        let mut before = vec![0u32; self.len()];
        self.edges.iter().for_each(|(to, _)| before[*to as usize] += 1);
        let mut paths = vec![Paths::NONE; self.len()];
        paths[0] = Paths { exact: Some(1), about: 1.0 };
        let mut ready = if before[0] == 0 { vec![0usize] } else { Vec::new() };
        let mut seen = 0;
        while let Some(node) = ready.pop() {
            seen += 1;
            for (to, _) in self.edges_of(node) {
                let to = *to as usize;
                paths[to] = paths[to].plus(paths[node]);
                before[to] -= 1;
                if before[to] == 0 {
                    ready.push(to);
                }
            }
        }
        (seen == self.len()).then_some(paths)
    }

    /// Dijkstra on (state, thread of the last step), at the cost (switches, steps). A drain switches no thread.
    fn smallest_schedule(
        &self,
        threads: usize,
        is_target: impl Fn(usize) -> bool,
    ) -> Option<(usize, usize, Vec<Choice>)> {
        let kinds = threads + 1;
        let start = threads;
        let cost = |switches: u64, steps: u64| switches << 32 | steps;
        let mut best = vec![u64::MAX; self.len() * kinds];
        let mut came = vec![(NONE, 0u32); self.len() * kinds];
        let mut queue = BinaryHeap::new();
        best[start] = 0;
        queue.push(Reverse((0u64, start as u32)));
        while let Some(Reverse((spent, place))) = queue.pop() {
            if best[place as usize] != spent {
                continue;
            }
            let (node, last) = (place as usize / kinds, place as usize % kinds);
            if is_target(node) {
                let mut choices = Vec::new();
                let mut at = place;
                while came[at as usize].0 != NONE {
                    let (from, edge) = came[at as usize];
                    choices.push(self.edges[edge as usize].1);
                    at = from;
                }
                choices.reverse();
                return Some((node, (spent >> 32) as usize, choices));
            }
            let first = self.first_edges.get(node).copied().unwrap_or(0);
            for (number, (to, choice)) in self.edges_of(node).iter().enumerate() {
                let thread = choice.thread().unwrap_or(last);
                let switches = u64::from(thread != last && last != start);
                let next = *to as usize * kinds + thread;
                let price = spent + cost(switches, 1);
                if price < best[next] {
                    best[next] = price;
                    came[next] = (place, (first + number) as u32);
                    queue.push(Reverse((price, next as u32)));
                }
            }
        }
        None
    }
}

/// Multiplies and rotates, as rustc's own hasher does: states are many and short.
fn hash(words: &[i64]) -> u32 {
    let mixed = words.iter().fold(words.len() as u64, |hash, word| {
        (hash.rotate_left(5) ^ *word as u64).wrapping_mul(0x517c_c1b7_2722_0a95)
    });
    (mixed >> 32) as u32 ^ mixed as u32
}

/// A number of paths, exact as long as 128 bits hold it.
#[derive(Debug, Clone, Copy)]
struct Paths {
    exact: Option<u128>,
    about: f64,
}

impl Paths {
    const NONE: Paths = Paths { exact: Some(0), about: 0.0 };

    fn plus(self, other: Paths) -> Paths {
        let exact = self.exact.zip(other.exact).and_then(|(a, b)| a.checked_add(b));
        Paths { exact, about: self.about + other.about }
    }

    fn count(self) -> Count {
        self.exact.map_or(Count::About(self.about), Count::Exact)
    }
}

struct Search<'a> {
    machine: &'a Machine<'a>,
    /// Numbers of outcomes.
    endings: HashMap<Ending, u32>,
    outcomes: Vec<Outcome>,
    /// By variable and threads.
    races: BTreeMap<(usize, usize, usize), DataRace>,
}

impl Search<'_> {
    fn all_states(&mut self, graph: &mut Graph, most: usize, stopped: &dyn Fn() -> bool) -> Option<Limit> {
        let start = match self.machine.start() {
            Ok(start) => start,
            Err(fault) => {
                let end = self.break_at(fault);
                graph.push(&[], end);
                return None;
            }
        };
        graph.intern(&start, true);
        let mut limit = None;
        let mut fault_nodes: HashMap<Fault, u32> = HashMap::new();
        let (mut choices, mut accesses, mut words) = (Vec::new(), Vec::new(), Vec::new());
        let mut state = Vec::new();
        let mut node = 0;
        while node < graph.len() {
            // The caller may be stopped within a tenth of a second.
            if node.is_multiple_of(256) && stopped() {
                return Some(Limit::Stopped);
            }
            graph.first_edges.push(graph.edges.len());
            if graph.ends[node] != NONE {
                node += 1;
                continue;
            }
            state.clear();
            state.extend_from_slice(graph.state(node));
            if self.machine.choices(&state, &mut choices) {
                limit = Some(Limit::Buffer);
            }
            if choices.is_empty() {
                graph.ends[node] = self.end(&state);
                node += 1;
                continue;
            }
            if self.machine.model == Model::Sc && choices.len() > 1 {
                self.machine.next_accesses(&state, &mut accesses);
                self.find_races(&accesses);
            }
            for choice in &choices {
                words.clear();
                words.extend_from_slice(&state);
                let to = match self.machine.apply(&mut words, *choice, &mut Silent) {
                    Ok(()) => graph.intern(&words, graph.len() < most && graph.words.len() < MOST_WORDS),
                    Err(fault) => Some((
                        *fault_nodes.entry(fault).or_insert_with(|| {
                            let end = self.break_at(fault);
                            graph.push(&[], end)
                        }),
                        false,
                    )),
                };
                match to {
                    Some((to, _)) => graph.edges.push((to, *choice)),
                    None if graph.len() >= most => limit = Some(Limit::States(most)),
                    None => limit = Some(Limit::Memory),
                }
            }
            node += 1;
        }
        limit
    }

    /// Random schedules, the same ones every time: what they end in is possible. The smallest that fails is kept.
    fn walk(&mut self, stopped: &dyn Fn() -> bool) -> Option<Failing> {
        const WALKS: usize = 2_000;
        const MOST_STEPS: usize = 4_000;
        const MOST_WORK: usize = 2_000_000;
        let start = self.machine.start().ok()?;
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        let (mut choices, mut work) = (Vec::new(), 0);
        let mut best: Option<Failing> = None;
        for _ in 0..WALKS {
            if work > MOST_WORK || stopped() {
                break;
            }
            let (mut words, mut path) = (start.clone(), Vec::new());
            let end = loop {
                self.machine.choices(&words, &mut choices);
                if choices.is_empty() {
                    break Some(self.end(&words));
                }
                if path.len() == MOST_STEPS {
                    break None;
                }
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let choice = choices[(random >> 33) as usize % choices.len()];
                path.push(choice);
                if let Err(fault) = self.machine.apply(&mut words, choice, &mut Silent) {
                    break Some(self.break_at(fault));
                }
            };
            work += path.len();
            let Some(outcome) = end.map(|end| end as usize) else { continue };
            if self.outcomes[outcome].verdict == Verdict::Passes {
                continue;
            }
            let moves: Vec<usize> = path.iter().filter_map(|choice| choice.thread()).collect();
            let switches = moves.windows(2).filter(|pair| pair[0] != pair[1]).count();
            let is_better =
                best.as_ref().is_none_or(|best| (switches, path.len()) < (best.switches, best.choices.len()));
            if is_better {
                best = Some(Failing { outcome, switches, choices: path, is_smallest: false });
            }
        }
        best
    }

    /// The number of the outcome of a state where nothing can happen.
    fn end(&mut self, state: &[i64]) -> u32 {
        let ending = self.machine.ending(state);
        let verdict = match ending {
            Ending::Values(_) => match self.machine.failed_check(state) {
                Ok(None) => Verdict::Passes,
                Ok(Some(check)) => Verdict::FailsCheck(check),
                Err(fault) => Verdict::FaultyCheck(fault),
            },
            Ending::Deadlock(_) | Ending::Fault(_) => Verdict::Broken,
        };
        self.outcome(ending, verdict)
    }

    fn break_at(&mut self, fault: Fault) -> u32 {
        self.outcome(Ending::Fault(fault), Verdict::Broken)
    }

    fn outcome(&mut self, ending: Ending, verdict: Verdict) -> u32 {
        let outcomes = &mut self.outcomes;
        *self.endings.entry(ending).or_insert_with_key(|ending| {
            outcomes.push(Outcome { ending: ending.clone(), verdict, schedules: None, share: None });
            (outcomes.len() - 1) as u32
        })
    }

    fn find_races(&mut self, accesses: &[NextAccess]) {
        for (number, one) in accesses.iter().enumerate() {
            for other in &accesses[number + 1..] {
                let conflict = one.thread != other.thread
                    && one.location == other.location
                    && (one.writes || other.writes)
                    && (one.is_plain || other.is_plain);
                if conflict {
                    self.races.entry((one.location, one.thread, other.thread)).or_insert_with(|| DataRace {
                        location: one.location,
                        first: (one.thread, one.op),
                        second: (other.thread, other.op),
                    });
                }
            }
        }
    }
}

/// Looks for sets of states that a schedule can stay in for ever although it is fair: every thread, and every store
/// buffer, either moves inside the set or cannot move in some state of it. (Tarjan's strongly connected components.)
fn livelock(machine: &Machine, graph: &Graph) -> Option<Livelock> {
    let threads = machine.program.threads.len();
    let ending = reaches_an_end(graph);
    let mut found: Vec<Vec<u32>> =
        components(graph).into_iter().filter(|component| is_fair_cycle(machine, graph, component)).collect();
    found.sort_by_key(Vec::len);
    let smallest = found.first()?;
    let inside = |node: usize| smallest.binary_search(&(node as u32)).is_ok();
    let mut moving = vec![false; threads];
    for node in smallest {
        for (to, choice) in graph.edges_of(*node as usize) {
            if let (true, Some(thread)) = (inside(*to as usize), choice.thread()) {
                moving[thread] = true;
            }
        }
    }
    let (_, _, schedule) = graph.smallest_schedule(threads, inside)?;
    Some(Livelock {
        cycles: found.len(),
        inescapable: found.iter().any(|component| !ending[component[0] as usize]),
        threads: (0..threads).filter(|thread| moving[*thread]).collect(),
        schedule,
    })
}

fn is_fair_cycle(machine: &Machine, graph: &Graph, component: &[u32]) -> bool {
    let inside = |node: u32| component.binary_search(&node).is_ok();
    let threads = machine.program.threads.len();
    // Threads first, then their buffers.
    let (mut moves, mut rests) = (vec![false; 2 * threads], vec![false; 2 * threads]);
    let mut has_edge = false;
    for node in component {
        let mut can = vec![false; 2 * threads];
        for (to, choice) in graph.edges_of(*node as usize) {
            let agent = match choice {
                Choice::Step(thread) | Choice::Wake(thread, _) => usize::from(*thread),
                Choice::Drain(thread, _) => threads + usize::from(*thread),
            };
            can[agent] = true;
            if inside(*to) {
                has_edge = true;
                moves[agent] = true;
            }
        }
        rests.iter_mut().zip(&can).for_each(|(rests, can)| *rests |= !can);
    }
    has_edge && moves.iter().zip(&rests).all(|(moves, rests)| *moves || *rests)
}

/// For each state, whether a schedule from it can end.
fn reaches_an_end(graph: &Graph) -> Vec<bool> {
    let mut before: Vec<Vec<u32>> = vec![Vec::new(); graph.len()];
    for node in 0..graph.len() {
        for (to, _) in graph.edges_of(node) {
            before[*to as usize].push(node as u32);
        }
    }
    let mut reaches: Vec<bool> = graph.ends.iter().map(|end| *end != NONE).collect();
    let mut open: Vec<usize> = (0..graph.len()).filter(|node| reaches[*node]).collect();
    while let Some(node) = open.pop() {
        for from in &before[node] {
            if !std::mem::replace(&mut reaches[*from as usize], true) {
                open.push(*from as usize);
            }
        }
    }
    reaches
}

/// The strongly connected components, each sorted.
fn components(graph: &Graph) -> Vec<Vec<u32>> {
    let n = graph.len();
    let (mut index, mut low) = (vec![NONE; n], vec![0u32; n]);
    let mut on_stack = vec![false; n];
    let (mut stack, mut all, mut counter) = (Vec::new(), Vec::new(), 0u32);
    for root in 0..n {
        if index[root] != NONE {
            continue;
        }
        // A state and how many of its edges were followed: a recursion would be as deep as the graph.
        let mut calls = vec![(root, 0usize)];
        while let Some((node, edge)) = calls.last_mut() {
            let node = *node;
            if *edge == 0 {
                index[node] = counter;
                low[node] = counter;
                counter += 1;
                stack.push(node as u32);
                on_stack[node] = true;
            }
            match graph.edges_of(node).get(*edge) {
                Some((to, _)) => {
                    *edge += 1;
                    let to = *to as usize;
                    if index[to] == NONE {
                        calls.push((to, 0));
                    } else if on_stack[to] {
                        low[node] = low[node].min(index[to]);
                    }
                }
                None => {
                    calls.pop();
                    if let Some((parent, _)) = calls.last() {
                        low[*parent] = low[*parent].min(low[node]);
                    }
                    if low[node] == index[node] {
                        let mut component = Vec::new();
                        loop {
                            let member = stack.pop().expect("the root of a component is on the stack");
                            on_stack[member as usize] = false;
                            component.push(member);
                            if member as usize == node {
                                break;
                            }
                        }
                        component.sort_unstable();
                        all.push(component);
                    }
                }
            }
        }
    }
    all
}
