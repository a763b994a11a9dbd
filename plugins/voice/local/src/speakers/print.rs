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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A print at an angle in the plane of two axes, in degrees.
    fn at(axis: usize, degrees: f32) -> Print {
        let mut numbers = vec![0.0; WIDTH];
        numbers[axis] = degrees.to_radians().cos();
        numbers[axis + 1] = degrees.to_radians().sin();
        Print::try_from(numbers).unwrap()
    }

    #[test]
    fn a_score_is_the_cosine() {
        assert!((at(0, 0.0).score(&at(0, 60.0)) - 0.5).abs() < 1e-6);
        assert!((at(0, 10.0).score(&at(0, 10.0)) - 1.0).abs() < 1e-6);
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
}
