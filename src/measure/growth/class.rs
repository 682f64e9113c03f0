use std::fmt;

/// How a cost grows with the size n, at most and up to a factor. In the order of their growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Constant,
    LogLog,
    Log,
    Root,
    Linear,
    /// n log log n: a sieve.
    NearLinear,
    Linearithmic,
    /// n √n
    RootTimesLinear,
    Quadratic,
    /// n² log n
    QuadraticLog,
    Cubic,
    /// cⁿ for some c above 1.
    Exponential,
    /// n!, and each of so many results may be n long.
    Factorial,
}

impl Class {
    /// In the order of their growth.
    pub const ALL: [Class; 13] = [
        Class::Constant,
        Class::LogLog,
        Class::Log,
        Class::Root,
        Class::Linear,
        Class::NearLinear,
        Class::Linearithmic,
        Class::RootTimesLinear,
        Class::Quadratic,
        Class::QuadraticLog,
        Class::Cubic,
        Class::Exponential,
        Class::Factorial,
    ];
    /// The classes that a measured cost is fitted with: products of powers of n and log n. Those between them cannot be
    /// told apart at sizes that can be measured.
    pub const CANDIDATES: [Class; 8] = [
        Class::Constant,
        Class::Log,
        Class::Root,
        Class::Linear,
        Class::Linearithmic,
        Class::Quadratic,
        Class::QuadraticLog,
        Class::Cubic,
    ];

    /// Its leading term at a size; None where [`Class::order`] is.
    pub fn at(self, n: f64) -> Option<f64> {
        self.order().map(|(power, logs)| n.powf(power) * n.log2().powi(logs))
    }

    /// The powers of n and of log n in its leading term; None where that is no such product.
    pub fn order(self) -> Option<(f64, i32)> {
        match self {
            Class::Constant => Some((0.0, 0)),
            Class::Log => Some((0.0, 1)),
            Class::Root => Some((0.5, 0)),
            Class::Linear => Some((1.0, 0)),
            Class::Linearithmic => Some((1.0, 1)),
            Class::RootTimesLinear => Some((1.5, 0)),
            Class::Quadratic => Some((2.0, 0)),
            Class::QuadraticLog => Some((2.0, 1)),
            Class::Cubic => Some((3.0, 0)),
            Class::LogLog | Class::NearLinear | Class::Exponential | Class::Factorial => None,
        }
    }

    /// Its power of n alone, where it also has a logarithm and a power.
    pub fn without_log(self) -> Option<Class> {
        match self {
            Class::Linearithmic => Some(Class::Linear),
            Class::QuadraticLog => Some(Class::Quadratic),
            _ => None,
        }
    }

    /// That of each of n things which are of this class together.
    pub fn of_each(self) -> Option<Class> {
        match self {
            Class::Linear => Some(Class::Constant),
            Class::NearLinear => Some(Class::LogLog),
            Class::Linearithmic => Some(Class::Log),
            Class::RootTimesLinear => Some(Class::Root),
            Class::Quadratic => Some(Class::Linear),
            Class::QuadraticLog => Some(Class::Linearithmic),
            Class::Cubic => Some(Class::Quadratic),
            Class::Constant | Class::LogLog | Class::Log | Class::Root => None,
            Class::Exponential | Class::Factorial => None,
        }
    }

    /// The class that is written so without the O.
    pub fn named(inner: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.inner() == inner)
    }

    /// Without the O, as a runner-up is written.
    pub fn inner(self) -> &'static str {
        match self {
            Class::Constant => "1",
            Class::LogLog => "log log n",
            Class::Log => "log n",
            Class::Root => "√n",
            Class::Linear => "n",
            Class::NearLinear => "n log log n",
            Class::Linearithmic => "n log n",
            Class::RootTimesLinear => "n √n",
            Class::Quadratic => "n²",
            Class::QuadraticLog => "n² log n",
            Class::Cubic => "n³",
            Class::Exponential => "cⁿ",
            Class::Factorial => "n!",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("O({})", self.inner()))
    }
}
