//! Something is made when it is first needed, by whoever needs it first.

use super::{Demo, Version, Versions};

pub static LAZY_INIT: Demo = Demo {
    name: "lazy",
    wrong: "an object is created twice, or used before it is complete",
    lesson: "checking, creating and publishing must be one step. A second check under the lock is enough only if \
             `ready` is stored with release: otherwise other processors may see `ready` before the data",
    program: r"made = 0, ready = 0
  ann: if load(ready) == 0 { fetch_add(made, 1); store(ready, 1) }
  bob: if load(ready) == 0 { fetch_add(made, 1); store(ready, 1) }
  check made == 1",
    versions: Versions::Programs(&[
        Version {
            name: "no lock",
            about: "checks whether it is there, then creates it",
            is_safe: false,
            program: r"made = 0, ready = 0
  ann: if load(ready) == 0 { fetch_add(made, 1); store(ready, 1) }
  bob: if load(ready) == 0 { fetch_add(made, 1); store(ready, 1) }
  check made == 1",
        },
        Version {
            name: "lock",
            about: "check and creation are one step",
            is_safe: true,
            program: r"made = 0, ready = 0
  ann: lock m { if ready == 0 { made += 1; ready = 1 } }
  bob: lock m { if ready == 0 { made += 1; ready = 1 } }
  check made == 1",
        },
        Version {
            name: "double-checked, plain",
            about: "checks without the lock, then again with it; plain stores",
            is_safe: false,
            program: r"made = 0, data = 0, ready = 0
  ann: if ready == 0 { lock m { if ready == 0 { made += 1; data = 42; ready = 1 } } }
       let saw = data
  bob: if ready == 0 { lock m { if ready == 0 { made += 1; data = 42; ready = 1 } } }
       let saw = data
  check made == 1 and ann.saw == 42 and bob.saw == 42",
        },
        Version {
            name: "double-checked, release",
            about: "the same, and `ready` is stored with release",
            is_safe: true,
            program: r"made = 0, data = 0, ready = 0
  ann: if load(ready, acquire) == 0 {
         lock m { if load(ready) == 0 { made += 1; data = 42; store(ready, 1, release) } }
       }
       let saw = data
  bob: if load(ready, acquire) == 0 {
         lock m { if load(ready) == 0 { made += 1; data = 42; store(ready, 1, release) } }
       }
       let saw = data
  check made == 1 and ann.saw == 42 and bob.saw == 42",
        },
    ]),
};
