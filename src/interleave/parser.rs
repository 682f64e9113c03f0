//! Text → what was written. The grammar:
//!
//! ```text
//! program = "%%race" option* [decl ("," decl)*] line*      # `#` comments; a line `%%` ends it
//! decl    = NAME "=" (INT | "[" INT ("," INT)* "]")         # shared
//! line    = NAME ":" stmts | "check" e                      # deeper-indented lines continue it
//! stmts   = [stmt ((";" | newline) stmt)*]
//! stmt    = "let" NAME "=" e | place ("=" | "+=" | "-=") e | "if" e block ["else" (block | if)]
//!         | "while" e block | "repeat" INT block | "atomic" block | "lock" NAME [block] | "unlock" NAME
//!         | "wait" NAME | "notify" NAME | "notify_all" NAME | "fence" [FENCE] | "yield" | "assert" e | call
//! block   = "{" stmts "}"         place = NAME | NAME "[" e "]"
//! call    = load(place[, READ]) | store(place, e[, WRITE]) | swap(place, e) | cas(place, old, new)
//!         | fetch_add(place, e) | fetch_sub(place, e) | try_lock(NAME)
//! READ    = "relaxed" | "acquire" | "seqcst"        WRITE = "relaxed" | "release" | "seqcst"
//! FENCE   = "acquire" | "release" | "acqrel" | "seqcst"                  (seqcst is the default of all three)
//! e       = "if" e "then" e "else" e | or          or  = and ("or" and)*      and = not ("and" not)*
//! not     = "not" not | sum [("==" | "!=" | "<" | "<=" | ">" | ">=") sum]
//! sum     = product (("+" | "-") product)*          product = sign (("*" | "//" | "%") sign)*
//! sign    = "-" sign | INT | "true" | "false" | place | NAME "." NAME | call | "(" e ")"
//! ```
//!
//! Inside brackets a line break is white space. `option`s are read before this parser sees the text.

use crate::diagnostic::nearest;

use super::lexer::{Lexeme, Token, tokens};
use super::syntax::{
    Binary, Block, Declaration, Expr, ExprNode, Order, Place, Problem, ProblemKind, Source, Span, Stmt, StmtNode,
    ThreadSource, Word,
};

pub const MOST_THREADS: usize = 8;
pub const MOST_REPEATS: u64 = 1_000;
pub const MOST_TEXT: usize = 64 << 10;
/// Values of all shared variables together.
pub const MOST_SHARED: usize = 1_000;
/// Blocks and brackets inside each other, and operators in one expression: the parser and the compiler recurse.
const MOST_NESTED: usize = 100;
const MOST_OPERATORS: usize = 1_000;
/// Where less stack is left, more is taken.
pub const RED_ZONE: usize = 128 << 10;
pub const MORE_STACK: usize = 1 << 20;

/// Words of the language, which no variable, register, thread or lock can have as its name.
pub const WORDS: [&str; 28] = [
    "check",
    "let",
    "if",
    "then",
    "else",
    "while",
    "repeat",
    "atomic",
    "lock",
    "unlock",
    "wait",
    "notify",
    "notify_all",
    "fence",
    "yield",
    "assert",
    "and",
    "or",
    "not",
    "true",
    "false",
    "load",
    "store",
    "swap",
    "cas",
    "fetch_add",
    "fetch_sub",
    "try_lock",
];

const STATEMENTS: [&str; 14] = [
    "let",
    "if",
    "while",
    "repeat",
    "atomic",
    "lock",
    "unlock",
    "wait",
    "notify",
    "notify_all",
    "fence",
    "yield",
    "assert",
    "store",
];

const CALLS: [&str; 7] = ["load", "store", "swap", "cas", "fetch_add", "fetch_sub", "try_lock"];

/// Reads the declarations (the first line, without `%%race` and its options) and the lines below.
pub fn parse(text: &str) -> Result<Source, Problem> {
    if text.len() > MOST_TEXT {
        let span = Span { start: 0, end: text.lines().next().unwrap_or_default().len() };
        let message = format!("the program is too large: {} KiB, at most {} KiB", text.len() >> 10, MOST_TEXT >> 10);
        return Err(Problem::new(ProblemKind::Size, span, message));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, nested: 0, brackets: 0, operators: 0, margin: 0 };
    let shared = parser.declarations()?;
    let mut source = Source { shared, threads: Vec::new(), checks: Vec::new() };
    parser.lines(&mut source)?;
    if source.threads.is_empty() {
        let error = Problem::new(ProblemKind::Syntax, parser.peek().span, "expected a thread: `NAME: statements`");
        return Err(error.hint("below the first line, for example: `  up: x = x + 1`"));
    }
    Ok(source)
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    nested: usize,
    /// Open `(` and `[`: a line break inside them is white space.
    brackets: usize,
    operators: usize,
    /// The indentation of threads and checks: a deeper line continues one.
    margin: usize,
}

type Parsed<T> = Result<T, Problem>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens[self.at]
    }

    fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, text: &str) -> bool {
        self.peek().text == text
    }

    /// Whether this symbol or operator continues the statement: no statement begins with one, so a deeper line may.
    fn goes_on_with(&self, text: &str) -> bool {
        self.is(text) && (self.brackets > 0 || self.peek().indent.is_none_or(|indent| indent > self.margin))
    }

    fn take(&mut self, text: &str) -> Option<Span> {
        self.is(text).then(|| self.next().span)
    }

    fn expect(&mut self, text: &str, context: &str) -> Parsed<Span> {
        self.take(text).ok_or_else(|| self.unexpected(&format!("`{text}` {context}")))
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let token = self.peek();
        let got = match token.kind {
            Lexeme::End => "end of input".to_string(),
            _ => format!("`{}`", token.text),
        };
        Problem::new(ProblemKind::Syntax, token.span, format!("expected {wanted}, got {got}"))
    }

    fn declarations(&mut self) -> Parsed<Vec<Declaration>> {
        let mut all: Vec<Declaration> = Vec::new();
        if self.peek().indent.is_some() {
            return Ok(all);
        }
        loop {
            let name = self.name("a shared variable")?;
            if all.iter().any(|other| other.name.text == name.text) {
                let message = format!("`{}` is declared twice", name.text);
                return Err(Problem::new(ProblemKind::Name, name.span, message));
            }
            self.expect("=", "and the start value")?;
            let is_array = self.take("[").is_some();
            let mut values = vec![self.signed()?];
            while is_array && self.take(",").is_some() {
                values.push(self.signed()?);
            }
            if is_array {
                self.expect("]", "after the values")?;
            }
            all.push(Declaration { name, values, is_array });
            if all.iter().map(|declared| declared.values.len()).sum::<usize>() > MOST_SHARED {
                let span = all[all.len() - 1].name.span;
                let message = format!("the shared variables have more than {MOST_SHARED} values");
                return Err(Problem::new(ProblemKind::Size, span, message));
            }
            if self.take(",").is_some() {
                continue;
            }
            if self.peek().indent.is_none() {
                let error = self.unexpected("`,` or the end of the line");
                return Err(error.hint("put threads on separate lines: `  up: x = x + 1`"));
            }
            return Ok(all);
        }
    }

    fn signed(&mut self) -> Parsed<i64> {
        let minus = self.take("-");
        let token = self.next();
        let Lexeme::Int(value) = token.kind else {
            self.at -= usize::from(token.kind != Lexeme::End);
            let error = self.unexpected("an int");
            return Err(error.hint("shared variables are ints; use 0 and 1 for false and true"));
        };
        signed(value, minus.is_some(), token.span)
    }

    fn name(&mut self, of: &str) -> Parsed<Word> {
        let token = self.peek();
        if token.kind != Lexeme::Name {
            return Err(self.unexpected(&format!("the name of {of}")));
        }
        if WORDS.contains(&token.text) || Order::WORDS.iter().any(|(word, _)| *word == token.text) {
            let message = format!("`{}` is a keyword and cannot be the name of {of}", token.text);
            return Err(Problem::new(ProblemKind::Name, token.span, message));
        }
        self.next();
        Ok(Word { text: token.text.to_string(), span: token.span })
    }

    fn lines(&mut self, source: &mut Source) -> Parsed<()> {
        self.margin = self.peek().indent.unwrap_or(0);
        while self.peek().kind != Lexeme::End {
            let token = self.peek();
            if token.indent != Some(self.margin) {
                return Err(match token.indent {
                    Some(_) => {
                        Problem::new(ProblemKind::Syntax, token.span, "this line is indented less than the first")
                            .hint("indent all threads and checks alike; deeper lines continue one")
                    }
                    None => self.unexpected("`;` or a new line"),
                });
            }
            if self.take("check").is_some() {
                source.checks.push(self.expr()?);
                continue;
            }
            let name = match self.tokens.get(self.at + 1) {
                Some(colon) if colon.text == ":" => self.name("a thread")?,
                _ => {
                    let error = self.unexpected("a thread `NAME: …` or `check …`");
                    // The next cell of a file.
                    let is_magic = self.peek().text == "%";
                    return Err(error.hint(match is_magic {
                        true => "a line `%%` ends the body of a cell; empty lines do not",
                        false => "deeper-indented lines continue a thread",
                    }));
                }
            };
            self.next();
            if source.threads.iter().any(|thread| thread.name.text == name.text) {
                let message = format!("two threads are called `{}`", name.text);
                return Err(Problem::new(ProblemKind::Name, name.span, message));
            }
            if source.threads.len() == MOST_THREADS {
                let message = format!("more than {MOST_THREADS} threads");
                return Err(Problem::new(ProblemKind::Size, name.span, message));
            }
            let body = self.statements()?;
            source.threads.push(ThreadSource { name, body });
        }
        Ok(())
    }

    /// Up to a `}`, or outside blocks up to the next thread or check.
    fn statements(&mut self) -> Parsed<Block> {
        let mut all = Block::new();
        loop {
            while self.take(";").is_some() {}
            let token = self.peek();
            let outside = self.nested == 0 && token.indent.is_some_and(|indent| indent <= self.margin);
            if token.kind == Lexeme::End || (self.nested > 0 && token.text == "}") || outside {
                return Ok(all);
            }
            if self.nested > 0 && token.indent == Some(self.margin) && self.tokens[self.at + 1].text == ":" {
                // The next thread begins: the block before it was not closed.
                return Ok(all);
            }
            all.push(self.statement()?);
            let token = self.peek();
            let ends = token.indent.is_some() || matches!(token.text, ";" | "}") || token.kind == Lexeme::End;
            if !ends {
                return Err(self.unexpected("`;` or a new line after a statement"));
            }
        }
    }

    fn block(&mut self, behind: &str) -> Parsed<Block> {
        let open = self.expect("{", behind)?;
        self.enter(open)?;
        let all = self.statements()?;
        self.nested -= 1;
        if self.take("}").is_none() {
            return Err(Problem::new(ProblemKind::Syntax, open, "this `{` is not closed"));
        }
        Ok(all)
    }

    fn enter(&mut self, span: Span) -> Parsed<()> {
        self.nested += 1;
        if self.nested > MOST_NESTED {
            let message = format!("nested more than {MOST_NESTED} levels deep");
            return Err(Problem::new(ProblemKind::Size, span, message));
        }
        Ok(())
    }

    fn statement(&mut self) -> Parsed<Stmt> {
        let first = self.peek();
        let node = match first.text {
            "if" => return self.if_statement(),
            "check" => {
                return Err(Problem::new(ProblemKind::Syntax, first.span, "`check` must be on a separate line")
                    .hint("indent it like the threads; inside a thread use `assert`"));
            }
            "let" => {
                self.next();
                let name = self.name("a register")?;
                self.expect("=", "and a value")?;
                StmtNode::Let(name, self.expr()?)
            }
            "while" => {
                self.next();
                let condition = self.expr()?;
                StmtNode::While(condition, self.block("and the statements to repeat")?)
            }
            "repeat" => {
                self.next();
                let token = self.peek();
                let Lexeme::Int(times) = token.kind else {
                    return Err(self.unexpected("the number of repetitions, an int"));
                };
                if times > MOST_REPEATS {
                    let message = format!("`repeat` runs at most {MOST_REPEATS} times, got {}", token.text);
                    return Err(Problem::new(ProblemKind::Size, token.span, message));
                }
                self.next();
                StmtNode::Repeat(times as u32, self.block("and the statements to repeat")?)
            }
            "atomic" => {
                self.next();
                StmtNode::Atomic(self.block("and the statements of one step")?)
            }
            "lock" => {
                self.next();
                let name = self.name("a lock")?;
                let body = if self.goes_on_with("{") { Some(self.block("")?) } else { None };
                StmtNode::Lock(name, body)
            }
            "unlock" | "wait" | "notify" | "notify_all" => {
                self.next();
                let name = self.name("a lock")?;
                match first.text {
                    "unlock" => StmtNode::Unlock(name),
                    "wait" => StmtNode::Wait(name),
                    "notify" => StmtNode::Notify(name),
                    _ => StmtNode::NotifyAll(name),
                }
            }
            "fence" => {
                self.next();
                let token = self.peek();
                let named = token.indent.is_none() && token.kind == Lexeme::Name;
                let order = if named { self.order()? } else { Order::SeqCst };
                if order == Order::Relaxed {
                    let message = "a `relaxed` fence does nothing";
                    return Err(
                        Problem::new(ProblemKind::Type, token.span, message).hint("acquire, release, acqrel or seqcst")
                    );
                }
                StmtNode::Fence(order)
            }
            "yield" => {
                self.next();
                StmtNode::Yield
            }
            "assert" => {
                self.next();
                StmtNode::Assert(self.expr()?)
            }
            "store" => {
                self.next();
                self.expect("(", "after `store`")?;
                let place = self.place()?;
                self.expect(",", "and the value")?;
                let value = self.expr()?;
                let order = self.order_argument("store", &[Order::Acquire, Order::AcqRel])?;
                self.expect(")", "after the arguments of `store`")?;
                StmtNode::Store(place, value, order)
            }
            call if CALLS.contains(&call) => StmtNode::Call(self.expr()?),
            _ if first.kind == Lexeme::Name => {
                let place = self.place()?;
                let operator = match self.peek().text {
                    "=" => None,
                    "+=" => Some(Binary::Add),
                    "-=" => Some(Binary::Subtract),
                    _ => return Err(self.no_assignment(first, &place)),
                };
                self.next();
                StmtNode::Assign(place, operator, self.expr()?)
            }
            _ => return Err(self.unexpected("a statement")),
        };
        let last = self.tokens[self.at - 1].span;
        Ok(Stmt { node, span: first.span.to(last) })
    }

    /// A statement that begins with a name and goes on with something other than `=`.
    fn no_assignment(&self, first: Token, place: &Place) -> Problem {
        let near = nearest(first.text, STATEMENTS.into_iter().chain(CALLS));
        if let (None, Some(near)) = (&place.index, near) {
            let message = format!("unknown statement `{}`", first.text);
            return Problem::new(ProblemKind::Syntax, first.span, message).hint(format!("did you mean `{near}`?"));
        }
        self.unexpected(&format!("`=`, `+=` or `-=` after `{}`", place.name.text))
    }

    fn if_statement(&mut self) -> Parsed<Stmt> {
        let start = self.next().span;
        let condition = self.expr()?;
        let then = self.block("and the statements of the branch")?;
        let mut other = Block::new();
        if self.take("else").is_some() {
            if self.is("if") {
                self.enter(start)?;
                other.push(self.if_statement()?);
                self.nested -= 1;
            } else {
                other = self.block("or `if` after `else`")?;
            }
        }
        let span = start.to(self.tokens[self.at - 1].span);
        Ok(Stmt { node: StmtNode::If(condition, then, other), span })
    }

    fn place(&mut self) -> Parsed<Place> {
        let name = self.name("a variable")?;
        let mut span = name.span;
        let mut index = None;
        if self.goes_on_with("[") {
            self.next();
            self.brackets += 1;
            index = Some(Box::new(self.part()?));
            self.brackets -= 1;
            span = span.to(self.expect("]", "after the index")?);
        }
        Ok(Place { name, index, span })
    }

    fn order(&mut self) -> Parsed<Order> {
        let token = self.peek();
        match Order::WORDS.iter().find(|(word, _)| *word == token.text) {
            Some((_, order)) => {
                self.next();
                Ok(*order)
            }
            None => {
                let message = format!("unknown memory order `{}`", token.text);
                let words = Order::WORDS.map(|(word, _)| word);
                let hint = match nearest(token.text, words) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => words.join(", "),
                };
                Err(Problem::new(ProblemKind::Name, token.span, message).hint(hint))
            }
        }
    }

    /// The last argument of a call, `, ORDER`, if it is there.
    fn order_argument(&mut self, call: &str, wrong: &[Order]) -> Parsed<Order> {
        if self.take(",").is_none() {
            return Ok(Order::SeqCst);
        }
        let token = self.peek();
        let order = self.order()?;
        if wrong.contains(&order) {
            let message = format!("`{call}` cannot be `{}`", token.text);
            let words = Order::WORDS.iter().filter(|(_, order)| !wrong.contains(order)).map(|(word, _)| *word);
            let hint = words.collect::<Vec<_>>().join(", ");
            return Err(Problem::new(ProblemKind::Type, token.span, message).hint(hint));
        }
        Ok(order)
    }

    /// A whole expression.
    fn expr(&mut self) -> Parsed<Expr> {
        self.operators = 0;
        self.part()
    }

    /// An expression inside another.
    fn part(&mut self) -> Parsed<Expr> {
        self.enter(self.peek().span)?;
        let expr = stacker::maybe_grow(RED_ZONE, MORE_STACK, || self.if_or_binary())?;
        self.nested -= 1;
        Ok(expr)
    }

    fn if_or_binary(&mut self) -> Parsed<Expr> {
        if self.is("if") {
            let start = self.next().span;
            let condition = Box::new(self.part()?);
            self.expect("then", "and a value")?;
            let then = Box::new(self.part()?);
            self.expect("else", "and the other value")?;
            let other = Box::new(self.part()?);
            let span = start.to(other.span);
            Ok(Expr { node: ExprNode::If(condition, then, other), span })
        } else {
            self.binary(0)
        }
    }

    /// Operators of this precedence and above, left to right.
    fn binary(&mut self, level: usize) -> Parsed<Expr> {
        const LEVELS: [&[(&str, Binary)]; 5] = [
            &[("or", Binary::Or)],
            &[("and", Binary::And)],
            &[
                ("==", Binary::Equal),
                ("!=", Binary::Unequal),
                ("<=", Binary::LessEqual),
                ("<", Binary::Less),
                (">=", Binary::GreaterEqual),
                (">", Binary::Greater),
            ],
            &[("+", Binary::Add), ("-", Binary::Subtract)],
            &[("*", Binary::Multiply), ("//", Binary::Divide), ("%", Binary::Remainder)],
        ];
        const COMPARISON: usize = 2;
        if level == COMPARISON
            && let Some(start) = self.take("not")
        {
            self.enter(start)?;
            let inner = Box::new(self.binary(COMPARISON)?);
            self.nested -= 1;
            let span = start.to(inner.span);
            return Ok(Expr { node: ExprNode::Not(inner), span });
        }
        let Some(operators) = LEVELS.get(level) else { return self.sign() };
        let mut left = self.binary(level + 1)?;
        let mut compared = false;
        loop {
            let token = self.peek();
            let Some((_, operator)) = operators.iter().find(|(text, _)| self.goes_on_with(text)) else {
                if self.goes_on_with("/") {
                    let message = "race programs have no `/`, because their numbers are ints";
                    return Err(
                        Problem::new(ProblemKind::Syntax, token.span, message).hint("`//` divides and rounds down")
                    );
                }
                return Ok(left);
            };
            if compared {
                let message = "comparisons cannot be chained";
                return Err(Problem::new(ProblemKind::Syntax, token.span, message).hint("join two of them with `and`"));
            }
            compared = level == COMPARISON;
            self.operators += 1;
            if self.operators > MOST_OPERATORS {
                let message = format!("more than {MOST_OPERATORS} operators in one expression");
                return Err(Problem::new(ProblemKind::Size, token.span, message));
            }
            self.next();
            let right = self.binary(level + 1)?;
            let span = left.span.to(right.span);
            left = Expr { node: ExprNode::Binary(*operator, Box::new(left), Box::new(right)), span };
        }
    }

    fn sign(&mut self) -> Parsed<Expr> {
        let first = self.peek();
        if self.take("-").is_some() {
            let token = self.peek();
            if let Lexeme::Int(value) = token.kind {
                self.next();
                let value = signed(value, true, token.span)?;
                return Ok(Expr { node: ExprNode::Int(value), span: first.span.to(token.span) });
            }
            self.enter(first.span)?;
            let inner = Box::new(self.sign()?);
            self.nested -= 1;
            let span = first.span.to(inner.span);
            return Ok(Expr { node: ExprNode::Negative(inner), span });
        }
        if let Lexeme::Int(value) = first.kind {
            self.next();
            return Ok(Expr { node: ExprNode::Int(signed(value, false, first.span)?), span: first.span });
        }
        let node = match first.text {
            "true" | "false" => {
                self.next();
                ExprNode::Bool(first.text == "true")
            }
            "(" => {
                self.next();
                self.brackets += 1;
                let inner = self.part()?;
                self.brackets -= 1;
                let span = first.span.to(self.expect(")", "to close the bracket")?);
                return Ok(Expr { span, ..inner });
            }
            "store" => {
                return Err(Problem::new(ProblemKind::Type, first.span, "`store` is a statement and has no value")
                    .hint("`swap` stores and returns the old value"));
            }
            call if CALLS.contains(&call) => {
                self.next();
                self.brackets += 1;
                let node = self.call(call)?;
                self.brackets -= 1;
                self.expect(")", &format!("after the arguments of `{call}`"))?;
                node
            }
            _ if first.kind == Lexeme::Name => {
                if self.tokens[self.at + 1].text == "(" {
                    let message = format!("unknown function `{}`", first.text);
                    let hint = match nearest(first.text, CALLS) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("functions are {}", CALLS.join(", ")),
                    };
                    return Err(Problem::new(ProblemKind::Name, first.span, message).hint(hint));
                }
                let place = self.place()?;
                match place.index {
                    None if self.goes_on_with(".") => {
                        self.next();
                        ExprNode::Register(place.name, self.name("a register")?)
                    }
                    _ => ExprNode::Place(place),
                }
            }
            _ => return Err(self.unexpected("a value")),
        };
        let last = self.tokens[self.at - 1].span;
        Ok(Expr { node, span: first.span.to(last) })
    }

    /// The arguments of a call that has a value.
    fn call(&mut self, name: &str) -> Parsed<ExprNode> {
        self.expect("(", &format!("after `{name}`"))?;
        if name == "try_lock" {
            return Ok(ExprNode::TryLock(self.name("a lock")?));
        }
        let place = self.place()?;
        if name == "load" {
            let order = self.order_argument("load", &[Order::Release, Order::AcqRel])?;
            return Ok(ExprNode::Load(place, order));
        }
        self.expect(",", &format!("and the next argument of `{name}`"))?;
        let value = Box::new(self.part()?);
        Ok(match name {
            "swap" => ExprNode::Swap(place, value),
            "fetch_add" => ExprNode::FetchAdd(place, value),
            "fetch_sub" => ExprNode::FetchSub(place, value),
            _ => {
                self.expect(",", "and the new value")?;
                ExprNode::Cas(place, value, Box::new(self.part()?))
            }
        })
    }
}

fn signed(value: u64, minus: bool, span: Span) -> Parsed<i64> {
    let value = if minus { -i128::from(value) } else { i128::from(value) };
    i64::try_from(value)
        .map_err(|_| Problem::new(ProblemKind::Type, span, format!("{value} does not fit into a 64-bit int")))
}
