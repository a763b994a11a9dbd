//! Tests of which graphs stay loaded.

use carport_core::SystemClock;
use tokio::time::advance;

use super::*;

fn store(root: &std::path::Path) -> Arc<Store> {
    let clock = Arc::new(SystemClock);
    Store::new(root.into(), Durability::Process, Utility::default(), clock).into()
}

fn agent(at: usize) -> GraphRef {
    GraphRef::Agent(format!("a{at}"))
}

#[tokio::test(start_paused = true)]
async fn a_graph_goes_ten_minutes_after_it_was_used_last() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let in_use = store.get(&agent(0)).await.unwrap();
    drop(store.get(&agent(1)).await.unwrap());
    advance(IDLE - Duration::from_secs(1)).await;
    store.unload();
    assert_eq!(store.loaded(), 2);
    drop(store.get(&agent(1)).await.unwrap());
    advance(Duration::from_secs(2)).await;
    store.unload();
    assert_eq!(store.loaded(), 2, "used meanwhile");
    advance(IDLE).await;
    store.unload();
    assert_eq!(store.loaded(), 1, "the one in use stays");
    let again = store.get(&agent(0)).await.unwrap();
    assert!(Arc::ptr_eq(&in_use, &again));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_64_stay_beside_those_in_use() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let in_use = store.get(&agent(0)).await.unwrap();
    for at in 1..=MOST_IDLE + 6 {
        advance(Duration::from_millis(10)).await;
        drop(store.get(&agent(at)).await.unwrap());
    }
    // The one that was loaded last was in use then.
    assert_eq!(store.loaded(), MOST_IDLE + 2, "loading lets others go");
    store.unload();
    assert_eq!(store.loaded(), MOST_IDLE + 1);
    let is_loaded = |at: usize| store.graphs.lock().contains_key(&agent(at));
    assert!(is_loaded(0) && !is_loaded(6) && is_loaded(7), "those go that were used least lately");
    drop(in_use);
}

#[tokio::test]
async fn a_connections_own_graph_goes_with_it_and_has_no_file() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let own = GraphRef::Session("c-1".into());
    assert_eq!(store.get(&own).await.unwrap().limits(), Limits::SESSION);
    store.forget("c-1");
    assert_eq!((store.loaded(), std::fs::read_dir(root.path()).unwrap().count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connections_own_graph_stays_as_long_as_the_connection() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let own = GraphRef::Session("c-1".into());
    // As another plugin has it, which holds no graph between its calls.
    let first = Arc::as_ptr(&store.get(&own).await.unwrap());
    for at in 0..=MOST_IDLE {
        drop(store.get(&agent(at)).await.unwrap());
    }
    advance(IDLE * 2).await;
    store.unload();
    assert_eq!((store.loaded(), Arc::as_ptr(&store.get(&own).await.unwrap())), (1, first));
    store.forget("c-1");
    assert_eq!(store.loaded(), 0);
}

#[tokio::test]
async fn loading_is_done_to_the_end_though_the_caller_goes() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    std::fs::create_dir(root.path().join("agents")).unwrap();
    std::fs::write(root.path().join("agents/a0.json"), r#"[{"subject":"s","text":"b"}]"#).unwrap();
    let graph = agent(0);
    {
        let mut getting = std::pin::pin!(store.get(&graph));
        let poll = std::future::poll_fn(|cx| std::task::Poll::Ready(getting.as_mut().poll(cx)));
        assert!(poll.await.is_pending());
    }
    let is_loaded = || store.graphs.lock()[&graph].get().is_some();
    tokio::time::timeout(Duration::from_secs(20), async {
        while !is_loaded() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(root.path().join("agents/a0.jsonl").is_file());
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_is_read_takes_turns_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let kept = store.get(&agent(0)).await.unwrap();
    let turn = |at: usize| carport_memory_api::Turn {
        key: at.to_string(),
        speaker: String::new(),
        text: "said".into(),
        at: carport_core::Time::default(),
        origin: String::new(),
    };
    for at in 0..crate::FEW_FACTS {
        kept.ingest(turn(at)).await.unwrap();
    }
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (end, is_to_end) = std::sync::mpsc::channel();
    let reading = tokio::spawn(async move {
        let look = crate::look(&kept, 0, move |now| {
            let _ = begun.send(());
            let _ = is_to_end.recv();
            now.turn_count()
        });
        look.await.unwrap()
    });
    has_begun.await.unwrap();
    advance(2 * IDLE).await;
    store.unload();
    assert_eq!(store.loaded(), 1, "it is in use");
    let kept = store.get(&agent(0)).await.unwrap();
    kept.ingest(turn(crate::FEW_FACTS)).await.unwrap();
    assert_eq!(kept.snapshot().turn_count(), crate::FEW_FACTS + 1);
    drop(kept);
    end.send(()).unwrap();
    assert_eq!(reading.await.unwrap(), crate::FEW_FACTS, "it reads what was there");
    advance(2 * IDLE).await;
    store.unload();
    assert_eq!(store.loaded(), 0);
}
