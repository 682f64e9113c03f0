//! The text of a whole cell to a [`Cell`]: which kind it is, and the options of magics.
//!
//! ```text
//! cell       = [ statement { ";" statement } [";"] ] | magic | "!" REST OF LINE
//!            | NAME "?" [topic] | WORDS "?" | NAME "??"
//! magic      = "%" NAME { option } [ "--" ] subject                     option = "-x" [value] | "--xyz" [value]
//!            | "%%" NAME { option } [ "--" ] REST OF LINE body           (each magic says which it has)
//! body       = LINES [ a line "%%" ]
//! value      = WORD WITHOUT SPACES | TEXT | BRACKETS
//! subject    = [ statement | pipeline { "," pipeline } | { WORD | TEXT | option } | variants ]   (each magic: which)
//! ```
//!
//! The grammar of statements stands over the parser, that of variants over their own file.

use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};

use super::ast::*;
use super::foreign;
use super::lexer::Token;
use super::parser::{Parser, Place, command};
use super::split;
use super::syntax::{MagicSyntax, Syntax, Takes};

/// The longest cell, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// What `text` says. `cell` is the number that spans carry.
pub fn parse(cell: u32, text: &str, syntax: &dyn Syntax) -> Fallible<Cell> {
    if text.len() > MAX_BYTES {
        let message = format!("this cell has {} bytes; the limit is {MAX_BYTES}", text.len());
        return Err(Diagnostic::new(Kind::Syntax, message).hint("put data into a file and `read` it"));
    }
    let start = first_byte(text);
    let rest = &text[start..];
    if let Some(help) = help(cell, text, start) {
        return Ok(help);
    }
    if rest.starts_with('%') {
        return magic(cell, text, start, syntax).map(|magic| Cell::Magic(Box::new(magic)));
    }
    if rest.starts_with('!') {
        return command(cell, text, start).map(Cell::Command);
    }
    let statements = Parser::new(cell, text, start, text.len(), syntax)?.statements()?;
    Ok(if statements.is_empty() { Cell::Empty } else { Cell::Statements(statements) })
}

/// The statements in a part of a cell's text, which begin as cells do: at an unindented line, or after `;`.
pub fn statements(text: &str, part: Span, syntax: &dyn Syntax) -> Fallible<Vec<Statement>> {
    let (start, end) = (part.start as usize, part.end as usize);
    let mut starts: Vec<usize> = split::starts(&text[start..end]).into_iter().map(|at| start + at).collect();
    starts.push(end);
    let mut statements = Vec::new();
    for piece in starts.windows(2) {
        statements.extend(Parser::new(part.cell, &text[..piece[1]], piece[0], piece[1], syntax)?.statements()?);
    }
    Ok(statements)
}

/// Where the first thing that is no white space and no comment stands.
fn first_byte(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = text[at..].trim_start();
        at = text.len() - rest.len();
        if !rest.starts_with('#') {
            return at;
        }
        at += rest.find('\n').unwrap_or(rest.len());
    }
}

/// `name?`, `?name`, `%name?`, `name? topic`, `several words?` and `name??`, which stand alone on one line.
fn help(cell: u32, text: &str, start: usize) -> Option<Cell> {
    let line = text[start..].trim_end();
    let percents = line.len() - line.trim_start_matches('%').len();
    let is_of_name = |c: char| c == '_' || c.is_alphanumeric();
    let name = line[percents..].find(|c: char| !is_of_name(c))? + percents;
    if line.contains('\n') || percents > 2 {
        return None;
    }
    let word = |text: String, end: usize| Word { text, span: Span::new(cell, start, start + end) };
    // Terms may have spaces and signs in them: `big O?`, `I/O-bound?`, `exit()?`.
    let is_of_term = |c: char| is_of_name(c) || matches!(c, ' ' | '-' | '/' | '(' | ')');
    if let Some(term) = line.strip_suffix('?')
        && term.starts_with(is_of_name)
        && term.chars().all(is_of_term)
    {
        return Some(Cell::Help(word(term.trim().to_string(), term.len())));
    }
    if let Some(rest) = line.strip_prefix('?').filter(|rest| !rest.is_empty() && rest.chars().all(is_of_name)) {
        return Some(Cell::Help(word(rest.to_string(), line.len())));
    }
    let after = line[name..].strip_prefix('?')?;
    match after.strip_prefix('?') {
        Some("") => Some(Cell::Source(word(line[..name].to_string(), name))),
        Some(_) => None,
        None if after.is_empty() => Some(Cell::Help(word(line[..name].to_string(), name))),
        None if !after.starts_with(' ') => None,
        None => Some(Cell::Help(word(format!("{} {}", &line[..name], after.trim()).trim().to_string(), line.len()))),
    }
}

fn magic(cell: u32, text: &str, start: usize, syntax: &dyn Syntax) -> Fallible<Magic> {
    let percents = text[start..].len() - text[start..].trim_start_matches('%').len();
    let name_start = start + percents;
    let length = text[name_start..].find(|c: char| c != '_' && !c.is_alphanumeric());
    let mut at = length.map_or(text.len(), |length| name_start + length);
    let name = Word { text: text[name_start..at].to_string(), span: Span::new(cell, start, at) };
    if name.text.is_empty() {
        return Err(Diagnostic::at(Kind::Syntax, name.span, "the name of a magic is missing after `%`")
            .hint("`%help` lists them"));
    }
    let Some(known) = syntax.magic(&name.text).filter(|_| percents < 3) else {
        let error = Diagnostic::at(Kind::Name, name.span, format!("unknown magic `{}`", &text[start..at]));
        let names: Vec<String> = syntax.magic_names().iter().map(|name| format!("%{name}")).collect();
        // The percent signs keep what is not a magic from being like one.
        let error = match foreign::find(&name.text) {
            Some(foreign) => error.hint(foreign.hint()),
            None if syntax.stage(&name.text).is_some() => {
                error.hint(format!("`{0}` is a stage, without `%`: 1..10 | {0}", name.text))
            }
            None => error.near(&text[start..at], names.iter().map(String::as_str)),
        };
        return Err(if error.hint.is_some() { error } else { error.hint("`%help` lists them") });
    };
    let mut options = Vec::new();
    if percents == 2 && known.takes.has_body() {
        let body = body(cell, text, at, known, syntax, &mut options)?;
        let span = Span::new(cell, start, text.trim_end().len());
        return Ok(Magic { name, options, subject: Argument::Body(Box::new(body)), span });
    }
    if percents == 2 || known.takes == Takes::Body {
        let (other, why) = if percents == 2 { ("%", "takes no body") } else { ("%%", "takes a body") };
        return Err(Diagnostic::at(Kind::Syntax, name.span, format!("`%{}` {why}", name.text))
            .hint(format!("{other}{}", name.text)));
    }
    let ended = read_options(cell, text, &mut at, known, syntax, &mut options)?;
    let takes_words = match known.takes {
        Takes::Words | Takes::WordsOrBody => true,
        Takes::WordsOrStatement(words) => begins_words(&text[at..], words),
        Takes::Statement | Takes::StatementOrBody | Takes::Body | Takes::Pipelines | Takes::Variants => false,
    };
    let subject = if takes_words {
        let mut words = Vec::new();
        let mut ended = ended;
        while let Some(word) = word_at(cell, text, &mut at)? {
            words.push(word);
            ended = ended || read_options(cell, text, &mut at, known, syntax, &mut options)?;
        }
        if words.is_empty() { Argument::Nothing } else { Argument::Words(words) }
    } else {
        subject(cell, text, at, known, syntax)?
    };
    let span = Span::new(cell, start, text.trim_end().len());
    Ok(Magic { name, options, subject, span })
}

/// Whether a text begins with one of these words, which a pipeline of that name does not follow.
fn begins_words(text: &str, words: &[&str]) -> bool {
    let text = text.trim_start();
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(text.len());
    let behind = &text[end..];
    words.contains(&&text[..end])
        && (behind.is_empty() || behind.starts_with(char::is_whitespace))
        && !behind.trim_start().starts_with('|')
}

/// The options and the rest of the first line, which goes on at `at`, and the body below it.
fn body(
    cell: u32,
    text: &str,
    mut at: usize,
    known: MagicSyntax,
    syntax: &dyn Syntax,
    options: &mut Vec<(Word, Option<Word>)>,
) -> Fallible<Body> {
    let word =
        |start: usize, end: usize| Word { text: text[start..end].to_string(), span: Span::new(cell, start, end) };
    let line_end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    read_options(cell, &text[..line_end], &mut at, known, syntax, options)?;
    let line = text[at..line_end].trim();
    let line_start = line_end - text[at..line_end].trim_start().len();
    let body_start = (line_end + 1).min(text.len());
    let mut body_end = body_start;
    for whole in text[body_start..].split_inclusive('\n') {
        if whole.trim_end() == "%%" {
            let rest = body_end + whole.len();
            if !text[rest..].trim().is_empty() {
                let span = Span::new(cell, body_end, body_end + 2);
                return Err(Diagnostic::at(Kind::Syntax, span, "unexpected text after the end of the body")
                    .hint("put the rest into a separate cell"));
            }
            break;
        }
        body_end += whole.len();
    }
    Ok(Body { line: word(line_start, line_start + line.len()), text: word(body_start, body_end) })
}

/// Reads the options that stand at `at`; whether `--` ended them.
fn read_options(
    cell: u32,
    text: &str,
    at: &mut usize,
    known: MagicSyntax,
    syntax: &dyn Syntax,
    options: &mut Vec<(Word, Option<Word>)>,
) -> Fallible<bool> {
    while let Some(option) =
        verb_at(cell, text, at, known).map_or_else(|| option_at(cell, text, at), |verb| Ok(Some(verb)))?
    {
        if option.text == "--" {
            return Ok(true);
        }
        let Some((_, takes_value)) = known.options.iter().find(|(name, _)| *name == option.text) else {
            let message = format!("`%{}` has no option `{}`", known.name, option.text);
            let error = Diagnostic::at(Kind::Name, option.span, message)
                .near(&option.text, known.options.iter().map(|(name, _)| *name));
            return Err(if error.hint.is_some() { error } else { error.hint(format!("usage: {}", known.usage)) });
        };
        if options.iter().any(|(other, _)| other.text == option.text) {
            let message = format!("option `{}` is given twice", option.text);
            return Err(Diagnostic::at(Kind::Syntax, option.span, message));
        }
        let value = if *takes_value { Some(option_value(cell, text, at, &option, known, syntax)?) } else { None };
        options.push((option, value));
    }
    Ok(false)
}

/// The word that stands at `at`, past white space and comments; quotes hold one with spaces.
fn word_at(cell: u32, text: &str, at: &mut usize) -> Fallible<Option<Word>> {
    while let Some(start) = text[*at..].find(|c: char| !c.is_whitespace()) {
        let start = *at + start;
        let rest = &text[start..];
        if rest.starts_with('#') {
            *at = rest.find('\n').map_or(text.len(), |length| start + length);
            continue;
        }
        if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
            let inside = &rest[1..];
            let Some(length) = inside.find(quote) else { return Err(unclosed(cell, start, quote)) };
            *at = start + length + 2;
            return Ok(Some(Word { text: inside[..length].to_string(), span: Span::new(cell, start, *at) }));
        }
        *at = rest.find(char::is_whitespace).map_or(text.len(), |length| start + length);
        return Ok(Some(Word { text: text[start..*at].to_string(), span: Span::new(cell, start, *at) }));
    }
    Ok(None)
}

fn unclosed(cell: u32, start: usize, quote: char) -> Box<Diagnostic> {
    let span = Span::new(cell, start, start + 1);
    Diagnostic::at(Kind::Syntax, span, "this text is not closed").hint(format!("end it with `{quote}`"))
}

/// A word that is an option of the magic without dashes, where something to ask about follows it.
fn verb_at(cell: u32, text: &str, at: &mut usize, known: MagicSyntax) -> Option<Word> {
    let rest = text[*at..].trim_start();
    let start = text.len() - rest.len();
    let length = rest.find(char::is_whitespace)?;
    let after = rest[length..].trim_start();
    let is_verb = !rest.starts_with('-') && known.options.iter().any(|(name, _)| *name == &rest[..length]);
    if !is_verb || after.is_empty() || after.starts_with('|') {
        return None;
    }
    *at = start + length;
    Some(Word { text: rest[..length].to_string(), span: Span::new(cell, start, *at) })
}

/// The option that stands at `at`, if one does: a dash and then a letter or a dash.
fn option_at(cell: u32, text: &str, at: &mut usize) -> Fallible<Option<Word>> {
    let rest = text[*at..].trim_start();
    let start = text.len() - rest.len();
    let second = rest.strip_prefix('-').and_then(|rest| rest.chars().next());
    if !second.is_some_and(|c| c == '-' || c.is_alphabetic()) {
        return Ok(None);
    }
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    *at = start + length;
    Ok(Some(Word { text: rest[..length].to_string(), span: Span::new(cell, start, *at) }))
}

fn option_value(
    cell: u32,
    text: &str,
    at: &mut usize,
    option: &Word,
    known: MagicSyntax,
    syntax: &dyn Syntax,
) -> Fallible<Word> {
    let rest = text[*at..].trim_start();
    let start = text.len() - rest.len();
    let (value, length) = match rest.chars().next() {
        Some('(') => {
            let Some(end) = split::closing_bracket(rest) else {
                let span = Span::new(cell, start, start + 1);
                return Err(Diagnostic::at(Kind::Syntax, span, "this `(` is not closed").hint("add `)`"));
            };
            (rest[1..end].to_string(), end + 1)
        }
        Some(quote @ ('"' | '\'')) => {
            let Some(end) = rest[1..].find(quote) else { return Err(unclosed(cell, start, quote)) };
            (rest[1..1 + end].to_string(), end + 2)
        }
        Some(_) => {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            // A colon at the end of the line opens a block.
            let opens = known.takes == Takes::Variants && !rest[end..].starts_with([' ', '\t']);
            let end = if opens { rest[..end].trim_end_matches(':').len() } else { end };
            if matches!(&rest[..end], "let" | "fn") {
                let message = format!("`{}` takes a word, or statements in brackets", option.text);
                let span = Span::new(cell, start, start + end);
                return Err(Diagnostic::at(Kind::Syntax, span, message).hint(format!(
                    "{} ({} …)",
                    option.text,
                    &rest[..end]
                )));
            }
            (rest[..end].to_string(), end)
        }
        None => {
            let values = syntax.option_values(known.name, &option.text);
            let error = Diagnostic::at(Kind::Syntax, option.span, format!("`{}` needs a value", option.text));
            return Err(match values[..] {
                [] => error.hint(format!("usage: {}", known.usage)),
                [..] => error.hint(
                    values.iter().map(|value| format!("{} {value}", option.text)).collect::<Vec<_>>().join(" · "),
                ),
            });
        }
    };
    *at = start + length;
    Ok(Word { text: value, span: Span::new(cell, start, *at) })
}

fn subject(cell: u32, text: &str, at: usize, known: MagicSyntax, syntax: &dyn Syntax) -> Fallible<Argument> {
    let start = text.len() - text[at..].trim_start().len();
    let takes_commands = known.takes_commands();
    if text[start..].starts_with('!') && !takes_commands {
        let Word { text: command, span } = command(cell, text, start)?;
        let message = format!("`%{}` expects a statement, got a command", known.name);
        return Err(Diagnostic::at(Kind::Syntax, span, message).hint(format!("%time let x = !{command}")));
    }
    // `%time let x = !ls` has a command of another kind.
    let with_commands = takes_commands && (known.takes == Takes::Variants || text[start..].starts_with('!'));
    let mut parser = match with_commands {
        true => Parser::with_commands(cell, text, (at, text.len()), syntax)?,
        false => Parser::new(cell, text, at, text.len(), syntax)?,
    };
    if *parser.peek() == Token::End {
        return Ok(Argument::Nothing);
    }
    let subject = match known.takes {
        Takes::Statement | Takes::StatementOrBody | Takes::WordsOrStatement(_) => {
            Argument::Statement(Box::new(parser.statement()?))
        }
        Takes::Pipelines => {
            let mut pipelines = vec![parser.pipeline(Place::Statement)?];
            while parser.eat(",") {
                pipelines.push(parser.pipeline(Place::Statement)?);
            }
            Argument::Pipelines(pipelines)
        }
        Takes::Variants => {
            let read = super::variants::variants(cell, text, at, known, syntax);
            return read.map(|variants| Argument::Variants(Box::new(variants)));
        }
        Takes::Words | Takes::WordsOrBody | Takes::Body => unreachable!("these were read above"),
    };
    if *parser.peek() == Token::End {
        return Ok(subject);
    }
    if parser.at(";") {
        return Err(Diagnostic::at(Kind::Syntax, parser.span(), format!("`%{}` takes only one statement", known.name))
            .hint("put the rest into a separate cell"));
    }
    Err(parser.leftover())
}
