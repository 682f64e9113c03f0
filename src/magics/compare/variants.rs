//! What is compared: variants as written, engines on one pipeline, algorithms of a family.

use crate::algorithms::Claims;
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::engines::{self, Choice};
use crate::lang::{self, Pipeline, Variants};
use crate::magics::timing;
use crate::plan::Plan;
use crate::session::{Draft, Session, lone_block, lone_command};

/// One of those that are compared.
pub struct Variant<'a> {
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
pub fn variants<'a>(session: &Session, magic: &lang::Magic, variants: &'a Variants) -> Fallible<Vec<Variant<'a>>> {
    let on = magic.option("--on").flatten();
    let alone = magic.option("--against").is_some();
    match (&variants.block[..], on, &variants.shared) {
        ([], None, Some(pipeline)) if alone => {
            let choice = session.engine(pipeline.on.as_ref())?;
            Ok(vec![of_engine(session, pipeline, choice)])
        }
        ([], None, Some(pipeline)) if lone_command(pipeline).is_some() => Err(Diagnostic::at(
            Kind::Syntax,
            magic.span,
            "there is only one command, so there is nothing to compare it with",
        )
        .hint("a command takes the rest of its line: write `a: !CMD` and `b: !CMD` below, indented")),
        ([], None, _) => Err(Diagnostic::at(
            Kind::Syntax,
            magic.span,
            "there is only one variant, so there is nothing to compare it with",
        )
        .hint("--on rows,batch,polars compares engines; `%help compare` shows a block of variants")),
        ([], Some(on), Some(pipeline)) => {
            if let Some(chosen) = &pipeline.on {
                return Err(Diagnostic::at(Kind::Syntax, chosen.engine.span, "`--on` already chooses the engines")
                    .hint("remove `| on`"));
            }
            if lone_block(pipeline).is_some() {
                return Err(Diagnostic::at(Kind::Syntax, on.span, "a block of Rust runs without an engine")
                    .hint("remove `--on`; a block of variants has lines such as `rust: rust { … }`"));
            }
            Ok(asked_engines(on)?.into_iter().map(|choice| of_engine(session, pipeline, choice)).collect())
        }
        ([_], None, _) if !alone => Err(Diagnostic::at(Kind::Syntax, magic.span, "this block has only one variant")
            .hint("add a second line `name: pipeline`, indented like the first")),
        (block, None, _) => block.iter().map(|variant| written(session, variant)).collect(),
        (_, Some(on), _) => {
            Err(Diagnostic::at(Kind::Syntax, on.span, "`--on` compares engines on one pipeline, not on a block")
                .hint("end each variant with `| on ENGINE` instead"))
        }
    }
}

/// The first line's pipeline on an engine.
fn of_engine<'a>(session: &Session, pipeline: &'a Pipeline, choice: Choice) -> Variant<'a> {
    let lines = session.words(pipeline.span).lines().count();
    let name = timing::variant_name(pipeline, choice).to_string();
    Variant { name, what: What::Pipeline { pipeline, continues: false, choice }, lines }
}

fn asked_engines(on: &lang::Word) -> Fallible<Vec<Choice>> {
    let known: Vec<&str> = engines::here().map(|engine| engine.name()).collect();
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
        return Err(Diagnostic::at(Kind::Syntax, on.span, "`--on` needs at least two engines")
            .hint("--on rows,batch,polars, without spaces"));
    }
    Ok(choices)
}

pub fn written<'a>(session: &Session, variant: &'a lang::Variant) -> Fallible<Variant<'a>> {
    let choice = session.engine(variant.pipeline.on.as_ref())?;
    let lang::Variant { name, pipeline, continues, lines } = variant;
    Ok(Variant {
        name: name.text.clone(),
        what: What::Pipeline { pipeline, continues: *continues, choice },
        lines: *lines,
    })
}

/// The variant that all others are held against, where `--base` names it.
pub fn asked_base(magic: &lang::Magic, asked: &Variants, variants: &[Variant]) -> Fallible<Option<String>> {
    let Some(word) = magic.option("--base").flatten().or(asked.base.as_ref()) else { return Ok(None) };
    let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
    if names.contains(&word.text.as_str()) {
        return Ok(Some(word.text.clone()));
    }
    let message = format!("unknown variant `{}`; variants are {}", word.text, listed(&names));
    Err(Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names))
}

impl<'a> Variant<'a> {
    /// As it was written; none of an algorithm.
    pub fn pipeline(&self) -> Option<&'a Pipeline> {
        if let What::Pipeline { pipeline, .. } = self.what { Some(pipeline) } else { None }
    }
}

impl Variant<'_> {
    pub fn continues(&self) -> bool {
        matches!(self.what, What::Pipeline { continues: true, .. })
    }

    /// Binds it, on the first line's input where it goes on from that; nothing is compiled or computed yet. An
    /// algorithm has nothing to bind.
    pub fn draft(&self, session: &mut Session, input: Option<&Plan>) -> Fallible<Option<Draft>> {
        let What::Pipeline { pipeline, continues, choice } = self.what else { return Ok(None) };
        match input.filter(|_| continues) {
            Some(input) => session.draft_on(input.clone(), &pipeline.stages, choice),
            None => session.draft(pipeline, choice),
        }
        .map(Some)
    }
}
