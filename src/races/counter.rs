//! The counter: half of the threads increment it, half decrement it, so that it should end where it began.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::interleave::barrier::Padded;
use crate::report::Unit;
use crate::run_context::RunContext;

use super::fork::{Pipe, Shared};
use super::gil::Gil;
use super::rounds::{self, Played, Rounds, direction, expected, load_and_store};
use super::versions::{self, Judged, Layout};
use super::{Asked, Demo, DemoResult, Described, Native, Safety, Versions};

pub static COUNTER: Demo = Demo {
    name: "counter",
    wrong: "updates are lost: a read and a write are two steps",
    lesson: "`x = x + 1` reads, adds and writes. Another thread's write between the two is overwritten and lost. A \
             lock or an atomic operation makes them one step and costs a multiple; threads that count separately and \
             merge at the end are correct and faster than one thread alone",
    program: "x = 0\n  up:   x = x + 1\n  down: x = x - 1\n  check x == 0",
    versions: Versions::Native(&Native {
        versions: VERSIONS,
        left_out: &[],
        each: 10_000_000,
        most_each: rounds::MOST_EACH,
        is_pair: false,
        run,
        text: include_str!("counter.rs"),
    }),
};

type Run = fn(&Rounds) -> io::Result<(Played, i64)>;

const VERSIONS: &[Described] = &[
    Described { name: "racy", about: "a load and a store", safety: Safety::Unsafe },
    Described {
        name: "racy, functional",
        about: "for_each over a range with a closure that updates the shared counter: no loop, the same race",
        safety: Safety::Unsafe,
    },
    Described { name: "mutex", about: "a lock around each update", safety: Safety::Safe },
    Described { name: "mutex, batched", about: "a lock around 1,000 updates", safety: Safety::Safe },
    Described { name: "atomic", about: "fetch_add, one instruction", safety: Safety::Safe },
    Described { name: "compare-and-swap", about: "tries again if another thread was faster", safety: Safety::Safe },
    Described {
        name: "sharded",
        about: "a counter for each thread, side by side in one cache line: false sharing",
        safety: Safety::Safe,
    },
    Described { name: "sharded, padded", about: "a counter and a cache line for each thread", safety: Safety::Safe },
    Described {
        name: "thread-local",
        about: "each thread counts for itself and merges after thousands of operations",
        safety: Safety::Safe,
    },
    Described {
        name: "channel",
        about: "a message for each update to the thread that owns the counter",
        safety: Safety::Safe,
    },
    Described { name: "channel, batched", about: "a message for 1,000 updates", safety: Safety::Safe },
    Described { name: "actor", about: "a message to the owner, then a wait for the answer", safety: Safety::Safe },
    Described {
        name: "gil, bytecode",
        about: "one thread at a time, which can change between any two bytecodes",
        safety: Safety::Unsafe,
    },
    Described {
        name: "gil, calls",
        about: "the lock changes hands only at calls and loop ends, as in CPython since 3.10: x += 1 is not \
                interrupted",
        safety: Safety::Safe,
    },
    Described {
        name: "gil, calls, one()",
        about: "the same with x += one(): the call is between read and write",
        safety: Safety::Unsafe,
    },
    Described {
        name: "processes",
        about: "each process has its own memory: the counter of the parent stays 0",
        safety: Safety::Unsafe,
    },
    Described {
        name: "processes, shared memory",
        about: "a load and a store in memory that they share",
        safety: Safety::Unsafe,
    },
    Described {
        name: "processes, pipe",
        about: "each counts for itself and sends its sum to the parent",
        safety: Safety::Safe,
    },
];

const RUNS: [Run; 18] = [
    racy,
    racy_functional,
    mutex,
    mutex_batched,
    atomic,
    compare_and_swap,
    sharded,
    sharded_padded,
    thread_local,
    channel,
    channel_batched,
    actor,
    gil_bytecode,
    gil_calls,
    gil_calls_one,
    processes,
    processes_shared_memory,
    processes_pipe,
];

fn racy(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(AtomicI64::new(0));
    let work = |thread: usize, n: u64| {
        let by = direction(thread);
        for _ in 0..n {
            load_and_store(&x.0, by);
        }
    };
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn racy_functional(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(AtomicI64::new(0));
    let work = |thread: usize, n: u64| (0..n).for_each(|_| load_and_store(&x.0, direction(thread)));
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn mutex(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(Mutex::new(0));
    let work = |thread: usize, n: u64| {
        for _ in 0..n {
            *x.0.lock().unwrap_or_else(PoisonError::into_inner) += direction(thread);
        }
    };
    let played = rounds.play(&work, &|| vec![*x.0.lock().unwrap_or_else(PoisonError::into_inner)])?;
    let found = *x.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((played, found))
}

fn mutex_batched(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(Mutex::new(0));
    let work = |thread: usize, n: u64| {
        in_batches(n, |batch| {
            let mut x = x.0.lock().unwrap_or_else(PoisonError::into_inner);
            for _ in 0..batch {
                // Hidden from the compiler, which would add it all up at once.
                *x += std::hint::black_box(direction(thread));
            }
        });
    };
    let played = rounds.play(&work, &|| vec![*x.0.lock().unwrap_or_else(PoisonError::into_inner)])?;
    let found = *x.0.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((played, found))
}

fn atomic(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(AtomicI64::new(0));
    let work = |thread: usize, n: u64| {
        for _ in 0..n {
            x.0.fetch_add(direction(thread), Ordering::Relaxed);
        }
    };
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn compare_and_swap(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(AtomicI64::new(0));
    let work = |thread: usize, n: u64| {
        for _ in 0..n {
            let mut old = x.0.load(Ordering::Relaxed);
            let by = direction(thread);
            while let Err(newer) = x.0.compare_exchange_weak(old, old + by, Ordering::Relaxed, Ordering::Relaxed) {
                old = newer;
            }
        }
    };
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn sharded(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let own: Vec<AtomicI64> = (0..rounds.threads).map(|_| AtomicI64::new(0)).collect();
    let sum = || own.iter().map(|own| own.load(Ordering::Relaxed)).sum();
    let work = |thread: usize, n: u64| {
        for _ in 0..n {
            own[thread].fetch_add(direction(thread), Ordering::Relaxed);
        }
    };
    let played = rounds.play(&work, &|| vec![sum()])?;
    Ok((played, sum()))
}

fn sharded_padded(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let own: Vec<Padded<AtomicI64>> = (0..rounds.threads).map(|_| Padded::default()).collect();
    let sum = || own.iter().map(|own| own.0.load(Ordering::Relaxed)).sum();
    let work = |thread: usize, n: u64| {
        for _ in 0..n {
            own[thread].0.fetch_add(direction(thread), Ordering::Relaxed);
        }
    };
    let played = rounds.play(&work, &|| vec![sum()])?;
    Ok((played, sum()))
}

fn thread_local(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(AtomicI64::new(0));
    let work = |thread: usize, n: u64| {
        let mut own = 0;
        for _ in 0..n {
            own += std::hint::black_box(direction(thread));
        }
        x.0.fetch_add(own, Ordering::Relaxed);
    };
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn channel(rounds: &Rounds) -> io::Result<(Played, i64)> {
    owned(rounds, |sender, thread, n| {
        for _ in 0..n {
            // The owner is there as long as there are senders.
            let _ = sender.send(direction(thread));
        }
    })
}

fn channel_batched(rounds: &Rounds) -> io::Result<(Played, i64)> {
    owned(rounds, |sender, thread, n| {
        in_batches(n, |batch| {
            let mut own = 0;
            for _ in 0..batch {
                own += std::hint::black_box(direction(thread));
            }
            let _ = sender.send(own);
        });
    })
}

/// A counter that one thread owns; the others send it what to add.
fn owned(rounds: &Rounds, work: impl Fn(&SyncSender<i64>, usize, u64) + Sync) -> io::Result<(Played, i64)> {
    // A bound, so that a slow owner does not fill the memory.
    let (sender, receiver): (SyncSender<i64>, Receiver<i64>) = mpsc::sync_channel(1_000);
    let seen = AtomicI64::new(0);
    std::thread::scope(|scope| {
        let seen = &seen;
        let owner = std::thread::Builder::new().spawn_scoped(scope, move || {
            let mut x = 0;
            for by in receiver {
                x += by;
                seen.store(x, Ordering::Relaxed);
            }
            x
        })?;
        let played = rounds.play(&|thread, n| work(&sender, thread, n), &|| vec![seen.load(Ordering::Relaxed)]);
        drop(sender);
        let found = owner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((played?, found))
    })
}

fn actor(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let (sender, receiver): (Sender<(i64, Sender<i64>)>, _) = mpsc::channel();
    let seen = AtomicI64::new(0);
    std::thread::scope(|scope| {
        let seen = &seen;
        let owner = std::thread::Builder::new().spawn_scoped(scope, move || {
            let mut x = 0;
            for (by, answer) in receiver {
                x += by;
                seen.store(x, Ordering::Relaxed);
                let _ = answer.send(x);
            }
            x
        })?;
        let work = |thread: usize, n: u64| {
            let (answer, answers) = mpsc::channel();
            for _ in 0..n {
                let _ = sender.send((direction(thread), answer.clone()));
                let _ = answers.recv();
            }
        };
        let played = rounds.play(&work, &|| vec![seen.load(Ordering::Relaxed)]);
        drop(sender);
        let found = owner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((played?, found))
    })
}

fn gil_bytecode(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let (x, gil) = (Padded(AtomicI64::new(0)), Gil::new(rounds.threads));
    let work = |thread: usize, n: u64| {
        let held = gil.hold(thread);
        for _ in 0..n {
            let read = x.0.load(Ordering::Relaxed);
            held.between();
            let sum = read + direction(thread);
            held.between();
            x.0.store(sum, Ordering::Relaxed);
            held.between();
        }
    };
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn gil_calls(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let (x, gil) = (Padded(AtomicI64::new(0)), Gil::new(rounds.threads));
    let work = |thread: usize, n: u64| {
        let held = gil.hold(thread);
        for _ in 0..n {
            load_and_store(&x.0, direction(thread));
            held.between();
        }
    };
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn gil_calls_one(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let (x, gil) = (Padded(AtomicI64::new(0)), Gil::new(rounds.threads));
    let work = |thread: usize, n: u64| {
        let held = gil.hold(thread);
        let one = || {
            held.between();
            direction(thread)
        };
        for _ in 0..n {
            let read = x.0.load(Ordering::Relaxed);
            x.0.store(read + one(), Ordering::Relaxed);
            held.between();
        }
    };
    let played = rounds.play(&work, &|| vec![x.0.load(Ordering::Relaxed)])?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn processes(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Padded(AtomicI64::new(0));
    let work = |thread: usize, n: u64| {
        for _ in 0..n {
            load_and_store(&x.0, direction(thread));
        }
    };
    let played = rounds.play_forked(&work, &|_| {})?;
    Ok((played, x.0.load(Ordering::Relaxed)))
}

fn processes_shared_memory(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let x = Shared::new(Padded(AtomicI64::new(0)))?;
    let work = |thread: usize, n: u64| {
        let x = &x.get().0;
        for _ in 0..n {
            load_and_store(x, direction(thread));
        }
    };
    let played = rounds.play_forked(&work, &|_| {})?;
    Ok((played, x.get().0.load(Ordering::Relaxed)))
}

fn processes_pipe(rounds: &Rounds) -> io::Result<(Played, i64)> {
    let (own, pipe) = (Padded(AtomicI64::new(0)), Pipe::new()?);
    let work = |thread: usize, n: u64| {
        for _ in 0..n {
            load_and_store(&own.0, direction(thread));
        }
    };
    let played = rounds.play_forked(&work, &|_| pipe.send_number(&own.0))?;
    Ok((played, pipe.sum()))
}

fn in_batches(n: u64, mut work: impl FnMut(u64)) {
    const BATCH: u64 = 1_000;
    let mut left = n;
    while left > 0 {
        let batch = left.min(BATCH);
        work(batch);
        left -= batch;
    }
}

fn run(asked: &Asked, context: &RunContext) -> Fallible<DemoResult> {
    let judge = |described: &Described, played: &Played, got: i64| {
        let expected = expected(asked.threads, played.each);
        let lost = (got - expected).unsigned_abs() as i64;
        if described.safety == Safety::Safe && lost > 0 {
            let message = format!("{} is safe but lost {lost} updates", described.name);
            return Err(Diagnostic::new(Kind::System, message).hint("this is a bug in timelab"));
        }
        // Each process changes a counter of its own: nothing can be seen of it.
        let is_unseen = lost == 0 && expected == 0 && described.name != "processes";
        Ok(Some(Judged { cells: [expected, got, lost].map(Value::Int).to_vec(), is_unseen }))
    };
    let mut ran = versions::run_all(&LAYOUT, asked, context, |number, rounds| RUNS[number](rounds), judge)?;
    ran.notes.push("`lost` is the minimum number of lost updates".into());
    if ran.has("processes") {
        let note = "processes: each changed its own copy, so the counter of the parent stays 0";
        ran.notes.push(note.into());
    }
    Ok(ran)
}

static LAYOUT: Layout = Layout {
    demo: "counter",
    versions: VERSIONS,
    operations: "operations",
    left: &[
        ("expected", Type::Int, Unit::Plain.counted()),
        ("got", Type::Int, Unit::Plain.measured()),
        ("lost", Type::Int, Unit::Plain.measured()),
    ],
    has_speed_up: true,
    plot: "the counter over time",
    watched: &["counter"],
};
