//! Calls about receivers of a task's changes. What only a receiver may know is never answered.

use std::sync::Arc;

use carport_a2a_tasks::{Caller, PushEntry};
use carport_a2a_types::{
    A2aError, A2aResult, NewPushConfig, PageOfPushConfigs, PushConfig, PushConfigOf, PushConfigsOf,
    Version, read::read,
};
use serde_json::Value;

use super::{Answer, Push, apart};
use crate::desk::Desk;

/// Answers a call.
pub(super) async fn answer(
    desk: &Arc<Desk>,
    push: Push,
    version: Version,
    params: Value,
    caller: &Caller,
) -> A2aResult<Answer> {
    desk.has_push()?;
    match push {
        Push::Create => create(desk, read(params, version)?, version, caller).await,
        Push::Get => {
            let PushConfigOf { task_id, id } = read(params, version)?;
            let found = desk.store().get_push(caller, &task_id, id.as_deref()).await?;
            Ok(Answer::Receiver(found.config.redacted()))
        }
        Push::List => list(desk, read(params, version)?, caller).await,
        Push::Delete => {
            let PushConfigOf { task_id, id } = read(params, version)?;
            let id =
                id.ok_or_else(|| A2aError::field("pushNotificationConfigId", "is required"))?;
            let (desk, caller) = (desk.clone(), caller.clone());
            apart(async move { desk.forget_receiver(&caller, &task_id, &id).await }).await?;
            Ok(Answer::Nothing)
        }
    }
}

async fn create(
    desk: &Arc<Desk>,
    params: NewPushConfig,
    version: Version,
    caller: &Caller,
) -> A2aResult<Answer> {
    let NewPushConfig { task_id, config } = params;
    let fold = desk.store().get(caller, &task_id, None).await?;
    let entry = desk.receiver(config, version)?;
    let shown = PushConfig { task_id: Some(task_id), ..entry.config.clone() }.redacted();
    let (desk, caller) = (desk.clone(), caller.clone());
    apart(async move { desk.add_receiver(&caller, &fold, Some(entry)).await }).await?;
    Ok(Answer::Receiver(shown))
}

/// There are few, so a page's token is just how many came before.
async fn list(desk: &Arc<Desk>, params: PushConfigsOf, caller: &Caller) -> A2aResult<Answer> {
    let all = desk.store().list_push(caller, &params.task_id).await?;
    let begin = match &params.page_token {
        None => 0,
        Some(token) => match token.parse::<usize>() {
            Ok(begin) if begin <= all.len() => begin,
            _ => return Err(A2aError::field("pageToken", "is not a token that a list gave")),
        },
    };
    let size = params.page_size.and_then(|it| usize::try_from(it).ok()).unwrap_or(all.len());
    let end = begin.saturating_add(size).min(all.len());
    let shown = |entry: &PushEntry| entry.config.clone().redacted();
    Ok(Answer::Receivers(PageOfPushConfigs {
        configs: all[begin..end].iter().map(shown).collect(),
        next_page_token: if end < all.len() { end.to_string() } else { String::new() },
    }))
}
