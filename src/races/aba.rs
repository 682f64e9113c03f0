//! A stack of indexes without locks: `top` is what it was, and yet everything has changed.

use super::{Demo, Version, Versions};

pub static ABA: Demo = Demo {
    name: "aba",
    wrong: "a compare-and-swap succeeds because a value came back",
    lesson: "compare-and-swap checks that the value is the same, not that nothing happened. A counter beside the \
             value, changed by every operation, tells the two apart",
    program: r"top = 0, next = [1, 2, 3, 3]
  slow:  let t = load(top); let n = load(next[t])
         cas(top, t, n)
  quick: let took = false
         let a = load(top)
         if cas(top, a, load(next[a])) {
           let b = load(top)
           if cas(top, b, load(next[b])) {
             took = true
             let c = load(top)
             store(next[a], c)
             cas(top, c, a)
           }
         }
  check not quick.took or top != quick.b",
    versions: Versions::Programs(&[
        Version {
            name: "index only",
            about: "`slow` reads the top and its successor; meanwhile `quick` takes two and puts the first back",
            is_safe: false,
            program: r"top = 0, next = [1, 2, 3, 3]
  slow:  let t = load(top); let n = load(next[t])
         cas(top, t, n)
  quick: let took = false
         let a = load(top)
         if cas(top, a, load(next[a])) {
           let b = load(top)
           if cas(top, b, load(next[b])) {
             took = true
             let c = load(top)
             store(next[a], c)
             cas(top, c, a)
           }
         }
  check not quick.took or top != quick.b",
        },
        Version {
            name: "index and counter",
            about: "`top` is ten times a counter plus the index",
            is_safe: true,
            program: r"top = 0, next = [1, 2, 3, 3]
  slow:  let t = load(top); let n = load(next[t % 10])
         cas(top, t, (t // 10 + 1) * 10 + n)
  quick: let took = false
         let a = load(top)
         if cas(top, a, (a // 10 + 1) * 10 + load(next[a % 10])) {
           let b = load(top)
           if cas(top, b, (b // 10 + 1) * 10 + load(next[b % 10])) {
             took = true
             let c = load(top)
             store(next[a % 10], c % 10)
             cas(top, c, (c // 10 + 1) * 10 + a % 10)
           }
         }
  check not quick.took or top % 10 != quick.b % 10",
        },
    ]),
};
