//! The texts that are compiled around what cells say.

use ra_ap_syntax::ast::{self, HasGenericParams, HasModuleItem, HasName};
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxKind, SyntaxToken, TextRange};

use super::names::nameable;
use super::text::Text;
use super::wire::rust_type;
use super::{BlockSource, Input, InputForm, Signature};
use crate::data::Type;
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};

/// Brings the traits into scope by which the form of a result is found.
const FORMS: &str =
    "#[allow(unused_imports)] use timelab_cell::{AsDebug as _, AsNever as _, AsNothing as _, AsTable as _};";

/// The parts of a cell of Rust whose items and variables stay.
pub struct Parts {
    /// With how structs become rows.
    items: Text,
    /// All that is run, the last expression shown.
    statements: Text,
    /// The variables that it defines, in order.
    defined: Vec<String>,
}

impl Parts {
    pub fn defined(&self) -> &[String] {
        &self.defined
    }
}

/// Finds the items, the last expression and the variables of a cell.
pub fn parts(body: &str, span: Span) -> Parts {
    let piece = |text: &mut Text, from: usize, to: usize| {
        let place = Span::new(span.cell, span.start as usize + from, span.start as usize + to);
        *text = std::mem::take(text).theirs(&body[from..to], place).ours("\n");
    };
    let ours = |text: &mut Text, piece: &str| *text = std::mem::take(text).ours(piece);
    let mut parts = Parts { items: Text::default(), statements: Text::default(), defined: Vec::new() };
    let Some(list) = statements(body) else {
        piece(&mut parts.statements, 0, body.len());
        return parts;
    };
    let offset = |position| offset(position, body);
    let mut at = 0;
    for statement in list.statements() {
        let end = offset(statement.syntax().text_range().end());
        match &statement {
            ast::Stmt::Item(item) => {
                let start = offset(item.syntax().text_range().start());
                piece(&mut parts.statements, at, start);
                piece(&mut parts.items, start, end);
                if let ast::Item::Struct(it) = item
                    && let Some(rows) = rows_of(it)
                {
                    ours(&mut parts.items, &rows);
                }
                at = end;
            }
            ast::Stmt::LetStmt(let_statement) => {
                let patterns = let_statement.pat().into_iter().flat_map(|pattern| pattern.syntax().descendants());
                for name in patterns.filter_map(ast::IdentPat::cast).filter_map(|pattern| pattern.name()) {
                    let name = name.text().to_string();
                    // A constant, or a variant of an enum.
                    if name.starts_with(char::is_uppercase) {
                        continue;
                    }
                    parts.defined.retain(|other| *other != name);
                    parts.defined.push(name);
                }
            }
            ast::Stmt::ExprStmt(_) => {}
        }
    }
    if let Some(tail) = list.tail_expr() {
        let range = tail.syntax().text_range();
        let (start, end) = (offset(range.start()), offset(range.end()));
        piece(&mut parts.statements, at, start);
        ours(&mut parts.statements, &format!("{{ {FORMS} let timelab_value = &(\n"));
        piece(&mut parts.statements, start, end);
        ours(
            &mut parts.statements,
            "); timelab_cell::show(timelab_value, (&&&&timelab_cell::of(timelab_value)).form()); }\n",
        );
        at = end;
    }
    piece(&mut parts.statements, at, body.len());
    parts
}

/// Refuses what would have a package fetched that nobody asked for.
///
/// # Errors
/// `extern crate` of another crate than those of the standard library, and `.await` outside of asynchronous code, for
/// which the compiler's library would have a runtime compiled.
pub fn fetches_nothing(body: &str, span: Span) -> Fallible<()> {
    let place = |range: TextRange| {
        let at = |place| span.start as usize + offset(place, body);
        Span::new(span.cell, at(range.start()), at(range.end()))
    };
    let Some(list) = statements(body) else { return Ok(()) };
    for found in list.syntax().descendants().filter_map(ast::ExternCrate::cast) {
        let name = found.name_ref().map(|name| name.text().to_string()).unwrap_or_default();
        if !matches!(name.as_str(), "std" | "core" | "alloc" | "self") {
            let place = place(found.syntax().text_range());
            return Err(Diagnostic::at(Kind::Name, place, format!("`extern crate {name}` is not needed in a cell"))
                .hint(format!("%rust dep {name} lets cells use a package")));
        }
    }
    let words = list.syntax().descendants_with_tokens().filter_map(|element| element.into_token());
    let mut waits = words.filter(|token| token.text() == "await" && !is_asynchronous(token));
    match waits.next() {
        None => Ok(()),
        Some(wait) => {
            let message = "`.await` is only allowed in `async` blocks and functions";
            Err(Diagnostic::at(Kind::Syntax, place(wait.text_range()), message).hint(
                "to wait for a future, use futures::executor::block_on(async { … }); `%rust dep futures` lets \
                       cells use it",
            ))
        }
    }
}

/// Whether a word stands in asynchronous code, or is none of the language.
fn is_asynchronous(word: &SyntaxToken) -> bool {
    let mut before = std::iter::successors(word.prev_token(), SyntaxToken::prev_token);
    let sign = before.find(|token| !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT));
    if sign.is_none_or(|sign| sign.text() != ".") {
        return true;
    }
    // The tokens of a macro's arguments are not parsed: an `async` before the word is taken for that of its block.
    let mut around = word.parent_ancestors();
    let arguments =
        around.find_map(ast::MacroCall::cast).into_iter().flat_map(|call| call.syntax().descendants_with_tokens());
    let mut arguments = arguments.filter_map(|element| element.into_token());
    if arguments.any(|token| token.text() == "async" && token.text_range().end() <= word.text_range().start()) {
        return true;
    }
    let nearest = word.parent_ancestors().find_map(|node| match node.kind() {
        SyntaxKind::FN => ast::Fn::cast(node).map(|it| it.async_token().is_some()),
        SyntaxKind::CLOSURE_EXPR => ast::ClosureExpr::cast(node).map(|it| it.async_token().is_some()),
        SyntaxKind::BLOCK_EXPR => ast::BlockExpr::cast(node).and_then(|it| it.async_token()).map(|_| true),
        _ => None,
    });
    nearest.unwrap_or(false)
}

/// Where a text gives a variable of an earlier cell, or a part of one, as its last expression: a run that is repeated
/// cannot move it away, but it can lend it.
fn lent_variable(text: &Text, variables: &[(String, String)]) -> Option<usize> {
    let list = statements(text.as_str())?;
    let tail = list.tail_expr()?;
    let mut base = tail.clone();
    loop {
        base = match &base {
            ast::Expr::FieldExpr(field) => field.expr()?,
            ast::Expr::IndexExpr(index) => index.base()?,
            ast::Expr::PathExpr(_) => break,
            _ => return None,
        };
    }
    let name = base.syntax().text().to_string();
    let is_own = |pattern: ast::IdentPat| pattern.name().is_some_and(|own| own.text() == name);
    let hidden = list.syntax().descendants().filter_map(ast::IdentPat::cast).any(is_own);
    let at = offset(tail.syntax().text_range().start(), text.as_str());
    (!hidden && variables.iter().any(|(variable, _)| *variable == name) && text.span(at, at).is_some()).then_some(at)
}

impl BlockSource {
    /// The same, but it lends a variable that it would move away.
    pub fn lending(&self, variables: &[(String, String)]) -> BlockSource {
        let is_input = |name: &String| self.inputs.iter().any(|input| input.name == *name);
        let others: Vec<_> = variables.iter().filter(|(name, _)| !is_input(name)).cloned().collect();
        match lent_variable(&self.body, &others) {
            Some(at) if self.function.is_none() => {
                BlockSource { body: self.body.clone().inserted(at, "&"), ..self.clone() }
            }
            _ => self.clone(),
        }
    }
}

/// A Rust expression, with how the structs in it become rows.
pub fn block(body: &str, span: Span) -> Text {
    let mut text = Text::default();
    let mut at = 0;
    let place = |from: usize, to: usize| Span::new(span.cell, span.start as usize + from, span.start as usize + to);
    for statement in statements(body).into_iter().flat_map(|list| list.statements()) {
        if let ast::Stmt::Item(ast::Item::Struct(it)) = &statement
            && let Some(rows) = rows_of(it)
        {
            let end = offset(statement.syntax().text_range().end(), body);
            text = text.theirs(&body[at..end], place(at, end)).ours(&rows);
            at = end;
        }
    }
    text.theirs(&body[at..], place(at, body.len()))
}

const OPEN: &str = "fn cell() {\n";

/// What stands in a cell, parsed as a function's body.
fn statements(body: &str) -> Option<ast::StmtList> {
    let parsed = SourceFile::parse(&format!("{OPEN}{body}\n}}"), Edition::CURRENT).tree();
    let function = parsed.items().find_map(|item| if let ast::Item::Fn(it) = item { Some(it) } else { None });
    function?.body()?.stmt_list()
}

/// The byte of a cell that a place in what [`statements`] parsed is.
fn offset(position: ra_ap_syntax::TextSize, body: &str) -> usize {
    usize::from(position).saturating_sub(OPEN.len()).min(body.len())
}

/// A cell that takes the variables it mentions, and keeps them and its own but for those in `lost`.
pub fn cell_text(parts: &Parts, variables: &[(String, String)], lost: &[String]) -> Text {
    let taken: Vec<&(String, String)> = mentioned(variables, &[&parts.statements]);
    let mut text = Text::default().ours("();\n").all(&parts.items);
    text = text
        .ours("{ let timelab_run = || -> ::std::result::Result<(), ::std::boxed::Box<dyn ::std::error::Error>> {\n")
        .ours(&takes(&taken));
    text = text.all(&parts.statements);
    // What borrows from a variable is kept before it, so that the compiler complains about the borrower.
    let kept = parts
        .defined
        .iter()
        .rev()
        .chain(taken.iter().map(|(name, _)| name).filter(|name| !parts.defined.contains(name)));
    for name in kept.filter(|name| !lost.contains(name)) {
        text = text.ours(&keeping(name));
    }
    text.ours("::std::result::Result::Ok(()) };\ntimelab_cell::finish(timelab_run()); }\n();")
}

/// The statement that keeps a variable, in a line of its own.
fn keeping(name: &str) -> String {
    format!("timelab_cell::keep({name:?}, {name});\n")
}

/// The variable that a place of ours keeps.
pub fn kept_at(text: &Text, byte: usize) -> Option<String> {
    let line = text.as_str()[..byte].rfind('\n').map_or(0, |end| end + 1);
    let rest = text.as_str()[line..].strip_prefix("timelab_cell::keep(\"")?;
    rest.split_once('"').map(|(name, _)| name.to_string()).filter(|_| text.span(line, line).is_none())
}

/// What a line begins with that takes a variable.
const TAKE: &str = "#[allow(unused_mut, unused_variables)] let mut ";

/// Takes variables into the locals of a cell, each in a line of its own.
fn takes(variables: &[&(String, String)]) -> String {
    let take = |(name, ty): &&(String, String)| {
        let ty = nameable(ty);
        format!("{TAKE}{name}: {ty} = timelab_cell::take::<{ty}>({name:?});\n")
    };
    variables.iter().map(take).collect()
}

/// The variable that a place of ours takes.
pub fn taken_at(text: &Text, byte: usize) -> Option<String> {
    let line = text.as_str()[..byte].rfind('\n').map_or(0, |end| end + 1);
    let rest = text.as_str()[line..].strip_prefix(TAKE)?;
    rest.split_once(':').map(|(name, _)| name.to_string()).filter(|_| text.span(line, line).is_none())
}

/// Where pieces of cells are not Rust, as far as their signs and words tell.
pub fn unparsed(text: &Text) -> Option<Span> {
    let parsed = SourceFile::parse(&format!("{OPEN}{}\n}}", text.as_str()), Edition::CURRENT);
    let error = parsed.errors().into_iter().next()?;
    let at = |place| offset(place, text.as_str());
    text.span(at(error.range().start()), at(error.range().end()))
}

/// Those of the variables whose names stand in one of the texts.
fn mentioned<'a>(variables: &'a [(String, String)], texts: &[&Text]) -> Vec<&'a (String, String)> {
    let in_name = |c: char| c == '_' || c.is_alphanumeric();
    let words: std::collections::HashSet<&str> =
        texts.iter().flat_map(|text| text.as_str().split(|c| !in_name(c))).collect();
    variables.iter().filter(|(name, _)| words.contains(name.as_str())).collect()
}

/// How a struct is told as a row, where its fields have names and it has no parameters.
fn rows_of(it: &ast::Struct) -> Option<String> {
    let name = it.name()?;
    if it.generic_param_list().is_some() {
        return None;
    }
    let Some(ast::FieldList::RecordFieldList(fields)) = it.field_list() else { return None };
    let field =
        |field: ast::RecordField| Some((field.name()?.text().to_string(), field.ty()?.syntax().text().to_string()));
    Some(row_of(name.text(), &fields.fields().map(field).collect::<Option<Vec<_>>>()?))
}

/// How a struct of this name, with these fields and their types, is told as a row.
fn row_of(name: &str, fields: &[(String, String)]) -> String {
    let (mut columns, mut puts) = (String::new(), String::new());
    for (field, ty) in fields {
        let form = format!("(&&&timelab_cell::part::<{ty}>()).part()");
        columns.push_str(&format!("names.push(({field:?}.to_string(), ({form}.ty)())); "));
        puts.push_str(&format!("({form}.put)(&self.{field}, out); "));
    }
    let using = "#[allow(unused_imports)] use timelab_cell::{DebugPart as _, ItemPart as _, NoPart as _};";
    format!(
        "impl timelab_cell::Row for {name} {{ \
         fn columns(names: &mut ::std::vec::Vec<(::std::string::String, ::std::string::String)>) \
         {{ {using} {columns}}} \
         fn put(&self, out: &mut timelab_cell::Out) {{ {using} {puts}}} }} \
         impl timelab_cell::Output for {name} {{ \
         fn shape() -> ::std::string::String {{ timelab_cell::one_row::<Self>() }} \
         fn put(&self, out: &mut timelab_cell::Out) {{ timelab_cell::put_row(self, out) }} }}"
    )
}

/// Expressions that can be run again and again, with what of the session goes into them: `places` says which input each
/// of a subject's own is, since subjects may share some. Of each there are `copies`, which lie one after the other:
/// copy c of subject s is number s × copies + c. In the text each copy of all subjects comes before the next copy of
/// any, so that the copies of one lie apart.
pub fn subjects_text(
    subjects: &[BlockSource],
    places: &[Vec<usize>],
    copies: usize,
    variables: &[(String, String)],
) -> Text {
    let bodies: Vec<&Text> = subjects.iter().map(|subject| &subject.body).collect();
    let taken = mentioned(variables, &bodies);
    let mut text = Text::default().ours("();\n{\n").ours(FORMS).ours("\n").ours(&takes(&taken));
    let mut read_already = Vec::new();
    for (subject, places) in subjects.iter().zip(places) {
        for (input, place) in subject.inputs.iter().zip(places) {
            if !read_already.contains(place) {
                text = text.ours(&read(input, *place));
                read_already.push(*place);
            }
        }
    }
    let mut closures = vec![String::new(); subjects.len() * copies];
    for copy in 0..copies {
        for (at, (subject, places)) in subjects.iter().zip(places).enumerate() {
            let number = at * copies + copy;
            let given: String =
                subject.inputs.iter().zip(places).map(|(input, place)| name_input(input, *place)).collect();
            if let Some(signature) = &subject.function {
                let gets = vec!["input.get()"; signature.takes.len()].join(", ");
                let function = function(signature, &given, &subject.body);
                text = text.ours(&format!("let timelab_{number} = ")).all(&function).ours(";\n");
                closures[number] = format!("timelab_cell::function(|input| timelab_{number}({gets}))");
                continue;
            }
            // One alone is written as if there were no copies at all.
            let mark = if copies > 1 { format!("timelab_cell::mark::<{number}>(); ") } else { String::new() };
            text =
                text.ours(&format!("let timelab_{number} = || {{ {mark}{given}\n")).all(&subject.body).ours("\n};\n");
            let form = format!("(&&&&timelab_cell::given(&timelab_{number})).form()");
            text = text.ours(&format!("let timelab_form_{number} = {form};\n"));
            closures[number] = format!("timelab_cell::subject::<{copy}, _>(timelab_{number}, timelab_form_{number})");
        }
    }
    // The last one shows what measuring costs.
    closures.push("timelab_cell::nothing()".to_string());
    text.ours(&format!("timelab_cell::serve(vec![{}]);\n}}\n();", closures.join(", ")))
}

/// A function as an expression: a closure, which sees variables and what is `given`; one that calls itself must be an
/// item, which sees neither.
pub fn function(signature: &Signature, given: &str, body: &Text) -> Text {
    let Signature { name, takes, gives } = signature;
    let typed: Vec<String> = takes.iter().map(|(name, ty)| format!("{name}: {}", rust_type(ty))).collect();
    let (typed, gives) = (typed.join(", "), rust_type(gives));
    match given.is_empty() && calls(body.as_str(), name) {
        true => Text::default()
            .ours(&format!("{{ fn {name}({typed}) -> {gives} {{\n"))
            .all(body)
            .ours(&format!("\n}} {name} }}")),
        false => Text::default().ours(&format!("|{typed}| -> {gives} {{ {given}\n")).all(body).ours("\n}"),
    }
}

/// The body of a function whose closure is a part of a stage: `map` gives pairs of one row, as texts; the others make
/// one of two values, here of all values of a key.
pub fn stage_code(part: &str, signature: &Signature, closure: &Text) -> Text {
    let passed = |(name, ty): &(String, Type)| match ty {
        Type::Text => format!("{name}.as_str(), "),
        Type::Int | Type::Float | Type::Bool | Type::List(_) | Type::Open | Type::Never => format!("{name}, "),
    };
    let passed: String = signature.takes.iter().map(passed).collect();
    if part != "map" {
        return Text::default()
            .ours(&format!("const TIMELAB_NOT: &str = {NOT_ASSOCIATIVE:?};\n{REDUCE_CODE}"))
            .ours(&format!("timelab_reduce({part:?}, {passed}{{"))
            .all(closure)
            .ours("\n})");
    }
    let letters: Vec<String> = (0..signature.takes.len()).map(|at| format!("A{at}")).collect();
    let arguments: String = letters.iter().map(|letter| format!("{}: {letter}, ", letter.to_lowercase())).collect();
    let names = letters.iter().map(|letter| letter.to_lowercase()).collect::<Vec<_>>().join(", ");
    let (all, bounds) = (letters.join(", "), letters.join(", "));
    let generics = if all.is_empty() { String::new() } else { format!("{all}, ") };
    Text::default()
        .ours(MAP_CODE)
        .ours(&format!(
            "fn timelab_call<{generics}R>({arguments}f: impl Fn({bounds}) -> R) -> R {{ f({names}) }}\n\
             timelab_pairs(timelab_call({passed}{{"
        ))
        .all(closure)
        .ours("\n}))")
}

/// A pair of the user becomes two texts.
const MAP_CODE: &str = "trait TimelabText { fn timelab_text(&self) -> String; }
macro_rules! timelab_texts { ($($ty:ty),*) => { $(impl TimelabText for $ty {
    fn timelab_text(&self) -> String { self.to_string() }
})* } }
timelab_texts!(String, &str, char, bool, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);
impl TimelabText for f64 { fn timelab_text(&self) -> String { format!(\"{self:?}\") } }
impl TimelabText for f32 { fn timelab_text(&self) -> String { format!(\"{self:?}\") } }
fn timelab_pairs<K: TimelabText, V: TimelabText>(pairs: Vec<(K, V)>) -> Vec<Vec<String>> {
    pairs.iter().map(|(key, value)| vec![key.timelab_text(), value.timelab_text()]).collect()
}
";

/// What an error about a closure of two says behind the name of its part: the words are those for an expression.
pub const NOT_ASSOCIATIVE: &str = " needs an associative expression, but with ";

/// Reduces the values of a key, and tries `(a ∘ b) ∘ c` and `a ∘ (b ∘ c)` on up to two triples of them: on values that
/// the closure really gets, so that none is refused for values that it was not made for, and on the same ones on every
/// engine. Where a panic ends a trial, that triple says nothing. Floats may differ by rounding, measured by the largest
/// of the three.
const REDUCE_CODE: &str = "trait TimelabValue: Clone + ::std::fmt::Debug {
    fn timelab_size(&self) -> f64 { 0.0 }
    fn timelab_same(&self, other: &Self, size: f64) -> bool;
}
macro_rules! timelab_values { ($($ty:ty),*) => { $(impl TimelabValue for $ty {
    fn timelab_same(&self, other: &Self, _: f64) -> bool { self == other }
})* } }
timelab_values!(i64, bool, String);
impl TimelabValue for f64 {
    fn timelab_size(&self) -> f64 { self.abs() }
    fn timelab_same(&self, other: &Self, size: f64) -> bool {
        let size = size.max(self.abs()).max(other.abs());
        self == other || !self.is_finite() || !other.is_finite() || (self - other).abs() <= 1e-9 * size.max(1.0)
    }
}
impl<V: TimelabValue> TimelabValue for Vec<V> {
    fn timelab_size(&self) -> f64 { self.iter().map(V::timelab_size).fold(0.0, f64::max) }
    fn timelab_same(&self, other: &Self, size: f64) -> bool {
        self.len() == other.len() && self.iter().zip(other).all(|(one, other)| one.timelab_same(other, size))
    }
}
fn timelab_try<V: TimelabValue>(part: &str, [a, b, c]: [&V; 3], f: &impl Fn(V, V) -> V) {
    let tried = ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(|| {
        (f(f(a.clone(), b.clone()), c.clone()), f(a.clone(), f(b.clone(), c.clone())))
    }));
    let Ok((left, right)) = tried else { return };
    if left.timelab_same(&right, a.timelab_size().max(b.timelab_size()).max(c.timelab_size())) { return }
    let short = |value: &V| {
        let text = format!(\"{value:?}\");
        match text.char_indices().nth(40) {
            Some((end, _)) => format!(\"{}…\", &text[..end]),
            None => text,
        }
    };
    let [a, b, c, left, right] = [a, b, c, &left, &right].map(short);
    panic!(\"`{part}`{TIMELAB_NOT}{a}, {b}, {c} the order of the steps matters: {left} or {right}\");
}
fn timelab_reduce<V: TimelabValue>(part: &str, values: Vec<V>, f: impl Fn(V, V) -> V) -> V {
    if let [a, b, c, ..] = &values[..] { timelab_try(part, [a, b, c], &f); }
    if let (16.., [a, .., c]) = (values.len(), &values[..]) {
        timelab_try(part, [a, &values[values.len() / 2], c], &f);
    }
    values.into_iter().reduce(f).expect(\"a key has a value\")
}
";

/// Whether a text calls a function of this name, or hands it over.
fn calls(text: &str, name: &str) -> bool {
    let tokens = statements(text).into_iter().flat_map(|list| list.syntax().descendants_with_tokens());
    let tokens: Vec<_> = tokens
        .filter_map(|element| element.into_token())
        .filter(|token| !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT))
        .collect();
    let at = |place: Option<usize>| place.and_then(|place| tokens.get(place)).map_or("", |token| token.text());
    (0..tokens.len()).any(|i| {
        let (before, after) = (at(i.checked_sub(1)), at(Some(i + 1)));
        let is_name = tokens[i].kind() == SyntaxKind::IDENT && tokens[i].text() == name;
        let handed_over = matches!(before, "(" | ",") && matches!(after, ")" | ",");
        is_name && !matches!(before, "." | ":" | "::") && (after == "(" || handed_over)
    })
}

/// Reads an input into a variable of ours.
fn read(input: &Input, number: usize) -> String {
    let variable = format!("timelab_input_{number}");
    match &input.form {
        InputForm::Value(ty) => {
            format!("let {variable} = timelab_cell::input({number}).value::<{}>();\n", rust_type(ty))
        }
        InputForm::Tuples(types) => {
            let gets: String = types.iter().map(|ty| format!("row.get::<{ty}>(), ")).collect();
            format!("let {variable} = timelab_cell::input({number}).rows(|row| ({gets}));\n")
        }
        InputForm::Table(schema) => match &schema.columns[..] {
            [only] => {
                let ty = rust_type(&only.ty);
                format!("let {variable} = timelab_cell::input({number}).rows(|row| row.get::<{ty}>());\n")
            }
            columns => {
                let row = row_name(&input.name);
                let names = field_names(columns.iter().map(|column| column.name.as_str()));
                let each = || names.iter().zip(columns);
                let typed: Vec<(String, String)> =
                    each().map(|(name, column)| (name.clone(), rust_type(&column.ty))).collect();
                let fields: Vec<String> = typed.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
                let gets: Vec<String> = names.iter().map(|name| format!("{name}: row.get()")).collect();
                format!(
                    "#[allow(dead_code)] #[derive(Debug, Clone)] struct {row} {{ {} }} {}\n\
                     let {variable} = timelab_cell::input({number}).rows(|row| {row} {{ {} }});\n",
                    fields.join(", "),
                    row_of(&row, &typed),
                    gets.join(", ")
                )
            }
        },
    }
}

/// Gives an input its name inside the expression.
fn name_input(input: &Input, number: usize) -> String {
    let name = &input.name;
    match &input.form {
        InputForm::Value(Type::Int | Type::Float | Type::Bool) => format!("let {name} = timelab_input_{number};"),
        InputForm::Value(Type::List(_)) | InputForm::Table(_) | InputForm::Tuples(_) => {
            format!("let {name} = &timelab_input_{number}[..];")
        }
        InputForm::Value(_) => format!("let {name} = timelab_input_{number}.as_str();"),
    }
}

fn row_name(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    format!("{}Row", words.map(capital).collect::<String>())
}

/// Names of fields that Rust takes, each once.
fn field_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    const WORDS: &str = " as async await box break const continue crate do dyn else enum extern final fn for if impl \
                         in let loop macro match mod move mut pub ref return self static struct super trait true false \
                         try type typeof unsafe use where while yield gen abstract become override priv unsized \
                         virtual ";
    let mut taken: Vec<String> = Vec::new();
    for name in names {
        let mut field: String = name.chars().map(|c| if c == '_' || c.is_alphanumeric() { c } else { '_' }).collect();
        if field.is_empty() || field == "_" || field.starts_with(|c: char| !(c == '_' || c.is_alphabetic())) {
            field.insert(0, '_');
        }
        if WORDS.contains(&format!(" {field} ")) {
            field.push('_');
        }
        while taken.contains(&field) {
            field.push('_');
        }
        taken.push(field);
    }
    taken
}
