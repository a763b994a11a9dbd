//! Tests of which graphs stay loaded.

use carport_core::SystemClock;
use tokio::time::advance;

use super::*;

fn store(root: &std::path::Path) -> Store {
    Store::new(root.into(), Durability::Process, Utility::default(), Arc::new(SystemClock))
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
