//! Two polite threads step aside for each other for ever.

use super::{Demo, Version, Versions};

pub static LIVELOCK: Demo = Demo {
    name: "livelock",
    wrong: "all threads run, but none makes progress",
    lesson: "two threads that step aside for each other can do so forever. Give one of them priority, or let them \
             wait for different times",
    program: r"a = 1, b = 1
  ann: while load(b) == 1 { store(a, 0); store(a, 1) }
       store(a, 0)
  bob: while load(a) == 1 { store(b, 0); store(b, 1) }
       store(b, 0)",
    versions: Versions::Programs(&[
        Version {
            name: "polite",
            about: "each steps aside as long as it sees the other one",
            is_safe: false,
            program: r"a = 1, b = 1
  ann: while load(b) == 1 { store(a, 0); store(a, 1) }
       store(a, 0)
  bob: while load(a) == 1 { store(b, 0); store(b, 1) }
       store(b, 0)",
        },
        Version {
            name: "try_lock and back off",
            about: "gives its first lock back if the second one is taken, and tries again",
            is_safe: false,
            program: r"x = 0
  ann: let done = false
       while not done {
         lock m
         if try_lock(n) { fetch_add(x, 1); done = true; unlock n }
         unlock m
       }
  bob: let done = false
       while not done {
         lock n
         if try_lock(m) { fetch_add(x, 1); done = true; unlock m }
         unlock n
       }
  check x == 2",
        },
        Version {
            name: "priority",
            about: "one of them goes first",
            is_safe: true,
            program: r"a = 1, b = 1
  ann: while load(b) == 1 { yield }
       store(a, 0)
  bob: store(b, 0)",
        },
    ]),
};
