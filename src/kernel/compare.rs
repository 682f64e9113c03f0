//! Comparisons of columns: texts by bytes, NaN equal to NaN and above all.

use crate::lang::Comparison;

use super::column::{Column, Data};
use super::loops;
use super::slots::{Nulls, Slots};
use super::texts::Texts;

/// Whether `a sign b` holds, null where one is null.
pub fn compare(a: &Column, sign: Comparison, b: &Column, rows: usize) -> Column {
    let nulls = a.nulls.or(&b.nulls);
    if matches!(nulls, Nulls::All) {
        return Column { data: Data::Bool(Slots::One(false)), nulls };
    }
    let slots = match (&a.data, &b.data) {
        (Data::Int(a), Data::Int(b)) => {
            signed(&a.slots, sign, &b.slots, loops::ints_equal, loops::ints_less, loops::ints_at_most)
        }
        (Data::Float(a), Data::Float(b)) => {
            signed(a, sign, b, loops::floats_equal, loops::floats_less, loops::floats_at_most)
        }
        (Data::Bool(a), Data::Bool(b)) => {
            signed(a, sign, b, loops::bools_equal, loops::bools_less, loops::bools_at_most)
        }
        (Data::Text(a), Data::Text(b)) => texts(a, sign, b, rows),
        _ => unreachable!("the plan's types hold"),
    };
    Column { data: Data::Bool(slots), nulls }
}

type Loop<T> = fn(&Slots<T>, &Slots<T>) -> Slots<bool>;

fn signed<T>(
    a: &Slots<T>,
    sign: Comparison,
    b: &Slots<T>,
    equal: Loop<T>,
    less: Loop<T>,
    at_most: Loop<T>,
) -> Slots<bool> {
    match sign {
        Comparison::Equal => equal(a, b),
        Comparison::NotEqual => loops::not(&equal(a, b)),
        Comparison::Less => less(a, b),
        Comparison::LessEqual => at_most(a, b),
        Comparison::Greater => less(b, a),
        Comparison::GreaterEqual => at_most(b, a),
    }
}

fn texts(a: &Texts, sign: Comparison, b: &Texts, rows: usize) -> Slots<bool> {
    let holds = |row: usize| {
        let (a, b) = (a.at(row).as_bytes(), b.at(row).as_bytes());
        match sign {
            Comparison::Equal => a == b,
            Comparison::NotEqual => a != b,
            _ => sign.holds(a.cmp(b)),
        }
    };
    match (a.views(), b.views()) {
        (Slots::One(_), Slots::One(_)) => Slots::One(holds(0)),
        _ => Slots::each((0..rows).map(holds).collect()),
    }
}
