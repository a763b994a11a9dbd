//! What an engine sees happen and a memory may learn from.

/// Something that happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Whose it is, 1 to 128 bytes; absent: everybody's.
    pub tenant_id: Option<String>,
    /// What happened.
    pub observed: Observed,
}

/// What happened. Texts are masked by the one who tells; of longer ones a memory keeps the beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// An action failed for good.
    ActionFailed {
        /// The tool.
        tool: String,
        /// What it said.
        error: String,
    },
    /// An action was tried as often as it may be.
    RetriesUsedUp {
        /// The tool.
        tool: String,
        /// What it said last.
        error: String,
    },
    /// A proposal was planned anew as often as it may be.
    ReplansUsedUp {
        /// The proposal's source.
        source: String,
        /// What went wrong last.
        reason: String,
    },
    /// A check of a goal ran and the goal was not met, or its end rests on no evidence.
    GoalOpen {
        /// The goal.
        goal: String,
        /// Why it is open.
        reason: String,
    },
    /// A turn of a model was cut off or stalled.
    TurnStopped {
        /// Who was speaking.
        source: String,
        /// What stopped it.
        reason: String,
    },
}
