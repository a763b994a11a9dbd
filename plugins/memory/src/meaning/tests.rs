//! Tests of the task that works meanings out, with encoders that wait or fail.

use std::sync::{
    Mutex,
    mpsc::{Receiver, Sender, channel},
};

use carport_core::{Durability, SystemClock};
use carport_memory_api::{GraphRef, NewFact};
use carport_memory_graph::{Graph, Utility};

use super::*;

/// Says when it begins, and waits until it may go on.
struct Waiting {
    begins: Mutex<Sender<usize>>,
    go_on: Mutex<Receiver<()>>,
}

impl Encoder for Waiting {
    fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        self.begins.lock().unwrap().send(texts.len()).unwrap();
        self.go_on.lock().unwrap().recv().map_err(|error| error.to_string())?;
        Ok(texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect())
    }
}

/// Fails, one way or the other.
struct Failing(&'static str);

impl Encoder for Failing {
    fn encode(&self, _: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        match self.0 {
            "panics" => panic!("it is broken"),
            "nothing" => Ok(vec![vec![0.0]]),
            reason => Err(reason.into()),
        }
    }
}

fn store(root: &Path) -> Arc<Store> {
    let (utility, clock) = (Utility::default(), Arc::new(SystemClock));
    Arc::new(Store::new(root.into(), Durability::Process, utility, clock))
}

async fn add(kept: &Arc<Kept>, id: &str, body: &str) {
    let new = NewFact { fact_id: Some(id.into()), ..NewFact::new("s", body) };
    let now = carport_core::Time::default();
    let plan = |graph: &Graph| Ok((vec![graph.plan_add(new, now, String::new)?.line], ()));
    kept.change(plan).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_does_not_wait_and_what_it_changes_is_worked_out_anew() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let kept = store.get(&GraphRef::Agent("ada".into())).await.unwrap();
    for at in 0..BATCH + 4 {
        add(&kept, &format!("f{at}"), "as it was").await;
    }
    let ((begins, begun), (go, go_on)) = (channel(), channel());
    let waiting = Waiting { begins: begins.into(), go_on: go_on.into() };
    let encoder: Arc<dyn Encoder> = Arc::new(waiting);
    let working = tokio::spawn(async move { catch_up(&store, &encoder).await });
    let begun = tokio::task::spawn_blocking(move || (begun.recv().unwrap(), begun));
    let (first, begun) = begun.await.unwrap();
    assert_eq!(first, BATCH);
    // The encoder stands still: all of this is done nevertheless.
    for at in 0..50 {
        add(&kept, &format!("new{at}"), "is new").await;
    }
    add(&kept, "f0", "says something else now").await;
    let now = kept.snapshot();
    assert_eq!((now.facts_in_all(), now.understood()), (BATCH + 4 + 50, 0));
    go.send(()).unwrap();
    let begun = tokio::task::spawn_blocking(move || begun.recv().map(|_| begun).unwrap());
    let _begun = begun.await.unwrap();
    let now = kept.snapshot();
    assert_eq!(now.understood(), BATCH - 1, "what was changed meanwhile is not taken");
    assert_eq!(now.without_meaning(1)[0].1.body, "says something else now");
    (0..10).for_each(|_| _ = go.send(()));
    working.await.unwrap().unwrap();
    assert_eq!(kept.snapshot().understood(), BATCH + 4 + 50);
}

#[tokio::test]
async fn an_encoder_that_fails_ends_the_work_and_leaves_the_words() {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let kept = store.get(&GraphRef::Agent("ada".into())).await.unwrap();
    add(&kept, "f", "b").await;
    for failing in ["panics", "nothing", "it is tired"] {
        let encoder: Arc<dyn Encoder> = Arc::new(Failing(failing));
        assert!(catch_up(&store, &encoder).await.is_err(), "{failing}");
        assert_eq!(of(Some(&encoder), "b").await, None, "{failing}");
    }
    assert_eq!(kept.snapshot().understood(), 0);
}

#[tokio::test]
async fn a_directory_without_an_encoder_is_none() {
    let root = tempfile::tempdir().unwrap();
    assert!(open(Some(root.path())).await.is_none());
    assert!(open(Some(&root.path().join("missing"))).await.is_none());
    assert!(open(None).await.is_none());
    assert_eq!(of(None, "text").await, None);
}
