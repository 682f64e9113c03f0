use crate::data::generate;

use super::Source;

pub static DICE: Source = Source {
    name: "dice",
    usage: "dice n [seed s]",
    about: "n throws of a die: random ints from 1 to 6",
    examples: &[("dice 60 seed 7 | agg least = min(it), most = max(it), n = count()", "least,most,n\n1,6,60\n")],
    rows: "throws",
    value: made_by!(Int, throw),
    compiled: None,
};

fn throw(seed: i64, row: u64) -> i64 {
    1 + ((u128::from(generate::mix(seed, row)) * 6) >> 64) as i64
}
