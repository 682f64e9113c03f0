//! What the parser is told about stages and magics: their shapes, never their meaning. And what trust needs to know.

use super::ast::{Expr, Stage, Word};
use super::privileges::Privileges;

/// How the arguments of a stage are written. The grammar over the parser says what each looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentSyntax {
    /// Expressions with commas between, from `least` to `most` of them; then `by`.
    Args {
        least: usize,
        most: usize,
        /// `name = e` is allowed.
        named: bool,
        /// `asc` or `desc` may follow the arguments or stand at each `by` item.
        directed: bool,
        by: By,
    },
    /// `a as b, …`
    Renames,
    /// A start, then an expression.
    Fold,
    /// `"text"`, or `[left|semi|anti] TABLE on key, …`
    Join,
    /// TABLEs with commas between, or none.
    Tables,
    /// `[n] ["label"]`
    Peek,
    /// `name: (stages), …`
    Tee,
    /// `"path" [as FORMAT]`
    Write,
    /// Any of these words, each once.
    Words(&'static [&'static str]),
    /// `n { stages }` or `until e { stages }`: the number or the condition is the only argument, `until` the kind, and
    /// the stages the only branch.
    Iterate,
    /// `map = (key, value) into NAME, NAME reduce = e [combine = e]`. Key and value are the first two arguments, with
    /// the names of their columns; then come `reduce` and `combine`, with these words as their names.
    MapReduce,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    No,
    Optional,
    Required,
}

#[derive(Debug, Clone, Copy)]
pub struct StageSyntax {
    pub name: &'static str,
    /// How it is written, for help and errors: `sort by e [asc|desc], …`
    pub usage: &'static str,
    pub shape: ArgumentSyntax,
    /// Options after the arguments, each with one value.
    pub options: &'static [&'static str],
}

/// What a magic takes after its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One statement.
    Statement,
    /// One statement, or a body: `%name` and `%%name`.
    StatementOrBody,
    /// A body alone: only `%%name`.
    Body,
    /// Two pipelines or more, with commas between.
    Pipelines,
    Words,
    /// Words, where the first is one of these; else a statement.
    WordsOrStatement(&'static [&'static str]),
    /// Words, or a body: `%name` and `%%name`.
    WordsOrBody,
    /// `[SWEEP:]`, then a pipeline, or a block of variants with or without one before it.
    Variants,
}

impl Takes {
    /// Whether a body may follow, or must.
    pub fn has_body(self) -> bool {
        matches!(self, Takes::StatementOrBody | Takes::WordsOrBody | Takes::Body)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct MagicSyntax {
    pub name: &'static str,
    pub usage: &'static str,
    pub takes: Takes,
    /// Each option with its dashes, and whether it takes a value. One without dashes is a word that stands before the
    /// subject.
    pub options: &'static [(&'static str, bool)],
}

impl MagicSyntax {
    /// Whether a command may be its subject: it then says what its standard input is.
    pub fn takes_commands(&self) -> bool {
        self.options.iter().any(|(name, _)| *name == "--input")
    }
}

/// The tables of stages and magics, as far as the parser needs them.
pub trait Syntax {
    fn stage(&self, name: &str) -> Option<StageSyntax>;
    fn stage_names(&self) -> Vec<&'static str>;
    fn magic(&self, name: &str) -> Option<MagicSyntax>;
    fn magic_names(&self) -> Vec<&'static str>;
    /// Words that an option of a magic may be given; none where anything may stand.
    fn option_values(&self, magic: &str, option: &str) -> Vec<&'static str>;
    fn engine_names(&self) -> Vec<&'static str>;

    /// What a stage may do that needs trust, apart from the tables and branches that stand in it.
    fn stage_privileges(&self, stage: &Stage) -> Privileges;

    /// The same for a run on an engine with these options.
    fn engine_privileges(&self, name: &str, options: &[(Word, Expr)]) -> Privileges;
}
