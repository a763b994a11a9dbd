//! How an external agent is: what its answer to the sign-in question means.

use std::collections::BTreeMap;

use carport_core::mask_text;

use crate::{
    adapter::Adapter,
    externals::Ground,
    find::Found,
    question::{Answer, ask},
    view::{Execution, ExternalAgentHealth, HealthStatus},
};

/// How much of an answer is shown, in characters.
const SHOWN_CHARS: usize = 500;

/// Asks an agent how it is. What was found of it stays as it was found.
pub(crate) async fn health(
    ground: &Ground,
    adapter: &Adapter,
    found: &Found,
) -> ExternalAgentHealth {
    let mut health = ExternalAgentHealth {
        id: adapter.id().to_owned(),
        status: HealthStatus::Unknown,
        details: BTreeMap::new(),
        reason: None,
        checked_at: ground.clock.now().timestamp(),
    };
    if let Execution::Unusable { reason, .. } = &found.execution {
        health.status = HealthStatus::NotExecutable;
        health.reason = Some(reason.clone());
        return health;
    }
    let Some(args) = &adapter.sign_in_args else {
        health.reason = Some("it cannot be asked whether somebody is signed in".into());
        return health;
    };
    match ask(ground, adapter, &found.program, args).await {
        Ok(answer) => {
            health.status = status(adapter, &answer);
            if health.status != HealthStatus::Ready {
                let says = mask_text(answer.text.trim(), SHOWN_CHARS);
                health.reason = Some(says).filter(|it| !it.is_empty());
            }
            health.details.insert("exit_code".into(), answer.code.into());
        }
        Err(why) => health.reason = Some(why),
    }
    health
}

fn status(adapter: &Adapter, answer: &Answer) -> HealthStatus {
    match answer.code {
        Some(0) => return HealthStatus::Ready,
        Some(_) => {}
        None => return HealthStatus::Unknown,
    }
    let text = answer.text.to_lowercase();
    let says = |words: &Vec<String>| words.iter().any(|it| text.contains(&it.to_lowercase()));
    let named = adapter.sign_in_says.iter().find(|(_, words)| says(words));
    named.map_or(HealthStatus::NotConfigured, |(status, _)| *status)
}
