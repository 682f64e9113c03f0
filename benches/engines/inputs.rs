//! What the rows are run on: tables and texts made of a seed, so that every run has the same.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::LazyLock;

use clap::ValueEnum;
use polars::prelude::{DataFrame, PolarsResult, df};

use timelab::data::generate::{mix, unit};

const KJV: &str = include_str!("../../samples/kjv.txt");
const WORDS: &str = include_str!("../../samples/words.txt");
const ZONES: &str = include_str!("../../samples/zone1970.tab");

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scale {
    /// A tenth of each size
    Small,
    Full,
}

impl Scale {
    /// What this scale makes of a size.
    pub fn of(self, full: usize) -> usize {
        match self {
            Scale::Small => full / 10,
            Scale::Full => full,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Scale::Small => "small",
            Scale::Full => "full",
        }
    }
}

/// A number below `below`, for row `row` of a column of its own.
fn number(column: i64, row: usize, below: usize) -> usize {
    (mix(column, row as u64) % below as u64) as usize
}

pub struct Orders {
    /// 0, 1, ….
    pub id: Vec<i64>,
    /// One of a tenth as many as there are orders.
    pub customer: Vec<i64>,
    /// One of 100.
    pub product: Vec<&'static str>,
    /// 1 to 10.
    pub quantity: Vec<i64>,
    /// 0 to 100, hardly any twice.
    pub price: Vec<f64>,
}

impl Orders {
    pub fn new(count: usize) -> Orders {
        static PRODUCTS: LazyLock<Vec<String>> = LazyLock::new(|| {
            let made_of =
                ["oak", "tin", "glass", "paper", "linen", "silver", "concrete", "porcelain", "rubber", "felt"];
            let things = ["table", "cup", "lamp", "box", "chair", "teapot", "picture frame", "shelf", "bowl", "hat"];
            made_of.iter().flat_map(|of| things.iter().map(move |thing| format!("{of} {thing}"))).collect()
        });
        let rows = || 0..count;
        Orders {
            id: rows().map(|row| row as i64).collect(),
            customer: rows().map(|row| number(1, row, count / 10) as i64).collect(),
            product: rows().map(|row| PRODUCTS[number(2, row, PRODUCTS.len())].as_str()).collect(),
            quantity: rows().map(|row| 1 + number(3, row, 10) as i64).collect(),
            price: rows().map(|row| 100.0 * unit(4, row as u64)).collect(),
        }
    }

    pub fn frame(&self) -> PolarsResult<DataFrame> {
        df!(
            "id" => &self.id,
            "customer" => &self.customer,
            "product" => &self.product,
            "quantity" => &self.quantity,
            "price" => &self.price,
        )
    }
}

/// Every customer of as many orders, and where he lives: one of 50 regions.
pub struct Customers {
    pub customer: Vec<i64>,
    pub region: Vec<&'static str>,
}

impl Customers {
    pub fn of_orders(count: usize) -> Customers {
        static REGIONS: LazyLock<Vec<String>> = LazyLock::new(|| (0..50).map(|i| format!("region {i}")).collect());
        let customers = count / 10;
        Customers {
            customer: (0..customers as i64).rev().collect(),
            region: (0..customers).map(|row| REGIONS[number(5, row, REGIONS.len())].as_str()).collect(),
        }
    }

    pub fn frame(&self) -> PolarsResult<DataFrame> {
        df!("customer" => &self.customer, "region" => &self.region)
    }
}

/// English words, some with accents, again and again.
pub fn dictionary(count: usize) -> Vec<&'static str> {
    WORDS.lines().cycle().take(count).collect()
}

/// Temperatures at some 300 stations.
pub struct Weather {
    pub station: Vec<&'static str>,
    pub temperature: Vec<f64>,
}

impl Weather {
    pub fn new(count: usize) -> Weather {
        let lines = ZONES.lines().filter(|line| !line.starts_with('#'));
        let cities: Vec<&str> = lines.filter_map(|line| line.split('\t').nth(2)?.rsplit('/').next()).collect();
        let rows = || 0..count;
        Weather {
            station: rows().map(|row| cities[number(6, row, cities.len())]).collect(),
            temperature: rows().map(|row| (number(7, row, 1999) as f64 - 999.0) / 10.0).collect(),
        }
    }

    pub fn frame(&self) -> PolarsResult<DataFrame> {
        df!("station" => &self.station, "temperature" => &self.temperature)
    }
}

/// Writes a file into the current folder, unless it is there.
fn file(name: &str, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> std::io::Result<()> {
    if Path::new(name).exists() {
        return Ok(());
    }
    let mut out = BufWriter::new(File::create(name)?);
    write(&mut out)?;
    out.flush()
}

/// ASCII: the King James Bible, again and again.
pub fn bible(name: &str, bytes: usize) -> std::io::Result<()> {
    file(name, |out| (0..bytes.div_ceil(KJV.len())).try_for_each(|_| out.write_all(KJV.as_bytes())))
}

/// Words from a vocabulary of `words`: first all of them, then the common ones more often (Zipf's law).
pub fn vocabulary(name: &str, words: usize, bytes: usize) -> std::io::Result<()> {
    file(name, |out| {
        let mut left = bytes;
        let mut row = 0;
        while left > 0 {
            let rank = if row < words { row } else { (words as f64).powf(unit(8, row as u64)) as usize };
            let word = spelt(rank);
            write!(out, "{word}{}", if row % 12 == 11 { '\n' } else { ' ' })?;
            left = left.saturating_sub(word.len() + 1);
            row += 1;
        }
        writeln!(out)
    })
}

/// A word of its own for each number, longer for larger ones.
fn spelt(mut number: usize) -> String {
    const SYLLABLES: [&str; 16] =
        ["ba", "den", "ko", "lis", "ma", "ner", "po", "ri", "sul", "ta", "ve", "wo", "xi", "ya", "zen", "chu"];
    let mut word = String::new();
    loop {
        word.push_str(SYLLABLES[number % 16]);
        number /= 16;
        if number == 0 {
            return word;
        }
        number -= 1;
    }
}

/// The Bible's verses in Latin, Cyrillic and Greek letters in turn.
pub fn scripts(name: &str, bytes: usize) -> std::io::Result<()> {
    let cyrillic: Vec<char> = "абцдефгхийклмнопярстужвшызАБЦДЕФГХИЙКЛМНОПЯРСТУЖВШЫЗ".chars().collect();
    let greek: Vec<char> = "αβψδεφγηιξκλμνοπχρστθωςώυζΑΒΨΔΕΦΓΗΙΞΚΛΜΝΟΠΧΡΣΤΘΩΣΏΥΖ".chars().collect();
    let spelt = |line: &str, letters: &[char]| -> String {
        let letter = |c: char| match c {
            'a'..='z' => letters[c as usize - 'a' as usize],
            'A'..='Z' => letters[c as usize - 'A' as usize + 26],
            c => c,
        };
        line.chars().map(letter).collect()
    };
    let verses = KJV.lines().enumerate().map(|(i, verse)| match i % 3 {
        0 => verse.to_string(),
        1 => spelt(verse, &cyrillic),
        _ => spelt(verse, &greek),
    });
    let text: String = verses.flat_map(|verse| [verse, "\n".to_string()]).collect();
    file(name, |out| (0..bytes.div_ceil(text.len())).try_for_each(|_| out.write_all(text.as_bytes())))
}

/// Orders as csv, prices in cents.
pub fn orders_csv(name: &str, count: usize) -> std::io::Result<()> {
    file(name, |out| {
        let orders = Orders::new(count);
        writeln!(out, "id,customer,product,quantity,price")?;
        (0..count).try_for_each(|row| {
            let Orders { id, customer, product, quantity, price } = &orders;
            writeln!(out, "{},{},{},{},{:.2}", id[row], customer[row], product[row], quantity[row], price[row])
        })
    })
}

/// `station;temperature`, without a header.
pub fn weather_text(name: &str, count: usize) -> std::io::Result<()> {
    file(name, |out| {
        let Weather { station, temperature } = Weather::new(count);
        let each = station.iter().zip(&temperature);
        each.into_iter().try_for_each(|(station, temperature)| writeln!(out, "{station};{temperature:.1}"))
    })
}
