//! A small agent: says who it is and stays until its connection ends.

use std::env;

use carport_bench_dispatch::{Error, daemon::Client};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let url = env::var("CARPORT_URL")?;
    let proof = json!({
        "agent_id": env::var("CARPORT_AGENT_ID")?,
        "token": env::var("CARPORT_AGENT_TOKEN")?,
    });
    let mut client = Client::connect(url.trim_start_matches("ws://")).await?;
    client.call("session.auth", &proof).await?;
    while client.next().await.is_ok() {}
    Ok(())
}
