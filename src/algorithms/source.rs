//! Cuts a function out of the text of a file, as it was written. It relies on rustfmt: what stands at the first column
//! begins or ends an item.

/// The function `name`, then all items of the file that it calls or names, and that these do, in the order of the file.
pub fn cut<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let items = items(text);
    let first = items.iter().position(|item| item.function && item.name == name)?;
    let mut wanted = vec![first];
    let mut looked_at = 0;
    while looked_at < wanted.len() {
        let code = items[wanted[looked_at]].code();
        let named = (0..items.len()).filter(|i| items[*i].is_named_in(&code));
        let more: Vec<usize> = named.filter(|i| !wanted.contains(i)).collect();
        wanted.extend(more);
        looked_at += 1;
    }
    wanted[1..].sort_unstable();
    Some(wanted.into_iter().map(|i| items[i].text.trim_end()).collect())
}

/// A function, a type, its methods or a constant at the top of a file.
struct Item<'a> {
    name: &'a str,
    function: bool,
    /// With the comments over it.
    text: &'a str,
}

impl Item<'_> {
    /// The text without comments.
    fn code(&self) -> String {
        let lines = self.text.lines().map(|line| line.split("//").next().unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Whether the name stands in `code` as a whole word; that of a function where it is called or is an argument.
    fn is_named_in(&self, code: &str) -> bool {
        let inside = |c: char| c == '_' || c.is_alphanumeric();
        code.match_indices(self.name).any(|(at, _)| {
            let (before, after) = (&code[..at], &code[at + self.name.len()..]);
            let argument = before.ends_with(['(', ' ']) && after.starts_with(')');
            let fits = !self.function || after.starts_with('(') || argument;
            fits && !after.starts_with(inside) && !before.ends_with(|c| inside(c) || c == '.')
        })
    }
}

fn items(text: &str) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    let (mut at, mut start, mut head) = (0, 0, None);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let bare = line.trim_end();
        let comment = bare.starts_with("//") || bare.starts_with("#[");
        if head.is_none() && bare.is_empty() {
            start = end;
        } else if !bare.is_empty() && !bare.starts_with(' ') && !comment {
            let first = *head.get_or_insert(bare);
            if bare.ends_with(['}', ';']) {
                if let Some((name, function)) = name_of(first) {
                    items.push(Item { name, function, text: &text[start..end] });
                }
                (start, head) = (end, None);
            }
        }
        at = end;
    }
    items
}

/// The name in the first line of an item, and whether it is a function's.
fn name_of(line: &str) -> Option<(&str, bool)> {
    let (kind, rest) = line.strip_prefix("pub ").unwrap_or(line).split_once(' ')?;
    let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
    let known = matches!(kind, "fn" | "const" | "struct" | "enum" | "type" | "impl");
    known.then_some((&rest[..end], kind == "fn"))
}
