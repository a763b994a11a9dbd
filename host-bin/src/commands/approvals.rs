//! `carport approvals`: what waits for a person, and the decision.

use carport_core::{
    ApprovalStatus, HostApproval,
    host::{Approvals, Resolution, ResolveApproval, Which},
};
use clap::Subcommand;

use crate::{
    cli::Global,
    client::{connect::connect, link::Link, proof::Role},
    exit::Exit,
    output::{Cell, Output, Table, Tone, cut, one_line},
};

/// Rows of a list at most; the daemon keeps no more.
const MOST: u32 = 500;
/// Characters of a preview in a table.
const PREVIEW: usize = 120;

/// Flags of `carport approvals`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List what waits, oldest first
    List {
        /// Also what was decided since the daemon started
        #[arg(long)]
        all: bool,
    },
    /// Say yes
    Approve(Decision),
    /// Say no
    Deny(Decision),
}

#[derive(Debug, clap::Args)]
struct Decision {
    /// The approval: `carport approvals list` shows it
    id: String,
    /// Kept with the decision
    #[arg(long, value_name = "TEXT")]
    notes: Option<String>,
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    let (row, word) = match args.what {
        What::List { all } => return list(all, global, output).await,
        What::Approve(decision) => {
            (decide(decision, Resolution::Approve, global).await?, "approved")
        }
        What::Deny(decision) => (decide(decision, Resolution::Deny, global).await?, "denied"),
    };
    match (output.is_json(), row.status) {
        (true, _) => output.document(&row),
        (false, ApprovalStatus::Pending) => {
            let (yes, needed) = (row.approvals.len(), row.required_approvals);
            output.line(format_args!("{}: {yes} of {needed} said yes", row.id))
        }
        (false, _) => output.line(format_args!("{} {word}: {}", row.id, one_line(&row.title))),
    }
}

async fn list(all: bool, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Client).await?;
    let status = Some(if all { Which::All } else { Which::Pending });
    let list = link.call(Approvals { status, limit: Some(MOST) }).await?;
    if output.is_json() {
        return output.document(&list.approvals);
    }
    let mut table = Table::new(["approval", "status", "what", "asked", "agent", "preview"]);
    for row in &list.approvals {
        table.row([
            Cell::new(&row.id).tone(Tone::Name),
            Cell::new(word(row.status)).tone(tone(row.status)),
            Cell::new(&row.title),
            Cell::new(row.created_at.format("%H:%M:%S")),
            Cell::new(row.agent_id.as_deref().unwrap_or("-")),
            Cell::new(cut(&preview(row), PREVIEW)),
        ]);
    }
    output.table(&table, "nothing waits for approval")
}

async fn decide(
    decision: Decision,
    resolution: Resolution,
    global: &Global,
) -> Result<HostApproval, Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    resolve(&link, decision.id, resolution, decision.notes).await
}

/// Decides about one approval.
pub(super) async fn resolve(
    link: &Link,
    approval_id: String,
    resolution: Resolution,
    notes: Option<String>,
) -> Result<HostApproval, Exit> {
    let resolution = Some(resolution);
    let call = ResolveApproval { approval_id, approved: None, resolution, notes };
    link.call(call).await.map_err(Exit::from)
}

/// What is asked for, secrets masked by the daemon.
pub(super) fn preview(row: &HostApproval) -> String {
    match row.context.get("preview").and_then(serde_json::Value::as_str) {
        Some(preview) => preview.to_owned(),
        None => row.context.to_string(),
    }
}

/// The status as the wire has it.
pub(super) fn word(status: ApprovalStatus) -> &'static str {
    match status {
        ApprovalStatus::Pending => "pending",
        ApprovalStatus::Approved => "approved",
        ApprovalStatus::Denied => "denied",
        ApprovalStatus::Expired => "expired",
        ApprovalStatus::Cancelled => "cancelled",
    }
}

/// How a status looks.
pub(super) fn tone(status: ApprovalStatus) -> Tone {
    match status {
        ApprovalStatus::Pending => Tone::Warn,
        ApprovalStatus::Approved => Tone::Good,
        ApprovalStatus::Denied => Tone::Bad,
        ApprovalStatus::Expired | ApprovalStatus::Cancelled => Tone::Faint,
    }
}
