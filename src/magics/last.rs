use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, MagicSyntax, Takes};
use crate::plan::{Binding, BoundOp, Source};
use crate::report::{Block, Report};
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Offers};

pub static LAST: Magic = Magic {
    syntax: MagicSyntax { name: "last", usage: "%last", takes: Takes::Words, options: &[] },
    about: "shows all rows and columns of the last table, in $PAGER (less) if it is longer than the window",
    examples: &[],
    offers: Offers::Nothing,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    let nothing = || Diagnostic::at(Kind::Name, magic.span, "no table to show yet").hint("for example: 1..100");
    if let Some(dropped) = session.dropped("_", magic.span) {
        return Err(dropped);
    }
    let Some(Binding::Result { table: Some(plan), .. }) = session.lookup("_") else { return Err(nothing()) };
    let BoundOp::Source(Source::Kept(kept)) = &plan.steps[0].op else { return Err(nothing()) };
    let report = Report {
        blocks: vec![Block::Whole { table: kept.table().clone(), measured: plan.measured.clone() }],
        ..Report::default()
    };
    Ok(Answer { report, ..Answer::default() })
}
