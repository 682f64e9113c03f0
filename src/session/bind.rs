//! From what a pipeline says to what it means: its source here, its stages by the stage table.

use std::cell::Cell;
use std::sync::Arc;

use crate::data::{Column, Order, Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::files;
use crate::lang::{self, ArgumentSyntax, Expr, Node, Pipeline, Points, SourceNode, StageCode, Sweep, Word};
use crate::plan::{
    self, Binding, BoundOp, Builder, CsvOptions, DEEPEST_TYPE, Definition, Elsewhere, Evaluator, Format, Function,
    Plan, Scope, Source, Step, int, whole,
};
use crate::report::Measured;
use crate::sources;
use crate::stages;

use super::{Session, jobs};

/// What a pipeline means.
#[derive(Debug, Clone)]
pub enum Bound {
    Value(Value, Type),
    Table(Plan),
}

/// What names mean while a pipeline is bound.
pub(super) struct View<'a> {
    session: &'a Session,
    /// Whether a value that was measured was read through it.
    measured: Cell<bool>,
}

impl View<'_> {
    pub(super) fn of(session: &Session) -> View<'_> {
        View { session, measured: Cell::new(false) }
    }

    pub(super) fn has_read_measured(&self) -> bool {
        self.measured.get()
    }
}

impl Scope for View<'_> {
    fn name(&self, name: &str) -> Option<Binding> {
        self.session.lookup(name)
    }

    fn latest_with(&self, field: &str) -> Option<Binding> {
        self.session.latest_with(field)
    }

    fn names(&self) -> Vec<String> {
        self.session.names.keys().cloned().collect()
    }

    fn reads_measured(&self) {
        self.measured.set(true);
    }

    fn seed(&self) -> i64 {
        self.session.settings.seed
    }

    fn functions(&self) -> Option<Arc<Definition>> {
        self.session.functions.clone()
    }

    fn evaluator(&self, functions: &[Function], expr: &plan::Expr) -> Fallible<Evaluator> {
        self.session.evaluator(functions, expr)
    }

    fn stage_code(&self, written: &StageCode, takes: &[Type], gives: &Type) -> Fallible<Arc<Elsewhere>> {
        self.session.stage_code(self, written, takes, gives)
    }
}

/// What a pipeline means, where an expression alone is not evaluated yet.
pub(super) enum Ready {
    Expr(Evaluator, Type),
    Bound(Bound),
}

impl Session {
    /// The same as [`Session::bind`], but an expression alone is only typed.
    pub(super) fn ready(&mut self, pipeline: &Pipeline) -> Fallible<Ready> {
        match alone(pipeline) {
            Some(expr) => plan::ready(&View::of(self), expr).map(|(evaluator, ty)| Ready::Expr(evaluator, ty)),
            None => self.bind(pipeline).map(Ready::Bound),
        }
    }

    /// What a pipeline means. Looks at file headers and type samples, and reads no more.
    pub fn bind(&mut self, pipeline: &Pipeline) -> Fallible<Bound> {
        self.bind_marked(pipeline).map(|(bound, _)| bound)
    }

    /// The same, and whether it reads a value that was measured; of a table its plan says more.
    pub(super) fn bind_marked(&mut self, pipeline: &Pipeline) -> Fallible<(Bound, bool)> {
        let mut warnings = Vec::new();
        let mut binder = Binder { view: View::of(self), warnings: &mut warnings };
        let bound = binder.pipeline(pipeline).map(|bound| (bound, binder.view.has_read_measured()));
        self.warnings.append(&mut warnings);
        match bound {
            Ok(bound) => Ok(bound),
            // A result that was dropped looks like one that has no table: the reason says more.
            Err(error) => {
                let dropped = error.span.and_then(|span| self.dropped(self.words(span), span));
                Err(dropped.unwrap_or(error))
            }
        }
    }
}

/// The expression that a pipeline is, if it is nothing else.
fn alone(pipeline: &Pipeline) -> Option<&Expr> {
    match &pipeline.source.node {
        SourceNode::Expr(expr) if pipeline.stages.is_empty() => {
            (!matches!(expr.node, Node::Name(_) | Node::Field(..))).then_some(expr)
        }
        _ => None,
    }
}

/// The most points of a sweep.
const MOST_POINTS: usize = 1000;

impl Session {
    /// The points of a sweep, in order. Both ends of a range belong to it: its last step is cut to the end.
    pub fn points(&mut self, sweep: &Sweep) -> Fallible<Vec<i64>> {
        let name = &sweep.name;
        if self.lookup(&name.text).is_some() {
            let message = format!("the sweep's `{}` hides the `{0}` of the session", name.text);
            self.warnings.push(*Diagnostic::at(Kind::Warning, name.span, message));
        }
        let view = View::of(self);
        let point = |expr: &Expr| plan::int(&view, expr, "a point of a sweep");
        let (start, end, step) = match &sweep.points {
            Points::List(items) => return items.iter().map(point).collect(),
            Points::Range { start, end, step } => (start, end, step),
        };
        let (first, last) = (point(start)?, point(end)?);
        let wrong = |expr: &Expr, message: String| Err(Diagnostic::at(Kind::Type, expr.span, message));
        if first > last {
            return wrong(end, format!("the sweep ends at {last}, before its start"));
        }
        let next: Box<dyn Fn(i64) -> i64> = match &**step {
            lang::Step::By(by) => match int(&view, by, "the step of a sweep")? {
                by if by > 0 => Box::new(move |at| at.saturating_add(by)),
                by_wrong => return wrong(by, format!("the step of a sweep must be positive, got {by_wrong}")),
            },
            lang::Step::Double | lang::Step::Times(_) if first < 1 => {
                return wrong(start, format!("a sweep that multiplies must begin at 1 or more, got {first}"));
            }
            lang::Step::Double => Box::new(|at| at.saturating_mul(2)),
            lang::Step::Times(times) => match int(&view, times, "the factor of a sweep")? {
                times if times > 1 => Box::new(move |at| at.saturating_mul(times)),
                times_wrong => {
                    return wrong(times, format!("the factor of a sweep must be greater than 1, got {times_wrong}"));
                }
            },
        };
        let mut points = vec![first];
        let mut at = first;
        while at < last {
            at = next(at).min(last);
            points.push(at);
            if points.len() > MOST_POINTS {
                let message = format!("this sweep has more than {MOST_POINTS} points");
                return Err(Diagnostic::at(Kind::Type, sweep.span, message).hint("use a larger step, or `times 2`"));
            }
        }
        Ok(points)
    }

    /// Binds stages to a plan that flows into them.
    pub fn bind_on(&mut self, input: Plan, stages: &[lang::Stage]) -> Fallible<Plan> {
        let mut warnings = Vec::new();
        let bound = Binder { view: View::of(self), warnings: &mut warnings }.stages(input, stages);
        self.warnings.append(&mut warnings);
        bound
    }
}

struct Binder<'a> {
    view: View<'a>,
    warnings: &'a mut Vec<Diagnostic>,
}

impl Binder<'_> {
    fn pipeline(&mut self, pipeline: &Pipeline) -> Fallible<Bound> {
        stacker::maybe_grow(128 << 10, 4 << 20, || {
            let source = &pipeline.source;
            if let Some(expr) = alone(pipeline) {
                let (value, ty) = plan::constant(&self.view, expr)?;
                return Ok(Bound::Value(value, ty));
            }
            let (bound, has_read) = self.reading(|binder| binder.source(&source.node, source.span));
            let mut plan = match bound? {
                Bound::Value(value, ty) if pipeline.stages.is_empty() => return Ok(Bound::Value(value, ty)),
                Bound::Value(value, ty) => rows_of(value, ty, source.span),
                Bound::Table(plan) => plan,
            };
            if has_read {
                plan.measured = Measured::all(plan.schema().columns.len());
            }
            self.stages(plan, &pipeline.stages).map(Bound::Table)
        })
    }

    fn stages(&mut self, plan: Plan, written: &[lang::Stage]) -> Fallible<Plan> {
        let mut plan = plan;
        for stage in written {
            let (before, measured) = (plan.steps.len(), plan.measured.clone());
            let (bound, has_read) = self.reading(|binder| binder.stage(plan, stage));
            plan = bound?;
            plan.measured = Plan::measured_after(measured, &plan.steps[before..], has_read);
        }
        Ok(plan)
    }

    /// Goes on with a stage.
    fn stage(&mut self, plan: Plan, stage: &lang::Stage) -> Fallible<Plan> {
        let mut tables = stage.tables.iter().map(|table| self.table(table)).collect::<Fallible<Vec<Plan>>>()?;
        let known = stages::find(&stage.name.text).expect("the parser knows only stages of the table");
        for (_, branch) in &stage.branches {
            tables.push(match known.syntax.shape {
                ArgumentSyntax::Iterate => self.block(plan.schema().clone(), branch, stage.span)?,
                _ => self.inner(plan.schema().clone(), plan.measured.clone(), branch, stage.span)?,
            });
        }
        let mut builder = Builder::from_plan(&self.view, plan);
        let bound = (known.bind)(&mut builder, stage, tables);
        self.warnings.append(&mut builder.warnings);
        bound?;
        Ok(builder.plan)
    }

    /// Does something, and says whether it reads a value that was measured.
    fn reading<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = self.view.measured.replace(false);
        let done = work(self);
        let has_read = self.view.measured.get();
        self.view.measured.set(before || has_read);
        (done, has_read)
    }

    /// Stages that are handed a table of these columns, of which this is measured.
    fn inner(&mut self, schema: Schema, measured: Measured, written: &[lang::Stage], span: Span) -> Fallible<Plan> {
        let passed = Plan::of(vec![Step { op: BoundOp::Passed, schema, span }]);
        self.stages(Plan { measured, ..passed }, written)
    }

    /// Stages that are handed what they gave before: the types of their columns hold both, and so does the order.
    fn block(&mut self, mut schema: Schema, written: &[lang::Stage], span: Span) -> Fallible<Plan> {
        loop {
            let plan = self.inner(schema.clone(), Measured::nothing(schema.columns.len()), written, span)?;
            let given = plan.schema();
            let met = |column: &Column| {
                let other = given.index(&column.name).map(|index| &given.columns[index].ty);
                let ty = other.and_then(|other| column.ty.meet(other)).unwrap_or_else(|| column.ty.clone());
                Column { name: column.name.clone(), ty }
            };
            let order = schema.order.weaker(given.order);
            let next = Schema::new(schema.columns.iter().map(met).collect(), order);
            if next == schema || next.columns.iter().any(|column| column.ty.depth() > DEEPEST_TYPE) {
                return Ok(plan);
            }
            schema = next;
        }
    }

    /// A pipeline where only a table makes sense.
    fn table(&mut self, pipeline: &Pipeline) -> Fallible<Plan> {
        match self.pipeline(pipeline)? {
            Bound::Table(plan) if plan.is_final() => {
                let span = plan.steps.last().expect("a plan has a source").span;
                Err(Diagnostic::at(Kind::Syntax, span, "`write` and `tee` are only allowed at the end of a cell"))
            }
            Bound::Table(plan) => Ok(plan),
            Bound::Value(value, ty) => Ok(rows_of(value, ty, pipeline.span)),
        }
    }

    fn source(&mut self, node: &SourceNode, span: Span) -> Fallible<Bound> {
        let source = |source: Source, ty: Type| {
            let op = BoundOp::Source(source);
            Ok(Bound::Table(Plan::of(vec![Step { op, schema: Schema::one("it", ty), span }])))
        };
        match node {
            SourceNode::Last => {
                if self.view.name("_").is_none() {
                    let message = "there is no result yet to continue from";
                    let error = Diagnostic::at(Kind::Name, span, message);
                    return Err(error.hint("a pipeline begins with a source: 1..10 | …"));
                }
                self.named("_", span)
            }
            SourceNode::Range { start, end, inclusive } => {
                let start = int(&self.view, start, "a bound of a range")?;
                let end = match end {
                    None => None,
                    Some(end) => {
                        let bound = int(&self.view, end, "a bound of a range")?;
                        Some(if *inclusive { bound.checked_add(1).ok_or_else(|| beyond(end.span))? } else { bound })
                    }
                };
                source(Source::Range { start, end }, Type::Int)
            }
            SourceNode::Nested(pipeline) => match self.pipeline(pipeline)? {
                Bound::Table(plan) if plan.is_final() => {
                    Err(Diagnostic::at(Kind::Syntax, span, "`write` and `tee` are only allowed at the end of a cell"))
                }
                bound => Ok(bound),
            },
            SourceNode::Command(word) => {
                Err(Diagnostic::at(Kind::Syntax, word.span, "a command cannot be a table here")
                    .hint(format!("let x = !{}", word.text.lines().next().unwrap_or_default())))
            }
            SourceNode::Wait(name) => match self.view.name(&name.text) {
                Some(Binding::Table(plan)) if plan.job().is_some() => Ok(Bound::Table(plan.as_ref().clone())),
                _ => Err(jobs::not_a_job(name)),
            },
            SourceNode::Rust(block) => self.view.session.bound_block(&self.view, block, span),
            SourceNode::Generated { source: what, count, seed } => {
                let count = whole(&self.view, count, &format!("the number of {}", what.rows))?;
                let seed = self.seed(seed.as_ref())?;
                source(Source::Generated { what, count, seed }, what.value.ty())
            }
            SourceNode::Read { .. } => {
                let read = self.read(node)?;
                let fields = read.wanted.iter().map(|index| read.fields[*index].column()).collect();
                let schema = Schema::new(fields, Order::Kept);
                Ok(Bound::Table(Plan::of(vec![Step { op: BoundOp::Source(Source::Read(read)), schema, span }])))
            }
            SourceNode::Expr(expr) => match &expr.node {
                Node::Name(name) => self.named(name, span),
                Node::Field(base, field) => match self.branch(base, field) {
                    Some(plan) => Ok(Bound::Table(plan.as_ref().clone())),
                    None => plan::constant(&self.view, expr).map(|(value, ty)| Bound::Value(value, ty)),
                },
                _ => plan::constant(&self.view, expr).map(|(value, ty)| Bound::Value(value, ty)),
            },
        }
    }

    /// The table of a `tee` that `_3.name` means.
    fn branch(&self, base: &Expr, field: &Word) -> Option<Arc<Plan>> {
        let Node::Name(name) = &base.node else { return None };
        let Some(Binding::Result { tables, .. }) = self.view.with_field(name, &field.text) else { return None };
        tables.into_iter().find(|(name, _)| *name == field.text).map(|(_, plan)| plan)
    }

    fn seed(&self, seed: Option<&Expr>) -> Fallible<i64> {
        seed.map_or(Ok(self.view.session.settings.seed), |seed| int(&self.view, seed, "a seed"))
    }

    /// A session name at the start of a pipeline.
    fn named(&mut self, name: &str, span: Span) -> Fallible<Bound> {
        match self.view.name(name) {
            Some(Binding::Value(value, ty, measured)) => {
                if measured {
                    self.view.reads_measured();
                }
                Ok(Bound::Value(value, ty))
            }
            Some(Binding::Table(plan) | Binding::Result { table: Some(plan), .. }) => {
                Ok(Bound::Table(plan.as_ref().clone()))
            }
            Some(Binding::Result { table: None, fields, tables }) => {
                if let Some(dropped) = self.view.session.dropped(name, span) {
                    return Err(dropped);
                }
                let tables = tables.iter().map(|(name, _)| name.as_str());
                let names: Vec<&str> = fields.iter().map(|field| field.name).chain(tables).collect();
                Err(Diagnostic::at(Kind::Type, span, format!("`{name}` has no table"))
                    .hint(format!("its fields are {}", listed(&names))))
            }
            None => {
                let error = Diagnostic::at(Kind::Name, span, format!("unknown name `{name}`"));
                let names = self.view.names();
                let words = std::iter::once("read").chain(sources::ALL.iter().map(|source| source.name));
                let error = lang::foreign::suggest(error, name, names.iter().map(String::as_str).chain(words));
                let stage = stages::find(name).map(|stage| stage.syntax.usage);
                Err(match (error.hint.is_some(), stage) {
                    (true, _) => error,
                    (false, Some(_)) => error.hint(format!("write a source and `|` before a stage: … | {name}")),
                    (false, None) if name == "store" => error.hint("a store needs a delay: let kv = store delay 5ms"),
                    (false, None) if name == "it" => error.hint("`it` is a column and can only be used inside a stage"),
                    (false, None) => {
                        error.hint("`let name = …` assigns a name; `read \"path\"` and `1..10` are sources")
                    }
                })
            }
        }
    }

    fn read(&self, node: &SourceNode) -> Fallible<plan::Read> {
        let SourceNode::Read { path, format, columns, types, nulls, options } = node else {
            unreachable!("it was just seen")
        };
        let session = self.view.session;
        let at_path = |mut error: Box<Diagnostic>| {
            error.span = Some(path.span);
            error
        };
        let found = match path.text == "-" {
            true => session.standard_input().map(|file| vec![file]),
            false => files::found(&path.text, &session.stop),
        };
        let found = found.map_err(at_path)?;
        let mut format = files::format(&found[0].shown, format.as_ref())?;
        let mut words = options.iter().map(|(word, _)| word).chain(nulls.iter().map(|(word, _)| word));
        let is_unknown = |word: &&Word| match &format {
            Format::Csv(_) => false,
            Format::Text { .. } => word.text != "lossy",
            Format::Json { .. } | Format::Parquet | Format::Arrow => true,
        };
        if let Some(word) = words.find(is_unknown) {
            return Err(no_option(&format, word, "`as csv` reads it as a table"));
        }
        match &mut format {
            Format::Csv(csv) => {
                self.csv_options(csv, options)?;
                if let Some((_, texts)) = nulls {
                    csv.nulls = Some(texts.iter().map(|text| self.null_text(text)).collect::<Fallible<_>>()?);
                }
            }
            Format::Text { lossy } => {
                for (word, value) in options {
                    *lossy = self.flag(word, value)?;
                }
            }
            Format::Json { .. } | Format::Parquet | Format::Arrow => {}
        }
        let stated = self.stated_types(&format, types)?;
        let is_headless = matches!(&format, Format::Csv(csv) if !csv.header);
        if let Some(columns) = columns {
            let mut words = columns.iter().enumerate();
            if let Some((_, word)) = words.find(|(i, word)| columns[..*i].iter().any(|other| other.text == word.text)) {
                return Err(Diagnostic::at(Kind::Name, word.span, format!("`{}` is named twice", word.text)));
            }
            if let (true, Format::Csv(csv)) = (is_headless, &mut format) {
                csv.names = Some(columns.iter().map(|word| word.text.clone()).collect());
            }
        }
        let named: Vec<String> =
            columns.iter().flat_map(|columns| columns.iter().map(|word| word.text.clone())).collect();
        let look = files::Look { stop: &session.stop, first_file_only: session.is_looking(), named: &named };
        let look = || look.at(found, &path.text, format, &stated);
        let mut read = session.context().within_limit(look).map_err(at_path)?;
        if let Some(columns) = columns
            && is_headless
        {
            let (fields, names) = (read.fields.len(), columns.len());
            if fields != names {
                let span = columns[0].span.to(columns[names - 1].span);
                let [fields, names] = [(fields, "field"), (names, "name")]
                    .map(|(count, what)| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") });
                let message = format!("the first record has {fields}, but `columns` has {names}");
                return Err(Diagnostic::at(Kind::Name, span, message)
                    .hint("without a header, `columns` must name all columns; `map` keeps some of them"));
            }
        }
        let names: Vec<&str> = read.fields.iter().map(|field| field.name.as_str()).collect();
        let place = |word: &Word| {
            names.iter().position(|name| *name == word.text).ok_or_else(|| {
                let message = format!("unknown column `{}`; the columns are {}", word.text, listed(&names));
                Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names.iter().copied())
            })
        };
        for (word, _) in types {
            place(word)?;
        }
        if let Some(columns) = columns {
            read.wanted = columns.iter().map(place).collect::<Fallible<_>>()?;
        }
        Ok(read)
    }

    fn csv_options(&self, csv: &mut CsvOptions, options: &[(Word, Expr)]) -> Fallible<()> {
        for (word, value) in options {
            let byte = || match plan::constant(&self.view, value)?.0 {
                Value::Text(text) => files::one_byte(&text).map_err(|mut error| {
                    error.span = Some(value.span);
                    error
                }),
                other => Err(wrong_option(word, value, "a text of one character", &other)),
            };
            match word.text.as_str() {
                "sep" => {
                    csv.separator = byte()?;
                    csv.is_detected = false;
                }
                "comment" => csv.comment = Some(byte()?),
                "header" => csv.header = self.flag(word, value)?,
                "ragged" => csv.ragged = self.flag(word, value)?,
                _ => csv.lossy = self.flag(word, value)?,
            }
        }
        Ok(())
    }

    fn flag(&self, word: &Word, value: &Expr) -> Fallible<bool> {
        match plan::constant(&self.view, value)?.0 {
            Value::Bool(flag) => Ok(flag),
            other => Err(wrong_option(word, value, "true or false", &other)),
        }
    }

    fn null_text(&self, text: &Expr) -> Fallible<String> {
        match plan::constant(&self.view, text)?.0 {
            Value::Text(text) => Ok(text.to_string()),
            other => {
                let message = format!("`null` needs texts, got {other}");
                Err(Diagnostic::at(Kind::Type, text.span, message).hint("null \"NA\", \"-\""))
            }
        }
    }

    /// The columns whose types the user states.
    fn stated_types(&self, format: &Format, types: &[(Word, Word)]) -> Fallible<Vec<(String, Type)>> {
        const NAMES: [&str; 4] = ["int", "float", "bool", "text"];
        let mut stated: Vec<(String, Type)> = Vec::new();
        for (column, ty) in types {
            if !matches!(format, Format::Csv(_) | Format::Json { .. }) {
                let word = Word { text: "types".to_string(), span: column.span };
                return Err(no_option(format, &word, "to convert a column, write: | derive x = float(x)"));
            }
            if stated.iter().any(|(name, _)| *name == column.text) {
                let message = format!("`{}` is given two types", column.text);
                return Err(Diagnostic::at(Kind::Name, column.span, message));
            }
            let ty = match ty.text.as_str() {
                "int" => Type::Int,
                "float" => Type::Float,
                "bool" => Type::Bool,
                "text" => Type::Text,
                other => {
                    let error = Diagnostic::at(Kind::Name, ty.span, format!("unknown type `{other}`"));
                    let error = error.near(other, NAMES);
                    let all = format!("types are {}", listed(&NAMES));
                    return Err(if error.hint.is_some() { error } else { error.hint(all) });
                }
            };
            stated.push((column.text.clone(), ty));
        }
        Ok(stated)
    }
}

fn no_option(format: &Format, word: &Word, hint: &str) -> Box<Diagnostic> {
    let name = format.name();
    let article = if name.starts_with('a') { "an" } else { "a" };
    let message = format!("{article} {name} file has no option `{}`", word.text);
    Diagnostic::at(Kind::Name, word.span, message).hint(hint)
}

fn wrong_option(word: &Word, value: &Expr, wanted: &str, found: &Value) -> Box<Diagnostic> {
    Diagnostic::at(Kind::Type, value.span, format!("`{}` expects {wanted}, got {found}", word.text))
}

fn beyond(span: Span) -> Box<Diagnostic> {
    Diagnostic::at(Kind::Overflow, span, "the range would end beyond the largest int")
}

/// A value as a table: a list gives its elements as rows, anything else one row.
pub fn rows_of(value: Value, ty: Type, span: Span) -> Plan {
    let (values, ty): (Arc<[Value]>, Type) = match (value, ty) {
        (Value::List(items), Type::List(of)) => (items, *of),
        (value, ty) => (Arc::from([value]), ty),
    };
    let columns = vec![Column { name: "it".to_string(), ty }];
    let step = Step { op: BoundOp::Source(Source::Values(values)), schema: Schema::new(columns, Order::Kept), span };
    Plan::of(vec![step])
}
