//! What a cell may do that needs trust: run code, write elsewhere than in the current folder, reach the network.
//! Stages, magics and engines say it of each use; here is the way to all uses in a statement.

use std::ops::BitOr;

use super::ast::{On, Pipeline, Source, SourceNode, Stage, Statement, Variants};
use super::syntax::Syntax;

/// What a use may do beyond computing, reading, and writing ordinary files in the current folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privileges {
    /// Whether it runs code that is not timelab's own.
    pub runs_code: bool,
    /// Whether it writes out of the current folder, or hidden files in it, where other programs look for commands.
    pub writes_elsewhere: bool,
    pub reaches_network: bool,
}

impl Privileges {
    pub const NONE: Privileges = Privileges { runs_code: false, writes_elsewhere: false, reaches_network: false };
    pub const RUNS_CODE: Privileges = Privileges { runs_code: true, ..Privileges::NONE };
    pub const WRITES_ELSEWHERE: Privileges = Privileges { writes_elsewhere: true, ..Privileges::NONE };
    pub const REACHES_NETWORK: Privileges = Privileges { reaches_network: true, ..Privileges::NONE };

    /// For what does the same whatever it is told: nothing of this.
    pub fn none<T: ?Sized>(_: &T) -> Privileges {
        Privileges::NONE
    }

    pub fn any(self) -> bool {
        self != Privileges::NONE
    }

    /// These privileges, where something holds.
    pub fn only_if(self, holds: bool) -> Privileges {
        if holds { self } else { Privileges::NONE }
    }
}

impl BitOr for Privileges {
    type Output = Privileges;

    fn bitor(self, other: Privileges) -> Privileges {
        Privileges {
            runs_code: self.runs_code || other.runs_code,
            writes_elsewhere: self.writes_elsewhere || other.writes_elsewhere,
            reaches_network: self.reaches_network || other.reaches_network,
        }
    }
}

impl FromIterator<Privileges> for Privileges {
    fn from_iter<I: IntoIterator<Item = Privileges>>(all: I) -> Privileges {
        all.into_iter().fold(Privileges::NONE, BitOr::bitor)
    }
}

impl Statement {
    pub fn privileges(&self, syntax: &dyn Syntax) -> Privileges {
        match self {
            Statement::LetCommand(..) | Statement::RustFunction(_) => Privileges::RUNS_CODE,
            Statement::Let(_, pipeline) | Statement::Pipeline(pipeline) => pipeline.privileges(syntax),
            Statement::Function(_) => Privileges::NONE,
        }
    }
}

impl Pipeline {
    pub fn privileges(&self, syntax: &dyn Syntax) -> Privileges {
        let engine = self.on.iter().map(|on| engine_privileges(on, syntax));
        let stages = self.stages.iter().map(|stage| stage.privileges(syntax));
        engine.chain(stages).collect::<Privileges>() | self.source.privileges(syntax)
    }
}

impl Variants {
    pub fn privileges(&self, syntax: &dyn Syntax) -> Privileges {
        let block = self.block.iter().map(|variant| &variant.pipeline);
        self.shared.iter().chain(block).map(|pipeline| pipeline.privileges(syntax)).collect()
    }
}

impl Source {
    fn privileges(&self, syntax: &dyn Syntax) -> Privileges {
        match &self.node {
            SourceNode::Rust(_) => Privileges::RUNS_CODE,
            SourceNode::Nested(inner) => inner.privileges(syntax),
            SourceNode::Last
            | SourceNode::Range { .. }
            | SourceNode::Read { .. }
            | SourceNode::Letters { .. }
            | SourceNode::Random { .. }
            | SourceNode::Expr(_) => Privileges::NONE,
        }
    }
}

impl Stage {
    fn privileges(&self, syntax: &dyn Syntax) -> Privileges {
        let tables = self.tables.iter().map(|table| table.privileges(syntax));
        let branches = self.branches.iter().flat_map(|(_, stages)| stages).map(|stage| stage.privileges(syntax));
        tables.chain(branches).collect::<Privileges>() | syntax.stage_privileges(self)
    }
}

fn engine_privileges(on: &On, syntax: &dyn Syntax) -> Privileges {
    syntax.engine_privileges(&on.engine.text, &on.options)
}

/// Whether a path leads out of the current folder, or to a hidden file in it.
pub fn is_outside(path: &str) -> bool {
    path.starts_with(['/', '~']) || path.split('/').any(|part| part.starts_with('.') && part != ".")
}
