//! What is compared: variants as written, engines on one pipeline, algorithms of a family.

use std::sync::Arc;

use crate::algorithms::{Case, Claims};
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::engines::{self, Choice};
use crate::lang::{self, Pipeline, Variants};
use crate::magics::timing;
use crate::plan::Plan;
use crate::run_context::RunContext;
use crate::session::{Bound, Session, lone_block, only_table};

use super::contenders::{Algorithm, Contender};

/// One of the ways that are compared.
pub struct Way<'a> {
    pub name: String,
    pub what: What<'a>,
    /// How much one has to write.
    pub lines: usize,
}

pub enum What<'a> {
    /// A variant as written, or an engine on the first line's pipeline.
    Pipeline {
        pipeline: &'a Pipeline,
        /// Whether it goes on from what stands on the first line.
        continues: bool,
        choice: Choice,
    },
    Algorithm(Claims),
}

/// The variants of the block, or the engines of `--on`.
pub fn ways<'a>(session: &Session, magic: &lang::Magic, variants: &'a Variants) -> Fallible<Vec<Way<'a>>> {
    let on = magic.option("--on").flatten();
    let alone = magic.option("--against").is_some();
    match (&variants.block[..], on, &variants.shared) {
        ([], None, Some(pipeline)) if alone => {
            let choice = session.engine(pipeline.on.as_ref())?;
            Ok(vec![engine_way(session, pipeline, choice)])
        }
        ([], None, _) => {
            Err(Diagnostic::at(Kind::Syntax, magic.span, "there is only one variant: nothing to compare it with")
                .hint("--on rows,batch,polars compares engines; `%help compare` shows a block of variants"))
        }
        ([], Some(on), Some(pipeline)) => {
            if let Some(chosen) = &pipeline.on {
                return Err(Diagnostic::at(Kind::Syntax, chosen.engine.span, "`--on` says the engines already")
                    .hint("leave `| on` out"));
            }
            if lone_block(pipeline).is_some() {
                return Err(Diagnostic::at(Kind::Syntax, on.span, "a block of Rust runs without an engine")
                    .hint("leave `--on` out; a block of variants has lines such as `rust: rust { … }`"));
            }
            Ok(asked_engines(on)?.into_iter().map(|choice| engine_way(session, pipeline, choice)).collect())
        }
        ([_], None, _) if !alone => Err(Diagnostic::at(Kind::Syntax, magic.span, "this block has only one variant")
            .hint("a second line `name: pipeline`, indented like the first")),
        (block, None, _) => block.iter().map(|variant| written(session, variant)).collect(),
        (_, Some(on), _) => {
            Err(Diagnostic::at(Kind::Syntax, on.span, "`--on` compares engines on one pipeline, not on a block")
                .hint("each variant may end with `| on ENGINE`"))
        }
    }
}

/// The first line's pipeline on an engine.
fn engine_way<'a>(session: &Session, pipeline: &'a Pipeline, choice: Choice) -> Way<'a> {
    let lines = session.words(pipeline.span).lines().count();
    let name = timing::variant_name(pipeline, choice).to_string();
    Way { name, what: What::Pipeline { pipeline, continues: false, choice }, lines }
}

fn asked_engines(on: &lang::Word) -> Fallible<Vec<Choice>> {
    let known: Vec<&str> = engines::ALL.iter().map(|engine| engine.name()).collect();
    let mut choices: Vec<Choice> = Vec::new();
    for name in on.text.split(',') {
        let engine = engines::find(name).ok_or_else(|| {
            let message = format!("unknown engine `{name}`; engines are {}", listed(&known));
            Diagnostic::at(Kind::Name, on.span, message).near(name, known.iter().copied())
        })?;
        if choices.iter().any(|choice| choice.engine.name() == name) {
            return Err(Diagnostic::at(Kind::Name, on.span, format!("the engine `{name}` is named twice")));
        }
        choices.push(Choice::only(engine));
    }
    if choices.len() < 2 {
        return Err(Diagnostic::at(Kind::Syntax, on.span, "`--on` compares two engines or more")
            .hint("--on rows,batch,polars, without spaces"));
    }
    Ok(choices)
}

pub fn written<'a>(session: &Session, variant: &'a lang::Variant) -> Fallible<Way<'a>> {
    let choice = session.engine(variant.pipeline.on.as_ref())?;
    let lang::Variant { name, pipeline, continues, lines } = variant;
    Ok(Way { name: name.text.clone(), what: What::Pipeline { pipeline, continues: *continues, choice }, lines: *lines })
}

impl Way<'_> {
    pub fn continues(&self) -> bool {
        matches!(self.what, What::Pipeline { continues: true, .. })
    }

    pub fn pipeline(&self) -> Option<&Pipeline> {
        if let What::Pipeline { pipeline, .. } = self.what { Some(pipeline) } else { None }
    }

    /// Binds it, which finds every mistake of types.
    pub fn check(&self, session: &mut Session, input: Option<&Plan>) -> Fallible<()> {
        let What::Pipeline { pipeline, continues, .. } = self.what else { return Ok(()) };
        if lone_block(pipeline).is_some() {
            return Ok(());
        }
        let bound = match input.filter(|_| continues) {
            Some(input) => Bound::Table(session.bind_on(input.clone(), &pipeline.stages)?),
            None => session.bind(pipeline)?,
        };
        match bound {
            Bound::Table(plan) => only_table(&plan),
            Bound::Value(..) => Ok(()),
        }
    }

    /// Prepares it to be run again and again.
    pub fn ready<'c>(
        &self,
        session: &mut Session,
        input: Option<&Plan>,
        case: Option<&'c Arc<dyn Case>>,
        context: &RunContext,
    ) -> Fallible<Box<dyn Contender + 'c>> {
        match (&self.what, case) {
            (What::Algorithm(claims), Some(case)) => {
                let call = case.call(claims.name)?;
                Ok(Box::new(Algorithm { call, case: case.clone(), claims: *claims, detached: session.detached() }))
            }
            (What::Algorithm(_), None) => unreachable!("a family has a case at each point"),
            (What::Pipeline { pipeline, continues, choice }, _) => {
                let repeated = match input.filter(|_| *continues) {
                    Some(input) => {
                        let plan = session.bind_on(input.clone(), &pipeline.stages)?;
                        session.repeated_plan(plan, *choice, context)?
                    }
                    None => session.repeated(pipeline, *choice, context)?,
                };
                Ok(Box::new(repeated))
            }
        }
    }
}
