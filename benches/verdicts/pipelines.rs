//! Pipelines whose result does not depend on how many rows they have, so that variants of more rows give the same.

pub struct Pipeline {
    pub name: &'static str,
    /// With `{n}` in the place of the number of rows.
    text: &'static str,
    /// Engines that object to it.
    pub not_on: &'static [&'static str],
}

pub static ALL: &[Pipeline] = &[
    Pipeline { name: "arithmetic", text: "1..{n} | map it * it % 7 | max", not_on: &[] },
    Pipeline { name: "filter", text: "1..{n} | filter it % 3 == 1 | min", not_on: &[] },
    Pipeline { name: "columns", text: "1..{n} | map x = it % 100, y = it % 10 | map x * y + x | max", not_on: &[] },
    Pipeline { name: "floats", text: "random {n} seed 3 | map sqrt(it) * 0.0 | max", not_on: &[] },
    Pipeline { name: "text", text: "letters {n} seed 7 | map lower(it) | max", not_on: &[] },
    Pipeline { name: "join-text", text: "letters {n} seed 7 | map it + upper(it) | max", not_on: &[] },
    Pipeline { name: "groups", text: "1..{n} | count by it % 97 | count", not_on: &[] },
    Pipeline { name: "distinct", text: "1..{n} | map it % 1000 | distinct | count", not_on: &[] },
    Pipeline { name: "sort", text: "letters {n} seed 7 | sort by it desc | take 1", not_on: &[] },
    Pipeline {
        name: "join",
        text: "1..{n} | map k = it % 50 | join (0..50 | map k = it, v = it * 2) on k | map v | max",
        not_on: &[],
    },
    Pipeline { name: "fold", text: "1..{n} | fold 0 (acc + it) % 1", not_on: &["polars"] },
];

impl Pipeline {
    pub fn text(&self, rows: u64) -> String {
        self.text.replace("{n}", &rows.to_string())
    }
}

/// A number of rows. Where time is to grow with the rows, what a run costs without any must not count.
pub fn rows(engine: &str, same: bool, random: &mut fastrand::Rng) -> u64 {
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
