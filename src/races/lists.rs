//! Two lists that swap elements: one thread moves the last element of the first list to the second, the other one back.
//!
//! A move and a move back undo each other, so as many of both in any order leave both lists as they were — if a move is
//! one step. A list is an array of atomic slots and an atomic length, so that nothing here is undefined.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::data::{Column, Order, Schema, Table, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::Padded;
use crate::report::{Across, Axis, Drawn, Figures, Plot, Scale, Series, Unit};
use crate::run_context::RunContext;

use super::gil::{BYTECODES, Gil};
use super::rounds::{self, Measured, Played, ROUND, Rounds};
use super::{Asked, Demo, Described, Native, Ran, Safety, Versions};

pub static LISTS: Demo = Demo {
    name: "lists",
    wrong: "elements are lost, duplicated and out of place",
    lesson: "a move is a pop and an append. Locks around each of them keep every element, yet two moves can cross, so \
             the order is lost. Only a lock around the whole move keeps both lists. Atomic lengths are no help: the \
             slot and the length are two steps",
    program: "a = [1, 0], b = [2, 0], na = 1, nb = 1\n  there: na -= 1; let v = a[na]; b[nb] = v; nb += 1\n  \
              back:  if nb > 0 { nb -= 1; let v = b[nb]; if na < 2 { a[na] = v; na += 1 } }\n  \
              check na == 1 and nb == 1 and a[0] == 1 and b[0] == 2",
    versions: Versions::Native(&Native {
        versions: VERSIONS,
        left_out: LEFT_OUT,
        each: 10_000_000,
        most_each: 50_000_000,
        is_pair: true,
        run,
        text: include_str!("lists.rs"),
    }),
};

const VERSIONS: &[Described] = &[
    Described { name: "racy", about: "a pop and an append without any lock", safety: Safety::Unsafe },
    Described {
        name: "racy, functional",
        about: "for_each over a range with a closure that moves: the same race",
        safety: Safety::Unsafe,
    },
    Described {
        name: "atomic lengths",
        about: "fetch_sub and fetch_add reserve the slot, which is read and written a moment later",
        safety: Safety::Unsafe,
    },
    Described {
        name: "lock per operation",
        about: "a lock around each pop and each append",
        safety: Safety::KeepsElements,
    },
    Described { name: "lock per move", about: "one lock around pop and append", safety: Safety::Safe },
    Described {
        name: "channel",
        about: "a message for each move to the thread that owns both lists",
        safety: Safety::Safe,
    },
    Described { name: "channel, batched", about: "a message for 1,000 moves", safety: Safety::Safe },
    Described {
        name: "actor",
        about: "a message to the owner, and the moved element is waited for",
        safety: Safety::Safe,
    },
    Described {
        name: "gil",
        about: "pop and append are one call each; the lock can change hands between them",
        safety: Safety::KeepsElements,
    },
];

const LEFT_OUT: &[(&str, &str)] = &[
    ("compare-and-swap", "it changes one word, but a move changes two lengths and two slots"),
    ("sharded", "the end of a list is one place: there is nothing to spread over threads"),
    ("thread-local", "each move begins where the last one of the other thread ended, so no thread can work alone"),
    ("processes", "a process of its own has its own lists, which the parent never sees; see `%race counter`"),
];

type Run = fn(&Rounds, &Lists) -> io::Result<Played>;

const RUNS: [Run; 9] =
    [racy, racy_functional, atomic_lengths, lock_per_operation, lock_per_move, channel, channel_batched, actor, gil];

/// Two lists with room for what a race may add.
struct Lists {
    /// How many elements each has at the start.
    each: usize,
    all: [List; 2],
}

struct List {
    slots: Vec<AtomicU32>,
    len: Padded<AtomicUsize>,
}

impl Lists {
    fn new(each: usize) -> Lists {
        let list = || List { slots: (0..2 * each).map(|_| AtomicU32::new(0)).collect(), len: Padded::default() };
        Lists { each, all: [list(), list()] }
    }

    /// 0, 1, 2, … in the first list, the numbers after them in the second.
    fn fill(&self) {
        for (number, list) in self.all.iter().enumerate() {
            let first = number * self.each;
            for (at, slot) in list.slots.iter().take(self.each).enumerate() {
                slot.store((first + at) as u32, Ordering::Relaxed);
            }
            list.len.0.store(self.each, Ordering::Relaxed);
        }
    }

    /// The list that a thread takes from, and the one that it puts into.
    fn ends(&self, thread: usize) -> (&List, &List) {
        if thread == 0 { (&self.all[0], &self.all[1]) } else { (&self.all[1], &self.all[0]) }
    }

    fn lengths(&self) -> Vec<i64> {
        self.all.iter().map(|list| list.len.0.load(Ordering::Relaxed) as i64).collect()
    }
}

impl List {
    fn pop(&self) -> Option<u32> {
        let last = self.len.0.load(Ordering::Relaxed).checked_sub(1)?;
        let value = self.slots.get(last)?.load(Ordering::Relaxed);
        self.len.0.store(last, Ordering::Relaxed);
        Some(value)
    }

    fn append(&self, value: u32) {
        let len = self.len.0.load(Ordering::Relaxed);
        // A length that a race made too large is no reason to write elsewhere.
        if let Some(slot) = self.slots.get(len) {
            slot.store(value, Ordering::Relaxed);
            self.len.0.store(len + 1, Ordering::Relaxed);
        }
    }
}

fn racy(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let work = |thread: usize, n: u64| {
        let (from, to) = lists.ends(thread);
        for _ in 0..n {
            if let Some(value) = from.pop() {
                to.append(value);
            }
        }
    };
    rounds.play(&work, &|| lists.lengths())
}

fn racy_functional(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let work = |thread: usize, n: u64| {
        let (from, to) = lists.ends(thread);
        (0..n).filter_map(|_| from.pop()).for_each(|value| to.append(value));
    };
    rounds.play(&work, &|| lists.lengths())
}

fn atomic_lengths(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let work = |thread: usize, n: u64| {
        let (from, to) = lists.ends(thread);
        for _ in 0..n {
            let last = from.len.0.fetch_sub(1, Ordering::AcqRel).wrapping_sub(1);
            let Some(slot) = from.slots.get(last) else {
                from.len.0.fetch_add(1, Ordering::AcqRel);
                continue;
            };
            let value = slot.load(Ordering::Acquire);
            let free = to.len.0.fetch_add(1, Ordering::AcqRel);
            if let Some(slot) = to.slots.get(free) {
                slot.store(value, Ordering::Release);
            }
        }
    };
    rounds.play(&work, &|| lists.lengths())
}

fn lock_per_operation(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let locks = [Padded(Mutex::new(())), Padded(Mutex::new(()))];
    let work = |thread: usize, n: u64| {
        let (from, to) = lists.ends(thread);
        for _ in 0..n {
            let popped = {
                let _guard = locked(&locks[thread].0);
                from.pop()
            };
            if let Some(value) = popped {
                let _guard = locked(&locks[1 - thread].0);
                to.append(value);
            }
        }
    };
    rounds.play(&work, &|| lists.lengths())
}

fn lock_per_move(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let lock = Padded(Mutex::new(()));
    let work = |thread: usize, n: u64| {
        let (from, to) = lists.ends(thread);
        for _ in 0..n {
            let _guard = locked(&lock.0);
            if let Some(value) = from.pop() {
                to.append(value);
            }
        }
    };
    rounds.play(&work, &|| lists.lengths())
}

fn channel(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    owned(rounds, lists, 1)
}

fn channel_batched(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    owned(rounds, lists, 1_000)
}

/// One thread owns both lists; the others say in which direction it is to move how many.
fn owned(rounds: &Rounds, lists: &Lists, batch: u64) -> io::Result<Played> {
    let (sender, receiver) = mpsc::sync_channel::<(usize, u64)>(1_000);
    std::thread::scope(|scope| {
        let owner = std::thread::Builder::new().spawn_scoped(scope, move || {
            for (direction, n) in receiver {
                let (from, to) = lists.ends(direction);
                for _ in 0..n {
                    if let Some(value) = from.pop() {
                        to.append(value);
                    }
                }
            }
        })?;
        let work = |thread: usize, n: u64| {
            let mut left = n;
            while left > 0 {
                let now = left.min(batch);
                // The owner is there as long as there are senders.
                let _ = sender.send((thread, now));
                left -= now;
            }
        };
        let played = rounds.play(&work, &|| lists.lengths());
        drop(sender);
        owner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        played
    })
}

fn actor(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let (sender, receiver) = mpsc::channel::<(usize, mpsc::Sender<Option<u32>>)>();
    std::thread::scope(|scope| {
        let owner = std::thread::Builder::new().spawn_scoped(scope, move || {
            for (direction, answer) in receiver {
                let (from, to) = lists.ends(direction);
                let moved = from.pop();
                moved.into_iter().for_each(|value| to.append(value));
                let _ = answer.send(moved);
            }
        })?;
        let work = |thread: usize, n: u64| {
            let (answer, answers) = mpsc::channel();
            for _ in 0..n {
                let _ = sender.send((thread, answer.clone()));
                let _ = answers.recv();
            }
        };
        let played = rounds.play(&work, &|| lists.lengths());
        drop(sender);
        owner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        played
    })
}

fn gil(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let gil = Gil::new(rounds.threads);
    let work = |thread: usize, n: u64| {
        let (from, to) = lists.ends(thread);
        let held = gil.hold(thread);
        for _ in 0..n {
            let popped = from.pop();
            held.between();
            popped.into_iter().for_each(|value| to.append(value));
            held.between();
        }
    };
    rounds.play(&work, &|| lists.lengths())
}

fn locked(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of the elements.
#[derive(Debug, Default)]
struct Found {
    lengths: [usize; 2],
    /// Elements at the place where they began.
    in_place: usize,
    /// Elements that are not in their list any more, and how many of them are in the other one, or in none.
    missing: usize,
    in_other: usize,
    lost: usize,
    /// Elements that are there more than once.
    duplicated: usize,
    /// The element that is there most often, and how often.
    most_common: (u32, u32),
}

fn find(lists: &Lists) -> Found {
    let n = lists.each;
    let mut counts = [vec![0u32; 2 * n], vec![0u32; 2 * n]];
    let mut found = Found::default();
    for (number, list) in lists.all.iter().enumerate() {
        let len = list.len.0.load(Ordering::Relaxed).min(list.slots.len());
        found.lengths[number] = len;
        for (at, slot) in list.slots[..len].iter().enumerate() {
            let value = slot.load(Ordering::Relaxed);
            counts[number][value as usize] += 1;
            found.in_place += usize::from(at < n && value as usize == number * n + at);
        }
    }
    let [first, second] = &counts;
    for (value, (one, two)) in first.iter().zip(second).enumerate() {
        let (here, there) = if value < n { (*one, *two) } else { (*two, *one) };
        found.missing += usize::from(here == 0);
        found.in_other += usize::from(here == 0 && there > 0);
        found.lost += usize::from(here == 0 && there == 0);
        found.duplicated += usize::from(here + there > 1);
        if here + there > found.most_common.1 {
            found.most_common = (value as u32, here + there);
        }
    }
    found
}

fn run(asked: &Asked, context: &RunContext) -> Fallible<Ran> {
    let stopped = || context.stop.is_raised();
    let lists = Lists::new(asked.each as usize);
    let n = lists.each;
    let mut columns: Vec<Vec<Value>> = vec![Vec::new(); 12];
    let (mut series, mut notes, mut unseen) = (Vec::new(), Vec::new(), Vec::new());
    let mut fewer = false;
    let wanted = if asked.only.is_empty() { VERSIONS.len() } else { asked.only.len() };
    let share = rounds::share(wanted);
    for (described, run) in VERSIONS.iter().zip(RUNS) {
        let name = described.name;
        if !asked.only.is_empty() && !asked.only.iter().any(|only| only == name) {
            continue;
        }
        if stopped() {
            break;
        }
        context.progress.tell(format!("lists: {name}"));
        let points = Mutex::new(Vec::new());
        let checkpoint = asked.checkpoint.unwrap_or_else(|| (asked.each / 10).max(1));
        let watch = |done: u64, now: &[i64]| {
            context.progress.tell(format!("lists: {name}: lengths {} and {} after {done} moves", now[0], now[1]));
            points.lock().unwrap_or_else(PoisonError::into_inner).push((done as f64, now[0] as f64, now[1] as f64));
        };
        let whole = |rounds: &Rounds| {
            lists.fill();
            run(rounds, &lists).map(|played| (played, ()))
        };
        let measured = rounds::measure(asked.threads, asked.each, share, Some(checkpoint), &watch, &stopped, &whole);
        let Measured { played, .. } =
            measured.map_err(|error| Diagnostic::new(Kind::System, format!("{name} cannot be run: {error}")))?;
        if stopped() && played.each < asked.each {
            break;
        }
        let found = find(&lists);
        let is_whole = found.in_place == 2 * n && found.lengths == [n, n];
        let kept = found.lost == 0 && found.duplicated == 0;
        let holds = match described.safety {
            Safety::Safe => is_whole,
            Safety::KeepsElements => kept,
            Safety::Unsafe => true,
        };
        if !holds {
            return Err(Diagnostic::new(Kind::System, format!("{name} is safe and yet left {found:?}"))
                .hint("that is a defect of timelab"));
        }
        if described.safety != Safety::Safe && is_whole {
            unseen.push(name);
        }
        fewer |= played.each < asked.each;
        let (element, times) = found.most_common;
        let most_common = if times > 1 { format!("{element} × {times}") } else { String::new() };
        let row = [
            Value::text(name),
            Value::Int(played.each as i64),
            Value::Int(found.lengths[0] as i64),
            Value::Int(found.lengths[1] as i64),
            Value::Int(found.in_place as i64),
            Value::Int(found.missing as i64),
            Value::Int(found.in_other as i64),
            Value::Int(found.lost as i64),
            Value::Int(found.duplicated as i64),
            Value::text(&most_common),
            Value::Float(played.wall.as_secs_f64()),
            Value::text(described.safety.said()),
        ];
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        if asked.checkpoint.is_some() {
            let points = points.into_inner().unwrap_or_else(PoisonError::into_inner);
            let line = |list: usize| Series {
                label: format!("{name}: list {list}"),
                drawn: Drawn::Line,
                points: points.iter().map(|(x, one, two)| (*x, if list == 1 { *one } else { *two })).collect(),
            };
            series.extend([line(1), line(2)]);
        }
    }
    if !unseen.is_empty() {
        notes.push(format!("not seen this time, though possible: {}", unseen.join("; ")));
    }
    notes.extend(rounds::busy_note());
    if fewer {
        notes.push(format!("a version has {:.1} s and does as many moves as fit: see `each`", share.as_secs_f64()));
    }
    notes.push(format!(
        "{} elements in each list; {} threads make as many moves there as back, in rounds of up to {ROUND} \
         operations that start together",
        lists.each, asked.threads
    ));
    if columns[0].contains(&Value::text("gil")) {
        notes.push(format!("gil: the lock changes hands every {BYTECODES} bytecodes on average"));
    }
    if asked.only.is_empty() {
        notes.extend(LEFT_OUT.iter().map(|(name, why)| format!("there is no {name} version: {why}")));
    }
    let axis = |label: &str| Axis { label: label.to_string(), unit: Unit::Plain, scale: Scale::Linear, measured: true };
    let plot = (!series.is_empty()).then(|| Plot {
        title: "the lengths of the lists while elements move".to_string(),
        x: Across::Numbers(axis("moves of each thread")),
        y: axis("length"),
        series,
        in_table: false,
    });
    Ok(Ran { figures: figures(&columns), notes, plot })
}

fn figures(columns: &[Vec<Value>]) -> Figures {
    let heads = [
        ("version", Type::Text, Unit::Plain.counted()),
        // A slow version does as many as fit into its time.
        ("each", Type::Int, Unit::Plain.measured()),
        ("length_1", Type::Int, Unit::Plain.measured()),
        ("length_2", Type::Int, Unit::Plain.measured()),
        ("in_place", Type::Int, Unit::Plain.measured()),
        ("missing", Type::Int, Unit::Plain.measured()),
        ("in_other", Type::Int, Unit::Plain.measured()),
        ("lost", Type::Int, Unit::Plain.measured()),
        ("duplicated", Type::Int, Unit::Plain.measured()),
        ("most_common", Type::Text, Unit::Plain.measured()),
        ("time", Type::Float, Unit::Seconds.measured()),
        ("safe", Type::Text, Unit::Plain.counted()),
    ];
    let meanings = heads.iter().map(|(_, _, meaning)| *meaning).collect();
    let schema = heads.into_iter().map(|(name, ty, _)| Column { name: name.to_string(), ty }).collect();
    Figures { table: Table::from_columns(Schema::new(schema, Order::Kept), columns[0].len(), columns), meanings }
}
