//! What theory claims of a family's variants, beside what was measured.

use crate::algorithms::Claims;
use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang;
use crate::magics::compare::{Asker, Grid, Variant, What};
use crate::measure::growth::{Answer, Class, Question, Verdict};
use crate::report::{Figures, Note, Unit};

use super::subjects::Measured;
use super::{Answers, words};

/// Which input of a family is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Best,
    /// The usual shape, or that of `--shape`.
    Average,
    Worst,
}

impl Case {
    const ALL: [(&'static str, Case); 3] = [("best", Case::Best), ("average", Case::Average), ("worst", Case::Worst)];

    /// The value of `--case`.
    pub fn asked(magic: &lang::Magic, family: &Option<Asker>) -> Fallible<Case> {
        let Some(word) = magic.option("--case").flatten() else { return Ok(Case::Average) };
        if family.is_none() {
            let message = "`--case` only applies to an algorithm family";
            return Err(Diagnostic::at(Kind::Syntax, word.span, message).hint("%algorithms lists them"));
        }
        if let Some(shape) = magic.option("--shape").flatten() {
            let message = "`--shape` and `--case` both choose the input";
            return Err(Diagnostic::at(Kind::Syntax, shape.span, message).hint("remove one of them"));
        }
        let known = Case::ALL.iter().find(|(name, _)| *name == word.text).map(|(_, case)| *case);
        known.ok_or_else(|| {
            let message = format!("expected `--case` best, average or worst, got `{}`", word.text);
            Diagnostic::at(Kind::Type, word.span, message).near(&word.text, Case::ALL.map(|(name, _)| name))
        })
    }

    /// The shape that a variant is run with.
    pub fn shape<'s>(self, asker: &'s Asker, claims: &Claims) -> &'s str {
        match self {
            Case::Average => &asker.shape,
            Case::Best => claims.best(&asker.shape),
            Case::Worst => claims.worst(&asker.shape),
        }
    }

    fn name(self) -> &'static str {
        Case::ALL.iter().find(|(_, case)| *case == self).map_or("", |(name, _)| name)
    }
}

/// A row for each variant, and lines about those that cannot be told apart from their claims.
pub fn table(
    asker: &Asker,
    case: Case,
    chosen: &[Variant],
    all: &[Measured],
    found: &[Answers],
) -> (Figures, Vec<Note>) {
    let mut rows = Grid::default();
    let mut lines = Vec::new();
    // Steps repeat exactly; where one variant is judged by its time, the column differs from run to run.
    let by_steps = found.iter().all(|found| found.answer(Question::Steps).is_some());
    let kind = if by_steps { Unit::Plain.counted() } else { Unit::Plain.measured() };
    for ((variant, measured), found) in chosen.iter().zip(all).zip(found) {
        let What::Algorithm(claims) = &variant.what else { continue };
        let shape = case.shape(asker, claims);
        let claimed = claims.time_for(shape);
        // Time is claimed as the work that is done: counts of it say more than a clock.
        let of = |question| found.answer(question).map(|answer| (question, answer));
        let answer = of(Question::Steps).or(of(Question::Time)).filter(|_| !measured.is_cut());
        let agrees = match answer {
            None => Agrees::NoClaim,
            Some((question, answer)) => match agrees(claimed, answer) {
                // What a time costs at every size may be all that is seen of it.
                Agrees::Below if question == Question::Time => Agrees::CannotTell,
                // No input of this kind is said to reach the bound.
                Agrees::NoClaim if claims.bound.is_some() => Agrees::Bound,
                agrees => agrees,
            },
        };
        let answer = answer.map(|(_, answer)| answer);
        rows.put("variant", Type::Text, Unit::Plain.counted(), Value::text(claims.name));
        rows.put("shape", Type::Text, Unit::Plain.counted(), Value::text(shape));
        let most = if claims.bound.is_some() { "at most " } else { "" };
        rows.put("claimed", Type::Text, Unit::Plain.counted(), Value::text(&format!("{most}{claimed}")));
        let told = match answer {
            // Its exponent is what it is judged by.
            Some(answer) if claimed == Class::RootTimesLinear && agrees == Agrees::Yes => {
                format!("no class of the list{}", write_exponent(answer))
            }
            answer => answer.map_or("no claim".to_string(), classes),
        };
        rows.put("measured", Type::Text, kind, Value::text(&told));
        rows.put("agrees", Type::Text, kind, Value::text(agrees.said()));
        if agrees == Agrees::CannotTell
            && let Some(answer) = answer
        {
            let found = classes(answer);
            let name = claims.name;
            let line = Note::from(format!("{name}: claimed {claimed}, measured ")).found(found);
            lines.push(line.text(": cannot be told apart at these sizes").optional());
        }
        if agrees == Agrees::Bound {
            lines.extend(claims.bound.map(|why| Note::from(format!("{}: {why}", claims.name)).optional()));
        }
    }
    (rows.figures(), lines)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agrees {
    Yes,
    No,
    /// It grows slower: O says how fast a cost grows at most.
    Below,
    CannotTell,
    /// Theory says nothing of these inputs, and nothing was found of them.
    Bound,
    NoClaim,
}

impl Agrees {
    pub fn said(self) -> &'static str {
        match self {
            Agrees::Yes => "yes",
            Agrees::No => "no",
            Agrees::Below => "yes, it grows slower",
            Agrees::CannotTell => "cannot be told apart",
            Agrees::Bound => "only a bound is claimed",
            Agrees::NoClaim => "no claim",
        }
    }
}

/// Whether what was measured confirms a claim. No sizes that can be measured tell log log n from a constant.
pub fn agrees(claimed: Class, answer: &Answer) -> Agrees {
    let exponent = answer.exponent.map(|exponent| exponent.middle());
    if claimed == Class::RootTimesLinear {
        // No candidate lies between n log n and n²: its exponent is all that can be said of it.
        return match (answer.verdict, exponent) {
            (_, Some(exponent)) if (1.2..=1.6).contains(&exponent) => Agrees::Yes,
            (Verdict::NoClaim(_), _) => Agrees::NoClaim,
            _ => Agrees::No,
        };
    }
    let is_below = |class: Class| class < claimed;
    let power = claimed.order().zip(answer.exponent).is_some_and(|((power, _), exponent)| exponent.high < power);
    let near: &[Class] = match claimed {
        Class::LogLog => &[Class::Constant, Class::Log],
        Class::NearLinear => &[Class::Linear, Class::Linearithmic],
        _ => &[],
    };
    match answer.verdict {
        Verdict::NoClaim(_) => Agrees::NoClaim,
        Verdict::Power if power => Agrees::Below,
        Verdict::Power => Agrees::No,
        Verdict::Class(class) if class == claimed => Agrees::Yes,
        Verdict::Class(class) if near.contains(&class) || answer.also.contains(&claimed) => Agrees::CannotTell,
        Verdict::Class(class) if is_below(class) => Agrees::Below,
        Verdict::Class(_) => Agrees::No,
    }
}

/// The class, and those that fit nearly as well: `n log n or n`.
pub fn classes(answer: &Answer) -> String {
    match (answer.verdict, &answer.also[..]) {
        (Verdict::Class(class), []) => class.to_string(),
        (Verdict::Class(class), also) => {
            let all = std::iter::once(&class).chain(also).map(|class| class.inner());
            all.collect::<Vec<_>>().join(" or ")
        }
        (Verdict::Power, _) => format!("no class of the list{}", write_exponent(answer)),
        (Verdict::NoClaim(_), _) => "no claim".to_string(),
    }
}

fn write_exponent(answer: &Answer) -> String {
    answer.exponent.map_or(String::new(), |exponent| format!(", exponent {}", words::interval(&exponent)))
}

/// What n counts, and which inputs these were.
pub fn note(asker: &Asker, case: Case) -> String {
    let facts = asker.family.facts();
    let input = match case {
        Case::Average if asker.family.shapes().first().is_some_and(|(usual, _)| *usual == asker.shape) => {
            format!("average case: shape {}", asker.shape)
        }
        Case::Average => format!("shape {}", asker.shape),
        Case::Best | Case::Worst => format!("{} case: for each variant, the shape of that case", case.name()),
    };
    format!("n counts {}; {input}, seed {}; claims are theory, not measured", facts.counts, asker.seed)
}
