//! Names that change their minds, and servers that never end, held to what a call may take.

use std::{collections::VecDeque, net::Ipv4Addr};

use carport_a2a_outbound::{ANSWER_BYTES, Agent, AllowList, Ask, Carrier, Failure, Request};
use carport_a2a_types::{Task, Version};
use carport_core::Guarded;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ABROAD: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));

/// Answers with one of these after the other, and with the last one from then on.
struct Fickle(Guarded<VecDeque<Vec<IpAddr>>>);

#[async_trait]
impl Names for Fickle {
    async fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        answer.ok_or_else(|| io::Error::other("no such name"))
    }
}

/// What calls from here, where names stand for these.
fn fickle(allow: &[&str], answers: &[&[IpAddr]]) -> Outgoing {
    let answers = answers.iter().map(|it| it.to_vec()).collect();
    let screen = Screen::new(AllowList::parse(allow).unwrap());
    Outgoing::with_names(screen, Arc::new(Fickle(Guarded::new(answers)))).unwrap()
}

fn here() -> Outgoing {
    Outgoing::new(Screen::new(AllowList::parse(&["127.0.0.1"]).unwrap())).unwrap()
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn post(outgoing: &Outgoing, url: &str) -> std::result::Result<Attempt, Refusal> {
    outgoing.post(url, HeaderMap::new(), b"{}".to_vec(), Time::default()).await
}

/// What asks a peer from here, and carries what may take so long.
struct Asking(Duration);

impl Carrier for Asking {
    async fn carry(&self, request: Request<'_>) -> std::result::Result<Reply, Unmet> {
        here().exchange(request.to, HeaderMap::new(), request.body, self.0).await
    }
}

/// Asks for an answer that is read whole.
async fn exchange(url: &str, total: Duration) -> std::result::Result<(), Failure> {
    let agent = Agent::find(Asking(total), &Target::parse(url).unwrap()).await?;
    agent.call_in::<Task>(&Ask::Get("t"), Version::V1).await.map(drop)
}

/// Asks for a stream, and hears it to its end.
async fn stream(url: &str) -> std::result::Result<(), Failure> {
    let agent = Agent::find(Asking(POST), &Target::parse(url).unwrap()).await?;
    let ask = Ask::Follow { id: "t", after: None };
    let mut events = agent.stream_in(&ask, Version::V1).await?;
    while events.next().await?.is_some() {}
    Ok(())
}

/// A server that has read a request and does the rest by `answer`. It tells how many bytes were taken.
fn serving<F: Future<Output = usize> + Send>(
    listener: TcpListener,
    answer: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> JoinHandle<usize> {
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        answer(stream).await
    })
}

/// Writes a head, and then a piece again and again until nobody takes it.
async fn without_end(
    mut stream: TcpStream,
    head: String,
    piece: Vec<u8>,
    every: Duration,
) -> usize {
    let mut taken = 0;
    if stream.write_all(head.as_bytes()).await.is_err() {
        return taken;
    }
    while stream.write_all(&piece).await.is_ok() {
        taken += piece.len();
        if !every.is_zero() {
            sleep(every).await;
        }
    }
    taken
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_connected_to() {
    let (listener, port) = listener().await;
    let blocked = Err(Refusal::Blocked("hook.example".into()));
    let url = format!("https://hook.example:{port}/");
    for answers in [&[&[HERE][..]][..], &[&[ABROAD, HERE]], &[&[ABROAD], &[HERE]]] {
        // The third one passes where it is judged and has changed its mind when it is connected to.
        assert_eq!(post(&fickle(&[], answers), &url).await, blocked, "{answers:?}");
        let target = Target::parse(&url).unwrap();
        let asked = fickle(&[], answers).exchange(&target, HeaderMap::new(), None, POST).await;
        assert_eq!(asked.err(), Some(Unmet::Refused(Refusal::Blocked("hook.example".into()))));
    }
    let connected = timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(connected.is_err(), "nothing was connected to");
}

#[tokio::test]
async fn a_name_that_is_allowed_on_one_port_is_screened_on_every_other() {
    let (listener, port) = listener().await;
    for (entry, answers) in [
        (format!("hook.example:{}", port ^ 1), &[&[HERE][..]][..]),
        // It passes where it is judged and has changed its mind when it is connected to.
        (format!("hook.example:{}", port ^ 1), &[&[ABROAD], &[HERE]]),
    ] {
        let outgoing = fickle(&[entry.as_str()], answers);
        let blocked = Err(Refusal::Blocked("hook.example".into()));
        assert_eq!(post(&outgoing, &format!("https://hook.example:{port}/")).await, blocked);
    }
    let connected = timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(connected.is_err(), "nothing was connected to");
    let allowed = fickle(&[&*format!("hook.example:{port}")], &[&[HERE]]);
    let asking =
        tokio::spawn(async move { post(&allowed, &format!("http://hook.example:{port}/")).await });
    assert!(timeout(Duration::from_secs(5), listener.accept()).await.is_ok());
    asking.abort();
}

#[tokio::test]
async fn a_name_that_is_allowed_is_connected_to_wherever_it_leads() {
    let (listener, port) = listener().await;
    let allowed = fickle(&["hook.example"], &[&[HERE]]);
    let asking =
        tokio::spawn(async move { post(&allowed, &format!("http://hook.example:{port}/")).await });
    let mut stream = listener.accept().await.unwrap().0;
    stream
        .write_all(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    let wish = Some(Duration::from_secs(7));
    assert_eq!(asking.await.unwrap(), Ok(Attempt::Answer(429, wish)));
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_no_answer() {
    let nobody = fickle(&[], &[]);
    assert_eq!(post(&nobody, "https://hook.example/").await, Ok(Attempt::NoAnswer));
}

#[tokio::test]
async fn a_receiver_whose_answer_never_ends_has_taken_the_post() {
    let (listener, port) = listener().await;
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let server = serving(listener, |it| without_end(it, head, piece, Duration::ZERO));
    let posted = post(&here(), &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(posted, Ok(Attempt::Answer(200, None)));
    let taken = timeout(Duration::from_secs(20), server).await.expect("it is hung up on").unwrap();
    assert!(taken < 32 << 20, "{taken} bytes were taken of an answer that nobody reads");
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_when_they_are_announced_or_too_many() {
    const HUNDRED: usize = 100 << 20;
    for head in [
        format!("HTTP/1.1 200 OK\r\nContent-Length: {HUNDRED}\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned(),
        // One event of a stream, without any end of line.
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ".to_owned(),
    ] {
        let (listener, port) = listener().await;
        let streams = head.contains("event-stream");
        let server =
            serving(listener, |it| without_end(it, head, vec![b'x'; 1 << 16], Duration::ZERO));
        let answered = match streams {
            true => stream(&format!("http://127.0.0.1:{port}/rpc")).await,
            false => exchange(&format!("http://127.0.0.1:{port}/rpc"), POST).await,
        };
        assert_eq!(answered, Err(Unmet::Long(ANSWER_BYTES).into()));
        let taken =
            timeout(Duration::from_secs(20), server).await.expect("it is hung up on").unwrap();
        assert!(taken < HUNDRED / 2, "{taken} bytes were taken");
    }
}

#[tokio::test]
async fn a_head_without_an_end_is_bounded() {
    let (listener, port) = listener().await;
    let head = "HTTP/1.1 200 OK\r\n".to_owned();
    let piece = b"x-more: and more\r\n".repeat(1000);
    let server = serving(listener, |it| without_end(it, head, piece, Duration::ZERO));
    let answered = exchange(&format!("http://127.0.0.1:{port}/rpc"), POST).await;
    assert_eq!(answered, Err(Unmet::Broken.into()));
    assert!(server.await.unwrap() < 16 << 20);
}

/// The clock goes on by itself whenever nothing else does.
#[tokio::test(start_paused = true)]
async fn whoever_never_answers_is_given_up() {
    let (_listener, port) = listener().await;
    let url = format!("http://127.0.0.1:{port}/rpc");
    let began = Instant::now();
    assert_eq!(post(&here(), &url).await, Ok(Attempt::NoAnswer));
    assert!(began.elapsed() <= FIRST_BYTE, "{:?}", began.elapsed());
    for (total, most) in [(POST, FIRST_BYTE), (POST * 5, POST * 5)] {
        let began = Instant::now();
        assert_eq!(exchange(&url, total).await, Err(Unmet::Late.into()));
        assert!(began.elapsed() <= most, "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_in_drops_is_given_up() {
    let (listener, port) = listener().await;
    let head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_owned();
    let server =
        serving(listener, |it| without_end(it, head, b" ".to_vec(), Duration::from_secs(1)));
    let began = Instant::now();
    let answered = exchange(&format!("http://127.0.0.1:{port}/rpc"), POST).await;
    assert_eq!(answered, Err(Unmet::Late.into()));
    assert!(began.elapsed() <= POST, "{:?}", began.elapsed());
    assert!(server.await.unwrap() <= 62);
}
