use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, MagicSyntax, Privileges, Takes};
use crate::notebook::Notebook;
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Next, Offers, ranges};

pub static TOUR: Magic = Magic {
    syntax: MagicSyntax { name: "tour", usage: "%tour [NUMBER]", takes: Takes::Words, options: &[] },
    about: "lists the tutorials; with a number it plays one in this shell\n\n\
            Playing\n  \
            Text, then a cell, which waits: Enter runs it, s skips it, b goes back, q leaves. You may type other cells \
            at any stop. Ten minutes each. In Jupyter an input field asks before each cell.\n\n\
            Files\n  \
            Some cells read samples/, so start timelab in its folder. `timelab play scripts/01-stopwatch.md` plays the \
            same without the shell around it.",
    examples: &["%tour"],
    offers: Offers::Nothing,
    // The texts are this program's own.
    privileges: |_| Privileges::NONE,
    run,
};

/// The tutorials in their order.
pub static ALL: &[Tour] = &[
    Tour { number: 1, text: include_str!("../../scripts/01-stopwatch.md") },
    Tour { number: 2, text: include_str!("../../scripts/02-comparing.md") },
    Tour { number: 3, text: include_str!("../../scripts/03-growth.md") },
    Tour { number: 4, text: include_str!("../../scripts/04-structures.md") },
    Tour { number: 5, text: include_str!("../../scripts/05-algorithms.md") },
    Tour { number: 6, text: include_str!("../../scripts/06-engines.md") },
    Tour { number: 7, text: include_str!("../../scripts/07-threads.md") },
    Tour { number: 8, text: include_str!("../../scripts/08-async.md") },
    Tour { number: 9, text: include_str!("../../scripts/09-mapreduce.md") },
    Tour { number: 10, text: include_str!("../../scripts/10-scaling.md") },
    Tour { number: 11, text: include_str!("../../scripts/11-cluster.md") },
    Tour { number: 12, text: include_str!("../../scripts/12-rust.md") },
    Tour { number: 13, text: include_str!("../../scripts/13-profiles.md") },
];

pub struct Tour {
    pub number: i64,
    pub text: &'static str,
}

impl Tour {
    /// Its heading, without the number.
    fn title(&self) -> &'static str {
        let heading = self.text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
        heading.split_once(". ").map_or(heading, |(_, title)| title)
    }
}

fn run(_: &mut Session, magic: &lang::Magic, _: &RunContext) -> Fallible<Answer> {
    let [word, more @ ..] = ranges::words(magic) else {
        let lines: Vec<String> = ALL.iter().map(|tour| format!("{:3}  {}", tour.number, tour.title())).collect();
        let rows: Vec<Vec<Value>> =
            ALL.iter().map(|tour| vec![Value::Int(tour.number), Value::text(tour.title())]).collect();
        let text = format!("{}\n\n%tour 1 plays the first", lines.join("\n"));
        return Ok(Answer::told(text, &[("number", Type::Int), ("title", Type::Text)], &rows));
    };
    if let Some(word) = more.first() {
        return Err(Diagnostic::at(Kind::Syntax, word.span, "`%tour` takes one number").hint("%tour 1"));
    }
    let number = word.text.parse::<i64>().ok();
    let tour = ALL.iter().find(|tour| Some(tour.number) == number).ok_or_else(|| {
        Diagnostic::at(Kind::Name, word.span, format!("there is no tutorial `{}`", word.text)).hint("%tour lists them")
    })?;
    let play = Notebook::parse(tour.text).expect("a test parses all tutorials");
    Ok(Answer { next: Next { play: Some(play), ..Next::default() }, ..Answer::default() })
}
