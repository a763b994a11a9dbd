//! The card of an agent: where it is, and how it is read.

use carport_a2a_types::{Version, card::AgentCard, read::read};
use serde_json::Value;

use crate::{
    agent::whole,
    carrier::{Carrier, Request},
    failure::{Failure, Unmet},
    target::Target,
};

/// Bytes of a card.
pub const CARD_BYTES: usize = 256 * 1024;

/// Where cards are, the newer place first.
const PLACES: [&str; 2] = ["/.well-known/agent-card.json", "/.well-known/agent.json"];

/// The card of an agent: where the URL says, if it names one, or at the well-known places of its origin. The second
/// value is the card as it came. It is asked for without credentials. A place with something that is no card, as a
/// site has that answers everything with a page, keeps nobody from the next one.
///
/// # Errors
/// There is none, or it does not read.
pub async fn find_card(
    carrier: &impl Carrier,
    url: &Target,
) -> Result<(AgentCard, Value), Failure> {
    let itself = url.url().path().ends_with(".json").then(|| url.clone());
    let mut why = Failure::NoCard;
    for place in itself.into_iter().chain(PLACES.map(|path| url.at(path))) {
        let request = Request { to: &place, headers: Vec::new(), body: None };
        let reply = match carrier.carry(request).await {
            Ok(reply) => reply,
            Err(_) if why != Failure::NoCard => return Err(why),
            Err(unmet) => return Err(unmet.into()),
        };
        if reply.status == 200 {
            match whole(reply, CARD_BYTES).await.map(|it| read_card(&it)) {
                Ok(Some(read)) => return Ok(read),
                Ok(None) => why = Failure::BadCard,
                Err(unmet @ Unmet::Long(_)) => why = unmet.into(),
                Err(unmet) => return Err(unmet.into()),
            }
        }
    }
    Err(why)
}

/// A card in the shape that it has: agents of v0.3 show theirs at either place.
fn read_card(body: &[u8]) -> Option<(AgentCard, Value)> {
    let card: Value = serde_json::from_slice(body).ok()?;
    let is_newer =
        ["supportedInterfaces", "supported_interfaces"].iter().any(|it| card.get(it).is_some());
    let version = if is_newer { Version::V1 } else { Version::V03 };
    Some((read(card.clone(), version).ok()?, card))
}
