//! A person's own two functions: pairs of each row, and one value for all values of a key.

use crate::data::{Type, Value};
use crate::diagnostic::{Diagnostic, Fallible, Kind, Span};
use crate::functions::Func;
use crate::lang::{self, Arg, ArgumentSyntax, Code, Operator, StageCode, StageSyntax};
use crate::plan::{Agg, AggFunc, Builder, Expr, Named, Node, Op, Plan};

use super::{Stage, agg, reduce};

mod code;

pub static MAPREDUCE: Stage = Stage {
    syntax: StageSyntax {
        name: "mapreduce",
        usage: "mapreduce map = (KEY, VALUE) into NAME, NAME reduce = e [combine = e]",
        shape: ArgumentSyntax::MapReduce,
        options: &[],
    },
    about: "makes pairs of key and value from each row, and one value from all values of a key\n\n\
            Expressions\n  \
            map      a key and a value. A list of keys gives a pair for each; the value is one for all of them, or\n  \
            \x20        a list of as many\n  \
            reduce   `acc` and `it` are two values of one key, and must be associative: then they are combined in\n  \
            \x20        each task. Or the two names: the key, and the list of its values in input order\n  \
            combine  one value of several, where reduce uses the names: `acc` and `it`, or the names again. It must\n  \
            \x20        be associative too\n\n\
            Rust\n  \
            map = rust { |line| … } takes the columns in order (text as &str) and returns a Vec of pairs;\n  \
            reduce = rust { |a, b| … } makes one value of two, and must be associative: it is tried on values of\n  \
            each key. A row with null in a column has no pairs\n\n\
            Commands\n  \
            map = command \"…\" gets a row on each line of standard input, with tabs between columns, and prints a\n  \
            pair on each line: key TAB value. reduce = command \"…\" gets such lines sorted by key. \\t, \\n and\n  \
            \\\\ stand for a tab, a line break and a backslash. A command runs for each 16384 rows, or keys, and\n  \
            must end with status 0\n\n\
            Types\n  \
            into word, n: int: needed after Rust and commands for what is not text",
    examples: &[
        (
            r#"["to be", "or not to be"] | mapreduce map = (words(it), 1) into word, n reduce = acc + it
  | sort by word"#,
            "word,n\nbe,2\nnot,1\nor,1\nto,2\n",
        ),
        (
            "1..7 | mapreduce map = (it % 3, it) into rest, most reduce = if acc > it then acc else it | sort by rest",
            "rest,most\n0,6\n1,4\n2,5\n",
        ),
        (
            "1..7 | mapreduce map = (it % 2, it) into odd, span reduce = max(span) - min(span) | sort by odd",
            "odd,span\n0,4\n1,4\n",
        ),
        (
            r#"["to be", "be not"] | enumerate | mapreduce map = (words(it), row) into word, rows reduce = rows
  | sort by word"#,
            "word,rows\nbe,\"[0, 1]\"\nnot,[1]\nto,[0]\n",
        ),
        (
            r#"1..3 | mapreduce map = (["a", "b", "a"], [it, 1, 1]) into k, v reduce = acc + it | sort by k"#,
            "k,v\na,5\nb,2\n",
        ),
        (
            r#"["b a", ""] | mapreduce map = (words(it), 1) into word, n reduce = sum(n) combine = acc + it
  | sort by word"#,
            "word,n\na,1\nb,1\n",
        ),
        (
            "1..7 | mapreduce map = (it % 2, it) into odd, most reduce = max(most) combine = max(most) | sort by odd",
            "odd,most\n0,6\n1,5\n",
        ),
    ],
    privileges,
    bind,
};

fn privileges(stage: &lang::Stage) -> lang::Privileges {
    lang::Privileges::RUNS_CODE.only_if(!stage.code.is_empty())
}

/// What `reduce` does with the values of a key.
enum Reducer<'s> {
    /// Two of them into one, again and again.
    Pairs(&'s Arg),
    /// All of them at once; where they are combined before, those that are left.
    All { reduce: &'s Arg, combine: Option<&'s Arg> },
    /// Rust or a command.
    Code { reduce: &'s StageCode, combine: Option<Combiner<'s>> },
}

enum Combiner<'s> {
    Expr(&'s Arg),
    Code(&'s StageCode),
}

fn bind(builder: &mut Builder, stage: &lang::Stage, _: Vec<Plan>) -> Fallible<()> {
    let [key, value, reduce, rest @ ..] = &stage.args[..] else {
        unreachable!("the parser reads all parts of the stage")
    };
    let reducer = reducer(stage, key, value, reduce, rest.first())?;
    let names = [key, value].map(|arg| arg.name.as_ref().map_or_else(String::new, |name| name.text.clone()));
    let mut has_null = true;
    match code::of(stage, "map") {
        Some(written) => code::map(builder, stage, written, &names)?,
        None => {
            let (key, value) = (builder.named(key)?, builder.named(value)?);
            has_null = !matches!(&value.expr.node, Node::Const(value) if !value.is_null());
            pairs(builder, key, value, stage.span)?;
            code::check_types(builder, stage, &names)?;
        }
    }
    match reducer {
        Reducer::Pairs(step) => {
            let two = two_into_one(builder, step)?;
            reduced(builder, two, has_null, &names, stage.span)
        }
        Reducer::All { reduce, combine: None } => {
            let ty = builder.schema().columns[1].ty.clone();
            let values = builder.column_expr(1, stage.span);
            let list = agg::gathered(&names[1], AggFunc::Collect, values, Type::list(ty));
            by_key(builder, vec![list], stage.span)?;
            of_list(builder, reduce, &names, stage.span)
        }
        Reducer::All { reduce, combine: Some(step) } => {
            combined(builder, step, has_null, &names, stage.span)?;
            let value = builder.column_expr(1, stage.span);
            let ty = Type::list(value.ty.clone());
            let list = Expr::new(Node::List(vec![value]), ty, stage.span);
            project(builder, list, &names, stage.span)?;
            of_list(builder, reduce, &names, stage.span)
        }
        Reducer::Code { reduce, combine } => {
            match combine {
                Some(Combiner::Expr(step)) => combined(builder, step, has_null, &names, stage.span)?,
                Some(Combiner::Code(written)) => code::combine(builder, stage, written, &names)?,
                None => {}
            }
            code::reduce(builder, stage, reduce, &names)
        }
    }
}

/// Which of the two forms was written.
fn reducer<'s>(
    stage: &'s lang::Stage,
    key: &Arg,
    value: &Arg,
    reduce: &'s Arg,
    combine: Option<&'s Arg>,
) -> Fallible<Reducer<'s>> {
    let (reduce_code, combine_code) = (code::of(stage, "reduce"), code::of(stage, "combine"));
    let is_of_two = |arg: &Arg| arg.expr.has_name("acc") || arg.expr.has_name("it");
    let is_of_all = |arg: &Arg| {
        let names = [key, value].into_iter().filter_map(|column| column.name.as_ref());
        names.into_iter().any(|name| arg.expr.has_name(&name.text))
    };
    let wrong =
        |arg: &Arg, message: String, hint: String| Err(Diagnostic::at(Kind::Type, arg.expr.span, message).hint(hint));
    let named = |arg: &Arg| arg.name.as_ref().map_or_else(String::new, |name| name.text.clone());
    for arg in reduce_code.is_none().then_some(reduce).into_iter().chain(combine.filter(|_| combine_code.is_none())) {
        if is_of_two(arg) && is_of_all(arg) {
            let message = format!(
                "`{}` can use `acc` and `it`, or the names `{}` and `{}`, but not both",
                named(arg),
                named(key),
                named(value)
            );
            return wrong(
                arg,
                message,
                "`acc` and `it` are two values of one key; the names are the key and all of its values".to_string(),
            );
        }
    }
    if let (Some(combine), None) = (combine, combine_code)
        && !is_of_two(combine)
        && !is_of_all(combine)
    {
        let message = "`combine` must make one value of several of a key".to_string();
        let hint = format!("combine = acc + it, or of the list of them: combine = sum({})", named(value));
        return wrong(combine, message, hint);
    }
    if let Some(written) = reduce_code {
        let combiner = match (combine, combine_code) {
            (_, Some(written)) => Some(Combiner::Code(written)),
            (step, None) => step.map(Combiner::Expr),
        };
        if let (Code::Rust(_), Some(_), Some(combine)) = (&written.code, &combiner, combine) {
            let message = "a `reduce` of two values is its own combiner".to_string();
            return wrong(combine, message, "leave `combine` out".to_string());
        }
        return Ok(Reducer::Code { reduce: written, combine: combiner });
    }
    if let (Some(written), Some(combine)) = (combine_code, combine) {
        let message = format!("`combine` can be {} where `reduce` is one", code::what(written));
        return wrong(combine, message, "combine = acc + it".to_string());
    }
    match combine {
        Some(combine) if is_of_two(reduce) => {
            let message = "a `reduce` of `acc` and `it` is its own combiner".to_string();
            wrong(combine, message, "leave `combine` out".to_string())
        }
        None if is_of_two(reduce) => Ok(Reducer::Pairs(reduce)),
        combine => Ok(Reducer::All { reduce, combine }),
    }
}

/// Adds the ops that make the pairs: a list of keys gives one for each.
fn pairs(builder: &mut Builder, key: Named, value: Named, span: Span) -> Fallible<()> {
    let is_list = matches!(key.expr.ty, Type::List(_));
    if !is_list {
        return builder.push(Op::Project(vec![key, value]), span);
    }
    // A list that is the same for all rows has a value for each key, too.
    if !matches!(value.expr.node, Node::Const(_)) || matches!(value.expr.ty, Type::List(_)) {
        return builder.push(Op::Explode(vec![key, value]), span);
    }
    // The words of a text alone are the faster case.
    let name = key.name.clone();
    builder.push(Op::Explode(vec![key]), span)?;
    let key = builder.column_expr(0, span);
    builder.push(Op::Project(vec![Named { name, expr: key }, value]), span)
}

/// The expression that makes one value of `acc` and `it`, over a table whose second column has the values.
fn two_into_one(builder: &mut Builder, step: &Arg) -> Fallible<Expr> {
    // `it` is the only column there.
    let only = vec![Named { name: "it".to_string(), expr: builder.column_expr(1, step.expr.span) }];
    builder.push(Op::Project(only), step.expr.span)?;
    let typed = reduce::associative_step(builder, 0, &step.expr, step.expr.span);
    builder.plan.steps.pop();
    typed
}

/// Adds the ops that combine the values of a key: by an expression of two of them, or of the list of several.
fn combined(builder: &mut Builder, step: &Arg, has_null: bool, names: &[String; 2], span: Span) -> Fallible<()> {
    if !names.iter().any(|name| step.expr.has_name(name)) {
        let two = two_into_one(builder, step)?;
        return reduced(builder, two, has_null, names, span);
    }
    let ty = builder.schema().columns[1].ty.closed();
    let value = builder.column_expr(1, span).widened(&ty);
    project(builder, Expr::new(Node::List(vec![value]), Type::list(ty.clone()), span), names, span)?;
    let typed = builder.expr(&step.expr);
    builder.plan.steps.pop();
    let several = typed?;
    if several.columns().contains(&0) {
        return code::combine_by_key(builder, &step.expr, &ty, names, span);
    }
    let two = reduce::of_two_values("combine", builder, of_two(several, &ty), &ty, step.expr.span)?;
    reduced(builder, two, has_null, names, span)
}

/// An expression over the list of the values of a key, for the list of two of them.
fn of_two(mut several: Expr, ty: &Type) -> Expr {
    let done: Result<(), ()> = several.rewrite(&mut |part| {
        if let Node::Column(_) = part.node {
            let [acc, it] = [Node::Acc, Node::Column(0)].map(|node| Expr::new(node, ty.clone(), part.span));
            part.node = Node::List(vec![acc, it]);
        }
        Ok(())
    });
    done.expect("nothing in it can fail");
    several
}

/// Adds the ops that make one value of all values of a key by `two`.
fn reduced(builder: &mut Builder, two: Expr, has_null: bool, names: &[String; 2], span: Span) -> Fallible<()> {
    let values = builder.column_expr(1, span).widened(&two.ty);
    let ty = two.ty.clone();
    if !(ty.is_number() && is_sum(&two)) {
        let reduce = agg::gathered(&names[1], AggFunc::Reduce(Box::new(two)), values, ty);
        return by_key(builder, vec![reduce], span);
    }
    // All engines know how to sum. But the sum of no values is 0, and a reduce of none is null.
    let sum = agg::gathered(&names[1], AggFunc::Sum, values.clone(), ty.clone());
    if !has_null {
        return by_key(builder, vec![sum], span);
    }
    let count = agg::gathered(&format!("{} of them", names[1]), AggFunc::Count, values, Type::Int);
    by_key(builder, vec![sum, count], span)?;
    let none = Node::Compare(
        Box::new(builder.column_expr(2, span)),
        lang::Comparison::Equal,
        Box::new(Expr::constant(Value::Int(0), Type::Int)),
    );
    let null = Expr::constant(Value::Null, ty.clone());
    let arms = vec![(Expr::new(none, Type::Bool, span), null)];
    let value = Expr::new(Node::If(arms, Box::new(builder.column_expr(1, span))), ty, span);
    project(builder, value, names, span)
}

/// Whether it is `acc + it`, `it + acc`, or the sum of a list of the two.
fn is_sum(two: &Expr) -> bool {
    let (a, b) = match &two.node {
        Node::Chain(first, links) => match &links[..] {
            [link] if link.operator == Operator::Add => (&**first, &link.operand),
            _ => return false,
        },
        Node::Call(Func::SumInts | Func::SumFloats, args) => match &args[..] {
            [Expr { node: Node::List(items), .. }] => match &items[..] {
                [a, b] => (a, b),
                _ => return false,
            },
            _ => return false,
        },
        _ => return false,
    };
    matches!((&a.node, &b.node), (Node::Acc, Node::Column(_)) | (Node::Column(_), Node::Acc))
}

/// Adds the op that computes these of the rows of each key, which is the first column.
fn by_key(builder: &mut Builder, aggs: Vec<Agg>, span: Span) -> Fallible<()> {
    let name = builder.schema().columns[0].name.clone();
    let key = Named { name, expr: builder.column_expr(0, span) };
    builder.aggregate(vec![key], aggs, span)
}

/// Adds the op that makes one value of the list of them.
fn of_list(builder: &mut Builder, reduce: &Arg, names: &[String; 2], span: Span) -> Fallible<()> {
    let value = builder.expr(&reduce.expr)?;
    project(builder, value, names, span)
}

fn project(builder: &mut Builder, value: Expr, names: &[String; 2], span: Span) -> Fallible<()> {
    let key = Named { name: names[0].clone(), expr: builder.column_expr(0, span) };
    builder.push(Op::Project(vec![key, Named { name: names[1].clone(), expr: value }]), span)
}
