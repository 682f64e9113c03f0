//! Which tasks are to be done, are being done, and are done: what all that work on a stage share.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Fallible};
use crate::run_context::Stop;

/// A task that killed who ran it is not tried more often.
pub const ATTEMPTS: usize = 3;

/// Who waits looks at the stop flag this often.
const LOOK: Duration = Duration::from_millis(10);

/// The tasks of a stage. Workers claim one after the other, and what they give is taken in the order of the tasks,
/// once for each.
pub struct Board<I, T> {
    state: Mutex<State<I, T>>,
    changed: Condvar,
    stop: Stop,
    /// So many tasks may be ahead of the first one whose output was not taken: outputs that wait take memory.
    window: usize,
}

/// A task in the hands of a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim<I> {
    /// Its place in the order of tasks.
    pub number: usize,
    pub part: I,
    /// From 1.
    pub attempt: usize,
}

struct State<I, T> {
    parts: Box<dyn Iterator<Item = I> + Send>,
    /// Those that were lost with who ran them.
    lost: VecDeque<Claim<I>>,
    /// How many parts there were so far, and of how many the output was taken.
    given: usize,
    taken: usize,
    /// Claims that are in somebody's hands.
    open: usize,
    ended: bool,
    done: BTreeMap<usize, Done<T>>,
}

enum Done<T> {
    Output(Fallible<T>),
    /// The worker's own panic goes on where outputs are taken.
    Panic(Box<dyn Any + Send>),
}

impl<I, T> Board<I, T> {
    /// `parts` are what the tasks work on; outputs of type `T` are taken in their order.
    pub fn new(parts: Box<dyn Iterator<Item = I> + Send>, window: usize, stop: Stop) -> Board<I, T> {
        let state =
            State { parts, lost: VecDeque::new(), given: 0, taken: 0, open: 0, ended: false, done: BTreeMap::new() };
        Board { state: Mutex::new(state), changed: Condvar::new(), stop, window: window.max(1) }
    }

    /// The next task, as soon as there is one; none when all are done, or nobody wants more.
    pub fn claim(&self) -> Option<Claim<I>> {
        let mut state = self.lock();
        loop {
            if state.ended || self.stop.is_raised() {
                return None;
            }
            if let Some(lost) = state.lost.pop_front() {
                state.open += 1;
                return Some(lost);
            }
            if state.given < state.taken + self.window {
                match state.parts.next() {
                    Some(part) => {
                        state.given += 1;
                        state.open += 1;
                        return Some(Claim { number: state.given - 1, part, attempt: 1 });
                    }
                    // What is in other hands may still be lost.
                    None if state.open == 0 => {
                        self.changed.notify_all();
                        return None;
                    }
                    None => {}
                }
            }
            state = self.wait(state);
        }
    }

    /// Hands in what a task gave. Of several attempts the first counts.
    pub fn commit(&self, claim: &Claim<I>, output: Fallible<T>) {
        self.finish(claim, Done::Output(output));
    }

    /// Hands in a panic of this thread.
    pub fn panicked(&self, claim: &Claim<I>, panic: Box<dyn Any + Send>) {
        self.finish(claim, Done::Panic(panic));
    }

    /// Who had the task is gone, and nothing of it is left: it is tried again, but not more than [`ATTEMPTS`] times.
    pub fn lose(&self, claim: Claim<I>, error: Box<Diagnostic>) {
        if claim.attempt >= ATTEMPTS {
            return self.commit(&claim, Err(error));
        }
        let mut state = self.lock();
        state.open -= 1;
        state.lost.push_back(Claim { attempt: claim.attempt + 1, ..claim });
        self.changed.notify_all();
    }

    /// Nobody is left to work: what was not done is not done any more.
    pub fn abandon(&self, error: Box<Diagnostic>) {
        let mut state = self.lock();
        let next = state.taken;
        state.done.entry(next).or_insert(Done::Output(Err(error)));
        self.changed.notify_all();
    }

    /// Hands outputs to `take`, in the order of tasks, until it wants no more. When this returns no task is given out
    /// any more, and where outputs of some that run are not wanted, the stop flag is up.
    ///
    /// # Errors
    /// The first one in the order of tasks, and that of `take`.
    pub fn collect(&self, take: &mut dyn FnMut(T) -> Fallible<bool>) -> Fallible<()> {
        let mut ending = Ending { board: self, all: false };
        ending.all = self.collect_all(take)?;
        Ok(())
    }

    /// Whether all outputs were taken.
    fn collect_all(&self, take: &mut dyn FnMut(T) -> Fallible<bool>) -> Fallible<bool> {
        let mut state = self.lock();
        loop {
            self.stop.check()?;
            let next = state.taken;
            match state.done.remove(&next) {
                Some(done) => {
                    drop(state);
                    let wants_more = match done {
                        Done::Output(output) => take(output?)?,
                        Done::Panic(panic) => resume_unwind(panic),
                    };
                    if !wants_more {
                        return Ok(false);
                    }
                    state = self.lock();
                    state.taken += 1;
                    self.changed.notify_all();
                }
                None if state.open == 0 && state.lost.is_empty() && state.given == next => {
                    // Nobody works: there is another part, or that was all.
                    match state.parts.next() {
                        None => return Ok(true),
                        Some(part) => {
                            let claim = Claim { number: state.given, part, attempt: 1 };
                            state.given += 1;
                            state.lost.push_back(claim);
                            self.changed.notify_all();
                        }
                    }
                }
                None => state = self.wait(state),
            }
        }
    }

    fn finish(&self, claim: &Claim<I>, done: Done<T>) {
        let mut state = self.lock();
        state.open -= 1;
        if claim.number >= state.taken {
            state.done.entry(claim.number).or_insert(done);
        }
        self.changed.notify_all();
    }

    fn wait<'s>(&'s self, state: MutexGuard<'s, State<I, T>>) -> MutexGuard<'s, State<I, T>> {
        self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State<I, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Also where `take` panics, nobody waits for what does not come.
struct Ending<'b, I, T> {
    board: &'b Board<I, T>,
    all: bool,
}

impl<I, T> Drop for Ending<'_, I, T> {
    fn drop(&mut self) {
        self.board.lock().ended = true;
        if !self.all {
            self.board.stop.raise();
        }
        self.board.changed.notify_all();
    }
}
