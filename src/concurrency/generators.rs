//! Generators: functions that give several values, one at a time, and go on where they stopped. Rust has none that are
//! stable; an `async` function that waits after each value is one.

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What a generator did in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Yields(i64),
    Returns(i64),
}

/// Hands values out of a generator.
#[derive(Default)]
struct Hand(Cell<Option<i64>>);

impl Hand {
    /// Gives a value, and waits until somebody asks for the next one.
    async fn yields(&self, value: i64) {
        self.0.set(Some(value));
        std::future::poll_fn(|_| if self.0.get().is_none() { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

async fn counts(hand: &Hand) -> i64 {
    let mut sum = 0;
    for value in 1..=3 {
        hand.yields(value).await;
        sum += value;
    }
    sum
}

async fn delegates(hand: &Hand) -> i64 {
    hand.yields(0).await;
    let sum = counts(hand).await;
    hand.yields(100).await;
    sum
}

/// The generators by name: one that yields and returns, and one that delegates to it, as `yield from` does.
pub fn all() -> Vec<(&'static str, Vec<Step>)> {
    let (one, other) = (Hand::default(), Hand::default());
    vec![("counts", steps(&one, counts(&one))), ("delegates", steps(&other, delegates(&other)))]
}

/// Asks a generator for its values, one after the other. No event loop is needed: it never waits for anything else.
fn steps(hand: &Hand, generator: impl Future<Output = i64>) -> Vec<Step> {
    let mut generator = pin!(generator);
    let mut context = Context::from_waker(Waker::noop());
    let mut steps = Vec::new();
    loop {
        match generator.as_mut().poll(&mut context) {
            Poll::Ready(value) => {
                steps.push(Step::Returns(value));
                return steps;
            }
            Poll::Pending => steps.extend(hand.0.take().map(Step::Yields)),
        }
    }
}

/// How the generators are written.
pub fn source() -> &'static str {
    let text = include_str!("generators.rs");
    let start = text.find("async fn counts").unwrap_or(0);
    let end = text.find("/// The generators by name").unwrap_or(text.len());
    text[start..end].trim_end()
}
