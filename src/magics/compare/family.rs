//! A family of algorithms on the first line, and what theory claims of its variants.

use std::sync::Arc;

use crate::algorithms::{self, Case, Claims, Family};
use crate::data::Table;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::lang::{self, Pipeline, SourceNode, Variants};
use crate::plan::Plan;
use crate::report::Note;
use crate::session::{Session, kept_plan};

use super::variants::{Variant, What, written};

/// A family of algorithms, and for which of its inputs it is asked.
pub struct Asker {
    pub family: &'static dyn Family,
    pub shape: String,
    pub shape_span: Span,
    pub seed: i64,
    pub span: Span,
}

/// The family that stands alone on the first line. A name of the session comes before one.
pub fn family(session: &mut Session, magic: &lang::Magic, variants: &Variants) -> Fallible<Option<Asker>> {
    let shape = magic.option("--shape").flatten();
    let named = variants.shared.as_ref().and_then(|pipeline| Some((lone_name(pipeline)?, pipeline)));
    let found = named.and_then(|(name, pipeline)| Some((algorithms::find(name)?, name, pipeline)));
    if let (Some(chosen), true) = (variants.only.first(), found.is_none()) {
        let message = "`only` chooses variants of an algorithm family";
        return Err(Diagnostic::at(Kind::Syntax, chosen.span, message).hint("%algorithms lists the families"));
    }
    let Some((family, name, pipeline)) = found else {
        return match shape {
            Some(shape) => {
                let message = "`--shape` only applies to an algorithm family";
                Err(Diagnostic::at(Kind::Syntax, shape.span, message).hint("%algorithms lists them"))
            }
            None => named.map_or(Ok(None), |(name, _)| refuse_unknown(session, magic, variants, name).map(|()| None)),
        };
    };
    if session.lookup(name).is_some() {
        session.warn(pipeline.span, format!("the name `{name}` hides the algorithm family"));
        return Ok(None);
    }
    if let Some(on) = magic.option("--on").flatten() {
        let message = format!("`{name}` is an algorithm family, which runs without an engine");
        return Err(Diagnostic::at(Kind::Syntax, on.span, message).hint("remove `--on`"));
    }
    let usual = family.shapes().first().map_or(String::new(), |(name, _)| name.to_string());
    Ok(Some(Asker {
        family,
        shape: shape.map_or(usual, |shape| shape.text.clone()),
        shape_span: shape.map_or(pipeline.span, |shape| shape.span),
        seed: session.settings.seed,
        span: pipeline.span,
    }))
}

/// Refuses a name that stands alone and that nobody has given; one of the setup is not given yet, and an engine's
/// subject is looked at when it is bound.
fn refuse_unknown(session: &Session, magic: &lang::Magic, variants: &Variants, name: &str) -> Fallible<()> {
    let swept = variants.sweep.as_ref().is_some_and(|sweep| sweep.name.text == name);
    let later = magic.option("--setup").is_some() || magic.option("--on").is_some();
    let Some(shared) = variants.shared.as_ref().filter(|_| !swept && !later && session.lookup(name).is_none()) else {
        return Ok(());
    };
    let message = format!("`{name}` is neither a name of the session nor an algorithm family");
    let families = algorithms::ALL.iter().map(|family| family.facts().name);
    let names = session.names().map(|(name, _)| name.as_str());
    let error = Diagnostic::at(Kind::Name, shared.span, message).near(name, families.chain(names));
    Err(if error.hint.is_some() { error } else { error.hint("%algorithms lists the families") })
}

/// The name that a pipeline is, if it is nothing else.
pub fn lone_name(pipeline: &Pipeline) -> Option<&str> {
    match &pipeline.source.node {
        SourceNode::Expr(expr) if pipeline.stages.is_empty() && pipeline.on.is_none() => match &expr.node {
            lang::Node::Name(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

impl Asker {
    /// Its own variants, or those of them that are chosen, then those of the block.
    pub fn variants<'a>(&self, session: &Session, asked: &'a Variants) -> Fallible<Vec<Variant<'a>>> {
        let claims = self.family.variants();
        let names: Vec<&str> = claims.iter().map(|claims| claims.name).collect();
        for (place, word) in asked.only.iter().enumerate() {
            let (family, text) = (self.family.facts().name, &word.text);
            if !names.contains(&text.as_str()) {
                let message = format!("`{family}` has no variant `{text}`; variants are {}", listed(&names));
                return Err(Diagnostic::at(Kind::Name, word.span, message).near(text, names));
            }
            if asked.only[..place].iter().any(|other| other.text == *text) {
                return Err(Diagnostic::at(Kind::Name, word.span, format!("the variant `{text}` is given twice")));
            }
        }
        let own = |claims: Claims| {
            let source = self.family.source(claims.name).unwrap_or_default();
            let lines = source.first().map_or(0, |function| function.lines().count());
            Variant { name: claims.name.to_string(), what: What::Algorithm(claims), lines }
        };
        let mut all: Vec<Variant> = if asked.only.is_empty() {
            claims.into_iter().map(own).collect()
        } else {
            // In the order in which they were asked for: the first is the baseline.
            let found = |word: &lang::Word| claims.iter().find(|claims| claims.name == word.text).copied();
            asked.only.iter().filter_map(found).map(own).collect()
        };
        for variant in &asked.block {
            if names.contains(&variant.name.text.as_str()) {
                let message = format!("`{}` already has a variant `{}`", self.family.facts().name, variant.name.text);
                return Err(Diagnostic::at(Kind::Name, variant.name.span, message).hint("choose another name"));
            }
            all.push(written(session, variant)?);
        }
        Ok(all)
    }

    pub fn sizes(&self) -> Vec<i64> {
        self.family.facts().sizes.iter().map(|size| *size as i64).collect()
    }

    pub fn case(&self, size: i64) -> Fallible<Arc<dyn Case>> {
        self.case_of(size, &self.shape)
    }

    /// What makes the input of a size as a table, on any thread.
    pub fn maker(&self, size: i64) -> Fallible<impl FnOnce() -> Fallible<Table> + Send + 'static> {
        let size = self.size(size)?;
        let (family, shape, seed, span) = (self.family, self.shape.clone(), self.seed, self.shape_span);
        Ok(move || family.case(size, seed, &shape).map(|case| case.input()).map_err(|error| error.or_at(span)))
    }

    pub fn case_of(&self, size: i64, shape: &str) -> Fallible<Arc<dyn Case>> {
        let case = self.family.case(self.size(size)?, self.seed, shape);
        case.map(Arc::from).map_err(|error| error.or_at(self.shape_span))
    }

    fn size(&self, size: i64) -> Fallible<usize> {
        let error = |_| Diagnostic::at(Kind::Domain, self.span, format!("there is no input of size {size}"));
        usize::try_from(size).map_err(error)
    }

    /// An input as a plan.
    pub fn input(&self, size: i64) -> Fallible<Plan> {
        Ok(kept_plan(Arc::new(self.case(size)?.input()), self.span))
    }

    pub fn note(&self) -> Note {
        let counts = self.family.facts().counts;
        Note::from(format!(
            "n counts {counts}; shape {}, seed {}; claimed_time and claimed_space are theory for this shape, not \
             measured",
            self.shape, self.seed
        ))
    }
}
