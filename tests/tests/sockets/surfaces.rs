//! Surfaces over real sockets: drawn, shown and followed by the command line, and kept from strangers' eyes.

use serde_json::{Value, json};

use crate::daemon::Daemon;

const EXAMPLE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/a2ui/data/examples/01_flight-status.json");

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn an_example_is_applied_listed_and_shown() {
    let daemon = Daemon::start(&[]).await;
    let applied = daemon.run(&["surfaces", "apply", EXAMPLE]).await;
    assert!(applied.status.success(), "{applied:?}");
    assert_eq!(text(&applied.stdout).lines().count(), 3, "{applied:?}");
    let listed = daemon.run(&["surfaces", "list", "--json"]).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (&listed[0]["surfaceId"], &listed[0]["revision"]),
        (&json!("gallery-flight-status"), &json!(3))
    );
    let shown = text(&daemon.run(&["surfaces", "show", "gallery-flight-status"]).await.stdout);
    assert!(shown.contains("└─ Column main-column\n   ├─ Row header-row"), "{shown}");
    assert!(shown.contains("Text.h2 origin  {/origin}"), "{shown}");
    // What is there already is refused, and the envelope and the remedy are named.
    let again = daemon.run(&["surfaces", "apply", EXAMPLE]).await;
    assert_eq!(again.status.code(), Some(5));
    assert!(
        text(&again.stderr)
            .contains("envelope 1: surface `gallery-flight-status` exists already; delete it")
    );
    let none = daemon.run(&["surfaces", "show", "other"]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stderr).contains("carport surfaces list"));
    let agents = daemon.run(&["token", "agent", "painter"]).await;
    assert!(agents.status.success());
    let seen = daemon.run(&["surfaces", "list", "--agent", "painter", "--json"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&seen.stdout).unwrap(), json!([]), "{seen:?}");
}
