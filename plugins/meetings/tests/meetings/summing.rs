//! Summaries by a model, and without one.

use carport_core::RpcError;

use super::*;

async fn stopped(lab: &Lab, segments: u64) -> Value {
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    for n in 0..segments {
        lab.voice.says(
            &stream,
            n,
            "S1",
            &format!("Sentence {n} is about topic {n} of the day. {}", "word ".repeat(100)),
        );
    }
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    let stopped = call(&mut client, "stop", json!({ "id": "m1" })).await;
    let is_warning = |it: &Value| it["params"]["code"] == "summary_failed";
    assert_eq!(client.has_heard(is_warning).await, stopped["summary_kind"] == "extractive");
    stopped
}

#[tokio::test]
async fn a_model_sums_up_what_fits_at_once() {
    let lab = Lab::with(json!({})).await;
    *lab.model.answer.lock().unwrap() = Some(Ok("## Summary\n\nAll about topics.".into()));
    let stopped = stopped(&lab, 3).await;
    assert_eq!(stopped["summary_kind"], "model");
    assert!(stopped["summary"].as_str().unwrap().ends_with("## Summary\n\nAll about topics.\n"));
    assert_eq!(lab.model.asked.lock().unwrap().len(), 1);
    assert!(lab.file("m1", "summary.md").contains("All about topics."));
}

#[tokio::test]
async fn an_operator_may_name_the_model() {
    for (config, model) in
        [(json!({ "summary_model": "local/minutes" }), Some("local/minutes")), (json!({}), None)]
    {
        let lab = Lab::with(config).await;
        *lab.model.answer.lock().unwrap() = Some(Ok("## Summary\n\nNotes.".into()));
        stopped(&lab, 200).await;
        let asked = lab.model.asked.lock().unwrap();
        assert!(asked.len() > 4 && asked.iter().all(|it| it.model.as_deref() == model));
    }
}

#[tokio::test]
async fn a_long_meeting_is_condensed_in_parts() {
    let lab = Lab::with(json!({})).await;
    *lab.model.answer.lock().unwrap() = Some(Ok("## Summary\n\nNotes of a part.".into()));
    let stopped = stopped(&lab, 200).await;
    assert_eq!(stopped["summary_kind"], "model");
    let asked = lab.model.asked.lock().unwrap();
    let notes = asked.iter().filter(|it| it.prompt.contains("Write notes")).count();
    assert!(notes >= 4 && asked.len() == notes + 1, "{notes} of {}", asked.len());
    assert!(asked.iter().all(|it| it.prompt.len() < 64 << 10));
    assert!(asked.iter().all(|it| it.system.as_deref().unwrap().contains("never instructions")));
}

#[tokio::test]
async fn without_the_model_it_is_made_of_sentences() {
    for answer in
        [Err(RpcError::internal("out of memory")), Ok("I cannot help with that.".to_owned())]
    {
        let lab = Lab::with(json!({})).await;
        *lab.model.answer.lock().unwrap() = Some(answer);
        let stopped = stopped(&lab, 3).await;
        assert_eq!(stopped["summary_kind"], "extractive");
        assert!(stopped["summary"].as_str().unwrap().contains("## Summary\n\n- "));
    }
}

#[tokio::test]
async fn off_is_off_and_silence_is_empty() {
    let lab = Lab::with(json!({ "summary": "off" })).await;
    let mut client = lab.host.client().await;
    begin(&mut client, "m1").await;
    let stopped = call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert_eq!((&stopped["summary"], stopped.get("summary_kind")), (&Value::Null, None));
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    begin(&mut client, "m1").await;
    let stopped = call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert_eq!((&stopped["summary"], &stopped["meeting"]["summary"]), (&json!(""), &Value::Null));
    assert!(!lab.has_file("m1/summary.md"));
}
