//! Kernels in Rust: rounds of the same work, with a result that does not depend on how many there are.

pub struct Kernel {
    pub name: &'static str,
    /// How much one round does.
    pub sizes: &'static [u64],
    /// The size of which one round takes about a microsecond, where 150 rounds were seen to take 149–152 times as long.
    pub microsecond: Option<u64>,
    /// One round: it sees its number `round`, the `size` and the `data`, and hides what it has computed from the
    /// compiler.
    round: &'static str,
}

pub static ALL: &[Kernel] = &[
    Kernel {
        name: "chain",
        sizes: &[20, 500, 5_000],
        microsecond: Some(850),
        round: "let mut x = round; for i in 0..size { x = (x ^ \
                i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23); } hide(x);",
    },
    Kernel {
        name: "roots",
        sizes: &[50, 1_000, 4_096],
        microsecond: Some(550),
        round: "hide(data.numbers[..size as usize].iter().map(|x| (*x as f64).sqrt()).sum::<f64>());",
    },
    Kernel {
        name: "collatz",
        sizes: &[5, 50, 500],
        microsecond: Some(65),
        round: "let mut steps = 0u64; for n in 1..=size { let mut x = hide(n); while x != 1 { x = if x % 2 == 0 { x \
                / 2 } else { 3 * x + 1 }; steps += 1; } } hide(steps);",
    },
    Kernel {
        name: "fibonacci",
        sizes: &[8, 12, 17],
        microsecond: Some(15),
        round: "fn fibonacci(n: u64) -> u64 { if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) } } \
                hide(fibonacci(hide(size)));",
    },
    Kernel {
        name: "branches",
        sizes: &[100, 1_000, 4_096],
        microsecond: None,
        round: "let mut sum = 0u64; for x in &data.numbers[..size as usize] { if (x >> 7) & 1 == round & 1 { sum ^= \
                x.leading_zeros() as u64; } else { sum = sum.wrapping_mul(31).wrapping_add(*x); } } hide(sum);",
    },
    Kernel {
        name: "matrix",
        sizes: &[4, 12, 32],
        microsecond: Some(14),
        round: "let n = size as usize; let a: Vec<f64> = (0..n * n).map(|i| i as f64).collect(); let mut c = \
                vec![0.0; n * n]; for i in 0..n { for k in 0..n { for j in 0..n { c[i * n + j] += a[i * n + k] * a[k \
                * n + j]; } } } hide(c);",
    },
    Kernel {
        name: "sort",
        sizes: &[16, 256, 2_048],
        microsecond: None,
        round: "let mut sorted = data.numbers[..size as usize].to_vec(); sorted.sort(); hide(sorted);",
    },
    Kernel {
        name: "search",
        sizes: &[10, 200, 2_000],
        microsecond: None,
        round: "let mut found = 0usize; for x in &data.numbers[..size as usize] { found += \
                data.sorted.binary_search(x).unwrap_or(0); } hide(found);",
    },
    Kernel {
        name: "hash",
        sizes: &[10, 100, 1_000],
        microsecond: None,
        round: "let mut seen = std::collections::HashMap::new(); for (i, x) in data.numbers[..size as \
                usize].iter().enumerate() { seen.insert(x % 1_000, i); } hide(seen);",
    },
    Kernel {
        name: "tree",
        sizes: &[10, 100, 1_000],
        microsecond: None,
        round: "let mut seen = std::collections::BTreeMap::new(); for (i, x) in data.numbers[..size as \
                usize].iter().enumerate() { seen.insert(*x, i); } hide(seen);",
    },
    Kernel {
        name: "boxes",
        sizes: &[5, 100, 1_000],
        microsecond: None,
        round: "struct Node { value: u64, next: Option<Box<Node>> } let mut list: Option<Box<Node>> = None; for i in \
                0..size { list = Some(Box::new(Node { value: i, next: list.take() })); } let mut sum = 0; while let \
                Some(node) = list { sum += node.value; list = node.next; } hide(sum);",
    },
    Kernel {
        name: "strings",
        sizes: &[5, 50, 500],
        microsecond: None,
        round: "let mut text = String::new(); for x in &data.numbers[..size as usize] { \
                text.push_str(&x.to_string()); text.push(' '); } hide(text);",
    },
    Kernel {
        name: "words",
        sizes: &[100, 2_000, 20_000],
        microsecond: None,
        round: "let mut longest = 0usize; let mut count = 0usize; for word in data.text[..size as \
                usize].split_whitespace() { longest = longest.max(word.len()); count += 1; } hide((longest, count));",
    },
    Kernel {
        name: "growth",
        sizes: &[10, 300, 5_000],
        microsecond: None,
        round: "let mut all = Vec::new(); for i in 0..size { all.push(i ^ round); } hide(all);",
    },
    Kernel {
        name: "copy",
        sizes: &[1_000, 64_000, 250_000],
        microsecond: None,
        round: "hide(data.bytes[..size as usize].to_vec());",
    },
    Kernel {
        name: "fill",
        sizes: &[100, 2_000, 20_000],
        microsecond: None,
        round: "let mut sieve = vec![true; size as usize]; let mut i = 2; while i * i < sieve.len() { if sieve[i] { \
                for j in (i * i..sieve.len()).step_by(i) { sieve[j] = false; } } i += 1; } hide(sieve);",
    },
    Kernel {
        name: "chase",
        sizes: &[20, 200, 2_000],
        microsecond: None,
        // Always one of 16 ways through the ring: more rounds must not need more of a cache.
        round: "let mut at = (round % 16) as usize; for _ in 0..size { at = data.ring[at] as usize; } hide(at);",
    },
];

/// A cell that makes what the kernels work on. The ring is one cycle through 4 MiB in random order.
pub fn data() -> String {
    let lines = [
        "%%rust",
        "pub struct Data { numbers: Vec<u64>, sorted: Vec<u64>, bytes: Vec<u8>, text: String, ring: Vec<u32> }",
        "pub fn make() -> Data {",
        "    let mut x = 42u64;",
        "    let mut next = move || {",
        "        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);",
        "        x >> 33",
        "    };",
        "    let numbers: Vec<u64> = (0..4096).map(|_| next()).collect();",
        "    let mut sorted = numbers.clone();",
        "    sorted.sort();",
        "    let bytes = (0..1 << 18).map(|i| i as u8).collect();",
        "    let text: String = numbers.iter().map(|x| format!(\"{} \", x % 100_000)).collect();",
        "    let mut ring: Vec<u32> = (0..1 << 20).collect();",
        "    for i in (1..ring.len()).rev() { ring.swap(i, next() as usize % i); }",
        "    Data { numbers, sorted, bytes, text, ring }",
        "}",
        "let data = make();",
        "%%",
    ];
    lines.join("\n")
}

impl Kernel {
    fn function(&self, name: &str) -> String {
        format!(
            "pub fn {name}(rounds: u64, size: u64, data: &Data) -> u64 {{ use std::hint::black_box as hide; \
             let _ = data; for round in 0..rounds {{ {} }} size }}",
            self.round
        )
    }

    /// A cell with the kernel as a function that blocks may call.
    pub fn cell(&self) -> String {
        format!("%%rust\n{}\n%%", self.function(self.name))
    }

    /// A block that does so many rounds. No two blocks are the same code, which the compiler would join: the number
    /// that comes and goes is another one at each place.
    pub fn block(&self, rounds: u64, size: u64, copied: bool, place: usize) -> String {
        let salt = 17 + place;
        let (definition, name) = if copied { (self.function("work"), "work") } else { (String::new(), self.name) };
        format!(
            "rust {{ {definition} {name}(std::hint::black_box({rounds}), std::hint::black_box({size}), &data) + \
             std::hint::black_box({salt}) - {salt} }}"
        )
    }
}
