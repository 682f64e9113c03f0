use crate::data::generate;

use super::Source;

pub static LETTERS: Source = Source {
    name: "letters",
    usage: "letters n [seed s]",
    about: "n random letters a–z A–Z",
    examples: &[("letters 5 seed 7", "it\nR\nM\nR\no\nG\n")],
    rows: "letters",
    value: made_by!(Char, generate::letter),
    compiled: Some("letter"),
};
