//! `carport call`: one call of any method.

use std::{
    io::{self, IsTerminal, Read},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    cli::Global,
    client::{
        connect::connect,
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::Output,
};

/// Prints the result as JSON. Tokens come from CARPORT_TOKEN, CARPORT_HOST_TOKEN or
/// CARPORT_AGENT_TOKEN (or the same with CAR_), else from the state root.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The method: `carport methods` lists them
    method: String,
    /// Its parameters, a JSON object; `-` reads them from standard input
    #[arg(value_name = "JSON")]
    params: Option<String>,
    /// Call with the host role
    #[arg(long, conflicts_with = "agent")]
    host: bool,
    /// Call as this agent, with its own token
    #[arg(long, value_name = "ID", value_parser = agent_id)]
    agent: Option<String>,
    /// Wait so long for the reply, in seconds (default: as long as the daemon does)
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: Option<u64>,
}

impl Args {
    fn role(&self) -> Role {
        match &self.agent {
            Some(id) => Role::Agent(id.clone()),
            None if self.host => Role::Host,
            None => Role::Client,
        }
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    let params = match args.params.as_deref() {
        Some("-") => object(&from_stdin(output)?, "standard input")?,
        Some(text) => object(text, "the parameters")?,
        None => Map::new(),
    };
    let (link, _) = connect(global, &args.role()).await?;
    let call = link.raw(&args.method, &params);
    let reply = match args.timeout {
        None => call.await,
        Some(secs) => timeout(Duration::from_secs(secs), call).await.map_err(|_| {
            let method = &args.method;
            Exit::failed(format!("no reply to `{method}` within {secs} s; its outcome is unknown"))
        })?,
    };
    output.document(&reply.map_err(Exit::from)?)
}

fn from_stdin(output: Output) -> Result<String, Exit> {
    let mut stdin = io::stdin();
    if stdin.is_terminal() {
        output.note("reading parameters from the terminal; end them with Ctrl-D");
    }
    let mut text = String::new();
    let read = stdin.read_to_string(&mut text);
    read.map_err(|error| Exit::failed(format!("standard input: {error}")))?;
    Ok(text)
}

fn object(text: &str, what: &str) -> Result<Map<String, Value>, Exit> {
    match serde_json::from_str(text) {
        Ok(Value::Object(params)) => Ok(params),
        Ok(_) => Err(Exit::usage(format!("{what} must be a JSON object, like '{{\"limit\":7}}'"))),
        Err(error) => Err(Exit::usage(format!("{what} are no JSON object: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;
    use crate::exit::Code;

    fn role(words: &[&str]) -> Result<Role, clap::Error> {
        let words = ["server.ping"].iter().chain(words).copied();
        flags(words).map(|args: Args| args.role())
    }

    #[test]
    fn the_role_is_the_clients_unless_another_is_asked_for() {
        assert_eq!(role(&[]).unwrap(), Role::Client);
        assert_eq!(role(&["--host"]).unwrap(), Role::Host);
        assert_eq!(role(&["{}", "--agent", "a"]).unwrap(), Role::Agent("a".into()));
        assert!(role(&["--host", "--agent", "a"]).is_err());
        assert!(role(&["--agent", "../auth-token"]).is_err());
        assert!(role(&["--timeout", "0"]).is_err());
    }

    #[test]
    fn parameters_are_an_object() {
        assert_eq!(object(r#"{"a":1}"#, "x").unwrap()["a"], 1);
        for wrong in ["", "7", "[]", "null", "{", "{}{}"] {
            assert_eq!(object(wrong, "x").unwrap_err().code, Code::Usage, "{wrong}");
        }
    }
}
