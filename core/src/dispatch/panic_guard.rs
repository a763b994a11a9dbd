//! A panic in one call stays in that call.

use std::any::Any;

use crate::wire::error::RpcError;

/// Logs a panic of `method`; what its caller hears tells nothing of it.
pub(crate) fn report(method: &str, panic: &(dyn Any + Send)) -> RpcError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(method, panic = text.unwrap_or("not a text"), "a method panicked");
    RpcError::internal("the method failed inside; the daemon's log says more")
}
