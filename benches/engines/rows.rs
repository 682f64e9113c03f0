//! The rows: each a cell of timelab's language, the same by hand and in polars, and what they run on.

use std::rc::Rc;

use polars::prelude::{Column, DataFrame, LazyFrame, PolarsResult};

use crate::inputs::{self, Customers, Orders, Scale, Weather};
use crate::{by_hand, plain};

pub struct Row {
    pub name: &'static str,
    pub unit: Unit,
    /// Makes the inputs; files come into the current folder.
    pub contest: fn(Scale) -> PolarsResult<Contest>,
}

const fn timed(name: &'static str, contest: fn(Scale) -> PolarsResult<Contest>) -> Row {
    Row { name, unit: Unit::Seconds, contest }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// CPU time, in seconds.
    Seconds,
    /// The most resident memory above that at the start.
    Bytes,
}

/// One thing said in several ways.
pub struct Contest {
    /// Its last statement is the pipeline.
    pub cell: String,
    /// What the cell finds under these names.
    pub tables: Vec<(&'static str, DataFrame)>,
    pub by_hand: Way,
    pub unchecked: Option<Way>,
    pub plain: Option<Query>,
    /// Whether the input is a file, which polars is to read as a stream.
    pub streams: bool,
}

pub type Query = Rc<dyn Fn() -> PolarsResult<LazyFrame>>;
pub type Way = Box<dyn Fn() -> PolarsResult<DataFrame>>;

impl Contest {
    fn new(cell: impl Into<String>, by_hand: impl Fn() -> PolarsResult<DataFrame> + 'static) -> Contest {
        let by_hand = Box::new(by_hand);
        Contest { cell: cell.into(), tables: Vec::new(), by_hand, unchecked: None, plain: None, streams: false }
    }

    fn table(mut self, name: &'static str, frame: &DataFrame) -> Contest {
        self.tables.push((name, frame.clone()));
        self
    }

    fn unchecked(mut self, way: impl Fn() -> PolarsResult<DataFrame> + 'static) -> Contest {
        self.unchecked = Some(Box::new(way));
        self
    }

    fn plain(mut self, query: impl Fn() -> PolarsResult<LazyFrame> + 'static) -> Contest {
        self.plain = Some(Rc::new(query));
        self
    }
}

pub static ALL: &[Row] = &[
    timed("arithmetic chain", |scale| {
        let end = scale.of(100_000_000) as i64;
        let cell = format!("1..{end} | map it * 3 + 1 | filter it % 7 == 1 | sum");
        Ok(Contest::new(cell, move || by_hand::chain(end))
            .unchecked(move || by_hand::chain_unchecked(end))
            .plain(move || plain::chain(end)))
    }),
    timed("arithmetic on a table", |scale| {
        let cell = "orders | map points = quantity * quantity * 3 + id % 97 | sum";
        of_orders(scale.of(10_000_000), cell, by_hand::points, Some(by_hand::points_unchecked), plain::points)
    }),
    timed("filter", |scale| {
        let cell = "orders | filter quantity > 7 and price < 20.0";
        of_orders(scale.of(10_000_000), cell, by_hand::bargains, None, plain::bargains)
    }),
    timed("if", |scale| {
        let cell = "orders | map fee = if price > 50.0 then quantity * 2 else if quantity > 5 then 1 else 0 | sum";
        of_orders(scale.of(10_000_000), cell, by_hand::fees, Some(by_hand::fees_unchecked), plain::fees)
    }),
    timed("text that is asked", |scale| {
        let cell = r#"words | filter contains(word, "an") and not ends_with(word, "s") | map n = len(word) | sum"#;
        of_words(scale.of(10_000_000), cell, by_hand::letters, plain::letters)
    }),
    timed("text that is made", |scale| {
        let cell = "words | map code = upper(slice(word, 0, 3)) + replace(word, \"e\", \"3\") \
                    | agg length = sum(len(code)), last = max(code)";
        of_words(scale.of(5_000_000), cell, by_hand::codes, plain::codes)
    }),
    timed("recursive fn", |scale| {
        // Five more make eleven times the calls.
        let end = match scale {
            Scale::Small => 28,
            Scale::Full => 33,
        };
        let fib = "fn fib(n) = if n < 2 then n else fib(n - 1) + fib(n - 2)";
        let cell = format!("{fib}; 20..{end} | map fib(it) | sum");
        Ok(Contest::new(cell, move || by_hand::fibs(end)).unchecked(move || by_hand::fibs_unchecked(end)))
    }),
    timed("group by few keys", |scale| {
        let cell = "orders | agg n = count(), total = sum(quantity), price = mean(price) by product";
        of_orders(scale.of(10_000_000), cell, by_hand::by_product, None, plain::by_product)
    }),
    timed("group by many keys", |scale| {
        let cell = "orders | agg n = count(), total = sum(quantity), price = mean(price) by customer";
        of_orders(scale.of(10_000_000), cell, by_hand::by_customer, None, plain::by_customer)
    }),
    timed("sort by a float", |scale| {
        let cell = "orders | sort by price";
        of_orders(scale.of(2_000_000), cell, by_hand::sorted_by_price, None, plain::sorted_by_price)
    }),
    timed("sort by a text", |scale| {
        let cell = "orders | sort by product, price desc";
        of_orders(scale.of(2_000_000), cell, by_hand::sorted_by_product, None, plain::sorted_by_product)
    }),
    timed("top", |scale| {
        let cell = "orders | top 10 by price";
        of_orders(scale.of(10_000_000), cell, by_hand::dearest, None, plain::dearest)
    }),
    timed("join", |scale| {
        let count = scale.of(10_000_000);
        let (orders, customers) = (Orders::new(count), Customers::of_orders(count));
        let (orders_frame, customers_frame) = (orders.frame()?, customers.frame()?);
        let cell = "orders | join customers on customer | agg total = sum(quantity) by region";
        Ok(Contest::new(cell, move || by_hand::by_region(&orders, &customers))
            .table("orders", &orders_frame)
            .table("customers", &customers_frame)
            .plain(move || Ok(plain::by_region(&orders_frame, &customers_frame))))
    }),
    timed("distinct", |scale| {
        let cell = "orders | map customer, quantity | distinct | count";
        of_orders(scale.of(10_000_000), cell, by_hand::baskets, None, plain::baskets)
    }),
    timed("csv to groups", |scale| {
        let file = "orders.csv";
        inputs::orders_csv(file, scale.of(10_000_000))?;
        let stages = "agg n = count(), total = sum(quantity), price = mean(price) by product";
        Ok(of_file(file, "", stages, by_hand::csv, plain::csv))
    }),
    timed("words of the Bible", |scale| {
        let file = "bible.txt";
        inputs::bible(file, scale.of(100_000_000))?;
        Ok(of_file(file, "", WORD_COUNT, by_hand::word_count, plain::word_count))
    }),
    timed("words of many kinds", |scale| {
        let file = "vocabulary.txt";
        inputs::vocabulary(file, scale.of(400_000), scale.of(100_000_000))?;
        Ok(of_file(file, "", WORD_COUNT, by_hand::word_count, plain::word_count))
    }),
    timed("words beyond ASCII", |scale| {
        let file = "scripts.txt";
        inputs::scripts(file, scale.of(100_000_000))?;
        let stages = "words | count by lower(word)";
        Ok(of_file(file, "", stages, by_hand::lower_word_count, plain::lower_word_count))
    }),
    timed("weather from text", |scale| {
        let file = "weather.txt";
        inputs::weather_text(file, scale.of(10_000_000))?;
        let stages = "agg least = min(column_2), mean = mean(column_2), most = max(column_2) by station = column_1";
        let options = r#" as csv sep ";" header false"#;
        Ok(of_file(file, options, stages, by_hand::weather_text, plain::weather_text))
    }),
    timed("weather on a table", |scale| {
        let weather = Weather::new(scale.of(10_000_000));
        let frame = weather.frame()?;
        let aggregates = "least = min(temperature), mean = mean(temperature), most = max(temperature)";
        let cell = format!("weather | agg {aggregates} by station");
        let contest = Contest::new(cell, move || by_hand::weather(&weather)).table("weather", &frame);
        Ok(contest.plain(move || Ok(plain::weather(&frame))))
    }),
    Row {
        name: "memory for words",
        unit: Unit::Bytes,
        contest: |scale| {
            let file = "bibles.txt";
            inputs::bible(file, scale.of(1_000_000_000))?;
            Ok(of_file(file, "", WORD_COUNT, by_hand::word_count, plain::word_count))
        },
    },
];

const WORD_COUNT: &str = "words | count by word";

type OfOrders = fn(&Orders) -> PolarsResult<DataFrame>;
type OfFrame = fn(&DataFrame) -> LazyFrame;

fn of_orders(
    count: usize,
    cell: &str,
    by_hand: OfOrders,
    unchecked: Option<OfOrders>,
    plain: OfFrame,
) -> PolarsResult<Contest> {
    let orders = Rc::new(Orders::new(count));
    let frame = orders.frame()?;
    let same = orders.clone();
    let contest = Contest::new(cell, move || by_hand(&orders)).table("orders", &frame);
    let contest = match unchecked {
        Some(unchecked) => contest.unchecked(move || unchecked(&same)),
        None => contest,
    };
    Ok(contest.plain(move || Ok(plain(&frame))))
}

fn of_words(
    count: usize,
    cell: &str,
    by_hand: fn(&[&str]) -> PolarsResult<DataFrame>,
    plain: OfFrame,
) -> PolarsResult<Contest> {
    let words = inputs::dictionary(count);
    let frame = DataFrame::new(count, vec![Column::new("word".into(), &words)])?;
    let contest = Contest::new(cell, move || by_hand(&words)).table("words", &frame);
    Ok(contest.plain(move || Ok(plain(&frame))))
}

fn of_file(
    file: &'static str,
    options: &str,
    stages: &str,
    by_hand: fn(&str) -> PolarsResult<DataFrame>,
    plain: fn(&str) -> PolarsResult<LazyFrame>,
) -> Contest {
    let cell = format!("read \"{file}\"{options} | {stages}");
    let contest = Contest::new(cell, move || by_hand(file)).plain(move || plain(file));
    Contest { streams: true, ..contest }
}
