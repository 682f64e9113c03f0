//! What the functions of each plan take and give, as far as it is known.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::plan::{Function, Node, Prepared};

use super::exprs::{Signature, Signatures};
use super::names::{identifier, unique};
use super::shape::ValueLayout;

/// The functions of each plan, by the plan's place.
pub type All = HashMap<*const Prepared, Rc<Signatures>>;

/// The functions of one plan.
pub fn of<'a>(all: &'a All, plan: &Prepared) -> &'a Rc<Signatures> {
    all.get(&std::ptr::from_ref(plan)).expect("every plan was added before it is written")
}

/// All functions as if nothing were ever null in them.
pub fn of_plans(plans: &[&Prepared]) -> All {
    let mut names: Vec<String> = Vec::new();
    let mut all = HashMap::new();
    for plan in plans {
        let each = plan.functions.iter().map(|function| {
            let name = unique(&identifier(&function.name), |name| !names.iter().any(|other| other == name));
            names.push(name.clone());
            let parameters = function.parameters.iter().map(|(_, ty)| ValueLayout::of_values([], ty)).collect();
            Signature { name, parameters, result: ValueLayout::of_values([], &function.result) }
        });
        let signatures = Signatures { all: RefCell::new(each.collect()), deep: calls_itself(&plan.functions) };
        all.insert(std::ptr::from_ref(*plan), Rc::new(signatures));
    }
    all
}

/// Whether one of the functions calls itself: nothing else nests without a limit.
fn calls_itself(functions: &[Function]) -> bool {
    functions.iter().enumerate().any(|(own, function)| {
        let mut found = false;
        function.body.walk(&mut |expr| found |= matches!(expr.node, Node::Apply(index, _) if index == own));
        found
    })
}
