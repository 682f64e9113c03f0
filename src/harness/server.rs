//! The other side: inputs and structures that are kept, and what is done with them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::time::{Duration, Instant};

use crate::algorithms::{self, Case};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::measure::{self, Clock, Clocks, Meter, Overhead, Readings, Workload};
use crate::schedule::workers::{own_socket, receive, send};
use crate::service::Program;

use super::order::{Answer, CellId, Input, Order};
use super::structures::Structures;

pub static PROGRAM: Program = Program { name: "harness", run: serve };

fn serve(arguments: &[String]) -> io::Result<()> {
    if let Some(memory) = arguments.first().and_then(|memory| memory.parse().ok()) {
        let limit = libc::rlimit { rlim_cur: memory, rlim_max: memory };
        // SAFETY: the system reads the structure. Without a limit it goes on all the same.
        unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
    }
    let socket = own_socket()?;
    let mut server = Server::default();
    loop {
        let (order, _) = receive::<Order>(&socket)?;
        let (answer, bytes) = server.answer(&order);
        send(&socket, &answer, &bytes)?;
    }
}

/// Does what it is asked; whoever asks waits.
#[derive(Default)]
pub struct Server {
    clocks: Clocks,
    inputs: HashMap<Input, Inputs>,
    structures: Structures,
}

/// An input, and others of the same size and shape.
struct Inputs {
    first: Box<dyn Case>,
    /// The bytes that it holds.
    bytes: u64,
    /// Made where calls are timed.
    others: Option<Vec<Box<dyn Case>>>,
}

impl Server {
    pub fn answer(&mut self, order: &Order) -> (Answer, Vec<u8>) {
        self.done(order).unwrap_or_else(|error| (Answer::Failed(error), Vec::new()))
    }

    fn done(&mut self, order: &Order) -> Fallible<(Answer, Vec<u8>)> {
        let clocks = self.clocks.clone();
        let clock = |is_cpu: bool| -> &dyn Clock { if is_cpu { &*clocks.cpu } else { &*clocks.wall } };
        let bytes = |numbers: Vec<u64>| numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        let answer = match order {
            Order::Input(input) => Answer::Held(self.inputs(input)?.bytes),
            Order::Run { input, variant } => {
                let call = self.inputs(input)?.first.call(variant)?;
                let meter = Meter::start();
                call();
                Answer::Cost(meter.stop())
            }
            Order::Sample { input, variant, calls, is_cpu } => {
                let each = self.calls(input, variant, *calls)?;
                Answer::Nanoseconds(in_turn(&each).time(clock(*is_cpu), *calls)?)
            }
            Order::Readings { input, variant, calls } => {
                let each = self.calls(input, variant, *calls)?;
                let start = Readings::now(&clocks);
                in_turn(&each).time(clock(false), *calls)?;
                Answer::Readings(Readings::since(&clocks, &start))
            }
            Order::Overhead { is_cpu } => {
                let nothing: Vec<Box<dyn Fn()>> = (0..NOTHING).map(|_| Box::new(|| ()) as Box<dyn Fn()>).collect();
                let Overhead { read, call, precision } = Overhead::of(clock(*is_cpu), &mut in_turn(&nothing))?;
                Answer::Overhead { read, call, precision }
            }
            Order::Time { cell, size } => Answer::Timed(self.structures.time(&clocks, &known(cell)?, *size)),
            Order::Mix { cells, size } => {
                let cells =
                    cells.iter().map(|(cell, share)| Ok((known(cell)?, *share))).collect::<Fallible<Vec<_>>>()?;
                Answer::Mixed(self.structures.mix(&clocks, &cells, *size))
            }
            Order::Additions { cell, size, together } => {
                return Ok((
                    Answer::Numbers,
                    bytes(self.structures.additions(&clocks, &known(cell)?, *size, *together)),
                ));
            }
            Order::Allocations { cell, size } => {
                return Ok((Answer::Numbers, bytes(self.structures.allocations(&known(cell)?, *size))));
            }
        };
        Ok((answer, Vec::new()))
    }

    /// What to time: calls on several inputs in turn, which begin with the one that was asked for. A processor learns
    /// the branches of a short run on one input by heart: sorting the same 500 numbers again and again took a third of
    /// the time of sorting others.
    fn calls(&mut self, input: &Input, variant: &str, calls: u64) -> Fallible<Vec<Box<dyn Fn() + '_>>> {
        let inputs = self.inputs(input)?;
        if calls > 1 && inputs.others.is_none() {
            inputs.others = Some(others(input, inputs.bytes)?);
        }
        let others = inputs.others.iter().flatten().take(calls.saturating_sub(1) as usize);
        std::iter::once(&inputs.first).chain(others).map(|case| case.call(variant)).collect()
    }

    fn inputs(&mut self, input: &Input) -> Fallible<&mut Inputs> {
        Ok(match self.inputs.entry(input.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                measure::flush();
                let before = measure::live();
                let first = made(input, input.seed)?;
                measure::flush();
                place.insert(Inputs { first, bytes: measure::live().saturating_sub(before), others: None })
            }
        })
    }
}

/// Inputs of the following seeds: not so many that they would fill the nearest caches, or take long to make.
fn others(input: &Input, bytes: u64) -> Fallible<Vec<Box<dyn Case>>> {
    const BYTES: u64 = 128 << 10;
    const MOST: u64 = 1 << 10;
    const TIME: Duration = Duration::from_millis(20);
    let start = Instant::now();
    let count = (BYTES / bytes.max(1)).min(MOST) as i64;
    let seeds = (1..count).map(|next| input.seed.wrapping_add(next)).take_while(|_| start.elapsed() < TIME);
    seeds.map(|seed| made(input, seed)).collect()
}

fn made(input: &Input, seed: i64) -> Fallible<Box<dyn Case>> {
    let unknown = |what: &str| Diagnostic::new(Kind::Name, format!("there is no {what}"));
    let family = algorithms::find(&input.family).ok_or_else(|| unknown("such family"))?;
    let size = usize::try_from(input.size).map_err(|_| unknown(&format!("input of size {}", input.size)))?;
    family.case(size, seed, &input.shape)
}

/// As many calls of nothing as there may be of an algorithm.
const NOTHING: usize = 64;

/// Calls one after the other, as they are timed.
fn in_turn(calls: &[Box<dyn Fn() + '_>]) -> impl FnMut() -> Fallible<()> {
    let mut next = calls.iter().cycle();
    move || {
        if let Some(call) = next.next() {
            call();
        }
        Ok(())
    }
}

fn known(cell: &CellId) -> Fallible<crate::structures::Cell> {
    cell.cell().ok_or_else(|| Diagnostic::new(Kind::Name, "there is no such operation"))
}
