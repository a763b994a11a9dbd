//! A voice print: where a voice lies on the unit sphere of 256 dimensions.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Numbers of a print.
const WIDTH: usize = 256;

/// Why numbers are no voice print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no voice print: it needs {WIDTH} numbers that are not all zero")]
pub struct PrintError;

/// A voice, as 256 numbers of length 1. It says who spoke and nothing of what was said. `Debug` shows no
/// number, so that none gets into a log.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Print(Vec<f32>);

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Print")
    }
}

impl TryFrom<Vec<f32>> for Print {
    type Error = PrintError;

    fn try_from(mut numbers: Vec<f32>) -> Result<Self, PrintError> {
        let length = numbers.iter().map(|it| it * it).sum::<f32>().sqrt();
        if numbers.len() != WIDTH || !length.is_finite() || length < 1e-6 {
            return Err(PrintError);
        }
        for number in &mut numbers {
            *number /= length;
        }
        Ok(Self(numbers))
    }
}

impl From<Print> for Vec<f32> {
    fn from(print: Print) -> Self {
        print.0
    }
}

impl Print {
    /// The cosine of the angle between two voices, -1..=1; the same voice is about 0.75 or more.
    pub fn score(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum()
    }

    /// The middle of several prints of one voice; fails without one.
    pub fn mean<'a>(prints: impl IntoIterator<Item = &'a Self>) -> Result<Self, PrintError> {
        let mut sum = vec![0.0; WIDTH];
        for print in prints {
            add(&mut sum, print, 1.0);
        }
        Self::try_from(sum)
    }
}

/// Adds a print with a weight.
pub(super) fn add(sum: &mut [f32], print: &Print, weight: f32) {
    for (sum, number) in sum.iter_mut().zip(&print.0) {
        *sum += number * weight;
    }
}

/// Whose voice it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// A label.
    pub label: String,
    /// As [`Print::score`].
    pub score: f32,
}

/// The most alike of enrolled voices, if its score is `threshold` or more.
pub fn best_match<'a>(
    print: &Print,
    enrolled: impl IntoIterator<Item = (&'a str, &'a Print)>,
    threshold: f32,
) -> Option<Match> {
    let scores = enrolled.into_iter().map(|(label, known)| (label, print.score(known)));
    let (label, score) = scores.max_by(|a, b| a.1.total_cmp(&b.1))?;
    (score >= threshold).then(|| Match { label: label.into(), score })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A print at an angle in the plane of two axes, in degrees.
    pub(in crate::speakers) fn at(axis: usize, degrees: f32) -> Print {
        let mut numbers = vec![0.0; WIDTH];
        numbers[axis] = degrees.to_radians().cos();
        numbers[axis + 1] = degrees.to_radians().sin();
        Print::try_from(numbers).unwrap()
    }

    #[test]
    fn a_score_is_the_cosine() {
        assert!((at(0, 0.0).score(&at(0, 60.0)) - 0.5).abs() < 1e-6);
        assert!((at(0, 10.0).score(&at(0, 10.0)) - 1.0).abs() < 1e-6);
        let mean = Print::mean([&at(0, 0.0), &at(0, 90.0)]).unwrap();
        assert!((mean.score(&at(0, 45.0)) - 1.0).abs() < 1e-6);
        assert_eq!(Print::mean([]), Err(PrintError));
    }

    #[test]
    fn what_is_no_print_is_refused() {
        assert_eq!(Print::try_from(vec![1.0; 255]), Err(PrintError));
        assert_eq!(Print::try_from(vec![0.0; 256]), Err(PrintError));
        assert_eq!(Print::try_from(vec![f32::NAN; 256]), Err(PrintError));
        assert!(serde_json::from_str::<Print>("[1, 2]").is_err());
        let text = serde_json::to_string(&at(3, 30.0)).unwrap();
        let read: Print = serde_json::from_str(&text).unwrap();
        assert!((read.score(&at(3, 30.0)) - 1.0).abs() < 1e-6);
        assert_eq!(format!("{read:?}"), "Print");
    }

    #[test]
    fn the_best_match_needs_the_threshold() {
        let (anna, bob) = (at(0, 0.0), at(4, 0.0));
        let known = || [("anna", &anna), ("bob", &bob)];
        let found = best_match(&at(0, 20.0), known(), 0.75).unwrap();
        assert_eq!(found.label, "anna");
        assert!((found.score - 0.9397).abs() < 1e-3);
        assert_eq!(best_match(&at(0, 60.0), known(), 0.75), None);
        assert_eq!(best_match(&at(0, 0.0), [], 0.75), None);
    }
}
