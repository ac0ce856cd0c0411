//! Repeated figures of one thing: median, minimum and maximum, for a table. A mean would tell of the other load on the
//! machine.

/// The figures of one row.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// One more.
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// Those of another, too.
    pub fn join(&mut self, other: Figures) {
        self.0.extend(other.0);
    }

    /// Their mean: of spans that follow each other, what tells how many fit into a time.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one; not a number if there is none.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// The least one that so great a share of them does not exceed (nearest rank); not a number if there is none.
    pub fn quantile(&self, share: f64) -> f64 {
        let sorted = self.sorted();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// The least.
    pub fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    /// The greatest.
    pub fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// Cells of a table: median, min, max.
    pub fn cells(&self, digits: usize) -> [String; 3] {
        [self.median(), self.min(), self.max()].map(|figure| format!("{figure:.digits$}"))
    }

    /// The ratio of the medians, and that of the minima, where other load shows least.
    pub fn ratio_to(&self, other: &Figures) -> String {
        format!("{:.2} ({:.2})", self.median() / other.median(), self.min() / other.min())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle_of_odd_and_even_counts() {
        let mut figures = Figures::default();
        assert!(figures.median().is_nan());
        for (figure, median) in [(5.0, 5.0), (1.0, 3.0), (9.0, 5.0)] {
            figures.add(figure);
            assert_eq!(figures.median(), median);
        }
        assert_eq!((figures.min(), figures.max(), figures.count()), (1.0, 9.0, 3));
    }

    #[test]
    fn a_quantile_is_one_of_the_figures() {
        let mut figures = Figures::default();
        assert!(figures.quantile(0.5).is_nan());
        (1..=200).rev().for_each(|figure| figures.add(f64::from(figure)));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| figures.quantile(share)), [1.0, 100.0, 198.0, 200.0]);
    }
}
