//! One dialogue through every layer, on the in-process test host.

use carport_core::{codes, host, testing::TestHost};
use serde_json::json;

#[tokio::test]
async fn a_frame_goes_in_and_its_reply_comes_out() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    assert!(client.call(host::Ping {}).await.unwrap().ok);
    let document = client.raw("rpc.discover", json!({})).await.unwrap();
    assert_eq!(document["openrpc"], "1.3.2");
    let error = client.raw("runs.lst", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::METHOD_NOT_FOUND);
    client.close().await;
    host.emptied().await;
    host.stop().await;
}

#[tokio::test]
async fn a_stranger_is_told_and_hung_up_on() {
    let host = TestHost::start().await;
    let mut stranger = host.stranger().await;
    let error = stranger.raw("state.keys", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_AUTHENTICATED);
    assert_eq!(stranger.closed().await, Some(1008));
}
