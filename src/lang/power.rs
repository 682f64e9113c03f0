//! What of a cell can do anything that the person can: Rust, and commands of the system's shell.

use super::ast::{Pipeline, SourceNode, Stage, Statement};

impl Statement {
    /// Whether Rust or a command stands somewhere in it.
    pub fn is_powerful(&self) -> bool {
        match self {
            Statement::LetCommand(..) | Statement::RustFunction(_) => true,
            Statement::Let(_, pipeline) | Statement::Pipeline(pipeline) => pipeline.is_powerful(),
            Statement::Function(_) => false,
        }
    }
}

impl Pipeline {
    /// Whether Rust stands somewhere in it.
    pub fn is_powerful(&self) -> bool {
        let source = match &self.source.node {
            SourceNode::Rust(_) => true,
            SourceNode::Nested(inner) => inner.is_powerful(),
            SourceNode::Last
            | SourceNode::Range { .. }
            | SourceNode::Read { .. }
            | SourceNode::Letters { .. }
            | SourceNode::Random { .. }
            | SourceNode::Expr(_) => false,
        };
        source || self.stages.iter().any(Stage::is_powerful)
    }
}

impl Stage {
    fn is_powerful(&self) -> bool {
        let mut branches = self.branches.iter().flat_map(|(_, stages)| stages);
        self.tables.iter().any(Pipeline::is_powerful) || branches.any(Stage::is_powerful)
    }
}
