//! Verification: the crate alone and over the socket, beside reading and writing the same bytes.

use std::path::Path;

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
    process,
};
use carport_engine_model::{ActionProposal, Terms, ToolBook, Verification, verify};
use serde_json::{Map, Value, json};

use crate::{
    floor::{Bare, Row, exchange, print, reply, time},
    proposals::{Shape, proposal},
};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Actions of a proposal
    #[arg(long, default_value_t = 1000)]
    actions: usize,
    /// Verifications of a round
    #[arg(long, default_value_t = 20)]
    times: usize,
    /// How often all is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Every tool is registered, without a schema.
struct AnyTool;

impl ToolBook for AnyTool {
    fn has(&self, _: &str) -> bool {
        true
    }

    fn schema_errors(&self, _: &str, _: &Map<String, Value>) -> Option<Vec<String>> {
        None
    }
}

/// Measures and prints the table.
pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    let daemon = Daemon::start(root, "").await?;
    let mut rows = Vec::new();
    for shape in [Shape::Independent, Shape::Chained, Shape::Woven] {
        rows.extend(compare(args, shape, &daemon).await?);
    }
    daemon.stop().await?;
    print(&rows, args.actions);
    Ok(())
}

async fn compare(args: &Args, shape: Shape, daemon: &Daemon) -> Result<[Row; 2], Error> {
    let text = proposal(shape, args.actions).to_string();
    let read = |text: &str| Ok::<ActionProposal, Error>(serde_json::from_str(text)?);
    let alone =
        |proposal: &ActionProposal| verify(proposal, &Map::new(), &AnyTool, Terms::default());
    let verified = alone(&read(&text)?).ok_or("the verification was stopped")?;
    if !verified.valid {
        return Err(format!("a proposal is not valid: {:?}", verified.issues.first()).into());
    }
    let params = json!({ "proposal": serde_json::from_str::<Value>(&text)?, "initial_state": {} });
    let request = Client::request("verify", &params);
    let mut client = daemon.client().await?;
    client.call("tools.register", &json!([{ "name": "t" }])).await?;
    let over_socket: Verification = serde_json::from_value(client.call("verify", &params).await?)?;
    if over_socket.simulated_state != verified.simulated_state || !over_socket.valid {
        return Err("the daemon verifies otherwise".into());
    }
    let answer = verified.clone();
    let bare = Bare::start(move |text| {
        serde_json::from_str::<Value>(text)?;
        reply(&answer)
    })
    .await?;
    let mut floored = bare.client().await?;
    let mut pure = Row { shape: shape.word(), place: "crate", ..Row::default() };
    let mut socket = Row { shape: shape.word(), place: "socket", ..Row::default() };
    for round in 0..args.rounds {
        eprintln!("{}: round {}", shape.word(), round + 1);
        let bytes = async || {
            let proposal = read(&text)?;
            drop((proposal, reply(&verified)?));
            Ok(())
        };
        pure.floor.extend(time(args.times, bytes).await?);
        let whole = async || reply(&alone(&read(&text)?)).map(drop);
        pure.ours.extend(time(args.times, whole).await?);
        socket.floor.extend(exchange(&mut floored, &request, args.times).await?);
        let spent = process::cpu(daemon.pid()?)?;
        socket.ours.extend(exchange(&mut client, &request, args.times).await?);
        let spent = process::cpu(daemon.pid()?)?.saturating_sub(spent).as_secs_f64();
        socket.cpu = Some(socket.cpu.unwrap_or_default() + spent);
    }
    Ok([pure, socket])
}
