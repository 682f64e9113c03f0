use std::collections::{HashMap, HashSet};

use crate::data::{Order, Type, Value};

use super::Class::{Linear, Quadratic};
use super::{Facts, Random, Shape, Typed, column, variant};

/// The result: groups of two words or more, each as the places of its words, ascending.
pub static ANAGRAMS: Typed<[String], Vec<Vec<usize>>> = Typed {
    facts: Facts {
        name: "anagrams",
        about: "the groups of words that have the same letters",
        counts: "words",
        sizes: &[100, 200, 400, 800, 1_600, 3_200],
        stages: Some("group by key = sorted(word) | filter len(word) > 1 | map group = word"),
        text: include_str!("anagrams.rs"),
    },
    shapes: &[
        Shape { name: "mixed", about: "a third of the words are anagrams of earlier ones", make: mixed },
        Shape { name: "none", about: "no two words have the same letters", make: none },
        Shape { name: "one_group", about: "all words are anagrams of each other", make: one_group },
    ],
    variants: &[
        variant("pairs", "counts the letters of both words for each pair", Quadratic, Linear, 10_000, pairs)
            .except(&[("one_group", Linear)]),
        variant("pairs_counted", "the same, counted once for each word", Quadratic, Linear, 30_000, pairs_counted)
            .except(&[("one_group", Linear)]),
        variant("sorted_key", "a hash map, by the letters in order", Linear, Linear, 1_000_000, sorted_key),
        variant("count_key", "a hash map, by how often each letter occurs", Linear, Linear, 1_000_000, count_key),
    ],
    input: |words| column("word", Type::Text, Order::Kept, words.iter().map(|word| Value::text(word)).collect()),
    output: |words, groups| {
        let list = |group: &Vec<usize>| Value::List(group.iter().map(|i| Value::text(&words[*i])).collect());
        column("group", Type::list(Type::Text), Order::Lost, groups.iter().map(list).collect())
    },
};

fn mixed(n: usize, rng: &mut Random) -> Box<[String]> {
    let mut words: Vec<String> = Vec::with_capacity(n);
    let mut seen = HashSet::new();
    while words.len() < n {
        let word = if !words.is_empty() && rng.one_in(3) {
            let earlier = rng.below(words.len());
            shuffled(&words[earlier], rng)
        } else {
            made_word(rng)
        };
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words.into_boxed_slice()
}

fn none(n: usize, rng: &mut Random) -> Box<[String]> {
    let mut words = Vec::with_capacity(n);
    let mut seen = HashSet::new();
    while words.len() < n {
        let word = made_word(rng);
        if seen.insert(letters_in_order(&word)) {
            words.push(word);
        }
    }
    words.into_boxed_slice()
}

fn one_group(n: usize, rng: &mut Random) -> Box<[String]> {
    let mut words = Vec::with_capacity(n);
    let mut seen = HashSet::new();
    while words.len() < n {
        let word = shuffled("trampolines", rng);
        if seen.insert(word.clone()) {
            words.push(word);
        }
    }
    words.into_boxed_slice()
}

/// Three to ten letters, every second one a vowel.
fn made_word(rng: &mut Random) -> String {
    const SOUNDS: [&[u8]; 2] = [b"bcdfghjklmnpqrstvwxyz", b"aeiou"];
    let (length, first) = (3 + rng.below(8), rng.below(2));
    let mut letter = |i: usize| {
        let sounds = SOUNDS[(first + i) % 2];
        char::from(sounds[rng.below(sounds.len())])
    };
    (0..length).map(&mut letter).collect()
}

fn shuffled(word: &str, rng: &mut Random) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    rng.shuffle(&mut letters);
    letters.into_iter().collect()
}

fn pairs(words: &[String]) -> Vec<Vec<usize>> {
    let mut grouped = vec![false; words.len()];
    let mut groups = Vec::new();
    for i in 0..words.len() {
        if grouped[i] {
            continue;
        }
        let mut group = vec![i];
        for j in i + 1..words.len() {
            if !grouped[j] && counts(&words[i]) == counts(&words[j]) {
                grouped[j] = true;
                group.push(j);
            }
        }
        if group.len() > 1 {
            groups.push(group);
        }
    }
    groups
}

fn pairs_counted(words: &[String]) -> Vec<Vec<usize>> {
    let counted: Vec<[u8; 26]> = words.iter().map(|word| counts(word)).collect();
    let mut grouped = vec![false; words.len()];
    let mut groups = Vec::new();
    for i in 0..words.len() {
        if grouped[i] {
            continue;
        }
        let mut group = vec![i];
        for j in i + 1..words.len() {
            if !grouped[j] && counted[i] == counted[j] {
                grouped[j] = true;
                group.push(j);
            }
        }
        if group.len() > 1 {
            groups.push(group);
        }
    }
    groups
}

fn sorted_key(words: &[String]) -> Vec<Vec<usize>> {
    let mut groups: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
    for (i, word) in words.iter().enumerate() {
        groups.entry(letters_in_order(word)).or_default().push(i);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

fn count_key(words: &[String]) -> Vec<Vec<usize>> {
    let mut groups: HashMap<[u8; 26], Vec<usize>> = HashMap::new();
    for (i, word) in words.iter().enumerate() {
        groups.entry(counts(word)).or_default().push(i);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}

fn letters_in_order(word: &str) -> Vec<u8> {
    let mut letters = word.as_bytes().to_vec();
    letters.sort_unstable();
    letters
}

/// How often each of a–z occurs.
fn counts(word: &str) -> [u8; 26] {
    let mut counts = [0; 26];
    for letter in word.bytes() {
        counts[usize::from(letter - b'a')] += 1;
    }
    counts
}
