//! `carport memory add`: keeps a fact.

use std::io;

use serde_json::{Value, json};

use crate::{
    client::memory::Facts,
    exit::Exit,
    output::{Output, count},
};

/// The fact. The same subject, body and kind again without an id add nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// What it is about
    subject: String,
    /// What is known; `-` reads standard input
    body: String,
    /// What kind of fact: `constraint`, `identity`, `environment`, `question` or any other word
    /// (default: pattern)
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// A word to find it by; repeat it for more
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// How sure it is: 0 to 1, or high, medium, low (default: 1)
    #[arg(long, value_name = "C")]
    confidence: Option<String>,
    /// Its id; a fact that has it already is replaced (default: a new one)
    #[arg(long, value_name = "ID")]
    id: Option<String>,
}

impl Add {
    /// Reads what is on standard input, for as long as that takes.
    pub(super) fn read(&mut self) -> Result<(), Exit> {
        if self.body == "-" {
            let text = io::read_to_string(io::stdin())
                .map_err(|error| Exit::failed(format!("standard input: {error}")))?;
            self.body = text.trim_end_matches(['\r', '\n']).to_owned();
        }
        Ok(())
    }

    /// The parameters of the call.
    fn fact(&self) -> Value {
        json!({
            "subject": self.subject,
            "body": self.body,
            "kind": self.kind,
            "tags": self.tags,
            "confidence": self.confidence,
            "fact_id": self.id,
            "source": "cli",
        })
    }
}

pub(super) async fn run(wanted: &Add, facts: &Facts<'_>, output: Output) -> Result<(), Exit> {
    let known = facts.add(wanted.fact()).await?;
    match output.is_json() {
        true => output.document(&json!({ "fact_count": known })),
        false => output.line(format_args!("kept; {} in all", count(known, "fact"))),
    }
}
