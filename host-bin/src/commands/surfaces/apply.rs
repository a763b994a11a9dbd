//! `carport surfaces apply`: the envelopes of a file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    client::{
        link::{CallError, Link},
        surfaces,
    },
    exit::Exit,
    output::{Output, one_line},
};

/// Where from.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file: an envelope, a list of them, an object with a list `messages`, or one envelope a
    /// line; `-` reads standard input
    file: PathBuf,
}

impl Args {
    /// Reads the envelopes, for as long as that takes.
    pub(super) fn read(&self) -> Result<Vec<Value>, Exit> {
        let (text, shown) = match self.file.as_os_str() == "-" {
            true => (io::read_to_string(io::stdin()), Path::new("standard input")),
            false => (fs::read_to_string(&self.file), &*self.file),
        };
        let failed = |why: String| Exit::failed(format!("{}: {why}", shown.display()));
        let text = text.map_err(|error| failed(error.to_string()))?;
        envelopes(&text).map_err(failed)
    }
}

/// The envelopes in a text.
fn envelopes(text: &str) -> Result<Vec<Value>, String> {
    let found = match serde_json::from_str(text) {
        Ok(Value::Array(envelopes)) => envelopes,
        Ok(Value::Object(mut whole)) => match whole.remove("messages") {
            Some(Value::Array(envelopes)) => envelopes,
            Some(_) => return Err("`messages` is no list".into()),
            None => vec![whole.into()],
        },
        Ok(_) => return Err("holds no envelope: an envelope is an object".into()),
        Err(whole) => {
            let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
            let each: Result<Vec<Value>, _> = lines
                .map(|(line, at)| serde_json::from_str(line).map_err(|error| (at, error)))
                .collect();
            match each {
                Ok(envelopes) => envelopes,
                // Not even the first line is JSON: it was meant as one text.
                Err((1, _)) => return Err(whole.to_string()),
                Err((at, error)) => return Err(format!("line {at}: {error}")),
            }
        }
    };
    match found.is_empty() {
        true => Err("holds no envelope".into()),
        false => Ok(found),
    }
}

pub(super) async fn run(envelopes: &[Value], link: &Link, output: Output) -> Result<(), Exit> {
    for (at, envelope) in envelopes.iter().enumerate() {
        let applied = surfaces::apply(link, envelope).await.map_err(|error| refused(error, at))?;
        let id = one_line(&applied.surface_id);
        match (output.is_json(), applied.deleted) {
            (true, _) => output.object(&applied)?,
            (false, true) => output.line(format_args!("{id}: removed"))?,
            (false, false) => output.line(format_args!("{id}: revision {}", applied.revision))?,
        }
    }
    Ok(())
}

/// Says which envelope it was.
fn refused(error: CallError, at: usize) -> Exit {
    let exit = Exit::from(error);
    let before = match at {
        0 => String::new(),
        1 => "; the one before it took effect".into(),
        at => format!("; the {at} before it took effect"),
    };
    let message = format!("envelope {}: {}{before}", at + 1, exit.message);
    Exit { message, ..exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_read_in_every_form_that_files_have() {
        for (text, count) in [
            (r#"{"deleteSurface":{}}"#, 1),
            ("[{},{}]", 2),
            ("{\n \"name\": \"x\",\n \"messages\": [{}, {}, {}]\n}", 3),
            ("{\"a\":1}\n\n{\"b\":2}\n", 2),
        ] {
            assert_eq!(envelopes(text).unwrap().len(), count, "{text}");
        }
        for (text, why) in [
            ("[]", "no envelope"),
            ("7", "an envelope is an object"),
            ("{\"messages\":7}", "`messages`"),
            ("{\n", "EOF"),
            ("{}\n{\n", "line 2"),
            ("", "no envelope"),
        ] {
            let error = envelopes(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
