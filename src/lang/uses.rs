//! What a statement may do that needs trust: the way to all uses of stages and engines in it, each of which says it.

use super::ast::{On, Pipeline, Source, SourceNode, Stage, Statement, Variants};
use super::privileges::Privileges;
use super::syntax::Syntax;

impl Statement {
    pub fn privileges(&self, syntax: &dyn Syntax) -> Privileges {
        match self {
            Statement::LetCommand(..) | Statement::RustFunction(_) => Privileges::RUNS_CODE,
            Statement::Let(_, pipeline) | Statement::Spawn(_, pipeline) | Statement::Pipeline(pipeline) => {
                pipeline.privileges(syntax)
            }
            // It listens where only this machine reaches it.
            Statement::LetStore(..) | Statement::Function(_) => Privileges::NONE,
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
            SourceNode::Rust(_) | SourceNode::Command(_) => Privileges::RUNS_CODE,
            SourceNode::Nested(inner) => inner.privileges(syntax),
            SourceNode::Last
            | SourceNode::Range { .. }
            | SourceNode::Read { .. }
            | SourceNode::Generated { .. }
            | SourceNode::Wait(_)
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
