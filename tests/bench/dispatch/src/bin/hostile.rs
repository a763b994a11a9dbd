//! What a bystander feels of hostile clients: its latency before and during each attack, and the memory
//! that the daemon holds meanwhile.

use std::{
    env,
    error::Error,
    net::SocketAddr,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{
    client::{self, Socket},
    process,
    servers::{self, Server},
};
use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::Message;

type BoxError = Box<dyn Error + Send + Sync>;
type Done = Result<(), BoxError>;

/// How long the bystander is watched, before an attack and during it.
const WATCH: Duration = Duration::from_millis(1500);

#[derive(Debug, Clone, Copy)]
enum Attack {
    HugeFrames,
    UnreadReplies,
    DeepNesting,
    Fragments,
    SlowUpgrades,
    Churn,
    DeafSubscriber,
    BrokenFrames,
    BinaryFrames,
    LargeHeaders,
    ForeignOrigins,
    FullFlight,
}

const ATTACKS: [(Attack, &str); 12] = [
    (Attack::HugeFrames, "frames that announce 64 MiB, one after another"),
    (Attack::UnreadReplies, "requests for large replies that are never read"),
    (Attack::DeepNesting, "100,000 levels of nesting, one after another"),
    (Attack::Fragments, "messages in fragments of one byte"),
    (Attack::SlowUpgrades, "50 upgrades that never end"),
    (Attack::Churn, "connects and disconnects without pause"),
    (Attack::DeafSubscriber, "events to a subscriber that never reads"),
    (Attack::BrokenFrames, "unmasked frames, reserved bits, invalid UTF-8, bad close codes"),
    (Attack::BinaryFrames, "binary frames that nobody asked for"),
    (Attack::LargeHeaders, "upgrade headers of 64 KiB"),
    (Attack::ForeignOrigins, "upgrades with a foreign Origin and a rebound Host"),
    (Attack::FullFlight, "300 calls in flight, again and again"),
];

fn main() -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut args = env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("--serve"), Some(name)) => {
            let server = servers::named(&name).map_err(|it| it.to_string())?;
            runtime.block_on(servers::serve(server)).map_err(|it| it.to_string().into())
        }
        _ => runtime.block_on(measure()),
    }
}

async fn measure() -> Done {
    println!(
        "| attack | p99 us before | p99 us during | p50 us before | p50 us during | MiB held at most |"
    );
    println!("|---|---|---|---|---|---|");
    for (attack, name) in ATTACKS {
        let mut process = servers::spawn(Server::Carport).await.map_err(|it| it.to_string())?;
        let mut sockets = client::connect(process.address, 1).await?;
        let bystander = sockets.first_mut().ok_or("a bystander")?;
        watch(bystander, process.pid).await?;
        let idle = process::resident(process.pid)?;
        let before = watch(bystander, process.pid).await?;
        let attacker = tokio::spawn(attack.run(process.address));
        let during = watch(bystander, process.pid).await?;
        attacker.abort();
        process.stop().await?;
        let held = during.resident.saturating_sub(idle) as f64 / f64::from(1 << 20);
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {held:.1} |",
            before.at(0.99),
            during.at(0.99),
            before.at(0.5),
            during.at(0.5),
        );
    }
    Ok(())
}

struct Felt {
    latencies: Vec<Duration>,
    resident: u64,
}

impl Felt {
    /// In microseconds.
    fn at(&self, share: f64) -> f64 {
        let place = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(place).map_or(f64::NAN, |it| it.as_secs_f64() * 1e6)
    }
}

/// Asks one question after another and looks at the daemon's memory now and then.
async fn watch(socket: &mut Socket, pid: u32) -> Result<Felt, BoxError> {
    let (began, mut latencies, mut resident) = (Instant::now(), Vec::new(), 0);
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"server.ping"}"#;
    while began.elapsed() < WATCH {
        let asked = Instant::now();
        socket.send(Message::text(ping)).await?;
        socket.next().await.ok_or("the bystander is answered")??;
        latencies.push(asked.elapsed());
        if latencies.len() % 256 == 1 {
            resident = resident.max(process::resident(pid)?);
        }
    }
    latencies.sort_unstable();
    Ok(Felt { latencies, resident })
}

impl Attack {
    /// Goes on until it is aborted; an attack that the daemon ends is begun again.
    async fn run(self, address: SocketAddr) {
        loop {
            // The daemon closes most of these connections; that is what is wanted of it.
            let _ = match self {
                Self::HugeFrames => huge_frame(address).await,
                Self::UnreadReplies => unread_replies(address).await,
                Self::DeepNesting => deep_nesting(address).await,
                Self::Fragments => fragments(address).await,
                Self::SlowUpgrades => slow_upgrades(address).await,
                Self::Churn => churn(address).await,
                Self::DeafSubscriber => deaf_subscriber(address).await,
                Self::BrokenFrames => broken_frames(address).await,
                Self::BinaryFrames => binary_frames(address).await,
                Self::LargeHeaders => request(address, &large_header(address)).await,
                Self::ForeignOrigins => request(address, FOREIGN).await,
                Self::FullFlight => full_flight(address).await,
            };
        }
    }
}

async fn known(address: SocketAddr) -> Result<Socket, BoxError> {
    client::connect(address, 1).await?.pop().ok_or_else(|| "one connection".into())
}

async fn huge_frame(address: SocketAddr) -> Done {
    let mut socket = known(address).await?;
    let header = [&[0x81, 0xff][..], &(64u64 << 20).to_be_bytes(), &[0; 4]].concat();
    socket.get_mut().write_all(&header).await?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

async fn unread_replies(address: SocketAddr) -> Done {
    let mut socket = known(address).await?;
    loop {
        socket.send(Message::text(r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#)).await?;
    }
}

async fn deep_nesting(address: SocketAddr) -> Done {
    let mut socket = known(address).await?;
    let params = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server.ping","params":{params}}}"#);
    loop {
        socket.send(Message::text(text.clone())).await?;
        socket.next().await.ok_or("an error")??;
    }
}

async fn fragments(address: SocketAddr) -> Done {
    let mut socket = known(address).await?;
    let text = br#"{"jsonrpc":"2.0","id":1,"method":"server.ping"}"#;
    let mut bytes = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        let first = u8::from(at == 0) | if at + 1 == text.len() { 0x80 } else { 0 };
        bytes.extend([first, 0x81, 0, 0, 0, 0, *byte]);
    }
    loop {
        socket.get_mut().write_all(&bytes).await?;
        socket.next().await.ok_or("a reply")??;
    }
}

async fn slow_upgrades(address: SocketAddr) -> Done {
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(TcpStream::connect(address).await?);
    }
    loop {
        for stream in &mut streams {
            stream.write_all(b"G").await?;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn churn(address: SocketAddr) -> Done {
    let mut visits = JoinSet::new();
    for _ in 0..16 {
        visits.spawn(async move { known(address).await.map(drop) });
    }
    while let Some(visited) = visits.join_next().await {
        visited??;
    }
    Ok(())
}

async fn deaf_subscriber(address: SocketAddr) -> Done {
    let (mut deaf, mut source) = (known(address).await?, known(address).await?);
    deaf.send(Message::text(r#"{"jsonrpc":"2.0","id":1,"method":"host.subscribe"}"#)).await?;
    let pad = "x".repeat(4000);
    let notify = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"host.notify","params":{{"message":"{pad}"}}}}"#
    );
    loop {
        source.send(Message::text(notify.clone())).await?;
        source.next().await.ok_or("a reply")??;
    }
}

async fn broken_frames(address: SocketAddr) -> Done {
    let frames: [&[u8]; 4] = [
        &[0x81, 0x02, b'{', b'}'],
        &[0xc1, 0x82, 0, 0, 0, 0, b'{', b'}'],
        &[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe],
        &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe7],
    ];
    for frame in frames {
        let mut socket = known(address).await?;
        socket.get_mut().write_all(frame).await?;
        while let Some(Ok(_)) = socket.next().await {}
    }
    Ok(())
}

async fn binary_frames(address: SocketAddr) -> Done {
    let mut socket = known(address).await?;
    loop {
        socket.send(Message::binary(vec![0x01; 4096])).await?;
    }
}

const FOREIGN: &str = "GET / HTTP/1.1\r\nHost: evil.example\r\nOrigin: https://evil.example\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn large_header(address: SocketAddr) -> String {
    format!("GET / HTTP/1.1\r\nHost: {address}\r\nX-Large: {}\r\n\r\n", "x".repeat(64 * 1024))
}

/// Sends a request and reads its answer to the end.
async fn request(address: SocketAddr, text: &str) -> Done {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(())
}

async fn full_flight(address: SocketAddr) -> Done {
    let mut socket = known(address).await?;
    loop {
        for _ in 0..300 {
            socket
                .feed(Message::text(r#"{"jsonrpc":"2.0","id":1,"method":"server.ping"}"#))
                .await?;
        }
        socket.flush().await?;
        for _ in 0..300 {
            socket.next().await.ok_or("a reply")??;
        }
    }
}
