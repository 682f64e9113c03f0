//! `agg`, and its short forms.

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span, listed};
use crate::lang::{self, Arg, ArgumentSyntax, By, Node, StageSyntax};
use crate::plan::{self, Agg, AggFunc, Builder, Expr, Named, Plan, aggregates};

use super::Stage;

/// The names of the aggregates that engines know by themselves; the others are in [`aggregates::ALL`].
const OWN_NAMES: [&str; 11] =
    ["count", "sum", "mean", "min", "max", "median", "quantile", "std", "first", "last", "n_distinct"];

/// The names of all aggregates.
pub fn names() -> Vec<&'static str> {
    OWN_NAMES.into_iter().chain(aggregates::ALL.iter().map(|aggregate| aggregate.name)).collect()
}

pub fn is_aggregate(name: &str) -> bool {
    OWN_NAMES.contains(&name) || aggregates::find(name).is_some()
}

pub static AGG: Stage = Stage {
    syntax: StageSyntax {
        name: "agg",
        usage: "agg [name =] f(e), … [by [name =] e, …]",
        shape: ArgumentSyntax::Args { least: 1, most: usize::MAX, named: true, directed: false, by: By::Optional },
        options: &[],
    },
    about: "computes aggregates of all rows, or of each group: count sum mean min max median quantile std first last \
            n_distinct iqr",
    examples: &[
        ("1..6 | agg n = count(), mean(it), top = max(it)", "n,mean,top\n5,3.0,5\n"),
        ("1..6 | agg sum(it) by odd = it % 2 == 1 | sort by odd", "odd,sum\nfalse,6\ntrue,9\n"),
        ("[1, 2, null] | agg a = count(), b = count(it), c = n_distinct(it)", "a,b,c\n3,2,2\n"),
        (
            "[1, 2, 3, 4] | agg median(it), q = quantile(it, 0.25), std(it)",
            "median,q,std\n2.5,1.75,1.2909944487358056\n",
        ),
        ("[4, 5] | agg first(it), last(it), min(it)", "first,last,min\n4,5,4\n"),
        ("1..10 | agg iqr(it)", "iqr\n4.0\n"),
    ],
    privileges: lang::Privileges::none,
    bind: agg,
};

fn agg(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let keys = builder.keys(&stage.by)?;
    let mut aggs = Vec::new();
    for arg in &stage.args {
        aggs.push((aggregate(builder, arg)?, arg.name.is_some()));
    }
    finish(builder, keys, aggs, stage.span)
}

/// Settles the names and adds the op: unnamed aggregates that clash take their column's name too.
fn finish(builder: &mut Builder, keys: Vec<Named>, aggs: Vec<(Agg, bool)>, span: Span) -> Fallible<()> {
    let taken: Vec<String> =
        keys.iter().map(|key| key.name.clone()).chain(aggs.iter().map(|(agg, _)| agg.name.clone())).collect();
    let clashes = |name: &str| taken.iter().filter(|other| *other == name).count() > 1;
    let settle = |(mut agg, named): (Agg, bool)| {
        if let (false, true, Some(arg)) = (named, clashes(&agg.name), &agg.arg) {
            agg.name = format!("{}_{}", agg.name, builder.natural_name(arg));
        }
        agg
    };
    let aggs = aggs.into_iter().map(settle).collect();
    builder.aggregate(keys, aggs, span)
}

/// One aggregate as written: the outermost call.
fn aggregate(builder: &mut Builder, arg: &Arg) -> Fallible<Agg> {
    let span = arg.expr.span;
    let aggregate = match &arg.expr.node {
        Node::Call(word, args) if is_aggregate(&word.text) => Some((word, args)),
        _ => None,
    };
    let Some((word, args)) = aggregate else {
        let message = "`agg` expects an aggregate as the outermost call";
        let error = Diagnostic::at(Kind::Type, span, message);
        return Err(match &arg.expr.node {
            Node::Call(word, _) => {
                let near = crate::diagnostic::nearest(&word.text, names());
                let all = || format!("aggregates are {}", listed(&names()));
                error.hint(near.map_or_else(all, |near| format!("did you mean `{near}`?")))
            }
            _ => {
                error.hint(format!("aggregates are {}; compute with the result in a `map` after it", listed(&names())))
            }
        });
    };
    let takes: std::ops::RangeInclusive<usize> = match word.text.as_str() {
        "count" => 0..=1,
        "quantile" => 2..=2,
        _ => 1..=1,
    };
    if !takes.contains(&args.len()) {
        let wanted = ["", "at most one argument", "two arguments"][*takes.end()];
        let message = format!("`{}`: expected {wanted}, got {}", word.text, args.len());
        let hint = if word.text == "quantile" { "quantile(x, 0.9)" } else { "for example: mean(x)" };
        return Err(Diagnostic::at(Kind::Type, span, message).hint(hint));
    }
    let q = match args.get(1) {
        None => 0.5,
        Some(q) => match builder.value(q)? {
            (Value::Float(q), _) if (0.0..=1.0).contains(&q) => q,
            (Value::Int(q @ 0..=1), _) => q as f64,
            (value, _) => {
                return Err(Diagnostic::at(
                    Kind::Type,
                    q.span,
                    format!("a quantile must be between 0 and 1, got {value}"),
                ));
            }
        },
    };
    let value = args.first().map(|value| builder.expr(value)).transpose()?;
    let mut agg = resolve(&word.text, value, q, span)?;
    if let Some(name) = &arg.name {
        agg.name = name.text.clone();
    }
    Ok(agg)
}

/// The aggregate of that name over `value`, called by its own name.
fn resolve(name: &str, value: Option<Expr>, q: f64, span: Span) -> Fallible<Agg> {
    let Some(value) = value else {
        return Ok(Agg { name: name.to_string(), func: AggFunc::Rows, arg: None, ty: Type::Int });
    };
    let function = aggregates::find(name);
    let numeric = matches!(name, "sum" | "mean" | "median" | "quantile" | "std") || function.is_some();
    if numeric && !matches!(value.ty, Type::Int | Type::Float | Type::Open) {
        let message = format!("`{name}` needs numbers, got {}", value.ty);
        let error = Diagnostic::at(Kind::Type, if value.span == Span::default() { span } else { value.span }, message);
        return Err(if value.ty == Type::Text { error.hint("float(x) converts to a number") } else { error });
    }
    let value = if numeric && value.ty == Type::Open { value.widened(&Type::Int) } else { value };
    let own = value.ty.clone();
    let (func, ty) = match name {
        "count" => (AggFunc::Count, Type::Int),
        "sum" => (AggFunc::Sum, own),
        "mean" => (AggFunc::Mean, Type::Float),
        "min" => (AggFunc::Min, own),
        "max" => (AggFunc::Max, own),
        "median" => (AggFunc::Median, Type::Float),
        "quantile" => (AggFunc::Quantile(q), Type::Float),
        "std" => (AggFunc::Std, Type::Float),
        "first" => (AggFunc::First, own),
        "last" => (AggFunc::Last, own),
        _ => match function {
            Some(function) => (AggFunc::NumbersToFloat(function), Type::Float),
            None => (AggFunc::Distinct, Type::Int),
        },
    };
    let floats = matches!(func, AggFunc::Median | AggFunc::Quantile(_) | AggFunc::NumbersToFloat(_));
    let arg = if floats { value.widened(&Type::Float) } else { value };
    Ok(Agg { name: name.to_string(), func, arg: Some(arg), ty })
}

const SHORT: ArgumentSyntax =
    ArgumentSyntax::Args { least: 0, most: 1, named: false, directed: false, by: By::Optional };

macro_rules! short {
    ($name:ident, $word:literal, $about:literal, $usage:literal, $examples:expr) => {
        pub static $name: Stage = Stage {
            syntax: StageSyntax { name: $word, usage: $usage, shape: SHORT, options: &[] },
            about: $about,
            examples: $examples,
            privileges: lang::Privileges::none,
            bind: |builder, stage, _| short(builder, stage),
        };
    };
}

short!(
    COUNT,
    "count",
    "counts the rows, in all or per key",
    "count [e] [by [name =] e, …]",
    &[
        ("1..6 | count", "count\n5\n"),
        (r#"["a", "b", "a"] | count by it | sort by it"#, "it,count\na,2\nb,1\n"),
        ("[1, null] | count it", "count\n1\n"),
    ]
);
short!(
    SUM,
    "sum",
    "returns the sum of a column, in all or per key",
    "sum [e] [by [name =] e, …]",
    &[
        ("1..101 | sum", "sum\n5050\n"),
        ("1..6 | sum it * it by even = it % 2 == 0 | sort by even", "even,sum\nfalse,35\ntrue,20\n"),
    ]
);
short!(
    MEAN,
    "mean",
    "returns the mean of a column, in all or per key",
    "mean [e] [by [name =] e, …]",
    &[("1..4 | mean", "mean\n2.0\n")]
);
short!(
    MIN,
    "min",
    "returns the smallest value of a column, in all or per key",
    "min [e] [by [name =] e, …]",
    &[(r#"["b", "a"] | min"#, "min\na\n"),]
);
short!(
    MAX,
    "max",
    "returns the largest value of a column, in all or per key",
    "max [e] [by [name =] e, …]",
    &[("[2, 3, null] | max", "max\n3\n"),]
);
short!(
    MEDIAN,
    "median",
    "returns the median of a column, in all or per key",
    "median [e] [by [name =] e, …]",
    &[("[1, 2, 10] | median", "median\n2.0\n"),]
);

fn short(builder: &mut Builder, stage: &lang::Stage) -> Fallible<()> {
    let name = stage.name.text.as_str();
    let keys = builder.keys(&stage.by)?;
    let value = match stage.args.first() {
        Some(arg) => Some(builder.expr(&arg.expr)?),
        None if name == "count" => None,
        None => Some(only_column(builder, name, &keys, stage.span)?),
    };
    let agg = resolve(name, value, 0.5, stage.span)?;
    finish(builder, keys, vec![(agg, false)], stage.span)
}

/// The only column that is no key, else the only numeric one of those.
fn only_column(builder: &Builder, name: &str, keys: &[Named], span: Span) -> Fallible<Expr> {
    let used: Vec<usize> = keys.iter().flat_map(|key| key.expr.columns()).collect();
    let free: Vec<usize> = (0..builder.schema().columns.len()).filter(|index| !used.contains(index)).collect();
    let columns = &builder.schema().columns;
    let numeric: Vec<usize> = free.iter().copied().filter(|index| columns[*index].ty.is_number()).collect();
    let all_used = free.is_empty() && columns.len() == 1;
    match (&free[..], &numeric[..]) {
        ([only], _) | (_, [only]) => Ok(builder.column_expr(*only, span)),
        _ if all_used => Ok(builder.column_expr(0, span)),
        _ => Err(Diagnostic::at(
            Kind::Type,
            span,
            format!("`{name}` needs a column name; the input has: {}", builder.schema()),
        )
        .hint(match numeric.first() {
            Some(index) => format!("for example: {name} {}", columns[*index].name),
            None => format!("name the column: {name} x"),
        })),
    }
}

/// An aggregate that is no function of the language.
pub fn gathered(name: &str, func: AggFunc, arg: plan::Expr, ty: Type) -> Agg {
    Agg { name: name.to_string(), func, arg: Some(arg), ty }
}
