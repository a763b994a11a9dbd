//! Who listens to what. A listener hears nothing before the reply to the call that made it listen.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::{Arc, Weak},
};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    caller::Caller,
    notification::Notification,
    session::{Leave, Session},
};
use crate::wire::{
    error::{Result, RpcError},
    frame,
    guarded::Guarded,
};

/// How many notifications one listener may miss hearing before it is live.
const HELD: usize = 256;

/// A keyed set of listening sessions. Subscribing under the lock that guards a snapshot, and
/// notifying under the same lock, a listener hears every event after the snapshot, none twice.
pub struct Subscribers<K>(Arc<Keeper<K>>);

struct Keeper<K> {
    per_session: usize,
    state: Guarded<State<K>>,
}

struct State<K> {
    by_key: HashMap<K, HashMap<u64, Listener>>,
    by_session: HashMap<u64, HashSet<K>>,
    generation: u64,
}

struct Listener {
    session: Arc<Session>,
    /// Which subscription of this session to this key it is; a later one replaces it.
    generation: u64,
    /// What was told before the reply left; `None` once it has.
    held: Option<Vec<Utf8Bytes>>,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Default for Subscribers<K> {
    fn default() -> Self {
        Self::with_limit(usize::MAX)
    }
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Subscribers<K> {
    /// A set in which one session may listen to at most `per_session` keys. Over all sets a session
    /// may listen to 256.
    pub fn with_limit(per_session: usize) -> Self {
        let state = State { by_key: HashMap::new(), by_session: HashMap::new(), generation: 0 };
        Self(Arc::new(Keeper { per_session, state: Guarded::new(state) }))
    }

    /// Listens from now on, live once the call is answered. The same subscription again replaces
    /// the first. Called under the lock that guards a snapshot, it leaves no gap after it.
    pub fn subscribe(&self, key: K, caller: &Caller) -> Result<()> {
        let serial = caller.session().serial();
        let generation = self.enter(key.clone(), caller.session(), Some(Vec::new()))?;
        let keeper = Arc::downgrade(&self.0);
        caller.after_reply(move || {
            if let Some(keeper) = keeper.upgrade() {
                keeper.go_live(&key, serial, generation);
            }
        });
        Ok(())
    }

    /// Listens from now on, outside any call.
    pub fn add(&self, key: K, session: &Arc<Session>) -> Result<()> {
        self.enter(key, session, None).map(drop)
    }

    fn enter(&self, key: K, session: &Arc<Session>, held: Option<Vec<Utf8Bytes>>) -> Result<u64> {
        let mut state = self.0.state.lock();
        let serial = session.serial();
        let keys = state.by_session.get(&serial);
        let renewed = keys.is_some_and(|keys| keys.contains(&key));
        if !renewed {
            if keys.map_or(0, HashSet::len) >= self.0.per_session {
                let limit = self.0.per_session as u64;
                return Err(RpcError::limit("subscriptions of this kind on a connection", limit));
            }
            let keeper: Weak<Keeper<K>> = Arc::downgrade(&self.0);
            session.take_subscription(keeper)?;
        }
        state.generation += 1;
        let generation = state.generation;
        let listener = Listener { session: session.clone(), generation, held };
        state.by_session.entry(serial).or_default().insert(key.clone());
        state.by_key.entry(key).or_default().insert(serial, listener);
        Ok(generation)
    }

    /// Stops listening; `false` if the session did not listen.
    pub fn unsubscribe(&self, key: &K, session: &Session) -> bool {
        let mut state = self.0.state.lock();
        let removed = state.remove(key, session.serial());
        if let Some(keys) = state.by_session.get_mut(&session.serial()) {
            keys.remove(key);
        }
        if removed {
            session.release_subscriptions(1);
        }
        removed
    }

    /// Tells every listener of `key`. Serialized once, if anybody listens, and never waits: a
    /// listener without room loses it, which is counted.
    pub fn notify<N: Notification>(&self, key: &K, notification: &N) {
        self.tell(key, |_| true, || frame::notification(N::NAME, notification));
    }

    /// As [`Self::notify`], only those listeners whom `hears` picks. `write` is called if there is one.
    pub fn notify_those<N: Notification>(
        &self,
        key: &K,
        hears: impl Fn(&Session) -> bool,
        write: impl FnOnce() -> N,
    ) {
        self.tell(key, hears, || frame::notification(N::NAME, &write()));
    }

    fn tell(&self, key: &K, hears: impl Fn(&Session) -> bool, write: impl FnOnce() -> Utf8Bytes) {
        let mut state = self.0.state.lock();
        let listeners = state.by_key.get_mut(key).into_iter().flat_map(HashMap::values_mut);
        let mut listeners = listeners.filter(|it| hears(&it.session)).peekable();
        if listeners.peek().is_none() {
            return;
        }
        let text = write();
        for listener in listeners {
            match &mut listener.held {
                Some(held) if held.len() < HELD => held.push(text.clone()),
                Some(_) => listener.session.outbox.count_drop(),
                None => drop(listener.session.tell(text.clone())),
            }
        }
    }

    /// Whether anybody listens to `key`.
    pub fn is_heard(&self, key: &K) -> bool {
        self.0.state.lock().by_key.contains_key(key)
    }

    /// Forgets a key and everybody who listens to it.
    pub fn remove_key(&self, key: &K) {
        let mut state = self.0.state.lock();
        for (serial, listener) in state.by_key.remove(key).into_iter().flatten() {
            listener.session.release_subscriptions(1);
            if let Some(keys) = state.by_session.get_mut(&serial) {
                keys.remove(key);
            }
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn remove(&mut self, key: &K, serial: u64) -> bool {
        let Some(listeners) = self.by_key.get_mut(key) else { return false };
        let removed = listeners.remove(&serial).is_some();
        if listeners.is_empty() {
            self.by_key.remove(key);
        }
        removed
    }
}

impl<K: Clone + Eq + Hash> Keeper<K> {
    fn go_live(&self, key: &K, serial: u64, generation: u64) {
        let mut state = self.state.lock();
        let listener = state.by_key.get_mut(key).and_then(|all| all.get_mut(&serial));
        if let Some(listener) = listener.filter(|it| it.generation == generation) {
            for text in listener.held.take().into_iter().flatten() {
                listener.session.tell(text);
            }
        }
    }
}

impl<K: Clone + Eq + Hash + Send + Sync> Leave for Keeper<K> {
    fn leave(&self, serial: u64) {
        let mut state = self.state.lock();
        for key in state.by_session.remove(&serial).into_iter().flatten() {
            state.remove(&key, serial);
        }
    }
}
