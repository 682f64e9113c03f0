//! The rows as loops that a person would write in Rust, with the language's meaning: checked arithmetic, sums in i128,
//! Unicode with a fast path for ASCII. Those that end in `unchecked` let arithmetic wrap.

use std::fs::File;
use std::hash::Hash;
use std::io::Read;
use std::str;

use hashbrown::{HashMap, HashSet};
use memchr::{memchr, memmem, memrchr};
use polars::prelude::{DataFrame, PolarsError, PolarsResult, df};

use crate::inputs::{Customers, Orders, Weather};

#[cold]
fn overflow() -> PolarsError {
    PolarsError::ComputeError("an int overflows".into())
}

fn int(sum: i128) -> PolarsResult<i64> {
    i64::try_from(sum).map_err(|_| overflow())
}

pub fn chain(end: i64) -> PolarsResult<DataFrame> {
    let mut sum = 0;
    for it in 1..end {
        let it = it.checked_mul(3).and_then(|it| it.checked_add(1)).ok_or_else(overflow)?;
        if it.rem_euclid(7) == 1 {
            sum += i128::from(it);
        }
    }
    df!("sum" => [int(sum)?])
}

pub fn chain_unchecked(end: i64) -> PolarsResult<DataFrame> {
    let tripled = (1..end).map(|it| it.wrapping_mul(3).wrapping_add(1));
    df!("sum" => [tripled.filter(|it| it % 7 == 1).fold(0, i64::wrapping_add)])
}

pub fn points(orders: &Orders) -> PolarsResult<DataFrame> {
    let mut sum = 0;
    for (id, quantity) in orders.id.iter().zip(&orders.quantity) {
        let squared = quantity.checked_mul(*quantity).and_then(|squared| squared.checked_mul(3));
        let points = squared.and_then(|points| points.checked_add(id.rem_euclid(97))).ok_or_else(overflow)?;
        sum += i128::from(points);
    }
    df!("sum" => [int(sum)?])
}

pub fn points_unchecked(orders: &Orders) -> PolarsResult<DataFrame> {
    let each = orders.id.iter().zip(&orders.quantity);
    let points = each.map(|(id, quantity)| quantity.wrapping_mul(*quantity).wrapping_mul(3).wrapping_add(id % 97));
    df!("sum" => [points.fold(0, i64::wrapping_add)])
}

/// All columns of these rows, in this order.
fn rows(orders: &Orders, rows: &[usize]) -> PolarsResult<DataFrame> {
    fn of<T: Copy>(column: &[T], rows: &[usize]) -> Vec<T> {
        rows.iter().map(|row| column[*row]).collect()
    }
    df!(
        "id" => of(&orders.id, rows),
        "customer" => of(&orders.customer, rows),
        "product" => of(&orders.product, rows),
        "quantity" => of(&orders.quantity, rows),
        "price" => of(&orders.price, rows),
    )
}

pub fn bargains(orders: &Orders) -> PolarsResult<DataFrame> {
    let found = (0..orders.id.len()).filter(|row| orders.quantity[*row] > 7 && orders.price[*row] < 20.0);
    rows(orders, &found.collect::<Vec<usize>>())
}

pub fn fees(orders: &Orders) -> PolarsResult<DataFrame> {
    let mut sum = 0;
    for (quantity, price) in orders.quantity.iter().zip(&orders.price) {
        let fee = if *price > 50.0 {
            quantity.checked_mul(2).ok_or_else(overflow)?
        } else if *quantity > 5 {
            1
        } else {
            0
        };
        sum += i128::from(fee);
    }
    df!("sum" => [int(sum)?])
}

pub fn fees_unchecked(orders: &Orders) -> PolarsResult<DataFrame> {
    let each = orders.quantity.iter().zip(&orders.price);
    let fee = |(quantity, price): (&i64, &f64)| match *price > 50.0 {
        true => quantity.wrapping_mul(2),
        false => i64::from(*quantity > 5),
    };
    df!("sum" => [each.map(fee).fold(0, i64::wrapping_add)])
}

pub fn letters(words: &[&str]) -> PolarsResult<DataFrame> {
    let an = memmem::Finder::new("an");
    let found = words.iter().filter(|word| an.find(word.as_bytes()).is_some() && !word.ends_with('s'));
    df!("sum" => [found.map(|word| word.chars().count() as i64).sum::<i64>()])
}

pub fn codes(words: &[&str]) -> PolarsResult<DataFrame> {
    let (mut length, mut last, mut code) = (0, String::new(), String::new());
    for word in words {
        code.clear();
        if word.is_ascii() {
            code.push_str(&word[..word.len().min(3)]);
            code.make_ascii_uppercase();
        } else {
            code.extend(word.chars().take(3).flat_map(char::to_uppercase));
        }
        code.extend(word.chars().map(|c| if c == 'e' { '3' } else { c }));
        length += code.chars().count() as i64;
        if code > last {
            last.clone_from(&code);
        }
    }
    df!("length" => [length], "last" => [last])
}

pub fn fibs(end: i64) -> PolarsResult<DataFrame> {
    fn fib(n: i64) -> Option<i64> {
        if n < 2 { Some(n) } else { fib(n.checked_sub(1)?)?.checked_add(fib(n.checked_sub(2)?)?) }
    }
    let sum = (20..end).try_fold(0, |sum, n| Some(sum + i128::from(fib(n)?)));
    df!("sum" => [int(sum.ok_or_else(overflow)?)?])
}

pub fn fibs_unchecked(end: i64) -> PolarsResult<DataFrame> {
    fn fib(n: i64) -> i64 {
        if n < 2 { n } else { fib(n.wrapping_sub(1)).wrapping_add(fib(n.wrapping_sub(2))) }
    }
    df!("sum" => [(20..end).map(fib).fold(0, i64::wrapping_add)])
}

#[derive(Default)]
struct Sold {
    n: i64,
    total: i128,
    price: f64,
}

impl Sold {
    fn add(&mut self, quantity: i64, price: f64) {
        self.n += 1;
        self.total += i128::from(quantity);
        self.price += price;
    }
}

/// The aggregates of all groups, apart from their keys.
fn sold<'a>(groups: impl Iterator<Item = &'a Sold> + Clone) -> PolarsResult<DataFrame> {
    let totals: PolarsResult<Vec<i64>> = groups.clone().map(|sold| int(sold.total)).collect();
    df!(
        "n" => groups.clone().map(|sold| sold.n).collect::<Vec<i64>>(),
        "total" => totals?,
        "price" => groups.map(|sold| sold.price / sold.n as f64).collect::<Vec<f64>>(),
    )
}

fn sold_by<K: Hash + Eq + Copy>(keys: &[K], orders: &Orders) -> HashMap<K, Sold> {
    let mut groups: HashMap<K, Sold> = HashMap::new();
    for ((key, quantity), price) in keys.iter().zip(&orders.quantity).zip(&orders.price) {
        groups.entry(*key).or_default().add(*quantity, *price);
    }
    groups
}

pub fn by_product(orders: &Orders) -> PolarsResult<DataFrame> {
    let groups = sold_by(&orders.product, orders);
    df!("product" => groups.keys().copied().collect::<Vec<&str>>())?.hstack(sold(groups.values())?.columns())
}

pub fn by_customer(orders: &Orders) -> PolarsResult<DataFrame> {
    let groups = sold_by(&orders.customer, orders);
    df!("customer" => groups.keys().copied().collect::<Vec<i64>>())?.hstack(sold(groups.values())?.columns())
}

pub fn sorted_by_price(orders: &Orders) -> PolarsResult<DataFrame> {
    let mut keyed: Vec<(f64, usize)> = orders.price.iter().copied().zip(0..).collect();
    keyed.sort_unstable_by(|(a, a_row), (b, b_row)| {
        a.total_cmp(b).then_with(|| orders.id[*a_row].cmp(&orders.id[*b_row]))
    });
    rows(orders, &keyed.into_iter().map(|(_, row)| row).collect::<Vec<usize>>())
}

pub fn sorted_by_product(orders: &Orders) -> PolarsResult<DataFrame> {
    let mut found: Vec<usize> = (0..orders.id.len()).collect();
    let Orders { id, product, price, .. } = orders;
    found.sort_unstable_by(|a, b| {
        let products = product[*a].cmp(product[*b]);
        products.then_with(|| price[*b].total_cmp(&price[*a])).then_with(|| id[*a].cmp(&id[*b]))
    });
    rows(orders, &found)
}

pub fn dearest(orders: &Orders) -> PolarsResult<DataFrame> {
    const COUNT: usize = 10;
    let Orders { id, price, .. } = orders;
    let mut best: Vec<usize> = Vec::new();
    for row in 0..id.len() {
        if best.len() == COUNT && price[row] < price[best[COUNT - 1]] {
            continue;
        }
        let before =
            |other: &usize| price[row].total_cmp(&price[*other]).then_with(|| id[*other].cmp(&id[row])).is_lt();
        best.insert(best.partition_point(before), row);
        best.truncate(COUNT);
    }
    rows(orders, &best)
}

pub fn by_region(orders: &Orders, customers: &Customers) -> PolarsResult<DataFrame> {
    let regions: HashMap<i64, &str> =
        customers.customer.iter().copied().zip(customers.region.iter().copied()).collect();
    let mut totals: HashMap<&str, i128> = HashMap::new();
    for (customer, quantity) in orders.customer.iter().zip(&orders.quantity) {
        if let Some(region) = regions.get(customer) {
            *totals.entry(region).or_default() += i128::from(*quantity);
        }
    }
    let sums: PolarsResult<Vec<i64>> = totals.values().map(|total| int(*total)).collect();
    df!("region" => totals.keys().copied().collect::<Vec<&str>>(), "total" => sums?)
}

pub fn baskets(orders: &Orders) -> PolarsResult<DataFrame> {
    let baskets: HashSet<(i64, i64)> = orders.customer.iter().copied().zip(orders.quantity.iter().copied()).collect();
    df!("count" => [baskets.len() as i64])
}

/// Calls `each` with whole lines of a file, some hundred KiB at a time.
fn blocks(path: &str, mut each: impl FnMut(&str) -> PolarsResult<()>) -> PolarsResult<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 128 << 10];
    let mut held = 0;
    loop {
        if held == buffer.len() {
            buffer.resize(2 * held, 0);
        }
        let read = file.read(&mut buffer[held..])?;
        let end = held + read;
        let whole = match memrchr(b'\n', &buffer[held..end]) {
            _ if read == 0 => end,
            Some(at) => held + at + 1,
            None => 0,
        };
        let text = str::from_utf8(&buffer[..whole]);
        each(text.map_err(|error| PolarsError::ComputeError(error.to_string().into()))?)?;
        if read == 0 {
            return Ok(());
        }
        buffer.copy_within(whole..end, 0);
        held = end - whole;
    }
}

/// Calls `each` with every run of characters that are not white space.
fn words(text: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        let space = match byte {
            b'\t'..=b'\r' | b' ' => 1,
            // Only these lead white space beyond ASCII.
            0xc2 | 0xe1 | 0xe2 | 0xe3 => {
                text[at..].chars().next().filter(|c| c.is_whitespace()).map_or(0, char::len_utf8)
            }
            _ => 0,
        };
        if space > 0 {
            if start < at {
                each(&text[start..at]);
            }
            start = at + space;
        }
    }
    if start < text.len() {
        each(&text[start..]);
    }
}

fn count(counts: &mut HashMap<String, i64>, word: &str) {
    *counts.entry_ref(word).or_insert(0) += 1;
}

fn counted(counts: &HashMap<String, i64>) -> PolarsResult<DataFrame> {
    let words: Vec<&str> = counts.keys().map(|word| word.as_str()).collect();
    df!("word" => words, "count" => counts.values().copied().collect::<Vec<i64>>())
}

pub fn word_count(path: &str) -> PolarsResult<DataFrame> {
    let mut counts = HashMap::new();
    blocks(path, |text| {
        words(text, |word| count(&mut counts, word));
        Ok(())
    })?;
    counted(&counts)
}

pub fn lower_word_count(path: &str) -> PolarsResult<DataFrame> {
    let mut counts = HashMap::new();
    let mut lower = String::new();
    blocks(path, |text| {
        words(text, |word| match word.is_ascii() {
            true => {
                lower.clear();
                lower.push_str(word);
                lower.make_ascii_lowercase();
                count(&mut counts, &lower);
            }
            false => count(&mut counts, &word.to_lowercase()),
        });
        Ok(())
    })?;
    counted(&counts)
}

#[cold]
fn misfit(line: &str) -> PolarsError {
    PolarsError::ComputeError(format!("`{line}` does not fit").into())
}

pub fn csv(path: &str) -> PolarsResult<DataFrame> {
    let mut groups: HashMap<String, Sold> = HashMap::new();
    let mut is_header = true;
    blocks(path, |text| {
        if memchr(b'"', text.as_bytes()).is_some() {
            return Err(PolarsError::ComputeError("this loop reads no quotes".into()));
        }
        for line in text.lines() {
            if std::mem::take(&mut is_header) {
                continue;
            }
            let mut fields = line.split(',');
            let mut next = || fields.next().ok_or_else(|| misfit(line));
            let [_, _, product, quantity, price] = [next()?, next()?, next()?, next()?, next()?];
            let (Ok(quantity), Ok(price), None) = (quantity.parse(), price.parse(), fields.next()) else {
                return Err(misfit(line));
            };
            groups.entry_ref(product).or_default().add(quantity, price);
        }
        Ok(())
    })?;
    let products: Vec<&str> = groups.keys().map(|product| product.as_str()).collect();
    df!("product" => products)?.hstack(sold(groups.values())?.columns())
}

struct Felt {
    least: f64,
    most: f64,
    sum: f64,
    n: i64,
}

impl Default for Felt {
    fn default() -> Felt {
        Felt { least: f64::INFINITY, most: f64::NEG_INFINITY, sum: 0.0, n: 0 }
    }
}

impl Felt {
    fn add(&mut self, temperature: f64) {
        self.least = self.least.min(temperature);
        self.most = self.most.max(temperature);
        self.sum += temperature;
        self.n += 1;
    }
}

fn felt<'a>(groups: impl Iterator<Item = (&'a str, &'a Felt)> + Clone) -> PolarsResult<DataFrame> {
    let floats = |of: fn(&Felt) -> f64| groups.clone().map(|(_, felt)| of(felt)).collect::<Vec<f64>>();
    df!(
        "station" => groups.clone().map(|(station, _)| station).collect::<Vec<&str>>(),
        "least" => floats(|felt| felt.least),
        "mean" => floats(|felt| felt.sum / felt.n as f64),
        "most" => floats(|felt| felt.most),
    )
}

pub fn weather(weather: &Weather) -> PolarsResult<DataFrame> {
    let mut groups: HashMap<&str, Felt> = HashMap::new();
    for (station, temperature) in weather.station.iter().zip(&weather.temperature) {
        groups.entry(*station).or_default().add(*temperature);
    }
    felt(groups.iter().map(|(station, felt)| (*station, felt)))
}

pub fn weather_text(path: &str) -> PolarsResult<DataFrame> {
    let mut groups: HashMap<String, Felt> = HashMap::new();
    blocks(path, |text| {
        for line in text.lines() {
            let (station, written) = line.split_once(';').ok_or_else(|| misfit(line))?;
            let temperature = tenths(written).or_else(|| written.parse().ok()).ok_or_else(|| misfit(line))?;
            groups.entry_ref(station).or_default().add(temperature);
        }
        Ok(())
    })?;
    felt(groups.iter().map(|(station, felt)| (station.as_str(), felt)))
}

/// A number written as `-12.3`, `12.3` or `2.3`: a quotient of small ints is the float that is nearest to it.
fn tenths(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1.0, digits),
        digits => (1.0, digits),
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
    let tenths = match *digits {
        [ones, b'.', tenths] => digit(ones)? * 10 + digit(tenths)?,
        [tens, ones, b'.', tenths] => digit(tens)? * 100 + digit(ones)? * 10 + digit(tenths)?,
        _ => return None,
    };
    Some(sign * f64::from(tenths) / 10.0)
}
