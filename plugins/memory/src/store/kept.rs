//! A loaded graph: changed under one lock, after its line reached the file.

use std::sync::Arc;

use carport_core::{Guarded, Result, RpcError};
use carport_memory_api::Turn;
use carport_memory_graph::{Fact, Graph, Limits, Line, Meaning, Snapshot, Utility};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use super::{Pen, failed};

/// Turns that wait for a disk that fails: more than a graph holds. While they wait for one that is slow,
/// twice as many may.
const MOST_UNWRITTEN: usize = 4096;

/// A graph that is changed.
pub(crate) struct Kept {
    state: Guarded<State>,
    /// Taken before `state`, so that lines reach the file in the order of the changes. `None`: the
    /// graph has no file.
    pen: Mutex<Option<Pen>>,
    utility: Guarded<Utility>,
    used: Guarded<Instant>,
    /// Lines of its file that did not read when it was loaded, or an earlier time.
    damaged: usize,
}

struct State {
    graph: Graph,
    /// Turns that are in the graph and not in the file yet.
    unwritten: Vec<Line>,
}

impl Kept {
    pub(crate) fn new(graph: Graph, pen: Option<Pen>, utility: Utility) -> Self {
        Self {
            state: Guarded::new(State { graph, unwritten: Vec::new() }),
            pen: Mutex::new(pen),
            utility: Guarded::new(utility),
            used: Guarded::new(Instant::now()),
            damaged: 0,
        }
    }

    /// Of a file of which so many lines did not read.
    #[must_use]
    pub(super) fn with_damaged(self, damaged: usize) -> Self {
        Self { damaged, ..self }
    }

    /// Lines of its file that did not read, now or when the daemon ran before.
    pub(crate) fn damaged_lines(&self) -> usize {
        self.damaged
    }

    /// The graph as it is now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.state.lock().graph.snapshot()
    }

    /// A fact that a tenant sees: its own before everybody's.
    pub(crate) fn fact(&self, id: &str, tenant: Option<&str>) -> Option<Arc<Fact>> {
        let graph = &self.state.lock().graph;
        graph.get(id, tenant).or_else(|| graph.get(id, None)).cloned()
    }

    /// Bytes of memory that it takes up, estimated.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().graph.bytes()
    }

    /// Bytes of its file, if it has one. Waits for a change that is being written.
    pub(crate) async fn file_bytes(&self) -> Option<u64> {
        self.pen.lock().await.as_ref().map(Pen::length)
    }

    /// How much it may hold.
    pub(crate) fn limits(&self) -> Limits {
        self.state.lock().graph.limits()
    }

    /// Keeps what facts mean, those that still say the same.
    pub(crate) fn understand(&self, meanings: &[(u32, Arc<Fact>, Meaning)]) {
        let graph = &mut self.state.lock().graph;
        meanings.iter().for_each(|(at, fact, meaning)| graph.understand(*at, fact, meaning));
    }

    /// How much usefulness counts in this graph.
    pub(crate) fn utility(&self) -> Utility {
        *self.utility.lock()
    }

    /// Changes how much usefulness counts, and says how much it does now.
    pub(crate) fn set_utility(&self, change: impl FnOnce(Utility) -> Utility) -> Utility {
        let mut utility = self.utility.lock();
        *utility = change(*utility);
        *utility
    }

    /// Somebody uses it.
    pub(crate) fn touch(&self) {
        *self.used.lock() = Instant::now();
    }

    /// When it was last used.
    pub(crate) fn used(&self) -> Instant {
        *self.used.lock()
    }

    /// Writes the lines that `plan` makes, then does what they say. The graph that is planned for is the
    /// one that is changed: changes wait for each other.
    ///
    /// # Errors
    /// What `plan` says, or the disk. The graph is as before.
    pub(crate) async fn change<T>(
        self: &Arc<Self>,
        plan: impl FnOnce(&Graph) -> Result<(Vec<Line>, T)>,
    ) -> Result<T> {
        let mut pen = self.hold_pen().await?;
        let (lines, outcome) = plan(&self.state.lock().graph)?;
        if let Some(pen) = &mut *pen {
            pen.append(&lines).await.map_err(failed)?;
        }
        {
            let mut state = self.state.lock();
            lines.into_iter().for_each(|line| state.graph.apply(line));
        }
        self.tidy_if_due(pen.as_ref());
        Ok(outcome)
    }

    /// Takes a turn in. It can be found when this is called; it is in the file when this returns.
    ///
    /// # Errors
    /// The file cannot be written. The turn is found nevertheless, and written with the next one.
    /// Overloaded: thousands of turns wait for the disk. This one was not taken in.
    pub(crate) async fn ingest(self: &Arc<Self>, turn: Turn) -> Result<()> {
        {
            let mut state = self.state.lock();
            if state.unwritten.len() >= 2 * MOST_UNWRITTEN {
                return Err(RpcError::overloaded("turns wait for the disk; try again later"));
            }
            state.graph.apply(Line::Turn(turn.clone()));
            state.unwritten.push(Line::Turn(turn));
        }
        let mut pen = self.hold_pen().await?;
        self.write_turns(&mut pen).await?;
        self.tidy_if_due(pen.as_ref());
        Ok(())
    }

    /// Takes the turns of a conversation out, of the file also. Those that wait for the disk are written first,
    /// or they would come after the line that takes them out.
    ///
    /// # Errors
    /// The file cannot be written. The graph is as before.
    pub(crate) async fn forget_turns(self: &Arc<Self>, origin: &str) -> Result<usize> {
        let mut pen = self.hold_pen().await?;
        self.write_turns(&mut pen).await?;
        let count = self.snapshot().turns_of(origin);
        if count == 0 {
            return Ok(0);
        }
        let line = Line::Forget(origin.into());
        if let Some(pen) = &mut *pen {
            pen.append(std::slice::from_ref(&line)).await.map_err(failed)?;
        }
        {
            let mut state = self.state.lock();
            // What came while the line was written is no part of what was asked to go, but is behind it in the
            // file.
            let later = state.unwritten.clone();
            state.graph.apply(line);
            later.into_iter().for_each(|it| state.graph.apply(it));
        }
        drop(pen);
        // Forgotten is what no file holds any more. To its end, as every rewriting.
        let kept = self.clone();
        let tidying = tokio::spawn(async move { kept.tidy(|_, _| true).await });
        tidying.await.map_err(RpcError::internal)?;
        Ok(count)
    }

    /// The right to write. A file that somebody removed is made anew of what the graph holds: what was
    /// acknowledged is to be there after the next start.
    async fn hold_pen(self: &Arc<Self>) -> Result<MutexGuard<'_, Option<Pen>>> {
        let is_lost = |pen: &Option<Pen>| pen.as_ref().is_some_and(Pen::is_lost);
        let pen = self.pen.lock().await;
        if !is_lost(&pen) {
            return Ok(pen);
        }
        drop(pen);
        let kept = self.clone();
        let restoring = tokio::spawn(async move {
            let mut pen = kept.pen.lock().await;
            match &mut *pen {
                Some(pen) if pen.is_lost() => {
                    tracing::error!("a graph's file was removed by somebody else and is made anew");
                    pen.rewrite(kept.snapshot().lines().collect()).await
                }
                _ => Ok(()),
            }
        });
        restoring.await.map_err(RpcError::internal)?.map_err(failed)?;
        Ok(self.pen.lock().await)
    }

    async fn write_turns(&self, pen: &mut Option<Pen>) -> Result<()> {
        // Copied, not taken: a call that is dropped here must leave them.
        let turns = self.state.lock().unwritten.clone();
        if let Some(pen) = pen
            && let Err(error) = pen.append(&turns).await
        {
            // While the disk fails, the oldest are kept in the graph alone.
            let more = turns.len().saturating_sub(MOST_UNWRITTEN);
            self.state.lock().unwritten.drain(..more);
            return Err(failed(error));
        }
        self.state.lock().unwritten.drain(..turns.len());
        Ok(())
    }

    /// Puts another graph in the place of this one. `make` works on a snapshot and may take its
    /// time: reading goes on, turns come in, other changes wait. Once begun it is done to the end, for
    /// a file that was replaced half way would not be the one that is written to.
    ///
    /// # Errors
    /// What `make` says, or the disk. The graph is as before.
    pub(crate) async fn replace<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Snapshot) -> Result<(Graph, T)> + Send + 'static,
    ) -> Result<T> {
        let kept = self.clone();
        let replacing = tokio::spawn(async move { kept.replace_now(make).await });
        replacing.await.map_err(RpcError::internal)?
    }

    async fn replace_now<T: Send + 'static>(
        self: &Arc<Self>,
        make: impl FnOnce(&Snapshot) -> Result<(Graph, T)> + Send + 'static,
    ) -> Result<T> {
        let mut pen = self.hold_pen().await?;
        self.write_turns(&mut pen).await?;
        let before = self.snapshot();
        let made = tokio::task::spawn_blocking(move || make(&before));
        let (mut graph, outcome) = made.await.map_err(RpcError::internal)??;
        if let Some(pen) = &mut *pen {
            pen.rewrite(graph.snapshot().lines().collect()).await.map_err(failed)?;
        }
        let old = {
            let mut state = self.state.lock();
            // Turns that came meanwhile.
            state.unwritten.iter().for_each(|line| graph.apply(line.clone()));
            std::mem::replace(&mut state.graph, graph)
        };
        // To let go of a large graph takes a while.
        tokio::task::spawn_blocking(move || drop(old));
        Ok(outcome)
    }

    /// Turns that went since this was asked last, because there were too many.
    pub(crate) fn take_dropped_turns(&self) -> usize {
        self.state.lock().graph.take_dropped_turns()
    }

    /// Has a file rewritten that holds much more than the graph, by nobody's call.
    fn tidy_if_due(self: &Arc<Self>, pen: Option<&Pen>) {
        let now = self.snapshot();
        if pen.is_some_and(|pen| pen.is_outgrown(now.facts_in_all() + now.turn_count())) {
            let kept = self.clone();
            tokio::spawn(async move { kept.tidy(Pen::is_outgrown).await });
        }
    }

    /// Rewrites the file if that is wanted for one that should have so many lines. A failure is logged: nothing
    /// is lost.
    async fn tidy(&self, is_wanted: impl FnOnce(&Pen, usize) -> bool) {
        let mut pen = self.pen.lock().await;
        let now = self.snapshot();
        let Some(pen) = &mut *pen else { return };
        if is_wanted(pen, now.facts_in_all() + now.turn_count()) {
            // Turns that are not written yet are in it, and will be once more, which changes nothing.
            if let Err(error) = pen.rewrite(now.lines().collect()).await {
                tracing::warn!(%error, "a graph's file could not be rewritten; it goes on growing");
            }
        }
    }
}
