//! The event journal of a connection: one JSONL file, chained by hashes, bounded in memory and on disk.
