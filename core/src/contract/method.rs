//! A method is the type of its parameters.

use std::{
    any::{Any, TypeId},
    future::Future,
    sync::Arc,
    time::Duration,
};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    BoxFuture,
    access::{Access, Owner},
    caller::Caller,
    params::read_params,
    plugin::{Plugin, Running},
};
use crate::wire::error::{Result, RpcError};

/// One JSON-RPC method. `Self` is its parameters; the doc comment on `Self` is its documentation.
///
/// A call goes through [`Self::NAME`], [`Self::ACCESS`], the parameters, [`Self::available`],
/// [`Self::validate`], [`Self::owner`], the approval gate and then [`Self::run`], in this order.
pub trait Method: DeserializeOwned + JsonSchema + Send + Sized + 'static {
    /// Wire name, `namespace.verb`, in a namespace of the plugin.
    const NAME: &'static str;
    /// Further names that deployed clients use.
    const ALIASES: &'static [&'static str] = &[];
    /// Who may call.
    const ACCESS: Access;
    /// Whether a person must say yes first.
    const NEEDS_APPROVAL: bool = false;
    /// Whether the connection reads no further frame until this one is answered. Keep such methods
    /// few and fast; a call that waits at the approval gate holds nobody up.
    const ORDERED: bool = false;
    /// How long a call may run, where the operator says nothing.
    const DEADLINE: Option<Duration> = None;
    /// Whether the parameters are an array rather than an object.
    const TAKES_ARRAY: bool = false;
    /// Whether they may be an object; with [`Self::TAKES_ARRAY`] said as well, they are either.
    const TAKES_OBJECT: bool = !Self::TAKES_ARRAY;

    /// Whose state the call works on.
    type Plugin: Plugin;
    /// What is answered.
    type Reply: Serialize + JsonSchema + Send + 'static;

    /// Whether this build on this machine can do it at all; else
    /// [`RpcError::unavailable`](crate::RpcError::unavailable) with the remedy.
    fn available(_plugin: &Self::Plugin) -> Result<()> {
        Ok(())
    }

    /// Bounds and rules that the types do not hold; see [`bounds`](super::bounds).
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// What is said of parameters that do not read or are out of bounds, for a method whose clients look
    /// for words of its own.
    fn reword(error: RpcError) -> RpcError {
        error
    }

    /// Whose the thing is that this call touches. Asked only under [`Access::AgentOwner`].
    fn owner(&self, _plugin: &Self::Plugin) -> Owner {
        Owner::Nobody
    }

    /// How long this call may run: `set`, which is what the operator or [`Self::DEADLINE`] says,
    /// unless the parameters ask for more.
    fn deadline(&self, _plugin: &Self::Plugin, _caller: &Caller, set: Duration) -> Duration {
        set
    }

    /// Does it.
    fn run(
        self,
        plugin: &Self::Plugin,
        caller: &Caller,
    ) -> impl Future<Output = Result<Self::Reply>> + Send;
}

/// A [`Method`] with its types erased: the row that a plugin submits to `inventory`.
pub struct MethodEntry {
    /// Wire name.
    pub name: &'static str,
    /// Further wire names.
    pub aliases: &'static [&'static str],
    /// Who may call.
    pub access: Access,
    /// Whether the method itself asks for approval.
    pub needs_approval: bool,
    /// Whether the connection waits for it.
    pub ordered: bool,
    pub(crate) deadline: Option<Duration>,
    pub(crate) takes: Takes,
    pub(crate) plugin: fn() -> TypeId,
    pub(crate) params: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) reply: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) prepare: fn(&dyn Any, &str) -> Result<Box<dyn Prepared>>,
}

inventory::collect!(MethodEntry);

/// What the parameters of a method may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takes {
    pub(crate) object: bool,
    pub(crate) array: bool,
}

impl Takes {
    const fn of<M: Method>() -> Self {
        Self { object: M::TAKES_OBJECT, array: M::TAKES_ARRAY }
    }
}

impl MethodEntry {
    /// The row of `M`.
    pub const fn of<M: Method>() -> Self {
        Self {
            name: M::NAME,
            aliases: M::ALIASES,
            access: M::ACCESS,
            needs_approval: M::NEEDS_APPROVAL,
            ordered: M::ORDERED,
            deadline: M::DEADLINE,
            takes: Takes::of::<M>(),
            plugin: TypeId::of::<M::Plugin>,
            params: M::json_schema,
            reply: |generator| generator.subschema_for::<M::Reply>(),
            prepare: prepare::<M>,
        }
    }
}

/// A call whose parameters were read and which has not run yet.
pub(crate) trait Prepared: Send {
    fn owner(&self, plugin: &dyn Any) -> Owner;

    /// How long it may run.
    fn deadline(&self, plugin: &dyn Any, caller: &Caller, set: Duration) -> Duration;

    /// Runs and appends the serialized reply to `buffer`.
    fn run(
        self: Box<Self>,
        plugin: Arc<dyn Running>,
        caller: Arc<Caller>,
        buffer: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>>>;
}

impl<M: Method> Prepared for M {
    fn owner(&self, plugin: &dyn Any) -> Owner {
        Method::owner(self, state(plugin))
    }

    fn deadline(&self, plugin: &dyn Any, caller: &Caller, set: Duration) -> Duration {
        Method::deadline(self, state(plugin), caller, set)
    }

    fn run(
        self: Box<Self>,
        plugin: Arc<dyn Running>,
        caller: Arc<Caller>,
        mut buffer: Vec<u8>,
    ) -> BoxFuture<'static, Result<Vec<u8>>> {
        Box::pin(async move {
            let reply = Method::run(*self, state(plugin.state()), &caller).await?;
            serde_json::to_writer(&mut buffer, &reply).map_err(RpcError::internal)?;
            Ok(buffer)
        })
    }
}

fn prepare<M: Method>(plugin: &dyn Any, params: &str) -> Result<Box<dyn Prepared>> {
    let call: M = read_params(params, Takes::of::<M>()).map_err(M::reword)?;
    M::available(state(plugin))?;
    call.validate().map_err(M::reword)?;
    Ok(Box::new(call))
}

fn state<P: Plugin>(plugin: &dyn Any) -> &P {
    plugin.downcast_ref().expect("the registry joins each method to its own plugin")
}
