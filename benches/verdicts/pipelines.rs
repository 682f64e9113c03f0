//! Pipelines whose result does not depend on how much they do, so that variants that do more give the same.

pub struct Pipeline {
    pub name: &'static str,
    /// With `{n}` in the place of the number of rows, and `{terms}` in that of a sum.
    text: &'static str,
    /// One of the summands, with `{k}` in the place of its number: more of them are more work on the same rows.
    term: Option<&'static str>,
    /// Whether it needs all rows in order, so that parallel engines object to it.
    pub in_order: bool,
}

pub static ALL: &[Pipeline] = &[
    of_rows("arithmetic", "1..{n} | map it * it % 7 | max"),
    of_rows("filter", "1..{n} | filter it % 3 == 1 | min"),
    of_rows("columns", "1..{n} | map x = it % 100, y = it % 10 | map x * y + x | max"),
    of_rows("floats", "random {n} seed 3 | map sqrt(it) * 0.0 | max"),
    of_rows("text", "letters {n} seed 7 | map lower(it) | max"),
    of_rows("join-text", "letters {n} seed 7 | map it + upper(it) | max"),
    of_rows("groups", "1..{n} | count by it % 97 | count"),
    of_rows("distinct", "1..{n} | map it % 1000 | distinct | count"),
    of_rows("sort", "letters {n} seed 7 | sort by it desc | take 1"),
    of_rows("join", "1..{n} | map k = it % 50 | join (0..50 | map k = it, v = it * 2) on k | map v | max"),
    Pipeline { in_order: true, ..of_rows("fold", "1..{n} | fold 0 (acc + it) % 1") },
    of_terms("remainders", "1..{n} | map ({terms}) % 1 | max", "it * {k} % 7"),
    of_terms("roots", "random {n} seed 3 | map ({terms}) * 0.0 | max", "sqrt(it + {k})"),
    of_terms("searches", "letters {n} seed 7 | map ({terms}) | max", "int(contains(it, \"{k}\"))"),
];

const fn of_rows(name: &'static str, text: &'static str) -> Pipeline {
    Pipeline { name, text, term: None, in_order: false }
}

const fn of_terms(name: &'static str, text: &'static str, term: &'static str) -> Pipeline {
    Pipeline { name, text, term: Some(term), in_order: false }
}

/// How much a variant does.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub rows: u64,
    pub terms: u64,
}

impl Pipeline {
    /// Whether a variant that does some percent more takes so much longer. polars chooses its way by the number of
    /// rows: 510,000 took less CPU time than 500,000. Compiled searches in single letters take less than the letters.
    pub fn grows_evenly(&self, engine: &str) -> bool {
        match engine {
            "polars" => self.term.is_some(),
            "native" => self.name != "searches",
            _ => true,
        }
    }

    pub fn text(&self, size: Size) -> String {
        let term = self.term.unwrap_or_default();
        let terms: Vec<String> = (1..=size.terms).map(|k| term.replace("{k}", &k.to_string())).collect();
        self.text.replace("{n}", &size.rows.to_string()).replace("{terms}", &terms.join(" + "))
    }

    /// The sizes of two variants, the second of which does so many percent more.
    pub fn sizes(&self, engine: &str, more: u64, random: &mut fastrand::Rng) -> [Size; 2] {
        let rows = rows(engine, more == 0, random);
        if self.term.is_none() {
            return [Size { rows, terms: 0 }, Size { rows: rows * (100 + more) / 100, terms: 0 }];
        }
        let terms = if more == 0 { 10 } else { (100 / more).max(10) };
        let rows = (rows / terms).max(2_000);
        [Size { rows, terms }, Size { rows, terms: terms * (100 + more) / 100 }]
    }
}

/// A number of rows. Where time is to grow with the rows, what a run costs without any must not count.
fn rows(engine: &str, same: bool, random: &mut fastrand::Rng) -> u64 {
    let sizes: &[u64] = match (engine, same) {
        ("rows", true) => &[2_000, 10_000, 50_000],
        ("rows", false) => &[10_000, 50_000],
        ("polars", true) => &[2_000, 50_000, 500_000],
        ("polars", false) => &[500_000, 1_000_000],
        (_, true) => &[2_000, 50_000, 500_000],
        (_, false) => &[200_000, 500_000],
    };
    random.choice(sizes).copied().expect("there are sizes")
}
