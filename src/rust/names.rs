//! Types by names that can be written: what a program calls its types goes through modules that nobody may name.

/// Modules of the standard library's own that are public, beside those at its root.
const INNER: [&str; 13] = [
    "sync::atomic",
    "sync::mpsc",
    "collections::hash_map",
    "collections::hash_set",
    "collections::btree_map",
    "collections::btree_set",
    "collections::binary_heap",
    "collections::vec_deque",
    "collections::linked_list",
    "os::fd",
    "os::unix",
    "task::wake",
    "str::pattern",
];

/// A type's name as `std::any::type_name` gives it, as one that can be written.
pub fn nameable(name: &str) -> String {
    each_path(name, path)
}

/// A type's name, and others that may be public where it is not: a crate often shows at its root what stands in modules
/// of its own.
pub fn spellings(name: &str) -> Vec<String> {
    const MOST: usize = 32;
    let mut private: Vec<String> = Vec::new();
    each_path(name, |path| {
        let parts: Vec<&str> = path.split("::").collect();
        if parts.len() > 2 && !matches!(parts[0], "std" | "core" | "alloc") && !private.contains(&path.to_string()) {
            private.push(path.to_string());
        }
        path.to_string()
    });
    let mut all = vec![name.to_string()];
    for path in private {
        let parts: Vec<&str> = path.split("::").collect();
        let last = parts[parts.len() - 1];
        let others: Vec<String> = (1..parts.len() - 1).map(|n| format!("{}::{last}", parts[..n].join("::"))).collect();
        let replaced = |spelling: &String| {
            let with =
                |other: &String| each_path(spelling, |found| if found == path { other } else { found }.to_string());
            others.iter().map(with).collect::<Vec<String>>()
        };
        let more: Vec<String> = all.iter().flat_map(replaced).collect();
        all.extend(more);
        all.truncate(MOST);
    }
    all
}

/// A type's name as people read it: the last part of each path.
pub fn short(name: &str) -> String {
    each_path(&name.replace("{{closure}}::", ""), |path| path.rsplit("::").next().unwrap_or_default().to_string())
}

/// A name with each of its paths changed.
fn each_path(name: &str, mut change: impl FnMut(&str) -> String) -> String {
    let in_path = |c: char| c == '_' || c == ':' || c.is_alphanumeric();
    let mut out = String::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let end = if in_path(c) { rest.find(|c| !in_path(c)).unwrap_or(rest.len()) } else { c.len_utf8() };
        let piece = &rest[..end];
        if in_path(c) {
            out.push_str(&change(piece))
        } else {
            out.push(c)
        }
        rest = &rest[end..];
    }
    out
}

fn path(path: &str) -> String {
    let parts: Vec<&str> = path.split("::").collect();
    match &parts[..] {
        // The crate that cells are compiled as.
        ["ctx", rest @ ..] => rest.join("::"),
        ["std" | "core" | "alloc", "collections", tree @ ("btree" | "hash"), kind @ ("map" | "set"), .., last] => {
            let module = if *tree == "btree" { "btree" } else { "hash" };
            format!("std::collections::{module}_{kind}::{last}")
        }
        ["std" | "core" | "alloc", module, rest @ .., last] => {
            let inner = rest.first().map(|inner| format!("{module}::{inner}"));
            match inner.filter(|inner| INNER.contains(&inner.as_str())) {
                Some(inner) => format!("std::{inner}::{last}"),
                None => format!("std::{module}::{last}"),
            }
        }
        _ => path.to_string(),
    }
}
