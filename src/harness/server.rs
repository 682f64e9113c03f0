//! The other side: inputs and structures that are kept, and what is done with them.

use std::collections::HashMap;
use std::io;

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
    /// With the bytes that they hold.
    inputs: HashMap<Input, (Box<dyn Case>, u64)>,
    structures: Structures,
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
            Order::Input(input) => Answer::Held(self.input(input)?.1),
            Order::Run { input, variant } => {
                let call = self.input(input)?.0.call(variant)?;
                let meter = Meter::start();
                call();
                Answer::Cost(meter.stop())
            }
            Order::Sample { input, turns: 1, variant, calls, is_cpu } => {
                let call = self.input(input)?.0.call(variant)?;
                Answer::Nanoseconds(called(&*call).time(clock(*is_cpu), *calls)?)
            }
            Order::Sample { input, turns, variant, calls, is_cpu } => {
                let others =
                    (0..*turns as i64).map(|turn| Input { seed: input.seed.wrapping_add(turn), ..input.clone() });
                let others: Vec<Input> = others.collect();
                others.iter().try_for_each(|other| self.input(other).map(drop))?;
                let calls_of = |other| self.inputs[other].0.call(variant);
                let all = others.iter().map(calls_of).collect::<Fallible<Vec<_>>>()?;
                let mut next = all.iter().cycle();
                let mut in_turn = || {
                    next.next().into_iter().for_each(|call| call());
                    Ok(())
                };
                Answer::Nanoseconds(Workload::<Box<Diagnostic>>::time(&mut in_turn, clock(*is_cpu), *calls)?)
            }
            Order::Readings { input, variant, calls } => {
                let call = self.input(input)?.0.call(variant)?;
                let start = Readings::now(&clocks);
                called(&*call).time(clock(false), *calls)?;
                Answer::Readings(Readings::since(&clocks, &start))
            }
            Order::Overhead { is_cpu } => {
                let Overhead { read, call, precision } = Overhead::measure(clock(*is_cpu));
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

    fn input(&mut self, input: &Input) -> Fallible<&(Box<dyn Case>, u64)> {
        if !self.inputs.contains_key(input) {
            let unknown = |what: &str| Diagnostic::new(Kind::Name, format!("there is no {what}"));
            let family = algorithms::find(&input.family).ok_or_else(|| unknown("such family"))?;
            let size = usize::try_from(input.size).map_err(|_| unknown(&format!("input of size {}", input.size)))?;
            measure::flush();
            let before = measure::live();
            let case = family.case(size, input.seed, &input.shape)?;
            measure::flush();
            self.inputs.insert(input.clone(), (case, measure::live().saturating_sub(before)));
        }
        Ok(&self.inputs[input])
    }
}

/// A call as it is timed.
fn called(call: &dyn Fn()) -> impl FnMut() -> Fallible<()> {
    move || {
        call();
        Ok(())
    }
}

fn known(cell: &CellId) -> Fallible<crate::structures::Cell> {
    cell.cell().ok_or_else(|| Diagnostic::new(Kind::Name, "there is no such operation"))
}
