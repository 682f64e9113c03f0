use std::time::Duration;

use crate::dashboard::board;
use crate::diagnostic::{Diagnostic, Fallible, Kind};
use crate::lang::{self, Argument, MagicSyntax, Takes};
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Offers};

pub static DASHBOARD: Magic = Magic {
    syntax: MagicSyntax { name: "dashboard", usage: "%dashboard [stop]", takes: Takes::Words, options: &[] },
    about: "shows what runs, live: in the terminal, and on a page for a browser on this machine\n\
            \n\
            What is shown\n  \
            The stages with their tasks, the tasks on each worker over time, rows and bytes per second, the\n  \
            memory and its budget, what was spilled, hot keys (of %mapreduce), and lines of log.\n\n\
            The page\n  \
            It is served on 127.0.0.1 to who has the address with its token, and needs nothing from elsewhere.\n  \
            It ends with the shell, or at: %dashboard stop\n\n\
            The terminal\n  \
            From here on a cell that takes long shows the same below its progress. While jobs run, %dashboard\n  \
            itself shows them until they end; Ctrl-C leaves them alone.",
    examples: &[],
    offers: Offers::Dashboard,
    privileges: lang::Privileges::none,
    run,
};

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let words = if let Argument::Words(words) = &magic.subject { &words[..] } else { &[] };
    match words {
        [] => start(session, magic, context),
        [word] if word.text == "stop" => Ok(Answer::text(match session.stop_dashboard() {
            true => "the dashboard has ended".to_string(),
            false => "there is no dashboard: %dashboard starts it".to_string(),
        })),
        [word, ..] => {
            let error = Diagnostic::at(Kind::Name, word.span, format!("unexpected `{}`", word.text));
            Err(error.hint(format!("usage: {}", DASHBOARD.syntax.usage)))
        }
    }
}

fn start(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let url = session
        .start_dashboard()
        .map_err(|error| Diagnostic::at(Kind::System, magic.span, format!("the page cannot be served: {error}")))?;
    if session.interactive && !session.running_jobs().is_empty() {
        session.console.err.write_line(&format!("{url}\nCtrl-C returns to the prompt; the jobs go on"));
        watch(session, context);
    }
    Ok(Answer::text(format!("{url}\na cell that takes long shows the same in the terminal; %dashboard stop ends both")))
}

/// Shows the jobs until they end, or the user has seen enough.
fn watch(session: &Session, context: &RunContext) {
    const LOOK: Duration = Duration::from_millis(50);
    let monitor = session.monitor().clone();
    context.progress.show_board(move || board(&monitor));
    while !session.running_jobs().is_empty() && !context.stop.is_raised() {
        std::thread::sleep(LOOK);
    }
    session.stop.clear();
}
