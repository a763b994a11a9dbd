//! Cards over HTTP, with what caches need.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use carport_a2a_types::{Version, v03};
use carport_core::{Guarded, Time};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{App, door::text};

/// Since when each card is as it is: a card is made anew for each request, and only what it says tells
/// whether it changed.
#[derive(Debug, Default)]
pub(crate) struct Seen(Guarded<Vec<(String, Time)>>);

/// Cards that may be there at a time: of two paths, and one for clients of the older version.
const KINDS: usize = 3;

impl Seen {
    /// Since when a card with this tag is there.
    fn since(&self, tag: &str, now: Time) -> Time {
        let mut seen = self.0.lock();
        if let Some((_, since)) = seen.iter().find(|(known, _)| known == tag) {
            return *since;
        }
        let old = seen.len().saturating_sub(KINDS);
        seen.drain(..old);
        seen.push((tag.to_owned(), now));
        now
    }
}

/// A time as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(at: Time) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

async fn card(app: &App, older: bool, headers: &HeaderMap) -> Value {
    let card = app.calls.card_of(&app.place);
    let asked = Version::of_header(text(headers, "a2a-version"));
    let both = headers.contains_key("a2a-version") && asked == Ok(Version::V03);
    match older {
        true => serde_json::to_value(v03::AgentCard::of(card)).unwrap_or_default(),
        false if both || app.calls.shows_both() => v03::union(&card),
        false => serde_json::to_value(card).unwrap_or_default(),
    }
}

/// Whether the client has this card already.
fn is_known(headers: &HeaderMap, tag: &str, since: Time) -> bool {
    match text(headers, "if-none-match") {
        Some(tags) => {
            tags.split(',').any(|it| [tag, "*"].contains(&it.trim().trim_start_matches("W/")))
        }
        None => text(headers, "if-modified-since") == Some(&http_date(since)),
    }
}

/// Answers with a card, of v0.3 if `older`.
pub(super) async fn answer(app: &App, headers: &HeaderMap, older: bool) -> Response {
    let body = card(app, older, headers).await.to_string();
    let digest = Sha256::digest(&body);
    let digest: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{digest}\"");
    let since = app.cards.since(&tag, app.clock.now());
    let facts = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::CACHE_CONTROL, "public, max-age=60".to_owned()),
        (header::VARY, "A2A-Version".to_owned()),
        (header::ETAG, tag.clone()),
        (header::LAST_MODIFIED, http_date(since)),
    ];
    match is_known(headers, &tag, since) {
        true => (StatusCode::NOT_MODIFIED, facts, Body::empty()).into_response(),
        false => (facts, body).into_response(),
    }
}
