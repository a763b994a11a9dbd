//! One HTTP connection that posts and reads the whole answer, with a length or in chunks, and is used again.

use carport_bench_dispatch::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A connection.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    address: String,
    line: String,
    body: Vec<u8>,
}

impl Connection {
    pub(crate) async fn to(address: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (line, body) = (String::new(), Vec::new());
        Ok(Self { stream: BufReader::new(stream), address: address.into(), line, body })
    }

    /// Posts a call of v1.0 and answers with the body of what comes back.
    pub(crate) async fn post(&mut self, call: &str) -> Result<&[u8], Error> {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nA2A-Version: 1.0\r\n\
             Content-Length: {}\r\n\r\n{call}",
            self.address,
            call.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let status = self.line().await?.to_owned();
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!("the server answers {status}").into());
        }
        let mut length = None;
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                length = Some(text.trim().parse::<usize>()?);
            }
        }
        self.body.clear();
        match length {
            Some(length) => self.take(length).await?,
            None => self.chunks().await?,
        }
        Ok(&self.body)
    }

    async fn chunks(&mut self) -> Result<(), Error> {
        loop {
            let length = usize::from_str_radix(self.line().await?, 16)?;
            self.take(length).await?;
            self.line().await?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<(), Error> {
        let before = self.body.len();
        self.body.resize(before + length, 0);
        self.stream.read_exact(&mut self.body[before..]).await?;
        Ok(())
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<&str, Error> {
        self.line.clear();
        match self.stream.read_line(&mut self.line).await? {
            0 => Err("the server hung up".into()),
            _ => Ok(self.line.trim_end()),
        }
    }
}
