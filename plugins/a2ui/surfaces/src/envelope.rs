//! Envelopes: from what was sent to one of four messages, normalised and held against the schemas.

use carport_a2ui_validate::{
    BASIC, BASIC_ALIAS, Catalog, Children, Component, Message, Schemas, VERSIONS, Violation,
};
use serde_json::{Map, Value};

use crate::{
    VERSION,
    fault::{Fault, Reason, dotted},
    inspect,
    limits::{Limits, within},
    pointer::is_reserved,
};

/// Keys of messages that version 0.8 had.
const OLD_KEYS: [&str; 3] = ["surfaceUpdate", "beginRendering", "dataModelUpdate"];
/// The most faults that are told.
const MOST_VIOLATIONS: usize = 32;
/// How many values are looked at to tell what is wrong in an envelope: to find out takes far longer than to see
/// that something is, and others wait.
const MOST_LOOKED_AT: usize = 2000;

/// An envelope that is well-formed. Its components are not checked yet: their catalog is the surface's.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) message: Message,
    pub(crate) surface_id: String,
    /// In wire form, normalised.
    pub(crate) wire: Value,
}

impl Envelope {
    /// The message's own members.
    pub(crate) fn body(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.wire[self.message.key()].as_object().unwrap_or(&NONE)
    }

    /// Reads an envelope.
    ///
    /// # Errors
    /// Another version, another shape, a reserved name, a limit, or an unknown catalog.
    pub(crate) fn read(
        sent: Value,
        schemas: &Schemas,
        aliases: &[String],
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let Value::Object(mut wire) = sent else {
            return Err(Fault::at(Reason::InvalidEnvelope, "envelope", "must be an object"));
        };
        version(&mut wire)?;
        let message = one_message(&wire)?;
        if message == Message::Create
            && let Some(Value::Object(body)) = wire.get_mut(message.key())
        {
            normalise_catalog(body, schemas, aliases);
        }
        let wire = Value::Object(wire);
        let body = &wire[message.key()];
        let surface_id = body["surfaceId"].as_str().unwrap_or_default().to_owned();
        // An id may be the whole envelope, and faults repeat it.
        check_id(&surface_id, || format!("{}.surfaceId", message.key()), limits)?;
        let bytes = match message {
            // These are walked when they are placed; here only how long they are counts.
            Message::Components | Message::Data => inspect::bytes(&wire),
            _ => inspect::plain(&wire, "", limits).map_err(|fault| fault.of(&surface_id))?,
        };
        within("maxEnvelopeBytes", limits.max_envelope_bytes, bytes)?;
        let count = body["components"].as_array().map_or(0, Vec::len);
        within("maxComponents", limits.max_components, count)?;
        let preferred = schemas.catalogs().first();
        let catalog = match (message, body["catalogId"].as_str()) {
            (Message::Create, Some(id)) => match schemas.catalog(id) {
                Some(catalog) => Some(catalog),
                None => return Err(unknown_catalog(schemas, &surface_id)),
            },
            _ => preferred,
        };
        let faults = catalog.map_or_else(Vec::new, |it| it.check_message(message, &wire));
        if let Some(first) = faults.first() {
            let is_themes = first.path.starts_with("/createSurface/theme/");
            let reason = if is_themes { Reason::InvalidProperty } else { Reason::InvalidEnvelope };
            let fault = Fault::at(reason, dotted(&first.path), first.message.clone());
            return Err(fault.of(&surface_id).with(|it| it.violations = faults));
        }
        Ok(Self { message, surface_id, wire })
    }
}

/// Fills in a missing catalog, and gives one that goes by another name its own.
fn normalise_catalog(body: &mut Map<String, Value>, schemas: &Schemas, aliases: &[String]) {
    let Some(preferred) = schemas.catalogs().first() else { return };
    match body.get_mut("catalogId") {
        None => drop(body.insert("catalogId".into(), preferred.id().into())),
        Some(Value::String(id)) if *id == BASIC_ALIAS || aliases.contains(id) => *id = BASIC.into(),
        Some(_) => {}
    }
}

fn version(wire: &mut Map<String, Value>) -> Result<(), Fault> {
    if let Some(old) = OLD_KEYS.into_iter().find(|key| wire.contains_key(*key)) {
        let why =
            format!("is a message of version 0.8; this daemon speaks {}", VERSIONS.join(", "));
        return Err(Fault::at(Reason::UnsupportedVersion, old, why));
    }
    match wire.get("version") {
        None => {}
        Some(Value::String(version)) if VERSIONS.contains(&&**version) => {}
        Some(Value::String(_)) => {
            let why = format!("is not spoken here; use one of {}", VERSIONS.join(", "));
            return Err(Fault::at(Reason::UnsupportedVersion, "version", why));
        }
        Some(_) => return Err(Fault::at(Reason::InvalidEnvelope, "version", "must be a text")),
    }
    wire.insert("version".into(), VERSION.into());
    Ok(())
}

fn one_message(wire: &Map<String, Value>) -> Result<Message, Fault> {
    let mut found = wire.keys().filter_map(|key| Message::of_key(key));
    let keys = Message::ALL.map(Message::key).join(", ");
    let refuse = |field: &str, why: String| Err(Fault::at(Reason::InvalidEnvelope, field, why));
    match (found.next(), found.next()) {
        (Some(message), None) => Ok(message),
        (Some(_), Some(second)) => refuse(second.key(), format!("only one of {keys} may be there")),
        _ => refuse("envelope", format!("one of {keys} must be there")),
    }
}

fn unknown_catalog(schemas: &Schemas, surface_id: &str) -> Fault {
    let known: Vec<_> = schemas.catalogs().iter().map(Catalog::id).collect();
    let why = format!("is not known here; use one of {}", known.join(", "));
    Fault::at(Reason::UnsupportedCatalog, "createSurface.catalogId", why).of(surface_id)
}

fn check_id(id: &str, field: impl FnOnce() -> String, limits: &Limits) -> Result<(), Fault> {
    within("maxIdBytes", limits.max_id_bytes, id.len())?;
    match is_reserved(id) {
        true => Err(Fault::at(Reason::ReservedSegment, field(), format!("`{id}` is reserved"))),
        false => Ok(()),
    }
}

/// Checks the ids that a component names: one that may be nobody's never arrives.
fn check_references(
    component: &Value,
    known: &Component,
    at: usize,
    limits: &Limits,
) -> Result<(), Fault> {
    let mut checked = Ok(());
    known.edges.references(component, |it| {
        if checked.is_ok() {
            let field = || format!("updateComponents.components[{at}].{}", it.property);
            checked = check_id(it.id, field, limits);
        }
    });
    checked
}

/// Holds components against their schemas. Returns the bytes of each.
///
/// # Errors
/// The first fault by place, with others, 32 in all.
pub(crate) fn check_components(
    components: &[Value],
    catalog: &Catalog,
    limits: &Limits,
) -> Result<Vec<usize>, Fault> {
    let mut sizes = Vec::with_capacity(components.len());
    let mut first: Option<Fault> = None;
    let mut all: Vec<Violation> = Vec::new();
    let mut left = MOST_LOOKED_AT;
    for (at, component) in components.iter().enumerate() {
        let place = format!("/updateComponents/components/{at}");
        let id = component["id"].as_str();
        let blame = |fault: Fault| fault.with(|it| it.component_id = id.map(str::to_owned));
        if let Some(id) = id {
            check_id(id, || dotted(&format!("{place}/id")), limits).map_err(blame)?;
        }
        // How deep calls go is known before a schema follows them.
        sizes.push(inspect::component(component, &place, limits).map_err(blame)?);
        let (reason, found) = match against_schema(component, catalog, &mut left) {
            Ok(known) => {
                check_references(component, known, at, limits).map_err(blame)?;
                continue;
            }
            Err(wrong) => wrong,
        };
        for Violation { path, message } in found {
            let path = format!("{place}{path}");
            let fault = || blame(Fault::at(reason, dotted(&path), message.clone()));
            first.get_or_insert_with(fault);
            all.push(Violation { path, message });
        }
        if all.len() >= MOST_VIOLATIONS {
            break;
        }
    }
    all.truncate(MOST_VIOLATIONS);
    match first {
        Some(fault) => Err(fault.with(|it| it.violations = all)),
        None => Ok(sizes),
    }
}

/// The type of a component that is as its schema says, or what is wrong with it.
fn against_schema<'c>(
    component: &Value,
    catalog: &'c Catalog,
    left: &mut usize,
) -> Result<&'c Component, (Reason, Vec<Violation>)> {
    let at = |path: &str, message: String| vec![Violation { path: path.into(), message }];
    let one = |message: String| at("/component", message);
    let Some(name) = component["component"].as_str() else {
        return Err((Reason::InvalidProperty, one("must be the name of a component".into())));
    };
    let Some(known) = catalog.component(name) else {
        let all: Vec<_> = catalog.components().collect();
        let why = format!("is no component of this catalog: {}", all.join(", "));
        return Err((Reason::UnsupportedComponent, one(why)));
    };
    if known.admits(component) {
        return Ok(known);
    }
    let found = match left.checked_sub(inspect::values(component)) {
        Some(rest) => {
            *left = rest;
            known.check(component)
        }
        None => {
            let why = format!(
                "is no `{name}`, and too large to say where; send it in an envelope of its own, or smaller"
            );
            at("", why)
        }
    };
    Err((Reason::InvalidProperty, found))
}
