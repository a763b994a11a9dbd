//! What plugins offer each other: a trait object under a typed key.

use std::{any::Any, collections::HashMap, marker::PhantomData, sync::Arc};

use crate::wire::error::{Result, RpcError};

/// A key that names a service and knows its type. It lives in the service's `-api` crate.
pub struct ServiceKey<T: ?Sized + 'static> {
    name: &'static str,
    trait_object: PhantomData<fn() -> Arc<T>>,
}

impl<T: ?Sized + Send + Sync + 'static> ServiceKey<T> {
    /// A key of this name; the name is unique in a build.
    pub const fn named(name: &'static str) -> Self {
        Self { name, trait_object: PhantomData }
    }

    /// The name, for `REQUIRES`, `OPTIONAL` and `PROVIDES`.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The services of a host, by name.
#[derive(Default, Clone)]
pub struct Services(HashMap<&'static str, Arc<dyn Any + Send + Sync>>);

impl Services {
    /// Puts `service` under `key`, unless somebody already did: an embedder comes before plugins.
    pub fn provide<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        key: &ServiceKey<T>,
        service: Arc<T>,
    ) {
        self.0.entry(key.name).or_insert_with(|| Arc::new(service));
    }

    /// The service, if this build has it.
    pub fn find<T: ?Sized + Send + Sync + 'static>(&self, key: &ServiceKey<T>) -> Option<Arc<T>> {
        self.0.get(key.name)?.downcast_ref::<Arc<T>>().cloned()
    }

    /// The service, or an error that names it.
    pub fn require<T: ?Sized + Send + Sync + 'static>(
        &self,
        key: &ServiceKey<T>,
    ) -> Result<Arc<T>> {
        self.find(key).ok_or_else(|| {
            let why = format!("no plugin in this build provides `{}`", key.name);
            RpcError::unavailable(key.name, why)
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}
