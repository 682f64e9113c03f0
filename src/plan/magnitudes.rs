//! How large what was summed is: a sum of values that cancel is exact only to a share of that.

use crate::data::{Column, Schema, Type, Value};
use crate::diagnostic::Span;
use crate::functions::Func;

use super::{Agg, AggFunc, Expr, Named, Node, Op, Prepared, Step};

/// A plan that also gives the magnitudes of some columns.
pub struct Magnitudes {
    /// The columns of the first plan, then the magnitudes.
    pub plan: Prepared,
    /// For each column of the first plan, where its magnitude is.
    pub places: Vec<Option<usize>>,
}

/// For each float column of the result that is an unchanged `sum` or `mean`, the same aggregate of the magnitudes of
/// its values, in columns after those of the plan; none where there is no such column, or it cannot be followed. Rows
/// are not shown by a `peek`.
pub fn magnitudes(plan: &Prepared) -> Option<Magnitudes> {
    let mut steps: Vec<Step> = Vec::new();
    let mut flow = Flow::after(&vec![false; plan.source.schema.columns.len()]);
    for step in &plan.steps {
        let mut step = step.clone();
        // What the step gives, where the magnitudes do not stand at its end.
        let mut given = None;
        match &mut step.op {
            Op::Peek { .. } | Op::Tally(_) => continue,
            Op::Project(named) => flow = flow.projected(named),
            Op::Aggregate { keys, aggs } => flow = Flow::aggregated(keys.len(), aggs),
            // The rows are the same by the columns of the plan alone.
            Op::Distinct(by @ None) if flow.is_wider() => {
                let own = step.schema.columns.iter().enumerate();
                *by = Some(own.map(|(i, column)| Expr::new(Node::Column(i), column.ty.clone(), step.span)).collect());
            }
            Op::Filter(_) | Op::Slice { .. } | Op::Sort { .. } | Op::Reverse | Op::Sample { .. } | Op::Distinct(_) => {}
            Op::Number => {
                let mut parts = flow.parts();
                parts.push((Part::Own, step.schema.columns.len() - 1));
                given = Some(parts);
            }
            Op::Join { right, right_columns, .. } => {
                let mut parts = flow.parts();
                let (wide, right_flow) = widened(right);
                **right = wide;
                for i in 0..right_columns.len() {
                    parts.push((Part::Own, flow.width + i));
                }
                for i in 0..right_columns.len() {
                    if let Some(magnitude) = right_flow.places[right_columns[i]] {
                        right_columns.push(magnitude);
                        parts.push((Part::Magnitude, flow.width + i));
                    }
                }
                given = Some(parts);
            }
            Op::Zip(plans) => {
                let mut parts = flow.parts();
                let mut width = flow.width;
                for plan in plans {
                    let (wide, part) = widened(plan);
                    *plan = wide;
                    parts.extend(part.parts().into_iter().map(|(what, column)| (what, width + column)));
                    width += part.width;
                }
                given = Some(parts);
            }
            Op::Concat(plans) => {
                let mut wide: Vec<(Prepared, Flow)> = plans.iter().map(widened).collect();
                let known: Vec<bool> = (0..flow.width)
                    .map(|i| flow.places[i].is_some() || wide.iter().any(|(_, part)| part.places[i].is_some()))
                    .collect();
                steps.push(flow.leveled(
                    steps.last().map_or(&plan.source.schema, |last| &last.schema),
                    step.span,
                    &known,
                ));
                for (plan, part) in &mut wide {
                    plan.steps.push(part.leveled(plan.schema(), plan.span(), &known));
                }
                *plans = wide.into_iter().map(|(plan, _)| plan).collect();
                flow = Flow::after(&known);
            }
            Op::Explode(_) | Op::Fold { .. } | Op::Pairs => {
                if let Some(last) = steps.last().filter(|_| flow.is_wider()) {
                    steps.push(flow.leveled(&last.schema, last.span, &vec![false; flow.width]));
                }
                flow = Flow::after(&vec![false; step.schema.columns.len()]);
            }
        }
        match given {
            Some(parts) if parts.iter().any(|(what, _)| *what == Part::Magnitude) => {
                let (span, own) = (step.span, step.schema.clone());
                step.schema.columns = parts
                    .iter()
                    .enumerate()
                    .map(|(i, (what, column))| match what {
                        Part::Own => own.columns[*column].clone(),
                        Part::Magnitude => Column { name: name(i), ty: Type::Float },
                    })
                    .collect();
                steps.push(step);
                let (op, in_order) = in_order(&own, &parts, span);
                flow = in_order;
                let schema = widened_schema(own, &flow);
                steps.push(Step { op, schema, span });
            }
            Some(parts) => {
                flow = Flow::after(&vec![false; parts.len()]);
                steps.push(step);
            }
            None => {
                step.schema = widened_schema(step.schema, &flow);
                steps.push(step);
            }
        }
    }
    let plan = Prepared { steps, ..plan.clone() };
    flow.is_wider().then_some(Magnitudes { plan, places: flow.places })
}

/// A plan with its magnitudes, or as it is where there are none.
fn widened(plan: &Prepared) -> (Prepared, Flow) {
    let width = plan.schema().columns.len();
    match magnitudes(plan) {
        Some(Magnitudes { plan, places }) => (plan, Flow { width, places }),
        None => (plan.clone(), Flow::after(&vec![false; width])),
    }
}

/// A column of the plan, or the magnitude of one.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Own,
    Magnitude,
}

/// Puts the columns of the plan first, and the magnitudes after them. `own` has the columns of the plan; each part
/// says of which of these it is.
fn in_order(own: &Schema, parts: &[(Part, usize)], span: Span) -> (Op, Flow) {
    let width = own.columns.len();
    let mut named: Vec<Named> = Vec::new();
    for (i, column) in own.columns.iter().enumerate() {
        let from = parts.iter().position(|part| *part == (Part::Own, i)).expect("each column is there");
        named.push(Named { name: column.name.clone(), expr: Expr::new(Node::Column(from), column.ty.clone(), span) });
    }
    let mut places = vec![None; width];
    for (from, (_, column)) in parts.iter().enumerate().filter(|(_, (what, _))| *what == Part::Magnitude) {
        places[*column] = Some(named.len());
        let expr = Expr::new(Node::Column(from), Type::Float, span);
        named.push(Named { name: name(named.len()), expr });
    }
    (Op::Project(named), Flow { width, places })
}

/// The columns of the plan, then the magnitudes.
fn widened_schema(mut own: Schema, flow: &Flow) -> Schema {
    let magnitudes = flow.places.iter().flatten().map(|place| Column { name: name(*place), ty: Type::Float });
    own.columns.extend(magnitudes);
    own
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

    /// That of columns of which some have a magnitude, in order.
    fn after(known: &[bool]) -> Flow {
        let mut next = known.len();
        let mut place = |known: &bool| {
            next += usize::from(*known);
            known.then(|| next - 1)
        };
        Flow { width: known.len(), places: known.iter().map(&mut place).collect() }
    }

    /// What stands in each column, and of which column it is.
    fn parts(&self) -> Vec<(Part, usize)> {
        let mut parts: Vec<(Part, usize)> = (0..self.width).map(|i| (Part::Own, i)).collect();
        let mut magnitudes: Vec<(usize, usize)> =
            self.places.iter().enumerate().filter_map(|(i, place)| Some(((*place)?, i))).collect();
        magnitudes.sort_unstable();
        parts.extend(magnitudes.into_iter().map(|(_, i)| (Part::Magnitude, i)));
        parts
    }

    /// A step after one of the columns `last`. It leaves the magnitudes of the columns that are `known`, in order:
    /// where there is none, nothing was summed.
    fn leveled(&self, last: &Schema, span: Span, known: &[bool]) -> Step {
        let mut own = last.clone();
        own.columns.truncate(self.width);
        let column = |from: usize, ty: &Type| Expr::new(Node::Column(from), ty.clone(), span);
        let mut named: Vec<Named> = Vec::new();
        for (i, own) in own.columns.iter().enumerate() {
            named.push(Named { name: own.name.clone(), expr: column(i, &own.ty) });
        }
        for i in (0..self.width).filter(|i| known[*i]) {
            let expr = match self.places[i] {
                Some(place) => column(place, &Type::Float),
                None => Expr::constant(Value::Float(0.0), Type::Float),
            };
            named.push(Named { name: name(named.len()), expr });
        }
        let schema = widened_schema(own, &Flow::after(known));
        Step { op: Op::Project(named), schema, span }
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
