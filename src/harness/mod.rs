//! A process of this program that runs algorithms of families and operations on structures for whoever measures them.
//! Such work knows no stop flag, and one call may take seconds: a process can be ended at any moment, and leaves
//! neither memory nor work behind.

mod order;
mod process;
mod server;
mod structures;

use std::cell::{self, RefCell};

use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::measure::{Clock, Clocks, Cost, Overhead, Readings, Workload};
use crate::run_context::{RunContext, Stop};
use crate::structures::Cell;

use order::{Answer, CellId, Order};
use process::Process;
use server::Server;

pub use order::{Input, Mixed, Timed};
pub use server::PROGRAM;
pub use structures::{MANY, ROUNDS};

/// The process, which is started at first need, and anew where it was ended.
pub struct Harness {
    place: RefCell<Place>,
    /// The most bytes of address space that it may have.
    memory: u64,
}

enum Place {
    /// There is none yet, or no more.
    Nowhere,
    Process(Process),
    /// Where the system starts none, the work is done here, and ends when it is done.
    Here(Box<Server>),
}

impl Harness {
    pub fn new(context: &RunContext) -> Harness {
        // For the program itself and what else it maps.
        const ROOM: u64 = 2 << 30;
        Harness { place: RefCell::new(Place::Nowhere), memory: context.memory.saturating_add(ROOM) }
    }

    /// A variant of a family on one input.
    pub fn algorithm<'h>(&'h self, input: Input, variant: &'static str, is_parallel: bool) -> Algorithm<'h> {
        Algorithm { harness: self, input, turns: cell::Cell::new(1), variant, is_parallel }
    }

    /// What one operation takes on a structure of this size.
    ///
    /// # Errors
    /// [`Kind::Stopped`], and where the process has ended.
    pub fn time(&self, cell: &Cell, size: usize, stop: &Stop) -> Fallible<Timed> {
        match self.ask(&Order::Time { cell: CellId::of(cell), size }, stop)? {
            (Answer::Timed(timed), _) => Ok(timed),
            _ => Err(misunderstood()),
        }
    }

    /// What one operation of a mix takes, in each of [`ROUNDS`] rounds: cells of one kind, with their shares of 1.
    ///
    /// # Errors
    /// As [`Harness::time`].
    pub fn mix(&self, cells: &[(Cell, f64)], size: usize, stop: &Stop) -> Fallible<Mixed> {
        let cells = cells.iter().map(|(cell, share)| (CellId::of(cell), *share)).collect();
        match self.ask(&Order::Mix { cells, size }, stop)? {
            (Answer::Mixed(mixed), _) => Ok(mixed),
            _ => Err(misunderstood()),
        }
    }

    /// The nanoseconds of each addition to an empty structure, or of [`MANY`] together, by the clock of the wall.
    ///
    /// # Errors
    /// As [`Harness::time`].
    pub fn additions(&self, cell: &Cell, size: usize, together: bool, stop: &Stop) -> Fallible<Vec<u64>> {
        self.numbers(&Order::Additions { cell: CellId::of(cell), size, together }, stop)
    }

    /// The bytes that each addition allocates.
    ///
    /// # Errors
    /// As [`Harness::time`].
    pub fn allocations(&self, cell: &Cell, size: usize, stop: &Stop) -> Fallible<Vec<u64>> {
        self.numbers(&Order::Allocations { cell: CellId::of(cell), size }, stop)
    }

    /// What measuring costs by a clock.
    ///
    /// # Errors
    /// As [`Harness::time`].
    pub fn overhead(&self, is_cpu: bool, stop: &Stop) -> Fallible<Overhead> {
        match self.ask(&Order::Overhead { is_cpu }, stop)? {
            (Answer::Overhead { read, call, precision }, _) => Ok(Overhead { read, call, precision }),
            _ => Err(misunderstood()),
        }
    }

    fn numbers(&self, order: &Order, stop: &Stop) -> Fallible<Vec<u64>> {
        let (_, bytes) = self.ask(order, stop)?;
        Ok(bytes.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("these are eight"))).collect())
    }

    fn ask(&self, order: &Order, stop: &Stop) -> Fallible<(Answer, Vec<u8>)> {
        stop.check()?;
        let mut place = self.place.borrow_mut();
        if let Place::Nowhere = *place {
            *place = match Process::start(self.memory) {
                Ok(process) => Place::Process(process),
                Err(_) => Place::Here(Box::default()),
            };
        }
        let (answer, bytes) = match &mut *place {
            Place::Process(process) => {
                let answer = process.ask(order, stop);
                if answer.is_err() {
                    // It may be in the middle of the work.
                    *place = Place::Nowhere;
                }
                answer?
            }
            Place::Here(server) => server.answer(order),
            Place::Nowhere => unreachable!("it was just started"),
        };
        match answer {
            Answer::Failed(error) => Err(error),
            answer => Ok((answer, bytes)),
        }
    }
}

fn misunderstood() -> Box<Diagnostic> {
    Diagnostic::new(Kind::System, "the process that runs the work gave another answer")
}

/// A variant of a family on one input, which the process makes.
pub struct Algorithm<'h> {
    harness: &'h Harness,
    input: Input,
    turns: cell::Cell<usize>,
    variant: &'static str,
    is_parallel: bool,
}

impl Algorithm<'_> {
    /// The bytes that its input holds.
    ///
    /// # Errors
    /// [`Kind::Stopped`], where there is no such input, and where the process has ended.
    pub fn held(&self, context: &RunContext) -> Fallible<u64> {
        match self.harness.ask(&Order::Input(self.input.clone()), &context.stop)? {
            (Answer::Held(bytes), _) => Ok(bytes),
            _ => Err(misunderstood()),
        }
    }

    /// What one run costs.
    ///
    /// # Errors
    /// As [`Algorithm::held`].
    pub fn cost(&self, context: &RunContext) -> Fallible<Cost> {
        let order = Order::Run { input: self.input.clone(), variant: self.variant.to_string() };
        match self.harness.ask(&order, &context.stop)? {
            (Answer::Cost(cost), _) => Ok(cost),
            _ => Err(misunderstood()),
        }
    }

    /// Whether samples are to run on so many inputs in turn, which differ in their seeds.
    pub fn take_turns(&self, turns: usize) {
        self.turns.set(turns);
    }

    /// What is timed.
    pub fn workload<'a>(&'a self, context: &'a RunContext) -> Box<dyn Workload<Box<Diagnostic>> + 'a> {
        Box::new(Called { algorithm: self, stop: &context.stop })
    }

    /// Whether it uses several threads.
    pub fn is_parallel(&self) -> bool {
        self.is_parallel
    }
}

struct Called<'a> {
    algorithm: &'a Algorithm<'a>,
    stop: &'a Stop,
}

impl Workload<Box<Diagnostic>> for Called<'_> {
    fn time(&mut self, clock: &dyn Clock, calls: u64) -> Fallible<u64> {
        let Algorithm { harness, input, turns, variant, .. } = self.algorithm;
        let (input, turns, variant) = (input.clone(), turns.get(), variant.to_string());
        match harness.ask(&Order::Sample { input, turns, variant, calls, is_cpu: clock.is_cpu() }, self.stop)? {
            (Answer::Nanoseconds(time), _) => Ok(time),
            _ => Err(misunderstood()),
        }
    }

    fn readings(&mut self, _: &Clocks, calls: u64) -> Fallible<Readings> {
        let Algorithm { harness, input, variant, .. } = self.algorithm;
        let (input, variant) = (input.clone(), variant.to_string());
        match harness.ask(&Order::Readings { input, variant, calls }, self.stop)? {
            (Answer::Readings(readings), _) => Ok(readings),
            _ => Err(misunderstood()),
        }
    }

    fn overhead(&self, clock: &dyn Clock) -> Option<Overhead> {
        self.algorithm.harness.overhead(clock.is_cpu(), self.stop).ok()
    }
}
