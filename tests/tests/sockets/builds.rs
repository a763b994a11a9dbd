//! Builds other than the full one: each feature alone, and a third party's daemon.

use std::{path::PathBuf, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{process::Command, time::timeout};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

async fn cargo(args: &[&str]) -> std::process::Output {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let running = Command::new(cargo).args(args).current_dir(root()).stdin(Stdio::null()).output();
    timeout(Duration::from_secs(1200), running).await.expect("it builds in time").unwrap()
}

#[tokio::test]
#[ignore = "long: tests/run --long"]
async fn every_feature_alone_builds_and_boots() {
    for features in ["", "runs", "presence"] {
        let run = [
            "run",
            "--quiet",
            "-p",
            "carport",
            "--no-default-features",
            "--features",
            features,
            "--",
            "plugins",
            "--json",
        ];
        let output = cargo(&run).await;
        assert!(output.status.success(), "{features}: {output:?}");
        let plugins: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = plugins.to_string();
        assert!(text.contains("host") && text.contains(features), "{features}: {text}");
    }
}

#[tokio::test]
#[ignore = "long: tests/run --long"]
async fn a_third_partys_daemon_lists_its_own_plugin() {
    let output =
        cargo(&["run", "--quiet", "-p", "custom-carport", "--", "plugins", "--json"]).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("door") && text.contains("runs"), "{text}");
}
