//! From the start of the daemon's process to its first answer, with an empty state root each time; its
//! size, and what it holds when idle.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use carport_bench_dispatch::process;
use tokio::process::{Child, Command};

/// How often it is started.
const STARTS: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let binary = match env::args().nth(1) {
        Some(path) => PathBuf::from(path),
        None => env::current_exe()?.with_file_name("carport"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut ready, mut resident) = (Vec::new(), 0);
        for _ in 0..STARTS {
            let root = tempfile::tempdir()?;
            let began = Instant::now();
            let mut daemon = serve(&binary, root.path())?;
            while !root.path().join("run/endpoint.json").exists() {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            ready.push(began.elapsed());
            resident = process::resident(daemon.id().ok_or("it runs")?)?;
            daemon.kill().await?;
        }
        ready.sort_unstable();
        println!("| start to listening, median | slowest of {STARTS} | resident idle | binary |");
        println!("|---|---|---|---|");
        println!(
            "| {:.1?} | {:.1?} | {:.1} MiB | {:.1} MiB |",
            ready[STARTS / 2],
            ready[STARTS - 1],
            resident as f64 / f64::from(1 << 20),
            fs::metadata(&binary)?.len() as f64 / f64::from(1 << 20),
        );
        Ok(())
    })
}

fn serve(binary: &Path, root: &Path) -> std::io::Result<Child> {
    Command::new(binary)
        .args(["serve", "--bind", "127.0.0.1:0", "--log", "error", "--state-root"])
        .arg(root)
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
}
