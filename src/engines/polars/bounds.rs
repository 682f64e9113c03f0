//! Between which ints a value lies, so far as a plan tells: where no operator can leave 64 bits, none needs a check.

use crate::lang::Operator;

/// Both ends belong to it. Of a value that is no int it says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    pub least: i128,
    pub largest: i128,
}

/// Any int.
pub const ANY: Bounds = Bounds { least: i64::MIN as i128, largest: i64::MAX as i128 };

impl Bounds {
    pub fn new(least: impl Into<i128>, largest: impl Into<i128>) -> Bounds {
        Bounds { least: least.into(), largest: largest.into() }
    }

    pub fn one(value: i64) -> Bounds {
        Bounds::new(value, value)
    }

    /// The least that holds both.
    pub fn with(self, other: Bounds) -> Bounds {
        Bounds::new(self.least.min(other.least), self.largest.max(other.largest))
    }

    /// Whether all of it are ints.
    pub fn fits(self) -> bool {
        self.least >= ANY.least && self.largest <= ANY.largest
    }

    /// What is left of it among the ints.
    pub fn clipped(self) -> Bounds {
        let clip = |x: i128| x.clamp(ANY.least, ANY.largest);
        Bounds::new(clip(self.least), clip(self.largest))
    }

    pub fn negated(self) -> Bounds {
        Bounds::new(-self.largest, -self.least)
    }

    pub fn absolute(self) -> Bounds {
        let least = if self.least <= 0 && self.largest >= 0 { 0 } else { self.least.abs().min(self.largest.abs()) };
        Bounds::new(least, self.least.abs().max(self.largest.abs()))
    }

    /// The sum of at most `rows` values.
    pub fn summed(self, rows: Option<u64>) -> Option<Bounds> {
        let rows = i128::from(rows?);
        Some(Bounds::new(self.least.min(0).checked_mul(rows)?, self.largest.max(0).checked_mul(rows)?))
    }

    /// Where `self operator other` lies; none where it may have no value.
    pub fn operated(self, operator: Operator, other: Bounds) -> Option<Bounds> {
        let corners = |of: fn(i128, i128) -> i128| {
            let all = [
                of(self.least, other.least),
                of(self.least, other.largest),
                of(self.largest, other.least),
                of(self.largest, other.largest),
            ];
            Bounds::new(all.into_iter().min().expect("four corners"), all.into_iter().max().expect("four corners"))
        };
        let zero = other.least <= 0 && other.largest >= 0;
        match operator {
            Operator::Add => Some(corners(|a, b| a + b)),
            Operator::Subtract => Some(corners(|a, b| a - b)),
            Operator::Multiply => Some(corners(|a, b| a * b)),
            Operator::FloorDivide if zero => None,
            // Monotone in both operands on either side of zero.
            Operator::FloorDivide => Some(corners(|a, b| {
                let quotient = a / b;
                if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient }
            })),
            Operator::Remainder if zero => None,
            Operator::Remainder if other.least > 0 => Some(Bounds::new(0, other.largest - 1)),
            Operator::Remainder => Some(Bounds::new(other.least + 1, 0)),
            // Of floats, which have no bounds here.
            Operator::Divide => None,
        }
    }
}
