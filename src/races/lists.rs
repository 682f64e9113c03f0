//! Two lists that swap elements: one thread moves the last element of the first list to the second, the other one back.
//!
//! A move and a move back undo each other, so as many of both in any order leave both lists as they were — if a move is
//! one step. A list is an array of atomic slots and an atomic length, so that nothing here is undefined.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::Padded;
use crate::report::Unit;
use crate::run_context::RunContext;

use super::fork::{Pipe, Words};
use super::gil::Gil;
use super::rounds::{Played, Rounds};
use super::versions::{self, Judged, Layout};
use super::{Asked, Demo, DemoResult, Described, Native, Safety, Versions};

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
        about: "a message to the owner, then a wait for the moved element",
        safety: Safety::Safe,
    },
    Described {
        name: "gil",
        about: "pop and append are one call each; the lock can change hands between them",
        safety: Safety::KeepsElements,
    },
    Described {
        name: "processes",
        about: "each process has its own memory: the lists of the parent never change",
        safety: Safety::Unsafe,
    },
    Described {
        name: SHARED,
        about: "a pop and an append without any lock, in memory that they share",
        safety: Safety::Unsafe,
    },
    Described {
        name: "processes, pipe",
        about: "a message for each move through a pipe to the parent, which owns both lists",
        safety: Safety::Safe,
    },
];

const SHARED: &str = "processes, shared memory";

const LEFT_OUT: &[(&str, &str)] = &[
    ("compare-and-swap", "an atomic operation changes one word, but a move changes two lengths and two slots"),
    ("sharded", "the end of a list is one place, so there is nothing to spread over threads"),
    ("thread-local", "each move starts where the last move of the other thread ended, so no thread can work alone"),
];

type Run = fn(&Rounds, &Lists) -> io::Result<Played>;

const RUNS: [Run; 12] = [
    racy,
    racy_functional,
    atomic_lengths,
    lock_per_operation,
    lock_per_move,
    channel,
    channel_batched,
    actor,
    gil,
    processes,
    processes_shared_memory,
    processes_pipe,
];

/// Elements between two looks whether it is stopped.
const PART: usize = 1 << 16;

/// Two lists with room for what a race may add.
struct Lists {
    /// How many elements each has at the start.
    each: usize,
    all: [List; 2],
}

struct List {
    slots: Words,
    /// One word, in a page of its own.
    len: Words,
}

impl Lists {
    fn new(each: usize, is_shared: bool) -> io::Result<Lists> {
        let list = || -> io::Result<List> {
            Ok(List { slots: Words::new(2 * each, is_shared)?, len: Words::new(1, is_shared)? })
        };
        Ok(Lists { each, all: [list()?, list()?] })
    }

    /// 0, 1, 2, … in the first list, the numbers after them in the second. One that is stopped is left half full.
    fn fill(&self, stopped: &dyn Fn() -> bool) {
        for (number, list) in self.all.iter().enumerate() {
            let first = number * self.each;
            for (part, slots) in list.slots[..self.each].chunks(PART).enumerate() {
                if stopped() {
                    return;
                }
                for (at, slot) in slots.iter().enumerate() {
                    slot.store((first + part * PART + at) as u32, Ordering::Relaxed);
                }
            }
            list.len().store(self.each as u32, Ordering::Relaxed);
        }
    }

    /// The list that a thread takes from, and the one that it puts into.
    fn ends(&self, thread: usize) -> (&List, &List) {
        if thread == 0 { (&self.all[0], &self.all[1]) } else { (&self.all[1], &self.all[0]) }
    }

    /// Takes so many elements from one list and puts them into the other, without any lock.
    fn move_some(&self, thread: usize, n: u64) {
        let (from, to) = self.ends(thread);
        for _ in 0..n {
            if let Some(value) = from.pop() {
                to.append(value);
            }
        }
    }

    fn lengths(&self) -> Vec<i64> {
        self.all.iter().map(|list| list.len().load(Ordering::Relaxed).into()).collect()
    }
}

impl List {
    fn len(&self) -> &AtomicU32 {
        &self.len[0]
    }

    fn pop(&self) -> Option<u32> {
        let last = self.len().load(Ordering::Relaxed).checked_sub(1)?;
        let value = self.slots.get(last as usize)?.load(Ordering::Relaxed);
        self.len().store(last, Ordering::Relaxed);
        Some(value)
    }

    fn append(&self, value: u32) {
        let len = self.len().load(Ordering::Relaxed);
        // A length that a race made too large is no reason to write elsewhere.
        if let Some(slot) = self.slots.get(len as usize) {
            slot.store(value, Ordering::Relaxed);
            self.len().store(len + 1, Ordering::Relaxed);
        }
    }
}

fn racy(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    rounds.play(&|thread, n| lists.move_some(thread, n), &|| lists.lengths())
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
            let last = from.len().fetch_sub(1, Ordering::AcqRel).wrapping_sub(1);
            let Some(slot) = from.slots.get(last as usize) else {
                from.len().fetch_add(1, Ordering::AcqRel);
                continue;
            };
            let value = slot.load(Ordering::Acquire);
            let free = to.len().fetch_add(1, Ordering::AcqRel);
            if let Some(slot) = to.slots.get(free as usize) {
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
                lists.move_some(direction, n);
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

fn processes(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    // A fork has a copy of the lists, made page by page when it writes to them.
    rounds.play_forked(&|thread, n| lists.move_some(thread, n), &|_| {})
}

fn processes_shared_memory(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    // These lists lie in shared memory.
    rounds.play_forked(&|thread, n| lists.move_some(thread, n), &|_| {})
}

fn processes_pipe(rounds: &Rounds, lists: &Lists) -> io::Result<Played> {
    let pipe = Pipe::new()?;
    std::thread::scope(|scope| {
        let pipe = &pipe;
        let owner = std::thread::Builder::new().spawn_scoped(scope, move || {
            let mut messages = [0; 4_096];
            while let Some(some) = pipe.receive(&mut messages) {
                for direction in some {
                    lists.move_some(usize::from(*direction), 1);
                }
            }
        })?;
        let work = |thread: usize, n: u64| (0..n).for_each(|_| pipe.send(&[thread as u8]));
        let played = rounds.play_forked(&work, &|_| {});
        pipe.close();
        owner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        played
    })
}

fn locked(lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of the elements.
#[derive(Debug, Default)]
struct FinalState {
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

/// Looks through both lists, unless that is stopped: they are long.
fn find(lists: &Lists, stopped: &dyn Fn() -> bool) -> io::Result<Option<FinalState>> {
    let n = lists.each;
    // How often each element is in each list.
    let counts: [Words; 2] = [Words::new(2 * n, false)?, Words::new(2 * n, false)?];
    let mut found = FinalState::default();
    for (number, list) in lists.all.iter().enumerate() {
        let len = (list.len().load(Ordering::Relaxed) as usize).min(list.slots.len());
        found.lengths[number] = len;
        for (part, slots) in list.slots[..len].chunks(PART).enumerate() {
            if stopped() {
                return Ok(None);
            }
            for (at, slot) in slots.iter().enumerate() {
                let (at, value) = (part * PART + at, slot.load(Ordering::Relaxed) as usize);
                let count = &counts[number][value];
                count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                found.in_place += usize::from(at < n && value == number * n + at);
            }
        }
    }
    let [first, second] = &counts;
    for (part, (first, second)) in first.chunks(PART).zip(second.chunks(PART)).enumerate() {
        if stopped() {
            return Ok(None);
        }
        for (at, (one, two)) in first.iter().zip(second).enumerate() {
            let value = part * PART + at;
            let [one, two] = [one, two].map(|count| count.load(Ordering::Relaxed));
            let (here, there) = if value < n { (one, two) } else { (two, one) };
            found.missing += usize::from(here == 0);
            found.in_other += usize::from(here == 0 && there > 0);
            found.lost += usize::from(here == 0 && there == 0);
            found.duplicated += usize::from(here + there > 1);
            if here + there > found.most_common.1 {
                found.most_common = (value as u32, here + there);
            }
        }
    }
    Ok(Some(found))
}

fn run(asked: &Asked, context: &RunContext) -> Fallible<DemoResult> {
    let stopped = || context.stop.is_raised();
    let each = asked.each as usize;
    let too_large = |error: io::Error| Diagnostic::new(Kind::System, format!("cannot create the lists: {error}"));
    let own = Lists::new(each, false).map_err(too_large)?;
    let run = |number: usize, rounds: &Rounds| {
        // Processes share what is made to be shared.
        let shared = if VERSIONS[number].name == SHARED { Some(Lists::new(each, true)?) } else { None };
        let lists = shared.as_ref().unwrap_or(&own);
        lists.fill(&stopped);
        let played = RUNS[number](rounds, lists)?;
        Ok((played, shared))
    };
    let judge = |described: &Described, _: &Played, shared: Option<Lists>| {
        let lists = shared.as_ref().unwrap_or(&own);
        let Some(found) = find(lists, &stopped).map_err(too_large)? else { return Ok(None) };
        let is_whole = found.in_place == 2 * each && found.lengths == [each, each];
        let kept = found.lost == 0 && found.duplicated == 0;
        let holds = match described.safety {
            Safety::Safe => is_whole,
            Safety::KeepsElements => kept,
            Safety::Unsafe => true,
        };
        if !holds {
            let message = format!("{} is safe but left {found:?}", described.name);
            return Err(Diagnostic::new(Kind::System, message).hint("this is a bug in timelab"));
        }
        let (element, times) = found.most_common;
        let most_common = if times > 1 { format!("{element} × {times}") } else { String::new() };
        let counts = [
            found.lengths[0],
            found.lengths[1],
            found.in_place,
            found.missing,
            found.in_other,
            found.lost,
            found.duplicated,
        ];
        let mut cells = counts.map(|count| Value::Int(count as i64)).to_vec();
        cells.push(Value::text(&most_common));
        // Each process changes lists of its own: nothing can be seen of it.
        Ok(Some(Judged { cells, is_unseen: is_whole && described.name != "processes" }))
    };
    let mut ran = versions::run_all(&LAYOUT, asked, context, run, judge)?;
    ran.notes.push(format!("{each} elements in each list; the same number of moves there and back").into());
    if ran.has("processes") {
        let note = "processes: each moved elements of its own copies, so the lists of the parent never change";
        ran.notes.push(note.into());
    }
    if asked.only.is_empty() {
        ran.notes.extend(LEFT_OUT.iter().map(|(name, why)| format!("there is no {name} version: {why}").into()));
    }
    Ok(ran)
}

static LAYOUT: Layout = Layout {
    demo: "lists",
    versions: VERSIONS,
    operations: "moves",
    left: &[
        ("length_1", Type::Int, Unit::Plain.measured()),
        ("length_2", Type::Int, Unit::Plain.measured()),
        ("in_place", Type::Int, Unit::Plain.measured()),
        ("missing", Type::Int, Unit::Plain.measured()),
        ("in_other", Type::Int, Unit::Plain.measured()),
        ("lost", Type::Int, Unit::Plain.measured()),
        ("duplicated", Type::Int, Unit::Plain.measured()),
        ("most_common", Type::Text, Unit::Plain.measured()),
    ],
    // One thread alone moves all elements into one list, which is another piece of work.
    has_speed_up: false,
    plot: "the lengths of the lists while elements move",
    watched: &["list 1", "list 2"],
};
