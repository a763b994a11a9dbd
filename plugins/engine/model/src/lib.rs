//! Proposals: their shapes, order, checks, simulation and the tiers they need. Pure: no clock, no disk, no socket.
