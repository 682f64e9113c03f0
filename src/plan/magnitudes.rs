//! How large what was summed is: a sum of values that cancel is exact only to a share of that.

use crate::data::{Column, Type};
use crate::functions::Func;

use super::{Agg, AggFunc, Expr, Named, Node, Op, Plan, Step};

/// A plan that also gives the magnitudes of some columns.
pub struct Magnitudes {
    /// The columns of the first plan, then the magnitudes.
    pub plan: Plan,
    /// For each column of the first plan, where its magnitude is.
    pub places: Vec<Option<usize>>,
}

/// For each float column of the result that is an unchanged `sum` or `mean`, the same aggregate of the magnitudes of
/// its values, in columns after those of the plan; none where there is no such column, or it cannot be followed. Rows
/// are not shown by a `peek`, and not kept by a `persist`.
pub fn magnitudes(plan: &Plan) -> Option<Magnitudes> {
    let mut steps: Vec<Step> = Vec::new();
    let mut flow = Flow { width: 0, places: Vec::new() };
    for step in &plan.steps {
        let mut step = step.clone();
        match &mut step.op {
            Op::Peek { .. } => continue,
            Op::Persist(_) if flow.is_wider() => continue,
            Op::Project(named) => flow = flow.projected(named),
            Op::Aggregate { keys, aggs } => flow = Flow::aggregated(keys.len(), aggs),
            Op::Filter(_)
            | Op::Slice { .. }
            | Op::Sort { .. }
            | Op::Reverse
            | Op::Sample { .. }
            | Op::Distinct(Some(_)) => {}
            Op::Source(_)
            | Op::Explode(_)
            | Op::Number
            | Op::Distinct(None)
            | Op::Fold { .. }
            | Op::Join { .. }
            | Op::Concat(_)
            | Op::Zip(_)
            | Op::Pairs
            | Op::Persist(_)
            | Op::Write(_)
            | Op::Tee(_) => {
                if let Some(last) = steps.last().filter(|_| flow.is_wider()) {
                    steps.push(narrowed(last, flow.width));
                }
                flow = Flow { width: step.schema.columns.len(), places: vec![None; step.schema.columns.len()] };
            }
        }
        let more = flow.places.iter().flatten().map(|place| Column { name: name(*place), ty: Type::Float });
        step.schema.columns.extend(more);
        steps.push(step);
    }
    let plan = Plan { steps, ..plan.clone() };
    flow.is_wider().then_some(Magnitudes { plan, places: flow.places })
}

/// The table that flows: its own columns, and where the magnitudes of these are, which stand after them.
struct Flow {
    width: usize,
    places: Vec<Option<usize>>,
}

impl Flow {
    fn is_wider(&self) -> bool {
        self.places.iter().any(Option::is_some)
    }

    /// Takes the magnitudes of columns that stay as they are along.
    fn projected(&self, named: &mut Vec<Named>) -> Flow {
        let width = named.len();
        let mut places = vec![None; width];
        for (i, place) in places.iter_mut().enumerate() {
            let Node::Column(from) = named[i].expr.node else { continue };
            if let Some(magnitude) = self.places.get(from).copied().flatten() {
                *place = Some(named.len());
                let expr = Expr::new(Node::Column(magnitude), Type::Float, named[i].expr.span);
                named.push(Named { name: name(named.len()), expr });
            }
        }
        Flow { width, places }
    }

    /// Adds the magnitudes of sums and means of floats.
    fn aggregated(keys: usize, aggs: &mut Vec<Agg>) -> Flow {
        let width = keys + aggs.len();
        let mut places = vec![None; width];
        for i in 0..aggs.len() {
            let Agg { func, arg, ty, .. } = aggs[i].clone();
            let (AggFunc::Sum | AggFunc::Mean, Some(arg)) = (&func, arg) else { continue };
            if arg.ty != Type::Float {
                continue;
            }
            let span = arg.span;
            let arg = Expr::new(Node::Call(Func::AbsFloat, vec![arg]), Type::Float, span);
            let place = keys + aggs.len();
            places[keys + i] = Some(place);
            aggs.push(Agg { name: name(place), func, arg: Some(arg), ty });
        }
        Flow { width, places }
    }
}

/// The name of the magnitudes at this place, which no column of a user has: its names have no such character.
fn name(place: usize) -> String {
    format!("\u{1}{place}")
}

/// A step that leaves only the first columns of what the last one gives.
fn narrowed(last: &Step, width: usize) -> Step {
    let mut schema = last.schema.clone();
    schema.columns.truncate(width);
    let named = schema.columns.iter().enumerate().map(|(i, column)| Named {
        name: column.name.clone(),
        expr: Expr::new(Node::Column(i), column.ty.clone(), last.span),
    });
    Step { op: Op::Project(named.collect()), schema: schema.clone(), span: last.span }
}
