//! The program that the suite runs: `shim ID` is the shim, `supervise ROOT COUNT` a daemon that can be killed.

use std::{path::PathBuf, process::exit};

mod world;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["shim", _] => exit(carport_agents_process::shim::run()),
        ["supervise", root, count] => supervise(root.into(), count.parse().unwrap_or(1)),
        _ => exit(2),
    }
}

/// Starts so many agents, each a stubborn tree, says `up` and runs until it is killed.
#[tokio::main(flavor = "current_thread")]
async fn supervise(root: PathBuf, count: usize) {
    let helper = std::env::current_exe().unwrap_or_default();
    let world = world::World::at(root, helper);
    for number in 0..count {
        let agent = world.put(&format!("agent-{number}"), world::STUBBORN_TREE, |_| {});
        world.supervisor.start(&agent).await.map(drop).unwrap_or_else(|error| panic!("{error}"));
    }
    println!("up");
    std::future::pending::<()>().await;
}
