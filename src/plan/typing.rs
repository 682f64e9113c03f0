//! Expressions as written to expressions as meant.

use std::sync::Arc;

use crate::data::{Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed, nearest};
use crate::functions::{self, Func, Shown, TypeMismatch};
use crate::lang::{self, Comparison, Operator, StageCode, Word};
use crate::report::Field;

use super::{Expr, ExternalFunction, Function, Link, Node, Plan, Shared, aggregates};

/// What a session name stands for.
#[derive(Debug, Clone)]
pub enum Binding {
    /// The last says whether it was measured, or computed from what was.
    Value(Value, Type, bool),
    Table(Arc<Plan>),
    /// A result: its table, if it has one, its fields, and the tables of a `tee` by their names.
    Result {
        table: Option<Arc<Plan>>,
        fields: Vec<Field>,
        tables: Vec<(String, Arc<Plan>)>,
    },
}

impl Binding {
    /// Whether what it stands for differs from run to run.
    pub fn is_measured(&self) -> bool {
        match self {
            Binding::Value(_, _, measured) => *measured,
            Binding::Table(plan) | Binding::Result { table: Some(plan), .. } => plan.measured.is_anything(),
            Binding::Result { table: None, .. } => false,
        }
    }
}

/// A person's function as written, and the functions that it sees.
#[derive(Debug)]
pub struct Definition {
    /// Where its code is elsewhere, its body is nothing but a place.
    pub function: lang::Function,
    pub elsewhere: Option<Arc<Elsewhere>>,
    /// The newest function before it.
    pub before: Option<Arc<Definition>>,
}

/// The code of a function that runs in another process, and its types.
#[derive(Debug)]
pub struct Elsewhere {
    pub takes: Vec<Type>,
    pub gives: Type,
    pub code: Shared<dyn ExternalFunction>,
}

impl Definition {
    /// This function or an earlier one.
    pub fn find(self: &Arc<Self>, name: &str) -> Option<Arc<Definition>> {
        let mut here = Some(self);
        while let Some(definition) = here {
            if definition.function.name.text == name {
                return Some(definition.clone());
            }
            here = definition.before.as_ref();
        }
        None
    }

    /// How it is called: `name(a, b)`, with types where they are said.
    pub fn signature(&self) -> String {
        let name = &self.function.name.text;
        let words = self.function.parameters.iter().map(|word| word.text.as_str());
        match &self.elsewhere {
            Some(elsewhere) => {
                let typed: Vec<String> =
                    words.zip(&elsewhere.takes).map(|(word, ty)| format!("{word}: {ty}")).collect();
                format!("{name}({}) -> {}", typed.join(", "), elsewhere.gives)
            }
            None => format!("{name}({})", words.collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Gives the value for one `acc` and one value of the only column, where the expression has them, and how many steps it
/// took.
pub type Evaluator = Box<dyn Fn(Option<&Value>, Option<&Value>) -> Fallible<(Value, u64)>>;

/// What the session knows and the typer asks.
pub trait Scope {
    fn name(&self, name: &str) -> Option<Binding>;
    /// The latest result that has a field or a table of this name.
    fn latest_with(&self, field: &str) -> Option<Binding>;
    fn names(&self) -> Vec<String>;
    /// Notes that what is bound now reads a value that was measured.
    fn reads_measured(&self);
    /// The seed where none is said.
    fn seed(&self) -> i64;
    /// The newest of the person's functions.
    fn functions(&self) -> Option<Arc<Definition>>;
    /// An expression without columns, ready to be evaluated.
    fn evaluator(&self, functions: &[Function], expr: &Expr) -> Fallible<Evaluator>;

    /// Code of a stage as a function of columns of these types.
    ///
    /// # Errors
    /// Those of the compiler, where it is Rust.
    fn stage_code(&self, written: &StageCode, takes: &[Type], gives: &Type) -> Fallible<Arc<Elsewhere>>;

    /// What a name means before `.field`: `_` is the latest result that has the field, so that a value of it does not
    /// hide the others.
    fn with_field(&self, name: &str, field: &str) -> Option<Binding> {
        let latest = (name == "_").then(|| self.latest_with(field)).flatten();
        latest.or_else(|| self.name(name))
    }

    /// The value of an expression without columns and without `acc`.
    fn evaluate(&self, functions: &[Function], expr: &Expr) -> Fallible<Value> {
        self.evaluator(functions, expr)?(None, None).map(|(value, _)| value)
    }
}

/// The deepest nesting of lists that is inferred.
pub const DEEPEST_TYPE: usize = 20;

/// The functions of a person call each other at most this deep while they are typed.
const DEEPEST_TYPING: usize = 200;

/// Types one expression after another over one table.
pub struct Typer<'a> {
    pub scope: &'a dyn Scope,
    /// The columns that can be named; none where an argument has no row.
    pub columns: Option<&'a Schema>,
    /// The type of `acc`, where it exists.
    pub acc: Option<Type>,
    /// The instances of the person's functions so far.
    pub functions: &'a mut Vec<Function>,
    pub warnings: &'a mut Vec<Diagnostic>,
    body: Option<Body<'a>>,
    depth: usize,
}

/// The function whose body is being typed.
struct Body<'a> {
    definition: &'a Arc<Definition>,
    index: usize,
    parameters: Vec<(String, Type)>,
    /// The type of a self-call so far.
    result: Type,
    /// Set where a self-call passes a float for an int.
    widened: Option<Vec<Type>>,
}

impl<'a> Typer<'a> {
    pub fn new(
        scope: &'a dyn Scope,
        columns: Option<&'a Schema>,
        functions: &'a mut Vec<Function>,
        warnings: &'a mut Vec<Diagnostic>,
    ) -> Typer<'a> {
        Typer { scope, columns, acc: None, functions, warnings, body: None, depth: 0 }
    }

    pub fn expr(&mut self, expr: &lang::Expr) -> Fallible<Expr> {
        stacker::maybe_grow(128 << 10, 4 << 20, || self.typed(expr))
    }

    fn typed(&mut self, expr: &lang::Expr) -> Fallible<Expr> {
        let span = expr.span;
        let constant = |value: Value, ty: Type| Ok(Expr::new(Node::Const(value), ty, span));
        match &expr.node {
            lang::Node::Null => constant(Value::Null, Type::Open),
            lang::Node::Bool(b) => constant(Value::Bool(*b), Type::Bool),
            lang::Node::Int(i) => constant(Value::Int(*i), Type::Int),
            lang::Node::Float(x) => constant(Value::Float(*x), Type::Float),
            lang::Node::Text(text) => constant(Value::text(text), Type::Text),
            lang::Node::Name(name) => self.name(name, span),
            lang::Node::List(items) => self.list(items, span),
            lang::Node::Call(word, args) => self.call(word, args, span),
            lang::Node::Index(list, index) => self.index(list, index, span),
            lang::Node::Field(base, field) => self.field(base, field, span),
            lang::Node::Negate(inner) => self.negate(inner, span),
            lang::Node::Not(inner) => {
                let inner = self.condition(inner, "`not`")?;
                Ok(Expr::new(Node::Not(Box::new(inner)), Type::Bool, span))
            }
            lang::Node::Chain(first, links) => self.chain(first, links, span),
            lang::Node::Compare(left, sign, place, right) => self.compare(left, *sign, *place, right, span),
            lang::Node::In { item, list, negated } => self.contained(item, list, *negated, span),
            lang::Node::And(items) => self.logical(items, "`and`", Node::And, span),
            lang::Node::Or(items) => self.logical(items, "`or`", Node::Or, span),
            lang::Node::If(arms, otherwise) => self.choice(arms, otherwise, span),
        }
    }

    fn name(&mut self, name: &str, span: Span) -> Fallible<Expr> {
        if let Some(body) = &self.body {
            let parameter = body.parameters.iter().position(|(parameter, _)| parameter == name);
            if let Some(index) = parameter {
                return Ok(Expr::new(Node::Parameter(index), body.parameters[index].1.clone(), span));
            }
            let names: Vec<&str> = body.parameters.iter().map(|(name, _)| name.as_str()).collect();
            let error = Diagnostic::at(Kind::Name, span, format!("unknown name `{name}`"));
            let near = if self.scope.name(name).is_some() { None } else { nearest(name, names.iter().copied()) };
            return Err(match near {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None if names.is_empty() => error.hint("a function sees only its parameters, and this one has none"),
                None => error.hint(format!("a function sees only its parameters: {}", listed(&names))),
            });
        }
        if name == "acc"
            && let Some(ty) = self.acc.clone()
        {
            if self.columns.is_some_and(|schema| schema.index("acc").is_some()) {
                self.warn(span, "here `acc` is the state so far; it hides the column `acc`".to_string());
            }
            return Ok(Expr::new(Node::Acc, ty, span));
        }
        if let Some(schema) = self.columns {
            let only = if name == "it" && schema.columns.len() == 1 { Some(0) } else { None };
            if let Some(index) = schema.index(name).or(only) {
                if self.scope.name(name).is_some() && !name.starts_with('_') {
                    self.warn(span, format!("here `{name}` is the column; it hides the `{name}` of the session"));
                }
                return Ok(Expr::new(Node::Column(index), schema.columns[index].ty.clone(), span));
            }
        }
        match self.scope.name(name) {
            Some(Binding::Value(value, ty, measured)) => {
                if measured {
                    self.scope.reads_measured();
                }
                Ok(Expr::new(Node::Const(value), ty, span))
            }
            Some(Binding::Table(plan)) => self.only(name, plan, span),
            Some(Binding::Result { table: Some(plan), .. }) => self.only(name, plan, span),
            Some(Binding::Result { table: None, fields, tables }) => {
                let tables = tables.iter().map(|(name, _)| name.as_str());
                let names: Vec<&str> = fields.iter().map(|field| field.name).chain(tables).collect();
                Err(Diagnostic::at(Kind::Type, span, format!("`{name}` is a result, not a value"))
                    .hint(format!("it has the fields {}", listed(&names))))
            }
            None => Err(self.unknown_name(name, span)),
        }
    }

    fn warn(&mut self, span: Span, message: String) {
        self.warnings.push(*Diagnostic::at(Kind::Warning, span, message));
    }

    /// A table of one column that stands for its only value.
    fn only(&mut self, name: &str, plan: Arc<Plan>, span: Span) -> Fallible<Expr> {
        if plan.measured.is_anything() {
            self.scope.reads_measured();
        }
        let schema = plan.schema();
        match &schema.columns[..] {
            [column] => {
                let ty = column.ty.closed();
                Ok(Expr::new(Node::ScalarSubquery(plan), ty, span))
            }
            columns => {
                let message = format!("`{name}` is a table of {} columns: {schema}", columns.len());
                Err(Diagnostic::at(Kind::Type, span, message)
                    .hint("in an expression a table must have one column and one row; `join` or `zip` combines tables"))
            }
        }
    }

    fn unknown_name(&self, name: &str, span: Span) -> Box<Diagnostic> {
        let session = self.scope.names();
        let Some(schema) = self.columns else {
            let error = Diagnostic::at(Kind::Name, span, format!("unknown name `{name}`"));
            let error = lang::foreign::suggest(error, name, session.iter().map(String::as_str));
            return match (error.hint.is_some(), name) {
                (true, _) => error,
                (false, "it" | "acc") => error.hint("this name has a meaning only inside a stage"),
                (false, "_") => error.hint("`_` is the last result, and there is none yet"),
                (false, _) => error.hint("columns can only be used inside a stage; `let name = …` defines a name"),
            };
        };
        if name == "it" {
            let message = format!("`it` needs a table of one column, but the input has: {schema}");
            return Diagnostic::at(Kind::Name, span, message).hint("name the column");
        }
        let names: Vec<&str> = schema.names().collect();
        let message = format!("unknown name `{name}`; the columns are {}", listed(&names));
        let error = Diagnostic::at(Kind::Name, span, message);
        let mut longer = names.iter().filter(|column| name.len() >= 3 && column.contains(name));
        if let (Some(column), None) = (longer.next(), longer.next()) {
            return error.hint(format!("did you mean `{column}`?"));
        }
        let error = lang::foreign::suggest(error, name, names.into_iter().chain(session.iter().map(String::as_str)));
        match (error.hint.is_some(), functions::find(name)) {
            (false, Some(function)) => error.hint(format!("`{name}` is a function; call it: {}", function.usage)),
            (false, None) if name == "acc" => error.hint("`acc` can only be used in `fold`, `scan` and `reduce`"),
            _ => error,
        }
    }

    fn list(&mut self, items: &[lang::Expr], span: Span) -> Fallible<Expr> {
        let items: Vec<Expr> = items.iter().map(|item| self.expr(item)).collect::<Fallible<_>>()?;
        let of = self.met(&items, "the elements of a list must have the same type")?;
        if of == Type::Never {
            return Ok(never(span));
        }
        let items: Vec<Expr> = items.into_iter().map(|item| item.widened(&of)).collect();
        let constants =
            items.iter().map(|item| if let Node::Const(value) = &item.node { Some(value.clone()) } else { None });
        let node = match constants.collect::<Option<Vec<Value>>>() {
            Some(values) => Node::Const(Value::List(values.into())),
            None => Node::List(items),
        };
        Ok(Expr::new(node, Type::list(of), span))
    }

    /// The type in which all of these meet.
    fn met(&self, items: &[Expr], rule: &str) -> Fallible<Type> {
        let mut met = Type::Open;
        for item in items {
            met = match met.meet(&item.ty) {
                Some(met) => met,
                None => {
                    let message = format!("{rule}, got {met} and {}", item.ty);
                    let error = Diagnostic::at(Kind::Type, item.span, message);
                    return Err(if met == Type::Text { error.hint("text(x) converts to text") } else { error });
                }
            };
        }
        let untyped = !items.is_empty() && items.iter().all(|item| item.ty == Type::Never);
        Ok(if untyped { Type::Never } else { met })
    }

    fn condition(&mut self, expr: &lang::Expr, what: &str) -> Fallible<Expr> {
        let typed = self.expr(expr)?;
        match typed.ty {
            Type::Bool | Type::Open => Ok(typed.widened(&Type::Bool)),
            Type::Never => Ok(typed),
            _ => {
                let message = format!("{what} needs a bool, got {}", typed.ty);
                let error = Diagnostic::at(Kind::Type, typed.span, message);
                Err(if typed.ty.is_number() {
                    error.hint("compare it: x > 0")
                } else {
                    error.hint("compare it: x == …")
                })
            }
        }
    }

    fn logical(&mut self, items: &[lang::Expr], what: &str, node: fn(Vec<Expr>) -> Node, span: Span) -> Fallible<Expr> {
        let items: Vec<Expr> = items.iter().map(|item| self.condition(item, what)).collect::<Fallible<_>>()?;
        // The right side may be a call that has no type yet: it is not always asked.
        if items[0].ty == Type::Never {
            return Ok(never(span));
        }
        Ok(Expr::new(node(items), Type::Bool, span))
    }

    fn choice(&mut self, arms: &[(lang::Expr, lang::Expr)], otherwise: &lang::Expr, span: Span) -> Fallible<Expr> {
        let mut tests = Vec::new();
        let mut results = Vec::new();
        for (test, then) in arms {
            tests.push(self.condition(test, "`if`")?);
            results.push(self.expr(then)?);
        }
        results.push(self.expr(otherwise)?);
        let ty = self.met(&results, "all branches of an `if` must have the same type")?;
        if tests.iter().any(|test| test.ty == Type::Never) || ty == Type::Never {
            return Ok(Expr { ty, ..never(span) });
        }
        let mut results: Vec<Expr> = results.into_iter().map(|result| result.widened(&ty)).collect();
        let otherwise = results.pop().expect("the `else` was pushed");
        let node = Node::If(tests.into_iter().zip(results).collect(), Box::new(otherwise));
        Ok(Expr::new(node, ty, span))
    }

    fn negate(&mut self, inner: &lang::Expr, span: Span) -> Fallible<Expr> {
        let inner = self.expr(inner)?;
        match inner.ty {
            Type::Int | Type::Float => {
                let ty = inner.ty.clone();
                Ok(Expr::new(Node::Negate(Box::new(inner)), ty, span))
            }
            Type::Open => Ok(inner.widened(&Type::Int)),
            Type::Never => Ok(never(span)),
            Type::Bool | Type::Text | Type::List(_) => {
                let message = format!("`-` needs a number, got {}", inner.ty);
                let error = Diagnostic::at(Kind::Type, inner.span, message);
                Err(if inner.ty == Type::Bool { error.hint("write `not x`") } else { error })
            }
        }
    }

    fn chain(&mut self, first: &lang::Expr, links: &[(Operator, Span, lang::Expr)], span: Span) -> Fallible<Expr> {
        let mut left = self.expr(first)?;
        for (operator, place, right) in links {
            let right = self.expr(right)?;
            left = self.link(left, *operator, *place, right)?;
        }
        left.span = span;
        Ok(left)
    }

    /// `left operator right`; a chain of one type grows, it does not nest.
    fn link(&mut self, left: Expr, operator: Operator, place: Span, right: Expr) -> Fallible<Expr> {
        let span = left.span.to(right.span);
        if left.ty == Type::Never || right.ty == Type::Never {
            return Ok(never(span));
        }
        let met = left.ty.meet(&right.ty);
        let ty = match (operator, met) {
            (Operator::Divide, Some(Type::Int | Type::Float | Type::Open)) => Type::Float,
            (_, Some(ty @ (Type::Int | Type::Float))) => ty,
            (Operator::Add, Some(ty @ (Type::Text | Type::List(_)))) => ty,
            (_, Some(Type::Open)) => Type::Int,
            _ => return Err(mismatch(&left, operator, place, &right)),
        };
        let right = right.widened(&ty);
        let grows = left.ty == ty && matches!(left.node, Node::Chain(..));
        let link = Link { operator, operand: right, span };
        if grows {
            let Node::Chain(first, mut links) = left.node else { unreachable!("it was just matched") };
            links.push(link);
            return Ok(Expr::new(Node::Chain(first, links), ty, span));
        }
        Ok(Expr::new(Node::Chain(Box::new(left.widened(&ty)), vec![link]), ty, span))
    }

    fn compare(
        &mut self,
        left: &lang::Expr,
        sign: Comparison,
        place: Span,
        right: &lang::Expr,
        span: Span,
    ) -> Fallible<Expr> {
        if let Some(other) = beside_null(left, right) {
            let name = if let lang::Node::Name(name) = &other.node { name } else { "x" };
            let negation = if sign == Comparison::NotEqual { "not " } else { "" };
            self.warn(span, format!("a comparison with null is null, never true: write {negation}is_null({name})"));
        }
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        if left.ty == Type::Never || right.ty == Type::Never {
            return Ok(never(span));
        }
        let Some(ty) = left.ty.meet(&right.ty) else {
            let message =
                format!("`{}` compares values of the same type, got {} and {}", sign.sign(), left.ty, right.ty);
            return Err(Diagnostic::at(Kind::Type, place, message).hint(conversion(&left.ty, &right.ty)));
        };
        let node = Node::Compare(Box::new(left.widened(&ty)), sign, Box::new(right.widened(&ty)));
        Ok(Expr::new(node, Type::Bool, span))
    }

    fn contained(&mut self, item: &lang::Expr, list: &lang::Expr, negated: bool, span: Span) -> Fallible<Expr> {
        let (item, list) = (self.expr(item)?, self.expr(list)?);
        if item.ty == Type::Never || list.ty == Type::Never {
            return Ok(never(span));
        }
        let of = match &list.ty {
            Type::List(of) => of.meet(&item.ty),
            Type::Open => Some(item.ty.clone()),
            Type::Text => {
                return Err(Diagnostic::at(Kind::Type, list.span, "`in` needs a list, got a text")
                    .hint("to find a part of a text: contains(text, part)"));
            }
            other => {
                let message = format!("`in` needs a list, got {other}");
                return Err(Diagnostic::at(Kind::Type, list.span, message).hint("for example: x in [1, 2]"));
            }
        };
        let Some(of) = of else {
            let message = format!("`in` cannot look for {} in a {}", item.ty, list.ty);
            return Err(Diagnostic::at(Kind::Type, item.span, message));
        };
        let list = list.widened(&Type::list(of.clone()));
        let inside = Expr::new(Node::In(Box::new(item.widened(&of)), Box::new(list)), Type::Bool, span);
        Ok(if negated { Expr::new(Node::Not(Box::new(inside)), Type::Bool, span) } else { inside })
    }

    fn index(&mut self, list: &lang::Expr, index: &lang::Expr, span: Span) -> Fallible<Expr> {
        let (list, index) = (self.expr(list)?, self.expr(index)?);
        if list.ty == Type::Never || index.ty == Type::Never {
            return Ok(never(span));
        }
        let Type::List(of) = list.ty.clone() else {
            let message = format!("`[…]` needs a list, got {}", list.ty);
            let error = Diagnostic::at(Kind::Type, list.span, message);
            return Err(if list.ty == Type::Text { error.hint("slice(text, start, count)") } else { error });
        };
        if !matches!(index.ty, Type::Int | Type::Open) {
            let message = format!("an index must be an int, got {}", index.ty);
            return Err(Diagnostic::at(Kind::Type, index.span, message));
        }
        let node = Node::Index(Box::new(list), Box::new(index.widened(&Type::Int)));
        Ok(Expr::new(node, *of, span))
    }

    fn field(&mut self, base: &lang::Expr, field: &Word, span: Span) -> Fallible<Expr> {
        let lang::Node::Name(name) = &base.node else {
            return Err(Diagnostic::at(Kind::Type, field.span, "`.` reads a field of a result, such as `_3.wall`")
                .hint("for an element of a list, write xs[0]"));
        };
        match self.scope.with_field(name, &field.text) {
            Some(Binding::Result { fields, tables, .. }) => {
                if let Some((_, plan)) = tables.iter().find(|(name, _)| *name == field.text) {
                    return self.only(&format!("{name}.{}", field.text), plan.clone(), span);
                }
                if let Some(known) = fields.iter().find(|known| known.name == field.text) {
                    if known.measured {
                        self.scope.reads_measured();
                    }
                    return Ok(Expr::new(Node::Const(known.value.clone()), known.value.ty(), span));
                }
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                let others = if names.is_empty() {
                    ", nor any other".to_string()
                } else {
                    format!("; it has {}", listed(&names))
                };
                let message = format!("`{name}` has no field `{}`{others}", field.text);
                Err(Diagnostic::at(Kind::Name, field.span, message).near(&field.text, names.iter().copied()))
            }
            Some(_) => Err(Diagnostic::at(Kind::Type, field.span, format!("`{name}` is a value and has no fields"))
                .hint("tables and measurements have them: _3.wall")),
            None => Err(self.unknown_name(name, base.span)),
        }
    }

    fn call(&mut self, word: &Word, args: &[lang::Expr], span: Span) -> Fallible<Expr> {
        let visible = match &self.body {
            Some(body) => Some(body.definition.clone()),
            None => self.scope.functions(),
        };
        let asks_store =
            word.text == Func::Get.name() && visible.as_ref().and_then(|newest| newest.find(&word.text)).is_none();
        let typed =
            |(i, arg): (usize, &lang::Expr)| if asks_store && i == 0 { self.store(arg) } else { self.expr(arg) };
        let args: Vec<Expr> = args.iter().enumerate().map(typed).collect::<Fallible<_>>()?;
        if let Some(definition) = visible.as_ref().and_then(|newest| newest.find(&word.text)) {
            return self.person_call(&definition, word, args, span);
        }
        let Some(function) = functions::find(&word.text) else {
            return Err(self.unknown_function(word, visible.as_ref()));
        };
        if args.iter().any(|arg| arg.ty == Type::Never) {
            return Ok(never(span));
        }
        let types: Vec<Type> = args.iter().map(|arg| arg.ty.clone()).collect();
        let resolved = (function.resolve)(&types).map_err(|misfit| match misfit {
            TypeMismatch::Count(wanted) => {
                let message = format!("`{}`: expected {wanted}, got {}", word.text, args.len());
                Diagnostic::at(Kind::Type, span, message).hint(format!("usage: {}", function.usage))
            }
            TypeMismatch::Type(i, wanted) => {
                let found = args.get(i).map_or("nothing".to_string(), |arg| arg.ty.to_string());
                let place = args.get(i).map_or(span, |arg| arg.span);
                let message = format!("`{}` needs {wanted}, got {found}", word.text);
                Diagnostic::at(Kind::Type, place, message).hint(format!("usage: {}", function.usage))
            }
        })?;
        let mut args: Vec<Expr> = args.into_iter().zip(&resolved.takes).map(|(arg, ty)| arg.widened(ty)).collect();
        match resolved.func {
            Func::Same => {
                let inner = args.swap_remove(0);
                return Ok(Expr { span, ..inner });
            }
            Func::Matches => {
                let pattern = self.pattern(&args[1], "matches(line, \"^a\")")?;
                regex::Regex::new(&pattern).map_err(|error| {
                    let why = error.to_string();
                    let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
                    Diagnostic::at(Kind::Type, args[1].span, format!("not a regular expression: {last}"))
                })?;
                args[1] = Expr::new(Node::Const(Value::text(&pattern)), Type::Text, args[1].span);
            }
            Func::Format => {
                let pattern = self.pattern(&args[0], "format(\"{} of {}\", a, b)")?;
                check_places(&pattern, &args)?;
                args[0] = Expr::new(Node::Const(Value::text(&pattern)), Type::Text, args[0].span);
            }
            _ => {}
        }
        Ok(Expr::new(Node::Call(resolved.func, args), resolved.gives, span))
    }

    /// The address of a store, which only its name can say: no expression has a store as its value.
    fn store(&mut self, arg: &lang::Expr) -> Fallible<Expr> {
        let wrong = |what: String| {
            Diagnostic::at(Kind::Type, arg.span, format!("`get` needs the name of a store, but {what}"))
                .hint("let kv = store delay 5ms; 0..10 | map get(kv, it)")
        };
        let lang::Node::Name(name) = &arg.node else { return Err(wrong("this is an expression".to_string())) };
        if self.body.is_some() {
            return Err(wrong("a function sees only its parameters, which are values".to_string()));
        }
        if self.columns.is_some_and(|schema| schema.index(name).is_some()) {
            return Err(wrong(format!("`{name}` is a column here")));
        }
        let plan = match self.scope.name(name) {
            Some(Binding::Table(plan)) => plan,
            Some(Binding::Value(_, ty, _)) => return Err(wrong(format!("`{name}` is a value: {ty}"))),
            Some(Binding::Result { .. }) => return Err(wrong(format!("`{name}` is a result"))),
            None => {
                let error = self.unknown_name(name, arg.span);
                return Err(if error.hint.is_some() { error } else { error.hint("let kv = store delay 5ms") });
            }
        };
        match plan.store() {
            Some(store) => Ok(Expr::new(Node::Const(Value::text(&store.address)), Type::Text, arg.span)),
            None => Err(wrong(format!("`{name}` is a table: {}", plan.schema()))),
        }
    }

    /// The text of an argument that must be the same for every row.
    fn pattern(&mut self, arg: &Expr, example: &str) -> Fallible<String> {
        let mut varies = false;
        arg.walk(&mut |part| varies |= matches!(part.node, Node::Column(_) | Node::Parameter(_) | Node::Acc));
        let value = if varies { Value::Null } else { self.scope.evaluate(self.functions, arg)? };
        match value {
            Value::Text(text) => Ok(text.to_string()),
            _ => Err(Diagnostic::at(Kind::Type, arg.span, "the pattern must be a text that is the same for every row")
                .hint(format!("for example: {example}"))),
        }
    }

    fn unknown_function(&self, word: &Word, visible: Option<&Arc<Definition>>) -> Box<Diagnostic> {
        let error = Diagnostic::at(Kind::Name, word.span, format!("unknown function `{}`", word.text));
        let mut names: Vec<String> = functions::ALL.iter().map(|function| function.name.to_string()).collect();
        let mut here = visible;
        while let Some(definition) = here {
            names.push(definition.function.name.text.clone());
            here = definition.before.as_ref();
        }
        let is_listed = aggregates::find(&word.text).is_some();
        match word.text.as_str() {
            "count" | "mean" | "median" | "quantile" | "std" | "first" | "last" | "n_distinct" => {
                error.hint(format!("it is an aggregate, so use it in `agg`: | agg {}(…)", word.text))
            }
            "counter" => {
                error.hint("it counts in `filter`, `map` and `derive` only: | filter counter(\"kept\", it > 0)")
            }
            name if is_listed => error.hint(format!("it is an aggregate: | agg {name}(…)")),
            _ => {
                let error = lang::foreign::suggest(error, &word.text, names.iter().map(String::as_str));
                if error.hint.is_some() { error } else { error.hint("`%help functions` lists them") }
            }
        }
    }

    fn person_call(
        &mut self,
        definition: &Arc<Definition>,
        word: &Word,
        args: Vec<Expr>,
        span: Span,
    ) -> Fallible<Expr> {
        let parameters = &definition.function.parameters;
        if args.len() != parameters.len() {
            let names: Vec<&str> = parameters.iter().map(|parameter| parameter.text.as_str()).collect();
            let plural = if parameters.len() == 1 { "" } else { "s" };
            let message =
                format!("`{}`: expected {} argument{plural}, got {}", word.text, parameters.len(), args.len());
            return Err(Diagnostic::at(Kind::Type, span, message).hint(format!("{}({})", word.text, names.join(", "))));
        }
        if args.iter().any(|arg| arg.ty == Type::Never) {
            return Ok(never(span));
        }
        if let Some(body) = &mut self.body
            && Arc::ptr_eq(body.definition, definition)
        {
            return self_call(body, word, args, span);
        }
        let index = match &definition.elsewhere {
            Some(elsewhere) => self.foreign(definition, elsewhere, &args)?,
            None => {
                let types: Vec<Type> = args.iter().map(|arg| arg.ty.closed()).collect();
                self.instance(definition, &types, span)?
            }
        };
        let function = &self.functions[index];
        let result = function.result.clone();
        let takes = function.parameters.iter();
        let args = args.into_iter().zip(takes).map(|(arg, (_, ty))| arg.widened(ty)).collect();
        Ok(Expr::new(Node::Apply(index, args), result, span))
    }

    /// The number of a function whose code is elsewhere.
    fn foreign(&mut self, definition: &Definition, elsewhere: &Elsewhere, args: &[Expr]) -> Fallible<usize> {
        let lang::Function { name, parameters, body } = &definition.function;
        for ((arg, ty), parameter) in args.iter().zip(&elsewhere.takes).zip(parameters) {
            if ty.meet(&arg.ty).as_ref() != Some(ty) {
                let message = format!("`{}` expects {ty} as `{}`, got {}", name.text, parameter.text, arg.ty);
                return Err(Diagnostic::at(Kind::Type, arg.span, message).hint(conversion(ty, &arg.ty)));
            }
        }
        let known = |function: &Function| function.name == name.text && function.body.span == body.span;
        if let Some(index) = self.functions.iter().position(known) {
            return Ok(index);
        }
        let parameters = parameters.iter().map(|word| word.text.clone()).zip(elsewhere.takes.iter().cloned());
        let parameters: Vec<(String, Type)> = parameters.collect();
        let passed = parameters.iter().enumerate();
        let passed = passed.map(|(at, (_, ty))| Expr::new(Node::Parameter(at), ty.clone(), body.span)).collect();
        let code =
            Expr::new(Node::ExternalFunction(elsewhere.code.clone(), passed), elsewhere.gives.clone(), body.span);
        let result = elsewhere.gives.clone();
        self.functions.push(Function { name: name.text.clone(), parameters, result, body: code });
        Ok(self.functions.len() - 1)
    }

    /// The number of `definition` at these argument types, typed now if it was not yet.
    fn instance(&mut self, definition: &Arc<Definition>, types: &[Type], span: Span) -> Fallible<usize> {
        let name = &definition.function.name;
        if self.depth == DEEPEST_TYPING {
            let message = format!("functions call each other more than {DEEPEST_TYPING} levels deep");
            return Err(Diagnostic::at(Kind::Depth, span, message)
                .hint("this limit does not apply to a function that calls itself"));
        }
        let mut types = types.to_vec();
        let mut place = None;
        'widening: loop {
            let parameters: Vec<(String, Type)> = definition
                .function
                .parameters
                .iter()
                .map(|word| word.text.clone())
                .zip(types.iter().cloned())
                .collect();
            let known = |function: &Function| {
                function.name == name.text
                    && function.parameters == parameters
                    && function.body.span == definition.function.body.span
            };
            if let Some(index) = self.functions.iter().position(known) {
                return Ok(index);
            }
            let index = *place.get_or_insert(self.functions.len());
            let mut result = Type::Never;
            loop {
                // What the body calls is typed only once: it cannot depend on this function.
                let unfinished = Function {
                    name: name.text.clone(),
                    parameters: parameters.clone(),
                    result: result.clone(),
                    body: never(name.span),
                };
                if index == self.functions.len() {
                    self.functions.push(unfinished);
                } else {
                    self.functions[index] = unfinished;
                }
                let mut inner = Typer {
                    scope: self.scope,
                    columns: None,
                    acc: None,
                    functions: self.functions,
                    warnings: self.warnings,
                    body: Some(Body {
                        definition,
                        index,
                        parameters: parameters.clone(),
                        result: result.clone(),
                        widened: None,
                    }),
                    depth: self.depth + 1,
                };
                let body = inner.expr(&definition.function.body)?;
                let widened = inner.body.and_then(|body| body.widened);
                if let Some(widened) = widened {
                    types = widened;
                    continue 'widening;
                }
                let met = result.meet(&body.ty);
                if body.ty == Type::Never {
                    let message = format!("`{}` calls itself forever: it has no base case", name.text);
                    return Err(Diagnostic::at(Kind::Type, name.span, message)
                        .hint(format!("fn {}(n) = if n < 1 then 0 else … {}(n - 1) …", name.text, name.text)));
                }
                if met.as_ref() == Some(&result) {
                    let body = body.widened(&result);
                    self.functions[index].body = Expr { span: definition.function.body.span, ..body };
                    return Ok(index);
                }
                match met {
                    Some(met) if met.depth() > DEEPEST_TYPE => {
                        let message =
                            format!("the type of `{}` grows with every call: lists are nested without end", name.text);
                        return Err(Diagnostic::at(Kind::Type, name.span, message)
                            .hint("a function must always return the same type"));
                    }
                    Some(met) => result = met,
                    None => {
                        let message =
                            format!("`{}` returns {} here and {} where it calls itself", name.text, body.ty, result);
                        return Err(Diagnostic::at(Kind::Type, name.span, message)
                            .hint("a function must always return the same type"));
                    }
                }
            }
        }
    }
}

/// Whether a pattern of `format`, the first argument, has a place for each value after it, and each shows its value.
fn check_places(pattern: &str, args: &[Expr]) -> Fallible<()> {
    let wrong = |message: String| Diagnostic::at(Kind::Type, args[0].span, message);
    if let Some(place) = functions::unknown_place(pattern) {
        return Err(wrong(format!("`{place}` is not a placeholder")).hint(format!(
            "{{}} shows a value, {{:.2}} a number with two decimal places (at most {})",
            functions::MOST_PLACES
        )));
    }
    let (mut rest, mut places) = (pattern, Vec::new());
    while let Some((_, shown, after)) = functions::next_place(rest) {
        places.push(shown);
        rest = after;
    }
    if places.len() != args.len() - 1 {
        let message = format!("the pattern has {} {{}}, but there are {} values", places.len(), args.len() - 1);
        return Err(wrong(message).hint(match pattern.contains("{{") || pattern.contains("}}") {
            true => {
                "braces are not escaped by doubling; to print {} itself, pass it as a value: format(\"{}\", \"{}\")"
            }
            false => "write one {} for each value",
        }));
    }
    for (arg, shown) in args[1..].iter().zip(places) {
        if let Shown::Places(places) = shown
            && !matches!(arg.ty, Type::Int | Type::Float)
            && arg.node != Node::Const(Value::Null)
        {
            let message = format!("`{{:.{places}}}` needs a number, got {}", arg.ty);
            return Err(Diagnostic::at(Kind::Type, arg.span, message).hint("{} shows any value"));
        }
    }
    Ok(())
}

/// A call of the function whose body is being typed.
fn self_call(body: &mut Body, word: &Word, args: Vec<Expr>, span: Span) -> Fallible<Expr> {
    let mut passed = Vec::new();
    for (i, (arg, (name, ty))) in args.into_iter().zip(&body.parameters).enumerate() {
        match ty.meet(&arg.ty) {
            Some(met) if met == *ty => passed.push(arg.widened(ty)),
            Some(Type::Float) => {
                let types = body.parameters.iter().map(|(_, ty)| ty.clone());
                let widened = body.widened.get_or_insert_with(|| types.collect());
                widened[i] = Type::Float;
                passed.push(arg);
            }
            _ => {
                let message = format!("`{}` was called with {name}: {ty}, but calls itself with {}", word.text, arg.ty);
                return Err(
                    Diagnostic::at(Kind::Type, arg.span, message).hint("a recursive call must pass the same types")
                );
            }
        }
    }
    Ok(Expr::new(Node::Apply(body.index, passed), body.result.clone(), span))
}

/// An expression that has no type yet.
fn never(span: Span) -> Expr {
    Expr::new(Node::Const(Value::Null), Type::Never, span)
}

fn conversion(left: &Type, right: &Type) -> &'static str {
    match (left, right) {
        (Type::Text, Type::Int) | (Type::Int, Type::Text) => "int(text) reads a number, text(number) writes one",
        (Type::Text, Type::Float) | (Type::Float, Type::Text) => "float(text) reads a number, text(number) writes one",
        (Type::Bool, _) | (_, Type::Bool) => "compare a bool with true or false",
        (Type::List(_), _) | (_, Type::List(_)) => "xs[0] takes an element, len(xs) counts them",
        _ => "convert both to the same type",
    }
}

fn mismatch(left: &Expr, operator: Operator, place: Span, right: &Expr) -> Box<Diagnostic> {
    let sign = operator.sign();
    let message = format!("`{sign}` cannot combine {} and {}", left.ty, right.ty);
    let error = Diagnostic::at(Kind::Type, place, message);
    let texts = left.ty == Type::Text || right.ty == Type::Text;
    let lists = matches!(left.ty, Type::List(_)) || matches!(right.ty, Type::List(_));
    match operator {
        Operator::Add if texts && !lists => {
            error.hint("convert to text first: text(x) + \"…\", or format(\"{} …\", x)")
        }
        Operator::Add if lists => error.hint("`+` joins two lists: xs + [x]"),
        _ if texts => error.hint("int(text) or float(text) reads a number"),
        _ => error.hint("both sides must be numbers"),
    }
}

/// The other side of a comparison that has the literal null on one side.
fn beside_null<'a>(left: &'a lang::Expr, right: &'a lang::Expr) -> Option<&'a lang::Expr> {
    match (&left.node, &right.node) {
        (lang::Node::Null, lang::Node::Null) => None,
        (lang::Node::Null, _) => Some(right),
        (_, lang::Node::Null) => Some(left),
        _ => None,
    }
}
