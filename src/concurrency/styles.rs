//! The same waiting requests in four styles, each on one thread. A request waits twice: until it is connected, and for
//! its answer.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use tokio::time::sleep;

/// A way to write down what happens after each wait.
pub struct Style {
    pub name: &'static str,
    pub about: &'static str,
    pub run: fn(&Requests) -> io::Result<()>,
}

pub const ALL: [Style; 4] = [
    Style { name: "callbacks", about: "the next step is a function that is passed along", run: callbacks },
    Style { name: "futures", about: "values that arrive later, combined with `then`", run: futures },
    Style {
        name: "async/await",
        about: "reads like blocking code; the compiler turns it into a future",
        run: async_await,
    },
    Style {
        name: "poll loop",
        about: "a list of states that is checked again and again, without a runtime",
        run: poll_loop,
    },
];

impl Style {
    /// Its function, as it is written here. It relies on rustfmt: what stands at the first column begins or ends an
    /// item.
    pub fn source(&self) -> &'static str {
        let text = include_str!("styles.rs");
        let name = self.name.replace(['/', ' '], "_");
        let start = text.find(&format!("\nfn {name}(")).map_or(0, |at| at + 1);
        let end = text[start..].find("\n}\n").map_or(text.len(), |at| start + at + "\n}".len());
        &text[start..end]
    }
}

/// Requests, and what is seen of them while they wait.
pub struct Requests<'a> {
    pub number: usize,
    pub stopped: &'a dyn Fn() -> bool,
    waiting: Cell<usize>,
    peak: Cell<usize>,
    done: Cell<usize>,
    threads: RefCell<HashSet<ThreadId>>,
}

impl<'a> Requests<'a> {
    pub fn new(number: usize, stopped: &'a dyn Fn() -> bool) -> Requests<'a> {
        let zero = || Cell::new(0);
        Requests { number, stopped, waiting: zero(), peak: zero(), done: zero(), threads: RefCell::default() }
    }

    /// How long it takes until a request is connected, and then until its answer is there.
    pub fn times(&self, request: usize) -> (Duration, Duration) {
        let spread = |from: u64, to: u64| Duration::from_millis(from + request as u64 * 7 % (to - from));
        (spread(2, 10), spread(20, 60))
    }

    /// How long all of them would take one after the other.
    pub fn total(&self) -> Duration {
        (0..self.number).map(|request| self.times(request)).map(|(connecting, answering)| connecting + answering).sum()
    }

    fn begins(&self) {
        self.waiting.set(self.waiting.get() + 1);
        self.peak.set(self.peak.get().max(self.waiting.get()));
        self.threads.borrow_mut().insert(std::thread::current().id());
    }

    fn ends(&self) {
        self.waiting.set(self.waiting.get() - 1);
        self.done.set(self.done.get() + 1);
        self.threads.borrow_mut().insert(std::thread::current().id());
    }

    pub fn done(&self) -> usize {
        self.done.get()
    }

    /// The most that waited at the same time.
    pub fn peak(&self) -> usize {
        self.peak.get()
    }

    /// The threads on which requests began and ended.
    pub fn threads(&self) -> usize {
        self.threads.borrow().len()
    }
}

fn callbacks(requests: &Requests) -> io::Result<()> {
    let mut event_loop = EventLoop::default();
    for request in 0..requests.number {
        let (connecting, answering) = requests.times(request);
        requests.begins();
        event_loop.after(connecting, "connected", move |event_loop| {
            event_loop.after(answering, "answered", move |_| requests.ends());
        });
    }
    event_loop.run(requests.stopped);
    Ok(())
}

fn futures(requests: &Requests) -> io::Result<()> {
    let all = (0..requests.number).map(|request| {
        let (connecting, answering) = requests.times(request);
        requests.begins();
        let end = move || {
            requests.ends();
            std::future::ready(())
        };
        Box::pin(then(sleep(connecting), move || then(sleep(answering), end))) as Boxed
    });
    on_runtime(all, requests.stopped)
}

fn async_await(requests: &Requests) -> io::Result<()> {
    let all = (0..requests.number).map(|request| {
        Box::pin(async move {
            let (connecting, answering) = requests.times(request);
            requests.begins();
            sleep(connecting).await;
            sleep(answering).await;
            requests.ends();
        }) as Boxed
    });
    on_runtime(all, requests.stopped)
}

fn poll_loop(requests: &Requests) -> io::Result<()> {
    enum State {
        Connecting { due: Instant, answering: Duration },
        Answering { due: Instant },
    }
    let begin = |request| {
        let (connecting, answering) = requests.times(request);
        requests.begins();
        State::Connecting { due: Instant::now() + connecting, answering }
    };
    let mut open: Vec<State> = (0..requests.number).map(begin).collect();
    while !open.is_empty() && !(requests.stopped)() {
        let now = Instant::now();
        open.retain_mut(|state| match *state {
            State::Connecting { due, answering } if due <= now => {
                *state = State::Answering { due: now + answering };
                true
            }
            State::Answering { due } if due <= now => {
                requests.ends();
                false
            }
            State::Connecting { .. } | State::Answering { .. } => true,
        });
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

type Callback<'a> = Box<dyn FnOnce(&mut EventLoop<'a>) + 'a>;

/// Timers in the order in which they are due, and the functions that are to be called then.
#[derive(Default)]
struct EventLoop<'a> {
    /// Since the loop began to run.
    now: Duration,
    timers: BinaryHeap<Reverse<(Duration, u64, &'static str)>>,
    callbacks: HashMap<u64, Callback<'a>>,
    last: u64,
}

impl<'a> EventLoop<'a> {
    fn after(&mut self, delay: Duration, what: &'static str, callback: impl FnOnce(&mut EventLoop<'a>) + 'a) {
        self.last += 1;
        self.timers.push(Reverse((self.now + delay, self.last, what)));
        self.callbacks.insert(self.last, Box::new(callback));
    }

    /// Calls what is due next, as if its time had come.
    fn step(&mut self) -> Option<&'static str> {
        let Reverse((due, id, what)) = self.timers.pop()?;
        self.now = self.now.max(due);
        let callback = self.callbacks.remove(&id)?;
        callback(self);
        Some(what)
    }

    fn run(&mut self, stopped: &dyn Fn() -> bool) {
        const MOMENT: Duration = Duration::from_millis(10);
        let begin = Instant::now();
        while let Some(Reverse((due, ..))) = self.timers.peek() {
            let left = due.saturating_sub(begin.elapsed());
            if stopped() {
                return;
            }
            if left.is_zero() {
                self.now = begin.elapsed();
                self.step();
            } else {
                std::thread::sleep(left.min(MOMENT));
            }
        }
    }
}

/// A moment of an event loop.
pub struct Moment {
    pub time: Duration,
    /// What it called.
    pub runs: String,
    /// What waits then, in the order in which it is due: when, and what.
    pub queue: Vec<String>,
}

/// What an event loop does with three requests, in a time of its own.
pub fn trace() -> Vec<Moment> {
    let mut event_loop = EventLoop::default();
    // A request is connected after so many milliseconds, and answered after so many more.
    for (connected, answered, connects, answers) in
        [("a connected", "a answered", 1, 9), ("b connected", "b answered", 3, 3), ("c connected", "c answered", 2, 6)]
    {
        event_loop.after(Duration::from_millis(connects), connected, move |event_loop| {
            event_loop.after(Duration::from_millis(answers), answered, |_| {});
        });
    }
    let queue = |event_loop: &EventLoop| {
        let mut all: Vec<_> = event_loop.timers.iter().map(|Reverse(timer)| *timer).collect();
        all.sort_unstable();
        all.iter().map(|(due, _, what)| format!("{} ms: {what}", due.as_millis())).collect()
    };
    let mut moments = vec![Moment { time: Duration::ZERO, runs: String::new(), queue: queue(&event_loop) }];
    while let Some(what) = event_loop.step() {
        moments.push(Moment { time: event_loop.now, runs: what.to_string(), queue: queue(&event_loop) });
    }
    moments
}

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A future, and the one that is made when it is ready.
fn then<'a, B: Future<Output = ()> + 'a>(
    first: impl Future<Output = ()> + 'a,
    next: impl FnOnce() -> B + 'a,
) -> impl Future<Output = ()> + 'a {
    let (mut first, mut second): (Boxed, Option<Boxed>) = (Box::pin(first), None);
    let mut next = Some(next);
    std::future::poll_fn(move |context: &mut Context| {
        if second.is_none() {
            if first.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            second = next.take().map(|next| Box::pin(next()) as Boxed);
        }
        second.as_mut().map_or(Poll::Ready(()), |second| second.as_mut().poll(context))
    })
}

/// Runs futures on one thread, until all are ready or it is stopped: one of them wakes it every few milliseconds.
fn on_runtime<'a>(all: impl Iterator<Item = Boxed<'a>>, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    // A timer is made inside the runtime.
    let entered = runtime.enter();
    let mut open: Vec<Boxed> = all.collect();
    drop(entered);
    runtime.block_on(std::future::poll_fn(|context| {
        open.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if open.is_empty() || stopped() { Poll::Ready(()) } else { Poll::Pending }
    }));
    Ok(())
}
