//! The catalog on real files and a real index, missing, old and damaged.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use carport_core::Durability;
use chrono::DateTime;

use super::*;
use crate::record::{
    AgentOutcome, IncompleteReason, Line, RunEnded, RunRecord, RunStarted, Termination,
};

const AGENTS: [&str; 2] = ["a", "B/2"];

fn at(second: i64) -> Time {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap().into()
}

fn store(root: &Path) -> Store {
    Store::new(root.into(), Durability::Process)
}

fn index(root: &Path) -> PathBuf {
    root.join(".index.sqlite")
}

/// A file with the lines of a run that started at second `n`; every third has not ended.
fn write_run(store: &Store, agent_id: &str, n: i64) -> String {
    let run_id = format!("{agent_id}-{n}");
    let (run, agent) = (run_id.clone(), agent_id.to_owned());
    let mut records = vec![RunRecord::Started(RunStarted {
        run_id: run.clone(),
        agent_id: agent.clone(),
        intent: format!("the {n}th"),
        outcome_description: None,
        started_at: at(n),
        agent_name: None,
    })];
    let outcome = AgentOutcome { status: "success".into(), ..AgentOutcome::default() };
    let termination = match n % 3 {
        0 => Termination::Outcome { outcome },
        _ => Termination::Incomplete { reason: IncompleteReason::Cancelled, message: None },
    };
    if n % 3 != 2 {
        let (run_id, agent_id) = (run, agent);
        let ended = RunEnded { run_id, agent_id, termination, ended_at: at(n + 1), turn_count: 0 };
        records.push(RunRecord::Ended(ended));
    }
    let lines = records.iter().map(|record| format!("{}\n", Line::of(record).unwrap().text()));
    let path = store.path(agent_id, &run_id).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, lines.collect::<String>()).unwrap();
    let modified = SystemTime::UNIX_EPOCH
        + Duration::from_nanos(at(n + 1).timestamp_nanos_opt().unwrap() as u64);
    fs::File::options().append(true).open(path).unwrap().set_modified(modified).unwrap();
    run_id
}

/// A directory of runs that an earlier process left.
fn left(count: i64) -> (tempfile::TempDir, Vec<String>) {
    let root = tempfile::tempdir().unwrap();
    let store = store(root.path());
    let mut runs = Vec::new();
    for n in 0..count {
        runs.extend(AGENTS.map(|agent| write_run(&store, agent, n)));
    }
    (root, runs)
}

async fn booted(root: &Path) -> Catalog {
    let catalog = Catalog::new(store(root), Index::open(index(root)), Gauge::default());
    catalog.adopt(at(1000)).await.unwrap();
    catalog
}

fn listing(agent_id: &str) -> Listing {
    Listing { agent_id: agent_id.into(), before: None, status: None, limit: 1000 }
}

/// What is listed, page by page, of every agent.
async fn all(catalog: &Catalog) -> Vec<RunSummary> {
    let mut all = Vec::new();
    for agent in AGENTS {
        let mut page = Listing { limit: 7, ..listing(agent) };
        loop {
            let rows = catalog.list(page.clone()).await.unwrap();
            let Some(last) = rows.last() else { break };
            page.before = Some((last.started_at, last.run_id.clone()));
            all.extend(rows);
        }
    }
    all
}

fn pending(catalog: &Catalog) -> usize {
    let pending = catalog.0.pending.lock();
    AGENTS.iter().map(|agent| pending.runs_of(agent, usize::MAX).len()).sum()
}

/// Every run is listed and found, newest first, and none is open.
async fn holds(catalog: &Catalog, runs: &[String]) -> Vec<RunSummary> {
    let rows = all(catalog).await;
    assert_eq!(rows.len(), runs.len());
    let (first, second) = rows.split_at(rows.len() / 2);
    assert!(first.is_sorted_by_key(|row| Reverse(row.started_at)));
    assert!(second.is_sorted_by_key(|row| Reverse(row.started_at)));
    assert!(rows.iter().all(|row| row.status != RunStatus::InProgress));
    for row in &rows {
        assert_eq!(catalog.find(&row.run_id).unwrap().as_ref(), Some(row));
    }
    assert_eq!(catalog.find("none").unwrap(), None);
    rows
}

#[tokio::test]
async fn a_new_index_is_filled_while_reads_answer_and_answers_alone_afterwards() {
    let (root, runs) = left(300);
    let catalog = booted(root.path()).await;
    assert_eq!(pending(&catalog), 600);
    assert_eq!(catalog.find(&runs[0]).unwrap().unwrap().run_id, runs[0], "from its file");
    let before = holds(&catalog, &runs).await;
    catalog.mend(true, at(1000)).await;
    assert_eq!(pending(&catalog), 0);
    assert_eq!(holds(&catalog, &runs).await, before);
    // No file is looked at for a list: even without any it stays the same.
    for agent in catalog.store().agents().unwrap() {
        for (run_id, _) in catalog.store().runs(&agent).unwrap() {
            catalog.store().remove(&agent, &run_id).unwrap();
        }
    }
    assert_eq!(all(&catalog).await, before);
}

#[tokio::test]
async fn an_index_is_trusted_where_the_files_are_as_they_were() {
    let (root, mut runs) = left(30);
    let first = booted(root.path()).await;
    first.mend(true, at(1000)).await;
    let before = all(&first).await;
    drop(first);
    let again = booted(root.path()).await;
    assert_eq!(pending(&again), 0, "adopting and indexing again finds nothing to do");
    assert_eq!(all(&again).await, before);
    drop(again);
    // Behind the index's back: a run comes, one goes, one changes.
    let files = store(root.path());
    runs.push(write_run(&files, "a", 500));
    files.remove("a", &runs[0]).unwrap();
    runs.remove(0);
    let changed = files.path("a", "a-3").unwrap();
    let text = fs::read_to_string(&changed).unwrap().replace("the 3th", "another intent");
    fs::write(changed, text).unwrap();
    let stale = booted(root.path()).await;
    assert_eq!(pending(&stale), 2);
    assert_eq!(all(&stale).await.len(), runs.len());
    assert_eq!(stale.find("a-3").unwrap().unwrap().intent, "another intent");
    assert_eq!(stale.find("a-0").unwrap(), None);
}

#[tokio::test]
async fn a_damaged_or_foreign_index_is_made_anew() {
    let (root, runs) = left(40);
    let first = booted(root.path()).await;
    first.mend(true, at(1000)).await;
    let before = all(&first).await;
    drop(first);
    let path = index(root.path());
    let whole = fs::read(&path).unwrap();
    let mut holes = whole.clone();
    // Past the first page, whose header and schema alone would pass.
    holes[4096..].chunks_mut(512).step_by(3).for_each(|it| it.fill(0xAA));
    let half = whole[..whole.len() / 2].to_vec();
    let old = {
        let other = root.path().join("other.sqlite");
        let connection = rusqlite::Connection::open(&other).unwrap();
        connection.execute_batch("CREATE TABLE runs (x); PRAGMA user_version = 99").unwrap();
        drop(connection);
        fs::read(other).unwrap()
    };
    for damage in [b"garbage".to_vec(), holes, half, old, Vec::new()] {
        fs::write(&path, &damage).unwrap();
        let catalog = booted(root.path()).await;
        assert_eq!(all(&catalog).await, before, "{} bytes", damage.len());
        catalog.mend(true, at(1000)).await;
        assert!(catalog.0.index.is_sound());
        assert_eq!(pending(&catalog), 0);
        assert_eq!(holds(&catalog, &runs).await, before);
    }
}

#[tokio::test]
async fn whatever_page_of_the_index_is_damaged_it_is_found_out() {
    let (root, runs) = left(60);
    let first = booted(root.path()).await;
    first.mend(true, at(1000)).await;
    let before = all(&first).await;
    drop(first);
    let path = index(root.path());
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 5);
    for page in 0..pages {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0xAA);
        fs::write(&path, &damaged).unwrap();
        let catalog = booted(root.path()).await;
        // Nothing is read in between that could meet the damage by chance.
        catalog.mend(true, at(1000)).await;
        assert!(catalog.0.index.is_sound(), "page {page}");
        assert_eq!(holds(&catalog, &runs).await, before, "page {page}");
    }
}

#[tokio::test]
async fn without_any_index_the_files_answer() {
    let (root, runs) = left(20);
    // SQLite cannot open a directory, and it cannot be removed as a file.
    fs::create_dir(index(root.path())).unwrap();
    let catalog = booted(root.path()).await;
    catalog.mend(true, at(1000)).await;
    assert!(!catalog.0.index.is_open());
    let rows = holds(&catalog, &runs).await;
    let kept = catalog.kept("a".into()).await.unwrap();
    assert_eq!(kept.len(), 20);
    assert!(kept.iter().all(|run| run.bytes > 0));
    let gone = catalog.remove("a".into(), vec!["a-4".into()]).await.unwrap();
    assert_eq!(gone, ["a-4"]);
    assert_eq!(all(&catalog).await.len(), rows.len() - 1);
}

#[tokio::test]
async fn an_index_that_fails_at_work_gives_way_to_the_files() {
    let (root, runs) = left(20);
    let catalog = booted(root.path()).await;
    catalog.mend(true, at(1000)).await;
    let before = holds(&catalog, &runs).await;
    let other = rusqlite::Connection::open(index(root.path())).unwrap();
    other.execute_batch("DROP TABLE runs").unwrap();
    assert_eq!(holds(&catalog, &runs).await, before, "the files answer at once");
    catalog.mend(false, at(1000)).await;
    assert_eq!(pending(&catalog), 0, "and the index is made anew");
    assert!(catalog.0.index.is_open());
    assert_eq!(holds(&catalog, &runs).await, before);
}

#[tokio::test]
async fn filters_and_pages_agree_with_the_files() {
    let (root, _) = left(60);
    let catalog = booted(root.path()).await;
    let direct = all(&catalog).await;
    catalog.mend(true, at(1000)).await;
    for status in [RunStatus::Completed, RunStatus::Incomplete, RunStatus::InProgress] {
        let wanted = Listing { status: Some(status), ..listing("a") };
        let rows = catalog.list(wanted.clone()).await.unwrap();
        assert_eq!(
            rows,
            wanted.page(direct.iter().filter(|it| it.agent_id == "a").cloned().collect())
        );
    }
    let earlier = Listing { before: Some((at(10), String::new())), ..listing("a") };
    let rows = catalog.list(earlier).await.unwrap();
    assert_eq!(rows.first().map(|row| row.started_at), Some(at(9)));
}

#[tokio::test]
async fn the_newest_are_listed_before_the_index_knows_the_rest() {
    let (root, runs) = left(2000);
    let catalog = booted(root.path()).await;
    assert_eq!(pending(&catalog), runs.len());
    let newest = Listing { limit: 50, ..listing("a") };
    let rows = catalog.list(newest.clone()).await.unwrap();
    let starts: Vec<_> = rows.iter().map(|row| row.started_at).collect();
    assert_eq!(starts, (1950..2000).rev().map(at).collect::<Vec<_>>());
    assert_eq!(runs.len() - pending(&catalog), BATCH, "no more was read than one batch");
    assert_eq!(catalog.0.unindexed.get() as usize, pending(&catalog));
    catalog.mend(false, at(1000)).await;
    assert_eq!(catalog.list(newest).await.unwrap(), rows);
    assert_eq!(catalog.0.unindexed.get(), 0);
}
