//! A thousand tasks at once, each on its way for seconds, and what is left of them: nothing but their files.

use std::{fs, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    a2a::{at_once, message},
    daemon::Daemon,
};

const AT_ONCE: usize = 1000;
const CONNECTIONS: usize = 5;

/// `VmRSS` of a process in KiB, and its threads.
fn held(daemon: &Daemon) -> (usize, usize) {
    let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let figure = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    (figure("VmRSS:"), figure("Threads:"))
}

/// So many tasks begin, are seen at work together, and end.
async fn wave(daemon: &Daemon) {
    let senders = (0..CONNECTIONS).map(|_| async {
        let mut peer = daemon.client().await;
        for _ in 0..AT_ONCE / CONNECTIONS {
            let params = at_once(message("test-resubscribe-message-id"));
            peer.call("SendMessage", params).await.unwrap();
        }
    });
    join_all(senders).await;
    let mut peer = daemon.client().await;
    let mut most_at_work = 0;
    loop {
        let count = async |peer: &mut crate::daemon::Peer, state: &str| {
            let list = peer.call("ListTasks", json!({ "status": state, "pageSize": 1 })).await;
            list.unwrap()["totalSize"].as_u64().unwrap()
        };
        let at_work = count(&mut peer, "TASK_STATE_WORKING").await;
        most_at_work = most_at_work.max(at_work);
        if at_work == 0 && count(&mut peer, "TASK_STATE_SUBMITTED").await == 0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(most_at_work > 0);
    let ended = json!({ "status": "TASK_STATE_COMPLETED", "pageSize": 1 });
    let list: Value = peer.call("ListTasks", ended).await.unwrap();
    assert_eq!(
        list["totalSize"], AT_ONCE,
        "each of them ended by itself, and older ones made room"
    );
}

async fn waves(count: usize) {
    let config = format!("[a2a]\ntest_executor = true\nmax_tasks = {AT_ONCE}\n");
    let daemon = Daemon::with_config(&config).await;
    wave(&daemon).await;
    let (before, _) = held(&daemon);
    for _ in 1..count {
        wave(&daemon).await;
    }
    let (after, _) = held(&daemon);
    eprintln!("{before} KiB after the first {AT_ONCE}, {after} KiB after {count} times as many");
    // A task that is left behind takes more than 4 KiB with its row, its turn and its messages.
    let most = before + 4 * AT_ONCE * (count - 1) / 2;
    assert!(after < most, "{after} KiB, not under {most}");
    assert_eq!(fs::read_dir(daemon.path("a2a/tasks")).unwrap().count(), AT_ONCE);
    let metrics = daemon.host().await.call("host.metrics", json!({})).await.unwrap();
    assert!(metrics["text"].as_str().unwrap().contains("carport_sessions 1\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tasks_at_once_end_and_leave_nothing() {
    waves(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/run --long"]
async fn thousands_of_tasks_leave_nothing() {
    waves(20).await;
}
