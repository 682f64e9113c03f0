//! What a stage is handed: the plan so far, and the means to type its arguments and to add ops.

use std::collections::HashMap;

use crate::data::{Column, Order, Schema, Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::lang::{self, Arg, Word};

use super::typing::{Evaluator, Scope, Typer};
use super::{Agg, AggFunc, BoundOp, Expr, Function, Named, Node, Op, Plan, Rounds, Source, Step, Storage, Write};

/// A plan that grows.
pub struct Builder<'a> {
    pub plan: Plan,
    pub scope: &'a dyn Scope,
    pub warnings: Vec<Diagnostic>,
}

/// The most steps that one plan may have, those of the plans inside it included.
const MOST_STEPS: usize = 200_000;

impl<'a> Builder<'a> {
    pub fn source(scope: &'a dyn Scope, source: Source, schema: Schema, span: Span) -> Builder<'a> {
        let steps = vec![Step { op: BoundOp::Source(source), schema, span }];
        Builder { plan: Plan::of(steps), scope, warnings: Vec::new() }
    }

    /// Goes on from a plan that stands already.
    pub fn from_plan(scope: &'a dyn Scope, plan: Plan) -> Builder<'a> {
        Builder { plan, scope, warnings: Vec::new() }
    }

    pub fn schema(&self) -> &Schema {
        self.plan.schema()
    }

    /// Adds an op; its columns follow from it.
    pub fn push(&mut self, op: Op<Plan>, span: Span) -> Fallible<()> {
        self.may_go_on(span)?;
        let schema = output(&op, self.schema(), span)?;
        self.add(op.into(), schema, span)
    }

    /// Ends with a file that is written.
    pub fn write(&mut self, write: Write, span: Span) -> Fallible<()> {
        let named = [("path", Type::Text), ("rows", Type::Int), ("bytes", Type::Int)];
        let columns = named.map(|(name, ty)| Column { name: name.to_string(), ty });
        self.add(BoundOp::Write(write), Schema::new(columns.to_vec(), Order::Kept), span)
    }

    /// Ends with several results.
    pub fn tee(&mut self, branches: Vec<(String, Plan)>, span: Span) -> Fallible<()> {
        self.add(BoundOp::Tee(branches), self.schema().clone(), span)
    }

    /// Goes on with what the rounds of a block give.
    pub fn iterate(&mut self, rounds: Rounds<Plan>, span: Span) -> Fallible<()> {
        let given = rounds.block.schema();
        // There may be no round.
        let may_be_input = rounds.until.is_some() || rounds.most == 0;
        let order = if may_be_input { self.schema().order.weaker(given.order) } else { given.order };
        let schema = Schema::new(given.columns.clone(), order);
        self.add(BoundOp::Iterate(Box::new(rounds)), schema, span)
    }

    /// Keeps the table so far, under this number.
    pub fn persist(&mut self, id: u64, storage: Storage, span: Span) -> Fallible<()> {
        // What is kept has its types: later plans use it in their own ways.
        let mut schema = self.schema().clone();
        schema.columns.iter_mut().for_each(|column| column.ty = column.ty.closed());
        self.add(BoundOp::Persist(id, storage), schema, span)
    }

    fn add(&mut self, op: BoundOp, schema: Schema, span: Span) -> Fallible<()> {
        self.may_go_on(span)?;
        let brings_steps = !op.plans().is_empty();
        self.plan.steps.push(Step { op, schema, span });
        let look = brings_steps || self.plan.steps.len().is_multiple_of(1000);
        if look && steps(&self.plan) > MOST_STEPS {
            return Err(Diagnostic::at(Kind::Syntax, span, format!("this pipeline has more than {MOST_STEPS} steps"))
                .hint("split it: let name = … | persist"));
        }
        Ok(())
    }

    fn may_go_on(&self, span: Span) -> Fallible<()> {
        match self.plan.is_final() {
            true => Err(Diagnostic::at(Kind::Syntax, span, "nothing but `on ENGINE` may follow `write` and `tee`")
                .hint("a table is used several times with `let name = … | persist`")),
            false => Ok(()),
        }
    }

    /// Types an expression over the columns that flow here.
    pub fn expr(&mut self, expr: &lang::Expr) -> Fallible<Expr> {
        let schema = self.plan.steps.last().expect("a plan has a source").schema.clone();
        Typer::new(self.scope, Some(&schema), &mut self.plan.functions, &mut self.warnings).expr(expr)
    }

    /// Types an expression over the columns and an `acc` of type `acc`.
    pub fn expr_with_acc(&mut self, expr: &lang::Expr, acc: &Type) -> Fallible<Expr> {
        let schema = self.plan.steps.last().expect("a plan has a source").schema.clone();
        let mut typer = Typer::new(self.scope, Some(&schema), &mut self.plan.functions, &mut self.warnings);
        typer.acc = Some(acc.clone());
        typer.expr(expr)
    }

    /// The argument without its counters, which count in a step before it; unless one is all of it: what that counts is
    /// added to `later`, by the number of the argument, to be counted where its column is there.
    pub fn counted(&mut self, arg: &Arg, number: usize, later: &mut Vec<(usize, String)>) -> Fallible<Arg> {
        let is_own = |name: &str| self.scope.functions().is_some_and(|newest| newest.find(name).is_some());
        if is_own(COUNTER) {
            return Ok(arg.clone());
        }
        if let Some((label, counted)) = arg.expr.whole_call(COUNTER).map(counter).transpose()?
            && !counted.calls(COUNTER)
        {
            later.push((number, label));
            return Ok(Arg { expr: counted.clone(), ..arg.clone() });
        }
        let mut expr = arg.expr.clone();
        let mut found = Vec::new();
        take_counters(&mut expr, &mut found)?;
        if !found.is_empty() {
            let typed = found.iter().map(|(label, expr)| Ok(Named { name: label.clone(), expr: self.expr(expr)? }));
            let counters = typed.collect::<Fallible<Vec<Named>>>()?;
            self.tally(counters, arg.expr.span)?;
        }
        Ok(Arg { expr, ..arg.clone() })
    }

    /// Adds up ints and true bools under their names.
    pub fn tally(&mut self, mut counters: Vec<Named>, span: Span) -> Fallible<()> {
        for Named { expr, .. } in &mut counters {
            match expr.ty {
                Type::Int | Type::Bool => {}
                Type::Open => *expr = expr.clone().widened(&Type::Int),
                _ => {
                    let message = format!("`counter` needs a bool or an int, got {}", expr.ty);
                    return Err(Diagnostic::at(Kind::Type, expr.span, message)
                        .hint("a condition counts its true rows: counter(\"large\", it > 100)"));
                }
            }
        }
        self.push(Op::Tally(counters), span)
    }

    /// The value of an argument that has no row.
    pub fn value(&mut self, expr: &lang::Expr) -> Fallible<(Value, Type)> {
        constant(self.scope, expr)
    }

    /// A count of rows.
    pub fn count(&mut self, expr: &lang::Expr, what: &str) -> Fallible<u64> {
        whole(self.scope, expr, what)
    }

    pub fn filter_condition(&mut self, expr: &lang::Expr) -> Fallible<Expr> {
        let typed = self.expr(expr)?;
        match typed.ty {
            Type::Bool | Type::Open => Ok(typed.widened(&Type::Bool)),
            _ => {
                let message = format!("`filter` needs a bool, got {}", typed.ty);
                Err(Diagnostic::at(Kind::Type, typed.span, message).hint("compare it: filter it > 0"))
            }
        }
    }

    /// The column that a word names.
    pub fn column(&self, word: &Word) -> Fallible<usize> {
        if let Some(index) = self.schema().index(&word.text) {
            return Ok(index);
        }
        let names: Vec<&str> = self.schema().names().collect();
        let message = format!("unknown column `{}`; the columns are {}", word.text, listed(&names));
        Err(Diagnostic::at(Kind::Name, word.span, message).near(&word.text, names.iter().copied()))
    }

    /// A plain column of the table that flows here.
    pub fn column_expr(&self, index: usize, span: Span) -> Expr {
        Expr::new(Node::Column(index), self.schema().columns[index].ty.clone(), span)
    }

    /// All columns as they are.
    pub fn all_columns(&self, span: Span) -> Vec<Named> {
        let columns = self.schema().columns.iter().enumerate();
        columns.map(|(i, column)| Named { name: column.name.clone(), expr: self.column_expr(i, span) }).collect()
    }

    /// A named or unnamed expression: an unnamed one takes the name of the only column that it uses, else `it`.
    pub fn named(&mut self, arg: &Arg) -> Fallible<Named> {
        let expr = self.expr(&arg.expr)?;
        let name = match &arg.name {
            Some(word) => word.text.clone(),
            None => self.natural_name(&expr),
        };
        Ok(Named { name, expr })
    }

    pub fn natural_name(&self, expr: &Expr) -> String {
        match expr.columns()[..] {
            [only] => self.schema().columns[only].name.clone(),
            _ => "it".to_string(),
        }
    }

    /// The keys of a `by`: an unnamed one is called `key` where its natural name clashes.
    pub fn keys(&mut self, by: &[Arg]) -> Fallible<Vec<Named>> {
        let mut keys: Vec<Named> = Vec::new();
        for arg in by {
            if let Some(direction) = arg.direction {
                let message = format!("`{}` cannot be used here", direction_word(direction));
                return Err(Diagnostic::at(Kind::Syntax, arg.expr.span, message).hint("| sort by … desc"));
            }
            let mut key = self.named(arg)?;
            if arg.name.is_none() && keys.iter().any(|other| other.name == key.name) {
                key.name = "key".to_string();
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// Warns where a stage that depends on order meets a table without one.
    pub fn needs_order(&mut self, what: &str, span: Span) {
        if self.schema().order == Order::Lost {
            self.needs_order_of(what, span);
        }
    }

    /// The same where it is known that the order is missing, here or in a table that is brought in.
    pub fn needs_order_of(&mut self, what: &str, span: Span) {
        let message = format!("`{what}` depends on the order of the rows, but they have no order here");
        self.warnings.push(*Diagnostic::at(Kind::Warning, span, message).hint("put `sort` before it"));
        self.plan.steps.last_mut().expect("a plan has a source").schema.order = Order::Random;
    }

    /// Adds the aggregates `aggs` for each of `keys`; names must be settled.
    pub fn aggregate(&mut self, keys: Vec<Named>, aggs: Vec<Agg>, span: Span) -> Fallible<()> {
        for agg in &aggs {
            let glued = matches!(agg.func, AggFunc::Reduce(_)) && !agg.ty.is_number();
            if agg.func.needs_order() || glued {
                self.needs_order(agg.func.name(), span);
            }
        }
        self.push(Op::Aggregate { keys, aggs }, span)
    }
}

const COUNTER: &str = "counter";

/// The label and the expression of a call of `counter`.
fn counter<'e>((word, args): (&Word, &'e [lang::Expr])) -> Fallible<(String, &'e lang::Expr)> {
    let wrong = |span: Span, message: String| {
        Err(Diagnostic::at(Kind::Type, span, message).hint("counter(\"large\", it > 100)"))
    };
    match args {
        [lang::Expr { node: lang::Node::Text(label), .. }, counted] => Ok((label.clone(), counted)),
        [label, _] => wrong(label.span, "the label of `counter` is a text in quotes".to_string()),
        _ => wrong(word.span, format!("`counter`: expected 2 arguments, got {}", args.len())),
    }
}

/// Takes the counters out of an expression: what each counts stays in its place. One that is not evaluated for each row
/// is an error.
fn take_counters(expr: &mut lang::Expr, found: &mut Vec<(String, lang::Expr)>) -> Fallible<()> {
    if !expr.calls(COUNTER) {
        return Ok(());
    }
    if let Some(call) = expr.whole_call(COUNTER) {
        let (label, counted) = counter(call)?;
        let mut counted = counted.clone();
        take_counters(&mut counted, found)?;
        found.push((label, counted.clone()));
        *expr = counted;
        return Ok(());
    }
    let (always, sometimes) = expr.parts_by_need();
    if let Some((what, place)) = sometimes.into_iter().find_map(|(what, part)| Some((what, part.call_of(COUNTER)?))) {
        let message = format!("`counter` must be evaluated for every row, and `{what}` may skip it");
        return Err(Diagnostic::at(Kind::Syntax, place, message)
            .hint("count in a stage of its own: | derive n = counter(\"label\", …)"));
    }
    always.into_iter().try_for_each(|part| take_counters(part, found))
}

fn direction_word(direction: lang::Direction) -> &'static str {
    match direction {
        lang::Direction::Ascending => "asc",
        lang::Direction::Descending => "desc",
    }
}

/// The steps of a plan and of the plans inside it.
fn steps(plan: &Plan) -> usize {
    plan.with_inner().into_iter().map(|plan| plan.steps.len()).sum()
}

/// The value and type of an expression that has no row.
pub fn constant(scope: &dyn Scope, expr: &lang::Expr) -> Fallible<(Value, Type)> {
    let (evaluator, ty) = ready(scope, expr)?;
    Ok((evaluator(None, None)?.0, ty))
}

/// An expression that has no row, typed and ready to be evaluated any number of times.
pub fn ready(scope: &dyn Scope, expr: &lang::Expr) -> Fallible<(Evaluator, Type)> {
    let (mut functions, mut warnings): (Vec<Function>, Vec<Diagnostic>) = (Vec::new(), Vec::new());
    let typed = Typer::new(scope, None, &mut functions, &mut warnings).expr(expr)?;
    Ok((scope.evaluator(&functions, &typed)?, typed.ty))
}

/// The int that an expression without a row gives.
pub fn int(scope: &dyn Scope, expr: &lang::Expr, what: &str) -> Fallible<i64> {
    match constant(scope, expr)? {
        (Value::Int(i), _) => Ok(i),
        (value, ty) => {
            let found = if value.is_null() { Type::Open } else { ty };
            Err(Diagnostic::at(Kind::Type, expr.span, format!("{what} must be an int, got {found}")))
        }
    }
}

/// A number of rows: an int that is not negative.
pub fn whole(scope: &dyn Scope, expr: &lang::Expr, what: &str) -> Fallible<u64> {
    let number = int(scope, expr, what)?;
    u64::try_from(number)
        .map_err(|_| Diagnostic::at(Kind::Type, expr.span, format!("{what} cannot be negative, got {number}")))
}

/// The table that flows out of `op` when `input` flows in.
fn output(op: &Op<Plan>, input: &Schema, span: Span) -> Fallible<Schema> {
    let keep = |columns: Vec<Column>| Schema::new(columns, input.order);
    // What had a meaningful order loses it; what depended on chance still does.
    let lost = if input.order == Order::Random { Order::Random } else { Order::Lost };
    let typed = |named: &Named| Column { name: named.name.clone(), ty: named.expr.ty.clone() };
    Ok(match op {
        Op::Project(named) => {
            let columns: Vec<Column> = named.iter().map(typed).collect();
            distinct_names(&columns, span)?;
            keep(columns)
        }
        Op::Explode(named) => {
            let element = |named: &Named| match &named.expr.ty {
                Type::List(of) => Column { name: named.name.clone(), ty: (**of).clone() },
                _ => typed(named),
            };
            let columns: Vec<Column> = named.iter().map(element).collect();
            distinct_names(&columns, span)?;
            keep(columns)
        }
        Op::Filter(_) | Op::Slice { .. } | Op::Reverse | Op::Sample { .. } | Op::Peek { .. } | Op::Tally(_) => {
            input.clone()
        }
        Op::Sort { .. } => {
            let order = if input.order == Order::Random { Order::Random } else { Order::Kept };
            Schema::new(input.columns.clone(), order)
        }
        Op::Number => {
            let mut columns = input.columns.clone();
            columns.push(Column { name: "row".to_string(), ty: Type::Int });
            distinct_names(&columns, span)?;
            keep(columns)
        }
        Op::Distinct(_) => Schema::new(input.columns.clone(), lost),
        Op::Aggregate { keys, aggs } => {
            let aggs = aggs.iter().map(|agg| Column { name: agg.name.clone(), ty: agg.ty.clone() });
            let columns: Vec<Column> = keys.iter().map(typed).chain(aggs).collect();
            distinct_names(&columns, span)?;
            let one = if input.order == Order::Random { Order::Random } else { Order::Kept };
            Schema::new(columns, if keys.is_empty() { one } else { lost })
        }
        Op::Fold { step, each, .. } => {
            let columns = vec![typed(step)];
            let one = if input.order == Order::Random { Order::Random } else { Order::Kept };
            Schema::new(columns, if *each { input.order } else { one })
        }
        Op::Join { right, right_columns, .. } => {
            let mut columns = input.columns.clone();
            for index in right_columns {
                let column = &right.schema().columns[*index];
                let clashes = input.index(&column.name).is_some();
                let name = if clashes { format!("{}_right", column.name) } else { column.name.clone() };
                columns.push(Column { name, ty: column.ty.clone() });
            }
            distinct_names(&columns, span)?;
            let is_random = right.schema().order == Order::Random;
            Schema::new(columns, if is_random { Order::Random } else { lost })
        }
        Op::Concat(plans) => {
            let orders = plans.iter().map(|plan| plan.schema().order);
            Schema::new(input.columns.clone(), orders.fold(input.order, Order::weaker))
        }
        Op::Zip(plans) => {
            let mut columns = input.columns.clone();
            for plan in plans {
                for column in &plan.schema().columns {
                    let clashes = columns.iter().any(|other| other.name == column.name);
                    let name = if clashes { format!("{}_right", column.name) } else { column.name.clone() };
                    columns.push(Column { name, ty: column.ty.clone() });
                }
            }
            distinct_names(&columns, span)?;
            let orders = plans.iter().map(|plan| plan.schema().order);
            Schema::new(columns, orders.fold(input.order, Order::weaker))
        }
        Op::Pairs => {
            let ty = &input.columns[0].ty;
            let column = |name: &str| Column { name: name.to_string(), ty: ty.clone() };
            keep(vec![column("a"), column("b")])
        }
    })
}

fn distinct_names(columns: &[Column], span: Span) -> Fallible<()> {
    let mut seen = HashMap::new();
    for column in columns {
        if seen.insert(&column.name, ()).is_some() {
            let message = format!("two columns are called `{}`", column.name);
            let hint = match &column.name[..] {
                "row" => "there already is a column `row`: | rename row as …",
                _ => "rename one: name = …",
            };
            return Err(Diagnostic::at(Kind::Name, span, message).hint(hint));
        }
    }
    Ok(())
}
