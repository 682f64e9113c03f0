//! What of a cell can do anything that the person can: Rust, commands of the system's shell, and files that are written
//! where other programs look for commands.

use super::ast::{Node, Pipeline, SourceNode, Stage, Statement};

impl Statement {
    /// Whether Rust or a command stands somewhere in it.
    pub fn is_privileged(&self) -> bool {
        match self {
            Statement::LetCommand(..) | Statement::RustFunction(_) => true,
            Statement::Let(_, pipeline) | Statement::Pipeline(pipeline) => pipeline.is_privileged(),
            Statement::Function(_) => false,
        }
    }
}

impl Pipeline {
    /// Whether Rust stands somewhere in it.
    pub fn is_privileged(&self) -> bool {
        let source = match &self.source.node {
            SourceNode::Rust(_) => true,
            SourceNode::Nested(inner) => inner.is_privileged(),
            SourceNode::Last
            | SourceNode::Range { .. }
            | SourceNode::Read { .. }
            | SourceNode::Letters { .. }
            | SourceNode::Random { .. }
            | SourceNode::Expr(_) => false,
        };
        source || self.stages.iter().any(Stage::is_privileged)
    }
}

impl Stage {
    fn is_privileged(&self) -> bool {
        let mut branches = self.branches.iter().flat_map(|(_, stages)| stages);
        let writes_outside = self.name.text == "write"
            && self.args.iter().any(|arg| !matches!(&arg.expr.node, Node::Text(path) if !is_outside(path)));
        writes_outside || self.tables.iter().any(Pipeline::is_privileged) || branches.any(Stage::is_privileged)
    }
}

/// Whether a path leads out of the current folder, or to a hidden file in it.
pub fn is_outside(path: &str) -> bool {
    path.starts_with(['/', '~']) || path.split('/').any(|part| part.starts_with('.') && part != ".")
}
