//! A2UI: surfaces that agents draw and people use, checked, versioned, told to renderers, and repaired.

mod config;
mod event;
mod ingesting;
mod listening;
mod methods;
mod places;
mod reporting;
mod routing;
mod service;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use carport_a2ui_api::{SURFACES, Surfaces};
use carport_a2ui_validate::Schemas;
use carport_core::{Plugin, Result, RpcError, StartContext};
use carport_memory_api::MEMORY;

pub use config::{Config, Continuation, Improve};
pub use event::A2uiEvent;
pub use methods::*;

use crate::service::Service;

carport_core::plugin!(A2ui {
    methods: [
        GetCapabilities,
        Apply,
        Ingest,
        Reap,
        ListSurfaces,
        GetSurface,
        Act,
        RenderReport,
        Subscribe,
        Unsubscribe,
        Replay,
    ],
    notifications: [A2uiEvent],
});

/// How often is looked for surfaces that nobody touched.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The plugin.
pub struct A2ui {
    pub(crate) service: Arc<Service>,
}

impl Plugin for A2ui {
    const ID: &'static str = "a2ui";
    const PROVIDES: &'static [&'static str] = &[SURFACES.name()];
    const OPTIONAL: &'static [&'static str] = &[MEMORY.name()];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: Config = cx.config()?;
        config.check().map_err(RpcError::internal)?;
        let schemas = Schemas::compile().map_err(RpcError::internal)?;
        let memory = cx.find(&MEMORY);
        let service =
            Service::new(schemas.into(), config, cx.clock(), cx.events(), memory, cx.tasks());
        let service = Arc::new(service);
        cx.tasks().spawn("sweep", sweep(Arc::downgrade(&service)));
        cx.provide(&SURFACES, service.clone() as Arc<dyn Surfaces>);
        Ok(Self { service })
    }
}

async fn sweep(service: Weak<Service>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(service) = service.upgrade() else { return };
        service.reap();
    }
}
