//! The torn print: two threads write a line and its end apart.

use super::{Demo, Version, Versions};

pub static TORN_PRINT: Demo = Demo {
    name: "print",
    wrong: "lines of output run into each other",
    lesson: "each write is one step, but a line is two. Write it at once, or hold a lock for the whole line",
    program: r"out = [0, 0, 0, 0], n = 0
  ann: let p = fetch_add(n, 1); out[p] = 1
       let q = fetch_add(n, 1); out[q] = 9
  bob: let p = fetch_add(n, 1); out[p] = 2
       let q = fetch_add(n, 1); out[q] = 9
  check out[1] == 9 and out[3] == 9",
    versions: Versions::Programs(&[
        Version {
            name: "two writes",
            about: "a line, then its end (9)",
            is_safe: false,
            program: r"out = [0, 0, 0, 0], n = 0
  ann: let p = fetch_add(n, 1); out[p] = 1
       let q = fetch_add(n, 1); out[q] = 9
  bob: let p = fetch_add(n, 1); out[p] = 2
       let q = fetch_add(n, 1); out[q] = 9
  check out[1] == 9 and out[3] == 9",
        },
        Version {
            name: "one write",
            about: "line and end at once",
            is_safe: true,
            program: r"out = [0, 0, 0, 0], n = 0
  ann: let p = fetch_add(n, 2); out[p] = 1; out[p + 1] = 9
  bob: let p = fetch_add(n, 2); out[p] = 2; out[p + 1] = 9
  check out[1] == 9 and out[3] == 9",
        },
        Version {
            name: "line lock",
            about: "a lock from the line to its end",
            is_safe: true,
            program: r"out = [0, 0, 0, 0], n = 0
  ann: lock line {
         let p = fetch_add(n, 1); out[p] = 1
         let q = fetch_add(n, 1); out[q] = 9
       }
  bob: lock line {
         let p = fetch_add(n, 1); out[p] = 2
         let q = fetch_add(n, 1); out[q] = 9
       }
  check out[1] == 9 and out[3] == 9",
        },
    ]),
};
