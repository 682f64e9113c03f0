//! A torn total: somebody adds up two accounts while money moves between them.

use super::{Demo, Version, Versions};

pub static TORN_TOTAL: Demo = Demo {
    name: "total",
    wrong: "a total is read while money is on its way",
    lesson: "a reader needs the lock as much as a writer: a lock that only the writer takes protects nothing",
    program: r"a = 50, b = 50
  move:  a -= 10; b += 10
  audit: let total = a + b
  check audit.total == 100",
    versions: Versions::Programs(&[
        Version {
            name: "no lock",
            about: "reads both accounts while money moves",
            is_safe: false,
            program: r"a = 50, b = 50
  move:  a -= 10; b += 10
  audit: let total = a + b
  check audit.total == 100",
        },
        Version {
            name: "lock of the writer",
            about: "only the thread that moves money takes the lock",
            is_safe: false,
            program: r"a = 50, b = 50
  move:  lock m { a -= 10; b += 10 }
  audit: let total = a + b
  check audit.total == 100",
        },
        Version {
            name: "lock of both",
            about: "reader and writer take it",
            is_safe: true,
            program: r"a = 50, b = 50
  move:  lock m { a -= 10; b += 10 }
  audit: lock m { let total = a + b }
  check audit.total == 100",
        },
        Version {
            name: "sequence lock",
            about: "the writer counts up before and after; the reader tries again if it was disturbed",
            is_safe: true,
            program: r"a = 50, b = 50, version = 0
  move:  fetch_add(version, 1)
         store(a, load(a) - 10, relaxed)
         store(b, load(b) + 10, relaxed)
         fetch_add(version, 1)
  audit: let ok = false
         while not ok {
           let before = load(version)
           let total = load(a) + load(b)
           ok = before % 2 == 0 and load(version) == before
         }
  check audit.total == 100",
        },
    ]),
};
