//! What fuzzers drive: each function panics when a promise breaks.

use std::sync::{Arc, LazyLock};

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::{
    contract::access::Identity,
    dispatch::{config::Config, host::Host, registry::Registry},
    wire::{
        error::codes,
        frame::{self, Frame},
    },
};

static SCENE: LazyLock<(Runtime, Arc<Host>)> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut config = Config::default();
    config.tokens.client = Some("a token that no fuzzer finds".into());
    config.tokens.host = Some("another token that no fuzzer finds".into());
    let registry = Registry::linked(&[], &[]).expect("the plugins fit together");
    let host = runtime.block_on(Host::start(registry, config)).expect("every plugin starts");
    (runtime, host)
});

/// Reads `text` as a frame. What is read points into the text, and an error has a code of JSON-RPC's.
pub fn frame(text: &str) {
    let inside = |part: &str| text.as_bytes().as_ptr_range().contains(&part.as_ptr());
    match frame::read(text) {
        Ok(Frame::Request { id, params, .. }) => {
            assert!(id.is_none_or(inside));
            assert!(params == "{}" || inside(params));
        }
        Ok(Frame::Answer { id, .. }) => assert!(inside(id)),
        Err(refused) => {
            assert!(refused.id.is_none_or(inside));
            assert!(matches!(refused.error.code, codes::PARSE | codes::INVALID_REQUEST));
        }
    }
}

/// Authenticates with `params`; nobody gets in.
pub fn auth(params: &str) {
    let answer = answer(Identity::Nobody, "session.auth", params);
    assert!(answer.is_err(), "a fuzzer got in");
}

/// Calls a linked method as the host; nothing panics behind it.
pub fn call(method: &str, params: &str) {
    if let Err(code) = answer(Identity::Host, method, params) {
        assert_ne!(code, codes::INTERNAL);
    }
}

fn answer(identity: Identity, method: &str, params: &str) -> Result<Value, i32> {
    let (runtime, host) = &*SCENE;
    let Ok(params) = serde_json::from_str::<Value>(params) else { return Err(codes::PARSE) };
    runtime.block_on(host.call(identity, method, &params)).map_err(|error| error.code)
}
