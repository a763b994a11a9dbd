//! Recall, MRR and nDCG: how much of what is relevant stands how far ahead.

/// Sums over questions.
#[derive(Default)]
pub(crate) struct Sums {
    questions: f64,
    recall: f64,
    reciprocal: f64,
    ndcg: f64,
    complete: f64,
}

impl Sums {
    /// Adds a question: the places of its facts, and those that were found, the best first.
    pub(crate) fn add(&mut self, relevant: &[usize], found: &[usize]) {
        let is_relevant = |place: &usize| relevant.contains(place);
        let relevant = relevant.len();
        let in_five = found.iter().take(5).filter(|it| is_relevant(it)).count();
        self.questions += 1.0;
        self.recall += in_five as f64 / relevant as f64;
        self.complete += f64::from(u8::from(in_five == relevant));
        let first = found.iter().position(&is_relevant);
        self.reciprocal += first.map_or(0.0, |at| 1.0 / (at as f64 + 1.0));
        // A fact is relevant or is not: a gain of 1 or 0, over the binary logarithm of its rank and one.
        let gain = |at: usize| 1.0 / (at as f64 + 2.0).log2();
        let gained = found.iter().take(10).enumerate().filter(|it| is_relevant(it.1));
        let most: f64 = (0..relevant.min(10)).map(gain).sum();
        self.ndcg += gained.map(|it| gain(it.0)).sum::<f64>() / most;
    }

    /// Means, as a row of the table.
    pub(crate) fn row(&self, name: &str, arm: &str) -> [String; 7] {
        let mean = |sum: f64| format!("{:.3}", sum / self.questions);
        let figures = [self.recall, self.reciprocal, self.ndcg, self.complete].map(mean);
        let [recall, reciprocal, ndcg, complete] = figures;
        let n = format!("{}", self.questions);
        [name.into(), n, arm.into(), recall, reciprocal, ndcg, complete]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The measures of one question, or the means of several.
    fn figures(questions: &[(&[usize], &[usize])]) -> [f64; 4] {
        let mut sums = Sums::default();
        questions.iter().for_each(|(relevant, found)| sums.add(relevant, found));
        [sums.recall, sums.reciprocal, sums.ndcg, sums.complete].map(|it| it / sums.questions)
    }

    fn are(got: [f64; 4], wanted: [f64; 4]) {
        let is = |(got, wanted): (&f64, &f64)| (got - wanted).abs() < 1e-4;
        assert!(got.iter().zip(&wanted).all(is), "{got:?} are not {wanted:?}");
    }

    #[test]
    fn all_in_front_is_one_and_nothing_is_zero() {
        are(figures(&[(&[7], &[7, 1, 2])]), [1.0; 4]);
        are(figures(&[(&[7, 8], &[8, 7])]), [1.0; 4]);
        are(figures(&[(&[7], &[])]), [0.0; 4]);
        are(figures(&[(&[7], &[1, 2, 3])]), [0.0; 4]);
    }

    /// At the second and the fourth place: 1 / log2(3) and 1 / log2(5) of 1 and 1 / log2(3).
    #[test]
    fn two_of_two_further_down() {
        are(figures(&[(&[7, 8], &[1, 7, 2, 8, 3])]), [1.0, 0.5, 0.6509, 1.0]);
    }

    /// The fifth place counts for recall, the sixth does not; the tenth for nDCG, the eleventh not.
    #[test]
    fn each_measure_looks_so_far() {
        let one = |place: usize| {
            let mut found: Vec<usize> = (0..20).collect();
            found[place - 1] = 99;
            figures(&[(&[99], &found)])
        };
        are(one(5), [1.0, 0.2, 0.3869, 1.0]);
        are(one(6), [0.0, 0.1667, 0.3562, 0.0]);
        are(one(10), [0.0, 0.1, 0.2891, 0.0]);
        are(one(11), [0.0, 0.0909, 0.0, 0.0]);
    }

    #[test]
    fn half_of_two_is_half_and_means_are_over_questions() {
        are(figures(&[(&[7, 8], &[7, 1, 2])]), [0.5, 1.0, 0.6131, 0.0]);
        are(figures(&[(&[7, 8], &[7, 1, 2]), (&[3], &[1])]), [0.25, 0.5, 0.3066, 0.0]);
    }
}
