//! Reads an expression by recursive descent and evaluates it on the way.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = signed { ("*" | "/" | "%") signed }
//! signed  = ("+" | "-") signed | power
//! power   = atom [ ("^" | "**") signed ]
//! atom    = number | name | name "(" sum { "," sum } ")" | "(" sum ")"
//! ```

use std::f64::consts;

use thiserror::Error;

/// How deep an expression may be nested.
const MAX_DEPTH: u32 = 64;

/// Why an expression has no value.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("{what} at character {at}")]
    Unexpected { what: String, at: usize },
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("division by zero")]
    ByZero,
    #[error("`{0}` is no function or constant")]
    Unknown(String),
    #[error("`{name}` takes one argument, not {got}")]
    Arguments { name: String, got: usize },
    #[error("the result is no finite real number")]
    NotANumber,
}

/// The value of an expression, which is finite.
pub(super) fn evaluate(text: &str) -> Result<f64, Fault> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(value),
        Some(letter) => Err(parser.unexpected(letter)),
    }
}

/// Checked after every step: a later one could hide that there was no value.
fn finite(value: f64) -> Result<f64, Fault> {
    if value.is_finite() { Ok(value) } else { Err(Fault::NotANumber) }
}

struct Parser<'a> {
    text: &'a str,
    /// The byte that comes next.
    at: usize,
    depth: u32,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<f64, Fault> {
        let mut value = self.product()?;
        loop {
            match self.peek() {
                Some('+') => value = finite(value + self.after("+", Self::product)?)?,
                Some('-') => value = finite(value - self.after("-", Self::product)?)?,
                _ => return Ok(value),
            }
        }
    }

    fn product(&mut self) -> Result<f64, Fault> {
        let mut value = self.signed()?;
        loop {
            match self.peek() {
                Some('*') => value = finite(value * self.after("*", Self::signed)?)?,
                Some('/') => value = finite(value / nonzero(self.after("/", Self::signed)?)?)?,
                Some('%') => value %= nonzero(self.after("%", Self::signed)?)?,
                _ => return Ok(value),
            }
        }
    }

    fn signed(&mut self) -> Result<f64, Fault> {
        // Every circle of the grammar passes here.
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        let value = match self.peek() {
            Some('-') => self.after("-", Self::signed).map(|value| -value),
            Some('+') => self.after("+", Self::signed),
            _ => self.power(),
        };
        self.depth -= 1;
        value
    }

    fn power(&mut self) -> Result<f64, Fault> {
        let base = self.atom()?;
        self.peek();
        let operator = ["^", "**"].into_iter().find(|it| self.rest().starts_with(it));
        let Some(operator) = operator else { return Ok(base) };
        let exponent = self.after(operator, Self::signed)?;
        match base == 0.0 && exponent < 0.0 {
            true => Err(Fault::ByZero),
            false => finite(base.powf(exponent)),
        }
    }

    fn atom(&mut self) -> Result<f64, Fault> {
        match self.peek() {
            Some('(') => {
                let value = self.after("(", Self::sum)?;
                self.expect(')')?;
                Ok(value)
            }
            Some('0'..='9' | '.') => self.number(),
            Some(letter) if letter.is_ascii_alphabetic() => self.name(),
            Some(letter) => Err(self.unexpected(letter)),
            None => Err(Fault::Unexpected { what: "it ends".into(), at: self.position() }),
        }
    }

    /// Digits with a point and an exponent, as `1`, `.5`, `6.02e23`.
    fn number(&mut self) -> Result<f64, Fault> {
        let bytes = self.text.as_bytes();
        let digits = |from: usize| {
            let count = bytes[from..].iter().take_while(|it| it.is_ascii_digit()).count();
            from + count
        };
        let mut end = digits(self.at);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let from = end + 1 + sign;
            // Else the `e` begins a name, which is then not expected.
            if bytes.get(from).is_some_and(u8::is_ascii_digit) {
                end = digits(from);
            }
        }
        let value = self.text[self.at..end].parse();
        let value = finite(value.map_err(|_| self.unexpected('.'))?)?;
        self.at = end;
        Ok(value)
    }

    fn name(&mut self) -> Result<f64, Fault> {
        let rest = self.rest();
        let end = rest.find(|it: char| !it.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        self.at += end;
        if self.peek() != Some('(') {
            return match name.as_str() {
                "pi" => Ok(consts::PI),
                "e" => Ok(consts::E),
                _ => Err(Fault::Unknown(name)),
            };
        }
        let mut arguments = vec![self.after("(", Self::sum)?];
        while self.peek() == Some(',') {
            arguments.push(self.after(",", Self::sum)?);
        }
        self.expect(')')?;
        call(name, &arguments)
    }

    /// What comes next, white space aside.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// What `read` makes of what follows `token`, which comes next.
    fn after<T>(
        &mut self,
        token: &str,
        read: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.at += token.len();
        read(self)
    }

    fn expect(&mut self, wanted: char) -> Result<(), Fault> {
        match self.peek() {
            Some(letter) if letter == wanted => {
                self.at += wanted.len_utf8();
                Ok(())
            }
            _ => {
                let what = format!("`{wanted}` is missing");
                Err(Fault::Unexpected { what, at: self.position() })
            }
        }
    }

    fn unexpected(&self, letter: char) -> Fault {
        Fault::Unexpected { what: format!("{letter:?} is not expected"), at: self.position() }
    }

    /// Counted from 1.
    fn position(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }
}

fn nonzero(divisor: f64) -> Result<f64, Fault> {
    if divisor == 0.0 { Err(Fault::ByZero) } else { Ok(divisor) }
}

fn call(name: String, arguments: &[f64]) -> Result<f64, Fault> {
    let one: fn(f64) -> f64 = match name.as_str() {
        "min" => return Ok(arguments.iter().copied().fold(f64::INFINITY, f64::min)),
        "max" => return Ok(arguments.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        "abs" => f64::abs,
        "sqrt" => f64::sqrt,
        "exp" => f64::exp,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "floor" => f64::floor,
        "ceil" => f64::ceil,
        "round" => f64::round,
        "trunc" => f64::trunc,
        _ => return Err(Fault::Unknown(name)),
    };
    match arguments {
        [argument] => finite(one(*argument)),
        _ => Err(Fault::Arguments { name, got: arguments.len() }),
    }
}

#[cfg(test)]
mod tests;
