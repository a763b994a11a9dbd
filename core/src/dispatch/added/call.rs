//! A call of an added method: checked here, done at the connection that offers it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use tokio::sync::watch;
use uuid::Uuid;

use super::spec::Compiled;
use crate::{
    contract::{
        BoxFuture, access::Access, caller::Caller, client_request::ClientRequest,
        notification::Notification, session::Session,
    },
    dispatch::{approval::mask, route::Route},
    wire::error::{Result, RpcError, codes},
};

/// Calls that may be open at one provider.
const MAX_OPEN: usize = 256;
/// Bytes of a provider's message, and of its data, that reach a caller.
const MAX_MESSAGE: usize = 4096;
const MAX_DATA: usize = 16 * 1024;

/// Asks the connection that offered a method to do it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CallMethod {
    /// Names this call in `host.call_cancelled`.
    pub call_id: String,
    /// The method.
    pub method: String,
    /// As they came, checked against the offered schema.
    pub params: Value,
    /// Who calls.
    pub caller: CallerInfo,
    /// How long the caller waits.
    pub deadline_ms: u64,
}

/// Who calls an added method.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CallerInfo {
    /// The caller's connection.
    pub client_id: String,
    /// `client`, `agent` or `host`.
    pub role: String,
    /// The agent, for an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

impl ClientRequest for CallMethod {
    const NAME: &'static str = "host.call_method";
    type Reply = Value;
}

/// A call that was forwarded is no longer waited for; its answer would reach nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallCancelled {
    /// Which call.
    pub call_id: String,
    /// The method.
    pub method: String,
    /// `deadline`, `caller_gone` or `shutdown`.
    pub reason: String,
}

impl Notification for CallCancelled {
    const NAME: &'static str = "host.call_cancelled";
}

/// A method that a connection offers.
pub(crate) struct AddedMethod {
    compiled: Compiled,
    provider: Arc<Session>,
    stopping: watch::Receiver<bool>,
}

/// How many calls are open at a connection.
#[derive(Default)]
struct OpenCalls(AtomicUsize);

/// A call whose parameters fit.
pub(crate) struct AddedCall {
    method: Arc<AddedMethod>,
    params: Value,
}

impl AddedMethod {
    pub(crate) fn new(
        compiled: Compiled,
        provider: Arc<Session>,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self { compiled, provider, stopping })
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    pub(crate) fn access(&self) -> Access {
        self.compiled.spec.access.into()
    }

    pub(crate) fn schema_bytes(&self) -> usize {
        self.compiled.schema_bytes
    }

    /// Reads parameters and checks them against the offered schema; the first violation is the error.
    pub(crate) fn prepare(self: &Arc<Self>, params: &str) -> Result<AddedCall> {
        let params: Value = serde_json::from_str(params)
            .map_err(|error| RpcError::invalid_params("params", error))?;
        if let Err(error) = self.compiled.params.validate(&params) {
            let pointer = error.instance_path().to_string();
            let field = pointer.trim_start_matches('/').replace('/', ".");
            let field = if field.is_empty() { "params" } else { &field };
            return Err(RpcError::invalid_params(field, &error));
        }
        Ok(AddedCall { method: self.clone(), params })
    }

    pub(crate) fn provider_id(&self) -> &str {
        self.provider.id()
    }
}

impl AddedCall {
    /// Forwards the call and appends the provider's result, byte for byte, to `buffer`.
    pub(crate) fn run(
        self,
        route: Arc<Route>,
        caller: Arc<Caller>,
        mut buffer: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>>> {
        Box::pin(async move {
            let method = &*self.method;
            let _place = Place::take(&method.provider)?;
            let ask = CallMethod {
                call_id: format!("m-{}", Uuid::now_v7()),
                method: route.name.to_string(),
                params: self.params,
                caller: CallerInfo {
                    client_id: caller.session().id().to_owned(),
                    role: caller.identity().role().to_owned(),
                    agent_id: caller.agent().map(str::to_owned),
                },
                deadline_ms: route.deadline.as_millis() as u64,
            };
            let mut forwarded = Forwarded { method, caller: &caller, ask: &ask, open: true };
            let answer = method.provider.ask(&ask).await;
            forwarded.open = false;
            let result = answer?.map_err(|error| pass_on(&error))?;
            method.check_result(&result)?;
            buffer.extend_from_slice(result.get().as_bytes());
            Ok(buffer)
        })
    }
}

impl AddedMethod {
    fn check_result(&self, result: &RawValue) -> Result<()> {
        let Some(schema) = &self.compiled.result else { return Ok(()) };
        let value: Value = serde_json::from_str(result.get()).map_err(RpcError::internal)?;
        schema.validate(&value).map_err(|error| {
            RpcError::internal(format!("the provider's result does not fit its schema: {error}"))
                .with("method", self.compiled.spec.name.as_str())
        })
    }
}

/// A forwarded call; dropped unanswered, it tells the provider.
struct Forwarded<'a> {
    method: &'a AddedMethod,
    caller: &'a Caller,
    ask: &'a CallMethod,
    open: bool,
}

impl Drop for Forwarded<'_> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let reason = match (self.caller.session().is_closed(), *self.method.stopping.borrow()) {
            (_, true) => "shutdown",
            (true, false) => "caller_gone",
            (false, false) => "deadline",
        };
        self.method.provider.notify(&CallCancelled {
            call_id: self.ask.call_id.clone(),
            method: self.ask.method.clone(),
            reason: reason.into(),
        });
    }
}

/// One of the calls that are open at a provider.
struct Place(Arc<OpenCalls>);

impl Place {
    fn take(provider: &Session) -> Result<Self> {
        let place = Self(provider.slot::<OpenCalls>());
        if place.0.0.fetch_add(1, Ordering::Relaxed) >= MAX_OPEN {
            let why = "the connection that offers this method is busy";
            return Err(RpcError::overloaded(why).with("limit", MAX_OPEN));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A provider's error as its caller hears it. A provider cannot pretend that the daemon refused, so
/// that a code of the daemon's becomes an internal error.
fn pass_on(error: &RpcError) -> RpcError {
    let own = (-32099..=-32050).contains(&error.code) || !(-32768..=-32000).contains(&error.code);
    let message = &error.message[..error.message.floor_char_boundary(MAX_MESSAGE)];
    let data = error.data.clone().map(|mut data| {
        mask::mask(&mut data);
        let text = data.to_string();
        match text.len() <= MAX_DATA {
            true => data,
            false => format!("{}…[truncated]", &text[..text.floor_char_boundary(MAX_DATA)]).into(),
        }
    });
    match own {
        true => RpcError { code: error.code, message: message.to_owned(), data },
        false => {
            let passed = RpcError::new(codes::INTERNAL, message).with("provider_code", error.code);
            match data {
                Some(data) => passed.with("provider_data", data),
                None => passed,
            }
        }
    }
}
