//! Requests shared between upstreams by weight.

/// Which of several upstreams gets a request, by weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The sum of the weights up to each, itself included.
    sums: Vec<u64>,
}

/// Weights that share nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the weights are all 0")]
pub struct SplitError;

impl Split {
    /// A split by these weights. An upstream with weight 0 gets nothing.
    pub fn new(weights: &[u32]) -> Result<Self, SplitError> {
        let mut sum = 0;
        let sums = weights
            .iter()
            .map(|weight| {
                sum += u64::from(*weight);
                sum
            })
            .collect();
        if sum == 0 { Err(SplitError) } else { Ok(Self { sums }) }
    }

    /// The number of the upstream that gets the next request. `random` should be uniform.
    pub fn choose(&self, random: u64) -> usize {
        let total = self.sums.last().copied().unwrap_or(1);
        let point = random % total;
        self.sums.partition_point(|sum| *sum <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_the_weights() {
        assert_eq!(Split::new(&[]), Err(SplitError));
        assert_eq!(Split::new(&[0, 0]), Err(SplitError));
        let split = Split::new(&[90, 0, 10]).unwrap();
        let mut counts = [0; 3];
        for random in 0..1000 {
            counts[split.choose(random)] += 1;
        }
        assert_eq!(counts, [900, 0, 100]);
    }
}
