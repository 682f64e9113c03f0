//! What is compared: a sweep, a pipeline, a block of variants.
//!
//! ```text
//! variants   = [ sweep ":" ] ( chosen | listed "," listed { "," listed } )
//!            | [ sweep ":" | chosen ":" | sweep ":" chosen ":" | ":" ] block     (the ":" ends the first line)
//! listed     = [ NAME ":" ] pipeline             (without a name it is called a, b, … by its place)
//! chosen     = pipeline | NAME "only" NAME { "," NAME }          (variants of a family; `only` is not reserved)
//! sweep      = NAME "in" ( sum ".." sum [ "by" sum | "times" sum ] | "[" expr { "," expr } "]" )
//! block      = variant { variant }               (each at the start of a line, all indented as the first is)
//! variant    = NAME ":" ( command | pipeline | goes-on )
//! goes-on    = [ "|" ] stage { "|" stage }       (from the first line's pipeline)
//! command    = "!" REST OF LINE { LINE INDENTED DEEPER }              (also as the pipeline of `chosen`)
//! ```

use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};

use super::ast::*;
use super::lexer::{Token, is_reserved};
use super::parser::{Parser, Place};
use super::syntax::{MagicSyntax, Syntax};

/// Reads what stands from byte `at` on; something does.
pub fn variants(cell: u32, text: &str, at: usize, known: MagicSyntax, syntax: &dyn Syntax) -> Fallible<Variants> {
    let mut all = parser(cell, text, (at, text.len()), known, syntax)?;
    let sweep = if begins_sweep(&all) { Some(sweep(&mut all)?) } else { None };
    let after = if sweep.is_some() { all.behind().end as usize } else { at };
    let line_end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    let on_line = |token: &&(Token, Span)| token.0 != Token::End && (token.1.start as usize) < line_end;
    let last = all.tokens.tokens.iter().rfind(on_line);
    let opens = last.filter(|(token, _)| *token == Token::Sign(":")).map(|(_, span)| *span);
    let one = |from: usize, to: usize| -> Fallible<Pipeline> {
        let mut parser = parser(cell, text, (from, to), known, syntax)?;
        if parser.at_word("let") || parser.at_word("fn") {
            let message = format!("`%{}` expects pipelines, got a definition", known.name);
            return Err(Diagnostic::at(Kind::Syntax, parser.span(), message).hint("put it into an earlier cell"));
        }
        let pipeline = parser.pipeline(Place::Statement)?;
        match parser.peek() {
            Token::End => Ok(pipeline),
            Token::Word(word) if word == "only" => {
                let message = "`only` needs names of variants, separated by commas";
                Err(Diagnostic::at(Kind::Syntax, parser.span(), message).hint("%compare sorting only quick, merge"))
            }
            Token::Sign(":") => Err(parser.leftover().hint("write at least two variants: a: A, b: B")),
            _ => Err(parser.leftover()),
        }
    };
    let Some(colon) = opens else {
        if let Some(name) = closed_variant(&all, line_end) {
            return Err(Diagnostic::at(Kind::Syntax, name, "unexpected variant: the first line does not open a block")
                .hint("end the first line with `:`"));
        }
        if all.at(":") || text[after..].trim().is_empty() {
            return Err(Diagnostic::at(Kind::Syntax, all.span(), "expected a pipeline or variants").hint(known.usage));
        }
        let (end, only, base) = read_chosen(&all, after, text.len());
        if only.is_empty()
            && let Some(block) = on_one_line(cell, text, after, known, syntax)?
        {
            return Ok(Variants { sweep, shared: None, only, base, block });
        }
        let shared = one(after, end).map_err(|error| match comma_before(&all, after, error.span) {
            true => {
                error.hint("put a pipeline into brackets if its last stage takes a list: (1..4 | map it, it * 2), …")
            }
            false => error,
        })?;
        return Ok(Variants { sweep, shared: Some(shared), only, base, block: Vec::new() });
    };
    let (end, only, base) = read_chosen(&all, after, colon.start as usize);
    let shared = if (colon.start as usize) < after || text[after..colon.start as usize].trim().is_empty() {
        None
    } else {
        Some(one(after, end)?)
    };
    if let Some(on) = shared.as_ref().and_then(|shared| shared.on.as_ref()) {
        let message = "`on` must be at the end of a variant, not before a block";
        return Err(Diagnostic::at(Kind::Syntax, on.engine.span, message));
    }
    let block = block(cell, text, colon, &all, shared.is_some(), known, syntax)?;
    Ok(Variants { sweep, shared, only, base, block })
}

fn parser<'a>(
    cell: u32,
    text: &'a str,
    (start, end): (usize, usize),
    known: MagicSyntax,
    syntax: &'a dyn Syntax,
) -> Fallible<Parser<'a>> {
    match known.takes_commands() {
        true => Parser::with_commands(cell, text, (start, end), syntax),
        false => Parser::new(cell, text, start, end, syntax),
    }
}

/// Whether a comma outside brackets stands between byte `from` and the place of an error.
fn comma_before(all: &Parser, from: usize, place: Option<Span>) -> bool {
    let Some(place) = place else { return false };
    let mut depth = 0;
    all.tokens.tokens.iter().any(|(token, span)| {
        match token {
            Token::Sign("(" | "[") => depth += 1,
            Token::Sign(")" | "]") => depth -= 1,
            _ => {}
        }
        depth == 0 && *token == Token::Sign(",") && (from..place.start as usize).contains(&(span.start as usize))
    })
}

/// `A, B, …` or `x: A, y: B, …`: variants without a name are called a, b and so on. None where there is no comma behind
/// the first pipeline; what is wrong with that is told where it is read alone.
fn on_one_line(
    cell: u32,
    text: &str,
    from: usize,
    known: MagicSyntax,
    syntax: &dyn Syntax,
) -> Fallible<Option<Vec<Variant>>> {
    let mut parser = parser(cell, text, (from, text.len()), known, syntax)?;
    let mut variants = Vec::new();
    for letter in 'a'..='z' {
        let named = matches!(parser.peek(), Token::Word(_)) && *parser.peek_after(1) == Token::Sign(":");
        let name = if named { Some(parser.variant_name()?) } else { None };
        parser.at += usize::from(named);
        let pipeline = match parser.pipeline(Place::Statement) {
            Err(_) if variants.is_empty() && name.is_none() => return Ok(None),
            read => read?,
        };
        let name = name.unwrap_or_else(|| Word { text: letter.to_string(), span: pipeline.span });
        add(&mut variants, Variant { name, continues: false, pipeline, lines: 1 })?;
        if !parser.eat(",") {
            break;
        }
    }
    if variants.len() < 2 {
        return Ok(None);
    }
    match parser.peek() {
        Token::End => {}
        _ if variants.len() == 26 => {
            let message = "one line can have at most 26 variants";
            return Err(Diagnostic::at(Kind::Syntax, parser.span(), message)
                .hint("put each variant on its own line, in a block"));
        }
        _ => return Err(parser.leftover()),
    }
    Ok(Some(variants))
}

/// Where the pipeline ends that stands from byte `after` to `end`, and the names behind it: `NAME only NAME, NAME`. The
/// word is not reserved: it means this between two names alone, where nothing else follows.
fn read_chosen(all: &Parser, after: usize, end: usize) -> (usize, Vec<Word>, Option<Word>) {
    let inside = |span: &Span| (after..end).contains(&(span.start as usize));
    let tokens: Vec<&(Token, Span)> =
        all.tokens.tokens.iter().filter(|(token, span)| *token != Token::End && inside(span)).collect();
    let [(Token::Word(_) | Token::Quoted(_), _), (Token::Word(only), only_at), names @ ..] = &tokens[..] else {
        return (end, Vec::new(), None);
    };
    let word = |(token, span): &(Token, Span)| match token {
        Token::Word(text) | Token::Quoted(text) => Some(Word { text: text.clone(), span: *span }),
        _ => None,
    };
    let minus = Token::Sign("-");
    let (names, base) = match names {
        [names @ .., (one, _), (two, _), (Token::Word(option), _), base]
            if *one == minus && *two == minus && option == "base" =>
        {
            (names, word(base))
        }
        _ => (names, None),
    };
    let mut chosen = Vec::new();
    for (place, (token, span)) in names.iter().enumerate() {
        match (token, place % 2) {
            (Token::Word(text) | Token::Quoted(text), 0) => chosen.push(Word { text: text.clone(), span: *span }),
            (Token::Sign(","), 1) => {}
            _ => return (end, Vec::new(), None),
        }
    }
    // A comma at the end is a mistake of the list, which is told with the pipeline's.
    if only == "only" && names.len() % 2 == 1 {
        (only_at.start as usize, chosen, base)
    } else {
        (end, Vec::new(), None)
    }
}

/// The name of a variant at the start of the line below, where no bracket is open.
fn closed_variant(all: &Parser, line_end: usize) -> Option<Span> {
    let tokens = &all.tokens.tokens;
    let below = tokens.iter().position(|(_, span)| span.start as usize >= line_end)?;
    let count = |signs: &[&str]| {
        tokens[..below].iter().filter(|(token, _)| matches!(token, Token::Sign(sign) if signs.contains(sign))).count()
    };
    match &tokens[below..] {
        [(Token::Word(_) | Token::Quoted(_), name), (Token::Sign(":"), _), ..]
            if count(&["(", "[", "{"]) == count(&[")", "]", "}"]) =>
        {
            Some(*name)
        }
        _ => None,
    }
}

fn begins_sweep(parser: &Parser) -> bool {
    let named = match parser.peek() {
        Token::Word(word) => !is_reserved(word),
        Token::Quoted(_) => true,
        Token::Int(_)
        | Token::Float(_)
        | Token::Text(_)
        | Token::Code(_)
        | Token::Command(_)
        | Token::Sign(_)
        | Token::End => false,
    };
    named && matches!(parser.peek_after(1), Token::Word(word) if word == "in")
}

/// A sweep with its colon.
fn sweep(parser: &mut Parser) -> Fallible<Sweep> {
    let start = parser.span();
    let name = parser.new_name("the name of the sweep")?;
    parser.eat_word("in");
    let points = if parser.eat("[") {
        let items = parser.nested(|parser| parser.list("]"))?;
        if items.is_empty() {
            return Err(Diagnostic::at(Kind::Syntax, start.to(parser.behind()), "this sweep has no points")
                .hint(format!("{} in [100, 200, 400]:", name.text)));
        }
        Points::List(items)
    } else {
        let first = parser.sum(None)?;
        if !parser.eat("..") && !parser.eat("..=") {
            let example = format!("{0} in 1k..16k: or {0} in [100, 200]:", name.text);
            return Err(parser.expected("`..` between the ends of the sweep").hint(example));
        }
        let end = parser.sum(None)?;
        let step = if parser.eat_word("by") {
            Step::By(parser.sum(None)?)
        } else if parser.eat_word("times") {
            Step::Times(parser.sum(None)?)
        } else {
            Step::Double
        };
        Points::Range { start: Box::new(first), end: Box::new(end), step: Box::new(step) }
    };
    let span = start.to(parser.behind());
    if !parser.eat(":") {
        return Err(parser.expected("`:` after the sweep").hint("%compare n in 1k..16k: letters n | count"));
    }
    Ok(Sweep { name, points, span })
}

/// The variants behind the colon that opens the block. A line that is indented like the first starts one.
fn block(
    cell: u32,
    text: &str,
    colon: Span,
    all: &Parser,
    shared: bool,
    known: MagicSyntax,
    syntax: &dyn Syntax,
) -> Fallible<Vec<Variant>> {
    let mut starts: Vec<usize> = Vec::new();
    let mut indent: Option<&str> = None;
    let mut depth = 0usize;
    for (token, span) in &all.tokens.tokens {
        let at = span.start as usize;
        if at < colon.end as usize || *token == Token::End {
            continue;
        }
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let own = &text[line..at];
        if own.trim().is_empty() && depth == 0 && (starts.is_empty() || *token != Token::Sign("|")) {
            match indent {
                None if own.is_empty() => {
                    return Err(Diagnostic::at(Kind::Syntax, *span, "the variants of a block must be indented")
                        .hint("put spaces before `name: pipeline`"));
                }
                None => {
                    indent = Some(own);
                    starts.push(at);
                }
                Some(first) if own == first => starts.push(at),
                Some(first) if own.starts_with(first) => {}
                Some(_) => {
                    return Err(Diagnostic::at(
                        Kind::Syntax,
                        *span,
                        "this line is indented less than the first variant",
                    )
                    .hint("indent every variant like the first, and continuation lines deeper"));
                }
            }
        }
        match token {
            Token::Sign("(" | "[" | "{") => depth += 1,
            Token::Sign(")" | "]" | "}") => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if starts.is_empty() {
        return Err(Diagnostic::at(Kind::Syntax, colon, "a block of variants is missing after this `:`")
            .hint("put `name: pipeline` on indented lines below"));
    }
    let mut block: Vec<Variant> = Vec::new();
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(text.len());
        let variant = variant(cell, text, (*start, end), shared, known, syntax)?;
        add(&mut block, variant)?;
    }
    Ok(block)
}

/// Adds a variant whose name is new.
fn add(block: &mut Vec<Variant>, variant: Variant) -> Fallible<()> {
    if block.iter().any(|other| other.name.text == variant.name.text) {
        let message = format!("two variants are called `{}`", variant.name.text);
        return Err(Diagnostic::at(Kind::Name, variant.name.span, message));
    }
    block.push(variant);
    Ok(())
}

fn variant(
    cell: u32,
    text: &str,
    (start, end): (usize, usize),
    shared: bool,
    known: MagicSyntax,
    syntax: &dyn Syntax,
) -> Fallible<Variant> {
    let mut parser = parser(cell, text, (start, end), known, syntax)?;
    let named = !matches!(parser.peek_after(1), Token::Sign(":"));
    if named {
        return Err(Diagnostic::at(Kind::Syntax, parser.span(), "a variant must begin with its name and a `:`")
            .hint("name: pipeline; a continuation line is indented deeper, or begins with `|`"));
    }
    let name = parser.variant_name()?;
    parser.expect(":", "after the name of the variant")?;
    if *parser.peek() == Token::End {
        return Err(Diagnostic::at(Kind::Syntax, name.span, format!("the variant `{}` is empty", name.text))
            .hint(format!("{}: pipeline", name.text)));
    }
    let stage = begins_stage(&parser, text);
    let alone = matches!(parser.peek_after(1), Token::End | Token::Sign("|"));
    if stage && !shared && !alone {
        let message = format!("the variant `{}` begins with a stage, but the first line gives it no input", name.text);
        return Err(Diagnostic::at(Kind::Syntax, parser.span(), message)
            .hint("put the input of all variants on the first line: %compare letters 20k seed 7:"));
    }
    let continues = shared && (stage || parser.at("|"));
    let pipeline = if continues { parser.continued()? } else { parser.pipeline(Place::Statement)? };
    if *parser.peek() != Token::End {
        return Err(parser.leftover());
    }
    let said = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let lines = text[start..end].lines().filter(said).count();
    Ok(Variant { name, continues, pipeline, lines })
}

/// Whether the first word is a stage's; one that touches a bracket is a function's.
fn begins_stage(parser: &Parser, text: &str) -> bool {
    let Token::Word(word) = parser.peek() else { return false };
    let touches = text[parser.span().end as usize..].starts_with('(');
    parser.knows_stage(word) && !touches
}
