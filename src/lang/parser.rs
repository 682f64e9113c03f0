//! Tokens to statements.
//!
//! ```text
//! statement  = "let" NAME "=" ( pipeline | "!" REST OF LINE | "store" { WORD unary } )
//!            | "let" NAME "=" "spawn" pipeline [ "|" "on" NAME { WORD atom } ]
//!            | "fn" NAME "(" [ NAME { "," NAME } ] ")" "=" expr
//!            | "fn" NAME "(" [ NAME ":" type { "," NAME ":" type } ] ")" "->" type "=" "rust" "{" RUST "}"
//!            | pipeline [ "|" "on" NAME [ TEXT ] { WORD atom } ]
//! pipeline   = source { "|" stage }          (at the start of a cell the source may be left out: the last result)
//! source     = "read" TEXT { "as" NAME | "columns" name { "," name } | "types" name ":" NAME { "," name ":" NAME }
//!              | "null" unary { "," unary } | WORD unary }
//!            | GENERATED sum [ "seed" atom ]
//!            | "rust" [ "with" NAME { "," NAME } ] "{" RUST "}"
//!            | [sum] ".." [ ["="] sum ]      (a sum must stand before it)
//!            | "wait" NAME
//!            | "(" pipeline ")"              (where the bracket stands first and holds "|" or ".." or a source word)
//!            | expr
//! stage      = NAME parts [ "by" arg { "," arg } ] { WORD atom }
//! parts      = [ arg { "," arg } ] [ direction ]                      (most stages)
//!            | name "as" name { "," name "as" name }                  (rename)
//!            | start expr                start = ["-"] number | TEXT | true | false | null | "[" … "]" | "(" expr ")"
//!            | TEXT | NAME | [left|semi|anti] table "on" key { "," key }    key = expr, or expr "==" expr (join)
//!            | table { "," table }           table = name | "(" pipeline ")"                             (concat, zip)
//!            | [ number ] [ TEXT ]                                                                        (peek)
//!            | TEXT [ "as" NAME ] [ "parts" unary ]                                   ("as" may stand last) (write)
//!            | NAME ":" "(" stage { "|" stage } ")" { "," … }                                            (tee)
//!            | { WORD }                                                                               (persist)
//!            | ( expr | "until" expr ) "{" stage { "|" stage } "}" [ "max" unary ]                   (iterate)
//!            | "map" "=" ( "(" expr "," expr ")" | code ) "into" name [":" type] "," name [":" type]
//!              "reduce" "=" ( expr | code ) [ "combine" "=" ( expr | code ) ]                            (mapreduce)
//!              code = "rust" [ "with" NAME { "," NAME } ] "{" RUST "}" | "command" TEXT
//! arg        = [ name "=" ] expr [ direction ]                        direction = "asc" | "desc"
//! expr       = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | comparison
//! comparison = sum [ ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not" "in") sum ]
//! sum        = product { ("+" | "-") product }
//! product    = unary { ("*" | "/" | "//" | "%") unary }
//! unary      = "-" unary | "if" expr "then" expr "else" expr | postfix
//! postfix    = atom { "[" expr "]" | "." NAME }
//! atom       = number | TEXT | "true" | "false" | "null" | name | NAME "(" [ expr { "," expr } ] ")"
//!            | "(" expr ")" | "[" [ expr { "," expr } ] "]"
//! name       = NAME | "`" ANY "`"
//! type       = "int" | "float" | "bool" | "text" | "list" "<" type ">"
//! ```
//!
//! Loops, not recursion, read every chain; only true nesting costs depth.

use crate::data::Type;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::sources;

use super::ast::*;
use super::foreign::{self, ForeignWord};
use super::lexer::{MAX_DEPTH, Token, Tokens, is_reserved, lex, lex_as};
use super::split;
use super::syntax::{ArgumentSyntax, By, StageSyntax, Syntax};
/// Stands for an expression that is not there.
fn null_at(span: Span) -> Expr {
    Expr { node: Node::Null, span }
}

/// Where a pipeline stands: only at the end of a statement may it say `on ENGINE`.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    Statement,
    Let,
    Brackets,
}

/// One of them follows the word `store` where it describes one.
const STORE_OPTIONS: [&str; 3] = ["delay", "keys", "seed"];

pub(super) struct Parser<'a> {
    cell: u32,
    text: &'a str,
    pub(super) tokens: Tokens,
    pub(super) at: usize,
    depth: usize,
    syntax: &'a dyn Syntax,
    /// The usage of the stage that is being read, for errors.
    usage: Option<&'static str>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(
        cell: u32,
        text: &'a str,
        start: usize,
        end: usize,
        syntax: &'a dyn Syntax,
    ) -> Fallible<Parser<'a>> {
        // A command ends the token text: what it says is the shell's language.
        let tokens = match let_command(&text[..end], start) {
            Some(bang) => lex(cell, text, start, bang + 1)?,
            None => lex(cell, text, start, end)?,
        };
        Ok(Parser { cell, text, tokens, at: 0, depth: 0, syntax, usage: None })
    }

    /// The same where a magic takes commands: `!` at the start or behind a colon begins one.
    pub(super) fn with_commands(
        cell: u32,
        text: &'a str,
        (start, end): (usize, usize),
        syntax: &'a dyn Syntax,
    ) -> Fallible<Parser<'a>> {
        let tokens = lex_as(cell, text, start, end, true)?;
        Ok(Parser { cell, text, tokens, at: 0, depth: 0, syntax, usage: None })
    }

    pub(super) fn peek(&self) -> &Token {
        &self.tokens.tokens[self.at].0
    }

    pub(super) fn peek_after(&self, count: usize) -> &Token {
        let last = self.tokens.tokens.len() - 1;
        &self.tokens.tokens[(self.at + count).min(last)].0
    }

    pub(super) fn span(&self) -> Span {
        self.tokens.tokens[self.at].1
    }

    /// The place of the token before the next one.
    pub(super) fn behind(&self) -> Span {
        self.tokens.tokens[self.at.saturating_sub(1)].1
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn at(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found == word)
    }

    pub(super) fn eat(&mut self, sign: &str) -> bool {
        let found = self.at(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        self.at += usize::from(found);
        found
    }

    /// Whether a stage has this name.
    pub(super) fn knows_stage(&self, name: &str) -> bool {
        self.syntax.stage(name).is_some()
    }

    /// What stands here, for an error.
    fn what_stands(&self) -> String {
        match self.peek() {
            Token::End => "end of input".to_string(),
            _ => {
                let span = self.span();
                format!("`{}`", &self.text[span.start as usize..span.end as usize])
            }
        }
    }

    pub(super) fn expected(&self, what: &str) -> Box<Diagnostic> {
        let error = Diagnostic::at(Kind::Syntax, self.span(), format!("expected {what}, got {}", self.what_stands()));
        let error = if *self.peek() == Token::End {
            Diagnostic::at(Kind::Syntax, self.behind().after(), format!("expected {what}, got end of input"))
        } else {
            error
        };
        match (self.slip(), self.usage) {
            (Some(hint), _) => error.hint(hint),
            (None, Some(usage)) => error.hint(format!("usage: {usage}")),
            (None, None) => error,
        }
    }

    /// What somebody who knows another language meant by what stands here.
    fn slip(&self) -> Option<String> {
        let behind = self.at.checked_sub(1).map(|at| &self.tokens.tokens[at].0);
        match (behind, self.peek()) {
            (Some(Token::Sign("(")), Token::Sign("*")) => Some("`count()` counts rows: | agg n = count()".to_string()),
            (_, Token::Word(word)) if word == "as" => {
                Some("the name comes first: | map total = price * 2; float(x) converts".to_string())
            }
            (_, Token::Word(word)) if word == "is" => {
                let negated = matches!(self.peek_after(1), Token::Word(not) if not == "not");
                Some(format!("write `{}is_null(x)`", if negated { "not " } else { "" }))
            }
            (_, Token::Word(word)) => foreign::find(word).map(ForeignWord::hint),
            _ => None,
        }
    }

    pub(super) fn expect(&mut self, sign: &str, what: &str) -> Fallible<()> {
        if self.eat(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}` {what}"))) }
    }

    /// The error where a statement should have ended.
    pub(super) fn leftover(&self) -> Box<Diagnostic> {
        let message = format!("unexpected {} after a complete statement", self.what_stands());
        let error = Diagnostic::at(Kind::Syntax, self.span(), message);
        if let Some((Token::Word(first), _)) = self.tokens.tokens.first() {
            if first.eq_ignore_ascii_case("select") {
                return error.hint("a query begins with its source; `%help sql` has the stage for each clause");
            }
            if let Some(foreign) = foreign::find(first) {
                return error.hint(foreign.hint());
            }
        }
        let first = self.tokens.tokens.first().map(|(token, _)| token);
        match (first, self.peek()) {
            (Some(Token::Word(word)), _) if self.syntax.magic(word).is_some() => {
                return error.hint(format!("a magic begins with `%`: %{word}"));
            }
            (_, Token::Sign("(")) if self.at > 1 && self.tokens.tokens[self.at - 2].0 == Token::Sign(".") => {
                return error.hint("there are no methods: write xs | mean, or lower(x)");
            }
            (Some(Token::Word(word)), _) if self.at == 1 && self.syntax.stage(word).is_some() => {
                return error.hint(format!(
                    "a stage follows a source, as in 1..10 | {word} …; `| {word} …` continues from the last result"
                ));
            }
            // A program and its first argument.
            (Some(Token::Word(_)), Token::Word(_) | Token::Int(_) | Token::Float(_) | Token::Text(_))
                if self.at == 1 =>
            {
                return error.hint("`!` runs a system command, `|` adds a stage, `;` ends a statement");
            }
            _ => {}
        }
        if let Some(hint) = self.slip() {
            return error.hint(hint);
        }
        match self.peek() {
            Token::Sign("=") => error.hint("`==` compares; `let name = …` assigns a name"),
            Token::Sign("..") | Token::Sign("..=") => {
                error.hint("a range must be at the start of a pipeline: 1..10 | …")
            }
            Token::Sign("!") => error.hint("write `not x`, or `a != b`"),
            Token::Word(word) if self.syntax.stage(word).is_some() => {
                error.hint(format!("write `|` before a stage: | {word}"))
            }
            _ => match self.usage {
                _ if matches!(self.tokens.tokens[self.at.saturating_sub(1)].0, Token::Code(_)) => {
                    error.hint("name it first: let x = rust { … }; x + 1")
                }
                Some(usage) => error.hint(format!("usage: {usage}")),
                None => error.hint("`|` adds a stage, `;` ends a statement"),
            },
        }
    }

    /// Runs `read` one level deeper.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Fallible<T>) -> Fallible<T> {
        if self.depth == MAX_DEPTH {
            let message = format!("this is nested more than {MAX_DEPTH} levels deep");
            return Err(Diagnostic::at(Kind::Syntax, self.span(), message).hint("name an inner part first: let x = …"));
        }
        self.depth += 1;
        let result = stacker::maybe_grow(128 << 10, 4 << 20, || read(self));
        self.depth -= 1;
        result
    }

    /// All that is left, with `;` between.
    pub(super) fn statements(&mut self) -> Fallible<Vec<Statement>> {
        let mut statements = Vec::new();
        while *self.peek() != Token::End {
            if self.eat(";") {
                continue;
            }
            if let Some(Statement::Pipeline(Pipeline { on: Some(on), .. })) = statements.last() {
                return Err(Diagnostic::at(Kind::Syntax, on.engine.span, "`on` is only allowed at the end of a cell")
                    .hint("the whole cell runs on one engine"));
            }
            statements.push(self.statement()?);
            if *self.peek() != Token::End && !self.at(";") {
                return Err(self.leftover());
            }
        }
        Ok(statements)
    }

    pub(super) fn statement(&mut self) -> Fallible<Statement> {
        self.usage = None;
        if self.eat_word("let") {
            let name = self.new_name("a name")?;
            self.expect("=", "after the name")?;
            if self.at("!") {
                let at = self.span().start as usize;
                self.at = self.tokens.tokens.len() - 1;
                return Ok(Statement::LetCommand(name, command(self.cell, self.text, at)?));
            }
            if self.at_store() {
                return Ok(Statement::LetStore(name, self.store()?));
            }
            if self.at_spawn() {
                self.at += 1;
                return Ok(Statement::Spawn(name, self.pipeline(Place::Statement)?));
            }
            return Ok(Statement::Let(name, self.pipeline(Place::Let)?));
        }
        if self.eat_word("fn") {
            return self.function();
        }
        if self.at_spawn() {
            return Err(Diagnostic::at(Kind::Syntax, self.span(), "a job needs a name")
                .hint("let f = spawn …; then `wait f`, or use `f` as a table"));
        }
        Ok(Statement::Pipeline(self.pipeline(Place::Statement)?))
    }

    /// Whether a store is described here: `store` alone is a name like others.
    fn at_store(&self) -> bool {
        let is_option = |token: &Token| matches!(token, Token::Word(word) if STORE_OPTIONS.contains(&word.as_str()));
        self.at_word("store") && is_option(self.peek_after(1))
    }

    /// Whether a job begins here: `spawn` is a name where nothing follows that could begin a pipeline.
    fn at_spawn(&self) -> bool {
        if !self.at_word("spawn") {
            return false;
        }
        let touches = self.tokens.tokens[self.at].1.end == self.tokens.tokens[self.at + 1].1.start;
        match self.peek_after(1) {
            Token::Word(word) => !matches!(word.as_str(), "and" | "or" | "in" | "if" | "then" | "else" | "by" | "on"),
            Token::Quoted(_) | Token::Int(_) | Token::Float(_) | Token::Text(_) | Token::Code(_) => true,
            // A call or an element where the bracket touches the name.
            Token::Sign(sign) => matches!(*sign, "(" | "[") && !touches,
            Token::Command(_) | Token::End => false,
        }
    }

    /// Whether a job is waited for here: `wait` alone is a name like others.
    fn at_wait(&self) -> bool {
        let is_name = match self.peek_after(1) {
            Token::Word(word) => !is_reserved(word),
            Token::Quoted(_) => true,
            _ => false,
        };
        self.at_word("wait") && is_name
    }

    /// `store { WORD unary }`
    fn store(&mut self) -> Fallible<Vec<(Word, Expr)>> {
        self.at += 1;
        self.usage = Some("store delay 5ms [keys 10k] [seed s]");
        let mut options: Vec<(Word, Expr)> = Vec::new();
        while matches!(self.peek(), Token::Word(_)) {
            let option = self.name("an option")?;
            if !STORE_OPTIONS.contains(&option.text.as_str()) {
                let message = format!("a store has no option `{}`", option.text);
                let error = Diagnostic::at(Kind::Name, option.span, message).near(&option.text, STORE_OPTIONS);
                return Err(if error.hint.is_some() { error } else { error.hint("delay 5ms keys 10k seed 1") });
            }
            if options.iter().any(|(other, _)| other.text == option.text) {
                let message = format!("option `{}` is given twice", option.text);
                return Err(Diagnostic::at(Kind::Syntax, option.span, message));
            }
            options.push((option, self.unary()?));
        }
        if self.at("|") {
            return Err(Diagnostic::at(Kind::Syntax, self.span(), "a store needs a name of its own before stages")
                .hint("let kv = store delay 5ms; kv | top 3"));
        }
        Ok(options)
    }

    fn function(&mut self) -> Fallible<Statement> {
        let name = self.new_name("a name for the function")?;
        self.expect("(", "after the name")?;
        let (mut parameters, mut types) = (Vec::new(), Vec::new());
        while !self.eat(")") {
            if !parameters.is_empty() {
                self.expect(",", "between parameters")?;
            }
            let parameter = self.new_name("a parameter")?;
            if parameters.iter().any(|other: &Word| other.text == parameter.text) {
                let message = format!("two parameters are called `{}`", parameter.text);
                return Err(Diagnostic::at(Kind::Name, parameter.span, message));
            }
            parameters.push(parameter);
            if self.eat(":") {
                types.push(self.type_name()?);
            }
        }
        let gives = if self.eat("->") { Some(self.type_name()?) } else { None };
        self.expect("=", "before the body")?;
        let rust = self.at_word("rust");
        let typed = |gives| (types.len() == parameters.len()).then_some(gives).flatten();
        match typed(gives.clone()) {
            Some(gives) if rust => {
                let parameters = parameters.into_iter().zip(types).collect();
                Ok(Statement::RustFunction(RustFunction { name, parameters, gives, body: self.rust()? }))
            }
            _ if rust => Err(Diagnostic::at(
                Kind::Type,
                name.span,
                "a function in Rust needs the types of its parameters and its result",
            )
            .hint(format!("fn {}(x: int) -> int = rust {{ x }}", name.text))),
            _ if gives.is_some() || !types.is_empty() => {
                Err(Diagnostic::at(Kind::Type, name.span, "only a function in Rust states its types")
                    .hint("the types of other functions are inferred from each call"))
            }
            _ => Ok(Statement::Function(Function { name, parameters, body: self.expr()? })),
        }
    }

    /// `int`, `float`, `bool`, `text` or `list<…>`.
    fn type_name(&mut self) -> Fallible<Type> {
        let word = self.name("a type")?;
        Ok(match word.text.as_str() {
            "int" => Type::Int,
            "float" => Type::Float,
            "bool" => Type::Bool,
            "text" => Type::Text,
            "list" => {
                self.expect("<", "after `list`")?;
                let of = self.nested(Self::type_name)?;
                self.expect(">", "after the type of the elements")?;
                Type::list(of)
            }
            other => {
                let message = format!("`{other}` is not a type; types are int, float, bool, text and list<…>");
                return Err(Diagnostic::at(Kind::Type, word.span, message)
                    .near(other, ["int", "float", "bool", "text", "list"]));
            }
        })
    }

    /// The name of a variant, which may be a word of the language too.
    pub(super) fn variant_name(&mut self) -> Fallible<Word> {
        if let (Token::Word(text), span) = (self.peek().clone(), self.span())
            && *self.peek_after(1) == Token::Sign(":")
        {
            self.at += 1;
            return Ok(Word { text, span });
        }
        self.name("the name of a variant")
    }

    /// A name that is being given.
    pub(super) fn new_name(&mut self, what: &str) -> Fallible<Word> {
        let name = self.name(what)?;
        let result = name.text.strip_prefix('_').is_some_and(|digits| digits.chars().all(|c| c.is_ascii_digit()));
        if matches!(name.text.as_str(), "it" | "acc") || result {
            let message = format!("`{}` is reserved and cannot be assigned", name.text);
            return Err(Diagnostic::at(Kind::Name, name.span, message).hint("choose another name"));
        }
        Ok(name)
    }

    /// A name, bare or in backquotes.
    pub(super) fn name(&mut self, what: &str) -> Fallible<Word> {
        let span = self.span();
        match self.peek().clone() {
            Token::Word(text) if is_reserved(&text) => {
                let message = format!("{what} is missing: `{text}` is a word of the language");
                Err(Diagnostic::at(Kind::Syntax, span, message)
                    .hint(format!("for a column of that name, write `` `{text}` ``")))
            }
            Token::Word(text) | Token::Quoted(text) => {
                self.at += 1;
                Ok(Word { text, span })
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn pipeline(&mut self, place: Place) -> Fallible<Pipeline> {
        let start = self.span();
        if let Token::Command(text) = self.peek().clone() {
            return self.command(text);
        }
        let source = self.source(place)?;
        self.stages(source, start, place, false)
    }

    /// A command stands alone: its text is the shell's.
    fn command(&mut self, text: String) -> Fallible<Pipeline> {
        let span = self.span();
        self.at += 1;
        if text.is_empty() {
            return Err(
                Diagnostic::at(Kind::Syntax, span, "a command is missing after `!`").hint("for example: !ls samples")
            );
        }
        let node = SourceNode::Command(Word { text, span });
        Ok(Pipeline { source: Source { node, span }, stages: Vec::new(), on: None, span })
    }

    /// Stages that go on from something else; a bar before the first may be left out.
    pub(super) fn continued(&mut self) -> Fallible<Pipeline> {
        let start = self.span();
        let source = Source { node: SourceNode::Last, span: start };
        let bare = !self.at("|");
        self.stages(source, start, Place::Statement, bare)
    }

    /// The stages behind a source; the first without a bar where it is `bare`.
    fn stages(&mut self, source: Source, start: Span, place: Place, bare: bool) -> Fallible<Pipeline> {
        let mut bare = bare;
        let mut stages = Vec::new();
        let mut on = None;
        while std::mem::take(&mut bare) || self.eat("|") {
            let bar = self.behind();
            let end = matches!(self.peek(), Token::End | Token::Sign("|" | ";" | ")"));
            if end {
                let error = Diagnostic::at(Kind::Syntax, bar, "a stage is missing after this `|`");
                return Err(if self.at("|") && self.span().start == bar.end {
                    error.hint("`+` joins texts, `or` combines conditions")
                } else {
                    error.hint("for example: | take 5; `%help stages` lists them")
                });
            }
            if self.at_word("on") {
                on = Some(self.on(place)?);
                break;
            }
            stages.push(self.stage()?);
        }
        self.usage = None;
        Ok(Pipeline { source, stages, on, span: start.to(self.behind()) })
    }

    fn on(&mut self, place: Place) -> Fallible<On> {
        let word = self.span();
        self.at += 1;
        if place != Place::Statement {
            return Err(Diagnostic::at(Kind::Syntax, word, "`on` is only allowed at the end of a cell")
                .hint("the whole cell runs on one engine: move it after the last stage"));
        }
        let engine = self.name("an engine")?;
        let names = self.syntax.engine_names();
        if !names.contains(&engine.text.as_str()) {
            let error = Diagnostic::at(Kind::Name, engine.span, format!("unknown engine `{}`", engine.text));
            let error = error.near(&engine.text, names.iter().copied());
            let all = format!("engines are {}", crate::diagnostic::listed(&names));
            return Err(if error.hint.is_some() { error } else { error.hint(all) });
        }
        let address = if let Token::Text(text) = self.peek() {
            let text = text.clone();
            let span = self.span();
            self.at += 1;
            Some(Word { text, span })
        } else {
            None
        };
        let mut options = Vec::new();
        while matches!(self.peek(), Token::Word(_)) {
            let name = self.eat_on().map_or_else(|| self.name("an option"), Ok)?;
            let value = match self.eat_on() {
                Some(Word { text, span }) => Expr { node: Node::Name(text), span },
                None => self.postfix()?,
            };
            options.push((name, value));
        }
        if self.at("|") {
            return Err(Diagnostic::at(Kind::Syntax, self.span(), "nothing may follow `on ENGINE`")
                .hint("the whole cell runs on one engine: move `on` after the last stage"));
        }
        Ok(On { engine, address, options })
    }

    /// `on` as an option of an engine, or as what one is given.
    fn eat_on(&mut self) -> Option<Word> {
        let span = self.span();
        self.eat_word("on").then(|| Word { text: "on".to_string(), span })
    }

    fn source(&mut self, place: Place) -> Fallible<Source> {
        let start = self.span();
        if self.at_store() {
            return Err(Diagnostic::at(Kind::Syntax, start, "a store needs a name, with which it ends")
                .hint("let kv = store delay 5ms; kv | top 3"));
        }
        let generated = if let Token::Word(word) = self.peek() { sources::find(word) } else { None };
        let node = match self.peek().clone() {
            Token::Sign("|") if place == Place::Statement => SourceNode::Last,
            Token::Word(word) if word == "read" => self.read()?,
            Token::Word(_) if self.at_wait() => {
                self.at += 1;
                SourceNode::Wait(self.name("the name of a job")?)
            }
            Token::Word(_) if let Some(source) = generated => {
                self.at += 1;
                let count = self.sum(None)?;
                let seed = if self.eat_word("seed") { Some(self.unary()?) } else { None };
                SourceNode::Generated { source, count, seed }
            }
            Token::Sign("(") if self.holds_pipeline() => {
                self.at += 1;
                let inner = self.nested(|parser| parser.pipeline(Place::Brackets))?;
                self.expect(")", "after the pipeline")?;
                if let Token::Sign("+" | "-" | "*" | "/" | "[" | "==" | "<" | ">") = self.peek() {
                    return Err(Diagnostic::at(
                        Kind::Syntax,
                        self.span(),
                        "a pipeline cannot be part of an expression",
                    )
                    .hint("name it first: let x = (…); x + 1"));
                }
                SourceNode::Nested(Box::new(inner))
            }
            Token::Word(word) if word == "not" => SourceNode::Expr(self.expr()?),
            Token::Word(word) if word == "rust" => SourceNode::Rust(self.rust()?),
            _ => {
                let left = self.sum(None)?;
                if self.at("..") || self.at("..=") {
                    let inclusive = self.next() == Token::Sign("..=");
                    let open = matches!(self.peek(), Token::End | Token::Sign("|" | ";" | ")" | ","));
                    let end = if open && !inclusive { None } else { Some(self.sum(None)?) };
                    SourceNode::Range { start: left, end, inclusive }
                } else {
                    SourceNode::Expr(self.expr_after(Some(left))?)
                }
            }
        };
        Ok(Source { node, span: start.to(self.behind()) })
    }

    /// `rust [with name, …] { … }`
    fn rust(&mut self) -> Fallible<RustBlock> {
        self.at += 1;
        let mut with = Vec::new();
        if self.eat_word("with") {
            with.push(self.name("a name of the session")?);
            while self.eat(",") {
                with.push(self.name("a name of the session")?);
            }
        }
        let span = self.span();
        let Token::Code(text) = self.peek().clone() else {
            return Err(self.expected("`{ … }` with Rust").hint("rust { (0..10u64).sum::<u64>() }"));
        };
        self.at += 1;
        let inside = Span { start: span.start + 1, end: span.end - 1, ..span };
        Ok(RustBlock { with, body: Word { text, span: inside } })
    }

    /// Whether the bracket that stands here holds `|` or `..` or begins with a source word.
    fn holds_pipeline(&self) -> bool {
        let inside = &self.tokens.tokens[self.at + 1..self.tokens.closing[self.at]];
        let source_word = |token: &Token| matches!(token, Token::Word(word) if is_source(word));
        inside.first().is_some_and(|(token, _)| source_word(token))
            || inside.iter().any(|(token, _)| matches!(token, Token::Sign("|" | ".." | "..=")))
    }

    fn read(&mut self) -> Fallible<SourceNode> {
        self.usage = Some(
            "read \"path\" [as csv|json|parquet|arrow|text] [sep \";\"] [header false] [columns a, b] [types a: text] \
             [null \"NA\"] [comment \"#\"]",
        );
        self.at += 1;
        let span = self.span();
        let Token::Text(text) = self.peek().clone() else {
            return Err(self.expected("a path in quotes"));
        };
        self.at += 1;
        let path = Word { text, span };
        let (mut format, mut columns, mut types, mut nulls, mut options) = (None, None, Vec::new(), None, Vec::new());
        let twice = |name: &Word| {
            Err(Diagnostic::at(Kind::Syntax, name.span, format!("option `{}` is given twice", name.text)))
        };
        loop {
            if self.eat_word("as") {
                if format.is_some() {
                    return Err(Diagnostic::at(Kind::Syntax, self.behind(), "`as` is given twice"));
                }
                format = Some(self.name("a format")?);
                continue;
            }
            let Token::Word(text) = self.peek().clone() else { break };
            let word = Word { text, span: self.span() };
            if matches!(word.text.as_str(), "columns" | "types" | "null") {
                self.at += 1;
            }
            match word.text.as_str() {
                "columns" if columns.is_some() => return twice(&word),
                "columns" => {
                    let mut names = vec![self.name("a column")?];
                    while self.eat(",") {
                        names.push(self.name("a column")?);
                    }
                    columns = Some(names);
                    continue;
                }
                "types" if !types.is_empty() => return twice(&word),
                "types" => {
                    loop {
                        let column = self.name("a column")?;
                        self.expect(":", "between a column and its type")?;
                        types.push((column, self.name("a type")?));
                        if !self.eat(",") {
                            break;
                        }
                    }
                    continue;
                }
                "null" if nulls.is_some() => return twice(&word),
                "null" => {
                    let mut texts = vec![self.unary()?];
                    while self.eat(",") {
                        texts.push(self.unary()?);
                    }
                    nulls = Some((word, texts));
                    continue;
                }
                _ => {}
            }
            let name = self.name("an option")?;
            const OPTIONS: [&str; 5] = ["sep", "header", "comment", "ragged", "lossy"];
            if !OPTIONS.contains(&name.text.as_str()) {
                let error = Diagnostic::at(Kind::Name, name.span, format!("`read` has no option `{}`", name.text));
                let known = OPTIONS.iter().chain(&["columns", "types", "null", "as"]).copied();
                let error = error.near(&name.text, known);
                let all = "options are as, sep, header, columns, types, null, comment, ragged, lossy; write `|` \
                           before a stage: | words";
                return Err(if error.hint.is_some() { error } else { error.hint(all) });
            }
            if options.iter().any(|(other, _): &(Word, Expr)| other.text == name.text) {
                return Err(Diagnostic::at(Kind::Syntax, name.span, format!("option `{}` is given twice", name.text)));
            }
            options.push((name, self.unary()?));
        }
        self.usage = None;
        Ok(SourceNode::Read { path, format, columns, types, nulls, options })
    }

    fn stage(&mut self) -> Fallible<Stage> {
        let span = self.span();
        let name = match self.peek().clone() {
            Token::Word(text) => Word { text, span },
            _ => {
                return Err(Diagnostic::at(
                    Kind::Syntax,
                    span,
                    format!("expected the name of a stage, got {}", self.what_stands()),
                )
                .hint("for example: | map it + 1"));
            }
        };
        let Some(known) = self.syntax.stage(&name.text) else {
            let error = Diagnostic::at(Kind::Name, span, format!("unknown stage `{}`", name.text));
            let called = self.peek_after(1) == &Token::Sign("(");
            let names = self.syntax.stage_names();
            let error = foreign::suggest(error, &name.text, names.iter().copied());
            return Err(match error.hint {
                Some(_) => error,
                None if called => error.hint(format!("use a function inside a stage: | map {}(…)", name.text)),
                None => error.hint("`%help stages` lists them"),
            });
        };
        self.at += 1;
        self.usage = Some(known.usage);
        let mut stage = Stage {
            name,
            args: Vec::new(),
            direction: None,
            by: Vec::new(),
            options: Vec::new(),
            tables: Vec::new(),
            branches: Vec::new(),
            kind: None,
            on: Vec::new(),
            code: Vec::new(),
            types: Vec::new(),
            span,
        };
        match known.shape {
            ArgumentSyntax::Args { least, most, named, directed, by } => {
                self.args(&mut stage, known, (least, most), named)?;
                if directed {
                    stage.direction = self.direction();
                }
                if by != By::No && self.eat_word("by") {
                    stage.by.push(self.arg(true)?);
                    while self.eat(",") {
                        stage.by.push(self.arg(true)?);
                    }
                }
                if by == By::Required && stage.by.is_empty() {
                    return Err(self.expected("`by` and a key"));
                }
            }
            ArgumentSyntax::Renames => loop {
                let expr = self.column()?;
                if !self.eat_word("as") {
                    return Err(self.expected("`as` and the new name"));
                }
                stage.args.push(Arg { name: Some(self.name("the new name")?), expr, direction: None });
                if !self.eat(",") {
                    break;
                }
            },
            ArgumentSyntax::Fold => {
                for expr in [self.start()?, self.expr()?] {
                    stage.args.push(Arg { name: None, expr, direction: None });
                }
            }
            ArgumentSyntax::Join => self.join(&mut stage)?,
            ArgumentSyntax::Tables => {
                stage.tables.push(self.table()?);
                while self.eat(",") {
                    stage.tables.push(self.table()?);
                }
            }
            ArgumentSyntax::Write => {
                if !matches!(self.peek(), Token::Text(_)) {
                    return Err(self.expected("a path in quotes"));
                }
                let expr = self.atom()?;
                stage.args.push(Arg { name: None, expr, direction: None });
                if self.eat_word("as") {
                    stage.kind = Some(self.name("a format")?);
                }
            }
            ArgumentSyntax::Tee => loop {
                stage.branches.push(self.branch()?);
                if !self.eat(",") {
                    break;
                }
            },
            ArgumentSyntax::MapReduce => self.map_reduce(&mut stage)?,
            ArgumentSyntax::Iterate => self.rounds(&mut stage)?,
            ArgumentSyntax::Words(known) => self.words_of(&mut stage, known)?,
            ArgumentSyntax::Peek => {
                while stage.args.len() < 2 && !self.args_end(known) {
                    let expr = self.atom()?;
                    stage.args.push(Arg { name: None, expr, direction: None });
                }
            }
        }
        while let Token::Word(word) = self.peek().clone() {
            if !known.options.contains(&word.as_str()) {
                break;
            }
            let name = self.name("an option")?;
            stage.options.push((name, self.unary()?));
        }
        if known.shape == ArgumentSyntax::Write && stage.kind.is_none() && self.eat_word("as") {
            stage.kind = Some(self.name("a format")?);
        }
        stage.span = span.to(self.behind());
        self.stage_ends(known)?;
        Ok(stage)
    }

    fn stage_ends(&self, known: StageSyntax) -> Fallible<()> {
        if matches!(self.peek(), Token::End | Token::Sign("|" | ";" | ")" | "," | "}")) {
            return Ok(());
        }
        let message = format!("`{}`: unexpected {}", known.name, self.what_stands());
        let error = Diagnostic::at(Kind::Syntax, self.span(), message);
        Err(match self.peek() {
            Token::Sign("=") => error.hint("`==` compares"),
            Token::Sign(".." | "..=") => {
                error.hint("a range must be at the start of a pipeline; in an expression, write range(1, 10)")
            }
            Token::Sign("!") => error.hint("write `not x`, or `a != b`"),
            Token::Word(word) if word == "on" => error.hint("to choose an engine, write: | on rows"),
            _ => error.hint(self.slip().unwrap_or_else(|| format!("usage: {}", known.usage))),
        })
    }

    /// Whether the next token ends the arguments of a stage.
    fn args_end(&self, known: StageSyntax) -> bool {
        match self.peek() {
            Token::End => true,
            Token::Sign(sign) => matches!(*sign, "|" | ";" | ")" | "," | "}"),
            Token::Word(word) => {
                matches!(word.as_str(), "by" | "asc" | "desc" | "on") || known.options.contains(&word.as_str())
            }
            Token::Quoted(_)
            | Token::Int(_)
            | Token::Float(_)
            | Token::Text(_)
            | Token::Code(_)
            | Token::Command(_) => false,
        }
    }

    fn args(
        &mut self,
        stage: &mut Stage,
        known: StageSyntax,
        (least, most): (usize, usize),
        named: bool,
    ) -> Fallible<()> {
        if most > 0 && !self.args_end(known) {
            stage.args.push(self.arg(named)?);
            while stage.args.len() < most && self.eat(",") {
                stage.args.push(self.arg(named)?);
            }
        }
        if stage.args.len() < least {
            return Err(self.expected("an argument"));
        }
        Ok(())
    }

    fn arg(&mut self, named: bool) -> Fallible<Arg> {
        let has_name =
            matches!(self.peek(), Token::Word(_) | Token::Quoted(_)) && *self.peek_after(1) == Token::Sign("=");
        let name = if has_name {
            let name = self.name("a name")?;
            if !named {
                return Err(Diagnostic::at(Kind::Syntax, self.span(), "`=` assigns a name and cannot be used here")
                    .hint("`==` compares"));
            }
            self.at += 1;
            Some(name)
        } else {
            None
        };
        let expr = self.expr()?;
        Ok(Arg { name, expr, direction: self.direction() })
    }

    fn direction(&mut self) -> Option<Direction> {
        if self.eat_word("asc") {
            Some(Direction::Ascending)
        } else if self.eat_word("desc") {
            Some(Direction::Descending)
        } else {
            None
        }
    }

    fn column(&mut self) -> Fallible<Expr> {
        let name = self.name("a column")?;
        Ok(Expr { node: Node::Name(name.text), span: name.span })
    }

    fn start(&mut self) -> Fallible<Expr> {
        let start = match self.peek() {
            Token::Int(_) | Token::Float(_) | Token::Text(_) | Token::Sign("(" | "[") => true,
            Token::Sign("-") => matches!(self.peek_after(1), Token::Int(_) | Token::Float(_)),
            Token::Word(word) => matches!(word.as_str(), "true" | "false" | "null"),
            _ => false,
        };
        if !start {
            return Err(self.expected("a start value (a number, a text, true, false, null, […] or (…))"));
        }
        if self.at("-") { self.unary() } else { self.atom() }
    }

    fn join(&mut self, stage: &mut Stage) -> Fallible<()> {
        // A name that nothing follows is a text of the session.
        let ends = matches!(self.peek_after(1), Token::End | Token::Sign("|" | ";" | ")" | "," | "}"));
        if matches!(self.peek(), Token::Text(_)) || (ends && matches!(self.peek(), Token::Word(_))) {
            let expr = self.atom()?;
            stage.args.push(Arg { name: None, expr, direction: None });
            return Ok(());
        }
        if let Token::Word(word) = self.peek().clone() {
            let table_follows = matches!(self.peek_after(1), Token::Word(w) if w != "on")
                || matches!(self.peek_after(1), Token::Sign("(") | Token::Quoted(_));
            if table_follows {
                const KINDS: [&str; 4] = ["inner", "left", "semi", "anti"];
                let span = self.span();
                if !KINDS.contains(&word.as_str()) {
                    let error = Diagnostic::at(Kind::Name, span, format!("unknown join kind `{word}`"));
                    let error = error.near(&word, KINDS);
                    return Err(if error.hint.is_some() {
                        error
                    } else {
                        error.hint("kinds are inner (the default), left, semi and anti")
                    });
                }
                self.at += 1;
                stage.kind = Some(Word { text: word, span });
            }
        }
        stage.tables.push(self.table()?);
        if !self.eat_word("on") {
            return Err(self.expected("`on` and a key"));
        }
        loop {
            let key = self.expr()?;
            stage.on.push(match key {
                Expr { node: Node::Compare(left, Comparison::Equal, _, right), .. } => (*left, *right),
                Expr { node: Node::Compare(_, sign, place, _), .. } => {
                    let message = format!("`join` matches equal keys only, got `{}`", sign.sign());
                    return Err(
                        Diagnostic::at(Kind::Syntax, place, message).hint("to compare, use a `filter` after the join")
                    );
                }
                key => (key.clone(), key),
            });
            if !self.eat(",") {
                return Ok(());
            }
        }
    }

    fn map_reduce(&mut self, stage: &mut Stage) -> Fallible<()> {
        let map = self.assigned("map")?;
        let (key, value) = if self.stage_code(&map, stage)? {
            (null_at(map.span), null_at(map.span))
        } else {
            self.expect("(", "before the key and the value of a pair")?;
            let key = self.nested(Self::expr)?;
            self.expect(",", "between the key and the value of a pair")?;
            let value = self.nested(Self::expr)?;
            self.expect(")", "after the key and the value of a pair")?;
            (key, value)
        };
        if !self.eat_word("into") {
            return Err(self.expected("`into` and the names of two columns"));
        }
        self.pair_column("the name of the column of keys", key, stage)?;
        self.expect(",", "between the names of the two columns")?;
        self.pair_column("the name of the column of values", value, stage)?;
        self.stage_part("reduce", stage)?;
        if self.at_word("combine") {
            self.stage_part("combine", stage)?;
        }
        Ok(())
    }

    /// Words that say how the stage does it.
    fn words_of(&mut self, stage: &mut Stage, known: &[&str]) -> Fallible<()> {
        while let Token::Word(word) = self.peek().clone() {
            let span = self.span();
            if !known.contains(&word.as_str()) {
                let message = format!("`{}` has no option `{word}`", stage.name.text);
                let error = Diagnostic::at(Kind::Name, span, message).near(&word, known.iter().copied());
                let usage = self.usage.map(|usage| format!("usage: {usage}"));
                return Err(if error.hint.is_some() { error } else { error.hint(usage.unwrap_or_default()) });
            }
            if stage.args.iter().any(|arg| arg.expr.has_name(&word)) {
                return Err(Diagnostic::at(Kind::Syntax, span, format!("option `{word}` is given twice")));
            }
            self.at += 1;
            stage.args.push(Arg { name: None, expr: Expr { node: Node::Name(word), span }, direction: None });
        }
        Ok(())
    }

    /// `n { stages }` or `until e { stages }`
    fn rounds(&mut self, stage: &mut Stage) -> Fallible<()> {
        // A name alone is a number of rounds, whatever it is called.
        if self.at_word("until") && *self.peek_after(1) != Token::Sign("{") {
            stage.kind = Some(Word { text: "until".to_string(), span: self.span() });
            self.at += 1;
        }
        if self.at("{") {
            return Err(self.expected("a number of rounds, or `until` and a condition"));
        }
        let expr = self.expr()?;
        stage.args.push(Arg { name: None, expr, direction: None });
        stage.branches.push((stage.name.clone(), self.inner_stages(("{", "}"), "of the block")?));
        Ok(())
    }

    /// `name [: type]`
    fn pair_column(&mut self, what: &str, expr: Expr, stage: &mut Stage) -> Fallible<()> {
        let name = self.new_name(what)?;
        if self.eat(":") {
            let start = self.span();
            let ty = self.type_name()?;
            let written = Word { text: name.text.clone(), span: start.to(self.behind()) };
            stage.types.push((written, ty));
        }
        stage.args.push(Arg { name: Some(name), expr, direction: None });
        Ok(())
    }

    /// `part = e`, or code in its place.
    fn stage_part(&mut self, part: &str, stage: &mut Stage) -> Fallible<()> {
        let part = self.assigned(part)?;
        let expr = if self.stage_code(&part, stage)? { null_at(part.span) } else { self.expr()? };
        stage.args.push(Arg { name: Some(part), expr, direction: None });
        Ok(())
    }

    /// Reads code, where it stands here.
    fn stage_code(&mut self, part: &Word, stage: &mut Stage) -> Fallible<bool> {
        let code = if self.at_word("rust") {
            Code::Rust(self.rust()?)
        } else if self.at_word("command")
            && let Token::Text(text) = self.peek_after(1).clone()
        {
            self.at += 1;
            let word = Word { text, span: self.span() };
            self.at += 1;
            Code::Command(word)
        } else {
            return Ok(false);
        };
        stage.code.push(StageCode { part: part.clone(), code });
        Ok(true)
    }

    /// `word =`
    fn assigned(&mut self, word: &str) -> Fallible<Word> {
        let found = Word { text: word.to_string(), span: self.span() };
        if !self.eat_word(word) {
            return Err(self.expected(&format!("`{word} = …`")));
        }
        self.expect("=", &format!("after `{word}`"))?;
        Ok(found)
    }

    /// `name: (stages)`
    fn branch(&mut self) -> Fallible<(Word, Vec<Stage>)> {
        let name = self.name("the name of a branch")?;
        self.expect(":", "after the name of a branch")?;
        Ok((name, self.inner_stages(("(", ")"), "of a branch")?))
    }

    /// Stages between brackets.
    fn inner_stages(&mut self, (open, close): (&str, &str), of: &str) -> Fallible<Vec<Stage>> {
        self.expect(open, &format!("before the stages {of}"))?;
        let usage = self.usage;
        self.eat("|");
        let mut stages = vec![self.nested(Self::stage)?];
        while self.eat("|") {
            stages.push(self.nested(Self::stage)?);
        }
        self.expect(close, &format!("after the stages {of}"))?;
        self.usage = usage;
        Ok(stages)
    }

    /// A NAME or a pipeline in brackets.
    fn table(&mut self) -> Fallible<Pipeline> {
        let start = self.span();
        if self.at("(") {
            self.at += 1;
            let inner = self.nested(|parser| parser.pipeline(Place::Brackets))?;
            self.expect(")", "after the pipeline")?;
            return Ok(inner);
        }
        let name = self.name("a table (a name or a pipeline in brackets)")?;
        let expr = Expr { node: Node::Name(name.text), span: name.span };
        let source = Source { node: SourceNode::Expr(expr), span: name.span };
        Ok(Pipeline { source, stages: Vec::new(), on: None, span: start.to(self.behind()) })
    }

    fn expr(&mut self) -> Fallible<Expr> {
        self.expr_after(None)
    }

    /// An expression whose first sum was read already.
    fn expr_after(&mut self, first: Option<Expr>) -> Fallible<Expr> {
        let first = self.conjunction(first)?;
        if !self.at_word("or") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.eat_word("or") {
            items.push(self.conjunction(None)?);
        }
        let span = items[0].span.to(self.behind());
        Ok(Expr { node: Node::Or(items), span })
    }

    fn conjunction(&mut self, first: Option<Expr>) -> Fallible<Expr> {
        let first = self.negation(first)?;
        if !self.at_word("and") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.eat_word("and") {
            items.push(self.negation(None)?);
        }
        let span = items[0].span.to(self.behind());
        Ok(Expr { node: Node::And(items), span })
    }

    fn negation(&mut self, first: Option<Expr>) -> Fallible<Expr> {
        if first.is_none() && self.at_word("not") {
            let start = self.span();
            self.at += 1;
            let inner = self.nested(|parser| parser.negation(None))?;
            let span = start.to(inner.span);
            return Ok(Expr { node: Node::Not(Box::new(inner)), span });
        }
        self.comparison(first)
    }

    fn comparison_sign(&self) -> Option<Comparison> {
        let Token::Sign(sign) = self.peek() else { return None };
        Some(match *sign {
            "==" => Comparison::Equal,
            "!=" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterEqual,
            _ => return None,
        })
    }

    fn comparison(&mut self, first: Option<Expr>) -> Fallible<Expr> {
        let left = self.sum(first)?;
        let negated = self.at_word("not") && matches!(self.peek_after(1), Token::Word(word) if word == "in");
        let result = if let Some(sign) = self.comparison_sign() {
            let place = self.span();
            self.at += 1;
            let right = self.sum(None)?;
            let span = left.span.to(right.span);
            Expr { node: Node::Compare(Box::new(left), sign, place, Box::new(right)), span }
        } else if negated || self.at_word("in") {
            self.at += 1 + usize::from(negated);
            let list = self.sum(None)?;
            if self.at("..") || self.at("..=") {
                let text = |span: Span| &self.text[span.start as usize..span.end as usize];
                let end = self.peek_after(1).clone();
                let hint = match end {
                    Token::Int(end) if self.at("..") => format!("range({}, {end})", text(list.span)),
                    Token::Int(end) => format!("range({}, {})", text(list.span), end + 1),
                    _ => "range(1, 10)".to_string(),
                };
                return Err(Diagnostic::at(
                    Kind::Syntax,
                    self.span(),
                    "a range is a source and cannot be part of an expression",
                )
                .hint(format!("as a list, write {hint}")));
            }
            let span = left.span.to(list.span);
            Expr { node: Node::In { item: Box::new(left), list: Box::new(list), negated }, span }
        } else {
            return Ok(left);
        };
        if self.comparison_sign().is_some() || self.at_word("in") {
            return Err(Diagnostic::at(Kind::Syntax, self.span(), "comparisons cannot be chained")
                .hint("write `a < b and b < c`"));
        }
        Ok(result)
    }

    pub(super) fn sum(&mut self, first: Option<Expr>) -> Fallible<Expr> {
        if let Some(first) = first {
            return Ok(first);
        }
        let first = self.product()?;
        self.chain(first, Self::product, |sign| match sign {
            "+" => Some(Operator::Add),
            "-" => Some(Operator::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Fallible<Expr> {
        let first = self.unary()?;
        self.chain(first, Self::unary, |sign| match sign {
            "*" => Some(Operator::Multiply),
            "/" => Some(Operator::Divide),
            "//" => Some(Operator::FloorDivide),
            "%" => Some(Operator::Remainder),
            _ => None,
        })
    }

    fn chain(
        &mut self,
        first: Expr,
        operand: impl Fn(&mut Self) -> Fallible<Expr>,
        operator: impl Fn(&str) -> Option<Operator>,
    ) -> Fallible<Expr> {
        let mut links = Vec::new();
        while let Token::Sign(sign) = self.peek() {
            let Some(operator) = operator(sign) else { break };
            let place = self.span();
            self.at += 1;
            links.push((operator, place, operand(self)?));
        }
        if links.is_empty() {
            return Ok(first);
        }
        let span = first.span.to(self.behind());
        Ok(Expr { node: Node::Chain(Box::new(first), links), span })
    }

    fn unary(&mut self) -> Fallible<Expr> {
        let start = self.span();
        if self.at_word("if") {
            return self.nested(Self::condition);
        }
        if !self.eat("-") {
            return self.postfix();
        }
        let plain = !matches!(self.peek_after(1), Token::Sign("[" | "."));
        if let (Token::Int(number), true) = (self.peek().clone(), plain) {
            let span = start.to(self.span());
            self.at += 1;
            let value = 0i64.checked_sub_unsigned(number).expect("the lexer gives at most 2^63");
            return Ok(Expr { node: Node::Int(value), span });
        }
        if let (Token::Float(number), true) = (self.peek().clone(), plain) {
            let span = start.to(self.span());
            self.at += 1;
            return Ok(Expr { node: Node::Float(-number), span });
        }
        let inner = self.nested(Self::unary)?;
        let span = start.to(inner.span);
        Ok(Expr { node: Node::Negate(Box::new(inner)), span })
    }

    /// `if … then … else …`; an `else if` adds an arm.
    fn condition(&mut self) -> Fallible<Expr> {
        let start = self.span();
        let mut arms = Vec::new();
        while self.eat_word("if") {
            let test = self.expr()?;
            if !self.eat_word("then") {
                return Err(self.expected("`then`").hint("if x > 0 then 1 else 2"));
            }
            arms.push((test, self.expr()?));
            if !self.eat_word("else") {
                return Err(self.expected("`else`").hint("every `if` needs an `else`: if x > 0 then 1 else null"));
            }
        }
        let otherwise = self.expr()?;
        let span = start.to(otherwise.span);
        Ok(Expr { node: Node::If(arms, Box::new(otherwise)), span })
    }

    fn postfix(&mut self) -> Fallible<Expr> {
        let mut expr = self.atom()?;
        let mut depth = 0;
        while self.at("[") || self.at(".") {
            depth += 1;
            if self.depth + depth > MAX_DEPTH {
                let message = format!("this is nested more than {MAX_DEPTH} levels deep");
                return Err(Diagnostic::at(Kind::Syntax, self.span(), message).hint("name a part first: let x = …"));
            }
            let start = expr.span;
            let node = if self.eat("[") {
                let index = self.nested(Self::expr)?;
                self.expect("]", "after the index")?;
                Node::Index(Box::new(expr), Box::new(index))
            } else {
                self.at += 1;
                Node::Field(Box::new(expr), self.name("a field")?)
            };
            expr = Expr { node, span: start.to(self.behind()) };
        }
        Ok(expr)
    }

    fn atom(&mut self) -> Fallible<Expr> {
        let span = self.span();
        let node = match self.peek().clone() {
            Token::Int(number) => {
                self.at += 1;
                let Ok(number) = i64::try_from(number) else {
                    return Err(Diagnostic::at(Kind::Overflow, span, "this int does not fit into 64 bits")
                        .hint("the largest int is 9223372036854775807; with a decimal point it is a float"));
                };
                Node::Int(number)
            }
            Token::Float(number) => {
                self.at += 1;
                Node::Float(number)
            }
            Token::Text(text) => {
                self.at += 1;
                Node::Text(text)
            }
            Token::Sign("(") => {
                if self.holds_pipeline() {
                    return Err(Diagnostic::at(Kind::Syntax, span, "a pipeline cannot be part of an expression")
                        .hint("name it first: let x = …; a table with one value can be used as that value"));
                }
                self.at += 1;
                if self.at(")") {
                    return Err(Diagnostic::at(Kind::Syntax, span.to(self.span()), "these brackets are empty"));
                }
                let inner = self.nested(Self::expr)?;
                if self.at(",") {
                    let message = "round brackets can hold only one expression";
                    return Err(Diagnostic::at(Kind::Syntax, self.span(), message).hint("a list is written [1, 2]"));
                }
                self.expect(")", "after the expression")?;
                return Ok(Expr { node: inner.node, span: span.to(self.behind()) });
            }
            Token::Sign("[") => {
                self.at += 1;
                let items = self.nested(|parser| parser.list("]"))?;
                Node::List(items)
            }
            Token::Word(word) if word == "true" || word == "false" => {
                self.at += 1;
                Node::Bool(word == "true")
            }
            Token::Word(word) if word == "null" => {
                self.at += 1;
                Node::Null
            }
            Token::Word(word) if word == "if" => return self.nested(Self::condition),
            Token::Word(word) if is_reserved(&word) => {
                let source = is_source(&word);
                let error = self.expected("an expression");
                return Err(if word == "rust" {
                    error.hint("name it first: let x = rust { … }; x + 1")
                } else if source {
                    error.hint("a source must be at the start of a pipeline")
                } else if self.usage.is_some() {
                    error
                } else {
                    error.hint(format!("`{word}` is a keyword; for a column of that name, write `` `{word}` ``"))
                });
            }
            Token::Word(word) if *self.peek_after(1) == Token::Sign("(") => {
                if let Some(error) = self.range_as_argument(&word) {
                    return Err(error);
                }
                self.at += 2;
                let arguments = self.nested(|parser| parser.list(")"))?;
                Node::Call(Word { text: word, span }, arguments)
            }
            Token::Word(name) | Token::Quoted(name) => {
                self.at += 1;
                Node::Name(name)
            }
            Token::Sign("!") => {
                return Err(Diagnostic::at(
                    Kind::Syntax,
                    span,
                    "`!` starts a command and must be at the start of a line",
                )
                .hint("write `not x`"));
            }
            Token::Sign(".") if matches!(self.peek_after(1), Token::Int(_)) => {
                return Err(Diagnostic::at(Kind::Syntax, span, "a number begins with a digit").hint("write `0.5`"));
            }
            Token::Sign(">") if matches!(self.behind_token(), Token::Sign("<")) => {
                return Err(Diagnostic::at(Kind::Syntax, span, "`<>` is not an operator").hint("write `!=`"));
            }
            Token::Sign("*")
                if *self.peek_after(1) == Token::Sign("*") || matches!(self.behind_token(), Token::Sign("*")) =>
            {
                return Err(Diagnostic::at(Kind::Syntax, span, "`**` is not an operator").hint("write `pow(x, 2)`"));
            }
            Token::Sign("=") => {
                return Err(Diagnostic::at(Kind::Syntax, span, "expected an expression, got `=`").hint("`==` compares"));
            }
            Token::Sign(_) | Token::Code(_) | Token::Command(_) | Token::End => {
                return Err(self.expected("an expression"));
            }
        };
        Ok(Expr { node, span: span.to(self.behind()) })
    }

    fn behind_token(&self) -> &Token {
        &self.tokens.tokens[self.at.saturating_sub(1)].0
    }

    /// Where the only argument of a call is a range, as in `sum(1..1000)`: the error with the pipeline to type.
    fn range_as_argument(&self, name: &str) -> Option<Box<Diagnostic>> {
        let (first, end) = (self.at + 2, self.tokens.closing[self.at + 1]);
        let inside = &self.tokens.tokens[first..end];
        let mut signs = inside.iter().filter(|(token, _)| matches!(token, Token::Sign(".." | "..=" | "," | "(" | "[")));
        let (range, place) = signs.next()?;
        if !matches!(range, Token::Sign(".." | "..=")) || signs.next().is_some() {
            return None;
        }
        self.syntax.stage(name)?;
        let (start, end) = (inside.first()?.1.start, inside.last()?.1.end);
        let range = &self.text[start as usize..end as usize];
        let message = "a range is a source and cannot be part of an expression";
        Some(Diagnostic::at(Kind::Syntax, *place, message).hint(format!("{range} | {name}")))
    }

    /// Expressions with commas between, up to `close`, which is taken too.
    pub(super) fn list(&mut self, close: &str) -> Fallible<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(",", &format!("or `{close}`"))?;
                if self.eat(close) {
                    break;
                }
            }
            items.push(self.expr()?);
            if self.at("..") || self.at("..=") {
                return Err(Diagnostic::at(
                    Kind::Syntax,
                    self.span(),
                    "a range is a source and cannot be part of an expression",
                )
                .hint("as a list, write range(1, 10)"));
            }
        }
        Ok(items)
    }
}

/// The command after the `!` at byte `at`: the rest of its line.
pub(super) fn command(cell: u32, text: &str, at: usize) -> Fallible<Word> {
    let line = text[at + 1..].split('\n').next().unwrap_or_default();
    let span = Span::new(cell, at, at + 1 + line.len());
    let rest =
        text[at + 1 + line.len()..].lines().find(|line| !line.trim().is_empty() && !line.trim().starts_with('#'));
    if rest.is_some() {
        return Err(Diagnostic::at(
            Kind::Syntax,
            span,
            "a command takes the rest of its line, so nothing can follow it",
        )
        .hint("put the rest into a separate cell, at the start of a line"));
    }
    if line.trim().is_empty() {
        return Err(
            Diagnostic::at(Kind::Syntax, span, "a command is missing after `!`").hint("for example: !ls samples")
        );
    }
    Ok(Word { text: line.trim().to_string(), span })
}

/// The byte of the `!` in a cell whose first statement that has one is `let name = !command`.
fn let_command(text: &str, start: usize) -> Option<usize> {
    let mut statement_start = start;
    for (i, c) in split::outside_texts(&text[start..]) {
        match c {
            ';' | '\n' => statement_start = start + i + 1,
            '!' => {
                let before = text[statement_start..start + i].trim();
                let rest = before.strip_prefix("let")?.strip_suffix('=')?.trim();
                return (!rest.is_empty() && rest.chars().all(|c| c == '_' || c.is_alphanumeric()))
                    .then_some(start + i);
            }
            _ => {}
        }
    }
    None
}

/// Whether a word begins a source.
fn is_source(word: &str) -> bool {
    matches!(word, "read" | "rust") || sources::find(word).is_some()
}
