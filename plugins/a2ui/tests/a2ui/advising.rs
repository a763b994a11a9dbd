//! Advice to peers that take their time.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_a2ui_api::{Delivered, Delivery, Router, SURFACES};
use carport_core::{ManualClock, Result, Time, testing::TestHost};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, timeout},
};

use crate::call;

/// What happened to a delivery.
#[derive(Debug, PartialEq)]
enum Leg {
    Begun(Value),
    GivenUp,
}

/// A router whose peers never answer.
struct Mute(Sender<Leg>);

struct Begun(Sender<Leg>);

impl Drop for Begun {
    fn drop(&mut self) {
        let _ = self.0.try_send(Leg::GivenUp);
    }
}

#[async_trait]
impl Router for Mute {
    fn screen(&self, _: &str, _: bool) -> Result<()> {
        Ok(())
    }

    async fn deliver(&self, delivery: Delivery) -> Result<Delivered> {
        let _begun = Begun(self.0.clone());
        self.0.try_send(Leg::Begun(delivery.parts.into())).unwrap();
        std::future::pending().await
    }
}

async fn next(legs: &mut Receiver<Leg>) -> Leg {
    timeout(Duration::from_secs(600), legs.recv()).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn peers_that_never_answer_are_given_up_and_only_so_many_are_told_at_a_time() {
    let clock = ManualClock::at(Time::default());
    let section = json!({ "advise_peers": true });
    let host = TestHost::builder().clock(clock.clone()).plugin("a2ui", section).start().await;
    let (sender, mut legs) = channel(64);
    host.service(&SURFACES).route_by(Arc::new(Mute(sender)));
    let mut client = host.client().await;
    let started = Instant::now();
    for wait in [500, 0] {
        for at in 0..17 {
            let id = format!("s{at}");
            let create =
                json!({ "contextId": "c", "a2ui": { "createSurface": { "surfaceId": id } } });
            let params =
                json!({ "payload": create, "endpoint": format!("https://peer{at}.example/rpc") });
            if wait > 0 {
                call(&mut client, "a2ui.ingest", params).await;
            }
            let surface = call(&mut client, "a2ui.get", json!({ "surfaceId": id })).await;
            let report = json!({
                "surfaceId": id, "revision": surface["revision"], "clientId": "r",
                "viewport": { "width": 375, "height": 600 }, "findings": [{ "code": "missing_root" }],
            });
            call(&mut client, "a2ui.render_report", report).await;
        }
        clock.advance(TimeDelta::milliseconds(wait));
    }
    for at in 0..16 {
        let Leg::Begun(parts) = next(&mut legs).await else { panic!("{at} was given up at once") };
        assert_eq!(parts[0][0]["error"]["surfaceId"], format!("s{at}"));
    }
    for _ in 0..16 {
        assert_eq!(next(&mut legs).await, Leg::GivenUp);
    }
    assert!(started.elapsed() >= Duration::from_secs(30), "{:?}", started.elapsed());
    assert!(legs.try_recv().is_err());
}
