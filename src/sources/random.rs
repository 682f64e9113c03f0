use crate::data::generate;

use super::Source;

pub static RANDOM: Source = Source {
    name: "random",
    usage: "random n [seed s]",
    about: "n random floats in [0, 1)",
    examples: &[("random 3 seed 7", "it\n0.8314423694173285\n0.7380940462440627\n0.8414270331927484\n")],
    rows: "floats",
    value: made_by!(Float, generate::unit),
    compiled: Some("unit"),
};
