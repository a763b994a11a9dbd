//! Everything under a shim: the child, its group, and what the kernel gave the shim when parents died.

use carport_core::Guarded;
use rustix::{
    io::Errno,
    process::{
        Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process_group,
        test_kill_process_group, wait, waitid,
    },
};

use crate::{
    incarnation::{processes, signal, tree},
    machine::Exit,
};

/// The processes under this shim.
pub(super) struct Tree {
    child: u32,
    /// How the child ended. While it is `None` the child is not reaped, and nobody else can have its
    /// number: so signals to the group are sent under this lock, and so is reaping.
    ended: Guarded<Option<Exit>>,
}

impl Tree {
    /// A tree that so far is one child, the leader of its group and session.
    pub(super) fn new(child: u32) -> Self {
        Self { child, ended: Guarded::new(None) }
    }

    /// How the child ended.
    pub(super) fn exit(&self) -> Exit {
        self.ended.lock().unwrap_or(Exit::Unknown)
    }

    /// Waits until a process ends and takes it in; whether it was the child. `None` once there is no
    /// process left: who descends from this shim has a living ancestor that is its child.
    pub(super) fn reap_one(&self) -> Option<bool> {
        loop {
            match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(_) => return None,
            }
            let mut ended = self.ended.lock();
            let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) else { continue };
            if pid.as_raw_pid().cast_unsigned() != self.child {
                return Some(false);
            }
            let code = status.exit_status().map(Exit::Code);
            let exit = code.or(status.terminating_signal().map(Exit::Signal));
            *ended = Some(exit.unwrap_or(Exit::Unknown));
            return Some(true);
        }
    }

    /// Whether no process is left, ended or not.
    pub(super) fn is_empty(&self) -> bool {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        waitid(WaitId::All, look).err() == Some(Errno::CHILD)
    }

    /// TERM to the child's group, whoever of it lives.
    pub(super) fn terminate(&self) {
        if !self.signal_group(Signal::TERM) {
            for member in self.living().iter().filter(|it| it.pgrp.cast_unsigned() == self.child) {
                signal(member, Signal::TERM);
            }
        }
    }

    /// Whether somebody of the child's group lives. Another group may have the number since; then the
    /// answer costs some patience and nobody a signal.
    pub(super) fn group_lives(&self) -> bool {
        self.group().is_some_and(|group| test_kill_process_group(group).is_ok())
    }

    /// One sweep: KILL to the group and to everything that descends from this shim. Answers who
    /// lived. What forks meanwhile is found by the next sweep.
    pub(super) fn kill(&self) -> Vec<u32> {
        self.signal_group(Signal::KILL);
        let living = self.living();
        for process in &living {
            signal(process, Signal::KILL);
        }
        living.iter().map(|it| it.pid.cast_unsigned()).collect()
    }

    /// To the group at once, so that none of it can fork between; `false` if the child is reaped and
    /// the number is no longer sure to be its.
    fn signal_group(&self, signal: Signal) -> bool {
        let ended = self.ended.lock();
        match (self.group(), *ended) {
            (Some(group), None) => kill_process_group(group, signal).is_ok(),
            _ => false,
        }
    }

    fn group(&self) -> Option<Pid> {
        Pid::from_raw(self.child.cast_signed())
    }

    /// Everything that descends from this shim.
    fn living(&self) -> Vec<procfs::process::Stat> {
        let own = getpid().as_raw_pid();
        let table = processes();
        tree(&table, &[own]).into_iter().filter(|it| it.pid != own).cloned().collect()
    }
}
