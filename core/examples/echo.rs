//! An echo server on the daemon's own WebSocket code, for protocol suites: prints its address and
//! serves until standard input closes.

use std::io::{Read, Write};

use carport_core::testing::echo;
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    runtime.spawn(echo(listener));
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).map(drop)
}
