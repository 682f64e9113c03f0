//! `%engine`: installs and starts a server of an engine on this machine, and ends it.

use crate::console::Reply;
use crate::diagnostic::{Diagnostic, Fallible, Kind, listed};
use crate::lang::{self, Argument, MagicSyntax, Privileges, Takes, Word};
use crate::remote::servers::{self, Service};
use crate::run_context::RunContext;
use crate::session::Session;

use super::{Answer, Magic, Offers};

pub static ENGINE: Magic = Magic {
    syntax: MagicSyntax {
        name: "engine",
        usage: "%engine [start NAME [--yes] | stop [NAME]]",
        takes: Takes::Words,
        options: &[("--yes", false)],
    },
    about: "installs and starts a server on this machine for `on spark`, `on dask` or `on ray`, and ends it\n\
            \n\
            Start\n  \
            %engine start sail  a small server for `on spark`, without Java; spark, dask and ray are the others.\n  \
            The first time it says what it would install, how large that is and where, and asks; `--yes` answers.\n  \
            Afterwards `on spark` without an address runs there.\n\n\
            End\n  \
            %engine stop, or %engine stop sail. A shell that ends stops them, also one that is killed.\n\n\
            Where\n  \
            It listens on 127.0.0.1 only. The packages are in ~/.cache/timelab/engines, or where XDG_CACHE_HOME\n  \
            says; remove a folder there to uninstall. The Python is that of %set python, of the active environment,\n  \
            or python3. Spark also needs a Java, which is not installed.",
    examples: &["%engine"],
    offers: Offers::Engines,
    privileges: |magic| match words(magic) {
        [] => Privileges::NONE,
        [first, ..] if first.text == "stop" => Privileges::NONE,
        _ => Privileges::RUNS_CODE | Privileges::REACHES_NETWORK,
    },
    run,
};

fn words(magic: &lang::Magic) -> &[Word] {
    if let Argument::Words(words) = &magic.subject { words } else { &[] }
}

fn run(session: &mut Session, magic: &lang::Magic, context: &RunContext) -> Fallible<Answer> {
    let usage = |error: Box<Diagnostic>| Err(error.hint(format!("usage: {}", ENGINE.syntax.usage)));
    match words(magic) {
        [] => Ok(Answer::text(status(session))),
        [start, name] if start.text == "start" => {
            start_service(session, service(name)?, magic.option("--yes").is_some(), context)
        }
        [start] if start.text == "start" => {
            let names: Vec<&str> = servers::ALL.iter().map(|service| service.name).collect();
            usage(Diagnostic::at(Kind::Syntax, start.span, format!("which engine? There are {}", listed(&names))))
        }
        [stop] if stop.text == "stop" => Ok(Answer::text(stopped(&session.stop_servers(None)))),
        [stop, name] if stop.text == "stop" => {
            let service = service(name)?;
            Ok(Answer::text(stopped(&session.stop_servers(Some(service.name)))))
        }
        [_, _, word, ..] | [word, ..] => {
            usage(Diagnostic::at(Kind::Name, word.span, format!("unexpected `{}`", word.text)))
        }
    }
}

fn service(name: &Word) -> Fallible<&'static Service> {
    servers::find(&name.text).ok_or_else(|| {
        let names: Vec<&str> = servers::ALL.iter().map(|service| service.name).collect();
        let message = format!("`{}` cannot be started here; {} can", name.text, listed(&names));
        let error = Diagnostic::at(Kind::Name, name.span, message);
        match name.text.as_str() {
            "beam" => error.hint("it needs no server: | on beam"),
            _ => error.near(&name.text, names),
        }
    })
}

fn status(session: &mut Session) -> String {
    let running = session.running_servers();
    let mut lines = Vec::new();
    for service in servers::ALL {
        let found = running.iter().find(|(name, _)| *name == service.name);
        let state = match found {
            Some((_, address)) => format!("runs at {address}"),
            None if service.is_installed() => "installed".to_string(),
            None => format!("not installed ({}, {})", service.packages.join(" "), service.size),
        };
        lines.push(format!("{:<6}{state}", service.name));
    }
    lines.push(String::new());
    lines.push("%engine start NAME starts one, %engine stop ends it; %engines lists all engines".to_string());
    lines.join("\n")
}

fn stopped(names: &[&str]) -> String {
    if names.is_empty() {
        return "no server runs that was started here".to_string();
    }
    format!("{} {} ended", listed(names), if names.len() == 1 { "has" } else { "have" })
}

fn start_service(
    session: &mut Session,
    service: &'static Service,
    says_yes: bool,
    context: &RunContext,
) -> Fallible<Answer> {
    if let Some((_, address)) = session.running_servers().into_iter().find(|(name, _)| *name == service.name) {
        return Ok(Answer::text(format!("{} runs at {address}", service.name)));
    }
    service.check()?;
    if !service.is_installed() {
        if !says_yes {
            ask(session, service, context)?;
        }
        let python = session.settings.python_program();
        service.install(&python, context)?;
    }
    let server = service.start(session.settings.processes(), context)?;
    let address = server.address.clone();
    session.keep_server(server);
    Ok(Answer::text(format!(
        "{} runs at {address}\n1..10 | sum | on {} runs there; %engine stop ends it",
        service.name, service.engine
    )))
}

/// Whether the packages may be installed.
fn ask(session: &Session, service: &Service, context: &RunContext) -> Fallible<()> {
    context.progress.hide();
    let folder = service.folder()?;
    let packages = service.packages.join(" ");
    let head = format!("{}: installs {packages}, about {} in all, in {}", service.name, service.size, folder.display());
    let question = format!("{head}\ninstall it? [y/N] ");
    match (session.console.ask)(&question, &|| context.stop.is_raised()) {
        Reply::Line(answer) if matches!(answer.as_str(), "y" | "yes") => Ok(()),
        Reply::Line(_) | Reply::End => {
            Err(Diagnostic::new(Kind::System, format!("{} was not installed", service.name)))
        }
        Reply::Stopped => Err(Diagnostic::new(Kind::Stopped, format!("stopped: {} was not installed", service.name))),
        Reply::CannotAsk => {
            let message = format!("{} is not installed, and nobody can be asked. {head}", service.name);
            Err(Diagnostic::new(Kind::System, message).hint(format!("%engine start {} --yes", service.name)))
        }
    }
}
