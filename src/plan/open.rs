//! Columns of files that have no value in the sample. Where an expression takes one for a number or a bool, it stays
//! open and holds nothing but nulls; else it is text, which holds everything.

use crate::data::Type;

use super::{Basis, BoundOp, Field, Node, Plan, Source};

/// Settles what the open columns of files are in this plan.
pub fn close_files(plan: &mut Plan) {
    if has_open_file(plan) {
        let is_text = !takes_open(plan);
        settle(plan, is_text);
    }
}

fn has_open_file(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| match &step.op {
        BoundOp::Source(Source::Read(read)) => read.wanted.iter().any(|index| is_open(&read.fields[*index])),
        op => op.plans().into_iter().any(has_open_file),
    })
}

fn is_open(field: &Field) -> bool {
    field.ty == Type::Open && field.basis != Basis::Nothing
}

/// Whether an expression takes an open value for one that is not text.
fn takes_open(plan: &Plan) -> bool {
    let mut takes = false;
    let mut look = |expr: &super::Expr| {
        expr.walk(&mut |part| {
            if let Node::Widen(inner) = &part.node {
                takes |= inner.ty.is_open() && inner.ty.closed() != part.ty.closed();
            }
        });
    };
    plan.functions.iter().for_each(|function| look(&function.body));
    for step in &plan.steps {
        step.op.exprs().into_iter().for_each(&mut look);
    }
    takes || plan.steps.iter().flat_map(|step| step.op.plans()).any(takes_open)
}

fn settle(plan: &mut Plan, is_text: bool) {
    for step in &mut plan.steps {
        if let BoundOp::Source(Source::Read(read)) = &mut step.op {
            for field in read.fields.iter_mut().filter(|field| is_open(field)) {
                match is_text {
                    true => field.ty = Type::Text,
                    false => field.basis = Basis::Nothing,
                }
            }
            for column in step.schema.columns.iter_mut().filter(|column| is_text && column.ty == Type::Open) {
                column.ty = Type::Text;
            }
        }
        step.op.plans_mut().into_iter().for_each(|plan| settle(plan, is_text));
    }
}
