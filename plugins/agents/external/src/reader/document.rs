//! What the rules of a table take from one JSON document.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Said, Saying, Text};
use crate::table::EventRule;

/// How much a tool may be called with to be told of it, in bytes of JSON.
const PARAMS_BYTES: usize = 64 << 10;
/// How long names may be.
const NAME_BYTES: usize = 256;

/// Takes what each rule that is for this document names.
pub(super) fn take(rules: &[EventRule], said: &mut Said, document: &Value) {
    for rule in rules.iter().filter(|rule| holds(document, &rule.when)) {
        said.understood = true;
        match &rule.each {
            None => said.take(rule, document),
            Some(list) => {
                let items = document.pointer(list).and_then(Value::as_array).into_iter().flatten();
                items.filter(|item| holds(item, &rule.of)).for_each(|item| said.take(rule, item));
            }
        }
    }
}

fn holds(document: &Value, wanted: &BTreeMap<String, Value>) -> bool {
    wanted.iter().all(|(at, value)| document.pointer(at) == Some(value))
}

impl Said {
    fn take(&mut self, rule: &EventRule, from: &Value) {
        let at = |place: &Option<String>| from.pointer(place.as_deref()?);
        let text = |place| at(place).and_then(Value::as_str);
        if let Some(token) = text(&rule.token) {
            self.token(token);
        }
        if let Some(tool) = text(&rule.tool) {
            tool_call(self, tool, at(&rule.params));
        }
        if let Some(answer) = text(&rule.answer) {
            self.answer = Some(Text::of(answer));
        }
        if let Some(id) = text(&rule.session_id) {
            self.outcome.session_id = Some(name(id));
        }
        if let Some(turns) = at(&rule.turns).and_then(Value::as_u64) {
            self.outcome.turns = Some(u32::try_from(turns).unwrap_or(u32::MAX));
        }
        if rule.is_turn {
            let turns = self.outcome.turns.get_or_insert(0);
            *turns = turns.saturating_add(1);
        }
        if let Some(cost) = at(&rule.cost).and_then(Value::as_f64) {
            self.outcome.total_cost_usd = Some(cost);
        }
        self.failed |= at(&rule.failed).and_then(Value::as_bool) == Some(true);
        if let Some(error) = text(&rule.error) {
            self.fail(error);
        }
    }
}

/// A tool is called.
pub(super) fn tool_call(said: &mut Said, tool: &str, params: Option<&Value>) {
    said.outcome.tool_calls = said.outcome.tool_calls.saturating_add(1);
    let params = params.filter(|it| it.to_string().len() <= PARAMS_BYTES).cloned();
    said.sayings.push(Saying::ToolCall { tool: name(tool), params });
}

fn name(text: &str) -> String {
    text[..text.floor_char_boundary(NAME_BYTES)].to_owned()
}
