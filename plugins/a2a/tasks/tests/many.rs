//! Ten thousand tasks: what opening a store and listing them takes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::Path,
    pin::pin,
    sync::mpsc::channel,
    task::{Context, Poll, Waker},
    time::Instant,
};

use carport_a2a_tasks::{Caller, FileStore, StoreSettings, TaskStore};
use carport_a2a_types::{ListTasks, TaskState};
use carport_core::Durability;
use tokio::{runtime::Builder, sync::oneshot, task::spawn_blocking};

/// Writes files of tasks: every second one has ended, and each made so many artifacts of so many bytes.
fn write_tasks(directory: &Path, count: usize, artifacts: usize, bytes: usize) {
    fs::create_dir_all(directory.join("tasks")).unwrap();
    let content = "y".repeat(bytes);
    for n in 0..count {
        let at = format!("2026-01-01T00:00:00.{:03}Z", n % 1000);
        let message = r#"{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}]}"#;
        let mut text = format!(
            r#"{{"created":{{"id":"t{n:05}","context_id":"c","owner":"anonymous","at":"{at}","message":{message}}}}}"#
        );
        let mut seq = 0;
        let mut event = |change: &str| {
            seq += 1;
            text +=
                &format!("\n{{\"event\":{{\"seq\":{seq},\"at\":\"{at}\",\"change\":{change}}}}}");
        };
        event(r#"{"status":{"state":"TASK_STATE_WORKING"}}"#);
        for artifact in 0..artifacts {
            event(&format!(
                r#"{{"artifact":{{"artifact":{{"artifactId":"a{artifact}","parts":[{{"text":"{content}"}}]}}}}}}"#
            ));
        }
        if n % 2 == 0 {
            event(r#"{"status":{"state":"TASK_STATE_COMPLETED"}}"#);
        }
        fs::write(directory.join(format!("tasks/t{n:05}.jsonl")), text + "\n").unwrap();
    }
}

async fn open(directory: &Path) -> FileStore {
    let settings = StoreSettings::default();
    FileStore::open(directory, Durability::Process, settings).await.unwrap()
}

#[test]
fn a_store_is_read_on_a_thread_that_may_block_while_everything_else_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    write_tasks(directory.path(), 200, 2, 1000);
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (go, goes) = channel::<()>();
        let (busy, is_busy) = oneshot::channel();
        spawn_blocking(move || {
            busy.send(()).unwrap();
            goes.recv().unwrap();
        });
        is_busy.await.unwrap();
        // The only thread that may block is held up; whoever reads elsewhere is ready at once.
        let mut opening = pin!(open(directory.path()));
        assert!(matches!(
            opening.as_mut().poll(&mut Context::from_waker(Waker::noop())),
            Poll::Pending
        ));
        let goes_on = tokio::spawn(async { 42 });
        assert_eq!(goes_on.await.unwrap(), 42);
        go.send(()).unwrap();
        assert_eq!(opening.await.live(&Caller::daemon()).await.len(), 100);
    });
}

/// `VmHWM`, the most memory that was held, in KiB.
fn most_held() -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "writes 100 MB: tests/run --long"]
async fn ten_thousand_tasks_with_long_logs_are_never_in_memory_at_once() {
    let directory = tempfile::tempdir().unwrap();
    write_tasks(directory.path(), 10_000, 5, 2000);
    // One of them as long as it may be.
    write_tasks(directory.path(), 1, 9000, 3000);
    // What writing took does not count.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, begun) = (most_held(), Instant::now());
    let store = open(directory.path()).await;
    let (took, held) = (begun.elapsed(), most_held() - before);
    eprintln!("100 MB of 10000 tasks: {took:?}, {held} KiB more at most");
    assert_eq!(store.count(&Caller::daemon()), 10_000);
    assert!(held < 32 * 1024, "{held} KiB");
}

/// Lists those of so many tasks that have ended, page by page.
async fn list(count: usize) {
    let directory = tempfile::tempdir().unwrap();
    write_tasks(directory.path(), count, 0, 0);
    let store = open(directory.path()).await;
    let (mut seen, mut pages, mut token, begun) = (0, 0, None, Instant::now());
    loop {
        let query = ListTasks {
            page_size: 10,
            status: Some(TaskState::Completed),
            page_token: token,
            ..ListTasks::default()
        };
        let page = store.list(&Caller::anonymous(), &query).await.unwrap();
        assert_eq!(page.total_size, count / 2);
        (seen, pages) = (seen + page.tasks.len(), pages + 1);
        if page.next_page_token.is_empty() {
            break;
        }
        token = Some(page.next_page_token);
    }
    eprintln!("{pages} pages of {count} tasks: {:?} each", begun.elapsed() / pages);
    assert_eq!(seen, count / 2);
}

#[tokio::test]
async fn many_tasks_are_listed_to_the_last() {
    list(500).await;
}

#[tokio::test]
#[ignore = "takes long: tests/run --long"]
async fn ten_thousand_tasks_are_listed_to_the_last() {
    list(10_000).await;
}
