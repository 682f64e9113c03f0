//! Blocks of Rust whose stacks are sampled while they run.

use std::collections::HashMap;

use crate::commands::{Outermost, Sampler};
use crate::diagnostic::{Fallible, Span};
use crate::engines::{self, Choice};
use crate::lang::RustBlock;
use crate::profiles::{Function, Profile};
use crate::run_context::RunContext;
use crate::rust::{BlockValue, Cost};

use super::Session;
use super::bind::View;
use super::programs::{Preload, SamplerKind, not_sampled};
use super::rust::block_part;

/// The module of what stands in cells.
pub const CELLS: &str = "cells";
/// The name of the block that is sampled.
const BLOCK: &str = "the block";
/// The crate as which cells are compiled.
const COMPILED: &str = "ctx";

impl Session {
    /// Runs a block once, and samples it. It is compiled for that with frame pointers and lines.
    pub fn sample_block(
        &mut self,
        written: &RustBlock,
        kind: Option<SamplerKind>,
        context: &RunContext,
    ) -> Fallible<(BlockValue, Cost, Profile)> {
        let at = |error: Box<crate::diagnostic::Diagnostic>| error.or_at(written.body.span);
        let (subject, fillings, span) = block_part(&View::of(self), written)?;
        let mut library = self.rust.library_for_samples(&subject, context)?;
        let choice = Choice::only(engines::DEFAULT);
        let inputs = fillings.iter().map(|(name, filling)| self.input(name, filling, span, choice, context));
        let inputs = inputs.collect::<Fallible<Vec<_>>>()?;
        let mut worker = self.rust.open(&mut library, &inputs, context)?;
        let attached = match kind {
            Some(SamplerKind::Preload) => None,
            _ => Some(Sampler::attach(worker.process())),
        };
        let (given, cost, mut profile) = match attached {
            Some(Ok(mut sampler)) => {
                let (given, cost) = worker.call_and_look(0, &mut || sampler.take()).map_err(at)?;
                (given, cost, sampler.profile(IN_CELL))
            }
            Some(Err(refusal)) if kind.is_some() => return Err(at(not_sampled(&refusal, ""))),
            _ => {
                let preload = Preload::build().map_err(at)?;
                worker.load_sampler(&preload.library, &preload.samples).map_err(at)?;
                let (given, cost) = worker.call(0).map_err(at)?;
                let profile = preload.profile(cost.run.cpu, IN_CELL).map_err(at)?;
                (given, cost, profile)
            }
        };
        self.name_cells(&mut profile, span);
        Ok((given, cost, profile))
    }

    /// Functions of cells by the names and the places that they have there; the block itself is at `span`.
    fn name_cells(&self, profile: &mut Profile, span: Span) {
        let mut sources: HashMap<String, Vec<String>> = HashMap::new();
        for function in profile.functions.iter_mut().filter(|function| is_of_cells(function)) {
            let file = function.file.take().unwrap_or_default();
            let lines = sources.entry(file).or_insert_with_key(|file| {
                let text = std::fs::read_to_string(file).unwrap_or_default();
                text.lines().map(str::to_string).collect()
            });
            let line = function.line.take().and_then(|line| lines.get(line.checked_sub(1)? as usize));
            function.module = CELLS.to_string();
            function.name = name_in_cell(&function.name);
            let place = match function.name == BLOCK {
                true => self.text(span.cell).and_then(|text| text.get(..span.start as usize)).map(|before| {
                    let line = before.matches('\n').count() as u32 + 1;
                    (self.next_cell(), line)
                }),
                false => line.and_then(|line| self.line_of_a_cell(line)),
            };
            if let Some((cell, line)) = place {
                function.file = Some(format!("cell {cell}"));
                function.line = Some(line);
            }
        }
    }

    /// The newest cell that has a line which reads like this, and its number there.
    fn line_of_a_cell(&self, line: &str) -> Option<(usize, u32)> {
        let wanted = line.trim();
        let found = |text: &str| text.lines().position(|own| is_in(wanted, own)).map(|at| at as u32 + 1);
        if wanted.len() < SHORTEST {
            return None;
        }
        // The cell that runs is the last text and was not entered yet.
        if let Some(line) = self.last_text().and_then(found) {
            return Some((self.next_cell(), line));
        }
        let entered = self.entered().iter().enumerate().rev();
        entered.filter_map(|(at, cell)| found(&cell.text).map(|line| (at + 1, line))).next()
    }
}

/// A line of fewer characters is that of many places.
const SHORTEST: usize = 3;

const IN_CELL: Outermost = Outermost::Function(is_call_of_a_cell);

/// Whether a function calls what stands in a cell, for who has asked for it.
fn is_call_of_a_cell(name: &str) -> bool {
    name.contains("timelab_cell::") && name.ends_with("Callable>::call")
}

fn is_of_cells(function: &Function) -> bool {
    function.module == COMPILED
}

/// Whether a compiled line is this line of a cell, whose block may begin or end in it.
fn is_in(compiled: &str, own: &str) -> bool {
    let own = own.trim();
    own == compiled || own.contains(compiled)
}

/// A name without what cells are wrapped into: `ctx::run_user_code_3::{closure#0}::fib` is `fib`, and the block itself
/// is `the block`.
fn name_in_cell(name: &str) -> String {
    let mut plain = name.replace("{{closure}}", "{closure}").replace(&format!("{COMPILED}::"), "");
    while let Some(start) = plain.find("run_user_code_") {
        let end = plain[start..].find("::").map_or(plain.len(), |end| start + end + 2);
        plain.replace_range(start..end, "");
    }
    let inside = plain.split("::").skip_while(|part| part.starts_with("{closure")).collect::<Vec<_>>().join("::");
    if inside.is_empty() { BLOCK.to_string() } else { inside }
}
