//! How often the daemon allocates for one request: counted on the server's own thread, where nothing
//! else runs.

use std::{error::Error, net::SocketAddr, thread};

use carport_core::{Config, Host, Listener, Registry};
use futures_util::{SinkExt, StreamExt};
use tokio::{net::TcpStream, runtime::Builder, sync::oneshot};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Requests that are counted, after as many that are not.
const REQUESTS: u64 = 10_000;

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), BoxError> {
    println!("| in flight | allocations/request | bytes/request |");
    println!("|-----------|---------------------|---------------|");
    for in_flight in [1, 64] {
        let (count, bytes) = measure(in_flight)?;
        let each = |total: u64| total as f64 / REQUESTS as f64;
        println!("| {in_flight:>9} | {:>19.2} | {:>13.0} |", each(count), each(bytes));
    }
    Ok(())
}

/// Serves on this thread while another sends, and counts this thread's allocations.
fn measure(in_flight: u64) -> Result<(u64, u64), BoxError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (tell, told) = oneshot::channel();
    let (warmed, warm) = oneshot::channel();
    let (start, started) = oneshot::channel::<()>();
    let (finished, done) = oneshot::channel();
    let client = thread::spawn(move || -> Result<(), BoxError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut socket = connect(told.await?).await?;
            exchange(&mut socket, in_flight).await?;
            warmed.send(()).map_err(|()| "the server has ended")?;
            started.await?;
            exchange(&mut socket, in_flight).await?;
            finished.send(()).map_err(|()| "the server has ended")?;
            BoxResult::Ok(())
        })
    });
    runtime.block_on(async {
        tell.send(serve().await?).map_err(|_| "the client has ended")?;
        warm.await?;
        BoxResult::Ok(())
    })?;
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            // Errors show as a client that has ended, which is looked at below.
            let _ = start.send(());
            let _ = done.await;
        });
    });
    client.join().map_err(|_| "the client panicked")??;
    Ok((counted.count_total, counted.bytes_total))
}

type BoxResult = Result<(), BoxError>;

async fn serve() -> Result<SocketAddr, BoxError> {
    let mut config = Config::default();
    config.tokens.client = Some("bench".into());
    let host = Host::start(Registry::linked(&[], &[])?, config).await?;
    let listener = Listener::bind(Some(SocketAddr::from(([127, 0, 0, 1], 0))), &[]).await?;
    let address = listener.address().ok_or("listens on TCP")?;
    tokio::spawn(listener.serve(host));
    Ok(address)
}

async fn connect(address: SocketAddr) -> Result<WebSocketStream<TcpStream>, BoxError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client_async(format!("ws://{address}/"), stream).await?;
    let auth = r#"{"jsonrpc":"2.0","id":0,"method":"session.auth","params":{"token":"bench"}}"#;
    socket.send(Message::text(auth)).await?;
    socket.next().await.ok_or("the server has ended")??;
    Ok(socket)
}

async fn exchange(socket: &mut WebSocketStream<TcpStream>, in_flight: u64) -> BoxResult {
    for _ in 0..REQUESTS / in_flight {
        for id in 0..in_flight {
            let ping = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"server.ping"}}"#);
            socket.feed(Message::text(ping)).await?;
        }
        socket.flush().await?;
        for _ in 0..in_flight {
            let reply = socket.next().await.ok_or("the server has ended")??;
            assert!(reply.to_text()?.contains("\"ok\":true"), "not an answer: {reply}");
        }
    }
    Ok(())
}
