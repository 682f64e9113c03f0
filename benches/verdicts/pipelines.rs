//! Pipelines whose result does not depend on how many rows they have, so that variants of more rows give the same.

pub struct Pipeline {
    pub name: &'static str,
    /// With `{n}` in the place of the number of rows.
    text: &'static str,
    /// Whether it needs all rows in order, so that parallel engines object to it.
    pub in_order: bool,
}

pub static ALL: &[Pipeline] = &[
    Pipeline { name: "arithmetic", text: "1..{n} | map it * it % 7 | max", in_order: false },
    Pipeline { name: "filter", text: "1..{n} | filter it % 3 == 1 | min", in_order: false },
    Pipeline { name: "columns", text: "1..{n} | map x = it % 100, y = it % 10 | map x * y + x | max", in_order: false },
    Pipeline { name: "floats", text: "random {n} seed 3 | map sqrt(it) * 0.0 | max", in_order: false },
    Pipeline { name: "text", text: "letters {n} seed 7 | map lower(it) | max", in_order: false },
    Pipeline { name: "join-text", text: "letters {n} seed 7 | map it + upper(it) | max", in_order: false },
    Pipeline { name: "groups", text: "1..{n} | count by it % 97 | count", in_order: false },
    Pipeline { name: "distinct", text: "1..{n} | map it % 1000 | distinct | count", in_order: false },
    Pipeline { name: "sort", text: "letters {n} seed 7 | sort by it desc | take 1", in_order: false },
    Pipeline {
        name: "join",
        text: "1..{n} | map k = it % 50 | join (0..50 | map k = it, v = it * 2) on k | map v | max",
        in_order: false,
    },
    Pipeline { name: "fold", text: "1..{n} | fold 0 (acc + it) % 1", in_order: true },
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
