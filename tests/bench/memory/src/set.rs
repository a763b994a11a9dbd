//! The questions with their facts; where they come from is in `data/SOURCE.md`.

use carport_bench_dispatch::Error;

use crate::facts::Told;

/// How a question is linked to its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One fact answers it.
    One,
    /// Two facts with one subject, which the question does not name.
    Shared,
    /// Two facts; the subject of the second one stands in the body of the first.
    Chained,
}

/// What is asked, and which facts are to be found, by their places.
pub(crate) struct Question {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) relevant: Vec<usize>,
}

/// The facts; a fact's place is its number.
pub(crate) fn facts() -> Result<Vec<Told>, Error> {
    let told = |line: &str| {
        let (subject, body) = line.split_once('\t').ok_or("a fact has no body")?;
        Ok(Told { subject: subject.into(), body: body.into() })
    };
    include_str!("../data/facts.tsv").lines().map(told).collect()
}

/// The questions.
pub(crate) fn questions() -> Result<Vec<Question>, Error> {
    include_str!("../data/questions.tsv").lines().map(question).collect()
}

fn question(line: &str) -> Result<Question, Error> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [kind, text, relevant] = fields[..] else { return Err("a question has 3 fields".into()) };
    let kind = match kind {
        "one" => Kind::One,
        "shared" => Kind::Shared,
        "chained" => Kind::Chained,
        other => return Err(format!("no kind of question: {other}").into()),
    };
    let relevant = relevant.split(',').map(str::parse).collect::<Result<_, _>>()?;
    Ok(Question { kind, text: text.into(), relevant })
}
