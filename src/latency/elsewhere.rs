//! What is beyond one machine: published numbers alone.

use super::{Group, Probe, Published, dean};

pub static ELSEWHERE: Group = Group {
    name: "elsewhere",
    about: "what cannot be measured here: published only",
    probes: &[
        Probe {
            name: "round trip in a data centre",
            about: "to another machine there",
            published: dean(500e-6),
            in_chart: true,
            run: None,
        },
        Probe { name: "disk seek", about: "on a spinning disk", published: dean(10e-3), in_chart: true, run: None },
        Probe {
            name: "round trip California – Netherlands",
            about: "across a continent and an ocean",
            published: dean(150e-3),
            in_chart: true,
            run: None,
        },
        Probe {
            name: "memory of a GPU",
            about: "an access to the global memory of a graphics processor",
            published: Some(Published { seconds: 200e-9, year: 2021, source: "Dive into Deep Learning" }),
            in_chart: true,
            run: None,
        },
    ],
};
