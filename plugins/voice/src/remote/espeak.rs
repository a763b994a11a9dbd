//! Speech by the program `espeak-ng`, where it is installed.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use carport_core::{Result as Answer, RpcError};
use carport_voice_api::{
    About, Failure, FailureKind, Out, Provider, Say, Sound, TextToSpeech, Unready,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdout, Command},
    runtime::Handle,
    time::timeout,
};

use super::{ProviderSettings, pcm::Pieces, waiting::unless_cancelled};

/// What is run where nothing is configured.
const PROGRAM: &str = "espeak-ng";
/// Of its sound, in Hz.
const SPEECH_RATE: u32 = 22_050;
/// Words a minute at speed 1, as the program has it.
const WORDS_A_MINUTE: f64 = 175.0;
/// Bytes of the WAV header that it writes.
const HEADER: usize = 44;
/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// The program as a provider of speech.
pub(crate) fn providers(name: &str, settings: &ProviderSettings) -> Vec<Provider> {
    vec![Provider::Tts(Arc::new(Espeak {
        name: name.to_owned(),
        program: settings.program.clone().unwrap_or_else(|| PROGRAM.into()),
        voices: settings.voices.clone(),
        timeout: Duration::from_secs(settings.timeout_secs),
        runtime: Handle::current(),
    }))]
}

struct Espeak {
    name: String,
    program: PathBuf,
    voices: Vec<String>,
    timeout: Duration,
    runtime: Handle,
}

impl Espeak {
    fn failed(&self, why: &str) -> Failure {
        Failure::new(FailureKind::Failed, format!("provider `{}` {why}", self.name))
    }

    fn command(&self, say: &Say) -> Command {
        let mut command = Command::new(&self.program);
        let words = (WORDS_A_MINUTE * say.speed).round();
        let usual = self.voices.first();
        command.args(["--stdin", "--stdout", "-s", &words.to_string()]);
        if let Some(voice) = say.voice.as_ref().or(say.language.as_ref()).or(usual) {
            command.args(["-v", voice]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.kill_on_drop(true);
        command
    }

    /// Reads what comes next; nothing at the end.
    async fn read(&self, stdout: &mut ChildStdout, most: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::with_capacity(most);
        let read = async {
            let mut stdout = stdout.take(most as u64);
            // A header has to be whole, sound may come as it likes.
            while bytes.len() < HEADER && stdout.read_buf(&mut bytes).await? > 0 {}
            Ok::<_, std::io::Error>(())
        };
        match timeout(self.timeout, read).await {
            Err(_) => Err(self.failed("said nothing for too long")),
            Ok(Err(_)) => Err(self.failed("broke off")),
            Ok(Ok(())) => Ok(bytes),
        }
    }

    /// Whether the text was spoken to its end.
    async fn run(&self, say: &Say, child: &mut Child, out: Out<'_>) -> Result<bool, Failure> {
        let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(self.failed("has no pipes"));
        };
        let text = say.text.clone();
        // It may speak before it has read everything, and would wait for us to listen.
        let writing = self.runtime.spawn(async move {
            let _ = stdin.write_all(text.as_bytes()).await;
        });
        let told = self.listen(say, &mut stdout, out).await;
        writing.abort();
        if !told? {
            return Ok(false);
        }
        match timeout(self.timeout, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(true),
            Ok(_) => Err(self.failed("ended with an error")),
            Err(_) => Err(self.failed("did not end")),
        }
    }

    async fn listen(
        &self,
        say: &Say,
        stdout: &mut ChildStdout,
        out: Out<'_>,
    ) -> Result<bool, Failure> {
        let header = unless_cancelled(&say.cancel, self.read(stdout, HEADER)).await;
        let Some(header) = header else { return Ok(false) };
        if !is_header(&header?) {
            return Err(self.failed("wrote no WAV of 16 bits, one channel and 22050 Hz"));
        }
        let (mut pieces, mut is_silent) = (Pieces::default(), true);
        loop {
            let read = unless_cancelled(&say.cancel, self.read(stdout, READ)).await;
            let Some(bytes) = read else { return Ok(false) };
            let bytes = bytes?;
            if bytes.is_empty() {
                break;
            }
            is_silent = false;
            if let Some(samples) = pieces.push(&bytes) {
                // Waits while enough lies ahead; the runtime has a thread of its own for that.
                if out(Sound::Samples(samples)).is_break() {
                    return Ok(false);
                }
            }
        }
        match pieces.finish() {
            _ if is_silent => Err(self.failed("made no sound")),
            None => Err(self.failed("broke off in the middle of a sample")),
            Some(rest) if rest.is_empty() => Ok(true),
            Some(rest) => Ok(out(Sound::Samples(rest)).is_continue()),
        }
    }
}

/// The header of `espeak-ng --stdout`; the lengths in it are not known when it is written.
fn is_header(bytes: &[u8]) -> bool {
    let (pcm, mono, bits) = ([1, 0], [1, 0], [16, 0]);
    bytes.len() == HEADER
        && bytes.starts_with(b"RIFF")
        && &bytes[8..16] == b"WAVEfmt "
        && bytes[20..22] == pcm
        && bytes[22..24] == mono
        && bytes[24..28] == SPEECH_RATE.to_le_bytes()
        && bytes[34..36] == bits
        && &bytes[36..40] == b"data"
}

/// Where the program is.
fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|it| it.join(program)).find(|it| it.is_file())
}

/// A name that the program takes for a voice: `en-gb`, `en+f3`, `mb/mb-en1`.
fn is_voice(name: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"+_-/".contains(&it);
    name.bytes().all(fits) && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

impl TextToSpeech for Espeak {
    fn about(&self) -> About {
        let description = "Speech by the program espeak-ng, in many languages".into();
        About { id: self.name.clone(), description, streaming: true }
    }

    fn ready(&self) -> Result<(), Unready> {
        match find(&self.program) {
            Some(_) => Ok(()),
            None => {
                let missing = self.program.display().to_string();
                let remedy = format!(
                    "`{missing}` is not installed: install espeak-ng, or set \
                     `voice.providers.{}.program`",
                    self.name
                );
                Err(Unready { missing, remedy })
            }
        }
    }

    fn waits(&self) -> bool {
        true
    }

    fn voices(&self) -> Vec<String> {
        self.voices.clone()
    }

    fn sample_rate(&self) -> u32 {
        SPEECH_RATE
    }

    fn check(&self, say: &Say) -> Answer<()> {
        if let Some(voice) = &say.voice {
            let is_known = self.voices.is_empty() || self.voices.contains(voice);
            if !is_known || !is_voice(voice) {
                let why = format!("provider `{}` has no voice `{voice}`", self.name);
                return Err(RpcError::invalid_params("voice", why).with("known", self.voices()));
            }
        }
        match &say.language {
            Some(language) if !is_voice(language) => {
                Err(RpcError::invalid_params("language", "must be a tag like `en` or `en-gb`"))
            }
            _ => Ok(()),
        }
    }

    fn speak(&self, say: &Say, out: Out<'_>) -> Result<(), Failure> {
        self.runtime.block_on(async {
            let mut child = self
                .command(say)
                .spawn()
                .map_err(|error| self.failed(&format!("could not be started: {}", error.kind())))?;
            let told = self.run(say, &mut child, out).await;
            if !matches!(told, Ok(true)) {
                // Nothing is left of it when this returns.
                let _ = child.kill().await;
            }
            told.map(drop)
        })
    }
}
