//! A family as the text of a program that counts what its variants do.

/// What stands beside the file of the family.
const BESIDE: &str = include_str!("beside.rs");
const CLASS: &str = include_str!("../../measure/growth/class.rs");
const RANDOM: &str = include_str!("../random.rs");
const GENERATE: &str = include_str!("../../data/generate.rs");

/// The program of a family's file. It answers lines `variant shape size seed`.
pub fn program(file: &str) -> Option<String> {
    let (_, rest) = file.split_once("pub static ")?;
    let (name, _) = rest.split_once(':')?;
    // The file holds its own text, which nobody asks for there.
    let (before, rest) = file.split_once("include_str!(")?;
    let (_, after) = rest.split_once(')')?;
    let family = format!("{before}\"\"{after}");
    // What was put in is not looked at again.
    let parts = [("STATIC", name), ("GENERATE", GENERATE), ("CLASS", CLASS), ("RANDOM", RANDOM), ("FAMILY", &family)];
    let mut text = String::with_capacity(BESIDE.len() + CLASS.len() + RANDOM.len() + GENERATE.len() + family.len());
    for line in BESIDE.split_inclusive('\n') {
        let word = line.trim();
        match parts.iter().find(|(name, _)| *name == word) {
            Some((_, part)) => text.extend(part.split_inclusive('\n').filter(|line| !line.starts_with("//!"))),
            None => text.push_str(&line.replace("STATIC", name)),
        }
    }
    Some(text)
}
