//! What the agent can do: count a text, work out a sum, tick, delete a file of its own.

use serde_json::{Value, json};

/// Values of a sum beyond this are too large.
const LIMIT: i128 = 1_000_000_000_000_000_000;
/// How deep brackets and signs may nest.
const DEPTH: usize = 50;

/// The work that a prompt asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Counts a text.
    Count(String),
    /// Works out a sum of whole numbers.
    Calc(String),
    /// Deletes a file of the working directory.
    Delete(String),
    /// Says a number every 100 ms.
    Tick(u32),
}

impl Work {
    /// The work that a prompt asks for.
    pub(crate) fn asked_for(prompt: &str) -> Self {
        let (word, rest) = prompt.trim().split_once(' ').unwrap_or_default();
        let rest = rest.trim();
        match (word, rest.parse()) {
            ("calc", _) if !rest.is_empty() => Self::Calc(rest.into()),
            ("delete", _) if !rest.is_empty() => Self::Delete(rest.into()),
            ("tick", Ok(times)) => Self::Tick(std::cmp::min(times, 10_000)),
            _ => Self::Count(prompt.into()),
        }
    }

    /// How a chat and a run show it: as a tool with parameters.
    pub(crate) fn call(&self) -> (&'static str, Value) {
        match self {
            Self::Count(text) => ("count", json!({ "text": text })),
            Self::Calc(expression) => ("calc", json!({ "expression": expression })),
            Self::Delete(file) => ("delete", json!({ "file": file })),
            Self::Tick(times) => ("tick", json!({ "times": times })),
        }
    }
}

/// Lines, words and characters, as a sentence.
pub(crate) fn count(text: &str) -> String {
    let (lines, words) = (text.lines().count(), text.split_whitespace().count());
    format!("{lines} lines, {words} words, {} characters", text.chars().count())
}

/// The value of a sum of whole numbers; else why there is none.
pub(crate) fn calc(expression: &str) -> Result<i128, String> {
    let mut rest = Rest(expression);
    let value = rest.sum(0)?;
    match rest.peek() {
        None => Ok(value),
        Some(letter) => Err(format!("`{letter}` is one too many")),
    }
}

/// What of an expression was not read yet.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn peek(&mut self) -> Option<char> {
        self.0 = self.0.trim_start_matches(' ');
        self.0.chars().next()
    }

    /// The next letter, if it is one of these.
    fn take(&mut self, letters: &str) -> Option<char> {
        let next = self.peek().filter(|next| letters.contains(*next))?;
        self.0 = &self.0[next.len_utf8()..];
        Some(next)
    }

    fn sum(&mut self, depth: usize) -> Result<i128, String> {
        let mut value = self.product(depth)?;
        while let Some(sign) = self.take("+-") {
            let more = self.product(depth)?;
            value = bounded(if sign == '+' { value + more } else { value - more })?;
        }
        Ok(value)
    }

    fn product(&mut self, depth: usize) -> Result<i128, String> {
        let mut value = self.number(depth)?;
        while let Some(sign) = self.take("*/") {
            let by = self.number(depth)?;
            value = match sign {
                '*' => bounded(value * by)?,
                _ if by == 0 || value % by != 0 => {
                    return Err(format!("{value} / {by} is not a whole number"));
                }
                _ => value / by,
            };
        }
        Ok(value)
    }

    fn number(&mut self, depth: usize) -> Result<i128, String> {
        if depth > DEPTH {
            return Err("brackets or signs are too deep".into());
        }
        if self.take("-").is_some() {
            return Ok(-self.number(depth + 1)?);
        }
        if self.take("(").is_some() {
            let value = self.sum(depth + 1)?;
            return self.take(")").map(|_| value).ok_or("a bracket is not closed".into());
        }
        self.peek();
        let digits = self.0.len() - self.0.trim_start_matches(|it: char| it.is_ascii_digit()).len();
        let (number, rest) = self.0.split_at(digits);
        match (number.parse(), rest.chars().next()) {
            (Ok(value), _) => {
                self.0 = rest;
                bounded(value)
            }
            (Err(_), _) if digits > 0 => Err("too large".into()),
            (Err(_), Some(letter)) => Err(format!("`{letter}` is no number")),
            (Err(_), None) => Err("`the end` is no number".into()),
        }
    }
}

fn bounded(value: i128) -> Result<i128, String> {
    match value.abs() > LIMIT {
        true => Err("too large".into()),
        false => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_whole_numbers_are_worked_out() {
        for (expression, value) in [
            ("1+2*3", 7),
            ("(2 + 3) * 7", 35),
            ("-4*-2", 8),
            ("8/2/2", 2),
            (" 7 ", 7),
            ("1 - 2 - 3", -4),
        ] {
            assert_eq!(calc(expression), Ok(value), "{expression}");
        }
        let large = "9".repeat(60);
        let deep = "(".repeat(60);
        for wrong in ["", "(", "1 2", "2**3", "7/2", "1/0", "x", "1+", &large, &deep] {
            assert!(calc(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prompt_says_what_is_to_be_done() {
        assert_eq!(Work::asked_for("calc 1+1"), Work::Calc("1+1".into()));
        assert_eq!(Work::asked_for("delete a b"), Work::Delete("a b".into()));
        assert_eq!(Work::asked_for("tick 3"), Work::Tick(3));
        for text in ["calc", "tick many", "hello", "calculate this"] {
            assert_eq!(Work::asked_for(text), Work::Count(text.into()));
        }
        assert_eq!(count("one\ntwo words\n"), "2 lines, 3 words, 14 characters");
    }
}
