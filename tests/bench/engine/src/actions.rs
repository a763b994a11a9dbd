//! State writes: proposals of many, over the socket and in the process.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
    process,
};
use carport_core::{Config, Host, Identity, Registry};
// Linked, so that the host in this process has the plugin.
use carport_engine as _;
use carport_engine_api::ENGINE;
use serde_json::{Value, json};

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
    /// Proposals of a round
    #[arg(long, default_value_t = 20)]
    proposals: usize,
    /// How often all is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures and prints the table.
pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    let (outside, inside) = (root.join("daemon"), root.join("host"));
    fs::create_dir(&outside)?;
    fs::create_dir(&inside)?;
    let daemon = Daemon::start(&outside, "").await?;
    let config = Config { state_root: Some(inside), ..Config::default() };
    let host = Host::start(Registry::linked(&[], &[])?, config).await?;
    let mut rows = Vec::new();
    for shape in [Shape::Independent, Shape::Chained] {
        rows.extend(compare(args, shape, &daemon, &host, &outside).await?);
    }
    host.shutdown().await;
    daemon.stop().await?;
    print(&rows, args.actions);
    Ok(())
}

async fn compare(
    args: &Args,
    shape: Shape,
    daemon: &Daemon,
    host: &Host,
    root: &Path,
) -> Result<[Row; 2], Error> {
    let proposal = proposal(shape, args.actions);
    let request = Client::request("proposal.submit", &json!({ "proposal": proposal }));
    let mut client = daemon.client().await?;
    let (result, journal) = sample(&mut client, &proposal, root).await?;
    let file = root.join(format!("floor-{}.jsonl", shape.word()));
    let floor = Arc::new(Floor::new(&file, result, journal)?);
    let answer = floor.clone();
    let bare = Bare::start(move |text| answer.execute(text)).await?;
    let mut floored = bare.client().await?;
    let engine = host.service(&ENGINE).ok_or("the engine is linked")?;
    let runtime = engine.open(&format!("bench-{}", shape.word()), Identity::Client).await?;
    let mut socket = Row { shape: shape.word(), place: "socket", ..Row::default() };
    let mut process = Row { shape: shape.word(), place: "process", ..Row::default() };
    for round in 0..args.rounds {
        eprintln!("{}: round {}", shape.word(), round + 1);
        socket.floor.extend(exchange(&mut floored, &request, args.proposals).await?);
        let spent = process::cpu(daemon.pid()?)?;
        socket.ours.extend(exchange(&mut client, &request, args.proposals).await?);
        let spent = process::cpu(daemon.pid()?)?.saturating_sub(spent).as_secs_f64();
        socket.cpu = Some(socket.cpu.unwrap_or_default() + spent);
        process
            .floor
            .extend(time(args.proposals, async || floor.execute(&request).map(drop)).await?);
        let execute = async || {
            let mut request: Value = serde_json::from_str(&request)?;
            let result = runtime.execute(request["params"]["proposal"].take(), None).await?;
            drop(result.to_string());
            Ok(())
        };
        process.ours.extend(time(args.proposals, execute).await?);
    }
    Ok([socket, process])
}

/// What one proposal is answered with, and what it leaves in the journal.
async fn sample(
    client: &mut Client,
    proposal: &Value,
    root: &Path,
) -> Result<(Value, Vec<u8>), Error> {
    let ready = client.call("session.init", &json!({})).await?;
    let id = ready["session_id"].as_str().ok_or("a session has an id")?;
    let result = client.call("proposal.submit", &json!({ "proposal": proposal })).await?;
    let results = result["results"].as_array().ok_or("a result has results")?;
    if let Some(other) = results.iter().find(|it| it["status"] != "succeeded") {
        return Err(format!("an action did not succeed: {other}").into());
    }
    // Verifying brings the file to where the journal is.
    client.call("events.chain.verify", &json!({})).await?;
    let journal = fs::read(root.join(format!("journals/{id}.jsonl")))?;
    Ok((result, journal))
}

/// The floor: reads the request, writes each key into a map under a lock, appends what the journal got
/// in one write, and writes the reply.
struct Floor {
    state: Mutex<BTreeMap<String, Value>>,
    file: Mutex<File>,
    journal: Vec<u8>,
    result: Value,
}

impl Floor {
    fn new(file: &Path, result: Value, journal: Vec<u8>) -> Result<Self, Error> {
        let file = Mutex::new(OpenOptions::new().create(true).append(true).open(file)?);
        Ok(Self { state: Mutex::default(), file, journal, result })
    }

    fn execute(&self, text: &str) -> Result<String, Error> {
        let mut request: Value = serde_json::from_str(text)?;
        let Value::Array(actions) = request["params"]["proposal"]["actions"].take() else {
            return Err("a proposal has actions".into());
        };
        for mut action in actions {
            let parameters = &mut action["parameters"];
            if let (Value::String(key), value) =
                (parameters["key"].take(), parameters["value"].take())
            {
                self.state.lock().map_err(|it| it.to_string())?.insert(key, value);
            }
        }
        self.file.lock().map_err(|it| it.to_string())?.write_all(&self.journal)?;
        reply(&self.result)
    }
}
