//! The rows as a user of polars would write them, without care for overflow.

use polars::prelude::*;

/// The ints are made at once, as `int_range` of polars makes them.
pub fn chain(end: i64) -> PolarsResult<LazyFrame> {
    let numbers = df!("it" => (1..end).collect::<Vec<i64>>())?;
    let tripled = numbers.lazy().select([col("it") * lit(3) + lit(1)]);
    Ok(tripled.filter((col("it") % lit(7)).eq(lit(1))).select([col("it").sum().alias("sum")]))
}

pub fn points(orders: &DataFrame) -> LazyFrame {
    let points = col("quantity") * col("quantity") * lit(3) + col("id") % lit(97);
    orders.clone().lazy().select([points.sum().alias("sum")])
}

pub fn bargains(orders: &DataFrame) -> LazyFrame {
    orders.clone().lazy().filter(col("quantity").gt(lit(7)).and(col("price").lt(lit(20.0))))
}

pub fn fees(orders: &DataFrame) -> LazyFrame {
    let cheap = when(col("quantity").gt(lit(5))).then(lit(1)).otherwise(lit(0));
    let fee = when(col("price").gt(lit(50.0))).then(col("quantity") * lit(2)).otherwise(cheap);
    orders.clone().lazy().select([fee.sum().alias("sum")])
}

pub fn letters(words: &DataFrame) -> LazyFrame {
    let word = || col("word").str();
    let found = word().contains_literal(lit("an")).and(word().ends_with(lit("s")).not());
    words.clone().lazy().filter(found).select([word().len_chars().cast(DataType::Int64).sum().alias("sum")])
}

pub fn codes(words: &DataFrame) -> LazyFrame {
    let word = || col("word").str();
    let start = word().slice(lit(0), lit(3)).str().to_uppercase();
    let code = concat_str([start, word().replace_all(lit("e"), lit("3"), true)], "", false);
    let codes = words.clone().lazy().select([code.alias("code")]);
    let length = col("code").str().len_chars().cast(DataType::Int64).sum();
    codes.select([length.alias("length"), col("code").max().alias("last")])
}

pub fn by_product(orders: &DataFrame) -> LazyFrame {
    sold("product", orders.clone().lazy())
}

pub fn by_customer(orders: &DataFrame) -> LazyFrame {
    sold("customer", orders.clone().lazy())
}

fn sold(key: &str, orders: LazyFrame) -> LazyFrame {
    orders.group_by([col(key)]).agg([len().alias("n"), col("quantity").sum().alias("total"), col("price").mean()])
}

pub fn sorted_by_price(orders: &DataFrame) -> LazyFrame {
    orders.clone().lazy().sort(["price"], SortMultipleOptions::new())
}

pub fn sorted_by_product(orders: &DataFrame) -> LazyFrame {
    let descending = SortMultipleOptions::new().with_order_descending_multi([false, true]);
    orders.clone().lazy().sort(["product", "price"], descending)
}

pub fn dearest(orders: &DataFrame) -> LazyFrame {
    let descending = SortMultipleOptions::new().with_order_descending(true);
    orders.clone().lazy().sort(["price"], descending).limit(10)
}

pub fn by_region(orders: &DataFrame, customers: &DataFrame) -> LazyFrame {
    let joined = orders.clone().lazy().inner_join(customers.clone().lazy(), col("customer"), col("customer"));
    joined.group_by([col("region")]).agg([col("quantity").sum().alias("total")])
}

pub fn baskets(orders: &DataFrame) -> LazyFrame {
    let baskets = orders.clone().lazy().select([col("customer"), col("quantity")]);
    baskets.unique(None, UniqueKeepStrategy::Any).select([len().alias("count")])
}

fn lines(path: &str) -> PolarsResult<LazyFrame> {
    let sources = ScanSources::Paths([PlRefPath::new(path)].into_iter().collect());
    Ok(DslBuilder::scan_lines(sources, UnifiedScanArgs::default(), "line".into())?.build().into())
}

/// All words here are apart by plain spaces.
fn words(path: &str) -> PolarsResult<LazyFrame> {
    let each = ExplodeOptions { empty_as_null: false, keep_nulls: false };
    let words = lines(path)?.select([col("line").str().split(lit(" ")).explode(each).alias("word")]);
    Ok(words.filter(col("word").neq(lit(""))))
}

pub fn word_count(path: &str) -> PolarsResult<LazyFrame> {
    Ok(words(path)?.group_by([col("word")]).agg([len().alias("count")]))
}

pub fn lower_word_count(path: &str) -> PolarsResult<LazyFrame> {
    Ok(words(path)?.group_by([col("word").str().to_lowercase()]).agg([len().alias("count")]))
}

pub fn csv(path: &str) -> PolarsResult<LazyFrame> {
    Ok(sold("product", LazyCsvReader::new(PlRefPath::new(path)).finish()?))
}

pub fn weather(weather: &DataFrame) -> LazyFrame {
    felt(weather.clone().lazy(), "station", "temperature")
}

pub fn weather_text(path: &str) -> PolarsResult<LazyFrame> {
    let reader = LazyCsvReader::new(PlRefPath::new(path)).with_separator(b';').with_has_header(false);
    Ok(felt(reader.finish()?, "column_1", "column_2"))
}

fn felt(weather: LazyFrame, station: &str, temperature: &str) -> LazyFrame {
    let temperature = || col(temperature);
    weather.group_by([col(station).alias("station")]).agg([
        temperature().min().alias("least"),
        temperature().mean().alias("mean"),
        temperature().max().alias("most"),
    ])
}
