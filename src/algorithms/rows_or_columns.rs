use std::hint::black_box;

use crate::data::{Order, Type, Value};

use super::Class::{Constant, Linear};
use super::{Facts, Random, Shape, Typed, column, table, variant};

/// The same goods twice, built beforehand: as rows and as columns.
pub struct Goods {
    rows: Vec<Row>,
    prices: Vec<i64>,
    quantities: Vec<i64>,
}

pub struct Row {
    price: i64,
    quantity: i64,
}

/// Who takes fewer pieces is not counted.
const LEAST: i64 = 50;

pub static ROWS_OR_COLUMNS: Typed<Goods, i64> = Typed {
    facts: Facts {
        name: "rows_or_columns",
        about: "the sum of price × quantity where the quantity is 50 or more",
        counts: "rows",
        sizes: &[1_000, 10_000, 100_000, 1_000_000],
        stages: Some("filter quantity >= 50 | map total = price * quantity | sum"),
        text: include_str!("rows_or_columns.rs"),
    },
    shapes: &[
        Shape { name: "random", about: "about half of the rows count", make: |n, rng| goods(rows(n, rng)) },
        Shape { name: "sorted", about: "the same by quantity: a branch is foreseen", make: sorted },
        Shape { name: "none", about: "no row counts", make: none },
    ],
    variants: &[
        variant("tree", "an interpreter: walks through a tree for each row", Linear, Constant, 5_000_000, tree),
        variant("boxed", "calls boxed functions for each row", Linear, Constant, 5_000_000, boxed),
        variant("inlined", "a loop over rows, compiled as a whole", Linear, Constant, 5_000_000, inlined),
        variant("steps", "an operation after the other on whole columns", Linear, Linear, 5_000_000, steps),
        variant("columns", "one loop over columns, without a branch", Linear, Constant, 5_000_000, columns),
    ],
    input: |goods| {
        let values = |column: &[i64]| column.iter().copied().map(Value::Int).collect();
        let columns =
            vec![("price", Type::Int, values(&goods.prices)), ("quantity", Type::Int, values(&goods.quantities))];
        table(Order::Kept, columns)
    },
    output: |_, sum| column("sum", Type::Int, Order::Kept, vec![Value::Int(sum)]),
};

fn rows(n: usize, rng: &mut Random) -> Vec<Row> {
    (0..n).map(|_| Row { price: rng.int(1, 1_000), quantity: rng.int(0, 100) }).collect()
}

fn sorted(n: usize, rng: &mut Random) -> Box<Goods> {
    let mut rows = rows(n, rng);
    rows.sort_by_key(|row| row.quantity);
    goods(rows)
}

fn none(n: usize, rng: &mut Random) -> Box<Goods> {
    let mut rows = rows(n, rng);
    rows.iter_mut().for_each(|row| row.quantity %= LEAST);
    goods(rows)
}

fn goods(rows: Vec<Row>) -> Box<Goods> {
    let (prices, quantities) = rows.iter().map(|row| (row.price, row.quantity)).unzip();
    Box::new(Goods { rows, prices, quantities })
}

fn tree(goods: &Goods) -> i64 {
    let price = || Box::new(Expr::Price);
    let quantity = || Box::new(Expr::Quantity);
    let condition = Expr::AtLeast(quantity(), Box::new(Expr::Number(LEAST)));
    let total = Expr::Times(price(), quantity());
    let mut sum = 0;
    for row in &goods.rows {
        if condition.value(row) != 0 {
            sum += total.value(row);
        }
    }
    sum
}

enum Expr {
    Price,
    Quantity,
    Number(i64),
    Times(Box<Expr>, Box<Expr>),
    /// 1 or 0.
    AtLeast(Box<Expr>, Box<Expr>),
}

impl Expr {
    fn value(&self, row: &Row) -> i64 {
        match self {
            Expr::Price => row.price,
            Expr::Quantity => row.quantity,
            Expr::Number(number) => *number,
            Expr::Times(a, b) => a.value(row) * b.value(row),
            Expr::AtLeast(a, b) => i64::from(a.value(row) >= b.value(row)),
        }
    }
}

fn boxed(goods: &Goods) -> i64 {
    // Behind the black box the compiler does not know which functions these are.
    let condition: Box<dyn Fn(&Row) -> bool> = black_box(Box::new(|row| row.quantity >= LEAST));
    let total: Box<dyn Fn(&Row) -> i64> = black_box(Box::new(|row| row.price * row.quantity));
    let mut sum = 0;
    for row in &goods.rows {
        if condition(row) {
            sum += total(row);
        }
    }
    sum
}

fn inlined(goods: &Goods) -> i64 {
    let mut sum = 0;
    for row in &goods.rows {
        if row.quantity >= LEAST {
            sum += row.price * row.quantity;
        }
    }
    sum
}

fn steps(goods: &Goods) -> i64 {
    let counts: Vec<bool> = goods.quantities.iter().map(|quantity| *quantity >= LEAST).collect();
    let totals: Vec<i64> =
        goods.prices.iter().zip(&goods.quantities).map(|(price, quantity)| price * quantity).collect();
    totals.iter().zip(&counts).map(|(total, counts)| if *counts { *total } else { 0 }).sum()
}

fn columns(goods: &Goods) -> i64 {
    let pairs = goods.prices.iter().zip(&goods.quantities);
    pairs.map(|(price, quantity)| price * quantity * i64::from(*quantity >= LEAST)).sum()
}
