//! The stages: each checks its arguments and adds ops to the plan.

pub mod agg;
mod columns;
mod distinct;
mod filter;
mod flat_map;
mod fold;
mod group;
mod iterate;
mod join;
mod keep;
mod map;
mod mapreduce;
mod output;
mod reduce;
mod slice;
mod sort;
mod together;

use crate::diagnostic::Fallible;
use crate::lang::{self, Privileges, StageSyntax};
use crate::plan::{Builder, Plan};

pub struct Stage {
    pub syntax: StageSyntax,
    /// One line for help and completion.
    pub about: &'static str,
    /// A cell, and what it prints as csv. The tests run them on every engine.
    pub examples: &'static [(&'static str, &'static str)],
    /// What a use of it may do that needs trust, apart from the tables and branches that stand in it.
    pub privileges: fn(&lang::Stage) -> Privileges,
    /// Adds what the stage means to the plan; the tables that it names are bound already.
    pub bind: fn(&mut Builder, &lang::Stage, Vec<Plan>) -> Fallible<()>,
}

/// All stages, in the order of the help.
pub static ALL: &[&Stage] = &[
    &map::MAP,
    &map::SELECT,
    &columns::DERIVE,
    &columns::ENUMERATE,
    &columns::DROP,
    &columns::RENAME,
    &filter::FILTER,
    &flat_map::FLAT_MAP,
    &flat_map::WORDS,
    &flat_map::CHARS,
    &slice::TAKE,
    &slice::SKIP,
    &slice::SAMPLE,
    &sort::SORT,
    &sort::TOP,
    &sort::REVERSE,
    &distinct::DISTINCT,
    &agg::AGG,
    &agg::COUNT,
    &agg::SUM,
    &agg::MEAN,
    &agg::MIN,
    &agg::MAX,
    &agg::MEDIAN,
    &group::GROUP,
    &reduce::REDUCE,
    &mapreduce::MAPREDUCE,
    &fold::FOLD,
    &fold::SCAN,
    &iterate::ITERATE,
    &join::JOIN,
    &together::CONCAT,
    &together::ZIP,
    &together::PAIRS,
    &keep::PERSIST,
    &keep::PEEK,
    &output::TEE,
    &output::WRITE,
];

/// Other names of stages, of tools where they mean exactly the same.
pub const ALIASES: [(&str, &str); 3] = [("where", "filter"), ("head", "take"), ("limit", "take")];

/// The stage of this name, or of which it is another name.
pub fn find(name: &str) -> Option<&'static Stage> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, stage)| stage);
    ALL.iter().copied().find(|stage| stage.syntax.name == name)
}
