//! One short question to a program: its arguments, an answer, a time limit.

use std::{path::Path, time::Duration};

use carport_agents_process::{Command, Gone, Started, machine::Exit};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

use crate::{adapter::Adapter, externals::Ground};

/// How much of an answer is kept, in bytes.
const ANSWER_BYTES: usize = 16 << 10;

/// What a program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it printed, standard output first.
    pub(crate) text: String,
}

/// Asks, after the program was held against the rules. The error says why there is no answer; then nothing of the program's tree lives.
pub(crate) async fn ask(
    ground: &Ground,
    adapter: &Adapter,
    program: &Path,
    args: &[String],
) -> Result<Answer, String> {
    let started = async {
        let command = ground.command(adapter, program).await?;
        let command = Command { args: args.to_vec(), ..command };
        command.start(&ground.shim_for(adapter.id())).await
    };
    let Started { mut process, stdout, stderr } =
        started.await.map_err(|error| error.to_string())?;
    let answered = async { tokio::join!(read(stdout), read(stderr), process.gone()) };
    match timeout(ground.ask_limit, answered).await {
        Ok((stdout, stderr, gone)) => {
            let code = match gone {
                Gone::Exited(Exit::Code(code)) => Some(code),
                Gone::Exited(_) | Gone::Outlived(_) => None,
            };
            let text = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
            Ok(Answer { code, text })
        }
        Err(_) => {
            process.end(Duration::ZERO).await;
            process.gone().await;
            Err(format!("no answer within {} s", ground.ask_limit.as_secs_f64()))
        }
    }
}

/// Reads to the end and keeps the beginning.
async fn read(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let room = ANSWER_BYTES - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    kept
}
