//! What samples say about a subject: robust statistics, nothing thrown away.

/// The times of one subject, in nanoseconds a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Calls in each sample.
    pub calls: u64,
    /// In the order in which they were taken.
    each: Vec<f64>,
    sorted: Vec<f64>,
}

/// How many samples lie in each of some parts of equal width between `low` and `high`.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    pub low: f64,
    pub high: f64,
    pub counts: Vec<usize>,
}

impl Samples {
    pub fn new(calls: u64, each: Vec<f64>) -> Samples {
        let mut sorted = each.clone();
        sorted.sort_by(f64::total_cmp);
        Samples { calls, each, sorted }
    }

    pub fn each(&self) -> &[f64] {
        &self.each
    }

    /// The value below which a share `q` of the samples lies, interpolated between neighbours (type 7 of Hyndman and
    /// Fan, 1996); NaN without samples.
    pub fn quantile(&self, q: f64) -> f64 {
        let Some(last) = self.sorted.len().checked_sub(1) else { return f64::NAN };
        let at = q * last as f64;
        let (below, above) = (self.sorted[at.floor() as usize], self.sorted[at.ceil() as usize]);
        below + (above - below) * at.fract()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// From the first quartile to the third.
    pub fn iqr(&self) -> f64 {
        self.quantile(0.75) - self.quantile(0.25)
    }

    pub fn best(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The samples that are no outliers, in order: at most 1.5 IQR outside the quartiles (Tukey, 1977).
    fn inner(&self) -> &[f64] {
        let reach = 1.5 * self.iqr();
        let (low, high) = (self.quantile(0.25) - reach, self.quantile(0.75) + reach);
        let start = self.sorted.partition_point(|x| *x < low);
        let end = self.sorted.partition_point(|x| *x <= high);
        &self.sorted[start..end]
    }

    pub fn outliers(&self) -> usize {
        self.sorted.len() - self.inner().len()
    }

    /// Of the samples that are no outliers; one part where all are equal, none without samples.
    pub fn histogram(&self, parts: usize) -> Histogram {
        let inner = self.inner();
        let (Some(low), Some(high)) = (inner.first().copied(), inner.last().copied()) else {
            return Histogram { low: f64::NAN, high: f64::NAN, counts: Vec::new() };
        };
        let mut counts = vec![0; if high > low { parts } else { 1 }];
        let last = counts.len() - 1;
        for x in inner {
            let share = if high > low { (x - low) / (high - low) } else { 0.0 };
            counts[((share * parts as f64) as usize).min(last)] += 1;
        }
        Histogram { low, high, counts }
    }
}
