//! Two threads take two locks in opposite order.

use super::{Demo, Version, Versions};

pub static DEADLOCK: Demo = Demo {
    name: "deadlock",
    wrong: "each thread waits for the lock that the other one holds",
    lesson: "a cycle of waiting needs two orders. Take locks in the same order everywhere, or use only one lock",
    program: r"x = 0
  a: lock m { lock n { x += 1 } }
  b: lock n { lock m { x += 1 } }
  check x == 2",
    versions: Versions::Programs(&[
        Version {
            name: "opposite order",
            about: "one takes m then n, the other n then m",
            is_safe: false,
            program: r"x = 0
  a: lock m { lock n { x += 1 } }
  b: lock n { lock m { x += 1 } }
  check x == 2",
        },
        Version {
            name: "same order",
            about: "both take m then n",
            is_safe: true,
            program: r"x = 0
  a: lock m { lock n { x += 1 } }
  b: lock m { lock n { x += 1 } }
  check x == 2",
        },
        Version {
            name: "one lock",
            about: "there is no second one to wait for",
            is_safe: true,
            program: r"x = 0
  a: lock m { x += 1 }
  b: lock m { x += 1 }
  check x == 2",
        },
        Version {
            name: "philosophers",
            about: "three at a table, each takes the left fork, then the right one",
            is_safe: false,
            program: r"meals = 0
  ann: lock f1 { lock f2 { fetch_add(meals, 1) } }
  bob: lock f2 { lock f3 { fetch_add(meals, 1) } }
  cat: lock f3 { lock f1 { fetch_add(meals, 1) } }
  check meals == 3",
        },
        Version {
            name: "philosophers, ordered",
            about: "the last one takes the fork with the lower number first",
            is_safe: true,
            program: r"meals = 0
  ann: lock f1 { lock f2 { fetch_add(meals, 1) } }
  bob: lock f2 { lock f3 { fetch_add(meals, 1) } }
  cat: lock f1 { lock f3 { fetch_add(meals, 1) } }
  check meals == 3",
        },
    ]),
};
